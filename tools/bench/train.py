"""Time of a training step, of packed rows and of prompt tuning: ours beside transformers and T5X.

    .venv-all/bin/python tools/bench/train.py --data DATASET --vocab SPIECE_MODEL

--parts
  step     ours against transformers with torch.optim.AdamW: one padded batch of real pairs, the
           same weights, and the same loss, which is checked first
  packing  target tokens a second of the whole loop, data included: packed rows against padded ones
  prompt   a soft prompt alone, the rest frozen, against all parameters: Adafactor, equal lengths

Every arm is a process of its own. On a CPU they take turns, a step each, and the median counts; the
one that waits does nothing. On an accelerator (--device cuda), where ours computes in bfloat16 and
torch is compiled and under autocast, they come one after the other, ten steps to a measurement, and
ours is held against what the device can do. Give larger --rows there; several are tried in turn.

--t5x DIR adds T5X's own trainer, from a checkout and under the interpreter that runs this. An arm
that cannot run has its reason in its line.
"""

import argparse
import contextlib
import dataclasses
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from arm import MARK

ROOT = Path(__file__).resolve().parents[2]
SHAPES = {"5m": "t5_5m", "small": "t5_1_1_small", "base": "t5_1_1_base"}
VOCAB_SIZE = 32128  # rows of T5 1.1's table
PARTS = ("step", "packing", "prompt")
LOSS_TOLERANCE = {"float32": 1e-3, "bfloat16": 5e-2}
STEP_TARGET, PROMPT_TARGET = 0.80, 0.72  # of the other's time, at most
PACKING_TARGET = 1.8  # times the tokens a second, at least
UTILISATION_TARGET = 0.40
Job = dict[str, Any]


@dataclasses.dataclass
class Found:
    """What an arm gave: facts, then seconds a step and target tokens of each measurement.

    `reason` says why there are none.
    """

    facts: dict[str, Any] = dataclasses.field(default_factory=dict)
    secs: list[float] = dataclasses.field(default_factory=list)
    tokens: list[float] = dataclasses.field(default_factory=list)
    reason: str = ""

    @property
    def secs_per_step(self) -> float:
        """The median."""
        return float(np.median(self.secs))

    @property
    def tokens_per_sec(self) -> float:
        """Target tokens that are no padding: the mean of a step over the median seconds."""
        return float(np.mean(self.tokens)) / self.secs_per_step


def main() -> int:
    """Run the parts; a mistake in the flags or the data is told without a traceback."""
    args = parse_args()
    try:
        run_parts(args)
    except ValueError as error:
        print(f"train.py: {error}", file=sys.stderr)
        return 2
    return 0


