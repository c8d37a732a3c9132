"""T5X's names and shapes of a T5's arrays, both ways, and the sizes that they tell.

Two forms. `layers`: `encoder.layers_0.attention.query.kernel`, [D, N*H] as ours, or [D, N, H].
`scanned` (umT5 and whatever else scanned over its layers): `encoder.encoder.attention.query.kernel`
with the layers as axis 1, [D, layers, N, H] or [D, layers, N*H].
"""

import dataclasses
import re
from collections.abc import Mapping

import numpy as np

from pe.models.t5_config import DTYPES, T5Config
from pe.weights.checkpoint import Checkpoint, StoredArray
from pe.weights.orbax_folder import read_layer

EMBEDDING, T5X_EMBEDDING = "embedding", "token_embedder.embedding"
LOGITS = "decoder.logits_dense.kernel"
SOFT_PROMPT = "encoder.prompt.prompt.prompt"
STACKS = ("encoder", "decoder")
ACTIVATIONS = {1: ("relu",), 2: ("gelu", "linear")}  # by the number of `wi` kernels
LAYER = re.compile(r"(encoder|decoder)\.layers_(\d+)\.(.+)")
SCANNED = re.compile(r"(encoder|decoder)\.\1\.(.+)")
OUR_LAYER = re.compile(r"(encoder|decoder)\.layers\.(\d+)\.(.+)")
HEADS_KERNEL = re.compile(r".*attention\.(query|key|value)\.kernel")
OUT_KERNEL = re.compile(r".*attention\.out\.kernel")
NOT_IN_ARRAYS = ("dropout_rate", "dtype", "remat")


@dataclasses.dataclass(frozen=True, kw_only=True)
class T5XArray:
    """An array as T5X has it: read from `parts`, one, or one a layer where axis 1 is layers."""

    shape: tuple[int, ...]
    dtype: np.dtype
    parts: tuple[StoredArray, ...]
    is_scanned: bool


def from_t5x(
    arrays: Mapping[str, StoredArray], *, source: str, dtype: str
) -> tuple[T5Config, dict[str, StoredArray]]:
    """Rename T5X's arrays, cut scanned ones into layers, and infer the config from the shapes.

    Example (3 layers):
      encoder.layers_1.mlp.wi_0.kernel      [D, F]        encoder.layers.1.mlp.wi.0.kernel
      encoder.encoder.attention.out.kernel  [N, 3, H, D]  encoder.layers.0.attention.out.kernel ...
    Names that no T5 has are left for `check_arrays` to tell. Raises ValueError where an array has
    the wrong number of axes or stands twice, or the sizes cannot be told.
    """
    origins: dict[str, str] = {}
    ours: dict[str, StoredArray] = {}
    for name, array in arrays.items():
        if name == SOFT_PROMPT:
            continue
        if match := SCANNED.fullmatch(name):
            stack, rest = match.groups()
            check_rank(name, array, source=source, ranks=scanned_ranks(rest))
            found = {
                f"{stack}.layers.{i}.{our_module(rest)}": cut_layer(array, i, rest)
                for i in range(array.shape[1])
            }
        else:
            check_rank(name, array, source=source, ranks=plain_ranks(name))
            found = {our_name(name): reshape(array, joined_shape(array.shape, name))}
        twice = [key for key in found if key in ours]
        if twice:
            raise ValueError(
                f"{source} holds both {origins[twice[0]]} and {name}, which are the same array of "
                "a T5; expected one of them"
            )
        ours |= found
        origins |= dict.fromkeys(found, name)
    config = infer_config(ours, source=source, dtype=dtype)
    return config, {name: ours[name] for name in sorted(ours)}


def our_name(name: str) -> str:
    """Return `encoder.layers.0.mlp.wi.1.kernel` for `encoder.layers_0.mlp.wi_1.kernel`."""
    if name == T5X_EMBEDDING:
        return EMBEDDING
    if match := LAYER.fullmatch(name):
        stack, i, rest = match.groups()
        return f"{stack}.layers.{int(i)}.{our_module(rest)}"
    return name


