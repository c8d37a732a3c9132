"""`pe flavors`: a list of flavors out of a table of prompts."""

import argparse
from pathlib import Path
from typing import Any

from pe.commands.flag import add_gin_flags, gin_epilog, load_settings, new_command


def _flavor_config() -> type:
    from data_builders.flavor_corpus import FlavorConfig

    return FlavorConfig


def add_flavors(commands: Any, with_help: bool) -> None:
    command = new_command(
        commands,
        "flavors",
        _run_flavors,
        "Make a list of flavors, with counts and categories, out of a table of prompts.",
        gin_epilog(_flavor_config, with_help),
    )
    command.add_argument(
        "source", metavar="PROMPTS", help=".jsonl .csv .tsv .parquet .txt, plain or .gz"
    )
    command.add_argument("--out", required=True, metavar="FILE", help="where the list goes")
    command.add_argument("--prompt_column", metavar="NAME", help="default: prompt, text or caption")
    command.add_argument("--limit", type=int, metavar="N", help="read only the first N rows")
    command.add_argument(
        "--artists",
        action="store_true",
        help='keep names of artists, as "by NAME", in a category of their own',
    )
    command.add_argument(
        "--replace", action="store_true", help="put the new list in place of a file that is there"
    )
    add_gin_flags(command)


def _run_flavors(args: argparse.Namespace) -> None:
    from data_builders.flavor_corpus import count_flavors, describe_flavors, write_flavors
    from pe.console import StageProgress, say

    flags = {
        "FlavorConfig.artists": args.artists or None,
        "SourceConfig.prompt_column": args.prompt_column,
        "SourceConfig.limit": args.limit,
    }
    extra = [f"{name}={value!r}" for name, value in flags.items() if value is not None]
    config = load_settings(_flavor_config(), args, extra)
    source, out = Path(args.source), Path(args.out)
    _check_out(out, source, replace=args.replace)
    with StageProgress() as progress:
        flavors, stats = count_flavors(source, config, progress=progress)
    write_flavors(out, source, config, flavors, stats)
    for line in describe_flavors(flavors, stats):
        say(line)
    say(f"{len(flavors):,} flavors in {out}")


def _check_out(out: Path, source: Path, *, replace: bool) -> None:
    if out.is_dir():
        raise ValueError(f"--out {out} is a folder: expected the name of a file")
    if out.exists() and source.exists() and out.samefile(source):
        raise ValueError(f"--out {out} is the table of prompts itself: expected another file")
    if out.exists() and not replace:
        raise ValueError(
            f"{out} exists: choose another --out, or give --replace to put the new list there"
        )
