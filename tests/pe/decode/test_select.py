"""The most diverse of more texts than are wanted."""

import itertools
import math

import numpy as np
import pytest

from pe.decode.select import choose_diverse, distinct_n, embed_words, spread

NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
         "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen",
         "nineteen")  # fmt: skip


def at_angles(degrees):
    """Return (texts, embed): as many texts, on the unit circle at these angles, any length."""
    radians = np.radians(degrees)
    rows = (
        np.stack([np.cos(radians), np.sin(radians)], axis=-1)
        * np.arange(1, len(degrees) + 1)[:, None]
    )
    texts = list(NAMES[: len(degrees)])
    table = dict(zip(texts, rows, strict=True))
    return texts, lambda wanted: np.stack([table[text] for text in wanted])


def random_texts(num_texts, seed=0, width=4):
    rows = np.random.default_rng(seed).normal(size=(num_texts, width))
    texts = [f"text {i}" for i in range(num_texts)]
    table = dict(zip(texts, rows, strict=True))
    return texts, lambda wanted: np.stack([table[text] for text in wanted])


def unit(rows):
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def test_the_spread_is_the_mean_squared_distance_to_the_mean():
    assert spread(np.array([[1.0, 0.0], [0.0, 1.0]])) == 0.5
    assert spread(np.array([[3.0, 4.0]])) == 0.0
    rows = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
    # mean (0, 1/3): squared distances 10/9, 4/9, 10/9
    assert spread(rows) == pytest.approx(8 / 9)
    pairs = sum(np.sum((a - b) ** 2) for a, b in itertools.combinations(rows, 2))
    assert pairs == pytest.approx(len(rows) ** 2 * spread(rows))


@pytest.mark.parametrize(
    ("degrees", "n", "keep_first", "expected"),
    [
        ([0, 10, 180, 190], 2, False, [0, 2]),  # 0-180 and 10-190 are as far: the lower indices
        ([0, 10, 170, 189], 2, False, [1, 3]),
        ([0, 10, 170, 189], 2, True, [0, 3]),
        ([0, 120, 240, 20], 3, False, [0, 1, 2]),
        ([20, 0, 120, 240], 3, False, [1, 2, 3]),
        ([20, 0, 120, 240], 3, True, [0, 2, 3]),
        ([40, 0, 90], 1, False, [0]),
        ([40, 0, 90], 1, True, [0]),
        ([40, 0, 90], 3, False, [0, 1, 2]),
    ],
)
def test_the_farthest_directions_are_chosen(degrees, n, keep_first, expected):
    texts, embed = at_angles(degrees)
    assert choose_diverse(texts, n, embed=embed, keep_first=keep_first) == expected


@pytest.mark.parametrize(("num_texts", "n"), [(8, 3), (12, 5), (9, 8)])
@pytest.mark.parametrize("keep_first", [False, True])
def test_few_sets_are_all_tried(num_texts, n, keep_first):
    for seed in range(5):
        texts, embed = random_texts(num_texts, seed)
        rows = unit(embed(texts))
        sets = [
            chosen
            for chosen in itertools.combinations(range(num_texts), n)
            if chosen[0] == 0 or not keep_first
        ]
        best = max(sets, key=lambda chosen: spread(rows[list(chosen)]))
        assert choose_diverse(texts, n, embed=embed, keep_first=keep_first) == list(best)


@pytest.mark.parametrize("keep_first", [False, True])
def test_of_many_sets_one_is_found_that_no_exchange_improves(keep_first):
    assert math.comb(30, 6) > 5_000
    for seed in range(3):
        texts, embed = random_texts(30, seed)
        rows = unit(embed(texts))
        chosen = choose_diverse(texts, 6, embed=embed, keep_first=keep_first)
        reached = spread(rows[chosen])
        assert chosen == sorted(set(chosen))
        assert chosen[0] == 0 or not keep_first
        for out in chosen[1 if keep_first else 0 :]:
            for into in set(range(30)) - set(chosen):
                other = [i for i in chosen if i != out] + [into]
                assert spread(rows[other]) <= reached + 1e-9
        draws = np.random.default_rng(seed)
        drawn = max(spread(rows[[0, *draws.permutation(np.arange(1, 30))[:5]]]) for _ in range(200))
        assert reached >= drawn


@pytest.mark.parametrize(("num_texts", "n"), [(10, 4), (30, 6)])
def test_the_order_of_the_texts_does_not_matter(num_texts, n):
    texts, embed = random_texts(num_texts, seed=7)
    chosen = {texts[i] for i in choose_diverse(texts, n, embed=embed)}
    for seed in range(5):
        mixed = [texts[i] for i in np.random.default_rng(seed).permutation(num_texts)]
        assert {mixed[i] for i in choose_diverse(mixed, n, embed=embed)} == chosen


