"""Sizes and kind of a T5. Knows no array."""

import dataclasses

from pe.models.layers import ACTIVATIONS

DTYPES = ("float32", "bfloat16")
REMATS = ("none", "dots", "full")


@dataclasses.dataclass(frozen=True, kw_only=True)
class T5Config:
    """Sizes and kind of a T5. The sizes are by default those of a 5 M model.

    `tied_logits` takes the embedding table for the output too; `scaled_logits` multiplies what goes
    into the output by d_model^-0.5 (both: T5 1.0). `layer_biases` gives each layer a position bias
    of its own (umT5). `remat` says what of a layer is computed again in the backward pass instead
    of being kept: "none", "dots" (all but its matrix products) or "full".
    """

    vocab_size: int = 4096
    d_model: int = 256
    num_heads: int = 4
    head_dim: int = 64
    d_ff: int = 640
    num_encoder_layers: int = 2
    num_decoder_layers: int = 2
    activations: tuple[str, ...] = ("gelu", "linear")
    dropout_rate: float = 0.0
    num_buckets: int = 32
    max_distance: int = 128
    norm_epsilon: float = 1e-6
    tied_logits: bool = False
    scaled_logits: bool = False
    layer_biases: bool = False
    dtype: str = "bfloat16"
    remat: str = "none"

    def __post_init__(self) -> None:
        sizes = ("vocab_size", "d_model", "num_heads", "head_dim", "d_ff", "max_distance")
        for name in (*sizes, "num_encoder_layers", "num_decoder_layers"):
            if getattr(self, name) < 1:
                raise ValueError(f"T5Config.{name}: got {getattr(self, name)}, expected 1 or more")
        if not 0.0 <= self.dropout_rate < 1.0:
            raise ValueError(f"T5Config.dropout_rate: got {self.dropout_rate}, expected [0, 1)")
        if self.num_buckets < 4 or self.num_buckets % 2:
            raise ValueError(f"T5Config.num_buckets: got {self.num_buckets}, expected even, >= 4")
        if self.dtype not in DTYPES:
            raise ValueError(f"T5Config.dtype: got {self.dtype!r}, expected one of {DTYPES}")
        if self.remat not in REMATS:
            raise ValueError(f"T5Config.remat: got {self.remat!r}, expected one of {REMATS}")
        unknown = [name for name in self.activations if name not in ACTIVATIONS]
        if unknown or len(self.activations) not in (1, 2):
            raise ValueError(
                f"T5Config.activations: got {self.activations}, expected one or two of "
                f"{tuple(ACTIVATIONS)}"
            )
