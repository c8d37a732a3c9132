"""Queries of the refine half come once each; ready expansions keep their queries together."""

import json

import pytest

from pe.refine.source import ExpansionSource, QuerySource, RefineSourceConfig
from tests.pe.conftest import make_pairs


def read(source, done=()):
    return [(i, None if t is None else t.to_pylist()) for i, t in source.tables(done)]


def expected_queries():
    ours = [p for p in make_pairs() if p.half == "refine"]
    return list(dict.fromkeys(pair.query for pair in ours))


def test_each_query_of_the_refine_half_comes_once(dataset):
    source = QuerySource(dataset, RefineSourceConfig(), shard_rows=4)
    tables = read(source)
    assert [i for i, _ in tables] == list(range(len(tables)))
    assert all(len(rows) <= 4 for _, rows in tables)
    rows = [row for _, table in tables for row in table]
    assert [row["query"]["text"] for row in rows] == expected_queries()
    assert all(row["query"]["kind"] in ("short", "abstract", "concrete") for row in rows)
    assert [i for i, rows in read(source, done={0}) if rows is None] == [0]


def test_kinds_and_a_limit_leave_queries_out(dataset):
    source = QuerySource(dataset, RefineSourceConfig(limit=3), shard_rows=100)
    ((_, rows),) = read(source)
    assert [row["query"]["text"] for row in rows] == expected_queries()[:3]
    short = QuerySource(dataset, RefineSourceConfig(kinds=("short",)), shard_rows=100)
    ((_, rows),) = read(short)
    assert {row["query"]["kind"] for row in rows} == {"short"}
    keys = {source.key, short.key, QuerySource(dataset, RefineSourceConfig(), shard_rows=4).key}
    assert len(keys) == 3


def test_a_dataset_without_such_queries_is_refused(dataset, tmp_path):
    with pytest.raises(ValueError, match=r"holds no pairs; expected the --out of pe build"):
        QuerySource(tmp_path, RefineSourceConfig(), shard_rows=4)
    with pytest.raises(ValueError, match=r"no query of the refine half .* of kind grounded"):
        QuerySource(dataset, RefineSourceConfig(kinds=("grounded",)), shard_rows=4)
    with pytest.raises(ValueError, match=r"limit: got 0, expected 1 or more"):
        RefineSourceConfig(limit=0)


def lines(tmp_path, *rows):
    path = tmp_path / "expansions.jsonl"
    path.write_text("".join(r if isinstance(r, str) else json.dumps(r) + "\n" for r in rows))
    return path


def expanded(query, *texts):
    return {"query": query, "prefix": "", "expansions": [{"text": text} for text in texts]}


def test_ready_expansions_are_rows_of_their_own_with_their_number(tmp_path):
    path = lines(tmp_path, expanded("a fox", "a red fox", "a fox in ink"), "\n",
                 expanded("a boat", "an old boat", "a boat at sea"))  # fmt: skip
    tables = read(ExpansionSource(path, shard_rows=3))
    assert [len(rows) for _, rows in tables] == [2, 2]  # a query is never cut in two
    found = [(r["query"]["text"], r["expansion"]["text"], r["expansion"]["number"])
             for _, rows in tables for r in rows]  # fmt: skip
    assert found == [("a fox", "a red fox", 0), ("a fox", "a fox in ink", 1),
                     ("a boat", "an old boat", 0), ("a boat", "a boat at sea", 1)]  # fmt: skip
    assert tables[1][1][0]["row"]["id"] == "expansions.jsonl:3"


@pytest.mark.parametrize(
    "bad", ["{no json\n", "[1]\n", {"query": "a"}, expanded("a"), expanded("", "b"), "7\n"]
)
def test_a_line_that_is_none_is_named(tmp_path, bad):
    source = ExpansionSource(lines(tmp_path, expanded("a", "b"), bad), shard_rows=1)
    with pytest.raises(ValueError, match=r"expansions.jsonl:2 is no line of pe expand --json"):
        read(source)
