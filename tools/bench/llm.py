"""Queries by a language model against what its server could give: rows/s, memory.

The server is tools/llm_stub.py, which answers after 50 ms; at concurrency 64 it could answer 1,280
requests a second. Ours is the whole stage: requests, answers, checks, cache, shards on disk.

  tools/bench/llm.py --rows 10000 50000 200000
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pyarrow as pa

from data_builders.llm_querying import LlmQueryStage
from data_builders.query_request import LlmQueryConfig
from pe import shards
from pe.engines.llm import LlmConfig
from pe.engines.llm_session import LlmSession, make_llm
from pe.records import Inversion, QueryTask, arrow_fields
from pe.stages.local_runner import LocalRunner, RunnerConfig

STUB = Path(__file__).parents[1] / "llm_stub.py"
WORDS = ("fox", "boat", "tower", "garden", "market", "robot", "bakery", "moon", "child", "storm",
         "lamp", "river")  # fmt: skip
SHARD_ROWS = 4096


class Tasks:
    """A source of so many tasks, each of another prompt."""

    key = "bench"

    def __init__(self, num_rows: int):
        self.num_rows = num_rows

    def tables(self, done):
        """Yield the shards."""
        types = {"inversion": Inversion, "querytask": QueryTask}
        for index, start in enumerate(range(0, self.num_rows, SHARD_ROWS)):
            if index in done:
                yield index, None
                continue
            rows = [make_row(i) for i in range(start, min(start + SHARD_ROWS, self.num_rows))]
            columns = {
                name: pa.array([r.to_row() for r in part], pa.struct(arrow_fields(types[name])))
                for name, part in zip(types, zip(*rows, strict=True), strict=True)
            }
            yield index, pa.table(columns)


def make_row(i: int) -> tuple[Inversion, QueryTask]:
    """Make the inversion and the task of row i."""
    words = [WORDS[(i // 12**k) % 12] for k in range(6)]
    prompt = f"a {words[0]} near a {words[1]} {i} with a {words[2]} and a {words[3]}, "
    prompt += f"{words[4]} {words[5]}, oil painting, soft light, highly detailed"
    inversion = Inversion(
        image_id=str(i), source_id=str(i), caption="", flavors=(), prompt=prompt, method="given"
    )
    return inversion, QueryTask(inversion_id=inversion.id, kind="medium")


def main() -> int:
    """Print rows/s and memory for every number of rows, each in a process of its own."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", nargs="+", type=int, default=[10_000])
    parser.add_argument("--delay_secs", type=float, default=0.05)
    parser.add_argument("--concurrency", type=int, default=64)
    args = parser.parse_args()
    if len(args.rows) > 1:
        for rows in args.rows:
            flags = ["--delay_secs", str(args.delay_secs), "--concurrency", str(args.concurrency)]
            command = [sys.executable, __file__, "--rows", str(rows), *flags]
            subprocess.run(command, check=True)
        return 0
    command = [sys.executable, str(STUB), "--delay_secs", str(args.delay_secs)]
    stub = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert stub.stdout
        port = int(stub.stdout.readline())
        measure(args.rows[0], port, args)
    finally:
        stub.kill()
        stub.wait()
    return 0


def measure(num_rows: int, port: int, args: argparse.Namespace) -> None:
    """Run the stage over so many rows and print what it took."""
    config = LlmConfig(
        url=f"http://127.0.0.1:{port}/v1", model="stub", concurrency=args.concurrency
    )
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        stage = LlmQueryStage(
            LlmQueryConfig(),
            model="stub",
            temperature=config.temperature,
            max_tokens=config.max_tokens,
            make_session=lambda: LlmSession(make_llm(config), config, cache=out / "cache.sqlite"),
        )
        begin, cpu = time.perf_counter(), time.process_time()
        done = LocalRunner(out, RunnerConfig(shard_rows=SHARD_ROWS)).run(stage, Tasks(num_rows))
        secs, cpu = time.perf_counter() - begin, time.process_time() - cpu
        kept = sum(len(shard) for shard in shards.iterate_shards(done.folder))
        assert (kept, done.stats.num_kept) == (num_rows, num_rows), done.stats
    ideal = args.concurrency / args.delay_secs
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"{num_rows:,} rows: {num_rows / secs:,.0f} rows/s, {num_rows / secs / ideal:.0%} of "
        f"{ideal:,.0f}; {cpu / num_rows * 1e3:.2f} CPU-ms a row; {peak:.2f} GB",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
