"""Training of a CLIP or a CoCa with an aesthetic head on pictures, texts and votes.

run/run.json, config.gin       the settings, and what was trained on
run/vocab.json, merges.txt     the vocabulary, learned from the texts
run/checkpoints/, metrics.jsonl, tensorboard/
run/model/                     at the end: the model in open_clip's layout, and head/ beside it
"""

import dataclasses
import functools
import json
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from pe import shards
from pe.axes import Float
from pe.config import config_to_dict, operative_config
from pe.data.clip_tokenizer import ClipTokenizer, read_clip_vocabulary
from pe.data.clip_vocabulary import train_clip_vocabulary, write_clip_vocabulary
from pe.data.image_text import Batch, ImageTextBatches, ImageTextConfig, ImageTextSource
from pe.models.blueprint import Blueprint, flatten_params
from pe.models.clip import Clip, normalize
from pe.models.clip_config import ClipConfig, DecoderConfig
from pe.models.coca import Coca
from pe.models.partitioning import param_axes
from pe.train.image_text import (
    HEAD_BIAS,
    HEAD_PREFIX,
    HEAD_WEIGHT,
    METRIC_NAMES,
    ImageTextLossConfig,
    head_arrays,
    head_params,
    make_image_text_loss,
    weigh_tokens,
)
from pe.train.loop import LATEST, Console, Evaluator, LoopConfig, TrainTask, train_loop
from pe.train.mesh import Layout, MeshConfig, make_mesh, place_rows
from pe.train.metrics import MetricWriter
from pe.train.optimizer import OptimizerConfig, make_optimizer, make_schedule
from pe.train.stop import StopSignal
from pe.train.trainable import TrainableConfig
from pe.weights.aesthetic import HEAD_FOLDER, open_head, save_head
from pe.weights.open_clip import draw_clip, load_clip, open_clip
from pe.weights.open_clip_save import save_clip
from pe.weights.run_folder import RUN_FILE, list_steps

CROWD = 100  # pictures among which one is looked for by its text
MODEL = "model"  # folder of a run


@dataclasses.dataclass(frozen=True, kw_only=True)
class EncoderConfig:
    """All settings of an encoder's training.

    `writes_captions` makes it a CoCa, with `decoder`; `export_dtype` is that of the file at the
    end. `first_score` is what the head begins with: about the mean of all votes.
    """

    model: ClipConfig = dataclasses.field(default_factory=ClipConfig)
    decoder: DecoderConfig = dataclasses.field(default_factory=DecoderConfig)
    data: ImageTextConfig = dataclasses.field(default_factory=ImageTextConfig)
    loss: ImageTextLossConfig = dataclasses.field(default_factory=ImageTextLossConfig)
    optimizer: OptimizerConfig = dataclasses.field(default_factory=OptimizerConfig)
    loop: LoopConfig = dataclasses.field(default_factory=LoopConfig)
    mesh: MeshConfig = dataclasses.field(default_factory=MeshConfig)
    writes_captions: bool = False
    first_score: float = 5.0
    export_dtype: str = "float16"

    def __post_init__(self) -> None:
        if self.export_dtype not in ("float16", "float32"):
            raise ValueError(
                f"EncoderConfig.export_dtype: got {self.export_dtype!r}, expected float16 or "
                "float32"
            )
        if self.data.batch_rows % self.loop.num_microbatches:
            raise ValueError(
                f"LoopConfig.num_microbatches: {self.loop.num_microbatches} does not divide "
                f"ImageTextConfig.batch_rows {self.data.batch_rows}"
            )
        _ = self.network  # what does not fit is told now

    @property
    def network(self) -> ClipConfig:
        """The model's config, with the decoder where it writes."""
        return dataclasses.replace(
            self.model, decoder=self.decoder if self.writes_captions else None
        )


