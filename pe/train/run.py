"""`pe train`: a dataset and a config in, a run folder out; `load_run` is the way back.

run/run.json          settings, key of the pairs, git revision, package versions
run/config.gin        every setting, defaults included
run/vocabulary.model  SentencePiece
run/unigram.npy       how often each piece stands in the training targets (for pe score)
run/data/train.arrow  the training pairs, memory-mapped
run/checkpoints/  run/metrics.jsonl  run/tensorboard/
"""

import dataclasses
import importlib.metadata
import json
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pyarrow as pa
from flax import nnx

from pe import shards
from pe.axes import Int
from pe.config import config_from_dict, config_to_dict, operative_config
from pe.data.features import encode_target
from pe.data.pipeline import ArrowSource, DataConfig, load_pairs, make_train_batches, write_arrow
from pe.data.tokenizer import Vocabulary, VocabularyConfig, load_vocabulary, train_vocabulary
from pe.models.t5 import T5, T5Config, count_params
from pe.records import content_hash
from pe.train.checkpoints import Checkpoints
from pe.train.loop import Console, Evaluator, LoopConfig, train_loop
from pe.train.loss import LossConfig
from pe.train.metrics import MetricWriter
from pe.train.optimizer import OptimizerConfig, make_optimizer
from pe.train.prefix_dropout import PrefixDropoutConfig
from pe.train.seq2seq import SUM_NAMES, batch_to_device, make_seq2seq_loss
from pe.train.step import init_state, make_train_step
from pe.weights.checkpoint import load_params
from pe.weights.run_folder import RUN_FILE, VOCABULARY_FILE, open_run

UNIGRAM_FILE = "unigram.npy"
PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "grain", "sentencepiece", "numpy")


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """All settings of a training run."""

    model: T5Config = dataclasses.field(default_factory=T5Config)
    vocabulary: VocabularyConfig = dataclasses.field(default_factory=VocabularyConfig)
    data: DataConfig = dataclasses.field(default_factory=DataConfig)
    optimizer: OptimizerConfig = dataclasses.field(default_factory=OptimizerConfig)
    loss: LossConfig = dataclasses.field(default_factory=LossConfig)
    prefix_dropout: PrefixDropoutConfig = dataclasses.field(default_factory=PrefixDropoutConfig)
    loop: LoopConfig = dataclasses.field(default_factory=LoopConfig)

    def __post_init__(self) -> None:
        if self.vocabulary.path is None and self.vocabulary.size > self.model.vocab_size:
            raise ValueError(
                f"VocabularyConfig.size ({self.vocabulary.size}) is larger than "
                f"T5Config.vocab_size ({self.model.vocab_size}); expected at most as many"
            )


@dataclasses.dataclass(frozen=True)
class TrainedModel:
    """What a run folder gives for use: network, newest parameters, vocabulary."""

    name: str
    graph: nnx.GraphDef
    params: nnx.State
    vocabulary: Vocabulary
    config: TrainConfig
    step: int


def train(
    data: Path,
    out: Path,
    config: TrainConfig,
    *,
    make_evaluators: Callable[[nnx.GraphDef, Vocabulary], Mapping[str, Evaluator]],
    console: Console,
    say: Callable[[str], None] = lambda _: None,
) -> None:
    """Train a model on a dataset; goes on from the newest checkpoint when `out` holds one.

    Raises ValueError when `out` holds a run with other settings, or data and config do not fit.
    """
    source, vocabulary = prepare_run(data, out, config, say=say)
    graph, params = make_model(config)
    num_params = count_params(config.model)
    say(f"{num_params:,} parameters, {len(source):,} pairs, {vocabulary.size:,} pieces")
    loop = config.loop
    optimizer = make_optimizer(config.optimizer, num_steps=loop.num_steps)
    loss_fn = make_seq2seq_loss(
        graph, loss=config.loss, prefix_dropout=config.prefix_dropout, num_steps=loop.num_steps
    )
    checkpoints = Checkpoints(out / "checkpoints", keep=loop.keep_checkpoints)
    latest = checkpoints.latest_step()
    say("starting from scratch" if latest is None else f"going on from step {latest}")
    train_loop(
        init_state(params, optimizer, SUM_NAMES),
        make_train_step(loss_fn, optimizer, seed=loop.seed),
        iter(make_train_batches(source, vocabulary, config.data)),
        config=loop,
        checkpoints=checkpoints,
        make_writer=lambda step: MetricWriter(out, start_step=step),
        evaluators=make_evaluators(graph, vocabulary),
        to_device=batch_to_device,
        describe_batch=lambda batch: f"pairs {', '.join(batch_ids(source, batch))}",
        console=console,
    )


