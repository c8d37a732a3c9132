"""How a table's columns are found and its rows judged."""

import gzip
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_builders.sources import REASONS, SourceConfig, fingerprint, open_table, read_rows

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data"


def read(path: Path, **settings):
    config = SourceConfig(**settings)
    return list(read_rows(open_table(path, config), config))


def rows_of(tmp_path: Path, name: str, data: bytes, **settings):
    """Write the file and return (line, prompt, query, reason) of each row."""
    path = tmp_path / name
    path.write_bytes(gzip.compress(data, mtime=0) if name.endswith(".gz") else data)
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
        gzip.compress(b"text,Source,License\na fox,web,CC0\na hare,,\n", mtime=0)
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
        ("a.jsonl", b'[\n{"prompt": "a"\n', {}, "no JSON object in any line"),
        ("a.jsonl", b'{"n": 1}\n', {}, "its columns are 'n'"),
        ("a.txt.gz", b"a fox\n", {}, "not a gzip file"),
        ("a.txt", gzip.compress(b"a fox\n", mtime=0), {}, r"name it a\.txt\.gz"),
        ("a.txt.gz", gzip.compress(b"a fox\n" * 99, mtime=0)[:-9], {}, "truncated or damaged gzip"),
        ("a.txt.gz", gzip.compress(b"", mtime=0), {}, "has no text"),
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


@pytest.mark.slow
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