def train_encoder(
    data: Path,
    out: Path,
    config: EncoderConfig,
    *,
    init: Path | None = None,
    console: Console,
    say: Callable[[str], None] = lambda _: None,
) -> str:
    """Train on a folder of pictures and texts; goes on from the newest checkpoint in `out`.

    `init` is the model/ of an earlier run, to begin with instead of with noise; its vocabulary
    stays. Returns why it ended, "done" or "stopped" by SIGTERM; when done, the model is in
    `out`/model. Raises ValueError when `out` holds a run of other settings, or data, config and
    `init` do not fit.
    """
    source = ImageTextSource(data)
    if source.size_px != config.model.vision.image_px:
        raise ValueError(
            f"{data} holds pictures of {source.size_px} pixels, VisionConfig.image_px is "
            f"{config.model.vision.image_px}; expected the same"
        )
    layout = Layout(make_mesh(config.mesh), config.mesh.axis_rules)
    parts = layout.num_row_shards * config.loop.num_microbatches
    if config.data.batch_rows % parts:
        raise ValueError(
            f"ImageTextConfig.batch_rows: {config.data.batch_rows} pictures cannot be dealt to "
            f"{parts} devices and microbatches; expected a multiple of that"
        )
    tokenizer = _prepare(source, out, config, init, say=say)
    blueprint = draw_clip(config.network)
    task = make_task(
        config,
        blueprint,
        token_weights=_weigh_tokens(source, tokenizer, config),
        first=None if init is None else functools.partial(load_first, init, config),
    )
    say(
        f"{sum(int(np.prod(s.shape)) for s in task.shapes.values()):,} parameters, "
        f"{len(source):,} pictures, {tokenizer.vocab_size:,} tokens"
    )
    batches = ImageTextBatches(
        source,
        tokenizer,
        config.data,
        context_tokens=config.model.text.context_tokens,
        seed=config.loop.seed,
    )
    with StopSignal() as stop:
        state, ended = train_loop(
            task,
            batches,
            out,
            config=config.loop,
            layout=layout,
            make_writer=lambda step: MetricWriter(out, start_step=step),
            evaluators={"held_out": make_retrieval(config, blueprint, batches)},
            place=lambda batch: place_rows(_pick_arrays(batch), layout),
            describe_batch=lambda batch: f"pictures {batch['numbers'].tolist()}",
            console=console,
            should_stop=stop.is_agreed,
            say=say,
        )
    if ended == "done":
        params = state.ema if config.optimizer.ema_decay else state.params
        export_encoder(out / MODEL, params, config)
        write_clip_vocabulary(out / MODEL, read_clip_vocabulary(out))
    return ended


def make_task(
    config: EncoderConfig,
    blueprint: Blueprint[Clip],
    *,
    token_weights: Float[np.ndarray, " V"] | None = None,
    first: Callable[[], Mapping[str, Any]] | None = None,
) -> TrainTask:
    """Make what the loop is handed: a model that is drawn from the seed, and a head of zeros.

    `first` gives other parameters to begin with.
    """
    network, loop = config.network, config.loop
    shapes = {
        name: jax.ShapeDtypeStruct(shape, jnp.float32) for name, shape in blueprint.shapes.items()
    }
    if config.loss.vote_weight:
        shapes[HEAD_WEIGHT] = jax.ShapeDtypeStruct((1, network.embed_dim), jnp.float32)
        shapes[HEAD_BIAS] = jax.ShapeDtypeStruct((1,), jnp.float32)

    def load(names: Collection[str], shardings: Mapping[str, Any]) -> dict[str, jax.Array]:
        def init() -> dict[str, Any]:
            kind = Clip if network.decoder is None else Coca
            model = kind(network, rngs=nnx.Rngs(loop.seed))
            params = flatten_params(nnx.state(model, nnx.Param))
            params[HEAD_WEIGHT] = jnp.zeros((1, network.embed_dim))
            params[HEAD_BIAS] = jnp.full((1,), config.first_score)
            return {name: params[name].astype(jnp.float32) for name in names}

        if not names:
            return {}
        if first is None:
            return jax.jit(init, out_shardings=dict(shardings))()
        given = first()
        return {name: jax.device_put(given[name], shardings[name]) for name in names}

    return TrainTask(
        loss=make_image_text_loss(blueprint.bind, config.loss, token_weights=token_weights),
        metric_names=METRIC_NAMES,
        shapes=shapes,
        load=load,
        axes=param_axes,
        rules=TrainableConfig(),
        optimizer=make_optimizer(config.optimizer, num_steps=loop.num_steps),
        schedule=make_schedule(config.optimizer, num_steps=loop.num_steps),
        ema_decay=config.optimizer.ema_decay,
    )


