"""`pe train`: data in, a run folder out."""

import argparse
from pathlib import Path
from typing import Any

from pe.commands.flag import add_gin_flags, gin_epilog, load_settings, new_command, quiet_libraries


def _train_config() -> type:
    from pe.train.config import TrainConfig

    return TrainConfig


def add_train(commands: Any, with_help: bool) -> None:
    command = new_command(
        commands,
        "train",
        _run_train,
        "Train an expander; goes on from the newest checkpoint in --out. SIGTERM saves and ends.",
        gin_epilog(_train_config, with_help),
    )
    command.add_argument(
        "--data",
        required=True,
        action="append",
        metavar="DATA[:RATE]",
        help="the --out of pe build, tfds:NAME, or with a text objective a file of texts; "
        "several are mixed at their rates",
    )
    command.add_argument("--out", metavar="RUN", help="where the run goes")
    command.add_argument(
        "--init",
        metavar="MODEL",
        help="the model to begin with: a run, a folder, T5X or a hub name",
    )
    command.add_argument(
        "--dry_run",
        action="store_true",
        help="print parameters, memory per device and FLOPs of a step, and train nothing",
    )
    command.add_argument(
        "--compile_cache", metavar="DIR", help="keep compiled programs there for the next start"
    )
    hosts = command.add_argument_group("several hosts (on TPU pods and under Slurm: --hosts auto)")
    hosts.add_argument("--hosts", metavar="N", help="how many, or auto")
    hosts.add_argument("--host", type=int, metavar="I", help="which of them this is, from 0")
    hosts.add_argument("--coordinator", metavar="ADDRESS:PORT", help="of host 0")
    add_gin_flags(command)


def _run_train(args: argparse.Namespace) -> None:
    quiet_libraries()
    from pe.data.sources import parse_data
    from pe.train.allocation import keep_freed_memory

    config = load_settings(_train_config(), args)
    data = [parse_data(text) for text in args.data]
    keep_freed_memory()
    if args.dry_run:
        _print_size(config, args.init)
        return
    if args.out is None:
        raise ValueError("--out is missing; expected a folder for the run (or --dry_run)")
    _set_up_jax(args)
    import jax

    from pe.console import TrainProgress, say
    from pe.eval.validation import make_validation
    from pe.train.run import train

    out, is_first = Path(args.out), jax.process_index() == 0
    tell = say if is_first else lambda _: None
    with TrainProgress(config.loop.num_steps) as console:
        ended = train(
            data,
            out,
            config,
            init=args.init,
            make_evaluators=make_validation(data, config, say=tell),
            console=console,
            say=tell,
        )
    tell(
        {
            "done": f"done: {out}; try it with  pe expand 'a cat' --model {out}",
            "early": f"stopped early, no better for a while: {out}",
            "stopped": f"stopped and saved: {out}; the same command goes on",
        }[ended]
    )


def _print_size(config: Any, init: str | None) -> None:
    """Size the run up on the CPU: accelerators may be busy, or not there."""
    import jax

    jax.config.update("jax_platforms", "cpu")
    from pe.train.dry_run import describe_run_size
    from pe.train.start import adopt_model, open_start

    if init is not None:
        config = adopt_model(config, open_start(init))
    print(describe_run_size(config))


def _set_up_jax(args: argparse.Namespace) -> None:
    """Join the other hosts and the compile cache, before a device is touched."""
    import jax

    if args.compile_cache:
        jax.config.update("jax_compilation_cache_dir", str(Path(args.compile_cache).absolute()))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 1.0)
    if args.hosts is None:
        if args.host is not None or args.coordinator is not None:
            raise ValueError("--host and --coordinator need --hosts N")
        return
    if args.hosts == "auto":
        jax.distributed.initialize()
        return
    if not args.hosts.isdigit() or args.host is None or not args.coordinator:
        raise ValueError(
            f"--hosts {args.hosts}: expected auto, or a number with --host I and --coordinator "
            "ADDRESS:PORT"
        )
    if not 0 <= args.host < int(args.hosts):
        raise ValueError(f"--host: got {args.host}, expected 0 to {int(args.hosts) - 1}")
    jax.distributed.initialize(
        coordinator_address=args.coordinator, num_processes=int(args.hosts), process_id=args.host
    )
