"""Lay many short texts into rows of a fixed width, so that one compiled shape encodes them all.

Knows lengths and ids, nothing of what they mean. A text never crosses a row; behind each a few
positions are kept for its end (`pe.models.clip.TextTower.encode_packed`).
"""

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np

from pe.axes import Int

ROW_TOKENS = 32  # flavors have 1 to 12 tokens: of 24, 32, 48 the width that leaves least unused


@dataclasses.dataclass(frozen=True)
class PackedBlock:
    """So many rows of packed texts. `texts`: which texts, in the order of `starts` and `counts`.

    The arrays are those of `pe.models.clip.PackedTexts`, for one beginning; unused places of
    `starts` and `counts` hold zeros.
    """

    texts: Int[np.ndarray, " c"]
    tokens: Int[np.ndarray, "R W"]
    segments: Int[np.ndarray, "R W"]
    offsets: Int[np.ndarray, "R W"]
    lengths: Int[np.ndarray, "R W"]
    starts: Int[np.ndarray, " C"]
    counts: Int[np.ndarray, " C"]


def fit_rows(sizes: Sequence[int], width: int) -> list[list[int]]:
    """Deal things of given sizes to rows that hold `width`, few rows, in linear time.

    The longest first, each into the fullest row that still takes it.

    Example (width 8):
      sizes    [3, 5, 4, 2, 2]
      returns  [[1, 0], [2, 3, 4]]
    """
    order = sorted(range(len(sizes)), key=lambda i: -sizes[i])
    rows: list[list[int]] = []
    open_rows: list[list[int]] = [[] for _ in range(width + 1)]  # by the room that is left
    for i in order:
        size = sizes[i]
        room = next((room for room in range(size, width + 1) if open_rows[room]), None)
        if room is None:
            rows.append([])
            row, room = len(rows) - 1, width
        else:
            row = open_rows[room].pop()
        rows[row].append(i)
        open_rows[room - size].append(row)
    return rows


def pack_texts(
    texts: Sequence[np.ndarray], *, tail_tokens: int, max_tokens: int, block_tokens: int
) -> Iterator[PackedBlock]:
    """Pack texts (ids without start and end) into blocks of few shapes; every text comes out once.

    A text is cut to `max_tokens`, behind which nothing is read. Blocks have `block_tokens`
    positions, the last ones half or a quarter of them; rows are ROW_TOKENS wide, or just wide
    enough for `max_tokens` where a text asks for it.
    """
    sizes = np.array([min(len(text), max_tokens) + tail_tokens for text in texts], np.int64)
    widest = -(-(max_tokens + tail_tokens) // 16) * 16
    narrow = min(ROW_TOKENS, widest)
    short = sizes <= narrow
    for width, chosen in ((narrow, np.flatnonzero(short)), (widest, np.flatnonzero(~short))):
        rows = fit_rows(sizes[chosen].tolist(), width)
        rows.sort(key=len, reverse=True)
        num_rows = max(4, block_tokens // width)
        for block in _deal_rows(rows, num_rows, num_rows * width // 4):
            yield _lay_out(
                texts, chosen, sizes - tail_tokens, tail_tokens, block, (num_rows, width)
            )


def _deal_rows(rows: list[list[int]], num_rows: int, most: int) -> Iterator[list[list[int]]]:
    """Cut rows into blocks of at most `num_rows` rows and `most` texts, mixing full and sparse."""
    left, right = 0, len(rows) - 1
    block: list[list[int]] = []
    num_texts = 0
    while left <= right:
        take_first = num_texts + len(rows[left]) <= most
        row = rows[left] if take_first else rows[right]
        if len(block) == num_rows or num_texts + len(row) > most:
            yield block
            block, num_texts = [], 0
            continue
        block.append(row)
        num_texts += len(row)
        left, right = (left + 1, right) if take_first else (left, right - 1)
    if block:
        yield block


def _lay_out(
    texts: Sequence[np.ndarray],
    chosen: Int[np.ndarray, " c"],
    lengths: Int[np.ndarray, " t"],
    tail_tokens: int,
    block: list[list[int]],
    shape: tuple[int, int],
) -> PackedBlock:
    """Write the texts of `block` (rows of indices into `chosen`) into arrays."""
    num_rows, width = shape
    num_texts = sum(map(len, block))
    while num_rows >= 8 and num_rows >= 2 * len(block) and num_rows * width // 8 >= num_texts:
        num_rows //= 2  # the last blocks; few shapes, since each is compiled
    order = chosen[np.concatenate([np.asarray(row, np.int64) for row in block])]
    counts = lengths[order]
    sizes = counts + tail_tokens
    first = np.cumsum([0, *map(len, block)])[:-1]  # of each row, in `order`
    ends = np.cumsum(sizes)
    row_of = np.repeat(np.arange(len(block)), list(map(len, block)))
    starts = ends - sizes - (ends - sizes)[first][row_of] + row_of * width
    within = np.arange(ends[-1]) - np.repeat(ends - sizes, sizes)
    places = np.repeat(starts, sizes) + within
    flat = np.zeros((4, num_rows * width), np.int32)  # tokens, segments, offsets, lengths
    is_text = within < np.repeat(counts, sizes)
    flat[0, places[is_text]] = np.concatenate(
        [texts[i][:count] for i, count in zip(order, counts, strict=True)]
    )
    flat[1, places] = np.repeat(np.arange(1, num_texts + 1), sizes)
    flat[2, places] = within
    flat[3, places] = np.repeat(counts, sizes)
    padding = (0, num_rows * width // 4 - num_texts)
    tokens, segments, offsets, lengths_at = flat.reshape(4, num_rows, width)
    return PackedBlock(
        texts=order,
        tokens=tokens,
        segments=segments,
        offsets=offsets,
        lengths=lengths_at,
        starts=np.pad(starts, padding).astype(np.int32),
        counts=np.pad(counts, padding).astype(np.int32),
    )
