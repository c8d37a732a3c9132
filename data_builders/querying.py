"""Inversion -> queries: where the rules of query_extraction meet the runner."""

from typing import ClassVar

import pyarrow as pa

from data_builders.query_extraction import RuleQueryConfig, extract_queries
from data_builders.query_kind import Range
from pe.records import Inversion, Query, Record
from pe.stages.stage import Drop, Result
from pe.text.split import SplitPrompt
from pe.text.words import count_words


class RuleQueryStage:
    """Inversion -> one query a kind (method="rules"), or the query that came with it ("given")."""

    NAME: ClassVar[str] = "queries"
    VERSION: ClassVar[str] = "1"
    INPUT: ClassVar[str] = "inversion"
    OUTPUT: ClassVar[type[Record]] = Query
    ORDERED: ClassVar[bool] = False

    def __init__(self, config: RuleQueryConfig):
        self.config = config

    def __call__(self, table: pa.Table) -> list[Result]:
        inversions = table["inversion"].to_pylist()
        images = table["image"].to_pylist()
        return [
            self.query(Inversion.from_row(inversion), image["given_query"])
            for inversion, image in zip(inversions, images, strict=True)
        ]

    def query(self, inversion: Inversion, given_query: str | None) -> Result:
        """Make the queries of one inversion."""
        if given_query is not None:
            text = " ".join(given_query.split())
            config = self.config
            kind = name_kind(text, short=config.short_words, medium=config.medium_words)
            return (Query(inversion_id=inversion.id, kind=kind, text=text, method="given"),)
        split = SplitPrompt(
            prompt=inversion.prompt,
            caption=inversion.caption,
            flavors=inversion.flavors,
            parameters=(),
            num_weights=0,
        )
        queries = extract_queries(split, self.config)
        if not queries:
            return Drop("no_query")
        return tuple(
            Query(inversion_id=inversion.id, kind=kind, text=text, method="rules")
            for kind, text in queries.items()
        )


def name_kind(text: str, *, short: Range, medium: Range) -> str:
    """Name the kind of a query that came without one: short, medium, or long for the rest."""
    num_words = count_words(text)
    if num_words <= short[1]:
        return "short"
    return "medium" if num_words <= medium[1] else "long"
