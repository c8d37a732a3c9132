"""`pe train_encoder`: pictures with texts in, a CLIP or CoCa with an aesthetic head out."""

import argparse
from pathlib import Path
from typing import Any

from pe.commands.flag import add_gin_flags, gin_epilog, load_settings, new_command, quiet_libraries


def _encoder_config() -> type:
    from pe.train.encoder import EncoderConfig

    return EncoderConfig


def add_train_encoder(commands: Any, with_help: bool) -> None:
    command = new_command(
        commands,
        "train_encoder",
        _run_train_encoder,
        "Train a CLIP or CoCa and an aesthetic head; goes on from the newest checkpoint in --out.",
        gin_epilog(_encoder_config, with_help),
    )
    command.add_argument("--data", required=True, metavar="DIR", help="the --out of pe lessons")
    command.add_argument(
        "--out", required=True, metavar="RUN", help="where the run goes; its model/ is the result"
    )
    command.add_argument(
        "--init", metavar="MODEL", help="begin with the model/ of an earlier run (with noise)"
    )
    add_gin_flags(command)


def _run_train_encoder(args: argparse.Namespace) -> None:
    quiet_libraries()
    from pe.console import TrainProgress, describe_encoder_step, say
    from pe.train.allocation import keep_freed_memory
    from pe.train.encoder import train_encoder

    config = load_settings(_encoder_config(), args)
    out = Path(args.out)
    keep_freed_memory()
    with TrainProgress(config.loop.num_steps, describe_encoder_step) as console:
        ended = train_encoder(
            Path(args.data),
            out,
            config,
            init=Path(args.init) if args.init else None,
            console=console,
            say=say,
        )
    say(
        f"stopped and saved: {out}; the same command goes on"
        if ended == "stopped"
        else f"done: {out / 'model'}; use it as  --gin.InverterConfig.encoder={out / 'model'}"
    )
