"""Near texts are found whatever the order, nothing else is, however texts are dealt over calls."""

import random

import pytest

from data_builders.near_index import NearConfig, NearIndex, are_near, hash_word

WORDS = [f"w{k}" for k in range(3000)]


def make_texts(num: int, seed: int, length: tuple[int, int] = (12, 30)) -> list[list[str]]:
    rng = random.Random(seed)
    return [rng.choices(WORDS, k=rng.randint(*length)) for _ in range(num)]


def change(text: list[str], num: int, rng: random.Random) -> list[str]:
    """Put other words in the place of some, and all in another order."""
    changed = list(text)
    for place in rng.sample(range(len(text)), num):
        changed[place] = f"new{rng.randrange(10**9)}"
    rng.shuffle(changed)
    return changed


@pytest.mark.parametrize(
    ("first", "second", "is_near"),
    [
        ("a b c", "c a b", True),
        ("a b c", "a b d", False),
        ("a b c d e f g h", "h g f e d c b x", True),
        ("a b c d e f g h", "h g f e d c y x", False),
        ("a b c d e f g h i j k l", "a b c d e f g h i j x y", True),
        ("a b c d e f g h i j k l", "a b c d e f g h i x y z", False),
        ("a b c d e f g h i j k l", "a b c d e f g h i j", False),  # 10 words: one change
        ("a a b c d e f g h i j k", "a b b c d e f g h i j k", True),
        ("", "", True),
    ],
)
def test_near_means_few_words_changed(first, second, is_near):
    one, other = ([hash_word(word) for word in text.split()] for text in (first, second))
    config = NearConfig()
    assert are_near(one, other, config) == is_near == are_near(other, one, config)


def test_short_texts_have_to_be_the_same():
    assert [NearConfig().allowed(n) for n in (0, 7, 8, 11, 12, 100)] == [0, 0, 1, 1, 2, 2]


def test_what_is_near_is_found_and_nothing_else():
    texts, rng = make_texts(2000, 0), random.Random(1)
    index = NearIndex()
    assert index.add_all(texts) == [None] * 2000
    near = [change(text, k % 3, rng) for k, text in enumerate(texts)]
    found = index.add_all(near)
    assert sum(one == k for k, one in enumerate(found)) >= 1990  # buckets hold so many and no more
    assert {one for k, one in enumerate(found) if one != k} <= {None}
    far = [change(text, 3, rng) for text in texts]
    assert index.add_all(far) == [None] * 2000
    assert len(index) == 4000 + found.count(None)


def test_a_text_is_found_in_the_same_call():
    text = [f"word{k}" for k in range(14)]
    assert NearIndex().add_all([text, text[::-1], [*text[:-1], "x"]]) == [None, 0, 0]


def test_how_texts_are_dealt_over_calls_changes_nothing():
    tail = [f"style{k}" for k in range(9)]  # shared by all: its buckets overflow
    rng = random.Random(3)
    texts = [[*text[: rng.randint(2, 6)], *tail] for text in make_texts(1500, 2)]
    texts += [change(text, 1, rng) for text in texts]
    rng.shuffle(texts)
    whole = NearIndex().add_all(texts)
    for size in (1, 7, 256, 1000):
        index = NearIndex()
        parts = [index.add_all(texts[k : k + size]) for k in range(0, len(texts), size)]
        assert [one for part in parts for one in part] == whole, size
