"""What the tests of model, data, training and decoding share: made-up pairs and one tiny run.

XLA's optimisations are off: these tests compile much and compute little, and take half as long
without them. JAX_DISABLE_MOST_OPTIMIZATIONS=0 puts them back on; every test passes either way.
"""

import os
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pyarrow as pa
import pytest
from flax import nnx

from pe import shards
from pe.data.features import LengthConfig
from pe.data.pipeline import ArrowSource, DataConfig, load_pairs, write_arrow
from pe.data.sources import DataSpec
from pe.data.tokenizer import VocabularyConfig, train_vocabulary
from pe.models.t5 import T5, T5Config
from pe.records import Pair, arrow_schema
from pe.train import loop, run
from pe.train.config import TrainConfig
from pe.train.loop import LoopConfig, Trainer
from pe.train.optimizer import OptimizerConfig
from pe.train.prefix_dropout import PrefixDropoutConfig

if "JAX_DISABLE_MOST_OPTIMIZATIONS" not in os.environ:
    jax.config.update("jax_disable_most_optimizations", True)

SUBJECTS = ("red fox", "old boat", "stone castle", "lonely dragon", "glass city", "paper moon")
PLACES = ("in snow", "at sea", "under a storm", "on a hill", "in a forest", "by night", "at dawn")
FLAVORS = ("oil on canvas", "watercolor", "golden hour", "highly detailed", "pixel art")
PREFIXES = ("ABST", "DTL", "FLV", "HAST", "GRD", "SPCT", "")


def make_pairs():
    """42 pairs of the train split, one a subject and place, and 7 of validation."""
    pairs = []
    for i, subject in enumerate(SUBJECTS):
        for j, place in enumerate(PLACES):
            flavors = ", ".join(FLAVORS[(i + j + k) % 5] for k in range(1 + j % 3))
            pairs.append((subject, f"a {subject} {place}, {flavors}", "train", i + j))
    for j, place in enumerate(PLACES):
        pairs.append(("white horse", f"a white horse {place}, {FLAVORS[j % 5]}", "validation", j))
    return [
        Pair(
            query=query,
            prefix=PREFIXES[number % 7],
            prompt=prompt,
            kind=("short", "abstract", "concrete")[number % 3],
            source="made-up",
            split=split,
            half="" if split != "train" else ("base", "refine")[number % 2],
            parents=(str(row),),
            licence="",
        )
        for row, (query, prompt, split, number) in enumerate(pairs)
    ]


@pytest.fixture(scope="session")
def dataset(tmp_path_factory):
    """A dataset folder as pe build leaves it."""
    folder = tmp_path_factory.mktemp("dataset")
    (folder / "pairs").mkdir()
    rows = [pair.to_row() for pair in make_pairs()]
    table = pa.Table.from_pylist(rows, schema=arrow_schema(Pair))
    shards.write_table(folder / "pairs" / shards.shard_name(0), table)
    shards.write_json(folder / "stats.json", {})
    return folder


@pytest.fixture(scope="session")
def train_pairs(dataset):
    """The 42 training pairs, as rows."""
    return load_pairs(dataset, split="train").to_pylist()


@pytest.fixture(scope="session")
def vocabulary(train_pairs):
    texts = [pair[name] for pair in train_pairs for name in ("prompt", "query")]
    return train_vocabulary(texts, VocabularyConfig(size=400))


@pytest.fixture(scope="session")
def source(dataset, tmp_path_factory):
    """The training pairs, memory-mapped."""
    path = tmp_path_factory.mktemp("arrow") / "train.arrow"
    write_arrow(load_pairs(dataset, split="train"), path)
    return ArrowSource(path)


@pytest.fixture(scope="session")
def tiny_config():
    """Six steps of a T5 with one layer a stack, with every kind of randomness on."""
    return TrainConfig(
        model=T5Config(
            dtype="float32",
            vocab_size=416,  # more rows than pieces, as T5's own checkpoints have
            d_model=16,
            num_heads=2,
            head_dim=8,
            d_ff=32,
            num_encoder_layers=1,
            num_decoder_layers=1,
            dropout_rate=0.1,
        ),
        vocabulary=VocabularyConfig(size=400),
        data=DataConfig(half="", batch_rows=4, lengths=LengthConfig(inputs=32, targets=48)),
        optimizer=OptimizerConfig(name="adamw", learning_rate=1e-2, warmup_steps=2),
        prefix_dropout=PrefixDropoutConfig(start_rate=0.4, end_rate=1.0),
        loop=LoopConfig(
            num_steps=6, log_every_steps=1, eval_every_steps=6, num_eval_pairs=4, save_every_steps=3
        ),
    )


@pytest.fixture(scope="session")
def trainers():
    """The trainers, with their compiled steps, that runs of this session have made, in order."""
    return []


@pytest.fixture(scope="session")
def start_run(dataset, trainers):
    """Train into a folder, quietly; `console` may interrupt it."""

    class Remembered(Trainer):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            trainers.append(self)

    def start(
        out: Path,
        config: TrainConfig,
        *,
        console=lambda step, metrics: None,
        data=None,
        init=None,
        make_evaluators=lambda context: {},
    ):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(loop, "Trainer", Remembered)
            return run.train(
                data or [DataSpec(str(dataset))],
                out,
                config,
                init=init,
                make_evaluators=make_evaluators,
                console=console,
            )

    return start


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory, tiny_config, start_run):
    """A run of all six steps."""
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    start_run(folder, tiny_config)
    return folder


@pytest.fixture(scope="session")
def trained(run_folder):
    return run.load_run(run_folder)


@pytest.fixture(scope="session")
def make_t5():
    """Make (graph, parameters) of a T5 from numpy: the initialisers take seconds to compile."""

    def make(config: T5Config, *, seed: int = 0):
        graph, params = nnx.split(nnx.eval_shape(lambda: T5(config, rngs=nnx.Rngs(0))))
        rng = np.random.default_rng(seed)

        def draw(leaf):
            values = rng.normal(size=leaf.shape)
            values = values / leaf.shape[0] ** 0.5 if len(leaf.shape) == 2 else 1.0 + 0.1 * values
            return jnp.asarray(values, leaf.dtype)

        return graph, jax.tree.map(draw, params)

    return make


@pytest.fixture(scope="session")
def torch():
    return pytest.importorskip("torch")


@pytest.fixture(scope="session")
def transformers(torch):
    """The package, whose models need two operators of torchvision, of another build of torch."""
    library = torch.library.Library("torchvision", "FRAGMENT")
    for name in ("nms", "qnms"):
        if not hasattr(torch.ops.torchvision, name):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    yield pytest.importorskip("transformers")
    del library


@pytest.fixture(scope="session")
def open_clip_package(transformers):
    """The package open_clip, behind the operators that torchvision lacks here."""
    return pytest.importorskip("open_clip")
