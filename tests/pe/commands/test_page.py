"""`pe page`: lines of `pe expand --json` in, a page out."""

import io
import json

import pytest

from pe.cli import main

LINE = json.dumps(
    {
        "query": "a cat",
        "prefix": "",
        "expansions": [{"text": "a cat at night, mosaic", "seed": 1, "logprob": None}],
    }
)


def test_a_page_is_made_of_a_file_or_of_standard_input(tmp_path, monkeypatch, capsys):
    given = tmp_path / "expansions.jsonl"
    given.write_text(f"{LINE}\n\n", encoding="utf-8")
    args = ["--title", "Cats", "--size", "64"]
    assert main(["page", str(given), "--out", str(tmp_path / "a" / "page.html"), *args]) == 0
    monkeypatch.setattr("sys.stdin", io.StringIO(LINE))
    assert main(["page", "--out", str(tmp_path / "b.html"), *args]) == 0
    one, other = (tmp_path / "a" / "page.html").read_text(), (tmp_path / "b.html").read_text()
    assert one == other
    assert "<title>Cats</title>" in one
    assert "a cat at night, mosaic" in one
    assert "b.html is written" in capsys.readouterr().err


def test_files_of_several_expanders_are_joined_by_query(tmp_path, capsys):
    base, refined, odd = (tmp_path / f"{name}.jsonl" for name in ("base", "refined", "odd"))
    base.write_text(LINE, encoding="utf-8")
    refined.write_text(LINE.replace("mosaic", "pastel"), encoding="utf-8")
    odd.write_text(LINE.replace("a cat", "a dog"), encoding="utf-8")
    out = tmp_path / "page.html"
    assert main(["page", str(base), str(refined), "--out", str(out), "--size", "64"]) == 0
    assert "<h3>refined</h3>" in out.read_text()
    assert "<figcaption>a cat at night, pastel</figcaption>" in out.read_text()
    assert main(["page", str(base), str(odd), "--out", str(out)]) == 2
    assert "the queries of odd are not those of base" in capsys.readouterr().err
    assert main(["page", str(base), str(odd), "--names", "a", "--out", str(out)]) == 2
    assert "--names: got 1, expected one a file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a cat\n", "lines.jsonl:1 is no line of pe expand --json: expected an object with query"),
        (f"{LINE}\n[1]\n", "lines.jsonl:2 is no line of pe expand --json"),
        ('{"query": "a cat", "expansions": []}\n', "the query 'a cat' has no expansions"),
        ("\n", "lines.jsonl holds no expansions; expected lines of pe expand --json"),
    ],
)
def test_what_is_no_expansion_is_named_with_its_line(tmp_path, capsys, text, message):
    given = tmp_path / "lines.jsonl"
    given.write_text(text, encoding="utf-8")
    assert main(["page", str(given), "--out", str(tmp_path / "page.html")]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "page.html").exists()


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--out", "page.txt"], "--out page.txt: expected a file that ends in .html"),
        (["--out", "page.html", "--size", "8"], "T2iConfig.size_px: got 8, expected 64 to 4096"),
    ],
)
def test_flags_out_of_range_are_refused(capsys, args, message):
    assert main(["page", *args]) == 2
    assert message in capsys.readouterr().err
