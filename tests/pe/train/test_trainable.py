"""Rules over parameter names: each name under exactly one."""

import pytest

from pe.train.trainable import TrainableConfig, split_names

NAMES = ("embedding", "encoder.layers.0.mlp.wo.kernel", "soft_prompt")
PROMPT = (("soft_prompt", "train"), ("embedding|encoder[.].*", "freeze"))


def test_by_default_everything_is_trained():
    assert split_names(NAMES, TrainableConfig()) == (list(NAMES), [])


def test_names_are_split_in_their_order():
    trained, frozen = split_names(NAMES, TrainableConfig(rules=PROMPT))
    assert trained == ["soft_prompt"]
    assert frozen == ["embedding", "encoder.layers.0.mlp.wo.kernel"]


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        (PROMPT[:1], r"embedding is under 0 rules \[\]; encoder.* is under 0 rules"),
        (
            (*PROMPT, (".*prompt", "freeze")),
            r"soft_prompt is under 2 rules \['soft_prompt', '\.\*p",
        ),
        ((*PROMPT, ("decoder[.].*", "train")), r"\['decoder\[\.\]\.\*'\] match no parameter"),
        (((".*", "freeze"),), "nothing is trained"),
    ],
)
def test_rules_that_do_not_cover_every_name_once_are_refused(rules, message):
    with pytest.raises(ValueError, match=message):
        split_names(NAMES, TrainableConfig(rules=rules))


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        (((".*", "tune"),), "got 'tune' for '.*', expected 'train' or 'freeze'"),
        ((("(", "train"),), r"'\(' is no regular expression"),
    ],
)
def test_a_rule_that_is_none_is_named(rules, message):
    with pytest.raises(ValueError, match=message):
        TrainableConfig(rules=rules)


def test_a_type_that_is_not_offered_is_named():
    with pytest.raises(ValueError, match=r"TrainableConfig\.dtype: got 'float16'"):
        TrainableConfig(dtype="float16")
