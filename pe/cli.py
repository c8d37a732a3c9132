"""The `pe` command. Imports of a command's machinery happen when that command runs.

Exit status: 0 done, 1 the machine's fault (disk full, training diverged), 2 the caller's mistake.
"""

import argparse
import errno
import itertools
import json
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

GIN_FLAG = "--gin."


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
        is_machine = isinstance(error, OSError) and not isinstance(error, FileNotFoundError)
        return _fail(args.command, str(error), 1 if is_machine else 2)


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
    adders = {
        "build": _add_build,
        "show": _add_show,
        "train": _add_train,
        "expand": _add_expand,
        "score": _add_score,
    }
    for name, add in adders.items():
        add(commands, with_help and name == chosen)
    return parser


def _new_command(
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


def _add_gin_flags(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--gin_file", action="append", default=[], metavar="FILE", help="gin file; may be repeated"
    )
    command.add_argument(
        "--gin.NAME",
        dest="gin_example",
        metavar="VALUE",
        help="bind one gin name, e.g. --gin.LoopConfig.num_steps=100; may be repeated",
    )


def _gin_epilog(root: Callable[[], type], with_help: bool) -> str:
    if not with_help:
        return ""
    from pe.config import describe_configs

    return "gin names and their defaults:\n" + describe_configs(root())


def _load(root: type, args: argparse.Namespace, extra: Iterable[str] = ()) -> Any:
    from pe.config import load_config

    return load_config(root, args.gin_file, [*extra, *args.gin_bindings])


# build, show


def _build_config() -> type:
    from data_builders.main import BuildConfig

    return BuildConfig


def _add_build(commands: Any, with_help: bool) -> None:
    command = _new_command(
        commands,
        "build",
        _run_build,
        "Build a dataset of {query: prompt} pairs from a table of prompts.",
        _gin_epilog(_build_config, with_help),
    )
    command.add_argument(
        "source", metavar="SOURCE", help=".jsonl .csv .tsv .parquet .txt, plain or .gz"
    )
    command.add_argument("--out", required=True, metavar="DIR", help="where the dataset goes")
    command.add_argument("--prompt_column", metavar="NAME", help="default: prompt, text or caption")
    command.add_argument(
        "--query_column", metavar="NAME", help="default: query, where there is one"
    )
    command.add_argument("--limit", type=int, metavar="N", help="read only the first N rows")
    command.add_argument(
        "--file_format",
        choices=("arrayrecord", "tfrecord"),
        help="of the TFDS dataset; tfrecord needs the [seqio] extra (default arrayrecord)",
    )
    command.add_argument(
        "--replace",
        action="store_true",
        help="put the new dataset in place of a finished other one",
    )
    _add_gin_flags(command)


def _run_build(args: argparse.Namespace) -> None:
    from data_builders.main import BuildConfig, build
    from pe.console import StageProgress, say

    flags = {
        "SourceConfig.prompt_column": args.prompt_column,
        "SourceConfig.query_column": args.query_column,
        "SourceConfig.limit": args.limit,
        "BuildConfig.file_format": args.file_format,
    }
    extra = [f"{name}={value!r}" for name, value in flags.items() if value is not None]
    config = _load(BuildConfig, args, extra)
    out = Path(args.out)
    with StageProgress() as progress:
        stats = build(
            Path(args.source), out, config, replace=args.replace, progress=progress, say=say
        )
    for stage in stats["stages"]:
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in stage["reasons"].items())
        say(
            f"{stage['name']:>13}: {stage['in']:,} in, {stage['kept']:,} kept, "
            f"{stage['dropped']:,} dropped{f' ({reasons})' if reasons else ''}, "
            f"{stage['out']:,} out, {stage['secs']:.1f} s"
        )
    say(f"{stats['stages'][-1]['out']:,} pairs in {out / 'pairs'}; card: {out / 'README.md'}")


def _add_show(commands: Any, with_help: bool) -> None:
    del with_help
    command = _new_command(
        commands, "show", _run_show, "Show a pair's whole way back to its source.", ""
    )
    command.add_argument(
        "id", metavar="ID", help="of a pair, query, inversion or image, or FILE:LINE of a row"
    )
    command.add_argument("--data", required=True, metavar="DIR", help="the --out of pe build")


def _run_show(args: argparse.Namespace) -> None:
    from data_builders.main import find_row

    for row in find_row(Path(args.data), args.id):
        print(json.dumps(row, indent=1, ensure_ascii=False))


# train


def _train_config() -> type:
    from pe.train.run import TrainConfig

    return TrainConfig


def _add_train(commands: Any, with_help: bool) -> None:
    command = _new_command(
        commands,
        "train",
        _run_train,
        "Train an expander on a dataset; goes on from the newest checkpoint in --out.",
        _gin_epilog(_train_config, with_help),
    )
    command.add_argument("--data", required=True, metavar="DIR", help="the --out of pe build")
    command.add_argument("--out", required=True, metavar="RUN", help="where the run goes")
    _add_gin_flags(command)


def _run_train(args: argparse.Namespace) -> None:
    _quiet_libraries()
    from pe.console import TrainProgress, say
    from pe.eval.likelihood import make_validation
    from pe.train.run import TrainConfig, train

    config = _load(TrainConfig, args)
    data, out = Path(args.data), Path(args.out)
    evaluators = make_validation(data, config)
    with TrainProgress(config.loop.num_steps) as console:
        train(data, out, config, make_evaluators=evaluators, console=console, say=say)
    say(f"done: {out}; try it with  pe expand 'a cat' --model {out}")


