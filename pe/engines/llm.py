"""Language models as a protocol: messages in, one text out.

A request is a system message, examples, and what is asked; it may ask for a JSON object of one
string. Engines are `llm_server.py` (any OpenAI-compatible server) and `llm_t5.py` (our own T5);
`llm_session.py` opens one. Knows nothing about queries, prompts or what a text is for.
"""

import dataclasses
import functools
import hashlib
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

STRUCTURES = ("auto", "schema", "none")
WHEN_SPENT = ("stop", "drop")


@dataclasses.dataclass(frozen=True, kw_only=True)
class LlmConfig:
    """Which model answers, and how it is asked.

    url, model        a server's base address (http://127.0.0.1:8000/v1) and its name of the model;
                      without an address, `model` is a T5 that runs here (folder or hub name)
    structured        "schema" asks for JSON by a schema, "none" never does; "auto" tries it and
                      goes without where the server refuses it
    temperature       0 is greedy; an answer that is asked for again has a new seed
    timeout_secs      for one try, `max_tries` of which a request gets, apart `backoff_secs` doubled
                      each time, with jitter, or what Retry-After says
    budget_requests   as many are sent at most, tries that failed and earlier runs of the same build
    budget_tokens     included; `when_spent` then stops the run (what is finished is kept), or drops
                      the rows that are left
    key_variable      the environment variable that holds the server's key, if it wants one
    """

    url: str = ""
    model: str = ""
    structured: str = "auto"
    temperature: float = 0.7
    max_tokens: int = 96
    concurrency: int = 64
    timeout_secs: float = 60.0
    max_tries: int = 6
    backoff_secs: float = 0.5
    max_wait_secs: float = 60.0
    budget_requests: int | None = None
    budget_tokens: int | None = None
    when_spent: str = "stop"
    key_variable: str = "OPENAI_API_KEY"
    batch_rows: int = 16

    def __post_init__(self) -> None:
        for name, known in (("structured", STRUCTURES), ("when_spent", WHEN_SPENT)):
            if getattr(self, name) not in known:
                raise ValueError(
                    f"LlmConfig.{name}: got {getattr(self, name)!r}, expected one of {known}"
                )
        for name in ("max_tokens", "concurrency", "max_tries", "batch_rows"):
            if getattr(self, name) < 1:
                raise ValueError(f"LlmConfig.{name}: got {getattr(self, name)}, expected 1 or more")
        for name in ("timeout_secs", "max_wait_secs"):
            if getattr(self, name) <= 0:
                raise ValueError(f"LlmConfig.{name}: got {getattr(self, name)}, expected above 0")
        for name in ("temperature", "backoff_secs"):
            if getattr(self, name) < 0:
                raise ValueError(f"LlmConfig.{name}: got {getattr(self, name)}, expected 0 or more")
        for name in ("budget_requests", "budget_tokens"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"LlmConfig.{name}: got {value}, expected 1 or more, or None")
        if self.url and not self.url.startswith(("http://", "https://")):
            raise ValueError(
                f"LlmConfig.url: got {self.url!r}, expected an address such as "
                "http://127.0.0.1:8000/v1"
            )
        if self.url and not self.model:
            raise ValueError("LlmConfig.model: expected the server's name of the model with a url")


@dataclasses.dataclass(frozen=True)
class Conversation:
    """What stands before the text that is asked about: the same for many requests.

    It comes first in a request, so that a server's prefix cache holds: `rules`, then `form` (how
    messages are written: only where there are messages), then `task`. `examples` are (asked,
    answered), as `LlmRequest.text` and the answer's text would be.
    """

    rules: str
    form: str = ""
    task: str = ""
    examples: tuple[tuple[str, str], ...] = ()

    @functools.cached_property
    def digest(self) -> bytes:
        parts = json.dumps([self.rules, self.form, self.task, self.examples]).encode()
        return hashlib.blake2b(parts, digest_size=16).digest()

    def system(self, *, has_form: bool) -> str:
        """Return what comes before the examples, on one line."""
        parts = (self.rules, self.form if has_form else "", self.task)
        return " ".join(part for part in parts if part)


