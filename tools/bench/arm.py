"""One trainer in a process of its own: it warms up, then makes the steps that it is asked for.

tools/bench/train.py starts it. A job comes as --job; each line of input then is a number of steps,
answered with their seconds and target tokens. Its answers, JSON, are the lines that begin with
MARK; one with a `reason` is the last.
"""

import argparse
import dataclasses
import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from decode import register_vision_operators

MARK = "arm:"
WARMUP_STEPS = 2
LEARNING_RATE = 1e-4
Batch = dict[str, np.ndarray]
Arm = tuple[Callable[[int], int], dict[str, Any]]  # steps -> target tokens; facts about it


def main() -> int:
    """Make the arm, then answer."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--job", type=json.loads, required=True, help="as train.py writes it")
    args = parser.parse_args()
    job: dict[str, Any] = args.job
    try:
        serve(job)
    except Exception as error:  # whatever it is, it stands in the table
        first_line = str(error).strip().partition("\n")[0]
        answer({"reason": f"{type(error).__name__}: {first_line}"})
        traceback.print_exc()
        return 1
    return 0


def serve(job: dict[str, Any]) -> None:
    """Warm up, tell the facts, then make steps until no more are asked for."""
    make = {"ours": make_ours, "torch": make_torch, "t5x": make_t5x}[job["trainer"]]
    run, facts = make(job, Path(job["folder"]))
    run(WARMUP_STEPS)
    answer(facts)
    for line in sys.stdin:
        start = time.perf_counter()
        num_tokens = run(int(line))
        answer({"secs": time.perf_counter() - start, "tokens": num_tokens})


def answer(values: dict[str, Any]) -> None:
    """Tell train.py."""
    print(MARK, json.dumps(values), flush=True)


def read_batch(folder: Path, name: str) -> Batch:
    """Read a batch that train.py wrote."""
    with np.load(folder / f"{name}.npz") as arrays:
        return dict(arrays)


def count_targets(batch: Batch) -> int:
    """Return the target tokens of a batch that are no padding."""
    return int(np.count_nonzero(batch["targets_segment_ids"]))


def make_ours(job: dict[str, Any], folder: Path) -> Arm:
    """`pe.train.step`: of all parameters, or of a soft prompt alone (`prompt_tokens`).

    Its batches come from the data pipeline, or, with `is_fixed`, it makes every step on one.
    """
    import jax
    import jax.numpy as jnp
    import optax
    from flax import nnx

    from pe.models.adapters import SOFT_PROMPT, add_soft_prompt
    from pe.models.blueprint import draw_blueprint
    from pe.models.t5 import T5
    from pe.models.t5_flops import train_step_flops
    from pe.train.hardware import peak_flops
    from pe.train.loss import LossConfig
    from pe.train.optimizer import OptimizerConfig, make_optimizer
    from pe.train.prefix_dropout import PrefixDropoutConfig
    from pe.train.seq2seq import METRIC_NAMES, make_seq2seq_loss, pick_arrays
    from pe.train.step import init_state, make_train_step
    from pe.weights.checkpoint import is_cast_name
    from pe.weights.hf import open_hf

    check_device(job["device"])
    num_prompt = job.get("prompt_tokens", 0)
    checkpoint = open_hf(folder / job["shape"], dtype=job["dtype"])
    config = dataclasses.replace(checkpoint.config, dropout_rate=0.0)

    def make_model() -> T5:
        model = T5(config, rngs=nnx.Rngs(0))
        if num_prompt:
            add_soft_prompt(model, num_prompt)
        return model

    blueprint = draw_blueprint(make_model)
    trained, frozen = {}, {}
    for name, shape in blueprint.shapes.items():
        if name == SOFT_PROMPT:
            values = np.random.default_rng(0).standard_normal(shape, np.float32)
            trained[name] = jnp.asarray(values)
        elif num_prompt:
            # what rests is kept in the type of the computation
            dtype = job["dtype"] if is_cast_name(name) else "float32"
            frozen[name] = jnp.asarray(checkpoint.arrays[name].read(), dtype)
        else:
            trained[name] = jnp.asarray(checkpoint.arrays[name].read())
    if job["optimizer"] == "adamw":
        optimizer: Any = optax.adamw(LEARNING_RATE)
    else:  # as gin/runs/prompt_tuning.gin has it
        rule = OptimizerConfig(learning_rate=0.3, parameter_scaling=False, clip_norm=None)
        optimizer = make_optimizer(rule, num_steps=1000)
    loss = make_seq2seq_loss(
        blueprint.bind,
        loss=LossConfig(z_loss=0.0),  # as transformers computes it
        prefix_dropout=PrefixDropoutConfig(start_rate=0.0, end_rate=0.0),
        num_steps=1000,
    )
    state = init_state(trained, optimizer, METRIC_NAMES)
    del trained  # the first step takes their buffers

    fixed = read_batch(folder, job["batch"])
    num_fixed = count_targets(fixed)
    step = jax.jit(make_train_step(loss, optimizer, seed=0), donate_argnums=0)
    placed = jax.tree.map(jnp.asarray, pick_arrays(fixed))
    lowered = step.lower(state, frozen, placed)
    compiled = lowered.compile()
    state, first = compiled(state, frozen, placed)
    batches = None if job["is_fixed"] else open_batches(job, folder)

    def run(num_steps: int) -> int:
        nonlocal state
        num_tokens = 0
        for _ in range(num_steps):
            arrays, num = placed, num_fixed
            if batches is not None:
                batch = next(batches)
                arrays, num = jax.tree.map(jnp.asarray, pick_arrays(batch)), count_targets(batch)
            state, _ = compiled(state, frozen, arrays)
            num_tokens += num
        jax.block_until_ready(state)
        return num_tokens

    num_rows, input_length = fixed["inputs"].shape
    kind = jax.devices()[0].device_kind
    return run, {
        "loss": float(first["loss"]),
        "batch_tokens": num_fixed,
        "device_kind": kind,
        "peak_flops": peak_flops(kind, job["dtype"]),
        "model_flops": train_step_flops(
            config,
            num_rows=num_rows,
            input_length=input_length,
            target_length=fixed["targets"].shape[1],
            trainable="inputs" if num_prompt else "full",
        ).total,
        "lowered_flops": (lowered.cost_analysis() or {}).get("flops"),
        "compiled_flops": (compiled.cost_analysis() or {}).get("flops"),
    }


def check_device(device: str) -> None:
    """Raise RuntimeError where JAX does not run on what was asked for."""
    import jax

    if (jax.default_backend() == "cpu") != (device == "cpu"):
        raise RuntimeError(f"JAX runs on {jax.default_backend()!r}, --device is {device!r}")


def open_batches(job: dict[str, Any], folder: Path) -> Any:
    """Open the training batches of the dataset as pe train makes them."""
    from pe.data.features import LengthConfig
    from pe.data.pipeline import ArrowSource, DataConfig, make_train_batches
    from pe.data.tokenizer import load_vocabulary

    lengths = LengthConfig(inputs=job["inputs"], targets=job["targets"])
    config = DataConfig(half="", batching=job["batching"], batch_rows=job["rows"], lengths=lengths)
    first = job.get("first_prompt_id", 0)
    return make_train_batches(
        ArrowSource(folder / "train.arrow"),
        load_vocabulary(job["vocabulary"]),
        config,
        prompt_ids=tuple(range(first, first + job.get("prompt_tokens", 0))),
    )


def make_torch(job: dict[str, Any], folder: Path) -> Arm:
    """`transformers` with torch's fused AdamW; on a GPU compiled, bfloat16 by autocast."""
    import torch

    library = register_vision_operators(torch)
    from transformers import T5ForConditionalGeneration

    is_cpu = job["device"] == "cpu"
    if not is_cpu and not torch.cuda.is_available():
        raise RuntimeError(f"torch {torch.__version__} has no CUDA here")
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    torch.set_float32_matmul_precision("highest" if is_cpu else "high")
    device = "cpu" if is_cpu else "cuda"
    model: Any = T5ForConditionalGeneration.from_pretrained(
        folder / job["shape"], dtype=torch.float32, dropout_rate=0.0
    )
    model = model.to(device).train()
    model.config.use_cache = False
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, fused=True)
    forward = model if is_cpu else torch.compile(model)
    batch = read_batch(folder, job["batch"])
    is_target = batch["targets_segment_ids"] != 0
    place = lambda array: torch.from_numpy(array.astype(np.int64)).to(device)  # noqa: E731
    arrays = {
        "input_ids": place(batch["inputs"]),
        "attention_mask": place(batch["inputs_segment_ids"] != 0),
        "labels": place(np.where(is_target, batch["targets"], -100)),
    }

    def step() -> Any:
        with torch.autocast(device, torch.bfloat16, enabled=not is_cpu):
            loss = forward(**arrays).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return loss

    def run(num_steps: int) -> int:
        for _ in range(num_steps):
            step()
        if not is_cpu:
            torch.cuda.synchronize()
        assert library is not None
        return num_steps * int(is_target.sum())

    return run, {"loss": float(step().detach()), "batch_tokens": int(is_target.sum())}


