"""An image model behind an OpenAI-compatible server (`POST /v1/images/generations`).

A server that does not know `seed` draws another picture each time: what came is to be kept.
"""

import base64
import json
import os
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from PIL import Image as PilImage

from pe.data.image_file import UnreadableImage, decode_image
from pe.engines.engine_error import RequestError, UnavailableError
from pe.engines.loop_thread import LoopThread
from pe.engines.server import Server
from pe.engines.t2i import Picture, T2iConfig

ROUTE = "/images/generations"
MAX_ANSWER_BYTES = 64_000_000
OPTIONS = {
    "response_format": "pictures come as the server gives them",
    "seed": "the same request gives another picture each time",
    "size": "pictures are as large as the server makes them",
}


class SentLog:
    """How many requests were ever sent for a folder: a file of one byte each, kept by kill -9."""

    def __init__(self, path: Path | None):
        self._file = None
        self.num_sent = 0
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
            self.num_sent = os.fstat(self._file).st_size

    def add(self) -> None:
        """Count one. Raises OSError where that cannot be kept."""
        if self._file is not None:
            os.write(self._file, b".")
        self.num_sent += 1

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None


class ServerUsage:
    """What was sent since the start, and the tries that failed, by reason."""

    def __init__(self) -> None:
        self.num_requests = 0
        self.failures: Counter[str] = Counter()


class ServerImageModel:
    """The image model of a server; many requests are under way at once.

    `sent_log` keeps count of requests over all runs, for the budget.
    """

    def __init__(
        self,
        config: T2iConfig,
        *,
        sent_log: Path | None = None,
        say: Callable[[str], None] = lambda _: None,
    ):
        self.config = config
        self.name = name_served(config)
        self.usage = ServerUsage()
        self._sent = SentLog(sent_log)
        options = {k: v for k, v in OPTIONS.items() if k != "size" or config.size_px}
        self._server = Server(
            config,
            self.usage,
            route=ROUTE,
            options=options,
            doubted="response_format",
            max_bytes=MAX_ANSWER_BYTES,
            say=say,
        )
        self._thread = LoopThread("images")
        try:
            self._thread.run(self._server.open())
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End what is open."""
        if self._thread.is_closed:
            return
        self._thread.run(self._server.close())
        self._thread.close()
        self._sent.close()

    def render(self, prompts: Sequence[str], seeds: Sequence[int]) -> list[Picture]:
        """Draw each prompt by its seed. Raises UnavailableError when asking on is of no use."""
        return self._thread.map(self._draw, list(zip(prompts, seeds, strict=True)))

    async def _draw(self, request: tuple[str, int]) -> Picture:
        prompt, seed = request
        size = self.config.size_px

        def body(options: frozenset[str]) -> dict[str, Any]:
            known = {"response_format": "b64_json", "seed": seed, "size": f"{size}x{size}"}
            found = {"model": self.config.model, "prompt": prompt, "n": 1}
            return found | {name: known[name] for name in known if name in options}

        try:
            found = await self._server.ask(body, _read_answer, before_try=self._before_try)
            return open_picture(found if isinstance(found, bytes) else await self._fetch(found))
        except RequestError as error:
            return error

    def _before_try(self) -> None:
        budget = self.config.budget_requests
        if budget is not None and self._sent.num_sent >= budget:
            raise UnavailableError(
                f"the budget of {budget:,} requests is spent; what is finished is kept: run the "
                "same command again with a larger T2iConfig.budget_requests"
            )
        self._sent.add()

    async def _fetch(self, url: str) -> bytes:
        """Fetch a picture that the server names, without the server's key."""
        timeout = aiohttp.ClientTimeout(total=self.config.timeout_secs)
        parts, size = [], 0
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.get(url, allow_redirects=False) as answer,
            ):
                if answer.status != 200:
                    raise RequestError(f"picture_status_{answer.status}")
                async for part in answer.content.iter_chunked(65_536):
                    parts.append(part)
                    size += len(part)
                    if size > MAX_ANSWER_BYTES:
                        raise RequestError("picture_too_large")
        except (aiohttp.ClientError, ConnectionError, TimeoutError) as error:
            raise RequestError("picture_not_fetched") from error
        return b"".join(parts)


def name_served(config: T2iConfig) -> str:
    """Return the name of a server's model with its size; where it is served is no part of it."""
    return f"{config.model}@{config.size_px}" if config.size_px else config.model


def _read_answer(content: bytes) -> bytes | str:
    """Return the picture's bytes, or the address it is at; raises for what is no answer."""
    found = json.loads(content)["data"][0]
    if encoded := found.get("b64_json"):
        return base64.b64decode(encoded, validate=True)
    url = found["url"]
    if url.startswith("data:"):
        return base64.b64decode(url.split(",", 1)[1], validate=True)
    if urlsplit(url).scheme not in ("http", "https"):
        raise ValueError(url)
    return url


def open_picture(data: bytes) -> PilImage.Image:
    """Decode a picture in RGB. Raises RequestError for what is none, or is too large."""
    try:
        return decode_image(data)
    except UnreadableImage as error:
        raise RequestError(f"picture_{error.reason}") from error
