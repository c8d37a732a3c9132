"""`pe page`: expansions in, one HTML page of pictures out."""

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pe.commands.flag import new_command

if TYPE_CHECKING:
    from pe.serve.picture_page import ExpandedQuery


def add_page(commands: Any, with_help: bool) -> None:
    del with_help
    command = new_command(
        commands,
        "page",
        _run_page,
        "Draw queries and their expansions on one HTML page, side by side.",
        "example:\n  pe expand 'a cat' 'a boat' --model run --json | pe page --out page.html",
    )
    command.add_argument(
        "expansions", nargs="?", metavar="FILE", help="lines of pe expand --json (standard input)"
    )
    command.add_argument("--out", required=True, metavar="FILE", help="a .html file")
    command.add_argument("--title", default="Prompt Expansion", help="at the top of the page")
    command.add_argument("--seed", type=int, default=0, help="of the first picture of a set (0)")
    command.add_argument("--size", type=int, default=256, metavar="PIXELS", help="a picture (256)")


def _run_page(args: argparse.Namespace) -> None:
    out = Path(args.out)
    if out.suffix.lower() not in (".html", ".htm"):
        raise ValueError(f"--out {out}: expected a file that ends in .html")
    if not 64 <= args.size <= 1024:
        raise ValueError(f"--size: got {args.size}, expected 64 to 1024 pixels")
    from pe import shards
    from pe.console import StageProgress, say
    from pe.serve.picture_page import write_page
    from pe.studio.image_model import StudioModel

    if args.expansions is None:
        queries = read_expansions(sys.stdin.read(), "standard input")
    else:
        queries = read_expansions(
            Path(args.expansions).read_text(encoding="utf-8"), args.expansions
        )
    with StageProgress() as progress:
        parts = write_page(
            queries,
            StudioModel(args.size),
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
