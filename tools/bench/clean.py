"""Measure a build of ready pairs, cleaning included: seconds a stage, peak memory, how both grow.

    python tools/bench/clean.py --rows 300000 3000000 --out DIR

Makes up pairs of words that are no words (12 to 24 a prompt, drawn as words of a language are: few
often, many seldom), one in a hundred an exact copy and one in a hundred a copy with two words
changed; runs `pe build` on them in a process of its own; prints one line of JSON a size, with
how many rows went as copies. No peer does this job; what is reported is growth.
"""

import argparse
import itertools
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path

SYLLABLES = [a + b for a in "bdfgklmnprstvz" for b in ("a", "e", "i", "o", "u", "an", "el", "or")]
NUM_WORDS, COPIES = 30_000, 100


def write_pairs(path: Path, num_rows: int) -> None:
    rng = random.Random(0)
    words = ["".join(rng.choices(SYLLABLES, k=rng.randint(2, 4))) for _ in range(NUM_WORDS)]
    totals = list(itertools.accumulate(1 / (rank + 20) for rank in range(NUM_WORDS)))
    kept: list[list[str]] = []
    with path.open("w", encoding="utf-8") as file:
        for number in range(num_rows):
            if number % COPIES == 7 and kept:
                prompt = list(rng.choice(kept))
            elif number % COPIES == 57 and kept:
                prompt = list(rng.choice(kept))
                for place in rng.sample(range(3, len(prompt)), 2):
                    prompt[place] = rng.choice(words)
            else:
                prompt = rng.choices(words, cum_weights=totals, k=rng.randint(12, 24))
            if number % 1000 == 0:
                kept.append(prompt)
            row = {"prompt": " ".join(prompt), "query": " ".join(prompt[:3])}
            file.write(json.dumps(row) + "\n")


def measure(num_rows: int, out: Path) -> dict:
    source, data = out / f"pairs{num_rows}.jsonl", out / f"data{num_rows}"
    if not source.is_file():
        write_pairs(source, num_rows)
    shutil.rmtree(data, ignore_errors=True)
    begin = time.perf_counter()
    command = [sys.executable, "-m", "pe.cli", "build", str(source), "--out", str(data)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    status, usage = wait_for(process)
    secs = time.perf_counter() - begin
    if status:
        raise SystemExit(f"pe build ended with status {status}")
    stats = json.loads((data / "stats.json").read_text(encoding="utf-8"))
    stages = {stage["name"]: stage for stage in stats["stages"]}
    reasons = stages["duplicates"]["reasons"]
    stage_secs = {name: round(stage["secs"], 1) for name, stage in stages.items()}
    return {
        "rows": num_rows,
        "secs": round(secs, 1),
        "rows_per_sec": round(num_rows / secs),
        "peak_gb": round(usage.ru_maxrss / 2**20, 2),
        "stages": stage_secs,
        "writing": round(secs - sum(stage_secs.values()), 1),
        "pairs": stages["screen_pair"]["out"],
        "dropped": reasons,
    }


def wait_for(process: subprocess.Popen) -> tuple[int, resource.struct_rusage]:
    """Wait for a process; return its exit status and what it took of the machine."""
    _, status, usage = os.wait4(process.pid, 0)
    return os.waitstatus_to_exitcode(status), usage


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[300_000, 3_000_000])
    parser.add_argument("--out", type=Path, required=True, help="a folder for sources and datasets")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    for num_rows in args.rows:
        print(json.dumps(measure(num_rows, args.out)), flush=True)


if __name__ == "__main__":
    main()