@dataclasses.dataclass(frozen=True, kw_only=True)
class LlmRequest:
    """A text asked about. `asked` and `answered` name the two sides: "prompt", "query".

    An engine that takes messages writes each side as a JSON object with that one key, so that no
    text can pass for another part of the request.
    """

    conversation: Conversation
    asked: str
    answered: str
    text: str
    temperature: float
    max_tokens: int
    seed: int = 0

    def key(self, model: str) -> bytes:
        """Return 16 bytes that name the request to a model: what its answer depends on."""
        settings = [self.asked, self.answered, self.temperature, self.max_tokens, self.seed]
        digest = hashlib.blake2b(self.conversation.digest, digest_size=16)
        digest.update(json.dumps([model, *settings, self.text]).encode())
        return digest.digest()

    def messages(self) -> list[dict[str, str]]:
        """Return the request as chat messages."""
        system = self.conversation.system(has_form=True)
        messages = [{"role": "system", "content": system}]
        for asked, answered in self.conversation.examples:
            messages.append({"role": "user", "content": _object(self.asked, asked)})
            messages.append({"role": "assistant", "content": _object(self.answered, answered)})
        return [*messages, {"role": "user", "content": _object(self.asked, self.text)}]

    def plain_text(self) -> str:
        """Return the request as one text for a model that has no roles, each part on one line.

        prompt: a red fox in snow, oil painting
        query: red fox

        prompt: TEXT
        query:
        """
        parts = [self.conversation.system(has_form=False)]
        for asked, answered in self.conversation.examples:
            parts.append(f"{self.asked}: {_line(asked)}\n{self.answered}: {_line(answered)}")
        return "\n\n".join([*parts, f"{self.asked}: {_line(self.text)}\n{self.answered}:"])


def _object(name: str, text: str) -> str:
    return json.dumps({name: text}, ensure_ascii=False)


def _line(text: str) -> str:
    return " ".join(text.split())


@dataclasses.dataclass(frozen=True, kw_only=True)
class Completion:
    """What a model wrote. `is_whole` is false where it ran into `max_tokens`."""

    text: str
    is_whole: bool = True
    num_prompt_tokens: int = 0
    num_new_tokens: int = 0

    @property
    def num_tokens(self) -> int:
        return self.num_prompt_tokens + self.num_new_tokens


@dataclasses.dataclass
class LlmUsage:
    """What an engine has done since it was opened; `failures` are tries, by reason."""

    num_requests: int = 0
    num_tokens: int = 0
    num_cached: int = 0
    failures: Counter[str] = dataclasses.field(default_factory=Counter)

    def describe(self) -> str:
        """Say it in a line: "1,204 requests, 310,400 tokens, 12 failed, 900 from the cache"."""
        parts = [f"{self.num_requests:,} requests", f"{self.num_tokens:,} tokens"]
        if self.failures:
            parts.append(f"{self.failures.total():,} failed")
        if self.num_cached:
            parts.append(f"{self.num_cached:,} from the cache")
        return ", ".join(parts)


def identify_model(config: LlmConfig) -> str:
    """Return what answers are kept by: the model's name and, of a folder, which files it holds.

    A folder whose files were replaced is another model: by their names, sizes and times.
    """
    folder = Path(config.model)
    if config.url or not folder.is_dir():
        return config.model
    digest = hashlib.blake2b(digest_size=6)
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        stat = path.stat()
        name = path.relative_to(folder).as_posix()
        digest.update(f"{name}\0{stat.st_size}\0{stat.st_mtime_ns}\0".encode())
    return f"{folder.name}@{digest.hexdigest()}"


@runtime_checkable
class Llm(Protocol):
    """A language model that many may ask at once, from one event loop."""

    usage: LlmUsage

    @property
    def name(self) -> str: ...

    async def open(self) -> None:
        """Load or reach the model. Raises UnavailableError or ValueError."""
        ...

    async def complete(
        self, request: LlmRequest, *, before_try: Callable[[], None] = ...
    ) -> Completion:
        """Answer; `before_try` is called before each try and may raise.

        Raises RequestError for this request, UnavailableError for all.
        """
        ...

    async def close(self) -> None: ...


def read_usage(answer: dict[str, Any]) -> tuple[int, int]:
    """Return (prompt tokens, new tokens) of a server's answer; 0 where it does not say."""
    usage = answer.get("usage")
    if not isinstance(usage, dict):
        return 0, 0
    counts = (usage.get("prompt_tokens"), usage.get("completion_tokens"))
    prompt, new = (count if type(count) is int and count >= 0 else 0 for count in counts)
    return prompt, new
