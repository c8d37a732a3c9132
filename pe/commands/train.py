"""`pe train`: a dataset in, a run folder out."""

import argparse
from pathlib import Path
from typing import Any

from pe.commands.flag import add_gin_flags, gin_epilog, load_settings, new_command, quiet_libraries


def _train_config() -> type:
    from pe.train.run import TrainConfig

    return TrainConfig


def add_train(commands: Any, with_help: bool) -> None:
    command = new_command(
        commands,
        "train",
        _run_train,
        "Train an expander on a dataset; goes on from the newest checkpoint in --out.",
        gin_epilog(_train_config, with_help),
    )
    command.add_argument("--data", required=True, metavar="DIR", help="the --out of pe build")
    command.add_argument("--out", required=True, metavar="RUN", help="where the run goes")
    add_gin_flags(command)


def _run_train(args: argparse.Namespace) -> None:
    quiet_libraries()
    from pe.console import TrainProgress, say
    from pe.eval.likelihood import make_validation
    from pe.train.run import TrainConfig, train

    config = load_settings(TrainConfig, args)
    data, out = Path(args.data), Path(args.out)
    evaluators = make_validation(data, config)
    with TrainProgress(config.loop.num_steps) as console:
        train(data, out, config, make_evaluators=evaluators, console=console, say=say)
    say(f"done: {out}; try it with  pe expand 'a cat' --model {out}")
