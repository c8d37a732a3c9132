"""Pre-training objectives: span corruption and prefix language modelling.

What a T5 learns from plain text before it learns from pairs. Knows token ids and the vocabulary,
not where texts come from; every draw is made with the generator it is given.
"""

import bisect
import dataclasses
import re

import numpy as np

from pe.axes import Bool, Int
from pe.data.features import IntArray, LengthConfig
from pe.data.tokenizer import EOS_ID, Vocabulary

OBJECTIVES = ("pairs", "span_corruption", "prefix_lm")
NUM_SENTINELS = 100  # T5's own
_SENTINEL = re.compile("\u2581?<extra_id_([0-9]+)>")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ObjectiveConfig:
    """What is learned: `pairs` as they are, or one of the pre-training objectives.

    A pre-training objective reads one text a row, from `column`. `noise_density` (the fraction of
    tokens that is hidden) and `mean_span_tokens` are span corruption's; the defaults are what T5
    settled on (arXiv:1910.10683 sec. 3.3.3 and 3.3.4).
    """

    name: str = "pairs"
    column: str = "prompt"
    noise_density: float = 0.15
    mean_span_tokens: float = 3.0

    def __post_init__(self) -> None:
        if self.name not in OBJECTIVES:
            raise ValueError(
                f"ObjectiveConfig.name: got {self.name!r}, expected one of {OBJECTIVES}"
            )
        if not self.column:
            raise ValueError("ObjectiveConfig.column: got '', expected the name of a text column")
        if not 0.0 < self.noise_density < 1.0:
            raise ValueError(
                f"ObjectiveConfig.noise_density: got {self.noise_density}, expected above 0 and "
                "below 1"
            )
        if not 1.0 <= self.mean_span_tokens < float("inf"):
            raise ValueError(
                f"ObjectiveConfig.mean_span_tokens: got {self.mean_span_tokens}, expected 1 or more"
            )


def sentinel_ids(vocabulary: Vocabulary, vocab_size: int) -> Int[np.ndarray, " n"]:
    """Return the ids of <extra_id_0>, <extra_id_1>, ... in a model of `vocab_size` rows.

    Where the vocabulary has them as pieces, those. Else T5's convention: 100 rows behind the
    pieces, the highest first.

    Example:
      pieces              vocab_size  returns
      32000, none         32128       [32099, 32098, ..., 32000]
      mT5's, with theirs  250112      [250099, 250098, ..., 250000]

    Raises ValueError where the model has too few rows, or the pieces leave out a number.
    """
    pieces = {}
    for i in range(vocabulary.size):
        if match := _SENTINEL.fullmatch(vocabulary.piece(i)):
            pieces[int(match[1])] = i
    if pieces:
        missing = sorted(set(range(max(pieces) + 1)) - set(pieces))
        if missing:
            raise ValueError(
                f"the vocabulary has the piece <extra_id_{max(pieces)}> but not "
                f"<extra_id_{missing[0]}>; expected all from 0 on: take another vocabulary"
            )
        ids = [pieces[number] for number in range(len(pieces))]
    else:
        ids = list(range(vocabulary.size, vocabulary.size + NUM_SENTINELS))[::-1]
    if max(ids) >= vocab_size:
        raise ValueError(
            f"no room for sentinels: got a model of {vocab_size} rows for {vocabulary.size} "
            f"pieces, expected {max(ids) + 1} rows or more; set vocab_size to {max(ids) + 1} or "
            "more (T5 takes the next multiple of 128)"
        )
    return np.array(ids, np.int32)


def count_noise(length: int, *, noise_density: float, mean_span_tokens: float) -> tuple[int, int]:
    """Return how many of `length` tokens are hidden, and in how many spans.

    Rounded as T5 rounds: in float32, halves to even. At least one token is hidden and one kept, and
    there is at least one span; spans are separated, so never more than tokens kept (T5's own code
    has no such limit and needs none at its settings). Nothing of a single token is hidden.

    Example (T5's settings: noise_density 0.15, mean_span_tokens 3):
      length   1       2       10      50      512
      returns  (0, 0)  (1, 1)  (2, 1)  (8, 3)  (77, 26)
    """
    if length < 1:
        raise ValueError(f"length: got {length}, expected 1 token or more")
    if length == 1:
        return 0, 0
    num_noise = int(np.round(np.float32(length) * np.float32(noise_density)))
    num_noise = min(max(num_noise, 1), length - 1)
    num_spans = int(np.round(np.float32(num_noise) / np.float32(mean_span_tokens)))
    return num_noise, min(max(num_spans, 1), num_noise, length - num_noise)


