"""`pe invert`: from a picture to a prompt that would make it."""

import argparse
import dataclasses
import json
from pathlib import Path
from typing import Any

from pe.commands.flag import add_gin_flags, gin_epilog, load_settings, new_command, quiet_libraries

DEFAULT_ENCODER = "openai/clip-vit-large-patch14"


def _inverter_config() -> type:
    from pe.engines.inverter import InverterConfig

    return InverterConfig


def add_invert(commands: Any, with_help: bool) -> None:
    command = new_command(
        commands,
        "invert",
        _run_invert,
        "Find a prompt that would make a picture: its caption, and flavors that CLIP sees in it.",
        gin_epilog(_inverter_config, with_help),
    )
    command.add_argument(
        "images", metavar="IMAGE", nargs="+", help="a picture, of any usual format"
    )
    add_inverter_flags(command, encoder=f"default {DEFAULT_ENCODER}")
    command.add_argument(
        "--caption", metavar="TEXT", help="what is in the pictures; else IMAGE's .txt, or a CoCa's"
    )
    command.add_argument("--json", action="store_true", help="one JSON object a picture")
    add_gin_flags(command)


def add_inverter_flags(command: argparse.ArgumentParser, *, encoder: str) -> None:
    """Add the flags that `pe invert` and `pe build` share."""
    command.add_argument(
        "--encoder", metavar="MODEL", help=f"CLIP or CoCa, by folder or hub name ({encoder})"
    )
    command.add_argument(
        "--captioner", metavar="MODEL", help="CoCa, by folder or hub name (default none)"
    )
    command.add_argument(
        "--vocabulary",
        metavar="PATH",
        help="their tokenizer (default: beside the weights, else CLIP's)",
    )
    command.add_argument(
        "--mode",
        choices=("fast", "classic", "best", "negative"),
        help="how flavors are found (default best; fast is for a CPU)",
    )
    command.add_argument(
        "--flavors",
        metavar="LIST",
        help="own, clip-interrogator (its package installed), or a file of pe flavors",
    )
    command.add_argument(
        "--artists", action="store_true", help="use the flavors that are artists' names"
    )
    command.add_argument(
        "--inverter",
        choices=("jax", "clip-interrogator"),
        help="the engine (default jax); the other needs the extra [interrogator]",
    )


def inverter_bindings(args: argparse.Namespace) -> dict[str, Any]:
    """Return the gin values of the shared flags; None where one is not given."""
    return {
        "InverterConfig.encoder": args.encoder,
        "InverterConfig.captioner": args.captioner,
        "InverterConfig.vocabulary": args.vocabulary,
        "InterrogatorConfig.mode": args.mode,
        "InverterConfig.flavors": args.flavors,
        "InverterConfig.artists": args.artists or None,
        "InverterConfig.engine": args.inverter,
    }


def _run_invert(args: argparse.Namespace) -> int:
    quiet_libraries()
    extra = [f"{k}={v!r}" for k, v in inverter_bindings(args).items() if v is not None]
    config = load_settings(_inverter_config(), args, extra)
    if not config.encoder:
        config = dataclasses.replace(config, encoder=DEFAULT_ENCODER)
    from pe.console import say
    from pe.data.image_file import UnreadableImage, decode_image
    from pe.engines.inverter import load_captioner, load_inverter

    captions = [find_caption(Path(path), args.caption) for path in args.images]
    mode = config.interrogator.mode
    if mode != "negative" and not config.captioner and not all(captions):
        missing = next(p for p, caption in zip(args.images, captions, strict=True) if not caption)
        raise ValueError(
            f"nothing says what is in {missing}: give --caption TEXT, a file of the same name with "
            "the suffix .txt, or --captioner with a CoCa by folder or hub name"
        )

    def show(done: int, total: int) -> None:
        if done == total:
            say(f"{total:,} flavors embedded")

    inverter = load_inverter(config, progress=show)
    captioner = load_captioner(config) if mode != "negative" else None
    status = 0
    for path, given in zip(args.images, captions, strict=True):
        try:
            image = decode_image(Path(path).read_bytes())
            prepared = inverter.prepare(image)
        except (OSError, UnreadableImage) as error:
            reason = error.reason if isinstance(error, UnreadableImage) else error.strerror
            say(f"{path}: {reason}")
            status = 2
            continue
        caption = given
        if not caption and captioner is not None:
            (caption,) = captioner.caption([captioner.prepare(image)])
        if mode != "negative" and not caption.strip():
            say(f"{path}: the captioner says nothing of it; give --caption")
            status = 2
            continue
        (found,) = inverter.invert([prepared], [caption], measure=args.json)
        if args.json:
            print(json.dumps({"image": path, **dataclasses.asdict(found)}, ensure_ascii=False))
        elif len(args.images) > 1:
            print(f"{path}: {found.prompt}")
        else:
            print(found.prompt)
    return status


def find_caption(path: Path, given: str | None) -> str:
    """Return the caption that was given, or the text of IMAGE's .txt; "" where there is neither."""
    if given is not None:
        return given.strip()
    sidecar = path.with_suffix(".txt")
    if sidecar == path or not sidecar.is_file():
        return ""
    try:
        return " ".join(sidecar.read_text(encoding="utf-8").split())
    except UnicodeDecodeError as error:
        raise ValueError(f"{sidecar} is not UTF-8 text; re-encode it, or give --caption") from error
