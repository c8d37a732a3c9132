"""`pe page`: expansions in, one HTML page of pictures out."""

import argparse
import contextlib
import json
import sys
from collections.abc import Sequence
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
        "examples:\n  pe expand 'a cat' 'a boat' --model run --json | pe page --out page.html\n"
        "  pe page base.jsonl refined.jsonl --names base refined --out page.html\n\n"
        + gin_epilog(_t2i_config, with_help),
    )
    command.add_argument(
        "expansions",
        nargs="*",
        metavar="FILE",
        help="lines of pe expand --json (standard input); several for several expanders",
    )
    command.add_argument(
        "--names", nargs="+", metavar="NAME", help="of the expanders, on the page (their files')"
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

    paths = [Path(name) for name in args.expansions]
    names = args.names or [path.stem for path in paths if len(paths) > 1] or ["Expanded"]
    if len(names) != max(len(paths), 1):
        raise ValueError(f"--names: got {len(names)}, expected one a file")
    if paths:
        read = [read_expansions(path.read_text(encoding="utf-8"), str(path)) for path in paths]
    else:
        read = [read_expansions(sys.stdin.read(), "standard input")]
    queries = set_side_by_side(read, names)
    model = load_image_model(config, say=say)
    with StageProgress() as progress, contextlib.closing(model):
        parts = write_page(
            queries,
            model,
            title=args.title,
            names=names,
            seed=args.seed,
            progress=lambda done, total: progress("pictures", done, total),
        )
        out.parent.mkdir(parents=True, exist_ok=True)
        shards.write_text(out, "".join(parts))
    say(f"{out} is written; open it in a browser")


def read_expansions(text: str, name: str) -> list[tuple[str, tuple[str, ...]]]:
    """Read lines of `pe expand --json`: queries with their expansions.

    Raises ValueError, naming the line, for what is no such line, and where there is none.
    """
    found = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            texts = tuple(expansion["text"] for expansion in row["expansions"])
            found.append((row["query"], texts))
        except (KeyError, TypeError, json.JSONDecodeError) as error:
            raise ValueError(
                f"{name}:{number} is no line of pe expand --json: expected an object with query "
                "and expansions, each with its text"
            ) from error
    if not found:
        raise ValueError(f"{name} holds no expansions; expected lines of pe expand --json")
    return found


def set_side_by_side(
    read: Sequence[list[tuple[str, tuple[str, ...]]]], names: Sequence[str]
) -> "list[ExpandedQuery]":
    """Join what several expanders made of the same queries.

    Raises ValueError where their queries differ.
    """
    from pe.serve.picture_page import ExpandedQuery

    queries = [query for query, _ in read[0]]
    for name, found in zip(names, read, strict=True):
        if [query for query, _ in found] != queries:
            raise ValueError(
                f"the queries of {name} are not those of {names[0]}; expected the same ones, in "
                "the same order: expand them by one command"
            )
    return [
        ExpandedQuery(query=query, sets=tuple(found[number][1] for found in read))
        for number, query in enumerate(queries)
    ]