def draw_spans(
    length: int, rng: np.random.Generator, *, noise_density: float, mean_span_tokens: float
) -> Bool[np.ndarray, " L"]:
    """Draw which tokens are hidden: T5's random spans (arXiv:1910.10683 sec. 3.1.4 and 3.3.4).

    The numbers are `count_noise`'s. Kept and hidden spans take turns, a kept one first and a hidden
    one last; within that, all masks are equally likely.

    Raises ValueError for an empty text.
    """
    num_noise, num_spans = count_noise(
        length, noise_density=noise_density, mean_span_tokens=mean_span_tokens
    )
    if num_spans == 0:
        return np.zeros(length, np.bool_)
    kept = draw_segments(length - num_noise, num_spans, rng)
    hidden = draw_segments(num_noise, num_spans, rng)
    lengths = np.stack([kept, hidden], axis=1).reshape(-1)  # kept, hidden, kept, ...
    return np.repeat(np.arange(2 * num_spans) % 2 == 1, lengths)


def draw_segments(
    num_items: int, num_segments: int, rng: np.random.Generator
) -> Int[np.ndarray, " n"]:
    """Cut `num_items` into so many segments of one or more; every way is equally likely."""
    cuts = np.sort(rng.choice(num_items - 1, num_segments - 1, replace=False)) + 1
    return np.diff(cuts, prepend=0, append=num_items)


def corrupt_spans(
    ids: Int[np.ndarray, " L"], mask: Bool[np.ndarray, " L"], sentinels: Int[np.ndarray, " n"]
) -> tuple[Int[np.ndarray, " I"], Int[np.ndarray, " T"]]:
    """Put one sentinel for each hidden span; return what is left, and what was hidden.

    The targets close with one sentinel more, "to mark the end of the target sequence"
    (arXiv:1910.10683 sec. 3.1.4 and Fig. 2). T5's published code writes that one only where a text
    ends with a token that is kept, which its own masks never do. No end tokens yet.

    Example (the figure's; sentinels 99, 98, 97, ...; 5 for "Thank", 6 for "you", ...):
      text     Thank  you  for  inviting  me  to  your  party  last  week
      ids      5      6    7    8         9   10  11    12     13    14
      mask     0      0    1    1         0   0   0     0      1     0
      inputs   [5, 6, 99, 9, 10, 11, 12, 98, 14]
      targets  [99, 7, 8, 98, 13, 97]

    Raises ValueError where there are too few sentinels.
    """
    starts = mask & ~np.concatenate([[False], mask[:-1]])
    num_spans = int(starts.sum())
    if num_spans >= len(sentinels):
        raise ValueError(
            f"got {num_spans} hidden spans and {len(sentinels)} sentinels, expected at least one "
            "sentinel more than spans; set a larger mean_span_tokens or shorter lengths"
        )
    inputs = ids.copy()
    inputs[starts] = sentinels[:num_spans]
    targets = np.insert(ids[mask], np.flatnonzero(starts[mask]), sentinels[:num_spans])
    return inputs[~mask | starts], np.append(targets, sentinels[num_spans].astype(ids.dtype))


def split_prefix(
    ids: Int[np.ndarray, " L"],
    rng: np.random.Generator,
    *,
    max_inputs: int | None = None,
    max_targets: int | None = None,
) -> tuple[Int[np.ndarray, " I"], Int[np.ndarray, " T"]]:
    """Split a text in two at a uniform point: prefix LM (arXiv:1910.10683 sec. 3.2.1 and 3.3.1).

    It is what LM adaptation trains on (arXiv:2104.08691 sec. 2.2). Both parts have one token at
    least, and at most so many as the limits say; uniform is the point among those left.

    Example (ids [5, 6, 7]; each half of the time):
      inputs  targets
      [5]     [6, 7]
      [5, 6]  [7]

    Raises ValueError for fewer than two tokens, and where no split keeps to the limits.
    """
    num_tokens = len(ids)
    most = num_tokens - 1 if max_inputs is None else min(num_tokens - 1, max_inputs)
    least = 1 if max_targets is None else max(1, num_tokens - max_targets)
    if least > most:
        raise ValueError(
            f"cannot split {num_tokens} tokens: expected two or more, and at most max_inputs "
            f"({max_inputs}) plus max_targets ({max_targets})"
        )
    point = int(rng.integers(least, most + 1))
    return ids[:point], ids[point:]


