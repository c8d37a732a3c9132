"""Chains of expansions: each step expands what the step before made."""

import pytest

from pe.decode.sampling import SamplingConfig
from pe.engines.multi_step import expand_steps
from pe.records import Expansion


class Adder:
    """Adds a letter a step, told by the seed; reads texts of eight characters at most."""

    def __init__(self):
        self.asked: list[tuple[tuple[str, ...], int, str, int]] = []

    def expand(self, queries, n, *, prefix="", seed=0, sampling):
        self.asked.append((tuple(queries), n, prefix, seed))
        return [[self._add(query, prefix, seed, k) for k in range(n)] for query in queries]

    def _add(self, query, prefix, seed, k):
        text = f"{query} {chr(97 + seed)}{k}"
        return Expansion(query=query, prefix=prefix, text=text, seed=seed, logprob=None,
                         num_tokens=1, model="adder", number=k)  # fmt: skip

    def can_read(self, query, prefix=""):
        return len(query) <= 8


def texts(chains):
    return [[[e.text for e in chain] for chain in of_query] for of_query in chains]


def test_each_step_expands_the_one_before_by_a_seed_of_its_own():
    adder = Adder()
    found = expand_steps(
        adder, ["x", "y"], 2, 3, prefix="DTL", later_prefix="MSTP", sampling=SamplingConfig()
    )
    assert texts(found) == [
        [["x a0", "x a0 b0", "x a0 b0 c0"], ["x a1", "x a1 b0", "x a1 b0 c0"]],
        [["y a0", "y a0 b0", "y a0 b0 c0"], ["y a1", "y a1 b0", "y a1 b0 c0"]],
    ]
    assert [asked[1:] for asked in adder.asked] == [(2, "DTL", 0), (1, "MSTP", 1), (1, "MSTP", 2)]


def test_a_chain_ends_where_its_text_is_too_long_to_be_read():
    adder = Adder()
    (of_query,) = expand_steps(adder, ["abc"], 1, 5, sampling=SamplingConfig())
    assert [e.text for e in of_query[0]] == ["abc a0", "abc a0 b0"]
    assert len(adder.asked) == 2


def test_one_step_is_an_expansion_and_less_is_refused():
    (of_query,) = expand_steps(Adder(), ["x"], 3, 1, sampling=SamplingConfig())
    assert [len(chain) for chain in of_query] == [1, 1, 1]
    with pytest.raises(ValueError, match=r"steps: got 0, expected 1 or more"):
        expand_steps(Adder(), ["x"], 1, 0, sampling=SamplingConfig())
