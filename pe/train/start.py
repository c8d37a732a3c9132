"""What training begins with: random parameters, or those of a model, with adapters added.

Gives the loop parameters by name, each laid out on the mesh as it is read, so that a model that is
larger than one device's memory is never in one place.
"""

import dataclasses
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from pe.data.tokenizer import Vocabulary
from pe.models.adapters import SOFT_PROMPT, LoraConfig, add_lora, add_soft_prompt
from pe.models.blueprint import Blueprint, draw_blueprint, flatten_params
from pe.models.t5 import T5
from pe.models.t5_config import T5Config
from pe.train.config import TrainConfig
from pe.train.mesh import place_whole
from pe.train.soft_prompt import make_soft_prompt
from pe.train.trainable import split_names
from pe.weights.checkpoint import StoredArray, check_arrays, is_cast_name
from pe.weights.formats import open_arrays, open_model
from pe.weights.run_folder import RUN_FILE, read_run

RUNTIME_FIELDS = ("dropout_rate", "dtype", "remat")  # of T5Config: how it is run, not what it is


@dataclasses.dataclass(frozen=True, kw_only=True)
class StartModel:
    """A model that training begins with: where it lies, and of a run which step.

    `arrays` may hold an earlier soft prompt or LoRA matrices beside the weights; `lora` are the
    settings of the latter.
    """

    source: str
    step: int | None
    config: T5Config
    arrays: Mapping[str, StoredArray]
    vocabulary: Path | None
    lora: LoraConfig | None = None


def open_start(source: str, *, step: int | None = None) -> StartModel:
    """Open the model that training begins with: any format, or a run (at a step), also a tuned one.

    Raises ValueError when it is no model, or one with a soft prompt that cannot be told apart.
    """
    folder = Path(source).expanduser()
    if (folder / RUN_FILE).is_file():
        parts = read_run(folder, open_base=open_arrays, step=step)
        return StartModel(
            source=str(folder.resolve()),
            step=parts.step,
            config=parts.config,
            arrays=parts.arrays,
            vocabulary=parts.vocabulary,
            lora=parts.lora if parts.lora.rank else None,
        )
    opened = open_model(source)
    if opened.expander.get("prompt_ids"):
        raise ValueError(
            f"{source} has a soft prompt baked into its vocabulary; expected the model that it was "
            "tuned on, or the run of pe train that tuned it"
        )
    check_arrays(opened.checkpoint)
    return StartModel(
        source=str(folder.resolve()) if folder.exists() else source,
        step=None,
        config=opened.checkpoint.config,
        arrays=opened.checkpoint.arrays,
        vocabulary=opened.checkpoint.vocabulary,
    )


def adopt_model(config: TrainConfig, start: StartModel) -> TrainConfig:
    """Return the settings with the start's sizes; how it is run stays as set.

    Raises ValueError when a size was set to something else than the start has.
    """
    default = T5Config()
    wrong = [
        f"T5Config.{field.name} is {getattr(config.model, field.name)!r}, but "
        f"{start.source} has {getattr(start.config, field.name)!r}"
        for field in dataclasses.fields(T5Config)
        if field.name not in RUNTIME_FIELDS
        and getattr(config.model, field.name)
        not in (getattr(default, field.name), getattr(start.config, field.name))
    ]
    if wrong:
        raise ValueError(f"{'; '.join(wrong)}; leave the sizes to --init")
    kept = {name: getattr(config.model, name) for name in RUNTIME_FIELDS}
    vocabulary = config.vocabulary
    if vocabulary.path is None and start.vocabulary is not None:
        vocabulary = dataclasses.replace(vocabulary, path=str(start.vocabulary.resolve()))
    if vocabulary.path is None:
        raise ValueError(
            f"{start.source} holds no vocabulary; give its SentencePiece model with "
            "--gin.VocabularyConfig.path=FILE"
        )
    return dataclasses.replace(
        config, model=dataclasses.replace(start.config, **kept), vocabulary=vocabulary
    )


def draw_expander(config: TrainConfig) -> Blueprint[T5]:
    """Describe the network that is trained: a T5 with the adapters that the settings ask for."""
    return draw_blueprint(lambda: make_expander(config))


def make_expander(config: TrainConfig) -> T5:
    """Make the network that is trained with random parameters; a soft prompt is zero."""
    rngs = nnx.Rngs(config.loop.seed)
    model = T5(config.model, rngs=rngs)
    if config.soft_prompt.length:
        add_soft_prompt(model, config.soft_prompt.length)
    if config.lora.rank:
        add_lora(model, config.lora, rngs=rngs)
    return model