def make_retrieval(
    config: EncoderConfig, blueprint: Blueprint[Clip], batches: ImageTextBatches
) -> Evaluator:
    """Measure on held-out pictures how often a caption finds its own among a hundred."""
    held_out = np.arange(batches.num_rows, len(batches.source))
    crowds = [held_out[i : i + CROWD] for i in range(0, len(held_out), CROWD)]

    @jax.jit
    def cosines(params: dict[str, Any], pixels: jax.Array, texts: jax.Array) -> jax.Array:
        model = blueprint.bind({n: p for n, p in params.items() if not n.startswith(HEAD_PREFIX)})
        given = (pixels / 255 - config.loss.pixel_mean) / config.loss.pixel_std
        return normalize(model.text(texts)) @ normalize(model.visual(given)).T

    def run(params: dict[str, Any], step: int) -> dict[str, float]:
        del step
        found = []
        for crowd in crowds:
            captions = [batches.source.rows[n].caption for n in crowd]
            texts = batches.tokenizer.tokenize(captions, batches.context_tokens)
            pixels = batches.source.pixels(crowd).astype(np.float32)
            best = np.argmax(np.asarray(cosines(params, pixels, texts)), axis=1)
            found += [captions[b] == caption for b, caption in zip(best, captions, strict=True)]
        return {"recall": float(np.mean(found))}

    return Evaluator(metrics=("recall",), run=run)


def export_encoder(folder: Path, params: Mapping[str, Any], config: EncoderConfig) -> None:
    """Write what was trained in the layouts it is read in: open_clip's, and a LAION head's."""
    folder.mkdir(parents=True, exist_ok=True)
    ready = {name: np.asarray(value) for name, value in params.items()}
    if config.loss.vote_weight:
        weight, bias = (np.asarray(array) for array in head_arrays(ready))
        (folder / HEAD_FOLDER).mkdir(exist_ok=True)
        save_head(folder / HEAD_FOLDER / "aesthetic.safetensors", weight, bias)
    save_clip(
        folder,
        config.network,
        {name: value for name, value in ready.items() if not name.startswith(HEAD_PREFIX)},
        dtype=config.export_dtype,
        pixel_mean=config.loss.pixel_mean,
        pixel_std=config.loss.pixel_std,
    )


def load_first(init: Path, config: EncoderConfig) -> dict[str, Any]:
    """Load the parameters of an earlier run's model, its head too.

    Raises ValueError where it is of another config, or where the head is missing.
    """
    checkpoint = open_clip(str(init))
    if dataclasses.replace(checkpoint.config, dtype=config.network.dtype) != config.network:
        raise ValueError(f"--init {init} is of another config than this run's; expected the same")
    params: dict[str, Any] = {
        name: jnp.asarray(value, jnp.float32) for name, value in load_clip(checkpoint).items()
    }
    if config.loss.vote_weight:
        head = open_head(init / HEAD_FOLDER)
        params |= head_params(jnp.asarray(head.weights[0]), jnp.asarray(head.biases[0]))
    return params


def _prepare(
    source: ImageTextSource,
    out: Path,
    config: EncoderConfig,
    init: Path | None,
    *,
    say: Callable[[str], None],
) -> ClipTokenizer:
    """Lay out the run's folder, or check that the one that is there belongs to these settings."""
    described = {
        "config": config_to_dict(config),
        "data": {"path": str(source.folder), "num_rows": len(source)},
        "init": None if init is None else open_clip(str(init)).digest,
    }
    has_begun = (out / RUN_FILE).is_file() and bool(list_steps(out / LATEST))
    if has_begun:
        old = json.loads((out / RUN_FILE).read_text(encoding="utf-8"))
        if old != described:
            raise ValueError(
                f"{out} holds a run of other settings or data; choose another --out, or give the "
                f"same as in {out / 'config.gin'} to go on"
            )
        return ClipTokenizer(read_clip_vocabulary(out))
    if out.exists() and any(out.iterdir()) and not (out / RUN_FILE).is_file():
        raise ValueError(f"{out} is not empty and holds no run; choose a new folder")
    out.mkdir(parents=True, exist_ok=True)
    if init is None:
        say("learning the vocabulary")
        vocabulary = train_clip_vocabulary(source.all_texts(), config.model.text.vocab_size)
    else:
        vocabulary = read_clip_vocabulary(init)
    write_clip_vocabulary(out, vocabulary)
    shards.write_text(out / "config.gin", operative_config(config))
    shards.write_json(out / RUN_FILE, described)
    return ClipTokenizer(vocabulary)


def _weigh_tokens(
    source: ImageTextSource, tokenizer: ClipTokenizer, config: EncoderConfig
) -> Float[np.ndarray, " V"] | None:
    if not (config.writes_captions and config.loss.rarity_power):
        return None
    captions = tokenizer.tokenize([row.caption for row in source.rows], config.data.caption_tokens)
    return weigh_tokens(captions, config.model.text.vocab_size, config.loss.rarity_power)


def _pick_arrays(batch: Batch) -> Batch:
    return {name: array for name, array in batch.items() if name != "numbers"}
