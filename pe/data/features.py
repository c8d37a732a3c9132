"""From a pair to token ids. Knows the vocabulary and the lengths, not where pairs come from."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from pe.axes import Int
from pe.data.tokenizer import EOS_ID, Vocabulary
from pe.prefixes import format_input

IntArray = Int[np.ndarray, " L"]
MIN_QUERY_TOKENS = 8  # what a soft prompt has to leave: fewer would cut nearly every query


@dataclasses.dataclass(frozen=True, kw_only=True)
class LengthConfig:
    """Row lengths in tokens; what is longer is cut (a cut target has no end token)."""

    inputs: int = 64
    targets: int = 192

    def __post_init__(self) -> None:
        for name in ("inputs", "targets"):
            if getattr(self, name) < 8:
                raise ValueError(
                    f"LengthConfig.{name}: got {getattr(self, name)}, expected 8 or more"
                )


def encode_input(
    query: str,
    prefix: str,
    vocabulary: Vocabulary,
    *,
    max_length: int,
    prompt_ids: Sequence[int] = (),
) -> tuple[IntArray, int]:
    """Return the ids of the input string with its end token, and how many belong to the prefix.

    `prompt_ids` (a soft prompt's rows) stand between prefix and query and count within
    `max_length`. A query that is too long is cut, never the soft prompt or the end token.

    Raises ValueError where a soft prompt leaves the query fewer than 8 tokens.
    """
    num_prefix = len(vocabulary.encode(prefix)) if prefix else 0
    ids = vocabulary.encode(format_input(query, prefix))
    if len(prompt_ids):
        room = max_length - num_prefix - len(prompt_ids) - 1
        if room < MIN_QUERY_TOKENS:
            raise ValueError(
                f"a row of {max_length} input tokens leaves {room} for the query, beside "
                f"{len(prompt_ids)} of the soft prompt, {num_prefix} of the prefix {prefix!r} and "
                f"the end token; expected {MIN_QUERY_TOKENS} or more: set LengthConfig.inputs to "
                f"{max_length - room + MIN_QUERY_TOKENS} or more"
            )
        ids = [*ids[:num_prefix], *prompt_ids, *ids[num_prefix:]]
    return np.array([*ids[: max_length - 1], EOS_ID], np.int32), num_prefix


def encode_target(prompt: str, vocabulary: Vocabulary, *, max_length: int) -> IntArray:
    """Return the ids of a prompt with its end token, cut to `max_length`."""
    return np.array([*vocabulary.encode(prompt), EOS_ID][:max_length], np.int32)


def encode_pair(
    pair: dict[str, Any],
    vocabulary: Vocabulary,
    lengths: LengthConfig,
    *,
    prompt_ids: Sequence[int] = (),
) -> dict[str, IntArray]:
    """Return the features of a pair.

    Example (one piece a word; ABST = 3, undying = 17, love = 21, a = 9, red = 30, heart = 31):
      query         prefix  prompt       prompt_ids  inputs                  inputs_prefix
      undying love  ABST    a red heart              [3, 17, 21, 1]          [1, 0, 0, 0]
      undying love  ABST    a red heart  50, 51      [3, 50, 51, 17, 21, 1]  [1, 0, 0, 0, 0, 0]
      and targets: [9, 30, 31, 1]

    Raises ValueError where a soft prompt leaves the query fewer than 8 tokens.
    """
    inputs, num_prefix = encode_input(
        pair["query"],
        pair["prefix"],
        vocabulary,
        max_length=lengths.inputs,
        prompt_ids=prompt_ids,
    )
    inputs_prefix = np.zeros_like(inputs)
    inputs_prefix[:num_prefix] = 1
    return {
        "inputs": inputs,
        "inputs_prefix": inputs_prefix,
        "targets": encode_target(pair["prompt"], vocabulary, max_length=lengths.targets),
    }
