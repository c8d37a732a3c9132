"""The flags that name an image model, for every command that draws."""

import argparse
from typing import Any


def add_t2i_flags(command: argparse.ArgumentParser) -> None:
    """Add --t2i and --t2i_url."""
    command.add_argument(
        "--t2i",
        metavar="MODEL",
        help="what draws: studio, a diffusers pipeline by folder or hub name, or with --t2i_url a "
        "server's model (studio)",
    )
    command.add_argument(
        "--t2i_url",
        metavar="URL",
        help="an OpenAI-compatible server that draws; its key, if it wants one, is read from the "
        "environment variable OPENAI_API_KEY",
    )


def t2i_bindings(args: argparse.Namespace) -> dict[str, Any]:
    """Return the gin bindings of these flags; None where a flag was not given."""
    return {"T2iConfig.model": args.t2i, "T2iConfig.url": args.t2i_url}
