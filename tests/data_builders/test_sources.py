import csv
import gzip
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_builders import sources
from data_builders.sources import REASONS, SourceConfig, fingerprint, open_table, read_rows

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data"


def read(path: Path, **settings):
    config = SourceConfig(**settings)
    return list(read_rows(open_table(path, config), config))


def rows_of(tmp_path: Path, name: str, data: bytes, **settings):
    """Write the file and return (line, prompt, query, reason) of each row."""
    path = tmp_path / name
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    rows = read(path, **settings)
    assert {row.reason for row in rows} <= {None, *REASONS}
    return [(row.line, row.prompt, row.query, row.reason) for row in rows]


def test_read_rows_gives_the_rows_of_its_docstring(tmp_path):
    lines = b'{"prompt": "a red fox"}\n{"prompt": "a red\n{"prompt": 7}\n{"prompt": " "}\n'
    assert rows_of(tmp_path, "a.jsonl", lines) == [
        (1, "a red fox", None, None),
        (2, "", None, "broken_json"),
        (3, "", None, "not_text"),
        (4, " ", None, "empty"),
    ]
    table = b'query,prompt\nlove,"foxes,\nasleep"\nLove,love\n,a fox\nlove\n'
    assert rows_of(tmp_path, "a.csv", table) == [
        (2, "foxes,\nasleep", "love", None),
        (4, "love", "Love", "query_equals_prompt"),
        (5, "a fox", "", "no_query"),
        (6, "", None, "wrong_number_of_columns"),
    ]


def test_open_table_finds_the_columns_of_its_docstring(tmp_path):
    for name, text, expected in [
        ("a.csv", "Prompt,query\na,b\n", ("csv", "Prompt", "query")),
        ("b.tsv", "text\tcaption\na\tb\n", ("tsv", "text", None)),
        ("c.txt", "a\n", ("txt", None, None)),
    ]:
        (tmp_path / name).write_text(text)
        table = open_table(tmp_path / name, SourceConfig())
        assert (table.format, table.prompt_column, table.query_column) == expected


def test_fingerprint_is_that_of_its_docstring(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"a red fox\n")
    assert fingerprint(tmp_path / "a.txt") == "df3617777d0a3f46f9c04f4f39032f29"


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
    fits = b'prompt\n"' + b"a\n" * (sources.MAX_RECORD_LINES - 1) + b'b"\nc\n'
    assert [row[::3] for row in rows_of(tmp_path, "a.csv", fits)] == [(2, None), (102, None)]
    rows = rows_of(tmp_path, "b.csv", fits.replace(b'"a', b'"a\na'))
    assert rows[:2] == [(2, "", None, "broken_quotes"), (3, "a", None, None)]
    assert len(rows) == sources.MAX_RECORD_LINES + 2


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
    assert rows[1][1] == ("x" * num_bytes if num_bytes < sources.MAX_ROW_BYTES else "")


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
    monkeypatch.setattr(sources, "CHUNK_BYTES", chunk_bytes)
    assert rows_of(tmp_path, "a.csv", data) == whole


def test_max_chars_and_limit(tmp_path):
    data = b"query\tprompt\nabc\tabcd\nabcde\tabc\nab\tabcde\na\tb\n"
    assert rows_of(tmp_path, "a.tsv", data, max_chars=4, limit=3) == [
        (2, "abcd", "abc", None),
        (3, "abc", "abcde", "query_too_long"),
        (4, "abcde", "ab", "too_long"),
    ]


def test_queries_are_missing_blank_not_text_or_the_prompt_again(tmp_path):
    data = (
        b'{"prompt": "a fox", "query": "love"}\n'
        b'{"prompt": "a fox"}\n'
        b'{"prompt": "a fox", "query": 7}\n'
        b'{"prompt": "a fox", "query": "\\u200b"}\n'
        b'{"prompt": "A  fox ", "query": "a FOX"}\n'
        b'{"query": "love"}\n'
    )
    assert rows_of(tmp_path, "a.jsonl", data) == [
        (1, "a fox", "love", None),
        (2, "a fox", "", "no_query"),
        (3, "a fox", "", "no_query"),
        (4, "a fox", "\u200b", "no_query"),
        (5, "A  fox ", "a FOX", "query_equals_prompt"),
        (6, "", "love", "no_prompt"),
    ]


