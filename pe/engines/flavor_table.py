"""Embeddings of a list of flavors, made once for each encoder and kept in a file.

The file's name is a hash of the encoder's weights, of its vocabulary and of the phrases, so that a
changed list or another model never meets stale embeddings. They are kept, and ranked by, as
float16, as clip-interrogator keeps them: half the size, with cosines within 1e-4.
"""

import contextlib
import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from pe.axes import Float, Int
from pe.engines.vision import ClipEncoder
from pe.shards import TEMPORARY
from pe.weights.checkpoint import stored
from pe.weights.safetensors_file import open_safetensors, write_safetensors

VERSION = "1"  # of how a phrase is embedded
BLOCK_LABELS = 65_536


def default_folder() -> Path:
    """Return where embeddings are kept: PE_CACHE, or the user's cache folder."""
    if os.environ.get("PE_CACHE"):
        return Path(os.environ["PE_CACHE"])
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "prompt-expansion"


def embed_phrases(
    encoder: ClipEncoder,
    phrases: Sequence[str],
    *,
    folder: Path | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> Float[np.ndarray, "n E"]:
    """Return the phrases' embeddings, of length 1, rounded to float16 and given as float32.

    They are read from `folder` (default: `default_folder()`) where they are there, else made and
    written there, whole or not at all; a file there that is damaged is made anew. Raises ValueError
    for a folder that cannot be written.
    """
    key = hashlib.blake2b(digest_size=16)
    made_with = (VERSION, encoder.digest, encoder.tokenizer.digest, str(encoder.config.dtype))
    for part in (*made_with, *phrases):
        key.update(len(part.encode()).to_bytes(8, "little") + part.encode())
    folder = default_folder() if folder is None else folder
    path = folder / f"phrases-{key.hexdigest()}.safetensors"
    shape = len(phrases), encoder.config.embed_dim
    found = _read(path, shape)
    if found is not None:
        return found.astype(np.float32)
    ids = encoder.tokenizer.encode_batch(phrases)
    with _writing(folder):
        folder.mkdir(parents=True, exist_ok=True)  # first: what follows may take minutes
    embeddings = encoder.encode_tokens(ids, progress=progress).astype(np.float16)
    with _writing(folder):
        own = path.with_name(f"{TEMPORARY}{os.getpid()}-{path.name}")  # two runs may write at once
        write_safetensors(own, {"embeddings": stored(embeddings)})
        own.replace(path)
    return embeddings.astype(np.float32)


def _read(path: Path, shape: tuple[int, int]) -> Float[np.ndarray, "n E"] | None:
    """Read what was kept; None where nothing is, or not what was written."""
    if not path.is_file():
        return None
    try:
        found = open_safetensors(path)["embeddings"].read()
    except (ValueError, KeyError):
        return None
    return found if (found.shape, found.dtype) == (shape, np.float16) else None


@contextlib.contextmanager
def _writing(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ValueError(
            f"embeddings of flavors cannot be kept in {folder}: {error}; set PE_CACHE to a folder "
            "that can be written"
        ) from error


def find_top(
    queries: Float[np.ndarray, "B E"],
    labels: Float[np.ndarray, "n E"],
    count: int,
    *,
    block_labels: int = BLOCK_LABELS,
) -> tuple[Int[np.ndarray, "B k"], Float[np.ndarray, "B k"]]:
    """Return each query's `count` nearest labels (all where there are fewer), the nearest first.

    Exact: labels are taken in blocks, and of each block the best that could be among the `count`
    are kept. Of equal ones the first comes first.

    Example (count 2):
      queries  [[1, 0]]   labels  [[0, 1], [.6, .8], [1, 0]]
      returns  [[2, 1]], [[1, .6]]
    """
    best_ids = np.zeros((len(queries), 0), np.int64)
    best = np.zeros((len(queries), 0), np.float32)
    for begin in range(0, len(labels), block_labels):
        cosines = queries @ labels[begin : begin + block_labels].T
        ids = np.broadcast_to(np.arange(begin, begin + cosines.shape[1]), cosines.shape)
        best = np.concatenate([best, cosines], axis=1)
        best_ids = np.concatenate([best_ids, ids], axis=1)
        if best.shape[1] > count:
            last = -np.partition(-best, count - 1, axis=1)[:, count - 1 : count]
            equal = best == last  # of these the first, as many as are wanted
            num_equal = count - np.sum(best > last, axis=1, keepdims=True)
            kept = (best > last) | (equal & (np.cumsum(equal, axis=1) <= num_equal))
            best, best_ids = best[kept].reshape(-1, count), best_ids[kept].reshape(-1, count)
    order = np.argsort(-best, axis=1, kind="stable")
    return np.take_along_axis(best_ids, order, axis=1), np.take_along_axis(best, order, axis=1)
