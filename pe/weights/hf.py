"""The T5 family as `transformers` lays it out: config.json, safetensors, vocabulary; in and out.

Its matrices are [out, in] and its position biases [buckets, heads]: both the other way round here.
Knows nothing of hubs, nor how a vocabulary splits text.
"""

import json
import math
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pe import shards
from pe.weights.checkpoint import Checkpoint, StoredArray, check_arrays, list_names
from pe.weights.folder import new_folder
from pe.weights.hf_config import (
    EMBEDDING,
    HEAD,
    check_family,
    config_from_hf,
    config_to_hf,
    hf_names,
)
from pe.weights.hf_vocabulary import write_vocabulary
from pe.weights.safetensors_file import open_safetensors, same_bytes, write_safetensors

WEIGHTS_FILE = "model.safetensors"
INDEX_SUFFIX = ".safetensors.index.json"
INDEX_FILE = f"model{INDEX_SUFFIX}"
VOCABULARY_FILES = ("spiece.model", "sentencepiece.model", "tokenizer.json")
UNSAFE = (".bin", ".pt", ".pth", ".ckpt", ".msgpack", ".h5")
EMBEDDING_COPIES = ("encoder.embed_tokens.weight", "decoder.embed_tokens.weight")
# In old T5 1.0 files; T5 has no position bias there, and transformers ignores it too.
NEVER_USED = "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight"


def open_hf(folder: Path, *, source: str | None = None, dtype: str = "bfloat16") -> Checkpoint:
    """Open a folder of T5, T5 1.1, FLAN-T5, mT5 or umT5; arrays are read when asked for.

    `dtype` is the type to compute in. Arrays keep their type, but for float16, which reads as
    float32 (exactly): T5 is not kept in float16 here. Raises ValueError for other models, for files
    that can run code, and for weights that are missing, damaged, or not those of the config.
    """
    source = str(folder) if source is None else source
    values = read_json(folder / "config.json", source=source)
    check_family(values, source=source)
    found = open_weights(folder, source=source)
    found.pop(NEVER_USED, None)
    join_embeddings(found, source=source)
    config = config_from_hf(values, source=source, tied=HEAD not in found, dtype=dtype)
    names = hf_names(config)
    check_names(found, names.values(), source=source)
    rows = found[EMBEDDING].shape[0]
    if rows != config.vocab_size:
        raise ValueError(
            f"{source}: the embedding has {rows} rows, config.json says vocab_size "
            f"{config.vocab_size}; correct the one that is wrong"
        )
    for name, array in found.items():
        if array.dtype.name not in ("float32", "bfloat16", "float16"):
            raise ValueError(
                f"{source}: {name} is {array.dtype}; expected float32, bfloat16 or float16 "
                "(quantised weights are not read)"
            )
    arrays = {ours: as_ours(found[theirs], ours) for ours, theirs in names.items()}
    vocabulary = next((folder / n for n in VOCABULARY_FILES if (folder / n).is_file()), None)
    return Checkpoint(source=source, config=config, arrays=arrays, vocabulary=vocabulary)


def write_hf(
    checkpoint: Checkpoint,
    folder: Path,
    *,
    max_shard_bytes: int = 5 * 10**9,
    generation: Mapping[str, Any] | None = None,
) -> None:
    """Write a folder that `transformers` loads, which is there whole or not at all.

    `generation` adds to generation_config.json. Weights are cut into files of at most
    `max_shard_bytes`, a larger array alone in its file. Raises ValueError for a destination that is
    not empty, for arrays that do not fit the config, and for what the layout cannot say.
    """
    if max_shard_bytes < 1:
        raise ValueError(f"max_shard_bytes: got {max_shard_bytes}, expected 1 or more")
    check_arrays(checkpoint)
    names = hf_names(checkpoint.config)
    arrays = {theirs: as_ours(checkpoint.arrays[ours], ours) for ours, theirs in names.items()}
    dtypes = {array.dtype.name for array in arrays.values()}
    config = config_to_hf(checkpoint.config, dtype=dtypes.pop() if len(dtypes) == 1 else "float32")
    ids = {
        name: config[name] for name in ("decoder_start_token_id", "eos_token_id", "pad_token_id")
    }
    with new_folder(folder) as temporary:
        shards.write_json(temporary / "config.json", config)
        shards.write_json(temporary / "generation_config.json", {**ids, **(generation or {})})
        if checkpoint.vocabulary is not None:
            write_vocabulary(checkpoint.vocabulary, temporary, checkpoint.config.vocab_size)
        write_weights(temporary, arrays, max_shard_bytes=max_shard_bytes)


def as_ours(array: StoredArray, name: str) -> StoredArray:
    """Turn an array round where the layouts differ; float16 becomes float32. Works both ways."""
    turned = name.endswith((".kernel", ".rel_embedding"))
    dtype = np.dtype(np.float32) if array.dtype == np.float16 else array.dtype

    def read() -> np.ndarray:
        values = array.read().astype(dtype, copy=False)
        return values.T if turned else values

    return StoredArray(shape=array.shape[::-1] if turned else array.shape, dtype=dtype, read=read)