def test_source_and_licence_come_from_columns_else_from_the_file(tmp_path):
    (tmp_path / "my.set.csv.gz").write_bytes(
        gzip.compress(b"text,Source,License\na fox,web,CC0\na hare,,\n")
    )
    rows = read(tmp_path / "my.set.csv.gz")
    assert [(row.source, row.licence) for row in rows] == [("web", "CC0"), ("my.set", "")]
    (tmp_path / "b.jsonl").write_text('{"text": "a fox", "source": 7, "licence": "MIT"}\n[]\n')
    rows = read(tmp_path / "b.jsonl")
    assert [(row.source, row.licence) for row in rows] == [("7", "MIT"), ("b", "")]


def test_prompt_goes_before_text_before_caption_and_a_named_column_before_all(tmp_path):
    data = b"caption,text, Prompt ,query\nc,t,p,q\n"
    assert rows_of(tmp_path, "a.csv", data) == [(2, "p", "q", None)]
    assert rows_of(tmp_path, "a.csv", data.replace(b"Prompt", b"x")) == [(2, "t", "q", None)]
    named = {"prompt_column": "QUERY"}
    assert rows_of(tmp_path, "a.csv", data, **named) == [(2, "q", None, None)]
    named = {"prompt_column": "caption", "query_column": "text"}
    assert rows_of(tmp_path, "a.csv", data, **named) == [(2, "c", "t", None)]


def test_parquet_rows_are_numbered_and_bad_values_are_bad_rows(tmp_path):
    raw = pa.array([b"a fox", None, b" ", b"\xff", b"a hare"])
    prompts = pa.Array.from_buffers(pa.string(), 5, raw.buffers())
    columns = {"Text": prompts, "source": pa.array([1, 2, 3, 4, 5])}
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    expected = [
        (1, "a fox", None, None),
        (2, "", None, "no_prompt"),
        (3, " ", None, "empty"),
        (4, "", None, "bad_encoding"),
        (5, "a hare", None, None),
    ]
    assert rows_of_parquet(tmp_path / "a.parquet") == expected
    assert [row.source for row in read(tmp_path / "a.parquet")] == ["1", "2", "3", "4", "5"]
    words = pa.array(["a fox", "a hare", "a fox"]).dictionary_encode()
    pq.write_table(pa.table({"caption": words}), tmp_path / "b.parquet")
    assert [row[1] for row in rows_of_parquet(tmp_path / "b.parquet")] == [
        "a fox",
        "a hare",
        "a fox",
    ]


def rows_of_parquet(path: Path):
    return [(row.line, row.prompt, row.query, row.reason) for row in read(path)]


def write_bad_file(path: Path, data: bytes | None) -> None:
    if data is not None:
        path.write_bytes(data)