def prepare_run(
    data: Path, out: Path, config: TrainConfig, *, say: Callable[[str], None]
) -> tuple[ArrowSource, Vocabulary]:
    """Lay out a run folder, or check that the one that is there belongs to this config."""
    if out.exists() and not out.is_dir():
        raise ValueError(f"--out {out} is a file; expected a folder, new or of an earlier run")
    if (out / "stats.json").is_file():
        raise ValueError(f"--out {out} is a dataset; choose a folder of its own for the run")
    settings = operative_config(config)
    pairs = load_pairs(data, split="train", half=config.data.half)
    description = describe_run(data, pairs, config)
    if (out / RUN_FILE).is_file():
        old = json.loads((out / RUN_FILE).read_text(encoding="utf-8"))
        # settings that came into being since that run started have their defaults there
        lines = operative_config(config_from_dict(TrainConfig, old["config"])).splitlines()
        differing = sorted(set(lines) ^ set(settings.splitlines()))
        if differing:
            raise ValueError(
                f"{out} holds a run with other settings ({'; '.join(differing)}); "
                "choose another --out, or give the same settings to go on"
            )
        if old["data_key"] != description["data_key"]:
            raise ValueError(
                f"{out} holds a run on other pairs (those of {old['data']}); "
                "choose another --out, or give the same --data to go on"
            )
        return ArrowSource(out / "data" / "train.arrow"), load_vocabulary(out / VOCABULARY_FILE)
    if config.vocabulary.path is not None:
        vocabulary = load_vocabulary(config.vocabulary.path)
    else:
        say("training the vocabulary")
        vocabulary = train_vocabulary(vocabulary_texts(pairs), config.vocabulary)
    if vocabulary.size > config.model.vocab_size:
        raise ValueError(
            f"the vocabulary has {vocabulary.size} pieces, T5Config.vocab_size is "
            f"{config.model.vocab_size}; expected at least as many"
        )
    (out / "data").mkdir(parents=True, exist_ok=True)
    write_arrow(pairs, out / "data" / "train.arrow")
    vocabulary.save(out / VOCABULARY_FILE)
    np.save(out / UNIGRAM_FILE, count_pieces(pairs, vocabulary, config))
    shards.write_text(out / "config.gin", settings)
    shards.write_json(out / RUN_FILE, description)
    return ArrowSource(out / "data" / "train.arrow"), vocabulary


def vocabulary_texts(pairs: pa.Table) -> list[str]:
    """Return what a vocabulary is trained on: every distinct prompt and query, in order."""
    return list(dict.fromkeys([*pairs["prompt"].to_pylist(), *pairs["query"].to_pylist()]))


def count_pieces(
    pairs: pa.Table, vocabulary: Vocabulary, config: TrainConfig
) -> Int[np.ndarray, " V"]:
    """Count the pieces of the training targets."""
    counts = np.zeros(config.model.vocab_size, np.int64)
    for prompt in pairs["prompt"].value_counts().to_pylist():  # a prompt stands once a query
        ids = encode_target(prompt["values"], vocabulary, max_length=config.data.lengths.targets)
        np.add.at(counts, ids, prompt["counts"])
    return counts


def make_model(config: TrainConfig) -> tuple[nnx.GraphDef, nnx.State]:
    """Make the network and its first parameters, compiled as one program."""

    def init() -> nnx.State:
        return nnx.state(T5(config.model, rngs=nnx.Rngs(config.loop.seed)))

    graph = nnx.graphdef(nnx.eval_shape(lambda: T5(config.model, rngs=nnx.Rngs(0))))
    return graph, jax.jit(init)()


def batch_ids(source: ArrowSource, batch: dict[str, Any]) -> list[str]:
    """Return the ids of the pairs in a packed batch."""
    return source.ids([int(row) - 1 for row in batch["rows"].reshape(-1) if row > 0])


def describe_run(data: Path, pairs: pa.Table, config: TrainConfig) -> dict[str, Any]:
    """Return what run.json holds."""
    return {
        "config": config_to_dict(config),
        "data": str(data),
        "data_key": content_hash(*pairs["id"].to_pylist()),
        "git_revision": git_revision(),
        "versions": {name: importlib.metadata.version(name) for name in PACKAGES},
    }


def git_revision() -> str:
    """Return the revision of the code, or "" outside a checkout."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10)
    except OSError:
        return ""
    return done.stdout.strip()


def load_run(folder: Path) -> TrainedModel:
    """Load the newest checkpoint of a run folder, without the optimizer's state.

    Raises ValueError when the folder is no run, or training has not saved a checkpoint yet.
    """
    checkpoint, description = open_run(folder)
    graph, params = load_params(checkpoint)
    step = checkpoint.source.rpartition("@")[2]
    return TrainedModel(
        name=f"{folder.name}@{step}",
        graph=graph,
        params=params,
        vocabulary=load_vocabulary(folder / VOCABULARY_FILE),
        config=config_from_dict(TrainConfig, description["config"]),
        step=int(step),
    )
