"""Which parameters are trained: a list of rules that covers every name exactly once.

The optimizer holds moments of what is trained and of nothing else, a checkpoint holds the same
names, and an export takes all others from the model that training began with.
"""

import dataclasses
import re
from collections.abc import Iterable

TRAIN, FREEZE = "train", "freeze"
SHOWN_NAMES = 5


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainableConfig:
    """Pairs of a regular expression, which has to match a whole name, and "train" or "freeze".

    Example (prompt tuning):
      (("soft_prompt", "train"), ("embedding|(encoder|decoder)[.].*", "freeze"))

    What is trained is kept as `dtype`; float32 is a master copy for a model that computes in
    bfloat16. Frozen matrices are kept in the type that the model computes in.
    """

    rules: tuple[tuple[str, str], ...] = ((".*", TRAIN),)
    dtype: str = "float32"

    def __post_init__(self) -> None:
        if self.dtype not in ("float32", "bfloat16"):
            raise ValueError(
                f"TrainableConfig.dtype: got {self.dtype!r}, expected float32 or bfloat16"
            )
        for pattern, action in self.rules:
            if action not in (TRAIN, FREEZE):
                raise ValueError(
                    f"TrainableConfig.rules: got {action!r} for {pattern!r}, expected "
                    f"{TRAIN!r} or {FREEZE!r}"
                )
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(
                    f"TrainableConfig.rules: {pattern!r} is no regular expression: {error}"
                ) from error


def split_names(names: Iterable[str], config: TrainableConfig) -> tuple[list[str], list[str]]:
    """Return (trained, frozen) names, in their order.

    Raises ValueError when a name is under no rule or under several, a rule is over no name, or
    nothing is trained.
    """
    names = list(names)
    owners = {name: [r for r in config.rules if re.fullmatch(r[0], name)] for name in names}
    wrong = [
        f"{name} is under {len(rules)} rules {[pattern for pattern, _ in rules]}"
        for name, rules in owners.items()
        if len(rules) != 1
    ]
    if wrong:
        more = f" and {len(wrong) - SHOWN_NAMES} more" if len(wrong) > SHOWN_NAMES else ""
        raise ValueError(
            f"TrainableConfig.rules: expected one rule over every parameter: "
            f"{'; '.join(wrong[:SHOWN_NAMES])}{more}"
        )
    used = {rules[0] for rules in owners.values()}
    if idle := [pattern for pattern, action in config.rules if (pattern, action) not in used]:
        raise ValueError(
            f"TrainableConfig.rules: {idle} match no parameter; the names begin with "
            f"{names[:SHOWN_NAMES]}"
        )
    trained = [name for name in names if owners[name][0][1] == TRAIN]
    if not trained:
        raise ValueError("TrainableConfig.rules: nothing is trained; expected a rule with 'train'")
    return trained, [name for name in names if owners[name][0][1] == FREEZE]
