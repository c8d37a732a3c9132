"""Kill `pe refine` with -9 in every part, run it on, and compare with a straight run.

    python tools/kill_refine.py --model RUN --data DIR --out DIR [--stages scores,...] [-- FLAGS]

DIR/straight is refined in one go; DIR/killed is killed once in each stage named, after at least one
finished shard and before the last, and once in training, then run to its end. The pairs that were
kept must be the same file for file, and every parameter and logged loss bit-identical. Exit status
0 when they are.
"""

import argparse
import random
import subprocess
import sys
from pathlib import Path

from kill_build import hash_dataset, kill_in_stage
from kill_train import compare_runs, kill_training

STAGES = "expansions,pruned,renderings,scores,pairs"
COMPARED = ("pairs", "dropped", "stats.json", "report.html")


def main() -> int:
    """Run the trial."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", required=True, help="the base, a run of pe train")
    parser.add_argument("--data", required=True, help="the --out of pe build")
    parser.add_argument("--out", type=Path, required=True, help="a folder for both")
    parser.add_argument("--stages", default=STAGES, help="where to kill")
    cut = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    args, flags = parser.parse_args(sys.argv[1:cut]), sys.argv[cut + 1 :]

    def command(name: str) -> list[str]:
        base = [sys.executable, "-m", "pe.cli", "refine", "--model", args.model]
        return [*base, "--data", args.data, "--out", str(args.out / name), *flags]

    folder = args.out / "killed" / "round1"
    for stage in args.stages.split(","):
        print(kill_in_stage(command("killed"), folder, stage), flush=True)
    rng = random.Random(0)
    print(kill_training(command("killed"), folder / "run", rng, in_save=False), flush=True)
    for name in ("killed", "straight"):
        subprocess.run(command(name), check=True)
    rounds = [args.out / name / "round1" for name in ("killed", "straight")]
    found = [
        {name: digest for name, digest in hash_dataset(folder).items() if is_compared(name)}
        for folder in rounds
    ]
    differing = sorted(n for n in found[0] | found[1] if found[0].get(n) != found[1].get(n))
    print(f"{len(found[1])} files compared, {len(differing)} differ {differing}")
    problems = compare_runs(rounds[0] / "run", rounds[1] / "run")
    print("\n".join(problems) or "every logged loss and every parameter is bit-identical")
    return 1 if problems or differing else 0


def is_compared(name: str) -> bool:
    """Say whether a round's file is part of what it chose."""
    return name.split("/")[0] in COMPARED


if __name__ == "__main__":
    sys.exit(main())
