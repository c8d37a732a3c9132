"""Expansion -> itself without what is not worth drawing: phrases said before, flavors of no use.

What is unwanted a probe found: flavors that an image model does not draw, or that it is the worse
for. They are taken out and the rest is drawn and learned from, so that what is left over is not
only what says little.
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import pyarrow as pa

from pe.records import Expansion, Record
from pe.refine.probe import read_effects
from pe.refine.selection import SelectConfig
from pe.stages.stage import Drop, Result
from pe.text.phrase import comparison_key
from pe.text.split import split_prompt

NOT_DRAWN, NOT_LIKED = "flavor_not_drawn", "flavor_not_liked"  # reasons of a drop


@dataclasses.dataclass(frozen=True, kw_only=True)
class PruneKey:
    """What is taken out: flavors, each with the reason."""

    unwanted: tuple[tuple[str, str], ...]


class PruneStage:
    """Expansion -> itself, pruned; one that another of its query says already is dropped."""

    NAME: ClassVar[str] = "pruned"
    VERSION: ClassVar[str] = "1"
    INPUT: ClassVar[str] = "expansion"
    OUTPUT: ClassVar[type[Record]] = Expansion
    ORDERED: ClassVar[bool] = True

    def __init__(self, config: PruneKey):
        self.config = config
        self._unwanted = dict(config.unwanted)
        self._query = ""
        self._texts: frozenset[str] = frozenset()  # of that query; its rows follow each other

    def __call__(self, table: pa.Table) -> list[Result]:
        expansions = [Expansion.from_row(row) for row in table["expansion"].to_pylist()]
        queries = [row["id"] for row in table["query"].to_pylist()]
        pruned = [prune(expansion.text, self._unwanted) for expansion in expansions]
        results: list[Result] = []
        for query, expansion, text in zip(queries, expansions, pruned, strict=True):
            if query != self._query:
                self._query, self._texts = query, frozenset()
            if isinstance(text, Drop):
                results.append(text)
            elif comparison_key(text) in self._texts:
                results.append(Drop("said_already"))
            else:
                self._texts |= {comparison_key(text)}
                is_same = text == expansion.text
                results.append(
                    (expansion if is_same else dataclasses.replace(expansion, text=text, id=""),)
                )
        return results


def find_unwanted(config: SelectConfig) -> tuple[tuple[str, str], ...]:
    """Return the flavors that a probe found to do nothing, or no good, each with the reason.

    Raises ValueError for no probe, and for one without the ratings that are asked for.
    """
    if not config.probe:
        return ()
    if not Path(config.probe).is_file():
        raise ValueError(f"SelectConfig.probe: there is no file {config.probe}; run pe probe")
    effects = [e for e in read_effects(Path(config.probe)) if e.num]
    found = {comparison_key(e.flavor): NOT_DRAWN for e in effects if not e.is_drawn}
    if config.least_rating_change is not None:
        ratings = {comparison_key(e.flavor): e.rating for e in effects if e.rating}
        if not ratings:
            raise ValueError(
                f"{config.probe} holds no ratings, which SelectConfig.least_rating_change asks "
                "for; run pe probe with AestheticConfig.weights"
            )
        harmful = [f for f, rating in ratings.items() if rating.high < config.least_rating_change]
        found = dict.fromkeys(harmful, NOT_LIKED) | found
    return tuple(sorted(found.items()))


def prune(text: str, unwanted: Mapping[str, str]) -> str | Drop:
    """Return a text without the phrases between commas that are unwanted or were said before.

    `unwanted` is what `find_unwanted` gave. What is found inside a phrase cannot be taken out: then
    the text is a drop, as it is where nothing is left.

    Example ({"8k": "flavor_not_drawn"}):
      a fox, 8K, ink, Ink  ->  a fox, ink
      8k                   ->  Drop("flavor_not_drawn", "8k")
    """
    phrases = [part.strip() for part in text.split(",") if part.strip()]
    said: dict[str, str] = {}
    for phrase in phrases:
        said.setdefault(comparison_key(phrase), phrase)
    if not said:
        return Drop("empty")
    kept = [phrase for key, phrase in said.items() if key not in unwanted]
    if not kept:
        key, phrase = next(iter(said.items()))
        return Drop(unwanted[key], phrase)
    for flavor in split_prompt(", ".join(kept)).flavors:
        if comparison_key(flavor) in unwanted:
            return Drop(unwanted[comparison_key(flavor)], flavor)
    return text if len(kept) == len(phrases) else ", ".join(kept)
