"""`pe flavors`: a table of prompts in, a list of flavors out."""

import json

import pytest

from pe import cli
from pe.commands.flavors import add_flavors
from pe.text.flavor_list import load_flavors

PROMPTS = ["a fox, sepia, art by Mira Voss", "an owl, Sepia, fog", "a hill, fog by Mira Voss"]


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "prompts.jsonl"
    path.write_text("".join(json.dumps({"text": prompt}) + "\n" for prompt in PROMPTS))
    return path


@pytest.fixture
def run(monkeypatch, capsys):
    """Run `pe flavors`: (status, what it said)."""
    monkeypatch.setitem(cli.ADDERS, "flavors", add_flavors)

    def run_command(*args):
        status = cli.main(["flavors", *map(str, args)])
        told = capsys.readouterr()
        assert told.out == ""
        return status, told.err

    return run_command


def test_a_list_is_written_and_summed_up(run, source, tmp_path):
    out = tmp_path / "mine.tsv"
    status, told = run(source, "--out", out, "--gin.FlavorConfig.min_count=2")
    assert status == 0
    flavors = load_flavors(str(out))
    assert flavors.phrases == ("fog", "sepia")
    assert flavors.counts == (2, 2)
    assert flavors.categories == ("light", "palette")
    assert "3 rows: 3 prompts\n" in told
    assert "9 phrases: 4 kept, content 3, artist 2, vague 0, too_long 0, rare 0\n" in told
    assert f"2 flavors in {out}\n" in told


def test_artists_are_admitted_by_their_flag(run, source, tmp_path):
    out = tmp_path / "mine.tsv"
    status, _ = run(source, "--out", out, "--gin.FlavorConfig.min_count=2", "--artists")
    assert status == 0
    assert load_flavors(str(out), artists=True).of("artist") == ("by mira voss",)
    assert load_flavors(str(out)).num_artists == 1


def test_settings_come_from_a_gin_file_too(run, source, tmp_path):
    gin = tmp_path / "mine.gin"
    gin.write_text("FlavorConfig.min_count = 1\nSourceConfig.limit = 1\n")
    assert run(source, "--out", tmp_path / "mine.tsv", "--gin_file", gin)[0] == 0
    assert load_flavors(str(tmp_path / "mine.tsv")).phrases == ("sepia",)


def test_a_file_that_is_there_is_replaced_only_when_told_to(run, source, tmp_path):
    out = tmp_path / "mine.tsv"
    out.write_text("mine\n")
    flags = (source, "--out", out, "--gin.FlavorConfig.min_count=1")
    status, told = run(*flags)
    assert status == 2
    assert told == (
        f"pe flavors: {out} exists: choose another --out, or give --replace to put the new list "
        "there\n"
    )
    assert out.read_text() == "mine\n"
    assert run(*flags, "--replace")[0] == 0
    assert "mine" not in load_flavors(str(out)).phrases


@pytest.mark.parametrize(
    ("out", "told"),
    [(".", "is a folder"), ("prompts.jsonl", "is the table of prompts itself")],
)
def test_an_out_that_cannot_be_is_refused(run, source, tmp_path, out: str, told: str):
    status, said = run(source, "--out", tmp_path / out, "--replace")
    assert status == 2
    assert told in said


def test_mistakes_are_told_in_a_line(run, source, tmp_path):
    out = tmp_path / "mine.tsv"
    status, told = run(source, "--out", out, "--gin.FlavorConfig.min_cuont=1")
    assert status == 2
    assert "Did you mean FlavorConfig.min_count?" in told
    status, told = run(source, "--out", out)
    assert status == 2
    assert "not one flavor came of its 3 rows" in told
    assert not out.exists()
    status, told = run(tmp_path / "nowhere.jsonl", "--out", out)
    assert status == 2
    assert told.startswith("pe flavors: ")
    assert told.count("\n") == 1


def test_help_lists_the_gin_names(run, capsys):
    with pytest.raises(SystemExit):
        cli.main(["flavors", "--help"])
    told = capsys.readouterr().out
    assert "--gin.FlavorConfig.min_count=5" in told
    assert "--gin.SourceConfig.limit=None" in told
