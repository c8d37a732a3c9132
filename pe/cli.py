"""The `pe` command. Imports of a command's machinery happen when that command runs.

Exit status: 0 done, 1 the machine's fault (disk full, device out of memory, training diverged),
2 the caller's mistake.
"""

import argparse
import errno
import os
import sys
from collections.abc import Sequence

from pe.commands.build import add_build, add_show
from pe.commands.convert import add_convert
from pe.commands.expand import add_expand
from pe.commands.flavors import add_flavors
from pe.commands.invert import add_invert
from pe.commands.page import add_page
from pe.commands.probe import add_probe
from pe.commands.refine import add_refine, add_refine_steps
from pe.commands.score import add_score
from pe.commands.studio import add_gallery, add_lessons, add_render
from pe.commands.train import add_train
from pe.commands.train_encoder import add_train_encoder
from pe.device_error import explain_device_error, is_device_error

GIN_FLAG = "--gin."
ADDERS = {
    "build": add_build,
    "show": add_show,
    "train": add_train,
    "expand": add_expand,
    "score": add_score,
    "convert": add_convert,
    "flavors": add_flavors,
    "invert": add_invert,
    "refine": add_refine,
    "refine_steps": add_refine_steps,
    "probe": add_probe,
    "page": add_page,
    "render": add_render,
    "gallery": add_gallery,
    "lessons": add_lessons,
    "train_encoder": add_train_encoder,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    args_list = list(sys.argv[1:] if argv is None else argv)
    bindings = [arg[len(GIN_FLAG) :] for arg in args_list if arg.startswith(GIN_FLAG)]
    unbound = [name for name in bindings if "=" not in name]
    if unbound:
        return _fail("", f"--gin.{unbound[0]}: expected --gin.NAME=VALUE, in one word", 2)
    parser = make_parser(args_list)
    args = parser.parse_args([arg for arg in args_list if not arg.startswith(GIN_FLAG)])
    try:
        if bindings and not hasattr(args, "gin_file"):
            raise ValueError(f"pe {args.command} takes no --gin.{bindings[0]}; it has no config")
        args.gin_bindings = bindings
        return args.run(args) or 0
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        print("\npe: stopped; build and train go on where they were", file=sys.stderr)
        return 130
    except FloatingPointError as error:
        return _fail(args.command, str(error), 1)
    except (ValueError, TypeError, OSError) as error:
        number = getattr(error, "errno", None)
        if number in (errno.ENOSPC, errno.EDQUOT) or "No space left" in str(error):
            message = (
                "no space left on the device; what is finished is kept: free some space and run "
                f"the same command again ({error})"
            )
            return _fail(args.command, message, 1)
        if number in (errno.EROFS, errno.EACCES, errno.EPERM):
            message = f"{error}; name another path, or one that this user may read and write"
            return _fail(args.command, message, 1)
        is_machine = isinstance(error, OSError) and not isinstance(error, FileNotFoundError)
        return _fail(args.command, str(error), 1 if is_machine else 2)
    except Exception as error:
        if not is_device_error(error):
            raise
        return _fail(args.command, explain_device_error(error), 1)


def _fail(command: str, message: str, status: int) -> int:
    print(f"pe {command}".strip() + f": {message}", file=sys.stderr)
    return status


def make_parser(args: Sequence[str]) -> argparse.ArgumentParser:
    """Make the parser; gin names are listed (and their modules loaded) only for --help."""
    parser = argparse.ArgumentParser(
        prog="pe", description="Build, train and serve prompt expansion: short queries to prompts."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    with_help = "-h" in args or "--help" in args
    chosen = next((arg for arg in args if not arg.startswith("-")), "")
    for name, add in ADDERS.items():
        add(commands, with_help and name == chosen)
    return parser


if __name__ == "__main__":
    sys.exit(main())