def make_t5x(job: dict[str, Any], folder: Path) -> Arm:
    """T5X's own Trainer over its T5 example, with random weights of its own, from a checkout.

    AdamW as T5X wraps it, one partition, its partitioner's defaults.
    """
    sys.path.insert(0, job["t5x"])
    import jax
    from t5x import models, optimizers, partitioning, train_state, trainer  # type: ignore
    from t5x.examples.t5 import network  # type: ignore

    from pe.weights.hf import open_hf

    check_device(job["device"])
    config = open_hf(folder / job["shape"]).config
    batch = read_batch(folder, job["batch"])
    targets, positions = batch["targets"], batch["targets_positions"]
    arrays = {
        "encoder_input_tokens": batch["inputs"],
        "decoder_input_tokens": np.where(positions == 0, 0, np.roll(targets, 1, axis=1)),
        "decoder_target_tokens": targets,
        "decoder_loss_weights": (targets > 0).astype(np.float32),
    }
    module = network.Transformer(
        network.T5Config(
            vocab_size=config.vocab_size,
            dtype=job["dtype"],
            emb_dim=config.d_model,
            num_heads=config.num_heads,
            num_encoder_layers=config.num_encoder_layers,
            num_decoder_layers=config.num_decoder_layers,
            head_dim=config.head_dim,
            mlp_dim=config.d_ff,
            mlp_activations=config.activations,
            dropout_rate=0.0,
            logits_via_embedding=config.tied_logits,
        )
    )
    model = models.EncoderDecoderModel(
        module=module,
        input_vocabulary=None,
        output_vocabulary=None,
        optimizer_def=optimizers.adamw(learning_rate=LEARNING_RATE),
    )
    partitioner = partitioning.PjitPartitioner(num_partitions=1)

    def init(key: Any) -> Any:
        variables = model.get_initial_variables(
            key,
            {name: array.shape for name, array in arrays.items()},
            {name: array.dtype for name, array in arrays.items()},
        )
        return train_state.FlaxOptimTrainState.create(model.optimizer_def, variables)

    key = jax.random.PRNGKey(0)
    axes = partitioner.get_mesh_axes(jax.eval_shape(init, key))
    make_state = partitioner.partition(init, in_axis_resources=None, out_axis_resources=axes)
    made = trainer.Trainer(
        model=model,
        train_state=make_state(key),
        partitioner=partitioner,
        eval_names=[],
        summary_dir=None,
        train_state_axes=axes,
        rng=key,
        learning_rate_fn=lambda step: LEARNING_RATE,  # optax's own counts
        num_microbatches=None,
    )
    made.compile_train(arrays)
    num_tokens = int((targets > 0).sum())

    def run(num_steps: int) -> int:
        made.train(iter([arrays] * num_steps), num_steps)
        jax.block_until_ready(made.train_state)
        return num_steps * num_tokens

    return run, {"batch_tokens": num_tokens}


if __name__ == "__main__":
    sys.exit(main())
