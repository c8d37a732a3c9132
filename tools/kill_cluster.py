"""Build pictures on a Ray cluster whose machines are killed, and compare with a local build.

    python tools/kill_cluster.py PICTURES --out DIR --vocabulary CLIP [--num_images 20000]

PICTURES is a folder with captions.jsonl. Of its pictures so many copies are made, of 64 pixels,
each with a caption and with bytes of its own. They go through all stages three times, with a CLIP
of two layers and random weights: on this machine alone; on a cluster of a head and two machines on
loopback that is left alone; and on one of which a machine is killed with -9 in the middle of each
stage that runs there (another takes its place), and the command that builds once. Pairs must be the
same rows, none lost and none doubled. Seconds and CPU seconds are told beside the local run's, and
the most memory that the command had, with the cluster's processes where there is one (shared pages
once). Exit status 0 when all is as it should be.
"""

import argparse
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pe import shards
from pe.models.clip_config import ClipConfig, TextConfig, VisionConfig
from pe.weights.open_clip import draw_clip
from pe.weights.open_clip_save import save_clip

STAGES = ("images", "filter", "invert", "screen", "queries", "pair", "screen_pair")
SIDE, POLL_SECS, LOOK_SECS = 64, 0.02, 0.5
# as on machines whose firewalls ask: loopback stands for itself
ENVIRONMENT = {
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
}


