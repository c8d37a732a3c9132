"""All settings of a training run, one dataclass for each part of it."""

import dataclasses

from pe.data.pipeline import DataConfig
from pe.data.tokenizer import VocabularyConfig
from pe.models.adapters import LoraConfig
from pe.models.t5_config import T5Config
from pe.train.loop import LoopConfig
from pe.train.loss import LossConfig
from pe.train.mesh import MeshConfig
from pe.train.optimizer import OptimizerConfig
from pe.train.prefix_dropout import PrefixDropoutConfig
from pe.train.soft_prompt import SoftPromptConfig
from pe.train.trainable import TrainableConfig


@dataclasses.dataclass(frozen=True, kw_only=True)
class SampleConfig:
    """What the model is asked for at every evaluation, to be read: `num_expansions` of each query.

    None are written where there are no queries, where a text objective is learned, and with several
    hosts.
    """

    queries: tuple[str, ...] = ("undying love", "a red fox", "an old railway station")
    prefix: str = ""
    num_expansions: int = 2
    max_tokens: int = 64
    temperature: float = 1.0

    def __post_init__(self) -> None:
        for name in ("num_expansions", "max_tokens"):
            if getattr(self, name) < 1:
                raise ValueError(f"SampleConfig.{name}: got {getattr(self, name)}, expected >= 1")
        if self.temperature < 0.0:
            raise ValueError(f"SampleConfig.temperature: got {self.temperature}, expected >= 0")


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """All settings of a training run."""

    model: T5Config = dataclasses.field(default_factory=T5Config)
    soft_prompt: SoftPromptConfig = dataclasses.field(default_factory=SoftPromptConfig)
    lora: LoraConfig = dataclasses.field(default_factory=LoraConfig)
    trainable: TrainableConfig = dataclasses.field(default_factory=TrainableConfig)
    vocabulary: VocabularyConfig = dataclasses.field(default_factory=VocabularyConfig)
    data: DataConfig = dataclasses.field(default_factory=DataConfig)
    optimizer: OptimizerConfig = dataclasses.field(default_factory=OptimizerConfig)
    loss: LossConfig = dataclasses.field(default_factory=LossConfig)
    prefix_dropout: PrefixDropoutConfig = dataclasses.field(default_factory=PrefixDropoutConfig)
    loop: LoopConfig = dataclasses.field(default_factory=LoopConfig)
    mesh: MeshConfig = dataclasses.field(default_factory=MeshConfig)
    samples: SampleConfig = dataclasses.field(default_factory=SampleConfig)

    def __post_init__(self) -> None:
        if self.vocabulary.path is None and self.vocabulary.size > self.model.vocab_size:
            raise ValueError(
                f"VocabularyConfig.size ({self.vocabulary.size}) is larger than "
                f"T5Config.vocab_size ({self.model.vocab_size}); expected at most as many"
            )
        if self.data.batch_rows % self.loop.num_microbatches:
            raise ValueError(
                f"LoopConfig.num_microbatches: {self.loop.num_microbatches} does not divide "
                f"DataConfig.batch_rows {self.data.batch_rows}"
            )

    @property
    def prompt_ids(self) -> tuple[int, ...]:
        """The ids of the soft prompt: those behind the model's vocabulary."""
        first = self.model.vocab_size
        return tuple(range(first, first + self.soft_prompt.length))
