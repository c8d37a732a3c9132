"""Texts that differ by a few words, found among millions in bounded memory.

Two texts are near when they have the same words in any order, but for some that went and as many
at most that came (`NearConfig`). Every word falls into one of GROUPS groups by its hash, and a
key is made of the words of each choice of KEPT groups. Two words that went and two that came touch
four groups at most, so that of six groups two are the same and one key is shared. What shares a key
is compared word by word, so that nothing else is taken for near.

A bucket holds SLOTS texts; what comes when it is full is not kept under that key: by chance, or
where thousands share a tail of style words. About 1% of what differs by two words is missed so. The
index takes about 300 bytes for a text of 20 words.
"""

import dataclasses
import hashlib
import itertools
from collections import Counter
from collections.abc import Sequence

import numpy as np

from pe.axes import UInt

GROUPS, KEPT, SLOTS = 6, 2, 4
CHOICES = np.asarray(list(itertools.combinations(range(GROUPS), KEPT)))
FIRST_BUCKETS, MAX_LOAD = 1 << 12, 0.5
_SALTS = np.random.default_rng(0).integers(1, 2**63, len(CHOICES)).astype(np.uint64)
_MIX = np.uint64(0x9E3779B97F4A7C15)
Words = UInt[np.ndarray, "..."]


@dataclasses.dataclass(frozen=True, kw_only=True)
class NearConfig:
    """How long texts have to be, in words, that one or two of them may be others."""

    one_change: int = 8
    two_changes: int = 12

    def __post_init__(self) -> None:
        if not 1 <= self.one_change <= self.two_changes:
            raise ValueError(
                f"NearConfig: got one_change {self.one_change}, two_changes {self.two_changes}; "
                "expected 1 <= one_change <= two_changes"
            )

    def allowed(self, num_words: int) -> int:
        """Return how many words may be others."""
        return (num_words >= self.one_change) + (num_words >= self.two_changes)


def are_near(first: Sequence[int], second: Sequence[int], config: NearConfig) -> bool:
    """Say whether two texts, as hashes of their words, differ by no more than is allowed."""
    most = config.allowed(min(len(first), len(second)))
    if abs(len(first) - len(second)) > most:
        return False
    went, came = Counter(first), Counter(second)
    return (went - came).total() <= most and (came - went).total() <= most


def hash_word(word: str) -> int:
    """Return 32 bits that are the same in every process."""
    return int.from_bytes(hashlib.blake2b(word.encode(), digest_size=4).digest(), "little")


