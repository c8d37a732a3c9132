"""What the media share: outlines, noise, tiles, strokes and palettes. Registers no flavor.

Pictures are float32 RGB in 0 to 1. Lengths are pixels; a medium multiplies its own by `unit`, so
that it looks alike at any size.
"""

import dataclasses
import functools

import numpy as np
from PIL import Image
from scipy import ndimage

from pe.axes import Float, Int
from pe.studio.flavor import Picture

Plane = Float[np.ndarray, "H W"]
Number = float | int
Rng = np.random.Generator
LUMA = np.array([0.3, 0.59, 0.11], np.float32)
RED = np.array([0.62, 0.33, 0.05], np.float32)  # as through a red filter: subjects stand out


def unit(picture: Picture) -> float:
    """Return how many pixels are one pixel of a 256 pixel picture."""
    return min(picture.shape[:2]) / 256


def finish(picture: Float[np.ndarray, "H W 3"]) -> Picture:
    """Return the picture as float32 within 0 to 1."""
    return np.clip(picture, 0, 1).astype(np.float32, copy=False)


def rgb(color: str) -> Float[np.ndarray, "3"]:
    """Return a color written as hex, "ff8800"."""
    return np.array(tuple(bytes.fromhex(color)), np.float32) / 255


def palette(colors: str) -> Float[np.ndarray, "N 3"]:
    """Return colors written as hex, one after the other."""
    return np.stack([rgb(color) for color in colors.split()])


def gray(picture: Picture) -> Plane:
    """Return how bright each pixel is."""
    return picture @ LUMA


def stretch(plane: Plane, *, low: Number = 2, high: Number = 98) -> Plane:
    """Spread a plane over 0 to 1, so that these percentiles of it reach the ends."""
    bottom, top = np.percentile(plane[::3, ::3], (low, high))
    return np.clip((plane - bottom) / max(top - bottom, 0.08), 0, 1).astype(np.float32)


def expose(picture: Picture) -> Picture:
    """Brighten a dark picture, at most twofold, so that inks have something to print."""
    top = np.percentile(picture[::3, ::3], 97)
    return np.clip(picture * np.float32(np.clip(0.8 / (top + 0.01), 1, 2)), 0, 1)


def saturate(picture: Picture, amount: Number) -> Picture:
    """Scale how far colors are from gray."""
    bright = gray(picture)[..., None]
    return np.clip(bright + (picture - bright) * np.float32(amount), 0, 1)


def mix(
    a: Float[np.ndarray, "..."], b: Float[np.ndarray, "..."], share: np.ndarray | Number
) -> Float[np.ndarray, "H W 3"]:
    """Return a picture (or one color) between two: `a` where the share is 0, `b` where it is 1."""
    part = np.asarray(share, np.float32)
    return a + (b - a) * (part[..., None] if part.ndim else part)


def soft(plane: Float[np.ndarray, "*S"], low: Number, high: Number) -> Float[np.ndarray, "*S"]:
    """Step smoothly from 0 at `low` to 1 at `high`, or down where `high` is the smaller."""
    t = np.clip((plane - np.float32(low)) * np.float32(1 / (high - low)), 0, 1)
    return t * t * (3 - 2 * t)


def blur(image: Float[np.ndarray, "H W *C"], sigma: Number) -> Float[np.ndarray, "H W *C"]:
    """Blur by a Gaussian, not across colors."""
    sigmas = (sigma, sigma) + (0,) * (image.ndim - 2)
    return ndimage.gaussian_filter(image, sigmas, truncate=2.5, mode="nearest")


def coords(
    picture: Float[np.ndarray, "H W *C"],
) -> tuple[Float[np.ndarray, "H 1"], Float[np.ndarray, "1 W"]]:
    """Return the rows and columns, which broadcast to the picture."""
    height, width = picture.shape[:2]
    return np.arange(height, dtype=np.float32)[:, None], np.arange(width, dtype=np.float32)[None]