# expand, score


def _add_expand(commands: Any, with_help: bool) -> None:
    del with_help
    from pe.prefixes import PREFIXES

    codes = "\n".join(f"  {code:5} {meaning}" for code, meaning in PREFIXES.items())
    command = _new_command(
        commands,
        "expand",
        _run_expand,
        "Expand queries into detailed, different prompts.",
        f"prefixes:\n{codes}",
    )
    command.add_argument(
        "queries",
        nargs="*",
        metavar="QUERY",
        help="read from stdin, one a line, when none is given",
    )
    command.add_argument("--model", required=True, metavar="RUN", help="the --out of pe train")
    command.add_argument("-n", type=int, default=4, metavar="N", help="expansions a query (4)")
    command.add_argument("--prefix", default="", metavar="CODE", help="control prefix (none)")
    command.add_argument("--seed", type=int, default=0, help="same seed, same texts (0)")
    command.add_argument("--temperature", type=float, metavar="T", help="0 is greedy (1.0)")
    command.add_argument("--top_k", type=int, metavar="K", help="draw among the K likeliest (all)")
    command.add_argument("--top_p", type=float, metavar="P", help="nucleus of mass P (all)")
    command.add_argument("--max_tokens", type=int, metavar="N", help="of the model's own (77)")
    command.add_argument("--json", action="store_true", help="one JSON object a query and line")


def _run_expand(args: argparse.Namespace) -> None:
    _quiet_libraries()
    from pe.decode.sampling import SamplingConfig
    from pe.prefixes import check_prefix

    names = ("temperature", "top_k", "top_p", "max_tokens")
    given = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
    sampling = SamplingConfig(**given)
    check_prefix(args.prefix)
    if args.n < 1:
        raise ValueError(f"-n: got {args.n}, expected 1 or more expansions a query")
    from pe.console import print_expansions
    from pe.engines.expander import BATCH_QUERIES, T5Expander
    from pe.train.run import load_run

    expander = T5Expander(load_run(Path(args.model)))
    queries = iter(args.queries or (line for line in sys.stdin if line.strip()))
    num_queries = 0
    while batch := list(itertools.islice(queries, BATCH_QUERIES)):
        num_queries += len(batch)
        sets = expander.expand(batch, args.n, prefix=args.prefix, seed=args.seed, sampling=sampling)
        if not args.json:
            print_expansions(sets)
            continue
        for expansions in sets:
            rows = [
                {"text": e.text, "seed": e.seed, "logprob": e.logprob, "num_tokens": e.num_tokens}
                for e in expansions
            ]
            row = {"query": expansions[0].query, "prefix": args.prefix, "expansions": rows}
            print(json.dumps(row, ensure_ascii=False), flush=True)
    if not num_queries:
        raise ValueError("no query: expected QUERY arguments, or one query a line on stdin")


def _add_score(commands: Any, with_help: bool) -> None:
    del with_help
    command = _new_command(
        commands,
        "score",
        _run_score,
        "Nats per target token of a model over {query, prompt, prefix?} rows; beside it the same "
        "with padding for input (blanked), with an empty query, and a unigram of the training set.",
        "",
    )
    command.add_argument("--model", required=True, metavar="RUN", help="the --out of pe train")
    command.add_argument(
        "--pairs", required=True, metavar="FILE", help=".jsonl of {query, prompt, prefix?, kind?}"
    )
    command.add_argument(
        "--json", action="store_true", help="one JSON object: rows, total, by kind"
    )


def _run_score(args: argparse.Namespace) -> None:
    _quiet_libraries()
    from pe.data.pair_file import read_pairs

    pairs = list(read_pairs(Path(args.pairs)))
    from pe.eval.likelihood import rows_by, score_model
    from pe.train.run import load_run

    run = Path(args.model)
    scores = score_model(load_run(run), pairs, run=run)
    asked = scores["query"]
    groups = {"total": list(range(len(pairs))), **rows_by(pairs, "kind")}
    table = {
        group: {
            "num_pairs": len(rows),
            "num_tokens": int(asked.num_tokens[rows].sum()),
            **{f"nats_per_token_{arm}": s.per_token(rows) for arm, s in scores.items()},
        }
        for group, rows in groups.items()
    }
    per_row = asked.nats / asked.num_tokens
    if args.json:
        rows = [
            {"nats_per_token": float(value), "nats": float(nats), "num_tokens": int(count)}
            for value, nats, count in zip(per_row, asked.nats, asked.num_tokens, strict=True)
        ]
        total = table.pop("total")
        print(json.dumps({"rows": rows, "total": total, "by_kind": table}))
        return
    for pair, value in zip(pairs, per_row, strict=True):
        print(f"{value:8.3f}  {pair['query']}  ->  {pair['prompt']}")
    for group, values in table.items():
        numbers = "  ".join(
            f"{name.removeprefix('nats_per_token_')} {value:.3f}"
            for name, value in values.items()
            if name.startswith("nats")
        )
        print(f"{group}: {values['num_pairs']:,} pairs, nats/token: {numbers}")


def _quiet_libraries() -> None:
    """Keep the libraries' own notes (devices, checkpoints) off a person's screen."""
    import logging

    logging.getLogger("absl").setLevel(logging.CRITICAL)  # what matters is raised
    logging.getLogger("jax").setLevel(logging.ERROR)


if __name__ == "__main__":
    sys.exit(main())
