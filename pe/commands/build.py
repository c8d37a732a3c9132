"""`pe build` and `pe show`: a dataset, and the way back from one of its rows."""

import argparse
import json
from pathlib import Path
from typing import Any

from pe.commands.flag import add_gin_flags, gin_epilog, load_settings, new_command, quiet_libraries
from pe.commands.invert import add_inverter_flags, inverter_bindings
from pe.commands.llm_flag import add_llm_flags, llm_bindings


def _build_config() -> type:
    from data_builders.main import BuildConfig

    return BuildConfig


def add_build(commands: Any, with_help: bool) -> None:
    command = new_command(
        commands,
        "build",
        _run_build,
        "Build a dataset of {query: prompt} pairs from a table of prompts, or from pictures.",
        gin_epilog(_build_config, with_help),
    )
    command.add_argument(
        "source",
        metavar="SOURCE",
        help="prompts: .jsonl .csv .tsv .parquet .txt, plain or .gz; or pictures: a folder of "
        "them, of WebDataset tars or of Parquet files, or one such file; or a .sqlite of votes",
    )
    command.add_argument("--out", required=True, metavar="DIR", help="where the dataset goes")
    command.add_argument("--prompt_column", metavar="NAME", help="default: prompt, text or caption")
    command.add_argument(
        "--query_column", metavar="NAME", help="default: query, where there is one"
    )
    command.add_argument("--limit", type=int, metavar="N", help="read only the first N rows")
    command.add_argument(
        "--allow_licences", nargs="+", metavar="NAME", help="drop rows of other licences"
    )
    command.add_argument(
        "--evaluation_sets",
        nargs="+",
        metavar="FILE",
        help="drop what is in these: .tsv .csv .jsonl .txt of prompts that models are measured on",
    )
    add_inverter_flags(command, encoder="needed for pictures")
    add_llm_flags(command)
    command.add_argument(
        "--runner", choices=("local", "ray"), help="ray: on a cluster, extra [ray] (local)"
    )
    command.add_argument(
        "--ray_address", metavar="HOST:PORT", help="of the cluster (one started on this machine)"
    )
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
    add_gin_flags(command)


def _run_build(args: argparse.Namespace) -> None:
    quiet_libraries()
    from data_builders.main import BuildConfig, build
    from pe.console import StageProgress, say

    flags = {
        "SourceConfig.prompt_column": args.prompt_column,
        "SourceConfig.query_column": args.query_column,
        "SourceConfig.limit": args.limit,
        "ImageSourceConfig.limit": args.limit,
        "BuildConfig.file_format": args.file_format,
        "RunnerConfig.engine": args.runner,
        "RayConfig.address": args.ray_address,
        "ScreenConfig.allow_licences": tuple(args.allow_licences or ()) or None,
        "ScreenConfig.evaluation_sets": tuple(args.evaluation_sets or ()) or None,
        **inverter_bindings(args),
        **llm_bindings(args),
        "AestheticConfig.vocabulary": args.vocabulary,  # equal, they share one encoder
    }
    extra = [f"{name}={value!r}" for name, value in flags.items() if value is not None]
    config = load_settings(BuildConfig, args, extra)
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


def add_show(commands: Any, with_help: bool) -> None:
    del with_help
    command = new_command(
        commands,
        "show",
        _run_show,
        "Show a pair's whole way, from its source to what a model reads and writes.",
        "",
    )
    command.add_argument(
        "id",
        metavar="ID",
        help="of a pair, query, inversion or image, or of a source row: FILE:LINE of a table, a "
        "picture's path from the source's folder",
    )
    command.add_argument("--data", required=True, metavar="DIR", help="the --out of pe build")
    command.add_argument(
        "--vocab", metavar="FILE", help="show tokens, too: a vocabulary.model, spiece.model, ..."
    )


def _run_show(args: argparse.Namespace) -> None:
    from data_builders.main import find_row
    from data_builders.prompt_expansion import pair_to_example
    from pe.data.tokenizer import load_vocabulary

    vocabulary = load_vocabulary(args.vocab) if args.vocab else None
    for row in find_row(Path(args.data), args.id):
        pairs = [child for child in row["children"] if "query" in child and "prefix" in child]
        if pairs:
            examples = [pair_to_example(pair) for pair in pairs]
            names = ("inputs", "inputs_plain", "targets")
            row["examples"] = [{name: example[name] for name in names} for example in examples]
        if vocabulary is not None:
            for example in row.get("examples", []):
                texts = list(example.items())
                for name, text in texts:
                    ids = vocabulary.encode(text)
                    tokens = " ".join(f"{i}:{vocabulary.piece(i)}" for i in ids)
                    example[f"{name}_tokens"] = tokens
        print(json.dumps(row, indent=1, ensure_ascii=False))