def noise(picture: Picture, cell: Number, rng: Rng, *, octaves: int = 1) -> Plane:
    """Return smooth noise of 0 to 1 around 0.5 whose blobs are about `cell` pixels wide."""
    height, width = picture.shape[:2]
    total, weight = np.zeros((height, width), np.float32), 0.0
    for octave in range(octaves):
        size = max(cell / 2**octave, 1)
        small = (max(round(width / size), 1) + 3, max(round(height / size), 1) + 3)
        field = Image.fromarray(rng.random(small[::-1], dtype=np.float32))
        box = (1.5, 1.5, small[0] - 1.5, small[1] - 1.5)
        field = field.resize((width, height), Image.Resampling.BICUBIC, box)
        total += 0.5**octave * np.asarray(field)
        weight += 0.5**octave
    return np.clip(total / weight, 0, 1)


def grain(picture: Picture, rng: Rng, *, size: Number = 1) -> Plane:
    """Return the tooth of a paper: fine noise around 0, about 1 wide, coarser in a big picture."""
    fine = noise(picture, max(size * unit(picture), 1), rng) - 0.5
    return (fine + (noise(picture, max(3 * size * unit(picture), 2), rng) - 0.5) * 0.6) * 2


def slope(plane: Plane) -> tuple[Plane, Plane]:
    """Return how a plane changes down and across, per pixel."""
    padded = np.pad(plane, 1, mode="edge")
    down = (padded[2:, 1:-1] - padded[:-2, 1:-1]) * np.float32(0.5)
    return down, (padded[1:-1, 2:] - padded[1:-1, :-2]) * np.float32(0.5)


def relief(height: Plane, strength: Number) -> Plane:
    """Light a height map from the top left: around 0, bright above and dark below."""
    down, across = slope(height)
    return np.tanh((-down - across) * np.float32(-strength))


def edges(picture: Picture, sigma: Number) -> Plane:
    """Return the contrast of each edge, about 0 to 1; in a dark or pale picture it counts more."""
    smooth = np.moveaxis(blur(picture, sigma), 2, 0)
    best = np.zeros(picture.shape[:2], np.float32)
    for channel in smooth:
        down, across = slope(channel)
        np.maximum(best, down * down + across * across, out=best)
    low, high = np.percentile(gray(picture)[::3, ::3], (2, 98))
    return np.sqrt(best) * np.float32(2.5 * sigma * np.clip(0.55 / (high - low + 0.01), 1, 3))


def outline(picture: Picture, sigma: Number, *, at: Number = 0.16) -> Plane:
    """Return 1 on the outlines of what is shown, 0 elsewhere; `at` is the contrast that counts."""
    return soft(edges(picture, sigma), at * 0.7, at * 1.3)


def kuwahara(picture: Picture, radius: int) -> Picture:
    """Flatten what lies within edges and keep these sharp (Kuwahara's filter)."""
    size = max(radius, 1) + 1
    half = size // 2
    planes = [*np.moveaxis(picture, 2, 0), gray(picture) ** 2]
    means = [ndimage.uniform_filter(plane, size, mode="nearest") for plane in planes]
    mean = np.stack(means[:3], axis=2)
    spread = np.pad(means[3] - gray(mean) ** 2, half, mode="edge")
    y, x = coords(picture)
    height, width = picture.shape[:2]
    best = np.full((height, width), np.inf, np.float32)
    down, across = np.zeros((height, width), np.int8), np.zeros((height, width), np.int8)
    for dy in (-half, half):
        for dx in (-half, half):
            here = spread[half + dy : half + dy + height, half + dx : half + dx + width]
            flatter = here < best
            down, across = np.where(flatter, dy, down), np.where(flatter, dx, across)
            np.minimum(best, here, out=best)
    return at(mean, y + down, x + across)


def flow(picture: Picture, sigma: Number) -> Plane:
    """Return the angle along the edges nearby, which is the way a brush would go."""
    down, across = slope(blur(gray(picture), max(sigma / 3, 0.8)))
    double = blur(2 * down * across, sigma), blur(across * across - down * down, sigma)
    return np.arctan2(double[0], double[1] + 1e-9) / 2 + np.float32(np.pi / 2)


def at(
    image: Float[np.ndarray, "H W *C"], y: Float[np.ndarray, "..."], x: Float[np.ndarray, "..."]
) -> Float[np.ndarray, "..."]:
    """Return the nearest pixels at these places; outside repeats the border."""
    height, width = image.shape[:2]
    rows = np.clip(np.rint(y), 0, height - 1).astype(np.int32)
    index = rows * width + np.clip(np.rint(x), 0, width - 1).astype(np.int32)
    return np.take(image.reshape(height * width, *image.shape[2:]), index, axis=0)


