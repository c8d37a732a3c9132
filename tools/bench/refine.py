"""Measure a round of refining from ready expansions: expansions a second, peak memory, its growth.

    python tools/bench/refine.py --queries 1000 20000 --out DIR [--size 64]

Makes up prompts for Studio's world, one a query, in the form of `pe expand --json`; runs `pe refine
--pairs_only` on them in a process of its own, drawn by Studio at `--size` pixels and scored by its
encoder; prints one line of JSON a size. No peer does this job; what is reported is growth.
"""

import argparse
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from clean import wait_for

from pe.studio.gallery import sample_prompt

ROOT = Path(__file__).resolve().parents[2]


def write_expansions(path: Path, num_queries: int) -> None:
    with path.open("w", encoding="utf-8") as file:
        for number in range(num_queries):
            prompt = sample_prompt(np.random.default_rng((0, number)))
            expansion = {"text": prompt, "seed": number}
            row = {"query": prompt.split(",")[0], "prefix": "", "expansions": [expansion]}
            file.write(json.dumps(row) + "\n")


def measure(num_queries: int, out: Path, *, size_px: int) -> dict:
    source, folder = out / f"expansions{num_queries}.jsonl", out / f"refined{num_queries}"
    if not source.is_file():
        write_expansions(source, num_queries)
    shutil.rmtree(folder, ignore_errors=True)
    command = [sys.executable, "-m", "pe.cli", "refine", "--gin_file", "gin/refine/studio.gin"]
    command += ["--model", "none", "--expansions", str(source.resolve()), "--pairs_only"]
    command += ["--out", str(folder.resolve()), f"--gin.T2iConfig.size_px={size_px}"]
    begin = time.perf_counter()
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, cwd=ROOT)
    status, usage = wait_for(process)
    secs = time.perf_counter() - begin
    if status:
        raise SystemExit(f"pe refine ended with status {status}")
    stats = json.loads((folder / "round1" / "stats.json").read_text(encoding="utf-8"))
    stages = {stage["name"]: round(stage["secs"], 1) for stage in stats["stages"]}
    return {
        "queries": num_queries,
        "secs": round(secs, 1),
        "rows_per_sec": round(num_queries / secs, 1),
        "peak_gb": round(usage.ru_maxrss / 2**20, 3),
        "stages": stages,
        "kept": stats["stages"][-1]["out"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--queries", type=int, nargs="+", default=[1000, 20_000])
    parser.add_argument("--size", type=int, default=64, help="pixels of a picture (64)")
    parser.add_argument("--out", type=Path, required=True, help="a folder for all of it")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    for num_queries in args.queries:
        print(json.dumps(measure(num_queries, args.out, size_px=args.size)), flush=True)


if __name__ == "__main__":
    main()
