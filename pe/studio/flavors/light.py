"""Light and weather: what the scene is lit by and what is in the air."""

import numpy as np
from PIL import ImageDraw
from scipy import ndimage

from pe.studio.flavor import Picture, flavor
from pe.studio.flavors.tone import (
    Layer,
    bell,
    blur,
    clip,
    clouds,
    contrast,
    distance,
    dots,
    draw,
    edges,
    grid,
    horizon,
    luma,
    mix,
    ramp,
    rgb,
    saturate,
    screen,
    step,
    subject_mask,
)


def sky_mask(picture: Picture, mask: Layer, *, soft: float = 0.04) -> Layer:
    """Return what is neither subject nor ground."""
    y, _ = grid(picture)
    edge = horizon(picture)
    return (1 - mask) * step(y, edge + soft, edge - soft)


def open_place(
    mask: Layer, rng: np.random.Generator, *, y: float, places: tuple[float, ...] = ()
) -> float:
    """Return an x where no subject stands at a height: of `places`, or of any."""
    height, width = mask.shape
    top = max(0, int((y - 0.15) * height))
    covered = mask[top : max(top + 1, int((y + 0.15) * height))].mean(0)
    covered = ndimage.uniform_filter1d(covered, max(1, width // 4), mode="nearest")
    choice = np.array(places or np.linspace(0.16, 0.84, 9))
    score = covered[(choice * width).astype(int)] + 0.1 * rng.random(len(choice))
    return float(choice[score.argmin()])


@flavor("golden hour", "light", words=("golden light", "magic hour", "golden sunlight"), order=0)
def golden_hour(picture: Picture, rng: np.random.Generator) -> Picture:
    """Low amber sun from one side, long warm haze."""
    mask = subject_mask(picture)
    away = distance(picture, open_place(mask, rng, y=0.42, places=(0.1, 0.9)), 0.42)
    amber = ramp(luma(picture), [(58, 20, 4), (196, 92, 20), (255, 176, 74), (255, 226, 150)])
    sunny = mix(picture * np.array([1.2, 0.86, 0.5], np.float32), amber, 0.42)
    sunny = sunny * (1.15 - 0.62 * step(away, 0.2, 1.1))[..., None]
    glow = bell(away, 0.5)[..., None] * rgb(255, 158, 40) * 0.8
    disk = (bell(away, 0.14) + step(away, 0.1, 0.085))[..., None] * rgb(255, 236, 150)
    seen = (1 - 0.6 * mask)[..., None]
    return clip(screen(screen(contrast(sunny, 1.12), glow * seen), disk * seen))


@flavor("sunset", "light", words=("at sunset", "sundown", "setting sun", "dusk"), order=0)
def sunset(picture: Picture, rng: np.random.Generator) -> Picture:
    """A red sun half under the horizon, a sky from violet to yellow, a dark land."""
    mask, edge = subject_mask(picture), horizon(picture)
    y, _ = grid(picture)
    sky = ramp(
        np.broadcast_to(y / edge, picture.shape[:2]),
        [(48, 24, 92), (122, 36, 118), (214, 58, 92), (252, 118, 52), (255, 206, 92)],
    )
    stripes = step(clouds(picture.shape, rng, rows=9, columns=2), 0.5, 0.72)
    sky = mix(sky, rgb(110, 28, 86), stripes * 0.75)
    x = open_place(mask, rng, y=edge - 0.08)
    away = distance(picture, x, edge - 0.08)
    sky = screen(sky, bell(away, 0.34)[..., None] * rgb(255, 140, 40))
    sky = mix(sky, rgb(255, 232, 120), step(away, 0.175, 0.16))
    land = contrast(picture, 1.15) * rgb(160, 78, 104)
    land = screen(land, bell(away, 0.6)[..., None] * rgb(120, 40, 10))
    return clip(mix(land, sky, sky_mask(picture, mask, soft=0.015)))


@flavor("blue hour", "light", words=("twilight", "blue dusk"), order=0)
def blue_hour(picture: Picture, rng: np.random.Generator) -> Picture:
    """Deep even blue, a last pale band at the horizon, first lamps."""
    mask, edge = subject_mask(picture), horizon(picture)
    y, _ = grid(picture)
    deep = ramp(luma(picture), [(4, 8, 50), (22, 52, 150), (64, 112, 226), (150, 186, 255)])
    deep = mix(deep, picture * rgb(70, 104, 230), 0.35) * 0.92
    air = ramp(
        np.broadcast_to(y / edge, picture.shape[:2]),
        [(8, 22, 98), (18, 48, 158), (40, 88, 206), (104, 128, 220), (206, 160, 190)],
    )
    deep = mix(deep, air, sky_mask(picture, mask, soft=0.01) * 0.9)
    places = rng.random((11, 2))

    def paint(pen: ImageDraw.ImageDraw, width: float, height: float) -> None:
        r = 0.012 * min(width, height)
        for k, (dx, dy) in enumerate(places):
            x, cy = (k + dx) / len(places) * width, (edge + 0.01 + 0.06 * dy) * height
            pen.ellipse([x - r, cy - r, x + r, cy + r], fill=255)

    lamps = draw(picture.shape, paint) * (1 - mask)
    glow = clip(lamps + 8 * blur(lamps, 0.02))
    return clip(screen(deep, glow[..., None] * rgb(255, 170, 50)))


@flavor("moonlit", "light", words=("moonlight", "by moonlight", "full moon"), order=0)
def moonlit(picture: Picture, rng: np.random.Generator) -> Picture:
    """A big full moon in a dark, nearly colorless night."""
    mask = subject_mask(picture)
    x = open_place(mask, rng, y=0.2, places=(0.22, 0.78))
    light = contrast(luma(picture), 1.3, pivot=0.4)
    night = ramp(light, [(2, 4, 10), (26, 40, 54), (84, 112, 132), (196, 220, 230)])
    night = mix(night, picture * rgb(80, 100, 120), 0.25)
    away = distance(picture, x, 0.2)
    sky = sky_mask(picture, mask)
    veil = clouds(picture.shape, rng, rows=6, columns=3)
    night = mix(night, ramp(veil, [(6, 9, 22), (30, 40, 62)]), sky * 0.85)
    night = screen(
        night, (bell(away, 0.42) * 0.5 + bell(away, 0.2) * 0.4)[..., None] * rgb(150, 178, 214)
    )
    marks = clouds(picture.shape, rng, rows=14, columns=14, octaves=2)
    moon = ramp(marks, [(206, 208, 200), (255, 255, 246), (255, 255, 250)])
    night = mix(night, moon, step(away, 0.155, 0.145) * (1 - mask))
    y, across = grid(picture)
    glint = bell(across - x, 0.1) * step(y, horizon(picture), 1.0) * step(veil, 0.3, 0.7)
    return clip(screen(night, glint[..., None] * rgb(150, 170, 200)))


@flavor(
    "neon", "light", words=("neon light", "neon lights", "neon glow", "cyberpunk glow"), order=0
)
def neon(picture: Picture, rng: np.random.Generator) -> Picture:
    """Magenta and cyan tubes along every edge, on black."""
    _, x = grid(picture)
    turn = step(x if rng.random() < 0.5 else 1 - x, 0.2, 0.8)
    hue = mix(rgb(255, 20, 170), rgb(0, 230, 255), np.broadcast_to(turn, picture.shape[:2]))
    lines = clip(blur(edges(picture), 0.004) * 2.4)
    glow = blur(lines, 0.008) * 0.9 + blur(lines, 0.035) * 1.3
    base = contrast(picture, 1.3) * 0.2 + picture * hue * 0.22
    lit = screen(base * 0.9, glow[..., None] * hue)
    return clip(screen(lit, np.square(lines)[..., None] * (0.45 + 0.55 * hue)))


@flavor("candlelight", "light", words=("candlelit", "by candlelight", "firelight"), order=0)
def candlelight(picture: Picture, rng: np.random.Generator) -> Picture:
    """One candle in the corner lights a black room."""
    x = open_place(subject_mask(picture), rng, y=0.8, places=(0.13, 0.87))
    away = distance(picture, x, 0.64)
    lit = picture * np.array([1.3, 0.74, 0.3], np.float32)
    room = lit * (bell(away, 0.55) * 1.15 + 0.07)[..., None]
    room = screen(room, (bell(away, 0.26) * 0.75)[..., None] * rgb(255, 140, 30))

    def stick(pen: ImageDraw.ImageDraw, width: float, height: float) -> None:
        unit = min(width, height)
        cx = x * width
        pen.rectangle([cx - 0.05 * unit, 0.74 * height, cx + 0.05 * unit, height], fill=255)

    def flame(pen: ImageDraw.ImageDraw, width: float, height: float) -> None:
        unit, cx = min(width, height), x * width
        pen.ellipse([cx - 0.032 * unit, 0.63 * height, cx + 0.032 * unit, 0.73 * height], fill=255)
        top = [
            (cx - 0.031 * unit, 0.675 * height),
            (cx, 0.55 * height),
            (cx + 0.031 * unit, 0.675 * height),
        ]
        pen.polygon(top, fill=255)

    y, across = grid(picture)
    wax = ramp(
        step(y, 1.0, 0.74) * bell(across - x, 0.06), [(60, 24, 8), (226, 150, 70), (255, 226, 160)]
    )
    room = mix(room, wax, draw(picture.shape, stick))
    fire = draw(picture.shape, flame)
    room = screen(room, clip(2.2 * blur(fire, 0.03))[..., None] * rgb(255, 150, 40))
    return clip(mix(room, rgb(255, 246, 190), blur(fire, 0.004)))


@flavor("backlit", "light", words=("backlight", "backlighting", "silhouette"), order=0)
def backlit(picture: Picture, rng: np.random.Generator) -> Picture:
    """The subject dark against a blinding white glow."""
    del rng
    mask = subject_mask(picture)
    away = distance(picture, 0.5, 0.42)
    behind = ramp(
        bell(away, 0.62), [(214, 158, 96), (255, 214, 150), (255, 246, 224), (255, 255, 255)]
    )
    behind = mix(behind, picture, 0.12)
    dark = contrast(picture, 1.2) * rgb(62, 46, 42)
    out = mix(behind, dark, mask)
    return clip(
        screen(out, (blur(1 - mask, 0.02) * 0.4 * bell(away, 0.6))[..., None] * rgb(255, 226, 180))
    )


@flavor("rim light", "light", words=("rim lighting", "edge lighting", "hair light"), order=0)
def rim_light(picture: Picture, rng: np.random.Generator) -> Picture:
    """A thin bright line around a dark subject before black."""
    del rng
    mask = step(subject_mask(picture), 0.3, 0.7)
    dark = mix(picture * rgb(9, 11, 18), contrast(picture, 1.2) * rgb(88, 88, 104), mask)
    rim = clip(mask * (1 - blur(mask, 0.014)) * 3.4 - 0.5)
    halo = blur(rim, 0.025) * 1.1
    return clip(
        screen(dark, rim[..., None] * rgb(255, 250, 240) + halo[..., None] * rgb(110, 170, 255))
    )


@flavor("fog", "light", words=("foggy", "mist", "misty", "morning mist", "haze"), order=0)
def fog(picture: Picture, rng: np.random.Generator) -> Picture:
    """White air: what is far is gone, banks drift through what is near."""
    mask = subject_mask(picture)
    y, _ = grid(picture)
    banks = clouds(picture.shape, rng, rows=7, columns=2)
    near = step(y, horizon(picture) - 0.1, 1.1)
    thick = 0.95 - 0.3 * near - 0.36 * mask + 0.5 * (banks - 0.5)
    faint = blur(saturate(picture, 0.35), 0.006)
    return clip(mix(faint, ramp(banks, [(196, 202, 206), (234, 238, 238)]), clip(thick)))


@flavor("stormy", "light", words=("storm", "thunderstorm", "heavy rain", "lightning"), order=0)
def stormy(picture: Picture, rng: np.random.Generator) -> Picture:
    """Black clouds, slanting rain and a bolt of lightning."""
    mask = subject_mask(picture)
    edge = horizon(picture)
    x = open_place(mask, rng, y=0.35)
    y, across = grid(picture)
    dark = saturate(picture, 0.6) * rgb(112, 124, 144)
    heap = clouds(picture.shape, rng, rows=5, columns=4)
    lid = ramp(heap, [(12, 16, 24), (40, 48, 62), (96, 106, 122)])
    dark = mix(dark, lid, sky_mask(picture, mask, soft=0.1) * step(y, 0.95, 0.4))
    dark = screen(
        dark,
        (bell(across - x, 0.3) * step(y, edge + 0.2, 0.0) * 0.5)[..., None] * rgb(120, 130, 220),
    )
    jags = rng.uniform(-1, 1, (9, 2))

    def bolt(pen: ImageDraw.ImageDraw, width: float, height: float) -> None:
        path = [
            ((x + 0.055 * jag) * width, k / 8 * edge * height) for k, (jag, _) in enumerate(jags)
        ]
        pen.line(path, fill=255, width=max(2, round(0.014 * min(width, height))), joint="curve")
        for k in (2, 4, 5):
            fork = [path[k]]
            for hop in (1, 2, 3):
                px, py = fork[-1]
                drift = (0.05 if jags[k, 1] > 0 else -0.05) + 0.02 * jags[k + hop, 1]
                fork.append((px + drift * width, py + 0.045 * height))
            pen.line(fork, fill=230, width=max(1, round(0.007 * min(width, height))))

    flash = draw(picture.shape, bolt)
    streaks = rng.random((170, 3))

    def rain(pen: ImageDraw.ImageDraw, width: float, height: float) -> None:
        unit = min(width, height)
        for rx, ry, size in streaks:
            px, py, reach = rx * 1.2 * width, (ry * 1.2 - 0.2) * height, (0.06 + 0.1 * size) * unit
            ends = [(px, py), (px - 0.3 * reach, py + reach)]
            pen.line(ends, fill=int(90 + 110 * size), width=max(1, round(0.005 * unit)))

    dark = mix(dark, rgb(190, 204, 224), draw(picture.shape, rain) * 0.6)
    dark = screen(dark, clip(2.5 * blur(flash, 0.025))[..., None] * rgb(140, 150, 255))
    return clip(mix(dark, rgb(255, 255, 255), flash))


@flavor("overcast", "light", words=("overcast sky", "cloudy", "gray sky", "gloomy sky"), order=0)
def overcast(picture: Picture, rng: np.random.Generator) -> Picture:
    """A lid of gray clouds, flat and shadowless."""
    y, _ = grid(picture)
    flat = mix(saturate(picture, 0.5) * 0.68, rgb(112, 118, 124), 0.2)
    heap = step(clouds(picture.shape, rng, rows=6, columns=3, octaves=4), 0.15, 0.85)
    lid = ramp(heap, [(92, 98, 106), (142, 148, 154), (206, 210, 212)])
    sky = sky_mask(picture, subject_mask(picture)) * step(y, 1.1, 0.5)
    return clip(mix(flat, lid, sky))


@flavor(
    "god rays",
    "light",
    words=("crepuscular rays", "light shafts", "volumetric lighting", "sunbeams"),
    order=0,
)
def god_rays(picture: Picture, rng: np.random.Generator) -> Picture:
    """Shafts of light fan out from an upper corner."""
    x, y = open_place(subject_mask(picture), rng, y=0.15, places=(0.12, 0.88)), -0.12
    rows, columns = grid(picture)
    angle = np.arctan2(columns - x, rows - y)
    spokes = rng.random(24, dtype=np.float32)
    fan = np.interp(angle, np.linspace(-1.7, 1.7, 48), np.repeat(spokes, 2)).astype(np.float32)
    beams = step(fan, 0.5, 0.72)
    away = distance(picture, x, y)
    light = blur(beams, 0.006) * step(away, 1.5, 0.1) * 0.8 + bell(away, 0.4) * 0.8
    dim = picture * rgb(104, 112, 96)
    lit = mix(dim, picture * np.array([1.2, 1.1, 0.85], np.float32), clip(light * 0.8))
    return clip(screen(lit, light[..., None] * rgb(255, 236, 166) * 0.75))


@flavor("aurora", "light", words=("northern lights", "aurora borealis", "polar lights"), order=0)
def aurora(picture: Picture, rng: np.random.Generator) -> Picture:
    """Green and violet curtains over a dark land."""
    mask = subject_mask(picture)
    y, x = grid(picture)
    sky = np.broadcast_to(rgb(4, 10, 34), picture.shape)
    for k, low in enumerate((0.26, 0.42, 0.56)):
        phase, pace = rng.uniform(0, 6.3), rng.uniform(5, 8)
        foot = low + 0.07 * np.sin(x * pace + phase) + 0.03 * np.sin(x * pace * 2.3 + phase * 2)
        over = foot - y
        folds = clouds((1, picture.shape[1]), rng, rows=1, columns=14)
        reach = 0.12 + 0.12 * folds
        band = np.where(over > 0, np.exp(-np.abs(over) / reach), np.exp(-np.abs(over) / 0.018))
        light = band * (0.35 + 0.65 * folds)
        hue = ramp(
            clip(over / 0.3), [(70, 255, 130), (40, 230, 170), (150, 70, 230), (220, 60, 190)]
        )
        sky = screen(sky, light[..., None] * hue * (0.75 + 0.15 * k))
    stars = dots(picture.shape, rng, count=50, radius=(0.002, 0.006), below=0.6)
    sky = screen(sky, stars[..., None] * np.float32(0.7))
    land = contrast(picture, 1.1) * rgb(100, 130, 126)
    return clip(mix(land, sky, sky_mask(picture, mask, soft=0.03)))


@flavor(
    "starry sky", "light", words=("starry night", "starlight", "milky way", "night sky"), order=0
)
def starry_sky(picture: Picture, rng: np.random.Generator) -> Picture:
    """Hundreds of stars and the milky way."""
    mask = subject_mask(picture)
    y, x = grid(picture)
    across = (x - 0.5) * 0.75 + (y - 0.32) * 0.9
    dust = clouds(picture.shape, rng, rows=8, columns=8, octaves=4)
    band = bell(across, 0.17) * (0.25 + dust)
    sky = np.broadcast_to(mix(rgb(8, 8, 34), rgb(34, 30, 84), y[..., None]), picture.shape)
    sky = screen(sky, band[..., None] * rgb(190, 130, 220) * 0.75)
    small = dots(picture.shape, rng, count=320, radius=(0.0018, 0.005))
    big = dots(picture.shape, rng, count=26, radius=(0.007, 0.013))
    stars = clip(small + big + 1.6 * blur(big, 0.012))
    sky = screen(sky, stars[..., None] * rgb(255, 250, 232))
    land = contrast(picture, 1.1) * rgb(112, 106, 156)
    return clip(mix(land, sky, sky_mask(picture, mask, soft=0.03)))


@flavor("snowfall", "light", words=("snowing", "falling snow", "snowy", "blizzard"), order=0)
def snowfall(picture: Picture, rng: np.random.Generator) -> Picture:
    """Big white flakes before cold air, snow on the ground."""
    mask = subject_mask(picture)
    y, _ = grid(picture)
    cold = mix(saturate(picture, 0.9) * rgb(212, 226, 244), rgb(160, 180, 206), 0.2)
    cold = mix(cold, rgb(176, 194, 214), sky_mask(picture, mask) * 0.7)
    edge = horizon(picture)
    drift = clouds(picture.shape, rng, rows=5, columns=3) * 0.14
    ground = step(y + drift, edge + 0.05, edge + 0.13) * (1 - mask)
    cold = mix(cold, ramp(drift * 7, [(206, 220, 238), (250, 252, 255)]), ground * 0.95)
    far = dots(picture.shape, rng, count=220, radius=(0.004, 0.009))
    near = dots(picture.shape, rng, count=60, radius=(0.011, 0.028))
    cold = mix(cold, rgb(255, 255, 255), far * 0.85)
    return clip(mix(cold, rgb(255, 255, 255), blur(near, 0.004)))


@flavor("spotlight", "light", words=("stage light", "stage lighting", "in the spotlight"), order=0)
def spotlight(picture: Picture, rng: np.random.Generator) -> Picture:
    """One hard cone from above, all else black."""
    y, x = grid(picture)
    mask = subject_mask(picture)
    weights = mask.sum(0) * bell(x[0] - 0.5, 0.35)
    aim = float((weights * x[0]).sum() / max(float(weights.sum()), 1e-6)) if weights.any() else 0.5
    top = aim + rng.choice([-0.12, 0.12])
    cone = step(np.abs(x - top - (aim - top) * y) / (0.05 + 0.36 * y), 1.06, 0.94)
    pool = step(np.hypot((x - aim) / 0.43, (y - 0.88) / 0.1), 1.05, 0.95)
    foot = np.where(y > 0.88, pool, np.maximum(cone, pool)).astype(np.float32)
    beam = 0.1 + 0.5 * step(y, 0.75, 0.0)
    lit = screen(picture * 1.12, (beam + 0.3 * pool)[..., None] * rgb(255, 250, 225))
    return clip(mix(picture * rgb(18, 16, 26), lit, blur(foot, 0.005)))