def encode_text(
    text: str,
    vocabulary: Vocabulary,
    lengths: LengthConfig,
    config: ObjectiveConfig,
    *,
    rng: np.random.Generator,
    sentinels: Int[np.ndarray, " n"] | None = None,
) -> dict[str, IntArray]:
    """Return a text's features under a pre-training objective: those that a pair has.

    Inputs and targets close with an end token, always. Of a text that is too long, a random chunk
    is taken (every start equally likely), the longest that fits both lengths. A text of one token
    is kept whole by span corruption, and is all target under prefix LM.

    Example (one piece a word: a = 9, red = 30, heart = 31; the draws hide or split off "heart"):
      objective        text         inputs          inputs_prefix  targets
      span_corruption  a red heart  [9, 30, 99, 1]  [0, 0, 0, 0]   [99, 31, 98, 1]
      prefix_lm        a red heart  [9, 30, 1]      [0, 0, 0]      [31, 1]
      span_corruption  heart        [31, 1]         [0, 0]         [99, 1]
      prefix_lm        heart        [1]             [0]            [31, 1]

    Raises ValueError for a text without tokens, for the objective `pairs` (it reads pairs), and for
    span corruption without sentinels.
    """
    ids = np.array(vocabulary.encode(text), np.int32)
    if len(ids) == 0:
        raise ValueError(f"got a text without tokens, {text!r}, expected one token or more")
    if config.name == "span_corruption":
        if sentinels is None:
            raise ValueError("span_corruption needs sentinels: pass those of sentinel_ids")
        ids = draw_chunk(ids, _max_chunk_tokens(lengths, config, len(ids), len(sentinels)), rng)
        mask = draw_spans(
            len(ids),
            rng,
            noise_density=config.noise_density,
            mean_span_tokens=config.mean_span_tokens,
        )
        inputs, targets = corrupt_spans(ids, mask, sentinels)
    elif config.name == "prefix_lm":
        limits = {"max_inputs": lengths.inputs - 1, "max_targets": lengths.targets - 1}
        ids = draw_chunk(ids, sum(limits.values()), rng)
        inputs, targets = split_prefix(ids, rng, **limits) if len(ids) > 1 else (ids[:0], ids)
    else:
        raise ValueError(
            f"encode_text: got the objective {config.name!r}, expected one of {OBJECTIVES[1:]}; "
            "encode a pair with encode_pair"
        )
    inputs = np.append(inputs, np.int32(EOS_ID))
    return {
        "inputs": inputs,
        "inputs_prefix": np.zeros_like(inputs),
        "targets": np.append(targets, np.int32(EOS_ID)),
    }


def draw_chunk(
    ids: Int[np.ndarray, " L"], max_tokens: int, rng: np.random.Generator
) -> Int[np.ndarray, " C"]:
    """Return the ids, or of too many a run of `max_tokens` from a random start."""
    start = int(rng.integers(0, max(len(ids) - max_tokens, 0) + 1))
    return ids[start : start + max_tokens]


def _max_chunk_tokens(
    lengths: LengthConfig, config: ObjectiveConfig, num_tokens: int, num_sentinels: int
) -> int:
    """Return the most tokens, up to `num_tokens`, that fit once their spans are hidden."""

    def is_too_long(chunk: int) -> bool:
        num_noise, num_spans = count_noise(
            chunk, noise_density=config.noise_density, mean_span_tokens=config.mean_span_tokens
        )
        return (
            chunk - num_noise + num_spans + 1 > lengths.inputs  # kept, sentinels, end
            or num_noise + num_spans + 2 > lengths.targets  # hidden, sentinels, last one, end
            or num_spans >= num_sentinels
        )

    # Once too long, always too long: a token more never makes inputs or targets shorter.
    return max(bisect.bisect_left(range(1, num_tokens + 1), True, key=is_too_long), 1)
