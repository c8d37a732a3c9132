"""Expanders: query in, N different prompts out. The protocol, and the trained T5."""

import dataclasses
import functools
import hashlib
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, runtime_checkable

import jax.numpy as jnp
import numpy as np

from pe.data.tokenizer import EOS_ID, PAD_ID
from pe.decode.beam import BeamConfig, make_beam_search
from pe.decode.budget import drop_unfinished, ends_at_phrase, fit_to_budget
from pe.decode.generate import Drawn, Generator, Request, Writer, pad_input
from pe.decode.phrase_ban import PhraseBan, compile_ban
from pe.decode.sampling import SamplingConfig
from pe.decode.select import choose_diverse
from pe.decode.target_tokenizer import Target
from pe.engines.model import ExpanderModel, ModelInput
from pe.prefixes import check_prefix
from pe.records import Expansion
from pe.text.phrase import comparison_key

BATCH_QUERIES = 16
MIN_DRAWS, DRAWS_PER_TEXT = 32, 4  # a query's draws until doubled texts are let through
Embed = Callable[[Sequence[str]], np.ndarray]


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

    def can_read(self, query: str, prefix: str = "") -> bool:
        """Tell whether a text is one that can be expanded: not empty, and not too long."""
        ...


class T5Expander:
    """A trained T5 as an expander.

    `target` is the text encoder that is to read the prompts: each text then ends with the last
    whole phrase that fits its budget. `writer` draws the tokens; by default the model itself does,
    in JAX.
    """

    def __init__(
        self,
        model: ModelInput,
        *,
        target: Target | None = None,
        writer: Writer | None = None,
    ):
        self.model = model
        self.target = target
        self._forbidden = model.forbidden()
        if writer is None:
            if not isinstance(model, ExpanderModel):
                raise TypeError("a model that is not in memory needs a writer of its own")
            writer = Generator(model.graph, model.params, forbidden=self._forbidden)
        self._writer = writer
        self._compile_ban = functools.lru_cache(maxsize=8)(self._make_ban)

    def expand(
        self,
        queries: Sequence[str],
        n: int,
        *,
        prefix: str = "",
        seed: int = 0,
        sampling: SamplingConfig,
        candidates: int | None = None,
        embed: Embed | None = None,
    ) -> list[list[Expansion]]:
        """Return n expansions of every query, different from it and from each other.

        A text that comes twice, only says the query again, or would have to be cut inside a phrase
        is drawn anew with the next sample numbers; at temperature 0, and where the model has only
        one thing to say, such texts remain.
        With `candidates`, so many are drawn and the n that differ most are chosen: by the variance
        of `embed`'s unit-norm rows [K E], or by their words and phrases without it.

        Raises ValueError for n < 1, candidates < n, an unknown prefix, an empty query, or one that
        is longer than what the model was trained to read.
        """
        wanted = count_wanted(n, candidates)
        queries = [" ".join(query.split()) for query in queries]
        rows = [self.model.encode(query, prefix) for query in queries]
        results: list[list[Expansion]] = []
        for start in range(0, len(rows), BATCH_QUERIES):
            batch = slice(start, start + BATCH_QUERIES)
            found = self._expand_batch(queries[batch], rows[batch], wanted, prefix, seed, sampling)
            results += [choose_expansions(texts, n, embed=embed) for texts in found]
        return results

    def can_read(self, query: str, prefix: str = "") -> bool:
        """Tell whether a text is not empty, and no longer than what the model was trained to read.

        Raises ValueError for an unknown prefix.
        """
        check_prefix(prefix)
        try:
            self.model.encode(" ".join(query.split()), prefix)
        except ValueError:
            return False
        return True

    def stream(
        self,
        query: str,
        n: int,
        *,
        prefix: str = "",
        seed: int = 0,
        sampling: SamplingConfig,
    ) -> Iterator[tuple[int, str]]:
        """Yield (which of the n texts, its next piece) while they are being written.

        The pieces of a text joined are the text of its sample number: what `expand` gives, but that
        nothing is drawn anew. A piece ends with a whole phrase, since the rest may still be cut.

        Raises as `expand` does, and for more texts than are drawn at once.
        """
        if n < 1:
            raise ValueError(f"n: got {n}, expected 1 or more expansions a query")
        if not isinstance(self._writer, Generator):
            raise ValueError("this runtime gives whole texts only; stream with the default runtime")
        query = " ".join(query.split())
        request = Request(
            inputs=self.model.encode(query, prefix),
            seed=request_seed(seed, prefix, query),
            numbers=range(n),
        )
        told = [""] * n
        chunks = self._writer.stream(request, sampling, ban=self._compile_ban(sampling.ban))
        for last, drawn in _mark_last(chunks):
            for k, text in enumerate(drawn):
                is_over = last or EOS_ID in text.tokens
                now = self._finish(text)[0] if is_over else self._whole_phrases(text)
                if len(now) > len(told[k]) and now.startswith(told[k]):
                    yield k, now[len(told[k]) :]
                    told[k] = now

    def search_beams(
        self,
        query: str,
        n: int,
        *,
        prefix: str = "",
        beams: BeamConfig,
        ban: Sequence[str] = (),
    ) -> list[Expansion]:
        """Return the n best of a beam search, for comparison: beams differ little.

        Where texts are cut at a phrase, two may even become the same.
        """
        if not isinstance(self.model, ExpanderModel):
            raise ValueError("beam search runs in the default runtime only")
        if not 1 <= n <= beams.num_beams:
            raise ValueError(f"n: got {n}, expected 1 to {beams.num_beams}, the number of beams")
        query = " ".join(query.split())
        inputs, segments = pad_input(self.model.encode(query, prefix))
        forbidden = jnp.asarray(self._forbidden)
        phrases = self._compile_ban(tuple(ban))
        tokens, scores = self._beam_search(
            self.model.params, inputs, segments, forbidden, phrases, config=beams
        )
        found = []
        for row, score in zip(np.asarray(tokens)[0, :n], np.asarray(scores)[0, :n], strict=True):
            written = row[row != PAD_ID]
            logprob = float(score * beams.penalty(jnp.int32(len(written))))
            drawn = Drawn(tokens=written, logprob=logprob)
            found.append(self._to_expansion(drawn, query, prefix, 0)[0])
        return found

    @functools.cached_property
    def _beam_search(self) -> Callable:
        assert isinstance(self.model, ExpanderModel)
        return make_beam_search(self.model.graph)

    def _make_ban(self, phrases: tuple[str, ...]) -> PhraseBan | None:
        if not phrases:
            return None
        return compile_ban(phrases, self.model.vocabulary, vocab_size=self.model.vocab_size)

    def _expand_batch(
        self,
        queries: Sequence[str],
        rows: Sequence[np.ndarray],
        wanted: int,
        prefix: str,
        seed: int,
        sampling: SamplingConfig,
    ) -> list[list[Expansion]]:
        found: list[dict[str, Expansion]] = [{} for _ in rows]
        spare: list[list[Expansion]] = [[] for _ in rows]
        seeds = [request_seed(seed, prefix, query) for query in queries]
        most = max(MIN_DRAWS, DRAWS_PER_TEXT * wanted)
        if sampling.temperature == 0.0:
            most = wanted
        next_number = [0] * len(rows)
        while True:
            waiting = [
                i for i in range(len(rows)) if len(found[i]) < wanted and next_number[i] < most
            ]
            if not waiting:
                break
            requests = []
            for i in waiting:
                end = min(most, next_number[i] + wanted - len(found[i]))
                numbers = range(next_number[i], end)
                requests.append(Request(inputs=rows[i], seed=seeds[i], numbers=numbers))
                next_number[i] = end
            drawn = self._writer.draw(requests, sampling, ban=self._compile_ban(sampling.ban))
            for i, texts in zip(waiting, drawn, strict=True):
                for text in texts:
                    expansion, is_whole = self._to_expansion(text, queries[i], prefix, seed)
                    key = comparison_key(expansion.text) if is_whole else ""
                    if key and key != comparison_key(queries[i]) and key not in found[i]:
                        found[i][key] = expansion
                    else:
                        spare[i].append(expansion)
        filled = zip(found, spare, strict=True)
        return [[*texts.values(), *rest[: wanted - len(texts)]] for texts, rest in filled]

    def _to_expansion(
        self, drawn: Drawn, query: str, prefix: str, seed: int
    ) -> tuple[Expansion, bool]:
        text, is_whole = self._finish(drawn)
        expansion = Expansion(
            query=query,
            prefix=prefix,
            text=text,
            seed=seed,
            logprob=drawn.logprob,
            num_tokens=len(drawn.tokens),
            model=self.model.name,
        )
        return expansion, is_whole

    def _finish(self, drawn: Drawn) -> tuple[str, bool]:
        """Decode; cut what was not written to its end, and what the target has no room for.

        Returns the text, and whether it ends where a phrase does.
        """
        written = self.model.decode(drawn.tokens)
        text = written if EOS_ID in drawn.tokens else drop_unfinished(written)
        is_whole = ends_at_phrase(text, written)
        if self.target is None:
            return text, is_whole
        fitted = fit_to_budget(text, self.target.count, self.target.budget)
        return fitted.text, is_whole and fitted.whole_phrases

    def _whole_phrases(self, drawn: Drawn) -> str:
        """Return what of a text that is still being written can no longer change."""
        text = self.model.decode(drawn.tokens)
        kept = drop_unfinished(text)
        has_phrase = len(kept) < len(text) and text[len(kept)] in ",.;:!?|"
        if not has_phrase or self.target is None:
            return kept if has_phrase else ""
        return fit_to_budget(kept, self.target.count, self.target.budget).text


