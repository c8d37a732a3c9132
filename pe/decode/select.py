"""Choose the most diverse of more texts than are wanted.

A filter after sampling (arXiv:2312.16720): of a larger set of candidates the part is kept whose
embeddings vary most. The embedding is the caller's; without one, texts differ by their words and
phrases. Knows no model.
"""

import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np

from pe.axes import Float
from pe.decode.budget import split_phrases
from pe.text.phrase import comparison_key
from pe.text.words import content_words

MAX_COMBINATIONS = 5_000  # so many sets are all tried; above that, greedy and then swaps
MAX_STARTS = 64  # of them, from the texts that are farthest from all
_TIE = 1e-9  # distances closer than this are equal: sums in another order differ in the last bits


def choose_diverse(
    texts: Sequence[str],
    n: int,
    *,
    embed: Callable[[Sequence[str]], np.ndarray] | None = None,
    keep_first: bool = False,
) -> list[int]:
    """Return the indices, ascending, of the n texts whose unit-norm embeddings vary most.

    `embed` returns one row per text, [K E]; without it `embed_words` does. Texts that differ only
    by case, spaces and punctuation count as one as long as there are n others. `keep_first` keeps
    the first text whatever it is. Ties go to the lower index. Where more than 5,000 sets are
    possible the result is a local best: no exchange of one text for another improves it.

    Example (n = 2):
      texts                                        returns
      a red fox / a red fox, ink / a blue whale    [0, 2]

    Raises ValueError for n < 1 or more than there are texts, and for embeddings of another shape
    or without a finite direction.
    """
    if not 1 <= n <= len(texts):
        raise ValueError(f"n: got {n}, expected 1 to {len(texts)}, the number of texts")
    if n == len(texts):
        return list(range(n))
    seen: dict[str, int] = {}
    for i, text in enumerate(texts):
        seen.setdefault(comparison_key(text), i)
    distinct = list(seen.values())
    squares = _squared_distances(_embed(texts, embed))
    if len(distinct) >= n:
        return _choose(squares, n, fixed=[0] if keep_first else [], pool=distinct)
    repeated = [i for i in range(len(texts)) if i not in set(distinct)]
    return _choose(squares, n, fixed=distinct, pool=repeated)


def spread(embeddings: Float[np.ndarray, "K E"]) -> float:
    """Return the mean squared distance of embeddings to their mean (arXiv:2312.16720, sigma_p).

    [[1, 0], [0, 1]]  ->  0.5
    """
    centered = embeddings - np.mean(embeddings, axis=0, dtype=np.float64)
    return float(np.mean(np.sum(centered**2, axis=-1)))


def embed_words(texts: Sequence[str]) -> Float[np.ndarray, "K E"]:
    """Embed texts as unit-norm sets of content words, pairs of them, and phrases.

    Texts that share nothing are at a right angle, so that the spread of a set grows with the share
    of its words, pairs and phrases that occur once: a distinct-n with all n together. The width is
    what these texts need.

    Example (columns: red; fox; red fox; ink):
      a red fox       [0.58, 0.58, 0.58, 0   ]
      a red fox, ink  [0.5 , 0.5 , 0.5 , 0.5 ]
    """
    rows = [_list_features(text) for text in texts]
    columns: dict[tuple[str, ...], int] = {}
    for row in rows:
        for feature in row:
            columns.setdefault(feature, len(columns))
    embeddings = np.zeros((len(rows), len(columns)), np.float32)
    for i, row in enumerate(rows):
        embeddings[i, [columns[feature] for feature in row]] = 1 / math.sqrt(len(row))
    return embeddings


def distinct_n(texts: Sequence[str], n: int) -> tuple[int, int]:
    """Count different runs of n words, and all of them: (different, all), to be divided later.

    Words are compared as `comparison_key` leaves them (arXiv:1510.03055 sec. 5).

    Example (n = 2):
      texts                        returns
      a red fox / A red fox, ink   (3, 5)

    Raises ValueError for n < 1.
    """
    if n < 1:
        raise ValueError(f"n: got {n}, expected 1 or more words")
    runs: list[tuple[str, ...]] = []
    for text in texts:
        words = comparison_key(text).split()
        runs += zip(*(words[i:] for i in range(n)), strict=False)
    return len(set(runs)), len(runs)


