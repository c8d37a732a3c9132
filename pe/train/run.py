"""`pe train`: data and a config in, a run folder out; `load_run` is the way back.

The folder is what `prepare` lays out, and from the first step on

run/checkpoints/  run/best/  run/metrics.jsonl  run/samples.jsonl  run/tensorboard/
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax import nnx
from jax.experimental import multihost_utils

from pe.config import config_from_dict
from pe.data.pipeline import ArrowSource, make_train_batches
from pe.data.sources import DataSpec
from pe.data.tokenizer import Vocabulary, load_vocabulary
from pe.models.adapters import SOFT_PROMPT
from pe.models.partitioning import param_axes
from pe.models.t5 import T5
from pe.models.t5_flops import train_step_flops
from pe.train.config import TrainConfig
from pe.train.hardware import peak_flops
from pe.train.loop import Console, Evaluator, TrainTask, train_loop
from pe.train.mesh import Layout, make_mesh, place_rows, place_whole
from pe.train.metrics import MetricWriter
from pe.train.optimizer import make_optimizer, make_schedule
from pe.train.prepare import PreparedRun, has_checkpoint, open_prepared, prepare_run
from pe.train.seq2seq import METRIC_NAMES, make_seq2seq_loss, pick_arrays
from pe.train.start import FirstParams, adopt_model, open_start
from pe.train.stop import StopSignal
from pe.weights.checkpoint import load_params
from pe.weights.formats import open_arrays
from pe.weights.run_folder import VOCABULARY_FILE, check_frozen, open_run, read_start

SAMPLES_FILE = "samples.jsonl"


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvalContext:
    """What evaluators are made with: the settings, the network and where arrays go.

    `bind` makes the T5 of the parameters that the loop hands over; `place` puts an array that every
    host has onto the mesh; what is compiled is to give `whole` arrays back.
    """

    config: TrainConfig
    bind: Callable[[Any], T5]
    vocabulary: Vocabulary
    place: Callable[[np.ndarray], jax.Array]
    whole: Any
    out: Path


MakeEvaluators = Callable[[EvalContext], Mapping[str, Evaluator]]


@dataclasses.dataclass(frozen=True)
class TrainedModel:
    """What a run folder gives for use: network, parameters, vocabulary.

    Adapters are part of the parameters; `prompt_ids` stand between prefix and query.
    """

    name: str
    graph: nnx.GraphDef
    params: nnx.State
    vocabulary: Vocabulary
    config: TrainConfig
    step: int
    prompt_ids: tuple[int, ...]


def train(
    data: Sequence[DataSpec],
    out: Path,
    config: TrainConfig,
    *,
    init: str | None = None,
    make_evaluators: MakeEvaluators,
    console: Console,
    say: Callable[[str], None] = lambda _: None,
) -> str:
    """Train a model on data; goes on from the newest checkpoint when `out` holds one.

    `init` names the model to begin with. Returns why it ended: "done", "stopped" by SIGTERM, or
    "early". Raises ValueError when `out` holds a run with other settings, or data, model and config
    do not fit.
    """
    start = None if init is None else open_start(init, step=began_step(out))
    if start is not None:
        config = adopt_model(config, start)
    layout = Layout(make_mesh(config.mesh), config.mesh.axis_rules)
    check_rows(config, layout)
    prepared = on_first_host(
        lambda: prepare_run(data, out, config, start=start, say=say), lambda: open_prepared(out)
    )
    if start is not None:
        told = f"{out} is tuned on {start.source}"
        frozen = check_frozen(start.arrays, read_start(out) or {"arrays": {}}, told=told)
        start = dataclasses.replace(start, arrays={**start.arrays, **frozen})
    first = FirstParams(config, prepared.vocabulary, start)
    say(describe_first(first, prepared))
    task = make_task(config, first, layout)
    is_first = jax.process_index() == 0
    with StopSignal() as stop:
        _, ended = train_loop(
            task,
            make_batches(config, prepared),
            out,
            config=config.loop,
            layout=layout,
            make_writer=lambda step: MetricWriter(out, start_step=step) if is_first else None,
            evaluators=make_evaluators(
                EvalContext(
                    config=config,
                    bind=first.blueprint.bind,
                    vocabulary=prepared.vocabulary,
                    place=lambda array: place_eval_rows(array, layout),
                    whole=layout.whole,
                    out=out,
                )
            ),
            place=lambda batch: place_rows(pick_arrays(batch), layout),
            describe_batch=lambda batch: f"pairs {', '.join(batch_ids(prepared.source, batch))}",
            console=console,
            should_stop=stop.is_agreed,
            say=say,
        )
    return ended


def make_task(config: TrainConfig, first: FirstParams, layout: Layout) -> TrainTask:
    """Make what the loop is handed of a T5 expander."""
    loop = config.loop
    device = jax.devices()[0]
    flops = model_flops(config, first.trained, first.frozen)
    return TrainTask(
        loss=make_seq2seq_loss(
            first.blueprint.bind,
            loss=config.loss,
            prefix_dropout=config.prefix_dropout,
            num_steps=loop.num_steps,
        ),
        metric_names=METRIC_NAMES,
        shapes=first.shapes,
        load=first.load,
        axes=param_axes,
        rules=config.trainable,
        optimizer=make_optimizer(config.optimizer, num_steps=loop.num_steps),
        schedule=make_schedule(config.optimizer, num_steps=loop.num_steps),
        ema_decay=config.optimizer.ema_decay,
        step_flops=flops,
        peak_flops=peak_flops(device.device_kind, config.model.dtype),
    )


def model_flops(config: TrainConfig, trained: Sequence[str], frozen: Sequence[str]) -> float | None:
    """Return the FLOPs that a step needs, or None where there is no formula for them.

    There is one for batches of one shape, where all is trained, or LoRA alone, or a soft prompt.
    """
    kinds = {
        "full": not frozen and not config.lora.rank,
        "inputs": list(trained) == [SOFT_PROMPT],
        "lora": all(".lora_" in name for name in trained),
    }
    kind = next((kind for kind, is_it in kinds.items() if is_it), None)
    if kind is None or config.data.batching == "bucket":
        return None
    lengths = config.data.lengths
    adapted = {"lora_rank": config.lora.rank, "lora_targets": config.lora.targets}
    return train_step_flops(
        config.model,
        num_rows=config.data.batch_rows,
        input_length=lengths.inputs,
        target_length=lengths.targets,
        trainable=kind,
        **(adapted if kind == "lora" else {}),
    ).total


def began_step(out: Path) -> int | None:
    """Return the step of the run that the run in `out`, if there is one, began with."""
    start = read_start(out) if has_checkpoint(out) else None
    return None if start is None else start["step"]


def make_batches(config: TrainConfig, prepared: PreparedRun) -> Any:
    """Make this host's share of the batches."""
    num_hosts, streams = jax.process_count(), config.data.num_streams
    if num_hosts > 1 and config.data.batching == "bucket":
        raise ValueError("DataConfig.batching: 'bucket' is for one host; expected 'pack' or 'pad'")
    if streams % num_hosts:
        raise ValueError(
            f"DataConfig.num_streams: {streams} streams cannot be dealt to {num_hosts} hosts; "
            f"expected a multiple of {num_hosts}"
        )
    share = streams // num_hosts
    own = range(jax.process_index() * share, (jax.process_index() + 1) * share)
    return make_train_batches(
        prepared.source,
        prepared.vocabulary,
        config.data,
        sizes=prepared.sizes,
        rates=prepared.rates,
        prompt_ids=config.prompt_ids,
        vocab_size=config.model.vocab_size,
        streams=tuple(own),
    )