def smear(
    image: Float[np.ndarray, "H W *C"], angle: Plane | Number, length: Number
) -> Float[np.ndarray, "H W *C"]:
    """Average along a direction, about `length` pixels, so that noise turns into strokes."""
    y, x = coords(image)
    down, across = np.sin(angle), np.cos(angle)
    step = length / 9
    for reach in (step, 3 * step):
        ahead = at(image, y + reach * down, x + reach * across)
        image = (image + ahead + at(image, y - reach * down, x - reach * across)) / np.float32(3)
    return image


def wobble(picture: Picture, reach: Number, cell: Number, rng: Rng) -> Picture:
    """Shift pixels by up to `reach`, smoothly, as an unsteady hand would."""
    y, x = coords(picture)
    down, across = noise(picture, cell, rng) - 0.5, noise(picture, cell, rng) - 0.5
    return at(picture, y + 2 * reach * down, x + 2 * reach * across)


def stripes(picture: Picture, period: Number, angle: Number, bend: Plane | Number = 0) -> Plane:
    """Return lines of 0 to 1 (1 in their middle) at an angle, bent by so many pixels."""
    y, x = coords(picture)
    across = x * np.float32(np.sin(angle)) - y * np.float32(np.cos(angle)) + bend
    return np.cos(across * np.float32(2 * np.pi / period)) * np.float32(0.5) + np.float32(0.5)


def screen(picture: Picture, period: Number, angle: Number) -> Plane:
    """Return the thresholds of a halftone screen, evenly spread over 0 to 1."""
    y, x = coords(picture)
    c, s, turn = np.cos(angle), np.sin(angle), 2 * np.pi / period
    dots = np.cos((x * c + y * s) * turn) * np.cos((y * c - x * s) * turn)
    return (np.arcsin(dots) / np.pi + 0.5).astype(np.float32)


def ramp(plane: Plane, colors: Float[np.ndarray, "N 3"]) -> Float[np.ndarray, "H W 3"]:
    """Color a plane: the first color at 0, the last at 1."""
    table = np.linspace(0, len(colors) - 1, 256)
    each = [np.interp(table, np.arange(len(colors)), colors[:, c]) for c in range(3)]
    lookup = np.stack(each, axis=1).astype(np.float32)
    return np.take(lookup, (np.clip(plane, 0, 1) * 255).astype(np.uint8), axis=0)


@functools.cache
def nearest_table(colors: bytes) -> Int[np.ndarray, " N"]:
    """Return which float32 color is nearest to each RGB color of 24 levels a channel."""
    known = np.frombuffer(colors, np.float32).reshape(-1, 3)
    level = np.linspace(0, 1, 24, dtype=np.float32)
    cube = np.stack(np.meshgrid(level, level, level, indexing="ij"), axis=3).reshape(-1, 3)
    return np.argmin((known**2).sum(axis=1) - 2 * cube @ known.T, axis=1)


def repaint(picture: Picture, colors: Float[np.ndarray, "N 3"]) -> Picture:
    """Give each pixel the nearest of these colors."""
    level = (np.clip(picture, 0, 1) * 23 + 0.5).astype(np.int32)
    index = (level[..., 0] * 24 + level[..., 1]) * 24 + level[..., 2]
    table = colors[nearest_table(colors.tobytes())]
    return np.take(table, index, axis=0)


def flatten(picture: Picture, levels: int) -> Picture:
    """Leave so many levels of brightness, keeping hues."""
    top = np.maximum(np.maximum(picture[..., 0], picture[..., 1]), picture[..., 2] + 1e-3)
    return picture * ((np.floor(np.minimum(top, 0.999) * levels) + 0.7) / levels / top)[..., None]


def border(picture: Picture) -> Plane:
    """Return how many pixels it is to the nearest side."""
    y, x = coords(picture)
    height, width = picture.shape[:2]
    return np.minimum(np.minimum(y, height - 1 - y), np.minimum(x, width - 1 - x))