def test_the_same_text_is_chosen_twice_only_where_there_are_too_few_others():
    texts = ["a red fox", "A red fox!", "a red fox in snow", "a blue whale", "a  blue whale"]
    assert choose_diverse(texts, 3) == [0, 2, 3]
    # without that rule the two ends of the line, twice each, would vary most
    table = {"a red fox": -1.0, "a red fox in snow": 0.2, "a blue whale": 1.0}

    def embed(wanted):
        keys = [" ".join(text.lower().strip("!").split()) for text in wanted]
        return np.array([[table[key], 1.0] for key in keys])

    assert choose_diverse(texts, 3, embed=embed) == [0, 2, 3]
    assert choose_diverse(texts, 4, embed=embed) == [0, 1, 2, 3]
    assert choose_diverse(texts, 4, embed=embed, keep_first=True) == [0, 1, 2, 3]
    assert choose_diverse(["a fox"] * 4, 2) == [0, 1]


def test_without_embeddings_words_and_phrases_tell_texts_apart():
    texts = [
        "a red fox in snow, oil on canvas",
        "a red fox in snow, oil on canvas, 8k",
        "a blue whale, pixel art",
        "a red fox in snow, pixel art",
    ]
    assert choose_diverse(texts, 2) == [0, 2]
    assert choose_diverse(texts[1:], 2) == [0, 1]
    assert choose_diverse([texts[1], texts[3], texts[0]], 2) == [0, 1]  # the most differs: 8k
    assert choose_diverse(texts[:3], 2, keep_first=True) == [0, 2]
    assert choose_diverse(["🍈", "🍋", "🍈"], 2) == [0, 1]


def test_word_embeddings_are_unit_norm_sets_of_words_pairs_and_phrases():
    rows = embed_words(["a red fox", "a red fox, ink", "ink", "the big red fox"])
    third, sixth = 1 / math.sqrt(3), 1 / math.sqrt(6)
    # red, fox, red fox, ink, big, big red, big red fox
    expected = [
        [third, third, third, 0, 0, 0, 0],
        [0.5, 0.5, 0.5, 0.5, 0, 0, 0],
        [0, 0, 0, 1, 0, 0, 0],
        [sixth, sixth, sixth, 0, sixth, sixth, sixth],
    ]
    columns = [0, 1, 2, 3]
    np.testing.assert_allclose(rows[:, columns], np.array(expected)[:, columns], rtol=1e-6)
    np.testing.assert_allclose(np.sort(rows[3, 4:]), np.sort(expected[3][4:]), rtol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=-1), 1.0, rtol=1e-6)
    # texts that share nothing: all at right angles
    assert spread(embed_words(["red fox", "blue whale"])) == pytest.approx(0.5)
    assert spread(embed_words(["red fox", "The red fox."])) == 0.0


@pytest.mark.parametrize(
    ("texts", "n", "expected"),
    [
        (["a red fox", "A red fox, ink"], 1, (4, 7)),
        (["a red fox", "A red fox, ink"], 2, (3, 5)),
        (["a red fox", "A red fox, ink"], 4, (1, 1)),
        (["a red fox"], 4, (0, 0)),
        ([], 1, (0, 0)),
        (["fox fox fox"], 2, (1, 2)),
    ],
)
def test_distinct_n_counts_different_runs_of_words(texts, n, expected):
    assert distinct_n(texts, n) == expected


@pytest.mark.slow
def test_one_of_very_many_is_the_first():
    texts, embed = random_texts(6_000)
    assert choose_diverse(texts, 1, embed=embed) == [0]


def test_what_cannot_be_chosen_from_is_refused():
    for n in (0, 3):
        with pytest.raises(ValueError, match=f"n: got {n}, expected 1 to 2"):
            choose_diverse(["a", "b"], n)
    with pytest.raises(ValueError, match="n: got 0"):
        distinct_n(["a"], 0)
    texts = ["a", "b", "c"]
    for rows, message in [
        (np.ones((2, 4)), r"shape \(2, 4\)"),
        (np.ones(3), r"shape \(3,\)"),
        (np.ones((3, 2), np.complex64), "real numbers"),
        (np.array([[1.0, 0.0], [0.0, 0.0], [0.0, 1.0]]), "text 1, 'b', has norm 0.0"),
        (np.array([[1.0, 0.0], [0.0, 1.0], [np.nan, 1.0]]), "text 2, 'c', has norm nan"),
    ]:
        with pytest.raises(ValueError, match=message):
            choose_diverse(texts, 2, embed=lambda _, rows=rows: rows)
