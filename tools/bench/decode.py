"""Seconds to write N texts of 64 tokens from a query of 16: ours, transformers and CTranslate2.

Every arm runs in a process of its own, one after the other, on the same random weights and threads;
the best of --repeats calls after a first one counts (that one compiles). Beside bare CTranslate2,
alone in its process, `pe expand --runtime ct2` takes turns with it in another (where both are
slower: their threads wait for work side by side). Run it where all extras are installed:

  .venv-all/bin/python tools/bench/decode.py

On a GPU (--device cuda) the arms are ours and transformers in bfloat16, with a static cache and
compilation, for 1 and 64 texts.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

SIZES = {"t5-small": "t5_1_0_small", "t5-base": "t5_1_0_base"}
ROOT = Path(__file__).resolve().parents[2]
CPU_ARMS = ("ours", "torch", "ct2 float32", "ct2 int8", "pair float32", "pair int8")
GPU_ARMS = ("ours", "torch")


def main() -> int:
    """Run all arms, or one where --arm says so."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sizes", nargs="+", default=list(SIZES), choices=list(SIZES))
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("-n", nargs="+", type=int, help="texts a query (cpu: 1 4 8, gpu: 1 64)")
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--query_tokens", type=int, default=16)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--arm", choices=CPU_ARMS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    args.n = args.n or ([1, 4, 8] if args.device == "cpu" else [1, 64])
    if args.arm:
        print(json.dumps(measure(args)))
        return 0
    arms = CPU_ARMS if args.device == "cpu" else GPU_ARMS
    for size in args.sizes:
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            make_models(size, folder, with_ct2=args.device == "cpu")
            found = {arm: run_arm(arm, folder, sys.argv[1:]) for arm in arms}
        print_table(size, found, args)
    return 0