def check_rows(config: TrainConfig, layout: Layout) -> None:
    """Raise ValueError when the rows of a batch cannot be dealt to devices and microbatches."""
    rows, parts = config.data.batch_rows, layout.num_row_shards * config.loop.num_microbatches
    if rows % parts:
        raise ValueError(
            f"DataConfig.batch_rows: {rows} rows cannot be dealt to {layout.num_row_shards} "
            f"devices and {config.loop.num_microbatches} microbatches; expected a multiple of "
            f"{parts}"
        )


def on_first_host(do: Callable[[], PreparedRun], then: Callable[[], PreparedRun]) -> PreparedRun:
    """Do something on the first host, then something else on the others; errors reach all."""
    if jax.process_count() == 1:
        return do()
    result, error = None, None
    if jax.process_index() == 0:
        try:
            result = do()
        except Exception as caught:  # the others wait for word of it
            error = caught
    failed = multihost_utils.broadcast_one_to_all(np.array(error is not None))
    if error is not None:
        raise error
    if failed:
        raise ValueError("the first host could not prepare the run; its own message says why")
    if result is not None:
        return result
    try:
        return then()
    except FileNotFoundError as missing:
        raise ValueError(
            f"{missing.filename} of the first host is not here; expected a folder that all hosts "
            "share for --out"
        ) from missing


def place_eval_rows(array: np.ndarray, layout: Layout) -> jax.Array:
    """Deal the rows of an array to the devices, where there are enough, else give each all."""
    is_dealt = len(array) % layout.num_row_shards == 0
    return place_whole(array, layout.rows if is_dealt else layout.whole)


def describe_first(first: FirstParams, prepared: PreparedRun) -> str:
    """Say how large the model, its trained part and the data are."""
    sizes = {name: int(np.prod(shape)) for name, shape in first.blueprint.shapes.items()}
    total, trained = sum(sizes.values()), sum(sizes[name] for name in first.trained)
    tuned = "" if trained == total else f", {trained:,} of them trained"
    return (
        f"{total:,} parameters{tuned}, {len(prepared.source):,} rows of data, "
        f"{prepared.vocabulary.size:,} pieces"
    )


def batch_ids(source: ArrowSource, batch: dict[str, Any]) -> list[str]:
    """Return the ids of the pairs in a packed batch."""
    return source.ids([int(row) - 1 for row in batch["rows"].reshape(-1) if row > 0])


def load_run(folder: Path) -> TrainedModel:
    """Load the best checkpoint of a run folder, or its newest, without the optimizer's state.

    Raises ValueError when the folder is no run, or training has not saved a checkpoint yet.
    """
    opened = open_run(folder, open_base=open_arrays)
    graph, params = load_params(opened.checkpoint)
    return TrainedModel(
        name=f"{folder.name}@{opened.step}",
        graph=graph,
        params=params,
        vocabulary=load_vocabulary(folder / VOCABULARY_FILE),
        config=config_from_dict(TrainConfig, opened.description["config"]),
        step=opened.step,
        prompt_ids=tuple(opened.expander.get("prompt_ids", ())),
    )