def our_module(rest: str) -> str:
    """Return `mlp.wi.0.kernel` for `mlp.wi.kernel` and `mlp.wi_0.kernel`, all else as it is."""
    rest = "mlp.wi_0.kernel" if rest == "mlp.wi.kernel" else rest
    return re.sub(r"^mlp\.wi_(\d+)\.", r"mlp.wi.\1.", rest)


def t5x_module(rest: str, config: T5Config) -> str:
    """Return `mlp.wi.kernel`, with two activations `mlp.wi_0.kernel`, for `mlp.wi.0.kernel`."""
    if len(config.activations) == 1:
        return rest.replace("mlp.wi.0.", "mlp.wi.")
    return re.sub(r"^mlp\.wi\.(\d+)\.", r"mlp.wi_\1.", rest)


def plain_ranks(name: str) -> tuple[int, ...]:
    if HEADS_KERNEL.fullmatch(name) or OUT_KERNEL.fullmatch(name):
        return (2, 3)
    return (1,) if name.endswith(".scale") else (2,)


def scanned_ranks(rest: str) -> tuple[int, ...]:
    return tuple(rank + 1 for rank in plain_ranks(rest))


def check_rank(name: str, array: StoredArray, *, source: str, ranks: tuple[int, ...]) -> None:
    if len(array.shape) not in ranks:
        raise ValueError(
            f"{source}: {name} is {list(array.shape)}; expected an array of "
            f"{' or '.join(map(str, ranks))} axes"
        )


def joined_shape(shape: tuple[int, ...], name: str) -> tuple[int, ...]:
    """Join the heads of an attention kernel: [D, N, H] -> [D, N*H], `out` [N, H, D] -> [N*H, D]."""
    if len(shape) != 3:
        return shape
    if OUT_KERNEL.fullmatch(name):
        return (shape[0] * shape[1], shape[2])
    return (shape[0], shape[1] * shape[2])


def reshape(array: StoredArray, shape: tuple[int, ...]) -> StoredArray:
    if shape == array.shape:
        return array
    return StoredArray(shape=shape, dtype=array.dtype, read=lambda: array.read().reshape(shape))


def cut_layer(array: StoredArray, layer: int, rest: str) -> StoredArray:
    """Return one layer of a scanned array, read alone."""
    shape = joined_shape((array.shape[0], *array.shape[2:]), rest)
    return StoredArray(
        shape=shape, dtype=array.dtype, read=lambda: read_layer(array, layer).reshape(shape)
    )


def infer_config(arrays: Mapping[str, StoredArray], *, source: str, dtype: str) -> T5Config:
    """Infer the sizes from the shapes of our arrays.

    T5X stores no sizes beside the arrays. One `wi` is taken for relu, two for (gelu, linear);
    logits without a kernel of their own are tied and scaled, as T5X does it; max_distance is 128
    and the norms' epsilon 1e-6 in every T5; the dropout rate is 0.0, for nothing tells it.
    """
    shapes = {name: array.shape for name, array in arrays.items()}

    def need(name: str) -> tuple[int, ...]:
        if name not in shapes:
            raise ValueError(f"{source} holds no {name}, which tells a size; expected a whole T5")
        return shapes[name]

    vocab_size, d_model = need(EMBEDDING)
    layer_biases = "encoder.relpos_bias.rel_embedding" not in shapes
    place = "encoder.layers.0.relpos_bias" if layer_biases else "encoder.relpos_bias"
    num_heads, num_buckets = need(f"{place}.rel_embedding")
    inner = need("encoder.layers.0.attention.query.kernel")[1]
    if inner % num_heads:
        raise ValueError(
            f"{source}: attention is {inner} wide and {place} has {num_heads} heads; expected a "
            "width that the heads divide"
        )
    num_wi = sum(f"encoder.layers.0.mlp.wi.{i}.kernel" in shapes for i in (0, 1))
    layers = {
        stack: {int(m[2]) for m in map(OUR_LAYER.fullmatch, shapes) if m and m[1] == stack}
        for stack in STACKS
    }
    for stack, found in layers.items():
        if not found or found != set(range(len(found))):
            raise ValueError(
                f"{source} holds the layers {sorted(found)} of the {stack}; expected 0, 1, ... "
                "without a gap"
            )
    return T5Config(
        vocab_size=vocab_size,
        d_model=d_model,
        num_heads=num_heads,
        head_dim=inner // num_heads,
        d_ff=need("encoder.layers.0.mlp.wi.0.kernel")[1],
        num_encoder_layers=len(layers["encoder"]),
        num_decoder_layers=len(layers["decoder"]),
        activations=ACTIVATIONS[num_wi],
        num_buckets=num_buckets,
        max_distance=128,
        norm_epsilon=1e-6,
        dropout_rate=0.0,
        tied_logits=LOGITS not in shapes,
        scaled_logits=LOGITS not in shapes,
        layer_biases=layer_biases,
        dtype=dtype,
    )


