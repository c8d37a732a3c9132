"""`pe invert`: from a picture to a prompt that would make it."""

import argparse
import dataclasses
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pe.commands.flag import add_gin_flags, gin_epilog, load_settings, new_command, quiet_libraries

if TYPE_CHECKING:
    from pe.engines.inverter import Inverter
    from pe.engines.vision import Captioner

AT_ONCE = 16  # pictures in memory, and in one call of the models


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
    add_inverter_flags(command, encoder=_describe_default(with_help))
    command.add_argument(
        "--caption", metavar="TEXT", help="what is in the pictures; else IMAGE's .txt, or a CoCa's"
    )
    command.add_argument("--json", action="store_true", help="one JSON object a picture")
    add_gin_flags(command)


def _describe_default(with_help: bool) -> str:
    if not with_help:
        return ""
    from pe.engines.inverter import DEFAULT_ENCODER

    return f"default {DEFAULT_ENCODER}"


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
    from pe.console import say
    from pe.engines.inverter import DEFAULT_ENCODER, load_captioner, load_inverter

    if not config.encoder:
        config = dataclasses.replace(config, encoder=DEFAULT_ENCODER)
    paths = [path for path in args.images if Path(path).exists()]
    for path in args.images:
        if not Path(path).exists():
            say(f"{path}: there is no such file")
    captions = [find_caption(Path(path), args.caption) for path in paths]
    is_negative = config.interrogator.mode == "negative"
    if not is_negative and not config.captioner and not all(captions):
        missing = next(p for p, caption in zip(paths, captions, strict=True) if not caption)
        raise ValueError(
            f"nothing says what is in {missing}: give --caption TEXT, a file of the same name with "
            "the suffix .txt, or --captioner with a CoCa by folder or hub name"
        )
    if not paths:
        return 2

    def show(done: int, total: int) -> None:
        if done == total:
            say(f"{total:,} flavors embedded")

    inverter = load_inverter(config, progress=show)
    captioner = None if is_negative else load_captioner(config)
    num_found = 0
    for begin in range(0, len(paths), AT_ONCE):
        part = paths[begin : begin + AT_ONCE]
        looked = _look(part, captions[begin : begin + AT_ONCE], inverter, captioner, say)
        if not is_negative:
            for path in [look.path for look in looked if not look.caption]:
                say(f"{path}: the captioner says nothing of it; give --caption")
            looked = [look for look in looked if look.caption]
        found = inverter.invert(
            [look.pixels for look in looked],
            [look.caption for look in looked],
            measure=args.json,
        )
        num_found += len(found)
        for look, inverted in zip(looked, found, strict=True):
            if args.json:
                fields = {"image": look.path, **dataclasses.asdict(inverted)}
                print(json.dumps(fields, ensure_ascii=False), flush=True)
            elif len(args.images) > 1:
                print(f"{look.path}: {inverted.prompt}", flush=True)
            else:
                print(inverted.prompt)
    num_failed = len(args.images) - num_found
    if num_failed and len(args.images) > 1:
        say(f"{num_failed:,} of {len(args.images):,} pictures have no prompt")
    return 2 if num_failed else 0


@dataclasses.dataclass(kw_only=True)
class _Look:
    """A picture as the inverter takes it; `caption` is "" where the captioner is to say it."""

    path: str
    pixels: Any
    caption: str


def _look(
    paths: Sequence[str],
    captions: Sequence[str],
    inverter: "Inverter",
    captioner: "Captioner | None",
    say: Callable[[str], None],
) -> list[_Look]:
    """Read and caption pictures; of those that cannot be looked at, say why, and leave them out."""
    from pe.data.image_file import UnreadableImage, decode_image
    from pe.text.phrase import tidy_phrase

    looked: list[_Look] = []
    wordless: list[tuple[_Look, Any]] = []  # with what the captioner needs
    for path, caption in zip(paths, captions, strict=True):
        try:
            image = decode_image(Path(path).read_bytes())
            look = _Look(path=path, pixels=inverter.prepare(image), caption=caption)
            if not caption and captioner is not None:
                wordless.append((look, captioner.prepare(image)))
        except UnreadableImage as error:
            say(f"{path}: {error.reason}")
        except OSError as error:
            say(f"{path}: {error.strerror or error}")
        except ValueError as error:  # a strip too narrow to be looked at
            say(f"{path}: {error}")
        else:
            looked.append(look)
    if wordless and captioner is not None:
        written = captioner.caption([pixels for _, pixels in wordless])
        for (look, _), text in zip(wordless, written, strict=True):
            look.caption = tidy_phrase(text)
    return looked


def find_caption(path: Path, given: str | None) -> str:
    """Return the caption that was given, or the text of IMAGE's .txt; "" where there is neither.

    A sidecar's text is tidied, as `pe build` does: " - A red fox.\\n"  ->  "A red fox".
    """
    from pe.text.phrase import tidy_phrase

    if given is not None:
        return given.strip()
    sidecar = path.with_suffix(".txt")
    if sidecar == path or not sidecar.is_file():
        return ""
    try:
        return tidy_phrase(" ".join(sidecar.read_text(encoding="utf-8-sig").split()))
    except UnicodeDecodeError as error:
        raise ValueError(f"{sidecar} is not UTF-8 text; re-encode it, or give --caption") from error
