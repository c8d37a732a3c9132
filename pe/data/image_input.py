"""Images as CLIP and CoCa read them: resized, cropped, normalised as open_clip 3.3 does it.

Knows the preprocessing settings of open_clip and of Hugging Face. Knows nothing about models, or
where images come from.
"""

import dataclasses
import functools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import PIL.Image

from pe.axes import Float

_RESIZES = ("shortest", "longest", "squash")
_FILTERS = {
    "bicubic": PIL.Image.Resampling.BICUBIC,
    "bilinear": PIL.Image.Resampling.BILINEAR,
}
_MAX_RESIZED_PIXELS = 2**26  # 256 MiB; at 224 px an image 1,337 times as long as wide
# what only a preprocessor_config.json of Hugging Face holds
_HF_KEYS = ("image_mean", "image_std", "resample", "crop_size", "image_processor_type")
_HF_STEPS = ("do_resize", "do_rescale", "do_normalize")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageInputConfig:
    """How an image becomes a square of `size_px`; the defaults are OpenAI's (arXiv:2103.00020).

    | resize | the image is scaled, its shape kept, so that |
    |---|---|
    | shortest | its shorter side fits; the middle of the longer is kept |
    | longest | its longer side fits; `fill` (a grey from 0 to 255) is put on both sides of it |
    | squash | (its shape is not kept) both sides fit |
    """

    size_px: int = 224
    mean: tuple[float, float, float] = (0.48145466, 0.4578275, 0.40821073)
    std: tuple[float, float, float] = (0.26862954, 0.26130258, 0.27577711)
    resize: str = "shortest"
    interpolation: str = "bicubic"
    fill: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.size_px <= 4096:
            raise ValueError(f"ImageInputConfig.size_px: got {self.size_px}, expected 1 to 4096")
        for name in ("mean", "std"):
            values = getattr(self, name)
            if len(values) != 3 or not all(math.isfinite(value) for value in values):
                raise ValueError(f"ImageInputConfig.{name}: got {values}, expected three numbers")
        if not min(self.std) > 0:
            raise ValueError(f"ImageInputConfig.std: got {self.std}, expected numbers above 0")
        for name, known in (("resize", _RESIZES), ("interpolation", tuple(_FILTERS))):
            if (value := getattr(self, name)) not in known:
                raise ValueError(
                    f"ImageInputConfig.{name}: got {value!r}, expected one of {', '.join(known)}"
                )
        if not 0 <= self.fill <= 255:
            raise ValueError(f"ImageInputConfig.fill: got {self.fill}, expected 0 to 255")


def read_input_config(
    preprocess_cfg: Mapping[str, Any], *, size_px: int | None = None
) -> ImageInputConfig:
    """Read `preprocess_cfg` of an open_clip_config.json, or a preprocessor_config.json.

    The second is Hugging Face's, of CLIP's image processor or one with the same steps. `size_px` is
    the image size of the model, where that is known: it goes before the size in open_clip's
    settings, as there, and has to be that of Hugging Face's. What open_clip's settings do not name
    has open_clip's default, which is OpenAI's.

    Example:
      preprocess_cfg                                     size_px  returns
      {}                                                          the defaults
      {"mean": 0.5, "std": 0.5}                              384  size_px=384, mean=std=(.5, .5, .5)
      {"size": {"shortest_edge": 224}, "resample": 3, ..}         size_px=224, shortest, bicubic, ..

    Raises ValueError for values of another kind and for steps that `prepare_image` does not have.
    """
    if not isinstance(preprocess_cfg, Mapping):
        raise ValueError(f"preprocessing: got {preprocess_cfg!r}, expected names with values")
    if any(key in preprocess_cfg for key in _HF_KEYS) or isinstance(
        preprocess_cfg.get("size"), Mapping
    ):
        return _read_hf_config(preprocess_cfg, size_px)
    given = {key: value for key, value in preprocess_cfg.items() if value is not None}
    if (mode := given.get("mode", "RGB")) != "RGB":
        raise ValueError(f"preprocessing mode: got {mode!r}, expected 'RGB'")
    settings: dict[str, Any] = {}
    for name in ("mean", "std"):
        if name in given:
            settings[name] = _read_triple(given[name], name)
    for name, key in (("resize", "resize_mode"), ("interpolation", "interpolation")):
        if key in given:
            settings[name] = given[key]
    if settings.get("interpolation") == "random":  # of training; there it is bicubic otherwise
        settings["interpolation"] = "bicubic"
    if "fill_color" in given:
        settings["fill"] = _read_whole(given["fill_color"], "fill_color")
    if size_px is not None:
        settings["size_px"] = size_px
    elif "size" in given:
        settings["size_px"] = _read_side(given["size"], "size")
    return ImageInputConfig(**settings)


