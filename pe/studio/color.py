"""Colors: RGB triples of 0 to 255, their names, and shades of them. Knows no pictures."""

import colorsys

Color = tuple[int, int, int]

NAMED: dict[str, Color] = {
    "red": (204, 52, 48),
    "orange": (232, 132, 44),
    "yellow": (240, 200, 60),
    "green": (70, 150, 72),
    "teal": (40, 150, 150),
    "blue": (52, 104, 196),
    "purple": (124, 76, 168),
    "pink": (236, 140, 172),
    "brown": (132, 88, 54),
    "black": (44, 42, 48),
    "white": (242, 240, 234),
    "gray": (138, 142, 148),
    "golden": (222, 170, 52),
    "silver": (188, 194, 202),
}


def mix(a: Color, b: Color, share: float) -> Color:
    """Return a color between two: a at 0, b at 1."""
    red, green, blue = (round(x + (y - x) * share) for x, y in zip(a, b, strict=True))
    return red, green, blue


def darken(color: Color, share: float = 0.25) -> Color:
    """Mix a color with a cool near-black."""
    return mix(color, (24, 22, 40), share)


def lighten(color: Color, share: float = 0.3) -> Color:
    """Mix a color with a warm near-white."""
    return mix(color, (255, 250, 238), share)


def shift_hue(color: Color, turn: float) -> Color:
    """Turn a color's hue by a share of the circle."""
    hue, light, saturation = colorsys.rgb_to_hls(*(part / 255 for part in color))
    parts = colorsys.hls_to_rgb((hue + turn) % 1.0, light, saturation)
    red, green, blue = (round(part * 255) for part in parts)
    return red, green, blue