def _mark_last(chunks: Iterator[list[Drawn]]) -> Iterator[tuple[bool, list[Drawn]]]:
    before: list[Drawn] | None = None
    for chunk in chunks:
        if before is not None:
            yield False, before
        before = chunk
    if before is not None:
        yield True, before


def count_wanted(n: int, candidates: int | None) -> int:
    """Return how many texts are drawn for n of them. Raises ValueError for what makes no sense."""
    wanted = n if candidates is None else candidates
    if n < 1:
        raise ValueError(f"n: got {n}, expected 1 or more expansions a query")
    if wanted < n:
        raise ValueError(f"candidates: got {wanted}, expected {n} (n) or more")
    return wanted


def choose_expansions(
    expansions: Sequence[Expansion], n: int, *, embed: Embed | None = None
) -> list[Expansion]:
    """Return the n expansions whose texts differ most, in the order they came, numbered."""
    chosen = range(n)
    if len(expansions) != n:
        chosen = choose_diverse([expansion.text for expansion in expansions], n, embed=embed)
    return [dataclasses.replace(expansions[i], number=k) for k, i in enumerate(chosen)]


def request_seed(seed: int, prefix: str, query: str) -> int:
    """Return a 31-bit seed of a request, so that two queries do not draw by the same noise."""
    digest = hashlib.blake2b(f"{seed}\0{prefix}\0{query}".encode(), digest_size=4).digest()
    return int.from_bytes(digest, "little") & 0x7FFFFFFF