def read_json(path: Path, *, source: str) -> dict[str, Any]:
    """Read a JSON object. Raises ValueError that names the file and what its folder holds."""
    if not path.is_file():
        names = [item.name for item in path.parent.iterdir()] if path.parent.is_dir() else []
        raise ValueError(
            f"{source} holds no {path.name}; expected a folder with config.json and "
            f"{WEIGHTS_FILE}, found {list_names(sorted(names)) or 'nothing'}"
        )
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{source}: {path.name} is not JSON ({error}); copy it again") from error
    if not isinstance(values, dict):
        raise ValueError(f"{source}: {path.name} is no JSON object; copy it again")
    return values


def open_weights(folder: Path, *, source: str) -> dict[str, StoredArray]:
    """List the arrays of model.safetensors, or of the shards that its index names."""
    if (folder / WEIGHTS_FILE).is_file():
        return open_safetensors(folder / WEIGHTS_FILE)
    if not (folder / INDEX_FILE).is_file():
        raise ValueError(explain_no_weights(source, [item.name for item in folder.iterdir()]))
    shard_of = read_json(folder / INDEX_FILE, source=source).get("weight_map")
    # A shard is a file of this folder, whatever the index says
    if not isinstance(shard_of, dict) or not all(
        isinstance(file, str) and Path(file).name == file for file in shard_of.values()
    ):
        raise ValueError(f"{source}: {INDEX_FILE} has no weight_map of names to files beside it")
    files = sorted(set(shard_of.values()))
    missing = [file for file in files if not (folder / file).is_file()]
    if missing:
        raise ValueError(
            f"{source} lacks {len(missing)} of the {len(files)} files that {INDEX_FILE} names: "
            f"{list_names(missing)}; download or copy them"
        )
    arrays: dict[str, StoredArray] = {}
    for file in files:
        part = open_safetensors(folder / file)
        odd = set(part) ^ {name for name, shard in shard_of.items() if shard == file}
        if odd:
            raise ValueError(
                f"{source}: {file} and {INDEX_FILE} disagree on {list_names(sorted(odd))}; they "
                "are of different models, copy both again"
            )
        arrays |= part
    return arrays


def explain_no_weights(
    source: str, names: Iterable[str], *, expected: str = f"{WEIGHTS_FILE} or {INDEX_FILE}"
) -> str:
    """Say why files named so hold no weights that are read, and the way out.

    `expected` names the files that are. Knows no model's class: the way out is that of any library.
    """
    unsafe = sorted(name for name in names if Path(name).suffix in UNSAFE)
    others = sorted(name for name in names if name.endswith(".safetensors"))
    if not unsafe:
        found = f", found {list_names(others)}" if others else ""
        return f"{source} holds no weights: expected {expected}{found}"
    return (
        f"{source} holds its weights only as {list_names(unsafe)}; expected {expected}. "
        "Reading a pickle can run code, so only safetensors are read; convert in an environment "
        "that you trust: load the model with the class that made it and save it again, in "
        "transformers with model.save_pretrained(out), or safetensors.torch.save_file(...)"
    )


def join_embeddings(found: dict[str, StoredArray], *, source: str) -> None:
    """Leave one of the names that the embedding has in old files.

    Raises ValueError where two of them differ by a bit.
    """
    copies = [name for name in (EMBEDDING, *EMBEDDING_COPIES) if name in found]
    for name in copies[1:]:
        if not same_bytes(found[copies[0]], found[name]):
            raise ValueError(
                f"{source}: {copies[0]} and {name} differ; T5 has one embedding, so they should "
                "be equal bit for bit"
            )
    if copies:
        first = found[copies[0]]
        for name in copies:
            del found[name]
        found[EMBEDDING] = first


def check_names(found: Collection[str], wanted: Collection[str], *, source: str) -> None:
    """Raise ValueError for arrays that are missing or that T5 has not, in their names."""
    stacks = {name.partition(".")[0] for name in found}
    if "encoder" in stacks and "decoder" not in stacks:
        raise ValueError(f"{source} holds an encoder alone; expected an encoder-decoder")
    missing = [name for name in wanted if name not in found]
    extra = sorted(set(found) - set(wanted))
    if missing or extra:
        told = [f"missing: {list_names(missing)}"] * bool(missing)
        told += [f"not expected: {list_names(extra)}"] * bool(extra)
        raise ValueError(
            f"{source} does not hold the {len(wanted)} arrays that its config.json describes: "
            + "; ".join(told)
        )


def write_weights(folder: Path, arrays: Mapping[str, StoredArray], *, max_shard_bytes: int) -> None:
    """Write model.safetensors, or shards and their index."""
    parts: list[dict[str, StoredArray]] = [{}]
    total_bytes = part_bytes = 0
    for name, array in arrays.items():
        num_bytes = math.prod(array.shape) * array.dtype.itemsize
        if parts[-1] and part_bytes + num_bytes > max_shard_bytes:
            parts.append({})
            part_bytes = 0
        parts[-1][name] = array
        part_bytes += num_bytes
        total_bytes += num_bytes
    files = [f"model-{i + 1:05d}-of-{len(parts):05d}.safetensors" for i in range(len(parts))]
    if len(parts) == 1:
        files = [WEIGHTS_FILE]
    for file, part in zip(files, parts, strict=True):
        write_safetensors(folder / file, part, metadata={"format": "pt"})
    if len(parts) > 1:
        shard_of = {name: file for file, part in zip(files, parts, strict=True) for name in part}
        index = {"metadata": {"total_size": total_bytes}, "weight_map": shard_of}
        shards.write_json(folder / INDEX_FILE, index)
