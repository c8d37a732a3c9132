"""Kill `pe train` with -9 several times, run it on, and compare with a run that was left alone.

    python tools/kill_train.py --data DIR --out DIR [--kills 10] [-- FLAGS ...]

OUT/straight is trained in one go; OUT/killed is killed after random times, once while a checkpoint
is being written, then run to its end. Every logged loss and every array of the last checkpoint must
be bit-identical. Exit status 0 when they are.
"""

import argparse
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np

from pe.train.metrics import read_metrics
from pe.train.run import load_run

CLOCK = "tokens_per_sec"  # the one metric that may differ


def main() -> int:
    """Run the trial."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", required=True, help="the --out of pe build")
    parser.add_argument("--out", type=Path, required=True, help="a folder for both runs")
    parser.add_argument("--kills", type=int, default=10, help="how often to kill")
    parser.add_argument("--seed", type=int, default=0, help="of the random times")
    cut = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    args, flags = parser.parse_args(sys.argv[1:cut]), sys.argv[cut + 1 :]
    rng = random.Random(args.seed)
    killed = command(args.data, args.out / "killed", flags)
    for number in range(args.kills):
        in_save = number == args.kills // 2
        print(kill_training(killed, args.out / "killed", rng, in_save=in_save), flush=True)
    for name in ("killed", "straight"):
        subprocess.run(command(args.data, args.out / name, flags), check=True)
    problems = compare_runs(args.out / "killed", args.out / "straight")
    print("\n".join(problems) or "every logged loss and every parameter is bit-identical")
    return 1 if problems else 0


def command(data: str, out: Path, flags: list[str]) -> list[str]:
    """Return the command line of a training run."""
    return [sys.executable, "-m", "pe.cli", "train", "--data", data, "--out", str(out), *flags]


def kill_training(args: list[str], out: Path, rng: random.Random, *, in_save: bool) -> str:
    """Start training and kill it: while it saves, or a bit after it began to take steps."""
    process = subprocess.Popen(args, stderr=subprocess.DEVNULL)
    before = num_lines(out)
    while process.poll() is None:
        if in_save and any((out / "checkpoints").glob("*tmp*")):
            break
        if not in_save and num_lines(out) > before:
            time.sleep(rng.uniform(0.0, 3.0))
            break
        time.sleep(0.0005 if in_save else 0.01)
    if process.poll() is not None:
        raise SystemExit("the training ended before it could be killed; give it more steps")
    process.send_signal(signal.SIGKILL)
    process.wait()
    rows = read_metrics(out / "metrics.jsonl")
    last = int(rows[-1]["step"]) if rows else 0
    where = ", while it saved" if in_save else ""
    half = sorted(path.name for path in (out / "checkpoints").glob("*tmp*"))
    return (
        f"killed after step {last}{where}, with checkpoints {sorted(list_checkpoints(out))}"
        f"{f' and the half {half}' if half else ''}"
    )


def num_lines(out: Path) -> int:
    """Return how many lines of metrics there are."""
    path = out / "metrics.jsonl"
    return len(read_metrics(path)) if path.is_file() else 0


def list_checkpoints(out: Path) -> set[int]:
    """Return the steps whose checkpoints are whole."""
    return {int(path.name) for path in (out / "checkpoints").glob("[0-9]*") if path.name.isdigit()}


def compare_runs(one: Path, other: Path) -> list[str]:
    """Return what differs between two runs: log lines and parameters."""
    logs = [read_metrics(run / "metrics.jsonl") for run in (one, other)]
    rows = [[{k: v for k, v in row.items() if k != CLOCK} for row in log] for log in logs]
    problems = [f"log line {a} is not {b}" for a, b in zip(*rows, strict=False) if a != b]
    if len(rows[0]) != len(rows[1]):
        problems.append(f"{len(rows[0])} log lines, not {len(rows[1])}")
    params = [jax.tree.leaves(load_run(run).params) for run in (one, other)]
    same = [np.array_equal(np.asarray(a), np.asarray(b)) for a, b in zip(*params, strict=True)]
    if not all(same):
        problems.append(f"{same.count(False)} of {len(same)} parameter arrays differ")
    return problems


if __name__ == "__main__":
    sys.exit(main())
