"""Kill `pe build` with -9 in the middle of stages, run it on, and compare with a straight build.

    python tools/kill_build.py PROMPTS --out DIR [--stages invert_given,queries,pair] [-- FLAGS ...]

DIR/straight is built in one go; DIR/killed is killed once in each stage named, after at least one
finished shard and before the last, then run to its end. The finished datasets must be the same file
for file, times apart. Exit status 0 when they are.
"""

import argparse
import hashlib
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

POLL_SECS = 0.002


def main() -> int:
    """Run the trial."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("source", help="a prompt table")
    parser.add_argument("--out", type=Path, required=True, help="a folder for both builds")
    parser.add_argument("--stages", default="invert_given,queries,pair", help="where to kill")
    cut = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    args, flags = parser.parse_args(sys.argv[1:cut]), sys.argv[cut + 1 :]
    for stage in args.stages.split(","):
        command = build_command(args.source, args.out / "killed", flags)
        print(kill_in_stage(command, args.out / "killed", stage), flush=True)
    for name in ("killed", "straight"):
        subprocess.run(build_command(args.source, args.out / name, flags), check=True)
    killed, straight = hash_dataset(args.out / "killed"), hash_dataset(args.out / "straight")
    differing = sorted(
        n for n in killed.keys() | straight.keys() if killed.get(n) != straight.get(n)
    )
    print(f"{len(straight)} files compared, {len(differing)} differ {differing}")
    return 1 if differing else 0


def build_command(source: str, out: Path, flags: list[str]) -> list[str]:
    """Return the command line of a build."""
    return [sys.executable, "-m", "pe.cli", "build", source, "--out", str(out), *flags]


def kill_in_stage(command: list[str], out: Path, stage: str) -> str:
    """Start a build, and kill it when `stage` has a shard but not all; return what was there."""
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    while process.poll() is None:
        folders = list((out / "stages").glob(f"{stage}-*"))
        done = [path for folder in folders for path in folder.glob("part-*.parquet")]
        if done and not any((folder / "manifest.json").is_file() for folder in folders):
            process.send_signal(signal.SIGKILL)
            process.wait()
            return f"killed in {stage} with {len(done)} finished shards"
        time.sleep(POLL_SECS)
    raise SystemExit(f"the build ended before it could be killed in {stage}; give it more shards")


def hash_dataset(out: Path) -> dict[str, str]:
    """Hash every file of a finished build except its times."""
    hashes = {}
    for path in sorted(path for path in out.rglob("*") if path.is_file()):
        name = str(path.relative_to(out))
        if path.name == "secs.jsonl":
            continue
        data = path.read_bytes()
        if path.name in ("stats.json", "manifest.json"):
            data = json.dumps(without_secs(json.loads(data)), sort_keys=True).encode()
        hashes[name] = hashlib.blake2b(data).hexdigest()
    return hashes


def without_secs(value: object) -> object:
    """Drop every `secs` of nested JSON."""
    if isinstance(value, dict):
        return {key: without_secs(item) for key, item in value.items() if key != "secs"}
    return [without_secs(item) for item in value] if isinstance(value, list) else value


if __name__ == "__main__":
    sys.exit(main())
