"""Optimisers and learning-rate schedules by name."""

import dataclasses
import math
import re
from typing import Any

import jax
import optax
import optax.contrib

OPTIMIZERS = ("adafactor", "adamw", "muon")
# What muon leaves to adamw: tables, what gives logits, and heads
NO_HIDDEN_MATRIX = re.compile(
    r".*(embedding|query|soft_prompt|lora_[ab])|(.*logits_dense|text_decoder\.projection)\.kernel|head\..*"
)
MUON_BETA = 0.95
MUON_RMS = 0.2  # of an update, as adamw's are (arXiv:2502.16982 sec. 2.2): one rate fits both
SCHEDULES = ("constant", "rsqrt", "cosine")


@dataclasses.dataclass(frozen=True, kw_only=True)
class OptimizerConfig:
    """Adafactor is T5's own choice: its rate is relative to the size of each matrix.

    Muon makes the update of each hidden matrix orthogonal (arXiv:2502.16982); adamw with Nesterov's
    momentum does the rest.

    `parameter_scaling` off makes Adafactor's rate absolute, as prompt tuning has it
    (arXiv:2104.08691); `decay_rate` is the exponent by which its second moments forget.
    `weight_decay` is scaled by the learning rate in adamw, which leaves vectors (norms' scales)
    out; adafactor takes it as it is, at every step, of all (as in optax and T5X). `ema_decay` above
    0 keeps running means of the trained parameters, which are then what is evaluated and served.
    """

    name: str = "adafactor"
    learning_rate: float = 1e-3
    schedule: str = "constant"
    warmup_steps: int = 0
    final_frac: float = 0.0
    weight_decay: float = 0.0
    clip_norm: float | None = 1.0
    beta1: float = 0.9
    beta2: float = 0.98
    parameter_scaling: bool = True
    decay_rate: float = 0.8
    ema_decay: float = 0.0

    def __post_init__(self) -> None:
        if self.name not in OPTIMIZERS:
            raise ValueError(f"OptimizerConfig.name: got {self.name!r}, expected {OPTIMIZERS}")
        if self.schedule not in SCHEDULES:
            raise ValueError(
                f"OptimizerConfig.schedule: got {self.schedule!r}, expected {SCHEDULES}"
            )
        if not 0.0 < self.learning_rate < math.inf:
            raise ValueError(
                f"OptimizerConfig.learning_rate: got {self.learning_rate}, expected > 0"
            )
        if self.warmup_steps < 0:
            raise ValueError(
                f"OptimizerConfig.warmup_steps: got {self.warmup_steps}, expected >= 0"
            )
        for name in ("final_frac", "weight_decay", "beta1", "beta2", "decay_rate"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(
                    f"OptimizerConfig.{name}: got {getattr(self, name)}, expected 0 to 1"
                )
        if not 0.0 <= self.ema_decay < 1.0:
            raise ValueError(
                f"OptimizerConfig.ema_decay: got {self.ema_decay}, expected 0 (off) to below 1"
            )
        if self.clip_norm is not None and self.clip_norm <= 0.0:
            raise ValueError(
                f"OptimizerConfig.clip_norm: got {self.clip_norm}, expected > 0 or None"
            )


def make_schedule(config: OptimizerConfig, *, num_steps: int) -> optax.Schedule:
    """Return step -> learning rate: a linear warm-up, then the named shape.

    constant: the peak; rsqrt: peak * sqrt(warmup / step); cosine: to `final_frac` of the peak at
    `num_steps`.
    """
    peak, warmup = config.learning_rate, config.warmup_steps
    after: optax.Schedule
    if config.schedule == "constant":
        after = optax.constant_schedule(peak)
    elif config.schedule == "cosine":
        rest = max(1, num_steps - warmup)
        after = optax.cosine_decay_schedule(peak, rest, alpha=config.final_frac)
    else:
        offset = max(1, warmup)
        after = lambda count: peak * (offset / (count + offset)) ** 0.5  # noqa: E731

    if warmup == 0:
        return after
    return optax.join_schedules([optax.linear_schedule(0.0, peak, warmup), after], [warmup])


def make_optimizer(config: OptimizerConfig, *, num_steps: int) -> optax.GradientTransformation:
    """Make the optimiser of a config."""
    schedule = make_schedule(config, num_steps=num_steps)
    if config.name == "adafactor":
        rule = optax.adafactor(
            schedule,
            decay_rate=config.decay_rate,
            multiply_by_parameter_scale=config.parameter_scaling,
            weight_decay_rate=config.weight_decay or None,
        )
    elif config.name == "muon":
        rule = optax.contrib.muon(
            schedule,
            beta=MUON_BETA,
            weight_decay=config.weight_decay,
            weight_decay_mask=_is_matrix,
            adam_b1=config.beta1,
            adam_b2=config.beta2,
            muon_weight_dimension_numbers=_find_hidden_matrices,
            consistent_rms=MUON_RMS,
        )
    else:
        rule = optax.adamw(
            schedule,
            b1=config.beta1,
            b2=config.beta2,
            weight_decay=config.weight_decay,
            mask=_is_matrix,
        )
    clip = (
        optax.identity()
        if config.clip_norm is None
        else optax.clip_by_global_norm(config.clip_norm)
    )
    return optax.chain(clip, rule)


def _is_matrix(params: Any) -> Any:
    """Say which parameters decay: no vectors."""
    return jax.tree.map(lambda p: p.ndim > 1, params)


def _find_hidden_matrices(params: Any) -> Any:
    """Say which parameters, by their dotted names, have a matrix that muon makes orthogonal."""
    numbers = optax.contrib.MuonDimensionNumbers()
    return {
        name: numbers
        if getattr(p, "ndim", 0) == 2 and not NO_HIDDEN_MATRIX.fullmatch(name)
        else None
        for name, p in params.items()
    }
