"""The TensorFlow Datasets builder `prompt_expansion`: the pairs as everyone else reads datasets.

ArrayRecord needs no TensorFlow, to write or to read (`tfds.data_source`); TFRecord does, and is
what seqio reads. Features beside the pair's own: `inputs` (prefix and query, as the model reads
them), `inputs_plain` (the query alone) and `targets` (the prompt).
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from pe import shards
from pe.prefixes import format_input
from pe.records import SPLITS

FILE_FORMATS = ("arrayrecord", "tfrecord")
NAME = "prompt_expansion"
VERSION = "1.0.0"
# from the pair, as they are
COPIED = ("id", "prefix", "kind", "source", "half", "licence", "language")


def check_file_format(file_format: str) -> None:
    """Raise ValueError for an unknown format, or one whose library is not installed."""
    if file_format not in FILE_FORMATS:
        raise ValueError(f"file_format: got {file_format!r}, expected one of {FILE_FORMATS}")
    if file_format == "tfrecord" and importlib.util.find_spec("tensorflow") is None:
        raise ValueError(
            "file_format tfrecord needs TensorFlow, which is not installed; "
            "install the extra with `pip install 'prompt-expansion[seqio]'`, or use arrayrecord"
        )


def pair_to_example(pair: dict[str, Any]) -> dict[str, Any]:
    """Return the dataset's example of a pair.

    Example:
      query  prefix  prompt       ->  inputs     inputs_plain  targets
      a cat  FLV     a cat, ink       FLV a cat  a cat         a cat, ink
    """
    return {
        "inputs": format_input(pair["query"], pair["prefix"]),
        "inputs_plain": pair["query"],
        "targets": pair["prompt"],
        **{name: pair[name] for name in COPIED},
    }


@contextlib.contextmanager
def deterministic_protos() -> Iterator[None]:
    """Make the library serialise map entries in order, so that equal datasets are equal files.

    It calls `SerializeToString()` without `deterministic=True` (4.9.10) and offers no hook.
    """
    from tensorflow_datasets.core.example_serializer import ExampleSerializer

    original = ExampleSerializer.serialize_example

    def serialize_example(self: Any, example: Any) -> bytes:
        return self.get_tf_example(example).SerializeToString(deterministic=True)

    ExampleSerializer.serialize_example = serialize_example
    try:
        yield
    finally:
        ExampleSerializer.serialize_example = original


def export_tfds(pairs: Path, data_dir: Path, *, file_format: str) -> Path:
    """Write the dataset under `data_dir/prompt_expansion/1.0.0` from Parquet shards of pairs."""
    check_file_format(file_format)
    import tensorflow_datasets as tfds

    tfds.disable_progress_bar()
    found = {
        s for t in shards.iterate_shards(pairs, ["split"]) for s in t["split"].unique().to_pylist()
    }
    splits = [split for split in SPLITS if split in found]  # it refuses to write an empty one

    class PromptExpansion(tfds.core.GeneratorBasedBuilder, skip_registration=True):
        """Pairs of a short query and a detailed prompt."""

        VERSION = tfds.core.Version(VERSION)
        name = NAME

        def _info(self) -> Any:
            text = tfds.features.Text()
            names = ("inputs", "inputs_plain", "targets", *COPIED)
            return self.dataset_info_from_configs(
                features=tfds.features.FeaturesDict(dict.fromkeys(names, text)),
                supervised_keys=("inputs", "targets"),
            )

        def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
            return {split: self._generate_examples(split) for split in splits}

        def _generate_examples(self, split: str) -> Iterator[tuple[str, dict[str, Any]]]:
            for table in shards.iterate_shards(pairs):
                rows = table.filter(pc.equal(table["split"], split))
                for pair in rows.to_pylist():
                    yield pair["id"], pair_to_example(pair)

    kind = {"arrayrecord": "array_record", "tfrecord": "tfrecord"}[file_format]
    builder = PromptExpansion(data_dir=data_dir, file_format=kind)
    with deterministic_protos(), contextlib.redirect_stdout(io.StringIO()):  # it prints its folder
        builder.download_and_prepare()
    return Path(builder.data_dir)
