"""How each format's bytes become rows, seen through `sources.read_rows`."""

import csv
import gzip
from pathlib import Path

import pytest

from data_builders import table_format
from data_builders.sources import REASONS, SourceConfig, open_table, read_rows


def rows_of(tmp_path: Path, name: str, data: bytes):
    """Write the file and return (line, prompt, query, reason) of each row."""
    path = tmp_path / name
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    config = SourceConfig()
    rows = list(read_rows(open_table(path, config), config))
    assert {row.reason for row in rows} <= {None, *REASONS}
    return [(row.line, row.prompt, row.query, row.reason) for row in rows]


def test_read_cells_gives_the_rows_of_its_docstring(tmp_path):
    (tmp_path / "a.csv").write_text("source,prompt\nweb,a red fox\nweb\n")
    names = ("prompt", None, "source", None)
    assert list(table_format.read_cells(tmp_path / "a.csv", "csv", is_gzip=False, names=names)) == [
        (2, ("a red fox", None, "web", None), None),
        (3, (None, None, None, None), "wrong_number_of_columns"),
    ]


def test_jsonl_rows_that_hold_no_prompt_are_dropped_each_with_its_line(tmp_path):
    data = (
        b'{"prompt": "a fox", "n": 1}\r\n'
        b"\r\n"
        b"[1, 2]\r\n"
        b'"a fox"\r\n'
        b'{"n": 1}\r\n'
        b'{"prompt": null}\r\n'
        b'{"prompt": ["a fox"]}\r\n'
        b'{"prompt": "\\u0000\\u200b"}\r\n'
        b'{"prompt": "a\x00\x01 fox"}\r\n'
        b'{"prompt": "a \xff fox"}\r\n'
        b'{"prompt": "a \\ud800 fox"}\r\n'
        b'{"PROMPT ": "a blue fox"}\r\n' + b"[" * 100_000 + b"\r\n"
        b'{"prompt": ' + b"9" * 5_000 + b"}\r\n"
        b'{"prompt": "the last"}'
    )
    assert rows_of(tmp_path, "a.jsonl", data) == [
        (1, "a fox", None, None),
        (2, "", None, "empty"),
        (3, "", None, "not_an_object"),
        (4, "", None, "not_an_object"),
        (5, "", None, "no_prompt"),
        (6, "", None, "no_prompt"),
        (7, "", None, "not_text"),
        (8, "\x00\u200b", None, "control_characters_only"),
        (9, "a\x00\x01 fox", None, None),
        (10, "", None, "bad_encoding"),
        (11, "", None, "bad_encoding"),
        (12, "a blue fox", None, None),
        (13, "", None, "broken_json"),
        (14, "", None, "broken_json"),
        (15, "the last", None, None),
    ]


def test_txt_is_one_prompt_a_line_whatever_ends_it(tmp_path):
    data = b"\xef\xbb\xbfa fox\r\na\x0bhare\rone \xff\n\n\x00\n  a caf\xc3\xa9\x00 \xe2\x80\xa8\n\n"
    assert rows_of(tmp_path, "a.txt", data) == [
        (1, "a fox", None, None),
        (2, "a\x0bhare", None, None),
        (3, "", None, "bad_encoding"),
        (4, "", None, "empty"),
        (5, "\x00", None, "control_characters_only"),
        (6, "  a caf\u00e9\x00 \u2028", None, None),
        (7, "", None, "empty"),
    ]


def test_csv_bytes_that_are_wrong_cost_only_their_row(tmp_path):
    data = (
        b"\xef\xbb\xbfprompt,n\r\n"
        b'"a ""red"" fox\r\nat dawn",1\r\n'
        b"a \x00 hare,2\r\n"
        b"\r\n"
        b"a \xff owl,3\r\n"
        b"a crow,4,5\r\n"
        b"a wren\r\n"
        b'5" tall,6\r\n'
        b"a swan,7"
    )
    assert rows_of(tmp_path, "a.csv", data) == [
        (2, 'a "red" fox\r\nat dawn', None, None),
        (4, "a \x00 hare", None, None),
        (5, "", None, "empty"),
        (6, "", None, "bad_encoding"),
        (7, "", None, "wrong_number_of_columns"),
        (8, "", None, "wrong_number_of_columns"),
        (9, '5" tall', None, None),
        (10, "a swan", None, None),
    ]