def run_parts(args: argparse.Namespace) -> None:
    """Run the parts that are asked for, and write what they gave."""
    # this process computes nothing, and is to hold no memory of a GPU
    child_env = dict(os.environ)
    if args.device == "cpu":
        child_env["JAX_PLATFORMS"] = "cpu"
    os.environ["JAX_PLATFORMS"] = "cpu"
    results: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        bench = Bench(args, folder, child_env, results)
        print(f"{args.device}, {bench.dtype}, medians of {args.steps}", flush=True)
        for part in args.parts:
            for shape in args.shapes if part != "packing" else args.packing_shapes:
                write_model(shape, folder)
                for rows in args.rows:
                    getattr(bench, f"measure_{part}")(shape, rows)
    if args.json:
        settings = {n: getattr(args, n) for n in ("device", "inputs", "targets", "prompt_tokens")}
        report = {**settings, "dtype": bench.dtype, "results": results}
        args.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def parse_args() -> argparse.Namespace:
    """Read the flags."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="the --out of pe build")
    parser.add_argument("--vocab", type=Path, required=True, help="a SentencePiece model, as T5's")
    parser.add_argument("--parts", nargs="+", default=list(PARTS), choices=PARTS)
    parser.add_argument("--shapes", nargs="+", choices=list(SHAPES), help="(small base)")
    parser.add_argument("--packing_shapes", nargs="+", default=["small"], choices=list(SHAPES))
    parser.add_argument("--rows", nargs="+", type=int, help="of a batch (cpu: 8, else: 64 128 256)")
    parser.add_argument("--inputs", type=int, default=64, help="positions of a row's inputs")
    parser.add_argument("--targets", type=int, default=128, help="positions of a row's targets")
    parser.add_argument("--prompt_tokens", type=int, default=32, help="of --inputs, in prompt")
    parser.add_argument("--steps", type=int, default=5, help="measurements of an arm")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda", "tpu"))
    parser.add_argument("--t5x", type=Path, help="a checkout of T5X")
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    args = parser.parse_args()
    is_cpu = args.device == "cpu"
    args.shapes = args.shapes or (["small", "base"] if is_cpu else ["base"])
    args.rows = args.rows or ([8] if is_cpu else [64, 128, 256])
    if min(args.steps, *args.rows) < 1:
        parser.error(f"--steps {args.steps}, --rows {args.rows}: expected 1 or more")
    return args


class Bench:
    """The parts, with what they share: data on disk, jobs, and where the figures go."""

    def __init__(
        self,
        args: argparse.Namespace,
        folder: Path,
        child_env: Mapping[str, str],
        results: list[dict[str, Any]],
    ):
        from pe.data.pipeline import write_arrow
        from pe.data.sources import load_pairs
        from pe.data.tokenizer import load_vocabulary

        if (size := load_vocabulary(args.vocab).size) > VOCAB_SIZE:
            raise ValueError(
                f"--vocab {args.vocab} has {size} pieces, expected {VOCAB_SIZE} or fewer"
            )
        self.args, self.folder = args, folder
        self.child_env, self.results = child_env, results
        self.place: dict[str, Any] = {}  # part, shape and rows of what is measured now
        self.dtype = "float32" if args.device == "cpu" else "bfloat16"
        write_arrow(load_pairs(args.data, split="train"), folder / "train.arrow")

    def make_job(self, trainer: str, shape: str, rows: int, **more: Any) -> Job:
        """Describe an arm."""
        args = self.args
        job = {
            "trainer": trainer,
            "folder": str(self.folder),
            "shape": shape,
            "rows": rows,
            "inputs": args.inputs,
            "targets": args.targets,
            "vocabulary": str(args.vocab.resolve()),
            "device": args.device,
            "dtype": self.dtype,
            "optimizer": "adamw",
            "batching": "pad",
            **more,
        }
        job["batch"] = write_batch(job)
        return job

    def measure_step(self, shape: str, rows: int) -> None:
        """Measure our step and its peers' on one batch."""
        jobs = {"ours": self.make_job("ours", shape, rows, is_fixed=True)}
        jobs["torch"] = {**jobs["ours"], "trainer": "torch"}
        if self.args.t5x:
            jobs["t5x"] = {**jobs["ours"], "trainer": "t5x", "t5x": str(self.args.t5x.resolve())}
        found = self.measure("step", shape, rows, jobs, num_measurements=self.args.steps)
        check_equal(found, tolerance=LOSS_TOLERANCE[self.dtype])
        ours = found["ours"]
        if self.args.device == "cpu":
            self.judge("ours / torch, time", time_ratio(ours, found["torch"]), most=STEP_TARGET)
        else:
            self.judge("ours / torch, time", time_ratio(ours, found["torch"]))
            for name, arm in found.items():
                least = UTILISATION_TARGET if arm is ours else None
                self.judge(f"{name}, utilisation", utilisation(arm, ours), least=least)
        if "t5x" in found:
            self.judge("ours / t5x, time", time_ratio(ours, found["t5x"]))

    def measure_packing(self, shape: str, rows: int) -> None:
        """Measure the whole loop over packed and padded rows."""
        jobs = {
            name: self.make_job("ours", shape, rows, batching=name, is_fixed=False)
            for name in ("pad", "pack")
        }
        # what a batch of padded rows holds varies, so more of them are taken
        found = self.measure("packing", shape, rows, jobs, num_measurements=4 * self.args.steps)
        rates = [0.0 if found[n].reason else found[n].tokens_per_sec for n in ("pack", "pad")]
        ratio = rates[0] / rates[1] if all(rates) else None
        self.judge("packed / padded, tokens a second", ratio, least=PACKING_TARGET)

    def measure_prompt(self, shape: str, rows: int) -> None:
        """Measure the step of a soft prompt alone and that of all parameters."""
        prompt = {"prompt_tokens": self.args.prompt_tokens, "first_prompt_id": VOCAB_SIZE}
        more = {"optimizer": "adafactor", "is_fixed": True}
        jobs = {
            "full": self.make_job("ours", shape, rows, **more),
            "prompt": self.make_job("ours", shape, rows, **more, **prompt),
        }
        found = self.measure("prompt", shape, rows, jobs, num_measurements=self.args.steps)
        self.judge(
            "prompt / full, time", time_ratio(found["prompt"], found["full"]), most=PROMPT_TARGET
        )
        counts = {
            "XLA's FLOPs, compiled": "compiled_flops",
            "XLA's FLOPs, as lowered": "lowered_flops",
            "the model's FLOPs": "model_flops",
        }
        for title, fact in counts.items():
            some, all_ = (found[name].facts.get(fact) for name in ("prompt", "full"))
            if some and all_:
                print(f"  {title}: prompt {some:.4g}, full {all_:.4g}, {some / all_:.3f}x")

    def measure(
        self, part: str, shape: str, rows: int, jobs: Mapping[str, Job], *, num_measurements: int
    ) -> dict[str, Found]:
        """Run arms, print their lines; on a CPU they take turns."""
        args = self.args
        is_cpu = args.device == "cpu"
        print(f"{part}: T5-{shape}, {rows} rows of {args.inputs} + {args.targets}", flush=True)
        self.place = {"part": part, "shape": shape, "rows": rows}
        found: dict[str, Found] = {}
        for names in [list(jobs)] if is_cpu else [[name] for name in jobs]:
            workers = {}
            try:
                for name in names:
                    workers[name] = Worker(jobs[name], self.folder / f"{name}.log", self.child_env)
                for _ in range(num_measurements):
                    for worker in workers.values():
                        worker.measure(num_steps=1 if is_cpu else 10)
            finally:
                for worker in workers.values():
                    worker.close()
            found |= {name: worker.found for name, worker in workers.items()}
        for name, arm in found.items():
            print(f"  {name:7} {describe(arm)}", flush=True)
            self.results.append({**self.place, "arm": name, **dataclasses.asdict(arm)})
        return found

    def judge(
        self,
        title: str,
        value: float | None,
        *,
        most: float | None = None,
        least: float | None = None,
    ) -> None:
        """Print a figure and whether it meets its target, where it has one."""
        shown = "no figure" if value is None else f"{value:.3f}"
        verdict = ""
        if most is not None or least is not None:
            is_met = value is not None and (least or 0.0) <= value <= (most or float("inf"))
            limit = f"at most {most}" if least is None else f"at least {least}"
            verdict = f", {limit}: target {'met' if is_met else 'missed'}"
        print(f"  {title}: {shown}{verdict}", flush=True)
        self.results.append(
            {**self.place, "title": title, "value": value, "most": most, "least": least}
        )


