"""Inversion -> queries by a language model: one row a kind, asked, checked, asked again, dropped.

Three stages. `QueryTaskStage` gives every inversion a row for each kind, so that a kind that fails
is counted by itself and shifts no other. `LlmQueryStage` answers a row: whatever it is made of is
asked for first, by the same request as that kind's own row, which the session answers once.
`DistinctQueryStage` drops a query that another kind of the same inversion has already.
"""

import dataclasses
import functools
import hashlib
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import pyarrow as pa

from data_builders.query_check import PromptWords, check_query
from data_builders.query_request import FIELD, KindRequest, LlmQueryConfig, make_kind_requests
from data_builders.querying import name_kind
from pe.engines.engine_error import RequestError
from pe.engines.llm import LlmRequest
from pe.engines.llm_session import LlmSession
from pe.records import Inversion, Query, QueryTask, Record
from pe.stages.stage import Drop, Result
from pe.text.answer import Refused, read_answer
from pe.text.few_shot import PROMPT
from pe.text.orders import gives_orders
from pe.text.phrase import comparison_key


class QueryTaskStage:
    """Inversion -> a task for each kind, or one that holds the query that came with it."""

    NAME: ClassVar[str] = "tasks"
    VERSION: ClassVar[str] = "1"
    INPUT: ClassVar[str] = "inversion"
    OUTPUT: ClassVar[type[Record]] = QueryTask
    ORDERED: ClassVar[bool] = False

    def __init__(self, config: LlmQueryConfig):
        self.config = config

    def __call__(self, table: pa.Table) -> list[Result]:
        inversions = table["inversion"].to_pylist()
        images = table["image"].to_pylist()
        return [
            self.tasks(inversion["id"], inversion["prompt"], image["given_query"])
            for inversion, image in zip(inversions, images, strict=True)
        ]

    def tasks(self, inversion_id: str, prompt: str, given_query: str | None) -> Result:
        """Make the tasks of one inversion."""
        if given_query is not None:
            text = " ".join(given_query.split())
            config = self.config
            kind = name_kind(text, short=config.short_words, medium=config.medium_words)
            return (QueryTask(inversion_id=inversion_id, kind=kind, given_query=text),)
        if len(prompt) > self.config.max_prompt_chars:
            return Drop("prompt_too_long")
        if gives_orders(prompt):
            return Drop("prompt_gives_orders")
        return tuple(QueryTask(inversion_id=inversion_id, kind=kind) for kind in self.config.kinds)


@dataclasses.dataclass(frozen=True, kw_only=True)
class LlmQueryKey:
    """What the queries of a language model depend on; where it is served is no part of it."""

    query: LlmQueryConfig
    model: str
    temperature: float
    max_tokens: int
    conversations: Mapping[str, str]  # a hash of each: definitions and examples


