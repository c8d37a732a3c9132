"""Contact sheets of Studio: every subject, every flavor on one subject, six prompts by six seeds.

    python tools/studio_sheets.py --out sheets

writes subjects.png, flavors.png, prompts.png, and readme.jpg, a small one for a person in a hurry.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from pe.studio.render import render
from pe.studio.world import FLAVORS, SUBJECTS

LABEL_PX = 14
PROMPTS = (
    "a lighthouse",
    "three sheep beside a red barn at dawn",
    "a black cat on a yellow car in the city at night",
    "a robot in the forest, watercolor",
    "a fox in front of a castle, stained glass",
    "two birds above a house, golden hour",
)
FOR_README = (
    ("an orange cat in the city", 0), ("a purple dragon in the mountains, day", 1),
    ("three penguins in the snow, day", 2), ("a train in the desert at dusk", 3),
    ("a close-up of a brown owl in the forest, day, stained glass", 3),
    ("a castle in the meadow, day, watercolor", 2), ("a boat on the sea, golden hour", 0),
    ("a red fox in the forest, day, papercut", 0), ("a robot in space, neon", 4),
    ("a lighthouse, day, woodcut", 0), ("a big green tree, day, embroidery", 2),
    ("a windmill, day, pixel art", 0), ("a whale, blueprint", 0),
    ("two brown rabbits in the meadow, day, claymation", 0), ("a red rocket, night, art deco", 0),
    ("an elephant in the meadow, day, knitted", 0), ("a house in the forest, moonlit", 0),
    ("a big teapot in the garden, day, comic book", 2),
)  # fmt: skip


def make_sheet(
    pictures: Sequence[tuple[str, np.ndarray]], *, columns: int, tile: int, label: bool = True
) -> Image.Image:
    """Put pictures in rows, each under its label."""
    height = tile + (LABEL_PX if label else 0)
    rows = -(-len(pictures) // columns)
    sheet = Image.new("RGB", (columns * tile, rows * height), (255, 255, 255))
    for i, (name, picture) in enumerate(pictures):
        x, y = i % columns * tile, i // columns * height
        image = Image.fromarray(picture).resize((tile, tile), Image.Resampling.LANCZOS)
        sheet.paste(image, (x, y + height - tile))
        if label:
            strip = Image.new("RGB", (tile, LABEL_PX), (255, 255, 255))
            ImageDraw.Draw(strip).text((3, 1), name, fill=(0, 0, 0))
            sheet.paste(strip, (x, y))
    return sheet


def main() -> int:
    """Write the sheets."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="a folder")
    parser.add_argument("--tile", type=int, default=160, help="pixels of a picture (160)")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    subjects = [(name, render(f"a {name}, day, sunny", 1)) for name in SUBJECTS]
    flavors = [
        (name, render(f"a cat in the meadow, day, sunny, {name}", 1)) for name in ("", *FLAVORS)
    ]
    prompts = [(prompt, render(prompt, seed)) for prompt in PROMPTS for seed in range(6)]
    picked = [(prompt, render(prompt, seed)) for prompt, seed in FOR_README]
    for name, pictures, columns in (
        ("subjects", subjects, 10), ("flavors", flavors, 10), ("prompts", prompts, 6),
    ):  # fmt: skip
        make_sheet(pictures, columns=columns, tile=args.tile).save(args.out / f"{name}.png")
    sheet = make_sheet(picked, columns=6, tile=args.tile, label=False)
    sheet.save(args.out / "readme.jpg", quality=88, optimize=True)
    print(f"{len(subjects)} subjects, {len(flavors) - 1} flavors; sheets in {args.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
