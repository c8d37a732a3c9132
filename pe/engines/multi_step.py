"""Expansion in steps: what was made of a query is expanded again (arXiv:2312.16720)."""

from collections.abc import Sequence

from pe.decode.sampling import SamplingConfig
from pe.engines.expander import Expander
from pe.records import Expansion

Chain = tuple[Expansion, ...]


def expand_steps(
    expander: Expander,
    queries: Sequence[str],
    n: int,
    num_steps: int,
    *,
    prefix: str = "",
    later_prefix: str = "",
    seed: int = 0,
    sampling: SamplingConfig,
) -> list[list[Chain]]:
    """Return n chains of every query: an expansion, the expansion of that, and so on.

    A chain ends early where its text is longer than the expander reads. Each step draws by a seed
    of its own; `later_prefix` is that of the second step and of all after it.

    Raises ValueError for num_steps < 1, and as the expander does for the queries themselves.
    """
    if num_steps < 1:
        raise ValueError(f"steps: got {num_steps}, expected 1 or more")
    first = expander.expand(queries, n, prefix=prefix, seed=seed, sampling=sampling)
    chains = [[[expansion] for expansion in expansions] for expansions in first]
    for step in range(1, num_steps):
        growing = [
            chain
            for of_query in chains
            for chain in of_query
            if len(chain) == step and expander.can_read(chain[-1].text, later_prefix)
        ]
        if not growing:
            break
        texts = list(dict.fromkeys(chain[-1].text for chain in growing))
        made = expander.expand(texts, 1, prefix=later_prefix, seed=seed + step, sampling=sampling)
        next_of = {text: found[0] for text, found in zip(texts, made, strict=True)}
        for chain in growing:
            chain.append(next_of[chain[-1].text])
    return [[tuple(chain) for chain in of_query] for of_query in chains]
