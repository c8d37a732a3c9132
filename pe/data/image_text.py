"""Pictures with texts and votes, as encoders of both are trained on: blocks on disk, and batches.

DATA/image_text.json   {"size_px": 112, "num_rows": 40000, "block_rows": 500, "settings": {...}}
DATA/00000.npy         uint8 [R Y X 3], memory-mapped when read
DATA/00000.jsonl       one line a picture: {"caption": ..., "texts": [...], "score": ...}
...

Knows ids and pixels, nothing of models.
"""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pe import shards
from pe.axes import Int, UInt
from pe.data.clip_tokenizer import ClipTokenizer

INDEX_FILE = "image_text.json"
Batch = dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageTextRow:
    """What is said of a picture.

    caption  what a captioner is to write
    texts    what people might have typed for it; any one of them belongs to the picture
    score    what they think of it, 1 to 10
    """

    caption: str
    texts: tuple[str, ...]
    score: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageTextConfig:
    """How pictures become batches.

    batch_rows      pictures a step, of which each is held against the texts of all others
    num_held_out    the last pictures, which are not trained on
    caption_tokens  of a caption, start and end included; longer ones are cut
    flip_frac       share of pictures that are mirrored; texts must not tell left from right
    least_side      a picture is cut to a box drawn by chance, no side shorter than this share of
                    its own, and enlarged again; 1: all of it is seen
    first_frac      share of the pictures, the first ones, that training begins with
    grow_batches    after so many batches all are drawn from; in between, more and more of them.
                    Easy pictures first teach a small tower shapes much sooner (curriculum
                    learning: Bengio et al., ICML 2009)
    """

    batch_rows: int = 128
    num_held_out: int = 1000
    caption_tokens: int = 24
    flip_frac: float = 0.5
    least_side: float = 1.0
    first_frac: float = 1.0
    grow_batches: int = 0

    def __post_init__(self) -> None:
        counts = {"batch_rows": 2, "num_held_out": 1, "caption_tokens": 3, "grow_batches": 0}
        for name, least in counts.items():
            if getattr(self, name) < least:
                raise ValueError(
                    f"ImageTextConfig.{name}: got {getattr(self, name)}, expected {least} or more"
                )
        if not 0 <= self.flip_frac <= 1:
            raise ValueError(f"ImageTextConfig.flip_frac: got {self.flip_frac}, expected 0 to 1")
        for name in ("first_frac", "least_side"):
            if not 0 < getattr(self, name) <= 1:
                raise ValueError(
                    f"ImageTextConfig.{name}: got {getattr(self, name)}, expected more than 0, at "
                    "most 1"
                )


def block_paths(folder: Path, number: int) -> tuple[Path, Path]:
    """Return the paths of a block's pictures and of its texts."""
    return folder / f"{number:05d}.npy", folder / f"{number:05d}.jsonl"


def write_block(
    folder: Path, number: int, pixels: UInt[np.ndarray, "R Y X 3"], rows: Sequence[ImageTextRow]
) -> None:
    """Write a block; its texts come last, so that a block with texts is whole."""
    pictures, texts = block_paths(folder, number)
    part = pictures.with_name(f"{shards.TEMPORARY}{pictures.name}")
    with part.open("wb") as file:
        np.save(file, pixels)
    part.replace(pictures)
    lines = [json.dumps(dataclasses.asdict(row), ensure_ascii=False) for row in rows]
    shards.write_text(texts, "".join(f"{line}\n" for line in lines))