def prepare_image(image: PIL.Image.Image, config: ImageInputConfig) -> Float[np.ndarray, "Y X 3"]:
    """Resize, crop and normalise an RGB image into float32 [size_px size_px 3].

    Equals torchvision 0.28 as open_clip's `image_transform_v2(is_train=False)` calls it, bit for
    bit, channels last: the sides are rounded as there, and a pixel is (value / 255 - mean) / std.

    Example (size_px 1, mean 0.5, std 0.25 in each channel):
      image                returns
      one white pixel      [[[ 2.0,  2.0,  2.0]]]
      one (0, 255, 51)     [[[-2.0,  2.0, -1.2]]]

    Raises ValueError for an image that is not RGB (convert it first), and for one that is so long
    and thin that it cannot be resized.
    """
    if image.mode != "RGB":
        raise ValueError(f"image: got the mode {image.mode}, expected RGB; convert it first")
    width, height = _resized_sides(*image.size, config)
    if min(width, height) < 1 or width * height > _MAX_RESIZED_PIXELS:
        raise ValueError(
            f"image: got {image.width} x {image.height} px, which would become {width} x {height} "
            f"for an input of {config.size_px}; expected less of a strip, crop it first"
        )
    if (width, height) != image.size:
        image = image.resize((width, height), _FILTERS[config.interpolation])
    pixels = np.asarray(_crop_or_pad(image, config))  # [Y X 3]
    levels = _make_levels(tuple(config.mean), tuple(config.std))
    prepared = np.empty(pixels.shape, np.float32)
    for channel in range(3):
        prepared[..., channel] = levels[channel][pixels[..., channel]]
    return prepared


def prepare_images(
    images: Sequence[PIL.Image.Image], config: ImageInputConfig
) -> Float[np.ndarray, "B Y X 3"]:
    """Prepare RGB images of any sizes, see `prepare_image`; float32 [B size_px size_px 3]."""
    prepared = np.empty((len(images), config.size_px, config.size_px, 3), np.float32)
    for row, image in zip(prepared, images, strict=True):
        row[...] = prepare_image(image, config)
    return prepared


def _resized_sides(width: int, height: int, config: ImageInputConfig) -> tuple[int, int]:
    """Return the width and height before cropping: a longer side cut down, a shorter rounded.

    Example (size 224):
      width  height  shortest    longest     squash
        640     427  (335, 224)  (224, 149)  (224, 224)
        427     640  (224, 335)  (149, 224)  (224, 224)
    """
    size = config.size_px
    if config.resize == "squash" or min(width, height) < 1:
        return (size, size) if min(width, height) else (0, 0)
    if config.resize == "longest":
        ratio = max(height / size, width / size)
        return round(width / ratio), round(height / ratio)
    longer = int(size * max(width, height) / min(width, height))
    return (size, longer) if width <= height else (longer, size)