class Worker:
    """An arm at work in its process; `found` is what it gave so far."""

    def __init__(self, job: Job, log: Path, env: Mapping[str, str]):
        self.found = Found()
        self.log = log
        command = [sys.executable, str(Path(__file__).with_name("arm.py"))]
        with log.open("wb") as stderr:
            self.process = subprocess.Popen(
                [*command, "--job", json.dumps(job)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                env=dict(env),
            )
        self.found.facts = self.read() or {}  # waits until it has warmed up

    def read(self) -> dict[str, Any] | None:
        """Return the arm's next answer; None, with the reason noted, when it has ended."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith(MARK):
                values = json.loads(line.removeprefix(MARK))
                self.found.reason = values.get("reason", "")
                return None if self.found.reason else values
        # killed, as for memory: a negative status is the signal's number
        said = self.log.read_text(errors="replace").split("\n")
        last = next((line.strip() for line in reversed(said) if line.strip()), "it said nothing")
        self.found.reason = f"it ended with status {self.process.wait()}: {last}"
        return None

    def measure(self, *, num_steps: int) -> None:
        """Have so many steps made; nothing where the arm has ended."""
        if self.found.reason:
            return
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it died while it waited: read says of what
            self.process.stdin.write(f"{num_steps}\n")
            self.process.stdin.flush()
        answer = self.read()
        if answer is not None:
            self.found.secs.append(answer["secs"] / num_steps)
            self.found.tokens.append(answer["tokens"] / num_steps)

    def close(self) -> None:
        """Let the process end."""
        self.process.communicate()


def write_model(shape: str, folder: Path) -> None:
    """Write a T5 of random weights as `transformers` lays it out, unless it is there."""
    from pe.config import load_config
    from pe.train.config import TrainConfig
    from pe.weights.checkpoint import Checkpoint, param_shapes, stored
    from pe.weights.hf import write_hf

    if (folder / shape).exists():
        return
    config = load_config(TrainConfig, [ROOT / f"gin/models/{SHAPES[shape]}.gin"]).model
    # T5's vocabulary is larger than the smallest model's
    config = dataclasses.replace(config, dropout_rate=0.0, vocab_size=VOCAB_SIZE)
    rng = np.random.default_rng(0)
    arrays = {
        name: np.ones(size, np.float32)
        if len(size) == 1
        else rng.standard_normal(size, np.float32) / np.float32(size[0] ** 0.5)
        for name, size in param_shapes(config).items()
    }
    checkpoint = Checkpoint(
        source=shape, config=config, arrays={name: stored(a) for name, a in arrays.items()}
    )
    write_hf(checkpoint, folder / shape)


def write_batch(job: Job) -> str:
    """Write the first batch of a job's data; return its name."""
    from arm import open_batches

    name = "-".join(str(job.get(k, 0)) for k in ("batching", "rows", "prompt_tokens"))
    path = Path(job["folder"]) / f"{name}.npz"
    if not path.exists():
        batches = open_batches(job, Path(job["folder"]))
        np.savez(path, **next(batches))
        batches.close()
    return name


def check_equal(found: Mapping[str, Found], *, tolerance: float) -> None:
    """Raise RuntimeError where arms had other tokens, or on equal weights another loss."""
    facts = {name: arm.facts for name, arm in found.items() if arm.facts}
    tokens = {name: fact["batch_tokens"] for name, fact in facts.items()}
    losses = {name: fact["loss"] for name, fact in facts.items() if "loss" in fact}
    if len(set(tokens.values())) > 1:
        raise RuntimeError(f"target tokens of the batch: got {tokens}, expected equal numbers")
    if losses and max(losses.values()) - min(losses.values()) > tolerance:
        raise RuntimeError(
            f"loss of the first step: got {losses}, expected them at most {tolerance} apart"
        )


def time_ratio(some: Found, other: Found) -> float | None:
    """Return how much of the other's time a step takes."""
    if some.reason or other.reason:
        return None
    return some.secs_per_step / other.secs_per_step


def utilisation(arm: Found, ours: Found) -> float | None:
    """Return the model's FLOPs of a step over what the device could do; None where unknown."""
    from pe.train.hardware import flops_utilisation

    peak, flops = ours.facts.get("peak_flops"), ours.facts.get("model_flops")
    if arm.reason or not peak or not flops:
        return None
    return flops_utilisation(flops, arm.secs_per_step, num_devices=1, peak=peak)


def describe(arm: Found) -> str:
    """Return an arm's line."""
    if arm.reason:
        return f"no figure: {arm.reason}"
    loss = f", loss {arm.facts['loss']:.4f}" if "loss" in arm.facts else ""
    return (
        f"{arm.secs_per_step:.4f} s a step ({min(arm.secs):.4f} to {max(arm.secs):.4f}), "
        f"{arm.tokens_per_sec:,.0f} target tokens a second{loss}"
    )


if __name__ == "__main__":
    sys.exit(main())
