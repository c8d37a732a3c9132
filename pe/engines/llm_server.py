"""A language model behind a server: vLLM, llama.cpp, TGI, Ollama, transformers, or a vendor's."""

import json
from collections.abc import Callable
from typing import Any

from pe.engines.llm import Completion, LlmConfig, LlmRequest, LlmUsage, read_usage
from pe.engines.server import Server

ROUTE = "/chat/completions"
MAX_ANSWER_BYTES = 4_000_000
OPTIONS = {
    "response_format": "answers are asked for in words and parsed",
    "seed": "an answer that is asked for again may be the same",
    "temperature": "the server's own is used",
    "max_tokens": "max_completion_tokens is sent instead",
}
FORMAT = "response_format"


class ServerLlm:
    """The model of a server. `say` is told once what the server does not know."""

    def __init__(self, config: LlmConfig, *, say: Callable[[str], None] = lambda _: None):
        self.config = config
        self.usage = LlmUsage()
        options = dict(OPTIONS)
        if config.structured != "auto":
            del options[FORMAT]  # it is sent always, or never
        self._server = Server(
            config,
            self.usage,
            route=ROUTE,
            options=options,
            doubted=FORMAT,
            max_bytes=MAX_ANSWER_BYTES,
            say=say,
        )

    @property
    def name(self) -> str:
        return self.config.model

    async def open(self) -> None:
        """Reach the server. Raises UnavailableError where none listens or the key is refused."""
        await self._server.open()

    async def close(self) -> None:
        await self._server.close()

    async def complete(
        self, request: LlmRequest, *, before_try: Callable[[], None] = lambda: None
    ) -> Completion:
        """Ask until it answers, `max_tries` times at most.

        Raises RequestError with the last try's reason, UnavailableError when asking on is of no
        use.
        """
        messages = request.messages()

        def body(options: frozenset[str]) -> dict[str, Any]:
            known: dict[str, Any] = {
                FORMAT: _answer_schema(request.answered),
                "seed": request.seed,
                "temperature": request.temperature,
                "max_tokens": request.max_tokens,
            }
            sent = options | {FORMAT} if self.config.structured == "schema" else options
            found = {"model": self.config.model, "messages": messages, "stream": False}
            found |= {name: known[name] for name in OPTIONS if name in sent}
            if "max_tokens" not in sent:
                found["max_completion_tokens"] = request.max_tokens
            return found

        return await self._server.ask(body, self._read, before_try=before_try)

    def _read(self, content: bytes) -> Completion:
        """Return the text of an answer; raises for what is none."""
        answer = json.loads(content)
        choice = answer["choices"][0]
        message = choice["message"]
        text = message.get("content") or message.get("refusal") or ""
        if isinstance(text, list):  # in parts
            text = "".join(part["text"] for part in text if part.get("type") == "text")
        if not isinstance(text, str):
            raise TypeError(type(text))
        prompt, new = read_usage(answer)
        self.usage.num_tokens += prompt + new
        return Completion(
            text=text,
            is_whole=choice.get("finish_reason") != "length",
            num_prompt_tokens=prompt,
            num_new_tokens=new,
        )


def _answer_schema(name: str) -> dict[str, Any]:
    schema = {
        "type": "object",
        "properties": {name: {"type": "string"}},
        "required": [name],
        "additionalProperties": False,
    }
    return {"type": "json_schema", "json_schema": {"name": name, "strict": True, "schema": schema}}