@pytest.mark.parametrize(
    "stray",
    [
        b'"a fox,1',  # never closed, or closed by the opening quote of a later field
        b'"a "big" fox,1',
        b'"a fox" ,1',
    ],
)
@pytest.mark.parametrize("later", [b"an owl,2", b'"an owl",2', b'an owl,"2"'])
def test_a_stray_quote_in_csv_costs_one_line(tmp_path, stray, later):
    data = b"prompt,n\na hare,0\n" + stray + b"\n" + later + b"\n" + b"a crow,3\n" * 300
    rows = rows_of(tmp_path, "a.csv", data)
    assert rows[:3] == [
        (2, "a hare", None, None),
        (3, "", None, "broken_quotes"),
        (4, "an owl", None, None),
    ]
    assert rows[3:] == [(5 + i, "a crow", None, None) for i in range(300)]


def test_a_quoted_field_may_span_so_many_lines_and_no_more(tmp_path):
    fits = b'prompt\n"' + b"a\n" * (table_format.MAX_RECORD_LINES - 1) + b'b"\nc\n'
    assert [row[::3] for row in rows_of(tmp_path, "a.csv", fits)] == [(2, None), (102, None)]
    rows = rows_of(tmp_path, "b.csv", fits.replace(b'"a', b'"a\na'))
    assert rows[:2] == [(2, "", None, "broken_quotes"), (3, "a", None, None)]
    assert len(rows) == table_format.MAX_RECORD_LINES + 2


def test_tsv_quotes_are_literal_unless_they_wrap_a_field_well(tmp_path):
    data = (
        b"prompt\tn\n"
        b'the word "OPEN"\t1\n'
        b'"a ""red"" fox"\t2\n'
        b'"a fox\t3\n'
        b'"A" and "B"\t4\n'
        b'"a\tb"\t5\n'
        b"\n"
        b"\t7\n"
    )
    assert rows_of(tmp_path, "a.tsv", data) == [
        (2, 'the word "OPEN"', None, None),
        (3, 'a "red" fox', None, None),
        (4, '"a fox', None, None),
        (5, '"A" and "B"', None, None),
        (6, "", None, "wrong_number_of_columns"),
        (7, "", None, "empty"),
        (8, "", None, "empty"),
    ]


@pytest.mark.parametrize("name", ["a.txt", "a.txt.gz", "a.csv", "a.tsv", "a.jsonl"])
@pytest.mark.parametrize("num_bytes", [100_000, 200_000, 1 << 21, (3 << 20) + 5])
def test_a_long_line_is_one_dropped_row(tmp_path, name, num_bytes):
    before, after, head = b"", b"", b"prompt\n"
    if "jsonl" in name:
        before, after, head = b'{"prompt": "', b'"}', b""
    if "txt" in name:
        head = b""
    lines = [before + text + after for text in (b"a fox", b"x" * num_bytes, b"a hare")]
    rows = rows_of(tmp_path, name, head + b"\r\n".join(lines) + b"\r\n")
    first = 1 + len(head.splitlines())
    assert [(line, reason) for line, _, _, reason in rows] == [
        (first, None),
        (first + 1, "too_long"),
        (first + 2, None),
    ]
    assert rows[1][1] == ("x" * num_bytes if num_bytes < table_format.MAX_ROW_BYTES else "")


def test_a_quote_that_runs_into_a_giant_line_costs_one_line(tmp_path):
    data = b'prompt,n\n"a fox,1\n' + b"x" * (1 << 21) + b"\nan owl,2\n"
    assert rows_of(tmp_path, "a.csv", data) == [
        (2, "", None, "broken_quotes"),
        (3, "", None, "too_long"),
        (4, "an owl", None, None),
    ]


@pytest.mark.parametrize("chunk_bytes", [1, 2, 3, 7])
def test_where_a_chunk_ends_changes_nothing(tmp_path, monkeypatch, chunk_bytes):
    data = 'prompt,n\r\na fox,1\ra caf\u00e9,2\r\n\r\n"a\r\nb",3\n\n'.encode()
    whole = rows_of(tmp_path, "a.csv", data)
    assert [row[0] for row in whole] == [2, 3, 4, 5, 7]
    monkeypatch.setattr(table_format, "CHUNK_BYTES", chunk_bytes)
    assert rows_of(tmp_path, "a.csv", data) == whole


def test_csv_that_a_writer_made_comes_back_as_it_was(tmp_path):
    prompts = [
        'a "red" fox',
        "one, two",
        "two\nlines",
        " spaced ",
        "caf\u00e9",
        "a\ttab",
        '""',
        '"',
    ]
    with (tmp_path / "a.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["n", "prompt"], *enumerate(prompts)])
    table = open_table(tmp_path / "a.csv", SourceConfig())
    assert [row.prompt for row in read_rows(table, SourceConfig())] == prompts
