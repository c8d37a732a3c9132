"""What a CLIP or a CoCa is made of: sizes and switches, nothing that computes.

Weights bring their own (`pe.weights.open_clip`).
"""

import dataclasses

ACTIVATIONS = ("gelu", "quick_gelu")
STEM_PX = 4  # of what a stem's first stage makes one


def _check_counts(config: object, names: tuple[str, ...]) -> None:
    for name in names:
        value = getattr(config, name)
        if value < 1:
            raise ValueError(f"{type(config).__name__}.{name}: got {value}, expected 1 or more")


def _check_heads(config: object, width: int, num_heads: int) -> None:
    if width % num_heads:
        raise ValueError(
            f"{type(config).__name__}: width {width} is no multiple of num_heads {num_heads}"
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class VisionConfig:
    """The image tower, a ViT (arXiv:2010.11929) with a norm before its blocks.

    num_pool_queries  0: the class token is the image's embedding. Else (CoCa) so many learned
                      queries attend to the tower's output; the first is the embedding, the others
                      are what the captioner reads (arXiv:2205.01917 sec. 3.2, as open_clip has it)
    stem_width        0: patches are cut out. Else a stem of convolutions makes the tokens
                      (`pe.models.clip_stem`): the width of its first stage
    stem_blocks       in each stage of the stem
    """

    image_px: int = 224
    patch_px: int = 32
    width: int = 768
    num_layers: int = 12
    num_heads: int = 12
    mlp_width: int = 3072
    num_pool_queries: int = 0
    num_pool_heads: int = 8
    stem_width: int = 0
    stem_blocks: int = 2

    def __post_init__(self) -> None:
        _check_counts(
            self,
            (
                "image_px",
                "patch_px",
                "width",
                "num_layers",
                "num_heads",
                "mlp_width",
                "num_pool_heads",
                "stem_blocks",
            ),
        )
        _check_heads(self, self.width, self.num_heads)
        if self.image_px % self.patch_px:
            raise ValueError(
                f"VisionConfig: image_px {self.image_px} is no multiple of patch_px {self.patch_px}"
            )
        if self.num_pool_queries == 1 or self.num_pool_queries < 0:
            raise ValueError(
                f"VisionConfig.num_pool_queries: got {self.num_pool_queries}, expected 0, or 2 or "
                "more (one for the embedding, the rest for captions)"
            )

        if self.stem_width < 0:
            raise ValueError(f"VisionConfig.stem_width: got {self.stem_width}, expected 0 or more")
        stages = self.patch_px // STEM_PX
        if self.stem_width and (self.patch_px % STEM_PX or stages & (stages - 1)):
            raise ValueError(
                f"VisionConfig.patch_px: got {self.patch_px}, expected 4, 8, 16, 32, ... with a "
                "stem, whose stages halve the sides"
            )

    @property
    def stem_widths(self) -> tuple[int, ...]:
        """Return the width of each stage of the stem: doubled each time, the last the tower's."""
        if not self.stem_width:
            return ()
        num = (self.patch_px // STEM_PX).bit_length()
        return (*(self.stem_width * 2**i for i in range(num - 1)), self.width)

    @property
    def num_patches(self) -> int:
        """Count the patches of an image."""
        return (self.image_px // self.patch_px) ** 2


@dataclasses.dataclass(frozen=True, kw_only=True)
class TextConfig:
    """The text tower, causal.

    `context_tokens` counts start and end. `has_class_token` (CoCa): a learned token behind the text
    is its embedding, instead of the end token's position; there padding (id 0) is masked.
    """

    context_tokens: int = 77
    vocab_size: int = 49_408
    width: int = 512
    num_layers: int = 12
    num_heads: int = 8
    mlp_width: int = 2048
    has_class_token: bool = False

    def __post_init__(self) -> None:
        _check_counts(
            self,
            ("context_tokens", "vocab_size", "width", "num_layers", "num_heads", "mlp_width"),
        )
        _check_heads(self, self.width, self.num_heads)

    @property
    def tail_tokens(self) -> int:
        """Count the positions behind a text that its embedding needs: its end, or more (CoCa).

        With a class token these are the end, one padding, which the class token may see, and the
        class token.
        """
        return 3 if self.has_class_token else 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class DecoderConfig:
    """CoCa's multimodal decoder: a causal block and one that attends to the image, by turns."""

    context_tokens: int = 76
    width: int = 512
    num_layers: int = 12
    num_heads: int = 8
    mlp_width: int = 2048

    def __post_init__(self) -> None:
        _check_counts(self, ("context_tokens", "width", "num_layers", "num_heads", "mlp_width"))
        _check_heads(self, self.width, self.num_heads)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClipConfig:
    """Two towers and the space they share (arXiv:2103.00020). With a `decoder`: a CoCa.

    activation    "gelu", or OpenAI's "quick_gelu", x * sigmoid(1.702 x)
    dtype         of the matrix products; norms and softmax are float32 always
    """

    embed_dim: int = 512
    activation: str = "gelu"
    norm_epsilon: float = 1e-5
    dtype: str = "float32"
    vision: VisionConfig = dataclasses.field(default_factory=VisionConfig)
    text: TextConfig = dataclasses.field(default_factory=TextConfig)
    decoder: DecoderConfig | None = None

    def __post_init__(self) -> None:
        _check_counts(self, ("embed_dim",))
        if self.activation not in ACTIVATIONS:
            raise ValueError(
                f"ClipConfig.activation: got {self.activation!r}, expected one of {ACTIVATIONS}"
            )
        if self.dtype not in ("float32", "bfloat16", "float16"):
            raise ValueError(
                f"ClipConfig.dtype: got {self.dtype!r}, expected float32, bfloat16 or float16"
            )
        if not 0 < self.norm_epsilon < 1:
            raise ValueError(
                f"ClipConfig.norm_epsilon: got {self.norm_epsilon}, expected more than 0 and less "
                "than 1"
            )
        if self.vision.num_pool_queries and self.embed_dim % self.vision.num_pool_heads:
            raise ValueError(
                f"VisionConfig.num_pool_heads: got {self.vision.num_pool_heads}, expected a "
                f"divisor of embed_dim, {self.embed_dim}"
            )
        if self.decoder is None:
            return
        if not self.vision.num_pool_queries:
            raise ValueError("ClipConfig: a decoder needs VisionConfig.num_pool_queries, got 0")
        if self.decoder.width != self.embed_dim or self.decoder.width != self.text.width:
            raise ValueError(
                f"ClipConfig: the decoder reads image and text as they come, so its width "
                f"({self.decoder.width}) must be embed_dim ({self.embed_dim}) and the text tower's "
                f"width ({self.text.width})"
            )
        if not self.text.has_class_token:
            raise ValueError("ClipConfig: a decoder needs TextConfig.has_class_token, got False")
