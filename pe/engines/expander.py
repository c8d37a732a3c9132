"""Expanders: query in, N different prompts out. The protocol, and the trained T5."""

import hashlib
import re
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import jax.numpy as jnp
import numpy as np

from pe.data.features import encode_input
from pe.data.tokenizer import EOS_ID, PAD_ID, UNK_ID
from pe.decode.generate import make_generator, sample_keys
from pe.decode.sampling import SamplingConfig
from pe.prefixes import PREFIXES, check_prefix
from pe.records import Expansion
from pe.text.phrase import comparison_key
from pe.train.run import TrainedModel

BATCH_QUERIES = 16
MAX_ROUNDS = 4  # how often the whole set is drawn again while two of its texts are the same
_PHRASE_END = re.compile(r"[,.;:!?|](?=\s)")


@runtime_checkable
class Expander(Protocol):
    """Anything that expands queries."""

    def expand(
        self,
        queries: Sequence[str],
        n: int,
        *,
        prefix: str = "",
        seed: int = 0,
        sampling: SamplingConfig,
    ) -> list[list[Expansion]]:
        """Return n expansions of every query, in order; the same request gives the same texts."""
        ...


class T5Expander:
    """A trained run as an expander."""

    def __init__(self, model: TrainedModel):
        self.model = model
        self._generate = make_generator(model.graph)
        ids = np.arange(model.config.model.vocab_size)
        banned = (ids == PAD_ID) | (ids == UNK_ID) | (ids >= model.vocabulary.size)
        codes = [model.vocabulary.encode(prefix) for prefix in PREFIXES]
        banned[[code[0] for code in codes if len(code) == 1]] = True  # pieces of our own: no text
        self._banned = jnp.asarray(banned)

    def expand(
        self,
        queries: Sequence[str],
        n: int,
        *,
        prefix: str = "",
        seed: int = 0,
        sampling: SamplingConfig,
    ) -> list[list[Expansion]]:
        """Return n expansions of every query, different from it and from each other.

        A text that comes twice, or only says the query again, is drawn anew with the next sample
        numbers, up to 4 times; at temperature 0, and where the model has only one thing to say,
        such texts remain.

        Raises ValueError for n < 1, an unknown prefix, an empty query, or one that is longer than
        what the model was trained to read.
        """
        if n < 1:
            raise ValueError(f"n: got {n}, expected 1 or more expansions a query")
        check_prefix(prefix)
        queries = [" ".join(query.split()) for query in queries]
        rows = [self._encode(query, prefix) for query in queries]
        results: list[list[Expansion]] = []
        for start in range(0, len(rows), BATCH_QUERIES):
            batch = slice(start, start + BATCH_QUERIES)
            results += self._expand_batch(queries[batch], rows[batch], n, prefix, seed, sampling)
        return results

    def _encode(self, query: str, prefix: str) -> np.ndarray:
        if any("\ud800" <= character <= "\udfff" for character in query):
            raise ValueError(f"the query {query!a} is not valid UTF-8 text; retype or re-encode it")
        if not query:
            raise ValueError("the query is empty; expected a few words to expand")
        longest = self.model.config.data.lengths.inputs
        ids, _ = encode_input(query, prefix, self.model.vocabulary, max_length=10**9)
        if len(ids) > longest:
            raise ValueError(
                f"the query has {len(ids) - 1} tokens ({len(query):,} characters) and this model "
                f"reads at most {longest - 1}; shorten it"
            )
        return ids

    def _expand_batch(
        self,
        queries: Sequence[str],
        rows: Sequence[np.ndarray],
        n: int,
        prefix: str,
        seed: int,
        sampling: SamplingConfig,
    ) -> list[list[Expansion]]:
        num_rows = 1 if len(rows) == 1 else BATCH_QUERIES  # two shapes, each compiled once
        found: list[dict[str, Expansion]] = [{} for _ in rows]
        spare: list[list[Expansion]] = [[] for _ in rows]
        for attempt in range(1 if sampling.temperature == 0.0 else MAX_ROUNDS):
            waiting = [i for i in range(len(rows)) if len(found[i]) < n]
            if not waiting:
                break
            ks = range(attempt * n, (attempt + 1) * n)
            seeds = [request_seed(seed, prefix, queries[i]) for i in waiting]
            chosen = [rows[i] for i in waiting]
            drawn = self._draw(chosen, ks, seeds, sampling, num_rows=num_rows)
            for i, samples in zip(waiting, drawn, strict=True):
                for text, logprob, num_tokens in samples:
                    expansion = Expansion(
                        query=queries[i],
                        prefix=prefix,
                        text=text,
                        seed=seed,
                        logprob=logprob,
                        num_tokens=num_tokens,
                        model=self.model.name,
                    )
                    spare[i].append(expansion)
                    key = comparison_key(text)
                    if key and key != comparison_key(queries[i]) and len(found[i]) < n:
                        found[i].setdefault(key, expansion)
        filled = zip(found, spare, strict=True)
        return [[*texts.values(), *rest[: n - len(texts)]] for texts, rest in filled]

    def _draw(
        self,
        rows: Sequence[np.ndarray],
        ks: range,
        seeds: Sequence[int],
        sampling: SamplingConfig,
        *,
        num_rows: int,
    ) -> list[list[tuple[str, float, int]]]:
        length = self.model.config.data.lengths.inputs
        inputs = np.full((num_rows, length), PAD_ID, np.int32)
        segments = np.zeros((num_rows, length), np.int32)
        row_seeds = np.zeros(num_rows, np.int32)
        row_seeds[: len(rows)] = seeds
        for i, row in enumerate(rows):
            inputs[i, : len(row)] = row
            segments[i, : len(row)] = 1
        tokens, logprobs = self._generate(
            self.model.params,
            inputs,
            segments,
            sample_keys(jnp.asarray(row_seeds), jnp.asarray(ks)),
            self._banned,
            jnp.float32(sampling.temperature),
            None if sampling.top_p is None else jnp.float32(sampling.top_p),
            top_k=sampling.top_k,
            max_tokens=sampling.max_tokens,
        )
        samples = zip(np.asarray(tokens)[: len(rows)], np.asarray(logprobs), strict=False)
        return [
            [self._to_text(ids, float(lp)) for ids, lp in zip(row, row_logprobs, strict=True)]
            for row, row_logprobs in samples
        ]

    def _to_text(self, ids: np.ndarray, logprob: float) -> tuple[str, float, int]:
        text = self.model.vocabulary.decode(ids.tolist()).strip()
        if EOS_ID not in ids:
            text = cut_at_phrase(text)
        return text, logprob, int(np.sum(ids != PAD_ID))


def request_seed(seed: int, prefix: str, query: str) -> int:
    """Return a 31-bit seed of a request, so that two queries do not draw by the same noise."""
    digest = hashlib.blake2b(f"{seed}\0{prefix}\0{query}".encode(), digest_size=4).digest()
    return int.from_bytes(digest, "little") & 0x7FFFFFFF


def cut_at_phrase(text: str) -> str:
    """Cut a text that ran out of tokens at its last phrase end, or else before its last word.

    Example:
      text                            returns
      a boat, oil on canvas, dramati  a boat, oil on canvas
      a small red boat on a l         a small red boat on a
      boat                            boat
    """
    ends = [match.start() for match in _PHRASE_END.finditer(text)]
    if ends and ends[-1] >= len(text) // 3:
        return text[: ends[-1]]
    return text.rpartition(" ")[0] or text
