"""What commands share: making one, its gin flags, its quiet."""

import argparse
from collections.abc import Callable, Iterable
from typing import Any


def new_command(
    commands: Any,
    name: str,
    run: Callable[[argparse.Namespace], int | None],
    text: str,
    epilog: str,
) -> argparse.ArgumentParser:
    command = commands.add_parser(
        name,
        help=text,
        description=text,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    command.set_defaults(run=run)
    return command


def add_gin_flags(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--gin_file", action="append", default=[], metavar="FILE", help="gin file; may be repeated"
    )
    command.add_argument(
        "--gin.NAME",
        dest="gin_example",
        metavar="VALUE",
        help="bind one gin name, e.g. --gin.LoopConfig.num_steps=100; may be repeated",
    )


def gin_epilog(root: Callable[[], type], with_help: bool) -> str:
    if not with_help:
        return ""
    from pe.config import describe_configs

    return "gin names and their defaults:\n" + describe_configs(root())


def load_settings(root: type, args: argparse.Namespace, extra: Iterable[str] = ()) -> Any:
    from pe.config import load_config

    return load_config(root, args.gin_file, [*extra, *args.gin_bindings])


def quiet_libraries() -> None:
    """Keep the libraries' own notes (devices, checkpoints) off a person's screen."""
    import logging

    logging.getLogger("absl").setLevel(logging.CRITICAL)  # what matters is raised
    logging.getLogger("jax").setLevel(logging.ERROR)
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
