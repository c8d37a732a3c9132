"""`pe refine`: a trained expander in, the same aligned to an image model out."""

import argparse
from pathlib import Path
from typing import Any

from pe.commands.flag import add_gin_flags, gin_epilog, load_settings, new_command, quiet_libraries
from pe.commands.t2i_flag import add_t2i_flags, t2i_bindings


def _refine_config() -> type:
    from pe.refine.round import RefineConfig

    return RefineConfig


def add_refine(commands: Any, with_help: bool) -> None:
    command = new_command(
        commands,
        "refine",
        _run_refine,
        "Align an expander to an image model: expand held-out queries, draw and score the prompts, "
        "and train on from the base with those that score high.",
        gin_epilog(_refine_config, with_help),
    )
    command.add_argument(
        "--model", required=True, metavar="MODEL", help="the base: a run, a folder, T5X or the hub"
    )
    command.add_argument(
        "--data",
        metavar="DIR",
        help="the --out of pe build: queries of its refine half are expanded, and the trainer "
        "draws its pairs beside those that are kept",
    )
    command.add_argument(
        "--expansions",
        metavar="FILE",
        help="lines of pe expand --json: these are drawn and scored, in place of new ones",
    )
    command.add_argument("--out", required=True, metavar="DIR", help="where the rounds go")
    command.add_argument("--rounds", type=int, default=1, metavar="R", help="one by default")
    command.add_argument(
        "--pairs_only", action="store_true", help="choose the pairs and train nothing"
    )
    add_t2i_flags(command)
    command.add_argument("--encoder", metavar="MODEL", help="a CLIP or CoCa that scores pictures")
    command.add_argument("--limit", type=int, metavar="N", help="expand only the first N queries")
    add_gin_flags(command)


def _run_refine(args: argparse.Namespace) -> None:
    quiet_libraries()
    if args.rounds < 1:
        raise ValueError(f"--rounds: got {args.rounds}, expected 1 or more")
    if args.expansions and args.rounds > 1:
        raise ValueError("--expansions are those of one round; leave out --rounds")
    flags = {
        **t2i_bindings(args),
        "ScoreConfig.encoder": args.encoder,
        "RefineSourceConfig.limit": args.limit,
    }
    extra = [f"{name}={value!r}" for name, value in flags.items() if value is not None]
    config = load_settings(_refine_config(), args, extra)
    from pe.console import StageProgress, say
    from pe.refine.round import RUN, RoundInput, choose_pairs

    out, expander = Path(args.out), args.model
    for number in range(1, args.rounds + 1):
        given = RoundInput(
            data=None if args.expansions else _existing(args.data, "--data"),
            expansions=_existing(args.expansions, "--expansions") if args.expansions else None,
            expander=expander,
            number=number,
        )
        with StageProgress() as progress:
            stats = choose_pairs(given, out, config, progress=progress, say=say)
        folder = out / f"round{number}"
        scored, kept = stats["stages"][-1]["in"], stats["stages"][-1]["out"]
        say(f"round {number}: {kept:,} of {scored:,} kept; see {folder / 'report.html'}")
        if args.pairs_only:
            continue
        if not _train(args, folder, config):
            say(f"stopped and saved: {folder / RUN}; the same command goes on")
            return
        expander = str(folder / RUN)
        say(f"done: {expander}; try it with  pe expand 'a cat' --model {expander}")


def _existing(path: str | None, flag: str) -> Path:
    if path is None:
        raise ValueError(f"{flag} is missing; expected the --out of pe build (or --expansions)")
    if not Path(path).exists():
        raise FileNotFoundError(f"{flag} {path}: there is nothing; check the path")
    return Path(path)


def _train(args: argparse.Namespace, folder: Path, config: Any) -> bool:
    """Train on from the base; return whether it came to its end."""
    from pe.console import TrainProgress, say
    from pe.data.sources import DataSpec
    from pe.eval.validation import make_validation
    from pe.refine.round import RUN
    from pe.train.run import train

    data = [DataSpec(str(folder), config.refined_rate)]
    known = data if args.data is None else [DataSpec(args.data)]  # what has a validation split
    if args.data is not None and config.refined_rate < 1.0:
        data.insert(0, DataSpec(args.data, 1.0 - config.refined_rate))
    with TrainProgress(config.train.loop.num_steps) as console:
        ended = train(
            data,
            folder / RUN,
            config.train,
            init=args.model,
            make_evaluators=make_validation(known, config.train, say=say),
            console=console,
            say=say,
        )
    return ended != "stopped"


def _step_config() -> type:
    from pe.refine.step_pairs import StepPairsConfig

    return StepPairsConfig


def add_refine_steps(commands: Any, with_help: bool) -> None:
    command = new_command(
        commands,
        "refine_steps",
        _run_refine_steps,
        "Make pairs of one expansion and the next (MSTP): data for expanding in steps.",
        gin_epilog(_step_config, with_help),
    )
    command.add_argument(
        "--model", required=True, metavar="MODEL", help="who expands: the run of pe refine"
    )
    command.add_argument(
        "--data", required=True, metavar="DIR", help="the --out of pe build, for its queries"
    )
    command.add_argument("--out", required=True, metavar="DIR", help="for pe train --data")
    command.add_argument("--limit", type=int, metavar="N", help="expand only the first N queries")
    add_gin_flags(command)


def _run_refine_steps(args: argparse.Namespace) -> None:
    quiet_libraries()
    extra = [] if args.limit is None else [f"RefineSourceConfig.limit={args.limit}"]
    config = load_settings(_step_config(), args, extra)
    from pe.console import StageProgress, say
    from pe.refine.step_pairs import make_step_pairs

    data, out = _existing(args.data, "--data"), Path(args.out)
    with StageProgress() as progress:
        stats = make_step_pairs(data, args.model, out, config, progress=progress, say=say)
    (stage,) = stats["stages"]
    reasons = ", ".join(f"{reason} {count:,}" for reason, count in stage["reasons"].items())
    say(
        f"{stage['out']:,} pairs of {stage['kept']:,} queries in {out}"
        + (f"; {stage['dropped']:,} gave none ({reasons})" if stage["dropped"] else "")
    )