def ragged(picture: Picture, margin: Number, rough: Number, rng: Rng) -> Plane:
    """Return 1 inside, 0 in a margin whose line is rough, as where a brush stopped."""
    u = unit(picture)
    away = border(picture) + (noise(picture, 22 * u, rng, octaves=3) - 0.5) * (rough * u)
    return soft(away, (margin - 1) * u, (margin + 1) * u)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tiles:
    """Which tile covers each pixel. `tile` is -1 where none does; `y`, `x` are centers of tiles."""

    tile: Int[np.ndarray, "H W"]
    y: Float[np.ndarray, " N"]
    x: Float[np.ndarray, " N"]

    def spread(self, values: Float[np.ndarray, " N *C"]) -> Float[np.ndarray, "H W *C"]:
        """Give each pixel its tile's value."""
        return np.take(values, self.tile, axis=0)

    def colors(self, picture: Picture) -> Float[np.ndarray, "N 3"]:
        """Return the picture's color at the middle of each tile."""
        return at(picture, self.y, self.x)


def scatter(picture: Picture, step: Number, jitter: Number, rng: Rng) -> tuple[Tiles, int]:
    """Lay points on a grid, each moved by up to `jitter / 2` steps; also return points per row."""
    height, width = picture.shape[:2]
    step = max(step, 2)
    rows, cols = int(np.ceil(height / step)) + 2, int(np.ceil(width / step)) + 2
    move = rng.random((2, rows, cols), dtype=np.float32) - 0.5
    y = (np.arange(rows, dtype=np.float32)[:, None] - 0.5 + jitter * move[0]) * step
    x = (np.arange(cols, dtype=np.float32)[None] - 0.5 + jitter * move[1]) * step
    row, col = (np.arange(n, dtype=np.float32) / step for n in (height, width))
    tile = (row.astype(np.int32)[:, None] + 1) * cols + col.astype(np.int32)[None] + 1
    return Tiles(tile=tile, y=y.ravel(), x=x.ravel()), cols


def around(cols: int) -> list[int]:
    """Return how far, in tiles, a tile's neighbors and itself are in the list of them."""
    return [dy * cols + dx for dy in (-1, 0, 1) for dx in (-1, 0, 1)]


def cells(picture: Picture, step: Number, jitter: Number, rng: Rng) -> tuple[Tiles, Plane]:
    """Split into cells around scattered points; also return the distance to a cell's border."""
    tiles, cols = scatter(picture, step, jitter, rng)
    y, x = coords(picture)
    best = np.full(picture.shape[:2], np.inf, np.float32)
    mine = tiles.tile
    for offset in around(cols):
        other = tiles.tile + offset
        away = (y - np.take(tiles.y, other)) ** 2 + (x - np.take(tiles.x, other)) ** 2
        mine = np.where(away < best, other, mine)
        np.minimum(best, away, out=best)
    my_y, my_x = np.take(tiles.y, mine), np.take(tiles.x, mine)
    edge = np.full(picture.shape[:2], np.inf, np.float32)
    for offset in around(cols):
        other = tiles.tile + offset
        dy, dx = np.take(tiles.y, other) - my_y, np.take(tiles.x, other) - my_x
        long = np.sqrt(dy * dy + dx * dx)
        far = (my_y + dy / 2 - y) * dy + (my_x + dx / 2 - x) * dx
        np.minimum(edge, np.where(long > 0, far / np.maximum(long, 1e-6), np.inf), out=edge)
    return Tiles(tile=mine, y=tiles.y, x=tiles.x), np.minimum(edge, 2 * step).astype(np.float32)