def copy_pictures(source: Path, out: Path, num_images: int) -> None:
    """Write small copies; a pixel of each tells its number, so that no two have the same bytes."""
    if (out / "captions.jsonl").is_file():
        return
    out.mkdir(parents=True, exist_ok=True)
    lines = (source / "captions.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    small = [
        np.asarray(Image.open(source / row["file"]).convert("RGB").resize((SIDE, SIDE)))
        for row in rows
    ]
    said = []
    for number in range(num_images):
        row, pixels = rows[number % len(rows)], small[number % len(rows)].copy()
        pixels[0, 0] = (number // 65536 % 256, number // 256 % 256, number % 256)
        name = f"{number // 1000:03}/{number:06}.png"
        (out / name).parent.mkdir(exist_ok=True)
        Image.fromarray(pixels).save(out / name)
        caption = row["captions"][number // len(rows) % len(row["captions"])]
        said.append(json.dumps({"file": name, "caption": f"{caption.rstrip(' .')} {number}"}))
    (out / "captions.jsonl").write_text("\n".join(said), encoding="utf-8")


def make_encoder(folder: Path) -> None:
    """Save a CLIP of two layers and random weights."""
    config = ClipConfig(
        embed_dim=64,
        vision=VisionConfig(
            image_px=SIDE, patch_px=16, width=64, num_layers=2, num_heads=4, mlp_width=256
        ),
        text=TextConfig(width=64, num_layers=2, num_heads=4, mlp_width=256),
    )
    rng = np.random.default_rng(0)
    params = {
        name: np.asarray(rng.normal(0, 0.1, shape), np.float32)
        for name, shape in draw_clip(config).shapes.items()
    }
    folder.mkdir(parents=True, exist_ok=True)
    save_clip(folder, config, params, dtype="float32", pixel_mean=0.5, pixel_std=0.5)


class Machines:
    """A head without CPUs, and machines of two, all of them processes on loopback."""

    def __init__(self, num_machines: int):
        os.environ.update(ENVIRONMENT)
        from ray._private import ray_constants
        from ray.cluster_utils import Cluster

        ray_constants.ENABLE_RAY_CLUSTER = False  # read before the environment was set, perhaps
        head = {"num_cpus": 0, "node_ip_address": "127.0.0.1", "include_dashboard": False}
        self._cluster = Cluster(initialize_head=True, head_node_args=head)
        self._head: Any = self._cluster.head_node
        self.address = self._cluster.address
        self._nodes = [self._add() for _ in range(num_machines)]
        self._cluster.wait_for_nodes()

    def _add(self) -> Any:
        return self._cluster.add_node(
            num_cpus=2, node_ip_address="127.0.0.1", object_store_memory=150 * 2**20
        )

    def kill_one(self) -> None:
        """Kill a machine's raylet, with which its workers go, and start another machine."""
        node = self._nodes.pop(0)
        os.kill(node.all_processes["raylet"][0].process.pid, signal.SIGKILL)
        self._nodes.append(self._add())

    def pids(self) -> list[int]:
        nodes = (self._head, *self._nodes)
        parts = [part for node in nodes for part in node.all_processes.values()]
        return [info.process.pid for part in parts for info in part]

    def close(self) -> None:
        self._cluster.shutdown()


def build(source: Path, out: Path, flags: list[str]) -> subprocess.Popen:
    command = [sys.executable, "-m", "pe.cli", "build", str(source), "--out", str(out), *flags]
    log = out.with_suffix(".log").open("a")
    env = {**os.environ, **ENVIRONMENT}
    return subprocess.Popen(command, env=env, stdout=log, stderr=log)


def run(source: Path, out: Path, flags: list[str], helpers: Sequence[int] = ()) -> float:
    """Build to the end; return seconds. `helpers` are processes that work for it."""
    begin, before = time.perf_counter(), measure(set(helpers))[1]
    process = build(source, out, flags)
    peak_gb, cpu_secs = 0.0, 0.0
    while process.poll() is None:
        now_gb, now_secs = measure({process.pid, *helpers})
        peak_gb, cpu_secs = max(peak_gb, now_gb), max(cpu_secs, now_secs - before)
        time.sleep(LOOK_SECS)
    if process.returncode:
        raise SystemExit(f"pe build failed; see {out.with_suffix('.log')}")
    print(f"{out.name}: at most {peak_gb:.2f} GB, {cpu_secs:.0f} CPU seconds", flush=True)
    return time.perf_counter() - begin


def measure(pids: set[int]) -> tuple[float, float]:
    """Return the GB and CPU seconds of processes and all below them; shared pages count once."""
    stats: dict[int, list[str]] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError):  # it has ended
                stats[int(folder.name)] = (folder / "stat").read_text().rpartition(")")[2].split()
    found = set(pids)
    while more := {pid for pid, stat in stats.items() if int(stat[1]) in found} - found:
        found |= more
    kilobytes = ticks = 0
    for pid in found & stats.keys():
        ticks += sum(map(int, stats[pid][11:15]))  # its own, and those of children that ended
        with contextlib.suppress(OSError):
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
            kilobytes += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return kilobytes / 2**20, ticks / os.sysconf("SC_CLK_TCK")


def find_progress(out: Path, stage: str) -> tuple[int, bool]:
    """Return how many shards of a stage are there, and whether it is finished."""
    folders = list((out / "stages").glob(f"{stage}-*"))
    done = sum(len(list(folder.glob("part-*.parquet"))) for folder in folders)
    return done, any((folder / "manifest.json").is_file() for folder in folders)


def run_under_fire(source: Path, out: Path, flags: list[str], cluster: Machines) -> Iterator[str]:
    """Build, killing a machine in each stage and the command in one; yield what was done."""
    rng = random.Random(0)
    process = build(source, out, flags)
    for stage in STAGES:
        while process.poll() is None:
            done, is_finished = find_progress(out, stage)
            if is_finished:
                yield f"{stage}: over before it could be hit"
                break
            if done >= 1:
                time.sleep(rng.random() * 0.5)
                cluster.kill_one()
                yield f"{stage}: a machine killed after {done} shards"
                if stage == "invert":
                    process.kill()
                    process.wait()
                    yield f"{stage}: the command killed after {find_progress(out, stage)[0]} shards"
                    process = build(source, out, flags)
                while not find_progress(out, stage)[1] and process.poll() is None:
                    time.sleep(POLL_SECS)
                break
            time.sleep(POLL_SECS)
    if process.wait():
        raise SystemExit(f"pe build failed; see {out.with_suffix('.log')}")


def read_pairs(out: Path) -> list[tuple[str, ...]]:
    names = ("id", "query", "prefix", "prompt", "split", "half", "source")
    rows = shards.read_shards(out / "pairs").to_pylist()
    return sorted(tuple(row[name] for name in names) for row in rows)


def sum_secs(out: Path) -> dict[str, float]:
    stats = json.loads((out / "stats.json").read_text(encoding="utf-8"))
    return {stage["name"]: stage["secs"] for stage in stats["stages"]}


def main() -> int:
    """Run the trial."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("pictures", type=Path, help="a folder with captions.jsonl")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--vocabulary", required=True, help="CLIP's, a folder")
    parser.add_argument("--num_images", type=int, default=20_000)
    parser.add_argument("--shard_rows", type=int, default=500)
    args = parser.parse_args()
    out = args.out.resolve()
    source, encoder = out / "pictures", out / "encoder"
    copy_pictures(args.pictures, source, args.num_images)
    make_encoder(encoder)
    flags = ["--gin_file", "gin/builders/images.gin", "--encoder", str(encoder), "--mode", "fast"]
    flags += ["--vocabulary", args.vocabulary, f"--gin.RunnerConfig.shard_rows={args.shard_rows}"]
    local = run(source, out / "local", flags)
    wanted = read_pairs(out / "local")
    print(f"local: {len(wanted):,} pairs in {local:.0f} s, stages {sum_secs(out / 'local')}")
    is_right = True
    cluster = Machines(2)
    try:
        on_ray = [*flags, "--runner", "ray", "--ray_address", cluster.address]
        on_ray += ["--gin.RayConfig.num_workers=2"]
        secs = run(source, out / "cluster", on_ray, cluster.pids())
        print(
            f"cluster: {secs:.0f} s, {secs / local:.2f} of local, "
            f"stages {sum_secs(out / 'cluster')}"
        )
        is_right &= read_pairs(out / "cluster") == wanted
        for line in run_under_fire(source, out / "fire", on_ray, cluster):
            print(line, flush=True)
        is_right &= read_pairs(out / "fire") == wanted
    finally:
        cluster.close()
    print("the same pairs three times" if is_right else "PAIRS DIFFER")
    return 0 if is_right else 1


if __name__ == "__main__":
    sys.exit(main())
