"""An image file's bytes to an upright RGB picture, or the reason why there is none.

Every kind that people have is read for what it shows: rotated as EXIF says, see-through parts on
white, 16 bits scaled and not clipped, of animations and many pages the first. Changes no state of
the process, so that any number of threads may decode, and lets no warning out. Knows the decoders;
what the bytes say before (`image_format.py`, `image_bytes.py`), where they come from, and what is
done with the picture are others' affair.
"""

import dataclasses
import io
import math

import numpy as np
from jaxtyping import Float, UInt8
from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageFile,
    Jpeg2KImagePlugin,
    JpegImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from pe.data.image_bytes import prepare, read_orientation
from pe.data.image_format import REASONS, UnreadableImage, find_format

__all__ = ["REASONS", "ImageLimits", "UnreadableImage", "decode_image"]

# The classes by themselves: Image.open would try formats without a signature, warn of large
# pictures by a limit that belongs to the whole process, and read the second picture of a stereo
# JPEG.
_DECODERS: dict[str, type[ImageFile.ImageFile]] = {
    "AVIF": AvifImagePlugin.AvifImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
    "GIF": GifImagePlugin.GifImageFile,
    "JPEG": JpegImagePlugin.JpegImageFile,
    "JPEG2000": Jpeg2KImagePlugin.Jpeg2KImageFile,
    "PNG": PngImagePlugin.PngImageFile,
    "PPM": PpmImagePlugin.PpmImageFile,
    "TIFF": TiffImagePlugin.TiffImageFile,
    "WEBP": WebPImagePlugin.WebPImageFile,
}

_TURNS = {  # EXIF orientation -> what puts the picture upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_UNSUPPORTED = (
    "unsupported",
    "not supported",
    "not yet supported",
    "unknown pixel mode",
    "cannot handle",
)
# (greatest value, white): a little above white is an overshoot of some filter, far below it would
# be a picture that is all but black.
_SCALES = ((16.0, 1.0), (510.0, 255.0), (131_070.0, 65_535.0), (2.0**31, 2.0**31 - 1))


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageLimits:
    """What is decoded; the header decides, before a pixel is unpacked.

    min_side_px  shorter pictures are icons and spacers: LAION-5B left out those below 64
    max_pixels   width times height; the default is 300 MB as RGB
    max_bytes    of the file; 100 million pixels of 16-bit RGB, not packed, have 600 MB
    """

    min_side_px: int = 64
    max_pixels: int = 100_000_000
    max_bytes: int = 1 << 30

    def __post_init__(self) -> None:
        for name in ("min_side_px", "max_pixels", "max_bytes"):
            if getattr(self, name) < 1:
                raise ValueError(
                    f"ImageLimits.{name}: got {getattr(self, name)}, expected 1 or more"
                )
        if self.min_side_px**2 > self.max_pixels:
            raise ValueError(
                f"ImageLimits.min_side_px: got {self.min_side_px}, whose square is over "
                f"max_pixels, {self.max_pixels}; expected limits that some picture can keep"
            )


def decode_image(data: bytes, limits: ImageLimits = ImageLimits()) -> Image.Image:
    """Decode a file's bytes into mode RGB, width by height as a person would see it.

    Example (64 x 80 pixels):
      data                                      returns
      a red JPEG with EXIF orientation 6        80 x 64, red
      a PNG, wholly transparent                 64 x 80, white
      a 16-bit grey PNG, every value 32,896     64 x 80, (128, 128, 128)
      a PNG without its last chunk              raises UnreadableImage, reason truncated
      a page of HTML                            raises UnreadableImage, reason no_image

    Raises:
      UnreadableImage: a ValueError whose `reason` is a key of REASONS.
    """
    if len(data) > limits.max_bytes:
        raise UnreadableImage("too_many_bytes", f"{len(data)} bytes, over {limits.max_bytes}")
    name = find_format(data)
    try:
        ready = prepare(data, name)
        if ready.size is not None:
            _check_size(ready.size, limits)
        image = _DECODERS[name](io.BytesIO(ready.data))
        _check_size(image.size, limits)
        orientation = ready.orientation
        if name == "AVIF":  # the decoder tells what AVIF's boxes say in EXIF's terms
            orientation = read_orientation(image.info.get("exif", b""))
        image.load()
        result = _to_rgb(image)
    except UnreadableImage:
        raise
    except MemoryError:
        raise  # the machine's trouble, not the file's
    except Exception as error:  # decoders raise a dozen types at bytes that are wrong
        raise UnreadableImage(_reason_of(error), f"{name}: {error}") from error
    if orientation in _TURNS:
        result = result.transpose(_TURNS[orientation])
    result.info = {}
    return result


