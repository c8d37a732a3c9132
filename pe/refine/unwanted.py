"""Flavors that a probe found to do nothing, or no good: what says one is not worth a picture."""

from collections.abc import Mapping
from pathlib import Path

from pe.refine.probe import read_effects
from pe.refine.selection import SelectConfig
from pe.stages.stage import Drop
from pe.text.phrase import comparison_key
from pe.text.split import split_prompt

NOT_DRAWN, NOT_LIKED = "flavor_not_drawn", "flavor_not_liked"  # reasons of a drop


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


def read_unwanted(text: str, unwanted: Mapping[str, str]) -> Drop | None:
    """Return the drop of a text that says an unwanted flavor, with the first of those.

    A flavor is a phrase between commas, or what rules call one.

    `unwanted` is what `find_unwanted` gave.
    """
    phrases = [part.strip() for part in text.split(",")]
    for phrase in (*phrases, *split_prompt(text).flavors):
        reason = unwanted.get(comparison_key(phrase))
        if reason is not None:
            return Drop(reason, phrase)
    return None
