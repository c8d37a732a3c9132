"""From a pair to token ids. Knows the vocabulary and the lengths, not where pairs come from."""

import dataclasses
from typing import Any

import numpy as np

from pe.axes import Int
from pe.data.tokenizer import EOS_ID, Vocabulary
from pe.prefixes import format_input

IntArray = Int[np.ndarray, " L"]


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
    query: str, prefix: str, vocabulary: Vocabulary, *, max_length: int
) -> tuple[IntArray, int]:
    """Return the ids of the input string with its end token, and how many belong to the prefix.

    A query that is too long is cut, never its end token.
    """
    num_prefix = len(vocabulary.encode(prefix)) if prefix else 0
    ids = vocabulary.encode(format_input(query, prefix))[: max_length - 1]
    return np.array([*ids, EOS_ID], np.int32), num_prefix


def encode_target(prompt: str, vocabulary: Vocabulary, *, max_length: int) -> IntArray:
    """Return the ids of a prompt with its end token, cut to `max_length`."""
    return np.array([*vocabulary.encode(prompt), EOS_ID][:max_length], np.int32)


def encode_pair(
    pair: dict[str, Any], vocabulary: Vocabulary, lengths: LengthConfig
) -> dict[str, IntArray]:
    """Return the features of a pair.

    Example (one piece a word; ABST = 3, undying = 17, love = 21, a = 9, red = 30, heart = 31):
      query         prefix  prompt       ->  inputs          inputs_prefix  targets
      undying love  ABST    a red heart      [3, 17, 21, 1]  [1, 0, 0, 0]   [9, 30, 31, 1]
    """
    inputs, num_prefix = encode_input(
        pair["query"], pair["prefix"], vocabulary, max_length=lengths.inputs
    )
    return {
        "inputs": inputs,
        "inputs_prefix": (np.arange(len(inputs)) < num_prefix).astype(np.int32),
        "targets": encode_target(pair["prompt"], vocabulary, max_length=lengths.targets),
    }