class LlmQueryStage:
    """Task -> the query that a language model gives for its inversion's prompt."""

    NAME: ClassVar[str] = "queries"
    VERSION: ClassVar[str] = "1"
    INPUT: ClassVar[str] = "querytask"
    OUTPUT: ClassVar[type[Record]] = Query
    ORDERED: ClassVar[bool] = False
    is_central = True

    def __init__(
        self,
        config: LlmQueryConfig,
        *,
        model: str,
        temperature: float,
        max_tokens: int,
        make_session: Callable[[], LlmSession],
    ):
        self._requests = make_kind_requests(config)
        self.config = LlmQueryKey(
            query=config,
            model=model,
            temperature=temperature,
            max_tokens=max_tokens,
            conversations={
                kind: request.conversation.digest.hex() for kind, request in self._requests.items()
            },
        )
        self._make_session = make_session
        self._session: LlmSession | None = None
        self._prompt_words = functools.lru_cache(maxsize=4096)(PromptWords.of)

    def open(self) -> None:
        """Reach or load the model. Raises UnavailableError or ValueError."""
        self._session = self._make_session()

    def close(self) -> None:
        """Let the model go."""
        if self._session is not None:
            self._session.close()
            self._session = None

    def status(self) -> str:
        """Say what the model has done so far."""
        return "" if self._session is None else self._session.llm.usage.describe()

    def __call__(self, table: pa.Table) -> list[Result]:
        assert self._session is not None, "open() comes first"
        tasks = table["querytask"].to_pylist()
        inversions = (Inversion.from_row(row) for row in table["inversion"].to_pylist())
        return self._session.map(self._result, list(zip(tasks, inversions, strict=True)))

    async def _result(self, row: tuple[dict[str, Any], Inversion]) -> Result:
        task, inversion = row
        if task["given_query"] is not None:
            text, method = task["given_query"], "given"
        else:
            text = await self._query(task["kind"], inversion.prompt)
            method = self.config.model
        if isinstance(text, Refused):
            return Drop(text.reason)
        return (Query(inversion_id=inversion.id, kind=task["kind"], text=text, method=method),)

    async def _query(self, kind: str, prompt: str) -> str | Refused:
        """Return a prompt's query of a kind, or why there is none."""
        request = self._requests[kind]
        material = prompt
        if request.asked != PROMPT:
            found = await self._query(request.asked, prompt)
            if isinstance(found, Refused):
                return Refused(f"no_{request.asked}")
            material = found
        refused = Refused("empty")
        for number in range(self.config.query.max_answers):
            try:
                answer = await self._ask(request, prompt, material, number)
            except RequestError as failure:
                return Refused(f"llm_{failure.reason}")
            if not isinstance(answer, Refused):
                return answer
            refused = answer
        return refused

    async def _ask(
        self, request: KindRequest, prompt: str, material: str, number: int
    ) -> str | Refused:
        assert self._session is not None
        completion = await self._session.complete(
            LlmRequest(
                conversation=request.conversation,
                asked=request.asked,
                answered=FIELD,
                text=material,
                temperature=self.config.temperature,
                max_tokens=self.config.max_tokens,
                seed=answer_seed(request.kind, prompt, number),
            )
        )
        if not completion.is_whole:
            return Refused("unfinished")
        text = read_answer(completion.text, FIELD)
        if isinstance(text, Refused):
            return text
        text = tidy_query(text)
        refused = check_query(
            text,
            self._prompt_words(prompt),
            words=self.config.query.words(request.kind),
            min_share=self.config.query.share(request.kind),
            examples=request.examples,
        )
        return refused or text


def answer_seed(kind: str, prompt: str, number: int) -> int:
    """Return the 31-bit seed of an answer: another for each kind, prompt and asking."""
    digest = hashlib.blake2b(f"{kind}\0{number}\0{prompt}".encode(), digest_size=4).digest()
    return int.from_bytes(digest, "little") & 0x7FFFFFFF


def tidy_query(text: str) -> str:
    """Join white space and take off the full stop: "A red fox. "  ->  "A red fox"."""
    text = " ".join(text.split())
    return text[:-1].rstrip() if text.endswith(".") and not text.endswith("..") else text


class DistinctQueryStage:
    """Query -> itself, unless another kind of its inversion said the same before it.

    The rows of an inversion follow each other, so that only the last one's are remembered.
    """

    NAME: ClassVar[str] = "distinct"
    VERSION: ClassVar[str] = "1"
    INPUT: ClassVar[str] = "query"
    OUTPUT: ClassVar[type[Record]] = Query
    ORDERED: ClassVar[bool] = True

    def __init__(self) -> None:
        self.config = DistinctQueryKey()
        self._inversion = ""
        self._kinds: dict[str, str] = {}

    def __call__(self, table: pa.Table) -> list[Result]:
        queries = [Query.from_row(row) for row in table["query"].to_pylist()]
        return [self._check(query) for query in queries]

    def _check(self, query: Query) -> Result:
        if query.inversion_id != self._inversion:
            self._inversion, self._kinds = query.inversion_id, {}
        key = comparison_key(query.text)
        if key in self._kinds:
            return Drop(f"same_as_{self._kinds[key]}")
        self._kinds[key] = query.kind
        return (query,)


@dataclasses.dataclass(frozen=True)
class DistinctQueryKey:
    """It has no settings."""
