"""What is not worth drawing is taken out of expansions; equal ones of a query are drawn once."""

import pyarrow as pa
import pytest

from pe.records import Expansion, Query, arrow_fields
from pe.refine.pruning import NOT_DRAWN, NOT_LIKED, PruneKey, PruneStage, prune
from pe.stages.stage import Drop

UNWANTED = (("8k", NOT_DRAWN), ("lo fi", NOT_LIKED))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a cat, ink, 8K, dusk", "a cat, ink, dusk"),
        ("a cat, Lo-Fi", "a cat"),
        ("a cat, ink, dusk, Ink.", "a cat, ink, dusk"),
        ("a cat ,ink", "a cat ,ink"),  # nothing to take out
        ("a cat on a lo-fi radio", "a cat on a lo-fi radio"),  # not a phrase of its own
        ("8K, lo fi", Drop(NOT_DRAWN, "8K")),
        (" , ", Drop("empty")),
    ],
)
def test_phrases_that_are_unwanted_or_said_before_are_taken_out(text, expected):
    assert prune(text, dict(UNWANTED)) == expected


def make_table(*rows):
    queries, expansions = [], []
    for number, (query, text) in enumerate(rows):
        queries.append(Query(inversion_id="i", kind="given", text=query, method="pair").to_row())
        made = Expansion(query=query, prefix="", text=text, seed=0, logprob=None, num_tokens=1,
                         model="m", number=number)  # fmt: skip
        expansions.append(made.to_row())
    return pa.table(
        {
            "query": pa.array(queries, pa.struct(arrow_fields(Query))),
            "expansion": pa.array(expansions, pa.struct(arrow_fields(Expansion))),
        }
    )


ROWS = [
    ("a cat", "a cat, ink"),
    ("a cat", "a cat, ink, 8k"),
    ("a cat", "a cat, 8k"),
    ("a cat", "8k"),
    ("a dog", "a cat, ink"),
]


@pytest.mark.parametrize("sizes", [(5,), (1, 1, 3), (2, 3)])
def test_a_query_s_equal_expansions_are_drawn_once_however_they_are_dealt(sizes):
    stage, table = PruneStage(PruneKey(unwanted=UNWANTED)), make_table(*ROWS)
    results = []
    for size in sizes:
        results += stage(table.slice(len(results), size))
    told = [r if isinstance(r, Drop) else r[0].text for r in results]
    assert told == [
        "a cat, ink", Drop("said_already"), "a cat", Drop(NOT_DRAWN, "8k"), "a cat, ink",
    ]  # fmt: skip
    same, changed = results[0][0], results[2][0]
    assert same == Expansion.from_row(table["expansion"][0].as_py())
    assert changed.id != Expansion.from_row(table["expansion"][2].as_py()).id
    assert changed.number == 2