class NearIndex:
    """Texts by number, and which of them a new one is near to; numbers count from 0."""

    def __init__(self, config: NearConfig | None = None):
        self.config = config or NearConfig()
        self._words = np.zeros(1 << 12, np.uint32)  # of all texts, one after the other
        self._starts = np.zeros(1 << 10, np.int64)
        self._num_texts = 0
        self._hashes: dict[str, int] = {}
        self._grow_table(FIRST_BUCKETS)

    def __len__(self) -> int:
        return self._num_texts

    def add_all(self, texts: Sequence[Sequence[str]]) -> list[int | None]:
        """Look up texts in their order and keep those that are near to none before them.

        Returns for each None where it was kept, else the number of the first that it is near to.
        It makes no difference how texts are dealt over calls.
        """
        words = [self._hash(text) for text in texts]
        keys = _make_keys(words)
        found: list[int | None] = []
        while len(found) < len(texts):
            begin = len(found)
            found += self._add_some(words[begin:], keys[begin:])
            if self._num_texts == self._num_room:
                self._grow_table(2 * len(self._numbers))
        return found

    def _add_some(self, words: list[Words], keys: UInt[np.ndarray, "B K"]) -> list[int | None]:
        """Add texts until the table has to grow; return what was found of those."""
        known = self._look_up(keys)
        bucket = self._place(keys)[0]
        num_used = np.count_nonzero(self._numbers[bucket], axis=-1).tolist()
        kept_here: dict[int, list[int]] = {}  # key -> numbers of this call
        added: Counter[int] = Counter()  # bucket -> slots that this call will fill
        found: list[int | None] = []
        fresh: list[int] = []
        for row, (own, row_keys) in enumerate(zip(words, keys.tolist(), strict=True)):
            candidates = set(known[row])
            for key in row_keys:
                candidates.update(kept_here.get(key, ()))
            mine = own.tolist()
            near = next((c for c in sorted(candidates) if self._is_near(c, mine)), None)
            found.append(near)
            if near is not None:
                continue
            number = self._keep(own)
            fresh.append(row)
            for key, at, used in zip(row_keys, bucket[row].tolist(), num_used[row], strict=True):
                if used + added[at] < SLOTS:
                    added[at] += 1
                    kept_here.setdefault(key, []).append(number)
            if self._num_texts == self._num_room:
                break
        self._insert(keys[fresh], np.arange(self._num_texts - len(fresh), self._num_texts))
        return found

    def _hash(self, text: Sequence[str]) -> Words:
        known = self._hashes
        for word in text:
            if word not in known:
                if len(known) > 1_000_000:
                    known.clear()
                known[word] = hash_word(word)
        return np.fromiter((known[word] for word in text), np.uint32, len(text))

    def _is_near(self, number: int, words: list[int]) -> bool:
        own = self._words[self._starts[number] : self._starts[number + 1]].tolist()
        return are_near(own, words, self.config)

    def _keep(self, words: Words) -> int:
        """Store the words of a text; return its number."""
        begin = int(self._starts[self._num_texts])
        end = begin + len(words)
        if end > len(self._words):
            self._words = np.concatenate(
                [self._words, np.zeros(max(end, len(self._words)), np.uint32)]
            )
        self._words[begin:end] = words
        self._num_texts += 1
        if self._num_texts >= len(self._starts):
            self._starts = np.concatenate([self._starts, np.zeros_like(self._starts)])
        self._starts[self._num_texts] = end
        return self._num_texts - 1

    def _look_up(self, keys: UInt[np.ndarray, "B K"]) -> list[list[int]]:
        """Return the numbers under any key of each row."""
        bucket, tag = self._place(keys)
        numbers = self._numbers[bucket]
        is_hit = (self._tags[bucket] == tag[..., None]) & (numbers > 0)
        rows, columns, slots = np.nonzero(is_hit)
        found: list[list[int]] = [[] for _ in range(len(keys))]
        for row, number in zip(
            rows.tolist(), (numbers[rows, columns, slots] - 1).tolist(), strict=True
        ):
            found[row].append(number)
        return found

    def _insert(self, keys: UInt[np.ndarray, "B K"], numbers: np.ndarray) -> None:
        """Put numbers under their keys in their order, where a bucket has room."""
        bucket, tag = (part.ravel() for part in self._place(keys))
        values = np.repeat(numbers + 1, keys.shape[1]).astype(np.uint32)
        for slot in range(SLOTS):
            is_free = self._numbers[bucket, slot] == 0
            # of several for one bucket the first; the others try the next slot
            _, first = np.unique(np.where(is_free, bucket, -1), return_index=True)
            chosen = first[is_free[first]]
            self._numbers[bucket[chosen], slot] = values[chosen]
            self._tags[bucket[chosen], slot] = tag[chosen]
            rest = np.ones(len(bucket), bool)
            rest[chosen] = False
            bucket, tag, values = bucket[rest], tag[rest], values[rest]

    def _place(self, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return bucket and tag of keys: of their high and of their low bits."""
        bucket = (keys >> np.uint64(32)).astype(np.int64) & (len(self._numbers) - 1)
        return bucket, keys.astype(np.uint8)

    def _grow_table(self, num_buckets: int) -> None:
        """Make the table larger; what is in it is put in anew, from the texts."""
        self._tags = np.zeros((num_buckets, SLOTS), np.uint8)
        self._numbers = np.zeros((num_buckets, SLOTS), np.uint32)  # plus 1; 0: free
        self._num_room = int(MAX_LOAD * self._numbers.size / len(CHOICES))  # texts, until it grows
        for begin in range(0, self._num_texts, 4096):
            numbers = np.arange(begin, min(begin + 4096, self._num_texts))
            texts = [self._words[self._starts[n] : self._starts[n + 1]] for n in numbers.tolist()]
            self._insert(_make_keys(texts), numbers)


def _make_keys(texts: Sequence[Words]) -> UInt[np.ndarray, "B K"]:
    """Return the keys of texts: of the words in each choice of groups, in any order."""
    lengths = np.asarray([len(text) for text in texts], np.int64)
    words = np.concatenate([np.zeros(0, np.uint32), *texts]).astype(np.uint64) + np.uint64(1)
    mixed = words * _MIX
    mixed = (mixed ^ (mixed >> np.uint64(29))) * _MIX
    group = (mixed >> np.uint64(40)).astype(np.int64) % GROUPS
    sums = np.zeros((len(texts), GROUPS), np.uint64)
    np.add.at(sums, (np.repeat(np.arange(len(texts)), lengths), group), mixed)
    first, second = sums[:, CHOICES[:, 0]], sums[:, CHOICES[:, 1]]
    keys = (first ^ (first >> np.uint64(31))) * _MIX + second
    keys = (keys ^ (keys >> np.uint64(30))) * _SALTS
    return keys ^ (keys >> np.uint64(27))
