"""How a soft prompt begins: P rows of width D (arXiv:2104.08691 sec. 3.2)."""

import dataclasses
import itertools

import numpy as np

from pe.axes import Float
from pe.data.tokenizer import Vocabulary

INITS = ("uniform", "vocabulary", "text")


@dataclasses.dataclass(frozen=True, kw_only=True)
class SoftPromptConfig:
    """A soft prompt of `length` positions; 0: none. The paper's own has 100.

    `init`: "uniform" between -`uniform_range` and it; "vocabulary": the embeddings of different
    pieces drawn from the `num_frequent` most frequent; "text": those of the words of `text`, the
    positions that are left as in "vocabulary".
    """

    length: int = 0
    init: str = "vocabulary"
    uniform_range: float = 0.5
    num_frequent: int = 5000
    text: str = ""

    def __post_init__(self) -> None:
        if self.length < 0:
            raise ValueError(f"SoftPromptConfig.length: got {self.length}, expected 0 or more")
        if self.init not in INITS:
            raise ValueError(f"SoftPromptConfig.init: got {self.init!r}, expected one of {INITS}")
        if self.uniform_range <= 0.0:
            raise ValueError(
                f"SoftPromptConfig.uniform_range: got {self.uniform_range}, expected > 0"
            )
        if self.num_frequent < 1:
            raise ValueError(
                f"SoftPromptConfig.num_frequent: got {self.num_frequent}, expected 1 or more"
            )
        if self.init == "text" and not self.text.strip():
            raise ValueError("SoftPromptConfig.init is 'text': expected words in .text")


def frequent_pieces(vocabulary: Vocabulary, num_pieces: int) -> list[int]:
    """Return the ids of the most frequent pieces that stand for text, the most frequent first.

    The order is the vocabulary's own: a unigram model lists its pieces by falling probability.
    """
    ids = (
        i
        for i in range(vocabulary.size)
        if not vocabulary.is_control(i) and not vocabulary.piece(i).startswith("<0x")
    )
    return list(itertools.islice(ids, num_pieces))


def make_soft_prompt(
    config: SoftPromptConfig,
    table: Float[np.ndarray, "V D"],
    vocabulary: Vocabulary,
    *,
    seed: int,
) -> Float[np.ndarray, "P D"]:
    """Make the rows that a soft prompt begins with, float32.

    Raises ValueError when its text has more pieces than it has positions.
    """
    rng = np.random.default_rng(seed)
    width = table.shape[1]
    if config.init == "uniform":
        span = config.uniform_range
        return rng.uniform(-span, span, (config.length, width)).astype(np.float32)
    words = vocabulary.encode(config.text) if config.init == "text" else []
    if len(words) > config.length:
        raise ValueError(
            f"SoftPromptConfig.text has {len(words)} pieces, more than the {config.length} "
            "positions of SoftPromptConfig.length; shorten the one or raise the other"
        )
    ids = list(words)
    pool = frequent_pieces(vocabulary, config.num_frequent)
    missing = config.length - len(ids)
    ids += rng.choice(pool, missing, replace=missing > len(pool)).tolist()
    return table[np.array(ids, int)].astype(np.float32)