class ImageTextSource:
    """The pictures and texts of a folder by number. Raises ValueError where blocks are missing."""

    def __init__(self, folder: Path):
        index = folder / INDEX_FILE
        if not index.is_file():
            raise ValueError(f"{folder} holds no {INDEX_FILE}; expected a folder of pe lessons")
        described = json.loads(index.read_text(encoding="utf-8"))
        self.folder = folder
        self.size_px: int = described["size_px"]
        self.block_rows: int = described["block_rows"]
        self.rows: list[ImageTextRow] = []
        self._pixels: list[np.ndarray] = []
        while len(self.rows) < described["num_rows"]:
            pictures, texts = block_paths(folder, len(self._pixels))
            if not texts.is_file():
                raise ValueError(
                    f"{folder} is not complete: {texts.name} is missing, {len(self.rows):,} of "
                    f"{described['num_rows']:,} pictures are there; run what wrote it again"
                )
            self._pixels.append(np.load(pictures, mmap_mode="r"))
            for line in texts.read_text(encoding="utf-8").splitlines():
                values = json.loads(line)
                self.rows.append(ImageTextRow(**{**values, "texts": tuple(values["texts"])}))

    def __len__(self) -> int:
        return len(self.rows)

    def pixels(self, numbers: Int[np.ndarray, " B"]) -> UInt[np.ndarray, "B Y X 3"]:
        """Return pictures by number."""
        return np.stack(
            [self._pixels[n // self.block_rows][n % self.block_rows] for n in numbers.tolist()]
        )

    def all_texts(self) -> list[str]:
        """Return every distinct text and caption, in order."""
        found = (text for row in self.rows for text in (row.caption, *row.texts))
        return list(dict.fromkeys(found))


class ImageTextBatches:
    """Endless batches; all pictures of an epoch come once, in an order drawn from the seed.

    Before `grow_batches` each batch is drawn from the first pictures, as many as are let in by
    then. A batch depends on the seed and its number alone, so that the number is all of its place.
    """

    def __init__(
        self,
        source: ImageTextSource,
        tokenizer: ClipTokenizer,
        config: ImageTextConfig,
        *,
        context_tokens: int,
        seed: int,
    ):
        self.num_rows = len(source) - config.num_held_out
        if self.num_rows < config.batch_rows:
            raise ValueError(
                f"{source.folder} holds {len(source):,} pictures, {config.num_held_out:,} of them "
                f"held out; expected {config.batch_rows:,} or more for a batch"
            )
        self.source = source
        self.tokenizer = tokenizer
        self.config = config
        self.context_tokens = context_tokens
        self.seed = seed
        self.number = 0
        self._epoch: tuple[int, np.ndarray] = (-1, np.zeros(0, np.int64))

    def __iter__(self) -> "ImageTextBatches":
        return self

    def __next__(self) -> Batch:
        chosen = self._choose(self.number)
        rng = np.random.default_rng((self.seed, self.number, 1))
        self.number += 1
        return self.make(chosen, rng)

    def _choose(self, number: int) -> Int[np.ndarray, " B"]:
        """Return the pictures of a batch."""
        size, late = self.config.batch_rows, number - self.config.grow_batches
        if late < 0:
            rng = np.random.default_rng((self.seed, number, 0))
            return rng.choice(self.num_let_in(number), size, replace=False)
        epoch, place = divmod(late, self.num_rows // size)
        if self._epoch[0] != epoch:
            order = np.random.default_rng((self.seed, epoch)).permutation(self.num_rows)
            self._epoch = epoch, order
        return self._epoch[1][place * size : (place + 1) * size]

    def num_let_in(self, number: int) -> int:
        """Return how many pictures, the first ones, a batch is drawn from."""
        first, grown = self.config.first_frac, self.config.grow_batches
        share = first + (1 - first) * min(1.0, number / grown if grown else 1.0)
        return min(self.num_rows, max(self.config.batch_rows, int(share * self.num_rows)))

    def make(self, numbers: Int[np.ndarray, " B"], rng: np.random.Generator) -> Batch:
        """Return a batch of these pictures, with one of the texts of each."""
        rows = [self.source.rows[n] for n in numbers]
        pixels = self.source.pixels(numbers)
        flipped = rng.random(len(rows)) < self.config.flip_frac
        pixels[flipped] = pixels[flipped, :, ::-1]
        if self.config.least_side < 1:
            pixels = np.stack([cut_box(p, self.config.least_side, rng) for p in pixels])
        texts = [row.texts[int(rng.integers(len(row.texts)))] for row in rows]
        captions = [row.caption for row in rows]
        return {
            "pixels": pixels,
            "texts": self.tokenizer.tokenize(texts, self.context_tokens),
            "captions": self.tokenizer.tokenize(captions, self.config.caption_tokens),
            "scores": np.asarray([row.score for row in rows], np.float32),
            "numbers": np.asarray(numbers, np.int32),
        }

    def get_state(self) -> dict[str, Any]:
        """Return the place: the number of the next batch."""
        return {"number": self.number}

    def set_state(self, state: dict[str, Any], /) -> None:
        """Go on from a place."""
        self.number = state["number"]


def cut_box(
    pixels: UInt[np.ndarray, "Y X 3"], least_side: float, rng: np.random.Generator
) -> UInt[np.ndarray, "Y X 3"]:
    """Cut a square box of a square picture by chance, and enlarge it to the picture's size."""
    size = pixels.shape[0]
    side = size * rng.uniform(least_side, 1.0)
    left, top = rng.uniform(0.0, size - side, 2)
    box = (left, top, left + side, top + side)
    image = Image.fromarray(pixels).resize((size, size), Image.Resampling.BILINEAR, box=box)
    return np.asarray(image)