def run_arm(arm: str, folder: Path, flags: list[str], *, tool: str = __file__) -> dict[str, float]:
    """Run one arm of a tool in a process of its own; return what it printed last."""
    command = [sys.executable, tool, *flags, "--arm", arm, "--folder", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{arm}: {done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def make_checkpoint(size: str):
    """Make a T5 of random weights."""
    from pe.config import load_config
    from pe.train.run import TrainConfig
    from pe.weights.checkpoint import Checkpoint, param_shapes, stored

    config = load_config(TrainConfig, [ROOT / f"gin/models/{SIZES[size]}.gin"]).model
    rng = np.random.default_rng(0)

    def draw(shape: tuple[int, ...]) -> np.ndarray:
        if len(shape) == 1:
            return np.ones(shape, np.float32)
        return rng.standard_normal(shape, np.float32) / np.float32(shape[0] ** 0.5)

    arrays = {name: stored(draw(shape)) for name, shape in param_shapes(config).items()}
    return Checkpoint(source=size, config=config, arrays=arrays)


def make_models(size: str, folder: Path, *, with_ct2: bool) -> None:
    """Write one set of random weights in every layout."""
    from pe.weights.ct2 import write_ct2
    from pe.weights.hf import write_hf

    checkpoint = make_checkpoint(size)
    write_hf(checkpoint, folder / "hf")
    if with_ct2:
        tokens = [f"<{i}>" for i in range(checkpoint.config.vocab_size)]
        for quantization in ("float32", "int8"):
            write_ct2(checkpoint, folder / quantization, quantization=quantization, tokens=tokens)


def measure(args: argparse.Namespace) -> dict[str, float]:
    """Return the best seconds of one arm, by number of texts."""
    makers = {
        "ours": {"": make_ours},
        "torch": {"": make_torch},
        "ct2": {"": make_ct2},
        "pair": {"": make_ct2, "runtime ": make_runtime},
    }
    writers = {name: make(args) for name, make in makers[args.arm.split()[0]].items()}
    best = {}
    for n in args.n:
        secs = {name: [] for name in writers}
        for repeat in range(args.repeats + 1):
            for name, write in writers.items():
                start = time.perf_counter()
                lengths = write(n, repeat)
                secs[name].append(time.perf_counter() - start)
                assert lengths == [args.tokens] * n, lengths
        best |= {f"{name}{n}": min(times[1:]) for name, times in secs.items()}
    return best


def make_query(args: argparse.Namespace) -> np.ndarray:
    """Return the ids of the query, the end token last."""
    ids = np.random.default_rng(1).integers(3, 32000, args.query_tokens)
    ids[-1] = 1
    return ids.astype(np.int32)


def make_ours(args: argparse.Namespace):
    """Our decoder: float32 on a CPU, bfloat16 elsewhere."""
    import dataclasses

    import jax

    from pe.decode.generate import Generator, Request
    from pe.decode.sampling import SamplingConfig
    from pe.weights.checkpoint import load_params
    from pe.weights.hf import open_hf

    dtype = "float32" if args.device == "cpu" else "bfloat16"
    checkpoint = open_hf(args.folder / "hf")
    config = dataclasses.replace(checkpoint.config, dtype=dtype)
    checkpoint = dataclasses.replace(checkpoint, config=config)
    graph, params = load_params(checkpoint, dtype=dtype)
    assert (jax.default_backend() == "cpu") == (args.device == "cpu"), jax.default_backend()
    forbidden = np.isin(np.arange(config.vocab_size), (0, 1))  # no end token: all 64 are written
    generator = Generator(graph, params, forbidden=forbidden)
    query = make_query(args)

    def write(n: int, seed: int) -> list[int]:
        request = Request(inputs=query, seed=seed, numbers=range(n))
        (drawn,) = generator.draw([request], SamplingConfig(max_tokens=args.tokens))
        return [len(text.tokens) for text in drawn]

    return write


def make_torch(args: argparse.Namespace):
    """`transformers` generate(); on a GPU in bfloat16 with its static cache, compiled."""
    import torch

    library = register_vision_operators(torch)
    from transformers import T5ForConditionalGeneration

    torch.set_num_threads(args.threads)
    dtype = torch.float32 if args.device == "cpu" else torch.bfloat16
    model: Any = T5ForConditionalGeneration.from_pretrained(args.folder / "hf", dtype=dtype)
    model = model.to(args.device).eval()
    query = torch.tensor(make_query(args)[None].astype(np.int64), device=args.device)
    options = {} if args.device == "cpu" else {"cache_implementation": "static"}

    def write(n: int, seed: int) -> list[int]:
        torch.manual_seed(seed)
        with torch.inference_mode():
            tokens = model.generate(
                query,
                do_sample=True,
                top_k=0,
                num_return_sequences=n,
                min_new_tokens=args.tokens,
                max_new_tokens=args.tokens,
                **options,
            )
        assert library is not None
        return [len(row) - 1 for row in tokens.cpu().numpy()]

    return write


def make_ct2(args: argparse.Namespace):
    """CTranslate2 itself."""
    import ctranslate2

    quantization = args.arm.split()[1]
    translator = ctranslate2.Translator(
        str(args.folder / quantization), inter_threads=1, intra_threads=args.threads
    )
    query = [f"<{i}>" for i in make_query(args)]

    def write(n: int, seed: int) -> list[int]:
        ctranslate2.set_random_seed(seed)
        (found,) = translator.translate_batch(
            [query],
            beam_size=1,
            num_hypotheses=n,
            sampling_topk=0,
            min_decoding_length=args.tokens,
            max_decoding_length=args.tokens,
        )
        return [len(text) for text in found.hypotheses]

    return write


def make_runtime(args: argparse.Namespace):
    """`pe expand --runtime ct2`."""
    from pe.decode.ct2 import Ct2Writer
    from pe.decode.generate import Request
    from pe.decode.sampling import SamplingConfig

    forbidden = np.isin(np.arange(32128), (0, 1))
    folder = args.folder / args.arm.split()[1]
    writer = Ct2Writer(folder, forbidden=forbidden, num_threads=args.threads)
    query = make_query(args)

    def write(n: int, seed: int) -> list[int]:
        request = Request(inputs=query, seed=seed, numbers=range(n))
        (drawn,) = writer.draw([request], SamplingConfig(max_tokens=args.tokens))
        return [len(text.tokens) for text in drawn]

    return write


def register_vision_operators(torch):
    """Define what torchvision's import asks of a CPU build of torch that lacks its operators.

    They live as long as what is returned.
    """
    library = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    return library


def print_table(size: str, found: dict[str, dict[str, float]], args: argparse.Namespace) -> None:
    """Print seconds, and ours over each other arm."""
    print(f"{size}, {args.query_tokens}-token query, {args.tokens} new tokens, {args.device}")
    for n in map(str, args.n):
        ours = found["ours"][n]
        cells = [f"ours {ours:.3f} s"]
        cells += [
            f"{arm} {secs[n]:.3f} s (ours {ours / secs[n]:.2f}x)"
            for arm, secs in found.items()
            if arm != "ours" and not arm.startswith("pair")
        ]
        cells += [
            f"runtime over bare {arm.split()[1]} {secs[f'runtime {n}'] / secs[n]:.2f}x"
            for arm, secs in found.items()
            if f"runtime {n}" in secs
        ]
        print(f"  N = {n}: " + ", ".join(cells), flush=True)


if __name__ == "__main__":
    sys.exit(main())