def to_t5x(checkpoint: Checkpoint, *, dtype: str | None) -> dict[str, T5XArray]:
    """Rename the arrays for T5X: scanned where each layer has a position bias of its own (umT5).

    Raises ValueError where the config says what T5X's arrays cannot tell, so that reading them
    again would give another model.
    """
    config = checkpoint.config
    inferred = infer_config(checkpoint.arrays, source=checkpoint.source, dtype=config.dtype)
    differing = [
        f"{field.name} is {getattr(config, field.name)}, read back as {value}"
        for field in dataclasses.fields(config)
        if field.name not in NOT_IN_ARRAYS
        and (value := getattr(inferred, field.name)) != getattr(config, field.name)
    ]
    if differing:
        raise ValueError(
            f"{checkpoint.source} is no T5 that T5X's format can tell: {'; '.join(differing)}; "
            "choose another format"
        )
    renamed: dict[str, list[StoredArray]] = {}
    scanned: set[str] = set()
    for name in sorted(checkpoint.arrays, key=place_of):
        match = OUR_LAYER.fullmatch(name)
        if match is None:
            key = T5X_EMBEDDING if name == EMBEDDING else name
        elif config.layer_biases:
            key = f"{match[1]}.{match[1]}.{t5x_module(match[3], config)}"
            scanned.add(key)
        else:
            key = f"{match[1]}.layers_{match[2]}.{t5x_module(match[3], config)}"
        renamed.setdefault(key, []).append(checkpoint.arrays[name])
    return {
        key: to_t5x_array(key, tuple(parts), config, dtype=dtype, is_scanned=key in scanned)
        for key, parts in sorted(renamed.items())
    }


def place_of(name: str) -> tuple[int, str]:
    """Order by layer first, so that layer 2 comes before layer 10."""
    match = OUR_LAYER.fullmatch(name)
    return (int(match[2]) if match else 0, name)


def to_t5x_array(
    key: str,
    parts: tuple[StoredArray, ...],
    config: T5Config,
    *,
    dtype: str | None,
    is_scanned: bool,
) -> T5XArray:
    """Lay out one array of T5X's: [D, N*H] of each layer -> [D, layers, N, H] where scanned."""
    shape = parts[0].shape
    kinds = {dtype} if dtype else {part.dtype.name for part in parts}
    if len(kinds) > 1:
        raise ValueError(
            f"{key}: its layers are stored as {' and '.join(sorted(kinds))}; give the dtype "
            f"to write, one of {DTYPES}"
        )
    if is_scanned:
        heads = (config.num_heads, config.head_dim)
        if HEADS_KERNEL.fullmatch(key):
            shape = (shape[0], *heads)
        elif OUT_KERNEL.fullmatch(key):
            shape = (*heads, shape[1])
        shape = (shape[0], len(parts), *shape[1:])
    return T5XArray(shape=shape, dtype=np.dtype(kinds.pop()), parts=parts, is_scanned=is_scanned)