def dabs(
    picture: Picture,
    step: Number,
    rng: Rng,
    *,
    half_length: Number,
    half_width: Number,
    angle: Plane | Number = 0.0,
    spin: Number = 0.0,
) -> tuple[Tiles, Plane, Plane]:
    """Lay oval dabs over each other, each turned to the angle at its middle give or take `spin`.

    Also returns where in its dab a pixel is, along and across it, -1 to 1.
    """
    tiles, cols = scatter(picture, step, 0.9, rng)
    y, x = coords(picture)
    count, turn = len(tiles.y), np.broadcast_to(np.float32(angle), picture.shape[:2])
    turns = at(turn, tiles.y, tiles.x) + spin * (rng.random(count, dtype=np.float32) - 0.5)
    cos, sin = np.cos(turns), np.sin(turns)
    order = rng.permutation(count).astype(np.int32)
    rank = np.argsort(order).astype(np.int32) + 1
    top = np.zeros(picture.shape[:2], np.int32)

    def inside(tile: Int[np.ndarray, "H W"]) -> tuple[Plane, Plane]:
        dy, dx = y - np.take(tiles.y, tile), x - np.take(tiles.x, tile)
        c, s = np.take(cos, tile), np.take(sin, tile)
        return (dx * c + dy * s) / half_length, (dy * c - dx * s) / half_width

    for offset in around(cols):
        tile = tiles.tile + offset
        along, over = inside(tile)
        covers = along * along + over * over < 1
        np.maximum(top, covers * np.take(rank, tile), out=top)
    tile = np.where(top > 0, np.take(order, top - 1), -1)
    return Tiles(tile=tile, y=tiles.y, x=tiles.x), *inside(tile)


def facets(
    picture: Picture, step: Number, rng: Rng, *, snap: Number = 0.7
) -> tuple[Tiles, Plane, Float[np.ndarray, "H W 2"]]:
    """Split into triangles whose corners lie on edges of the picture.

    Also returns the distance to a triangle's border and, in steps, where a pixel is from the
    triangle's middle. `snap` is the part of a cell of the grid that a corner may lie in.
    """
    height, width = picture.shape[:2]
    rows, cols = int(np.ceil(height / step)) + 2, int(np.ceil(width / step)) + 2
    spots = (rng.random((2, rows, cols, 32), dtype=np.float32) - 0.5) * np.float32(snap)
    spots[0] += np.arange(rows, dtype=np.float32)[:, None, None] - 0.5
    spots[1] += np.arange(cols, dtype=np.float32)[None, :, None] - 0.5
    spots *= np.float32(step)
    pick = at(edges(picture, max(step / 12, 0.7)), *spots).argmax(axis=2)[..., None]
    corner_y, corner_x = (np.take_along_axis(axis, pick, 2).ravel() for axis in spots)
    y, x = coords(picture)
    cell = (y / step).astype(np.int32) * cols + (x / step).astype(np.int32) + cols + 1
    best, tile = np.full((height, width), -np.inf, np.float32), np.zeros_like(cell)
    index = np.arange(rows * cols)
    quad = [np.minimum(index + k, rows * cols - 1) for k in (0, 1, cols + 1, cols)]
    one = np.hypot(corner_y[quad[0]] - corner_y[quad[2]], corner_x[quad[0]] - corner_x[quad[2]])
    two = np.hypot(corner_y[quad[1]] - corner_y[quad[3]], corner_x[quad[1]] - corner_x[quad[3]])
    first = [np.where(one <= two, quad[a], quad[b]) for a, b in ((0, 0), (1, 1), (2, 3))]
    second = [np.where(one <= two, quad[a], quad[b]) for a, b in ((0, 1), (2, 2), (3, 3))]
    corners = np.stack([np.stack(first), np.stack(second)], axis=2).reshape(3, -1)  # [3 2N]
    ys, xs = corner_y[corners], corner_x[corners]
    sides = []
    for k in range(3):
        dy, dx = ys[(k + 1) % 3] - ys[k], xs[(k + 1) % 3] - xs[k]
        long = np.maximum(np.hypot(dy, dx), 1e-6)
        sides.append((dx / long, -dy / long, (dy * xs[k] - dx * ys[k]) / long))
    for back in (0, 1, cols, cols + 1):
        for half in (0, 1):
            mine = np.maximum(cell - back, 0) * 2 + half
            gaps = [
                y * np.take(a, mine) + x * np.take(b, mine) + np.take(c, mine) for a, b, c in sides
            ]
            inside = np.minimum(np.minimum(gaps[0], gaps[1]), gaps[2])
            tile = np.where(inside > best, mine, tile)
            np.maximum(best, inside, out=best)
    out = Tiles(tile=tile, y=ys.mean(axis=0), x=xs.mean(axis=0))
    local = np.stack([y - out.y[tile], x - out.x[tile]], axis=2) / np.float32(step)
    return out, best, local
