"""`pe invert`: a person with a picture."""

import json

import pytest

from pe.cli import main


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("PE_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def flavors(tmp_path):
    path = tmp_path / "flavors.txt"
    path.write_text("oil painting\ncubism\nsoft light\nfog\n", encoding="utf-8")
    return str(path)


def test_a_picture_and_a_caption_give_a_prompt(pictures, clip_folder, flavors, capsys):
    args = ["--encoder", str(clip_folder), "--flavors", flavors, "--mode", "fast"]
    assert main(["invert", str(pictures / "00.png"), *args, "--caption", "a fox"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert line.split(", ")[0] == "a fox"
    assert set(line.split(", ")[1:]) == {"oil painting", "cubism", "soft light", "fog"}


def test_json_says_caption_flavors_and_similarity_of_each_picture(
    pictures, clip_folder, flavors, capsys
):
    (pictures / "01.txt").write_text("a vixen\n", encoding="utf-8")
    args = ["--encoder", str(clip_folder), "--flavors", flavors, "--json"]
    assert main(["invert", str(pictures / "01.png"), *args]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["caption"] == "a vixen"
    assert ", ".join([found["caption"], *found["flavors"]]) == found["prompt"]
    assert -1 <= found["similarity"] <= 1


def test_without_a_caption_the_ways_to_give_one_are_named(pictures, clip_folder, capsys):
    assert main(["invert", str(pictures / "00.png"), "--encoder", str(clip_folder)]) == 2
    told = capsys.readouterr().err
    assert "--caption TEXT" in told
    assert "--captioner" in told


def test_the_negative_mode_needs_no_caption(pictures, clip_folder, flavors, capsys):
    args = ["--encoder", str(clip_folder), "--flavors", flavors, "--mode", "negative"]
    assert main(["invert", str(pictures / "00.png"), *args]) == 0
    assert capsys.readouterr().out.strip()


def test_a_file_that_is_no_picture_is_named_and_the_others_go_on(
    pictures, clip_folder, flavors, capsys
):
    bad = pictures / "bad.jpg"
    bad.write_bytes(b"")
    args = ["--encoder", str(clip_folder), "--flavors", flavors, "--mode", "fast"]
    paths = [str(bad), str(pictures / "02.png"), str(pictures / "none.png")]
    assert main(["invert", *paths, *args, "--caption", "a fox"]) == 2
    told = capsys.readouterr()
    assert f"{bad}: empty" in told.err
    assert "none.png: No such file" in told.err
    assert told.out.startswith(f"{paths[1]}: a fox, ")
