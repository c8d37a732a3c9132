"""`pe render`, `pe gallery`, `pe lessons`: pictures by Studio, the image model that comes along."""

import argparse
from pathlib import Path
from typing import Any

from pe.commands.flag import add_gin_flags, gin_epilog, load_settings, new_command

TILES_A_ROW = 4


def _gallery_config() -> type:
    from pe.studio.gallery import GalleryConfig

    return GalleryConfig


def add_render(commands: Any, with_help: bool) -> None:
    del with_help
    command = new_command(
        commands,
        "render",
        _run_render,
        "Draw prompts with Studio, a small world whose right answers are known.",
        "Studio draws the things, places, times, cameras and flavors that it knows, and takes\n"
        "whatever else a prompt leaves open from the seed. Words that it does not know change\n"
        "nothing.",
    )
    command.add_argument("prompts", nargs="+", metavar="PROMPT")
    command.add_argument("--out", required=True, metavar="FILE", help="a .png: all in one sheet")
    command.add_argument("-n", type=int, default=4, metavar="N", help="pictures a prompt (4)")
    command.add_argument("--seed", type=int, default=0, help="of the first, counted up (0)")
    command.add_argument("--size", type=int, default=256, metavar="PIXELS", help="of one (256)")


def _run_render(args: argparse.Namespace) -> None:
    from pe.console import say

    out = Path(args.out)
    if args.n < 1:
        raise ValueError(f"-n: got {args.n}, expected 1 or more pictures a prompt")
    if not 64 <= args.size <= 1024:
        raise ValueError(f"--size: got {args.size}, expected 64 to 1024 pixels")
    if out.suffix.lower() != ".png":
        raise ValueError(f"--out {out}: expected a file that ends in .png")
    from PIL import Image

    from pe.studio.render import render

    columns = min(args.n, TILES_A_ROW)
    rows = -(-args.n // columns)
    sheet = Image.new(
        "RGB", (columns * args.size, len(args.prompts) * rows * args.size), (255, 255, 255)
    )
    for line, prompt in enumerate(args.prompts):
        for k in range(args.n):
            picture = Image.fromarray(render(prompt, args.seed + k, size=args.size))
            place = (k % columns * args.size, (line * rows + k // columns) * args.size)
            sheet.paste(picture, place)
    out.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(out, format="PNG")
    say(f"{len(args.prompts) * args.n} pictures in {out}")


def add_gallery(commands: Any, with_help: bool) -> None:
    command = new_command(
        commands,
        "gallery",
        _run_gallery,
        "Make a gallery: sampled prompts, Studio's pictures of them, and a crowd's votes.",
        gin_epilog(_gallery_config, with_help),
    )
    command.add_argument("--out", required=True, metavar="DIR", help="what pe build then reads")
    command.add_argument("--num_images", type=int, metavar="N", help="pictures (2,000)")
    command.add_argument("--seed", type=int, help="of all that is drawn by chance (0)")
    add_gin_flags(command)


def _run_gallery(args: argparse.Namespace) -> None:
    from pe.console import StageProgress, say
    from pe.studio.gallery import write_gallery

    flags = {"GalleryConfig.num_images": args.num_images, "GalleryConfig.seed": args.seed}
    extra = [f"{name}={value}" for name, value in flags.items() if value is not None]
    config = load_settings(_gallery_config(), args, extra)
    out = Path(args.out)
    with StageProgress() as progress:
        write_gallery(out, config, progress=lambda done, total: progress("gallery", done, total))
    say(f"{config.num_images:,} pictures with prompts and votes in {out / 'images'}")


def _lesson_config() -> type:
    from pe.studio.lesson import LessonConfig

    return LessonConfig


def add_lessons(commands: Any, with_help: bool) -> None:
    command = new_command(
        commands,
        "lessons",
        _run_lessons,
        "Draw what Studio's encoder learns from: pictures, what is true of them, and votes.",
        gin_epilog(_lesson_config, with_help),
    )
    command.add_argument("--out", required=True, metavar="DIR", help="for pe train_encoder --data")
    add_gin_flags(command)


def _run_lessons(args: argparse.Namespace) -> None:
    from pe.console import StageProgress, say
    from pe.studio.lesson import write_lessons

    config = load_settings(_lesson_config(), args)
    out = Path(args.out)
    with StageProgress() as progress:
        write_lessons(out, config, progress=lambda done, total: progress("lessons", done, total))
    say(f"{config.num_images:,} pictures with captions, texts and votes in {out}")
