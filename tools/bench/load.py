"""Peak memory and seconds of loading a T5: ours from each layout, and transformers.

Each arm runs in a process of its own; what counts is how far its resident memory rises above what
it was before loading, over the size of the weights. Run it where torch is installed:

  .venv-all/bin/python tools/bench/load.py
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from decode import SIZES, make_checkpoint, register_vision_operators, run_arm

ARMS = ("hf", "pe", "t5x", "transformers")


def main() -> int:
    """Run all arms, or one where --arm says so."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--size", default="t5-base", choices=list(SIZES))
    parser.add_argument("--arm", choices=ARMS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.arm:
        print(json.dumps(measure(args.arm, args.folder)))
        return 0
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        num_bytes = write_layouts(args.size, folder)
        print(f"{args.size}: {num_bytes / 1e6:,.0f} MB of weights")
        for arm in ARMS:
            found = run_arm(arm, folder, sys.argv[1:], tool=__file__)
            ratio = found["peak_bytes"] / num_bytes
            print(
                f"  {arm:12} {ratio:.2f}x of the weights at peak, {found['secs']:.2f} s", flush=True
            )
    return 0


def write_layouts(size: str, folder: Path) -> int:
    """Write random weights in every layout; return their bytes."""
    from pe.weights.hf import write_hf
    from pe.weights.pe_folder import write_pe
    from pe.weights.t5x import write_t5x

    checkpoint = make_checkpoint(size)
    write_hf(checkpoint, folder / "hf")
    write_pe(checkpoint, folder / "pe", expander={})
    write_t5x(checkpoint, folder / "t5x", step=0)
    return sum(array.read().nbytes for array in checkpoint.arrays.values())


def measure(arm: str, folder: Path) -> dict[str, float]:
    """Load once; return the rise of the peak resident memory and the seconds."""
    if arm == "transformers":
        import torch

        library = register_vision_operators(torch)
        from transformers import T5ForConditionalGeneration

        before, start = read_memory("VmRSS"), time.perf_counter()
        kept = T5ForConditionalGeneration.from_pretrained(folder / "hf"), library
    else:
        import jax
        import jax.numpy as jnp

        from pe.weights.checkpoint import load_params
        from pe.weights.formats import open_model

        jax.block_until_ready(jnp.zeros(4) + 1)  # the runtime itself is no part of the weights
        before, start = read_memory("VmRSS"), time.perf_counter()
        kept = load_params(open_model(str(folder / arm)).checkpoint)
        jax.block_until_ready(kept[1])
    secs = time.perf_counter() - start
    assert kept
    return {"peak_bytes": read_memory("VmHWM") - before, "secs": secs}


def read_memory(field: str) -> int:
    """Return a memory field of this process in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))


if __name__ == "__main__":
    sys.exit(main())