def _list_features(text: str) -> list[tuple[str, ...]]:
    features: dict[tuple[str, ...], None] = {}
    for phrase in split_phrases(text):
        words = content_words(phrase)
        features.update(dict.fromkeys((word,) for word in words))
        features.update(dict.fromkeys(itertools.pairwise(words)))
        if words:
            features[words] = None
    return list(features) or [(comparison_key(text),)]  # no content word: what there is


def _embed(
    texts: Sequence[str], embed: Callable[[Sequence[str]], np.ndarray] | None
) -> Float[np.ndarray, "K E"]:
    if embed is None:
        return embed_words(texts).astype(np.float64)
    rows = np.asarray(embed(texts))
    if rows.ndim != 2 or len(rows) != len(texts) or rows.dtype.kind == "c":
        raise ValueError(
            f"embed: got an array of shape {rows.shape}, {rows.dtype}, expected one row of real "
            f"numbers for each of the {len(texts)} texts"
        )
    rows = rows.astype(np.float64)
    norms = np.linalg.norm(rows, axis=-1, keepdims=True)
    if bad := np.flatnonzero(~(np.isfinite(norms) & (norms > 0))).tolist():
        raise ValueError(
            f"embed: the embedding of text {bad[0]}, {texts[bad[0]]!r}, has norm "
            f"{norms[bad[0], 0]}, expected a finite one above 0"
        )
    return rows / norms


def _squared_distances(embeddings: Float[np.ndarray, "K E"]) -> Float[np.ndarray, "K K"]:
    norms = np.sum(embeddings**2, axis=-1)
    squares = norms[:, None] + norms[None, :] - 2 * embeddings @ embeddings.T
    np.fill_diagonal(squares, 0.0)
    return np.maximum(squares, 0.0)


def _choose(
    squares: Float[np.ndarray, "K K"], n: int, *, fixed: list[int], pool: list[int]
) -> list[int]:
    """Return n indices, the fixed ones and others of the pool, with the greatest summed distance.

    The sum over all pairs is n^2 times the spread.
    """
    pool = [i for i in pool if i not in fixed]
    num_free = n - len(fixed)
    if num_free <= 1 or math.comb(len(pool), num_free) <= MAX_COMBINATIONS:
        return _choose_best(squares, num_free, fixed, pool)
    return _choose_by_swaps(squares, num_free, fixed, pool)


def _choose_best(
    squares: Float[np.ndarray, "K K"], num_free: int, fixed: list[int], pool: list[int]
) -> list[int]:
    """Try every set, in the order of its indices."""
    sets = [sorted([*fixed, *free]) for free in itertools.combinations(pool, num_free)]
    totals = np.array([squares[np.ix_(chosen, chosen)].sum() for chosen in sets])
    return sets[int(np.argmax(totals >= totals.max() - _TIE))]


def _choose_by_swaps(
    squares: Float[np.ndarray, "K K"], num_free: int, fixed: list[int], pool: list[int]
) -> list[int]:
    """Add the farthest text until there are enough, then swap; from several starts."""
    sums = squares[:, [*fixed, *pool]].sum(axis=1)
    starts = sorted(pool, key=lambda i: (-sums[i], i))[:MAX_STARTS]
    best: list[int] = []
    best_total = -1.0
    for start in sorted(starts):
        chosen = _climb(squares, num_free, fixed, pool, [start])
        total = float(squares[np.ix_(chosen, chosen)].sum())
        if total > best_total + _TIE:
            best, best_total = chosen, total
    return best


def _climb(
    squares: Float[np.ndarray, "K K"],
    num_free: int,
    fixed: list[int],
    pool: list[int],
    free: list[int],
) -> list[int]:
    """Complete a set that `free` begins, then exchange one text of it while that helps."""
    rest = [i for i in pool if i not in free]
    while len(free) < num_free:
        sums = squares[np.ix_(rest, fixed + free)].sum(axis=1)
        free = [*free, rest.pop(int(np.argmax(sums >= sums.max() - _TIE)))]
    while rest:
        sums = squares[:, fixed + free].sum(axis=1)
        gains = sums[rest][None, :] - sums[free][:, None] - squares[np.ix_(free, rest)]
        if gains.max() <= _TIE:
            break
        flat = int(np.argmax(gains >= gains.max() - _TIE))
        out, into = divmod(flat, len(rest))
        free[out], rest[into] = rest[into], free[out]
        free.sort()
        rest.sort()
    return sorted([*fixed, *free])
