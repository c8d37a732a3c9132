"""Studio's image model: a prompt and a seed in, a picture out. The same two give the same bytes."""

import numpy as np
from PIL import Image, ImageDraw

from pe.axes import UInt
from pe.studio.canvas import Canvas, Pen, Tones
from pe.studio.color import NAMED, darken, mix
from pe.studio.layout import Spot, lay_out
from pe.studio.place import SHADE, SKIES, Stage, paint_place
from pe.studio.scene import Scene, fill_scene, read_prompt, scene_rng
from pe.studio.world import FLAVORS, SUBJECTS

SIZE = 256


def render(prompt: str, seed: int, *, size: int = SIZE) -> UInt[np.ndarray, "H W 3"]:
    """Draw a prompt; what it leaves open, the seed decides."""
    return draw_scene(fill_scene(read_prompt(prompt), seed), size=size)


def draw_scene(scene: Scene, *, size: int = SIZE) -> UInt[np.ndarray, "H W 3"]:
    """Draw a scene: place, things, weather, then its flavors in their order."""
    canvas = Canvas(size)
    stage = paint_place(canvas, scene)
    for number, spot in enumerate(lay_out(scene, stage.horizon)):
        _draw_spot(stage, spot, number)
    _draw_weather(stage)
    picture = np.asarray(canvas.finish(), np.float32) / 255
    flavors = sorted((FLAVORS[name] for name in scene.flavors), key=lambda f: (f.order, f.name))
    for flavor in flavors:
        picture = flavor.apply(picture, scene_rng(scene, "flavor", flavor.name))
    return (np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8)


def _draw_spot(stage: Stage, spot: Spot, number: int) -> None:
    scene, canvas = stage.scene, stage.canvas
    found = SUBJECTS[spot.entity.subject]
    pixels = canvas.pixels
    flat = None
    if scene.camera == "silhouette":
        flat = darken(SKIES[scene.time][0], 0.85)
    tint, share = SHADE[scene.time]
    share *= 0.45 if found.stance != "sky" else 0.0
    main = NAMED[spot.entity.color or found.colors[0]]
    accent = NAMED[found.accent]
    if accent == main:  # its parts would not show
        accent = darken(accent, 0.3)
    tones = Tones(main=mix(main, tint, share), accent=mix(accent, tint, share))
    on_ground = found.stance == "ground" and scene.place not in ("space", "sea")
    if on_ground and scene.camera not in ("close-up", "aerial view"):
        shadow = Image.new("L", (pixels, pixels), 0)
        x, y, half = spot.x * pixels, spot.foot * pixels, spot.half * pixels
        ImageDraw.Draw(shadow).ellipse(
            [x - half * 0.8, y - half * 0.13, x + half * 0.8, y + half * 0.11], fill=70
        )
        canvas.image.paste((20, 20, 40), mask=shadow)
    found.draw(
        Pen(
            canvas=canvas,
            center=(spot.x * pixels, spot.y * pixels),
            half=spot.half * pixels,
            tones=tones,
            rng=scene_rng(scene, "thing", str(number), spot.entity.subject),
            flip=spot.flip,
            flat=flat,
        )
    )


def _draw_weather(stage: Stage) -> None:
    scene, canvas, size = stage.scene, stage.canvas, stage.canvas.pixels
    rng = scene_rng(scene, "weather")
    if scene.weather in ("rain", "storm"):
        for x, y in rng.uniform(0, size, (110, 2)):
            long = size * 0.035
            canvas.draw.line([(x, y), (x - long * 0.3, y + long)], fill=(196, 210, 226), width=2)
    if scene.weather == "storm":
        x, y = rng.uniform(0.2, 0.8) * size, 0.0
        bolt = [(x, y)]
        while y < 0.5 * size:
            x, y = x + rng.uniform(-0.06, 0.06) * size, y + 0.08 * size
            bolt.append((x, y))
        canvas.draw.line(bolt, fill=(255, 250, 200), width=max(2, size // 100))
    if scene.weather == "snowing":
        for x, y, radius in rng.uniform((0, 0, 1.5), (size, size, 4.5), (120, 3)):
            box = [x - radius, y - radius, x + radius, y + radius]
            canvas.draw.ellipse(box, fill=(250, 252, 255))
    if scene.weather == "fog":
        veil = Image.new("RGB", canvas.image.size, (214, 220, 226))
        canvas.image.paste(Image.blend(canvas.image, veil, 0.5))