@pytest.mark.parametrize(
    ("name", "data", "settings", "message"),
    [
        ("a.jsonl", b"", {}, r"is empty \(0 bytes\)"),
        ("a.txt", b"\xef\xbb\xbf", {}, "has no text"),
        ("a.txt", b"\xff\xfea\x00\n\x00", {}, "UTF-16"),
        ("a.xlsx", b"PK", {}, r"unknown suffix, got '.xlsx': expected one of .jsonl .csv .tsv"),
        ("a.parquet.gz", b"PK", {}, r"unknown suffix, got '.parquet.gz'"),
        ("a.csv", b"prompt,n\n", {}, r"has a header \('prompt', 'n'\) and no rows"),
        ("a.csv", b"\n\n", {}, "has no rows"),
        (
            "a.csv",
            b"a\xff,b\n1,2\n",
            {},
            r"header \(line 1\) that cannot be read: got bad_encoding",
        ),
        (
            "a.csv",
            b"Prompts,n\na,1\n",
            {},
            r"'Prompts', 'n'; expected one of prompt, text, caption",
        ),
        ("a.csv", b"n,Prompts\na,1\n", {}, "as in --prompt_column 'Prompts'"),
        ("a.csv", b"prompt;n\na;1\n", {}, "no prompt column: its columns are 'prompt;n'"),
        ("a.csv", b"prompt,Prompt\na,b\n", {"prompt_column": "PROMPT"}, "2 columns named 'PROMPT'"),
        ("a.tsv", b"text\ttext\na\tb\n", {}, "2 columns named 'text'"),
        ("a.csv", b"prompt\na\n", {"query_column": "q"}, "has no column 'q'.*--query_column"),
        ("a.csv", b"prompt\na\n", {"prompt_column": "p"}, "has no column 'p'.*--prompt_column"),
        ("a.txt", b"a\n", {"prompt_column": "p"}, "no columns"),
        ("a.jsonl", b'[\n{"prompt": "a"\n', {}, "no JSON object in its first 1,000 lines"),
        ("a.jsonl", b'{"n": 1}\n', {}, "its columns are 'n'"),
        ("a.txt.gz", b"a fox\n", {}, "not a gzip file"),
        ("a.txt", gzip.compress(b"a fox\n"), {}, r"name it a\.txt\.gz"),
        ("a.txt.gz", gzip.compress(b"a fox\n" * 99)[:-9], {}, "truncated or damaged gzip"),
        ("a.txt.gz", gzip.compress(b""), {}, "has no text"),
        ("a.parquet", b"not parquet", {}, "not a readable parquet file"),
    ],
)
def test_a_table_that_cannot_be_read_says_what_is_wrong(tmp_path, name, data, settings, message):
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(ValueError, match=message):
        open_table(path, SourceConfig(**settings))


def test_no_file_a_folder_and_parquet_without_text_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no file"):
        open_table(tmp_path / "none.csv", SourceConfig())
    with pytest.raises(ValueError, match="is a folder"):
        open_table(tmp_path, SourceConfig())
    pq.write_table(pa.table({"prompt": [1, 2]}), tmp_path / "a.parquet")
    with pytest.raises(ValueError, match="'prompt' of type int64: expected text"):
        open_table(tmp_path / "a.parquet", SourceConfig())
    pq.write_table(pa.table({"prompt": pa.array([], pa.string())}), tmp_path / "b.parquet")
    with pytest.raises(ValueError, match="has no rows"):
        open_table(tmp_path / "b.parquet", SourceConfig())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"max_chars": 0}, "max_chars must be at least 1, got 0"),
        ({"limit": 0}, "limit must be at least 1.*got 0"),
        ({"prompt_column": " "}, "prompt_column is blank"),
        ({"prompt_column": "a", "query_column": "A"}, "both 'a'"),
    ],
)
def test_a_config_names_the_setting_that_is_wrong(settings, message):
    with pytest.raises(ValueError, match=message):
        SourceConfig(**settings)


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
    assert [row.prompt for row in read(tmp_path / "a.csv")] == prompts


@pytest.mark.parametrize(
    ("name", "num_rows"),
    [
        ("prompts/image_prompts.jsonl", 46_043),
        ("pairs/sd_discord_pairs.jsonl", 8_403),
        ("eval/PartiPrompts.tsv", 1_632),
        ("eval/coco_30k.csv", 30_000),
        ("eval/drawbench.csv", 200),
    ],
)
def test_every_row_of_the_real_tables_is_kept(name, num_rows):
    if not (SHARED / name).exists():
        pytest.skip(f"{SHARED / name} is not on this machine")
    assert [row.reason for row in read(SHARED / name)] == [None] * num_rows