class FirstParams:
    """The parameters before training, by name. Raises ValueError when they cannot be had."""

    def __init__(
        self,
        config: TrainConfig,
        vocabulary: Vocabulary,
        start: StartModel | None,
    ):
        blueprint = draw_expander(config)
        self.config = config
        self.blueprint = blueprint
        self.vocabulary = vocabulary
        self.start = start
        self.trained, self.frozen = split_names(blueprint.leaves, config.trainable)
        if start is None and (self.frozen or config.soft_prompt.length or config.lora.rank):
            raise ValueError(
                "a soft prompt, LoRA or frozen parameters need a model to begin with; expected "
                "--init MODEL"
            )
        if start is not None:
            check_start(start, blueprint, config.lora)

    def type_of(self, name: str) -> np.dtype:
        """Return the type that a parameter is kept in while training."""
        return param_type(name, self.config, is_trained=name in self.trained)

    @property
    def shapes(self) -> dict[str, jax.ShapeDtypeStruct]:
        """Return {name: shape and type} of all parameters."""
        return {
            name: jax.ShapeDtypeStruct(shape, self.type_of(name))
            for name, shape in self.blueprint.shapes.items()
        }

    def load(self, names: Collection[str], shardings: Mapping[str, Any]) -> dict[str, jax.Array]:
        """Make some of the parameters, laid out as the shardings say."""
        if not names:
            return {}
        if self.start is None:
            types = {name: self.type_of(name) for name in names}

            def init() -> dict[str, Any]:
                flat = flatten_params(nnx.state(make_expander(self.config), nnx.Param))
                return {name: flat[name].astype(types[name]) for name in names}

            return jax.jit(init, out_shardings={n: shardings[n] for n in names})()
        return {
            name: place_whole(self._read(name).astype(self.type_of(name)), shardings[name])
            for name in names
        }

    def _read(self, name: str) -> np.ndarray:
        assert self.start is not None  # asked by load
        if name in self.start.arrays:
            return self.start.arrays[name].read()
        shape = self.blueprint.shapes[name]
        if name == SOFT_PROMPT:
            table = self.start.arrays["embedding"].read()
            seed = self.config.loop.seed
            return make_soft_prompt(self.config.soft_prompt, table, self.vocabulary, seed=seed)
        if name.endswith(".lora_b"):
            return np.zeros(shape, np.float32)
        number = list(self.blueprint.shapes).index(name)
        rng = np.random.default_rng([self.config.loop.seed, number])
        limit = (6.0 / shape[0]) ** 0.5  # He's uniform, as LoRA's own code has it
        return rng.uniform(-limit, limit, shape).astype(np.float32)


def param_type(name: str, config: TrainConfig, *, is_trained: bool) -> np.dtype:
    """Return the type that a parameter is kept in: frozen matrices that of the computation."""
    if is_trained:
        return jnp.dtype(config.trainable.dtype)
    return jnp.dtype(config.model.dtype if is_cast_name(name) else "float32")


def check_start(start: StartModel, blueprint: Blueprint[T5], lora: LoraConfig) -> None:
    """Hold the arrays of the start against the network. Raises ValueError naming what differs."""
    if start.lora is not None and lora.rank and lora.scale != start.lora.scale:
        raise ValueError(
            f"{start.source} was tuned by LoRA with alpha {start.lora.alpha} at rank "
            f"{start.lora.rank}, got alpha {lora.alpha} at rank {lora.rank}; expected the same "
            "ratio, since its matrices are multiplied by it"
        )
    shapes = blueprint.shapes
    adapters = {n for n in shapes if n == SOFT_PROMPT or ".lora_" in n}
    problems = [
        f"{name} is {list(start.arrays[name].shape)}, expected {list(shape)}"
        for name, shape in shapes.items()
        if name in start.arrays and start.arrays[name].shape != shape
    ]
    problems += [f"{n} is missing" for n in shapes if n not in start.arrays and n not in adapters]
    problems += [f"{n} has no place in it" for n in start.arrays if n not in shapes]
    if problems:
        raise ValueError(
            f"{start.source} does not fit the network that is to be trained: "
            f"{'; '.join(problems[:5])}; a tuned run goes on with the same SoftPromptConfig.length "
            "and LoraConfig.rank, or is first made a model of its own with pe convert"
        )