def _crop_or_pad(image: PIL.Image.Image, config: ImageInputConfig) -> PIL.Image.Image:
    """Return the middle of an image; an odd pixel is cut at the even side, or filled at the end."""
    size = config.size_px
    if image.size == (size, size):
        return image
    if image.width >= size and image.height >= size:
        left, top = round((image.width - size) / 2.0), round((image.height - size) / 2.0)
        return image.crop((left, top, left + size, top + size))
    padded = PIL.Image.new("RGB", (size, size), (config.fill,) * 3)
    padded.paste(image, ((size - image.width) // 2, (size - image.height) // 2))
    return padded


@functools.lru_cache(maxsize=8)
def _make_levels(mean: tuple[float, ...], std: tuple[float, ...]) -> Float[np.ndarray, "3 256"]:
    """Return what each of a byte's 256 values becomes in each channel."""
    levels = np.arange(256, dtype=np.float32) / np.float32(255)
    return (levels - np.asarray(mean, np.float32)[:, None]) / np.asarray(std, np.float32)[:, None]


def _read_hf_config(given: Mapping[str, Any], size_px: int | None) -> ImageInputConfig:
    """Read a preprocessor_config.json; each setting has to be there, for each class has its own."""
    if missing := [
        key for key in ("size", "image_mean", "image_std", "resample") if given.get(key) is None
    ]:
        raise ValueError(
            f"preprocessing: {', '.join(missing)} not given; expected them in the file"
        )
    if off := [key for key in _HF_STEPS if not given.get(key, True)]:
        raise ValueError(f"preprocessing: got no {', '.join(off)}; expected all three steps")
    factor = given.get("rescale_factor", 1 / 255)
    if not isinstance(factor, float) or not math.isclose(factor, 1 / 255, rel_tol=1e-6):
        raise ValueError(f"preprocessing rescale_factor: got {factor}, expected 1/255")
    resample = given["resample"]
    if resample not in (2, 3):
        raise ValueError(
            f"preprocessing resample: got {resample}, expected 2 (bilinear) or 3 (bicubic)"
        )
    size, crop = given["size"], given.get("crop_size")
    if isinstance(size, Mapping) and "shortest_edge" not in size:
        resize, side = "squash", _read_side(size, "size")
    else:
        resize, side = "shortest", _read_side(size, "size")
        if not given.get("do_center_crop", True):
            raise ValueError("preprocessing do_center_crop: got false, expected a square input")
    crops = crop is not None and given.get("do_center_crop", True)
    if crops and (crop_side := _read_side(crop, "crop_size")) != side:
        raise ValueError(
            f"preprocessing crop_size: got {crop_side} of a size of {side}, expected the same"
        )
    if size_px is not None and size_px != side:
        raise ValueError(f"preprocessing size: got {side} for a model of {size_px}; expected that")
    return ImageInputConfig(
        size_px=side,
        mean=_read_triple(given["image_mean"], "image_mean"),
        std=_read_triple(given["image_std"], "image_std"),
        resize=resize,
        interpolation="bilinear" if resample == 2 else "bicubic",
    )


def _read_triple(value: Any, name: str) -> tuple[float, float, float]:
    values = [value] * 3 if isinstance(value, int | float) else value
    if (
        not isinstance(values, Sequence)
        or len(values) != 3
        or not all(isinstance(x, int | float) and not isinstance(x, bool) for x in values)
    ):
        raise ValueError(f"preprocessing {name}: got {value!r}, expected three numbers")
    red, green, blue = (float(x) for x in values)
    return red, green, blue


def _read_side(value: Any, name: str) -> int:
    """Read a size: a number, two that are the same, or as Hugging Face has it, with names."""
    if isinstance(value, Mapping):
        names = ["shortest_edge"] if "shortest_edge" in value else ["height", "width"]
        value = [value.get(key) for key in names]
    sides = list(value) if isinstance(value, list | tuple) else [value]
    if not sides or any(side != sides[0] for side in sides):
        raise ValueError(f"preprocessing {name}: got {value!r}, expected a square")
    return _read_whole(sides[0], name)


def _read_whole(value: Any, name: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(f"preprocessing {name}: got {value!r}, expected a whole number")
    return value
