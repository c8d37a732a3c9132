"""Draw texts from a T5: the encoder runs once a query, the decoder keeps its keys and values.

The unit is a row: one text of one query. Rows are decoded in blocks whose shapes come from a few
buckets, so that little is compiled; what a row draws depends on its own seed and number alone, and
not even its rounding depends on the block. On a CPU float32 products give a row the same bits for 2
to 16 rows, but sums do not (measured 2026-11-20); so blocks have 2, 4 or 8 rows, and what sums over
few elements runs on 8. In bfloat16, and elsewhere, all blocks have one size. Knows tokens only.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from pe.axes import Array, Bool, Float, Int, Key
from pe.data.tokenizer import EOS_ID, PAD_ID
from pe.decode.phrase_ban import PhraseBan, advance_ban, banned_tokens
from pe.decode.sampling import (
    SamplingArrays,
    SamplingConfig,
    penalize_repetition,
    sample_tokens,
    to_arrays,
    wide_rows,
)
from pe.models.layers import NEGATIVE, on_rows
from pe.models.t5 import T5, DecoderCache, Encoding, with_output_table

INPUT_BUCKETS = (16, 32, 64, 128, 256, 512, 1024, 2048)
CACHE_BUCKET = 64
CPU_ROWS = {"float32": (2, 4, 8), "bfloat16": (8,)}
DEVICE_ROWS = (64,)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Request:
    """Texts to draw of one input: its token ids, the seed, and the numbers of the samples.

    A text depends on (input, seed, number) alone.
    """

    inputs: np.ndarray
    seed: int
    numbers: Sequence[int]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """One text of a request."""

    inputs: np.ndarray
    seed: int
    number: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Drawn:
    """A row's tokens, the end token among them if it was reached, and their log-probability (nats).

    The log-probability is that of the text under the model without its banned tokens, at
    temperature 1, whatever the sampling options: that is what two texts can be compared by.
    """

    tokens: np.ndarray
    logprob: float


@runtime_checkable
class Writer(Protocol):
    """A runtime that draws texts."""

    def draw(
        self,
        requests: Sequence[Request],
        sampling: SamplingConfig,
        *,
        ban: PhraseBan | None = None,
    ) -> list[list[Drawn]]:
        """Draw every text to its end or to `max_tokens`; returns them as they were asked for."""
        ...


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class DecodeState:
    """Where a block stands between two steps."""

    position: Int[Array, ""]
    last: Int[Array, " B"]
    tokens: Int[Array, "B T"]
    logprob: Float[Array, " B"]
    done: Bool[Array, " B"]
    cache: DecoderCache
    seen: Bool[Array, "B V"] | None
    ban_state: Int[Array, " B"] | None


def row_keys(seeds: Int[Array, " B"], numbers: Int[Array, " B"]) -> Key[Array, " B"]:
    """Return the key of each row: that of its seed, folded with its number."""
    return jax.vmap(lambda seed, k: jax.random.fold_in(jax.random.key(seed), k))(seeds, numbers)


def advance(
    model: T5,
    encoding: Encoding,
    state: DecodeState,
    keys: Key[Array, " B"],
    forbidden: Bool[Array, " V"],
    options: SamplingArrays,
    ban: PhraseBan | None,
    *,
    min_rows: int,
) -> DecodeState:
    """Draw the next token of every row that goes on."""
    logits, cache = model.decode_step(
        state.last, state.cache, state.position, encoding, min_rows=min_rows
    )
    logits = jnp.where(forbidden, NEGATIVE, logits)
    if ban is not None and state.ban_state is not None:
        hits = banned_tokens(ban, state.ban_state, logits.shape[-1])
        logits = jnp.where(hits, NEGATIVE, logits)
    adjusted = logits
    if options.repetition_penalty is not None and state.seen is not None:
        adjusted = penalize_repetition(logits, state.seen, options.repetition_penalty)
        adjusted = jnp.where(logits <= NEGATIVE, NEGATIVE, adjusted)
    step_keys = jax.vmap(jax.random.fold_in, in_axes=(0, None))(keys, state.position)
    drawn = sample_tokens(adjusted, step_keys, options, min_rows=min_rows)
    drawn = jnp.where(state.done, PAD_ID, drawn)
    chosen = jnp.take_along_axis(logits, drawn[:, None], axis=1)[:, 0]
    log_sum = functools.partial(jax.nn.logsumexp, axis=-1)
    logprob = chosen - on_rows(log_sum, logits, wide_rows(logits, min_rows))
    rows = jnp.arange(drawn.shape[0])
    return DecodeState(
        position=state.position + 1,
        last=drawn,
        tokens=jax.lax.dynamic_update_slice(state.tokens, drawn[:, None], (0, state.position)),
        logprob=state.logprob + jnp.where(state.done, 0.0, logprob),
        done=state.done | (drawn == EOS_ID),
        cache=cache,
        seen=None if state.seen is None else state.seen.at[rows, drawn].set(True),
        ban_state=None
        if ban is None or state.ban_state is None
        else advance_ban(ban, state.ban_state, drawn),
    )


class Generator:
    """A T5 that writes: encodes queries, draws rows in blocks, all of them or step by step.

    `forbidden` [V] says which tokens are never written (padding, the unknown token, ids without a
    piece). `row_buckets` sets the sizes of a block.
    """

    def __init__(
        self,
        graph: nnx.GraphDef,
        params: nnx.State,
        *,
        forbidden: np.ndarray,
        row_buckets: Sequence[int] | None = None,
    ):
        if row_buckets is None:
            dtype = nnx.merge(graph, params).config.dtype
            row_buckets = CPU_ROWS[dtype] if jax.default_backend() == "cpu" else DEVICE_ROWS
        self.row_buckets = tuple(sorted(row_buckets))
        if jax.default_backend() == "cpu":
            graph, params = with_output_table(graph, params)
        self._params = params
        self._forbidden = jnp.asarray(forbidden)
        self._encode, self._start, self._run = _compiled(graph, min_rows=self.row_buckets[-1])

    def draw(
        self,
        requests: Sequence[Request],
        sampling: SamplingConfig,
        *,
        ban: PhraseBan | None = None,
    ) -> list[list[Drawn]]:
        """Draw every text to its end or to `max_tokens`; returns them as they were asked for."""
        rows = _list_rows(requests)
        results: dict[int, Drawn] = {}
        for indices in self._plan(rows):
            *_, last = self._decode([rows[i] for i in indices], sampling, ban, chunk_tokens=None)
            results.update(zip(indices, last, strict=True))
        drawn = iter(results[i] for i in range(len(rows)))
        return [[next(drawn) for _ in request.numbers] for request in requests]

    def stream(
        self,
        request: Request,
        sampling: SamplingConfig,
        *,
        ban: PhraseBan | None = None,
        chunk_tokens: int = 4,
    ) -> Iterator[list[Drawn]]:
        """Yield what every text holds so far, each time `chunk_tokens` more were drawn.

        The last that comes is bit for bit that of `draw`. Raises ValueError for more texts than one
        block holds.
        """
        if len(request.numbers) > self.row_buckets[-1]:
            raise ValueError(
                f"{len(request.numbers)} texts; at most {self.row_buckets[-1]} are streamed at once"
            )
        yield from self._decode(_list_rows([request]), sampling, ban, chunk_tokens=chunk_tokens)

    def _plan(self, rows: Sequence[Row]) -> list[list[int]]:
        """Group the rows' indices into blocks, each of one input length."""
        by_length: dict[int, list[int]] = {}
        for i, row in enumerate(rows):
            by_length.setdefault(input_bucket(len(row.inputs)), []).append(i)
        size = self.row_buckets[-1]
        return [
            indices[start : start + size]
            for _, indices in sorted(by_length.items())
            for start in range(0, len(indices), size)
        ]

    def _decode(
        self,
        rows: Sequence[Row],
        sampling: SamplingConfig,
        ban: PhraseBan | None,
        *,
        chunk_tokens: int | None,
    ) -> Iterator[list[Drawn]]:
        num_rows = next(size for size in self.row_buckets if size >= len(rows))
        fillers = [rows[-1]] * (num_rows - len(rows))
        encodings = self._encode_rows([*rows, *fillers])
        cache_tokens = -(-sampling.max_tokens // CACHE_BUCKET) * CACHE_BUCKET
        state = self._start(
            self._params,
            jnp.arange(num_rows) >= len(rows),
            cache_tokens=cache_tokens,
            penalize=sampling.repetition_penalty is not None,
            start_ban=None if ban is None else ban.start,
        )
        seeds = jnp.asarray([row.seed for row in (*rows, *fillers)], jnp.int32)
        numbers = jnp.asarray([row.number for row in (*rows, *fillers)], jnp.int32)
        options = to_arrays(sampling)
        for until in _stops(sampling.max_tokens, chunk_tokens):
            state = self._run(
                self._params,
                encodings,
                state,
                seeds,
                numbers,
                self._forbidden,
                options,
                ban,
                jnp.int32(until),
            )
            yield _read_state(state, len(rows))
            if chunk_tokens is not None and bool(jnp.all(state.done)):
                return

    def _encode_rows(self, rows: Sequence[Row]) -> tuple[Encoding, ...]:
        """Encode each different input once, always one at a time: its rounding is its own."""
        found: dict[bytes, Encoding] = {}
        for row in rows:
            key = row.inputs.tobytes()
            if key not in found:
                found[key] = self._encode(self._params, *pad_input(row.inputs))
        return tuple(found[row.inputs.tobytes()] for row in rows)


def _list_rows(requests: Sequence[Request]) -> list[Row]:
    return [
        Row(inputs=request.inputs, seed=request.seed, number=number)
        for request in requests
        for number in request.numbers
    ]


def input_bucket(num_tokens: int) -> int:
    """Return the padded length of an input.

    Raises ValueError for one that is longer than the largest bucket.
    """
    for size in INPUT_BUCKETS:
        if num_tokens <= size:
            return size
    raise ValueError(f"an input of {num_tokens} tokens; at most {INPUT_BUCKETS[-1]} can be read")


def pad_input(ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pad one input to its bucket; returns inputs and segment ids, [1 S] each."""
    inputs = np.full((1, input_bucket(len(ids))), PAD_ID, np.int32)
    inputs[0, : len(ids)] = ids
    segments = np.zeros_like(inputs)
    segments[0, : len(ids)] = 1
    return inputs, segments


def _stops(max_tokens: int, chunk_tokens: int | None) -> list[int]:
    chunk = chunk_tokens or max_tokens
    return [min(stop, max_tokens) for stop in range(chunk, max_tokens + chunk, chunk)]


def _read_state(state: DecodeState, num_rows: int) -> list[Drawn]:
    tokens, logprobs = np.asarray(state.tokens), np.asarray(state.logprob)
    return [
        Drawn(tokens=row[row != PAD_ID], logprob=float(logprob))
        for row, logprob in zip(tokens[:num_rows], logprobs[:num_rows], strict=True)
    ]


def _stack_rows(encodings: Sequence[Encoding]) -> Encoding:
    return Encoding(
        keys=jnp.concatenate([encoding.keys for encoding in encodings], axis=1),
        values=jnp.concatenate([encoding.values for encoding in encodings], axis=1),
        mask=jnp.concatenate([encoding.mask for encoding in encodings]),
    )


def _compiled(graph: nnx.GraphDef, *, min_rows: int) -> tuple[Callable, Callable, Callable]:
    """Make the three jitted parts: encode a query, lay out a block, decode it to a position."""

    @jax.jit
    def encode(params: nnx.State, inputs: Array, segments: Array) -> Encoding:
        return nnx.merge(graph, params).encode_for_decoding(inputs, segments)

    @functools.partial(jax.jit, static_argnames=("cache_tokens", "penalize"))
    def start(
        params: nnx.State,
        done: Bool[Array, " B"],
        *,
        cache_tokens: int,
        penalize: bool,
        start_ban: Int[Array, ""] | None,
    ) -> DecodeState:
        model = nnx.merge(graph, params)
        num_rows = done.shape[0]
        return DecodeState(
            position=jnp.int32(0),
            last=jnp.full((num_rows,), PAD_ID, jnp.int32),
            tokens=jnp.full((num_rows, cache_tokens), PAD_ID, jnp.int32),
            logprob=jnp.zeros((num_rows,), jnp.float32),
            done=done,
            cache=model.empty_cache(num_rows, cache_tokens),
            seen=jnp.zeros((num_rows, model.config.vocab_size), bool) if penalize else None,
            ban_state=None if start_ban is None else jnp.broadcast_to(start_ban, (num_rows,)),
        )

    @functools.partial(jax.jit, donate_argnames=("state",))
    def run(
        params: nnx.State,
        encodings: tuple[Encoding, ...],
        state: DecodeState,
        seeds: Int[Array, " B"],
        numbers: Int[Array, " B"],
        forbidden: Bool[Array, " V"],
        options: SamplingArrays,
        ban: PhraseBan | None,
        until: Int[Array, ""],
    ) -> DecodeState:
        model = nnx.merge(graph, params)
        encoding = _stack_rows(encodings)
        keys = row_keys(seeds, numbers)
        return jax.lax.while_loop(
            lambda state: (state.position < until) & ~jnp.all(state.done),
            lambda state: advance(
                model, encoding, state, keys, forbidden, options, ban, min_rows=min_rows
            ),
            state,
        )

    return encode, start, run
