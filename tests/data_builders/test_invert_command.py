"""`pe invert`: a person with a picture."""

import json

import pytest
from PIL import Image

from pe.cli import main
from pe.engines import inverter
from pe.engines.inverter import ClipInverter


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
    assert "none.png: there is no such file" in told.err
    assert "2 of 3 pictures have no prompt" in told.err
    assert told.out.startswith(f"{paths[1]}: a fox, ")


def test_a_path_that_was_mistyped_is_told_of_before_a_caption_is_asked_for(
    pictures, clip_folder, capsys
):
    assert main(["invert", str(pictures / "typo.jpg"), "--encoder", str(clip_folder)]) == 2
    told = capsys.readouterr()
    assert "typo.jpg: there is no such file" in told.err
    assert "--caption" not in told.err
    assert not told.out


def test_a_strip_too_narrow_to_be_looked_at_is_named_and_the_others_go_on(
    pictures, clip_folder, flavors, monkeypatch, capsys
):
    prepare = ClipInverter.prepare

    def refuse(self, image):
        if image.width == 65:
            raise ValueError("the image is too narrow")
        return prepare(self, image)

    monkeypatch.setattr(ClipInverter, "prepare", refuse)
    Image.new("RGB", (65, 64)).save(pictures / "strip.png")
    paths = [str(pictures / name) for name in ("00.png", "strip.png", "01.png")]
    args = ["--encoder", str(clip_folder), "--flavors", flavors, "--mode", "fast"]
    assert main(["invert", *paths, *args, "--caption", "a fox"]) == 2
    told = capsys.readouterr()
    assert f"{paths[1]}: the image is too narrow" in told.err
    assert [line.split(": ")[0] for line in told.out.splitlines()] == [paths[0], paths[2]]


def test_pictures_go_through_the_models_many_at_once_with_the_captions_of_a_builder(
    pictures, clip_folder, flavors, monkeypatch, capsys
):
    invert = ClipInverter.invert
    sizes = []

    def count(self, prepared, captions, *, measure=True):
        sizes.append(len(prepared))
        return invert(self, prepared, captions, measure=measure)

    class Writer:
        def prepare(self, image):
            return image.size

        def caption(self, prepared):
            return [" - a cat . "] * len(prepared)

    monkeypatch.setattr(ClipInverter, "invert", count)
    monkeypatch.setattr(inverter, "load_captioner", lambda config: Writer())
    monkeypatch.setattr("pe.commands.invert.AT_ONCE", 5)
    (pictures / "03.txt").write_text("\ufeff A  fox.\n", encoding="utf-8")
    paths = [str(pictures / f"{i:02}.png") for i in range(12)]
    args = ["--encoder", str(clip_folder), "--flavors", flavors, "--mode", "fast"]
    assert main(["invert", *paths, *args, "--captioner", "coca"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert sizes == [5, 5, 2]
    assert [line.split(": ")[0] for line in lines] == paths
    captions = [line.split(": ")[1].split(", ")[0] for line in lines]
    assert captions == ["a cat"] * 3 + ["A fox"] + ["a cat"] * 8


def test_help_names_the_encoder_that_is_taken(capsys):
    with pytest.raises(SystemExit):
        main(["invert", "--help"])
    assert inverter.DEFAULT_ENCODER in " ".join(capsys.readouterr().out.split())
