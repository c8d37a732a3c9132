"""FLAN-T5, or any T5, as a language model, on our own accelerator code.

Requests that come together are decoded together; what each answers depends on it alone (see
`pe.decode.generate`). Plain text goes in: T5 knows no roles (`LlmRequest.plain_text`).
"""

import asyncio
import dataclasses
from collections.abc import Callable

import numpy as np

from pe.data.tokenizer import EOS_ID
from pe.decode.generate import INPUT_BUCKETS, Generator, Request
from pe.decode.sampling import SamplingConfig
from pe.engines.engine_error import RequestError, UnavailableError
from pe.engines.llm import Completion, LlmConfig, LlmRequest, LlmUsage, identify_model
from pe.engines.model import ExpanderModel, load_model

GATHER_SECS = 0.01  # a batch waits so long for company


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class _Waiting:
    inputs: np.ndarray
    request: LlmRequest
    answer: asyncio.Future[Completion]


class T5Llm:
    """A T5 that is loaded when it is opened. `config.model` is a folder or a name on the hub."""

    def __init__(self, config: LlmConfig):
        self.config = config
        self.usage = LlmUsage()
        self._name = identify_model(config)
        self._model: ExpanderModel | None = None
        self._generator: Generator | None = None
        self._waiting: list[_Waiting] = []
        self._worker: asyncio.Task[None] | None = None
        self._came = asyncio.Event()

    @property
    def name(self) -> str:
        return self._name

    async def open(self) -> None:
        """Load the model. Raises ValueError when it is not to be had."""
        model = await asyncio.to_thread(load_model, self.config.model)
        self._model = model
        self._generator = Generator(model.graph, model.params, forbidden=model.forbidden())
        self._worker = asyncio.create_task(self._work())

    async def close(self) -> None:
        if self._worker is not None:
            self._worker.cancel()
            await asyncio.gather(self._worker, return_exceptions=True)
        self._model = self._generator = None

    async def complete(
        self, request: LlmRequest, *, before_try: Callable[[], None] = lambda: None
    ) -> Completion:
        """Answer with the next batch.

        Raises RequestError("too_long") for what cannot be read.
        """
        before_try()
        inputs = self.encode(request)
        answer = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(inputs=inputs, request=request, answer=answer))
        self._came.set()
        self.usage.num_requests += 1
        return await answer

    def encode(self, request: LlmRequest) -> np.ndarray:
        """Return the request's token ids, the end token last."""
        assert self._model is not None, "open() comes first"
        ids = [*self._model.vocabulary.encode(request.plain_text()), EOS_ID]
        if len(ids) > INPUT_BUCKETS[-1]:
            raise RequestError("too_long", f"{len(ids):,} tokens")
        return np.asarray(ids, np.int32)

    async def _work(self) -> None:
        while True:
            await self._came.wait()
            if len(self._waiting) < self.config.batch_rows:
                await asyncio.sleep(GATHER_SECS)
            self._came.clear()
            while self._waiting:
                await self._answer(self._take())

    def _take(self) -> list[_Waiting]:
        """Take the next batch: requests that are drawn alike, as many as fit."""
        first = self._waiting[0].request
        alike = [
            w
            for w in self._waiting
            if (w.request.temperature, w.request.max_tokens)
            == (first.temperature, first.max_tokens)
        ]
        batch = alike[: self.config.batch_rows]
        self._waiting = [w for w in self._waiting if w not in batch]
        return batch

    async def _answer(self, batch: list[_Waiting]) -> None:
        try:
            completions = await asyncio.to_thread(self._draw, batch)
        except Exception as error:  # of JAX: memory, a lost device
            failed = UnavailableError(f"{self.name} cannot go on: {type(error).__name__}: {error}")
            for waiting in batch:
                if not waiting.answer.done():
                    waiting.answer.set_exception(failed)
            return
        for waiting, completion in zip(batch, completions, strict=True):
            self.usage.num_tokens += completion.num_tokens
            if not waiting.answer.done():
                waiting.answer.set_result(completion)

    def _draw(self, batch: list[_Waiting]) -> list[Completion]:
        assert self._model is not None
        assert self._generator is not None
        first = batch[0].request
        sampling = SamplingConfig(temperature=first.temperature, max_tokens=first.max_tokens)
        requests = [Request(inputs=w.inputs, seed=w.request.seed, numbers=range(1)) for w in batch]
        drawn = self._generator.draw(requests, sampling)
        return [
            Completion(
                text=self._model.decode(texts[0].tokens),
                is_whole=EOS_ID in texts[0].tokens,
                num_prompt_tokens=len(waiting.inputs),
                num_new_tokens=len(texts[0].tokens),
            )
            for waiting, texts in zip(batch, drawn, strict=True)
        ]
