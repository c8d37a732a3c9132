"""Packed rows hold every text once, whole, and beside no other's places."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pe.data.text_packing import ROW_TOKENS, fit_rows, pack_texts

SIZES = st.lists(st.integers(1, 12), max_size=80)


def test_the_example_of_fit_rows():
    assert fit_rows([3, 5, 4, 2, 2], 8) == [[1, 0], [2, 3, 4]]


@given(SIZES)
def test_rows_hold_everything_once_and_no_more_than_fits(sizes):
    rows = fit_rows(sizes, 12)
    assert sorted(i for row in rows for i in row) == list(range(len(sizes)))
    assert all(0 < sum(sizes[i] for i in row) <= 12 for row in rows)
    # best fit: at most one row is no more than half full
    assert sum(2 * sum(sizes[i] for i in row) <= 12 for row in rows) <= 1


def test_nothing_fits_into_no_row():
    assert fit_rows([], 8) == []
    assert list(pack_texts([], tail_tokens=1, max_tokens=10, block_tokens=64)) == []


def make_texts(lengths: list[int]) -> list[np.ndarray]:
    return [np.arange(length, dtype=np.int32) + 100 * i for i, length in enumerate(lengths)]


@settings(deadline=None, max_examples=150)
@given(
    st.lists(st.integers(0, 90), max_size=60),
    st.sampled_from([1, 3]),
    st.sampled_from([9, 40, 75]),
    st.sampled_from([64, 256, 1024]),
)
def test_every_text_comes_out_once_in_places_of_its_own(lengths, tail, most, block_tokens):
    texts = make_texts(lengths)
    seen = []
    for block in pack_texts(texts, tail_tokens=tail, max_tokens=most, block_tokens=block_tokens):
        num_texts = len(block.texts)
        seen += block.texts.tolist()
        assert block.starts.shape == block.counts.shape
        assert 0 < num_texts <= len(block.starts)
        tokens, segments, offsets, lengths_at = (
            part.reshape(-1)
            for part in (block.tokens, block.segments, block.offsets, block.lengths)
        )
        width = block.tokens.shape[1]
        taken = np.zeros(tokens.size, int)
        for i, start, count in zip(block.texts, block.starts, block.counts, strict=False):
            assert count == min(len(texts[i]), most)
            places = np.arange(start, start + count + tail)
            taken[places] += 1
            assert len({place // width for place in places.tolist()}) == 1  # of one row
            np.testing.assert_array_equal(tokens[places[:count]], texts[i][:count])
            np.testing.assert_array_equal(offsets[places], np.arange(count + tail))
            assert (lengths_at[places] == count).all()
            assert len(set(segments[places].tolist())) == 1
            assert segments[start] > 0
        assert taken.max() == 1
        np.testing.assert_array_equal(segments > 0, taken)
        for row in block.segments:  # two texts of a row never have one number
            of_row = row[row > 0]
            assert len(set(of_row.tolist())) == np.sum(np.diff(of_row) != 0) + bool(of_row.size)
        assert not block.starts[num_texts:].any()
        assert not block.counts[num_texts:].any()
    assert sorted(seen) == list(range(len(texts)))


@pytest.mark.parametrize("num_texts", [700, 703, 1500, 4000])
def test_shapes_are_few_and_rows_are_full(num_texts):
    rng = np.random.default_rng(num_texts)
    lengths = rng.integers(1, 12, num_texts).tolist()
    lengths[::100] = [40] * len(lengths[::100])
    blocks = list(pack_texts(make_texts(lengths), tail_tokens=1, max_tokens=75, block_tokens=1024))
    shapes = {(block.tokens.shape, block.starts.shape) for block in blocks}
    narrow = {shape for shape in shapes if shape[0][1] == ROW_TOKENS}
    assert narrow <= {((rows, 32), (rows * 8,)) for rows in (32, 16, 8, 4)}
    assert {shape[0][1] for shape in shapes - narrow} == {80}
    places = sum(b.tokens.size for b in blocks if b.tokens.shape[1] == ROW_TOKENS)
    used = sum(length + 1 for length in lengths if length < 32)
    assert used > 0.85 * places


def test_a_text_that_no_row_of_the_usual_width_holds_gets_a_wider_one():
    blocks = list(
        pack_texts(make_texts([31, 32, 3]), tail_tokens=1, max_tokens=75, block_tokens=64)
    )
    assert [block.tokens.shape for block in blocks] == [(4, 32), (4, 80)]
    assert [sorted(block.texts.tolist()) for block in blocks] == [[0, 2], [1]]
