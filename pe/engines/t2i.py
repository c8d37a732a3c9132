"""Image models behind one protocol: prompts and seeds in, pictures out.

Engines are `t2i_diffusers.py` (a pipeline that runs here), `t2i_server.py` (an OpenAI-compatible
images endpoint) and Studio (`pe.studio.image_model`).
"""

import dataclasses
import hashlib
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from PIL import Image as PilImage

from pe.engines.engine_error import RequestError

Picture = PilImage.Image | RequestError  # or why there is none
DTYPES = ("auto", "float32", "bfloat16", "float16")
STUDIO = "studio"


@dataclasses.dataclass(frozen=True, kw_only=True)
class T2iConfig:
    """Which image model draws, and how.

    model            "studio", the world that comes along; or a diffusers pipeline by folder or hub
                     name (extra [t2i]); with `url` the server's name of the model
    url              base address of an OpenAI-compatible server (http://127.0.0.1:8000/v1)
    size_px          sides of a picture; None: the model's own (Studio: 256)
    num_steps        of a pipeline's noise schedule; None: its own
    guidance         how much a pipeline listens to the prompt; None: its own
    negative_prompt  what a pipeline is to keep away from
    dtype            of a pipeline; "auto": bfloat16 on an accelerator, float32 on a CPU
    variant          of a pipeline's files, such as "fp16"
    batch_images     pictures that a pipeline makes at once
    concurrency      requests to a server under way at once; each gets `max_tries` of
                     `timeout_secs`, apart `backoff_secs` doubled, or what Retry-After says
    budget_requests  as many are sent at most, tries that failed and earlier runs of the same folder
                     included; then the run stops, and what is finished is kept
    key_variable     the environment variable that holds the server's key, if it wants one
    """

    model: str = STUDIO
    url: str = ""
    size_px: int | None = None
    num_steps: int | None = None
    guidance: float | None = None
    negative_prompt: str = ""
    dtype: str = "auto"
    variant: str = ""
    batch_images: int = 4
    concurrency: int = 8
    timeout_secs: float = 180.0
    max_tries: int = 6
    backoff_secs: float = 1.0
    max_wait_secs: float = 60.0
    budget_requests: int | None = None
    key_variable: str = "OPENAI_API_KEY"

    def __post_init__(self) -> None:
        if not self.model:
            raise ValueError("T2iConfig.model: expected studio, a folder or a name, got none")
        if self.dtype not in DTYPES:
            raise ValueError(f"T2iConfig.dtype: got {self.dtype!r}, expected one of {DTYPES}")
        if self.url and not self.url.startswith(("http://", "https://")):
            raise ValueError(
                f"T2iConfig.url: got {self.url!r}, expected an address such as "
                "http://127.0.0.1:8000/v1"
            )
        if self.size_px is not None and not 64 <= self.size_px <= 4096:
            raise ValueError(f"T2iConfig.size_px: got {self.size_px}, expected 64 to 4096")
        for name in ("batch_images", "concurrency", "max_tries"):
            if getattr(self, name) < 1:
                raise ValueError(f"T2iConfig.{name}: got {getattr(self, name)}, expected 1 or more")
        for name in ("num_steps", "budget_requests"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"T2iConfig.{name}: got {value}, expected 1 or more, or None")
        for name in ("timeout_secs", "max_wait_secs"):
            if getattr(self, name) <= 0:
                raise ValueError(f"T2iConfig.{name}: got {getattr(self, name)}, expected above 0")
        if self.backoff_secs < 0:
            raise ValueError(f"T2iConfig.backoff_secs: got {self.backoff_secs}, expected 0 or more")


@runtime_checkable
class ImageModel(Protocol):
    """Anything that draws prompts. The same prompt and seed give the same picture.

    `name` says which model and settings drew a picture. Where a picture is not to be had, why
    stands in its place; what concerns all of them is raised (UnavailableError, ValueError).
    """

    name: str

    def render(self, prompts: Sequence[str], seeds: Sequence[int]) -> list[Picture]: ...
    def close(self) -> None: ...


def picture_key(model: str, prompt: str, seed: int) -> str:
    """Return 32 hex digits that name a picture: what it depends on."""
    parts = f"{model}\0{seed}\0{prompt}".encode()
    return hashlib.blake2b(parts, digest_size=16).hexdigest()


def picture_seed(seed: int, query: str, number: int) -> int:
    """Return the 31-bit seed of a query's picture `number`: all models and rounds share it."""
    digest = hashlib.blake2b(f"{seed}\0{number}\0{query}".encode(), digest_size=4).digest()
    return int.from_bytes(digest, "little") & 0x7FFFFFFF