def _reason_of(error: Exception) -> str:
    text = str(error).lower()
    if isinstance(error, EOFError) or "truncated" in text:
        return "truncated"
    return "unsupported" if any(phrase in text for phrase in _UNSUPPORTED) else "broken"


def _check_size(size: tuple[int, int], limits: ImageLimits) -> None:
    width, height = size
    if width * height > limits.max_pixels:
        raise UnreadableImage("too_large", f"{width} x {height} px, over {limits.max_pixels} px")
    if min(size) < limits.min_side_px:
        raise UnreadableImage("too_small", f"{width} x {height} px, under {limits.min_side_px}")


# ---- colours ------------------------------------------------------------------------------------


def _to_rgb(image: ImageFile.ImageFile) -> Image.Image:
    """Convert any mode; what is see-through lies on white."""
    if image.mode == "F" or image.mode.startswith("I"):
        return _grey_to_rgb(image)
    if not image.has_transparency_data:
        return image.convert("RGB")
    rgba = image.convert("RGBA")
    white = Image.new("RGB", image.size, "white")
    white.paste(rgba, mask=rgba)
    return white


def _grey_to_rgb(image: ImageFile.ImageFile) -> Image.Image:
    """Scale grey of 12, 16 or 32 bits, or of floats, to 8 bits."""
    values = np.asarray(image).astype(np.float32)
    scale, is_inverted = _grey_scale(image)
    grey = scale_grey(values, scale or find_scale(values))
    if is_inverted:
        grey = 255 - grey
    clear = image.info.get("transparency")
    if isinstance(clear, int):
        grey = np.where(values == clear, np.uint8(255), grey)
    return Image.fromarray(grey).convert("RGB")


def _grey_scale(image: ImageFile.ImageFile) -> tuple[float | None, bool]:
    """Return the value of white where the file says it, and whether 0 is white."""
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return 65535.0, False  # PNG, PPM and JPEG 2000 are brought to 16 bits by their decoders
    bits, kind = image.tag_v2.get(258, (1,))[0], image.tag_v2.get(339, (1,))[0]
    scale = None if kind == 3 or bits == 32 else 2.0 ** (bits - (kind == 2)) - 1
    return scale, image.tag_v2.get(262) == 0


def find_scale(values: Float[np.ndarray, "height width"]) -> float:
    """Guess what value is white where a file of floats or 32-bit integers does not say.

    Example:
      values              returns
      [[0.0, 1.01]]       1
      [[0.0, 180.0]]      255
      [[-5.0, 40000.0]]   65535
      [[0.0, 1e12]]       1e12
    """
    top = float(np.max(np.where(np.isfinite(values), values, 0)))
    return next((white for most, white in _SCALES if top <= most), top)


def scale_grey(
    values: Float[np.ndarray, "height width"], scale: float
) -> UInt8[np.ndarray, "height width"]:
    """Scale 0..scale to 0..255, rounded; what is below is black, what is no number too.

    Example (scale 65535):
      values   [[0, 257, 32896, 65535, -9, nan]]
      returns  [[0,   1,   128,   255,  0,   0]]
    """
    if not (math.isfinite(scale) and scale > 0):
        raise ValueError(f"scale: got {scale}, expected a finite number above 0")
    grey = np.nan_to_num(values * np.float32(255 / scale), nan=0.0, posinf=255.0, neginf=0.0)
    return np.clip(np.rint(grey), 0, 255).astype(np.uint8)
