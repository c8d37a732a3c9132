"""`pe page`: expansions in, one HTML page of pictures out."""

import argparse
import contextlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pe.commands.flag import add_gin_flags, gin_epilog, load_settings, new_command
from pe.commands.t2i_flag import add_t2i_flags, t2i_bindings

if TYPE_CHECKING:
    from pe.serve.picture_page import ExpandedQuery


def _t2i_config() -> type:
    from pe.engines.t2i import T2iConfig

    return T2iConfig


def add_page(commands: Any, with_help: bool) -> None:
    command = new_command(
        commands,
        "page",
        _run_page,
        "Draw queries and their expansions on one HTML page, side by side.",
        "example:\n  pe expand 'a cat' 'a boat' --model run --json | pe page --out page.html\n\n"
        + gin_epilog(_t2i_config, with_help),
    )
    command.add_argument(
        "expansions", nargs="?", metavar="FILE", help="lines of pe expand --json (standard input)"
    )
    command.add_argument("--out", required=True, metavar="FILE", help="a .html file")
    command.add_argument("--title", default="Prompt Expansion", help="at the top of the page")
    command.add_argument("--seed", type=int, default=0, help="of the first picture of a set (0)")
    command.add_argument("--size", type=int, metavar="PIXELS", help="a picture (the model's own)")
    add_t2i_flags(command)
    add_gin_flags(command)


def _run_page(args: argparse.Namespace) -> None:
    out = Path(args.out)
    if out.suffix.lower() not in (".html", ".htm"):
        raise ValueError(f"--out {out}: expected a file that ends in .html")
    flags = {**t2i_bindings(args), "T2iConfig.size_px": args.size}
    extra = [f"{name}={value!r}" for name, value in flags.items() if value is not None]
    config = load_settings(_t2i_config(), args, extra)
    from pe import shards
    from pe.console import StageProgress, say
    from pe.serve.picture_page import write_page
    from pe.studio.image_model import load_image_model

    if args.expansions is None:
        queries = read_expansions(sys.stdin.read(), "standard input")
    else:
        queries = read_expansions(
            Path(args.expansions).read_text(encoding="utf-8"), args.expansions
        )
    model = load_image_model(config, say=say)
    with StageProgress() as progress, contextlib.closing(model):
        parts = write_page(
            queries,
            model,
            title=args.title,
            seed=args.seed,
            progress=lambda done, total: progress("pictures", done, total),
        )
        out.parent.mkdir(parents=True, exist_ok=True)
        shards.write_text(out, "".join(parts))
    num_pictures = 2 * sum(len(expanded.expansions) for expanded in queries)
    say(f"{num_pictures:,} pictures on {out}; open it in a browser")


def read_expansions(text: str, name: str) -> "list[ExpandedQuery]":
    """Read lines of `pe expand --json`.

    Raises ValueError, naming the line, for what is no such line, and where there is none.
    """
    from pe.serve.picture_page import ExpandedQuery

    found = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            texts = tuple(expansion["text"] for expansion in row["expansions"])
            found.append(ExpandedQuery(query=row["query"], expansions=texts))
        except (KeyError, TypeError, json.JSONDecodeError) as error:
            raise ValueError(
                f"{name}:{number} is no line of pe expand --json: expected an object with query "
                "and expansions, each with its text"
            ) from error
    if not found:
        raise ValueError(f"{name} holds no expansions; expected lines of pe expand --json")
    return found
