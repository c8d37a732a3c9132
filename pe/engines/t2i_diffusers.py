"""A diffusers pipeline as an image model: by folder or hub name, safetensors only (extra [t2i])."""

import contextlib
import hashlib
import inspect
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pe.device_error import NO_MEMORY, is_device_error
from pe.engines.engine_error import RequestError
from pe.engines.t2i import Picture, T2iConfig
from pe.weights.hub import HUB_NAME, first_line

INDEX = "model_index.json"
EDGE_BYTES = 65_536


class DiffusersModel:
    """Draws with a pipeline; each picture by a generator of its own seed.

    So a picture depends on prompt and seed, but for rounding, and not on what is drawn with it.
    """

    def __init__(self, config: T2iConfig):
        self.config = config
        os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"  # before the imports, which read it
        torch, diffusers = _import()
        diffusers.utils.logging.set_verbosity_error()  # a warning would print long prompts' ends
        diffusers.utils.logging.disable_progress_bar()
        folder = find_pipeline(config)
        has_accelerator = torch.accelerator.is_available()
        self._device = torch.accelerator.current_accelerator().type if has_accelerator else "cpu"
        dtype = config.dtype
        if dtype == "auto":
            dtype = "bfloat16" if has_accelerator else "float32"
        self.name = describe_pipeline(config, folder)
        try:
            self._pipeline = diffusers.DiffusionPipeline.from_pretrained(
                folder,
                dtype=getattr(torch, dtype),
                use_safetensors=True,
                variant=config.variant or None,
                local_files_only=True,
            ).to(self._device)
        except (OSError, ValueError, TypeError, AttributeError, ImportError) as error:
            raise ValueError(
                f"{config.model} is no pipeline that diffusers reads ({first_line(error)}); "
                f"expected a folder with {INDEX}, and safetensors in the folders of its parts"
            ) from error
        self._pipeline.set_progress_bar_config(disable=True)
        self._torch = torch
        self._known = frozenset(inspect.signature(self._pipeline.__call__).parameters)
        self._batch_images = config.batch_images
        self._lock = threading.Lock()  # a pipeline's scheduler remembers where it is

    def close(self) -> None:
        """Free the device."""
        del self._pipeline
        if self._device != "cpu":
            self._torch.accelerator.empty_cache()

    def render(self, prompts: Sequence[str], seeds: Sequence[int]) -> list[Picture]:
        """Draw each prompt by its seed; a batch that the device has no memory for is halved."""
        found: list[Picture] = []
        with self._lock:
            while len(found) < len(prompts):
                part = slice(len(found), len(found) + self._batch_images)
                try:
                    found += self._draw(prompts[part], seeds[part])
                except Exception as error:
                    is_full = any(mark in str(error).lower() for mark in NO_MEMORY)
                    if self._batch_images == 1 or not (is_full and is_device_error(error)):
                        raise
                    self._batch_images = max(1, self._batch_images // 2)
        return found

    def _draw(self, prompts: Sequence[str], seeds: Sequence[int]) -> list[Picture]:
        config, size = self.config, self.config.size_px
        given: dict[str, Any] = {
            "negative_prompt": [config.negative_prompt] * len(prompts),
            "num_inference_steps": config.num_steps,
            "guidance_scale": config.guidance,
            "height": size,
            "width": size,
        }
        if not config.negative_prompt:
            del given["negative_prompt"]
        missing = [k for k, v in given.items() if v is not None and k not in self._known]
        if missing:
            raise ValueError(
                f"{config.model} takes no {', '.join(missing)}; leave it out of the T2iConfig"
            )
        generators = [self._torch.Generator("cpu").manual_seed(seed) for seed in seeds]
        with self._torch.inference_mode():
            made = self._pipeline(
                prompt=list(prompts),
                generator=generators,
                output_type="pil",
                **{k: v for k, v in given.items() if v is not None},
            )
        flagged = getattr(made, "nsfw_content_detected", None) or [False] * len(prompts)
        return [
            RequestError("flagged") if is_flagged else image.convert("RGB")
            for image, is_flagged in zip(made.images, flagged, strict=True)
        ]


def find_pipeline(config: T2iConfig) -> Path:
    """Return the folder of a pipeline, fetched from the hub where need be.

    Raises ValueError for what is neither a pipeline's folder nor a hub's name, or is not to be had.
    """
    path = Path(config.model).expanduser()
    if path.is_dir():
        if not (path / INDEX).is_file():
            raise ValueError(
                f"{path} holds no {INDEX}; expected the folder of a diffusers pipeline"
            )
        return path
    match = HUB_NAME.fullmatch(config.model)
    if match is None:
        raise ValueError(
            f"there is no folder {config.model!r}, and it is no hub name (org/name or "
            "org/name@revision)"
        )
    _, diffusers = _import()
    try:
        found = diffusers.DiffusionPipeline.download(
            match["repo"],
            revision=match["revision"],
            variant=config.variant or None,
            use_safetensors=True,
        )
    except Exception as error:  # connection, gate, no such model: classes vary with the libraries
        raise ValueError(
            f"there is no folder {config.model!r}, and the hub did not give it "
            f"({type(error).__name__}: {first_line(error)}); check the name, or with "
            "HF_HUB_OFFLINE=1 that it is in the cache whole"
        ) from error
    return Path(found)


def identify_pipeline(folder: Path) -> str:
    """Return a name by which pictures are kept: the folder's, and a hash of its files.

    Of weights the size, the beginning (names and shapes) and the end are hashed.
    """
    digest = hashlib.blake2b(digest_size=8)
    for path in sorted(folder.rglob("*")):
        if path.suffix not in (".json", ".safetensors", ".txt", ".model"):
            continue
        size = path.stat().st_size
        digest.update(f"{path.relative_to(folder).as_posix()}\0{size}\0".encode())
        with path.open("rb") as file:
            digest.update(file.read(EDGE_BYTES))
            file.seek(max(EDGE_BYTES, size - EDGE_BYTES))
            digest.update(file.read())
    return f"{folder.resolve().name}#{digest.hexdigest()}"


def name_pipeline(config: T2iConfig) -> str:
    """Return the name of a pipeline with its settings; nothing of it is loaded."""
    return describe_pipeline(config, find_pipeline(config))


def describe_pipeline(config: T2iConfig, folder: Path) -> str:
    """Return the name of the pipeline in a folder, with its settings."""
    parts = {
        "size": config.size_px,
        "steps": config.num_steps,
        "guidance": config.guidance,
        "negative": config.negative_prompt or None,
        "variant": config.variant or None,
    }
    told = [config.dtype, *(f"{k}={v}" for k, v in parts.items() if v is not None)]
    return f"{identify_pipeline(folder)}/{','.join(told)}"


def _import() -> tuple[Any, Any]:
    with contextlib.suppress(ImportError):
        import diffusers
        import torch

        return torch, diffusers
    raise ValueError(
        "a diffusers pipeline needs diffusers and torch; install the extra: pip install -e '.[t2i]'"
    )
