import dataclasses
from pathlib import Path

import pytest

from pe.config import (
    config_from_dict,
    config_to_dict,
    describe_configs,
    load_config,
    operative_config,
    quote_binding,
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class InnerConfig:
    rate: float = 0.5
    words: tuple[int, int] = (1, 2)
    path: str | None = None
    flag: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class OuterConfig:
    steps: int = 10
    names: tuple[str, ...] = ("a",)
    inner: InnerConfig = dataclasses.field(default_factory=InnerConfig)

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ValueError(f"OuterConfig.steps: got {self.steps}, expected 1 or more")


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "a.gin"
    path.write_text(text)
    return path


def test_without_files_the_defaults_stand():
    assert load_config(OuterConfig) == OuterConfig()


def test_files_and_flags_bind_nested_configs_and_the_flag_wins(tmp_path: Path):
    file = write(tmp_path, "STEPS = 20\nOuterConfig.steps = %STEPS\nInnerConfig.rate = 1\n")
    config = load_config(OuterConfig, [file], ["STEPS=30", "InnerConfig.words=(3, 4)"])
    assert config == OuterConfig(steps=30, inner=InnerConfig(rate=1.0, words=(3, 4)))


@pytest.mark.parametrize(
    ("text", "statement"),
    [
        ("STEPS=10", "STEPS = 10"),
        ("T.dtype=bfloat16", "T.dtype = 'bfloat16'"),
        ("T.name='x'", "T.name = 'x'"),
        ("T.size=%SIZE", "T.size = %SIZE"),
    ],
)
def test_a_bare_word_on_the_command_line_is_a_string(text: str, statement: str):
    assert quote_binding(text) == statement


@pytest.mark.parametrize(
    ("binding", "words"),
    [
        ("OuterConfig.stepz=3", ["stepz", "Did you mean OuterConfig.steps?"]),
        ("OutrConfig.steps=3", ["OutrConfig", "Known names: OuterConfig, InnerConfig"]),
        ("STEPZ=3", ["macro STEPZ is set but nothing uses it", "did you mean STEPS?"]),
        ("OuterConfig.steps=%MISSING", ["MISSING"]),
        ("OuterConfig.steps=0", ["OuterConfig.steps: got 0, expected 1 or more"]),
        ("OuterConfig.steps=1.5", ["OuterConfig.steps: got 1.5 (float), expected int"]),
        ("OuterConfig.steps=True", ["got True (bool), expected int"]),
        ("InnerConfig.flag=1", ["got 1 (int), expected bool"]),
        ("InnerConfig.words=(1, 2, 3)", ["InnerConfig.words", "tuple[int, int]"]),
        ("InnerConfig.path=3", ["InnerConfig.path: got 3 (int), expected str"]),
        ("scope/OuterConfig.steps=3", ["bound in a scope"]),
        ("nothing", ["expected --gin.NAME=VALUE"]),
    ],
)
def test_a_wrong_binding_says_what_is_wrong(tmp_path: Path, binding: str, words: list[str]):
    file = write(tmp_path, "STEPS = 20\nOuterConfig.steps = %STEPS\n")
    with pytest.raises(ValueError) as caught:  # noqa: PT011 (the words are asserted below)
        load_config(OuterConfig, [file], [binding])
    for word in words:
        assert word in str(caught.value)


def test_a_macro_that_is_mistyped_in_a_file_stops(tmp_path: Path):
    file = write(tmp_path, "STEPS = 20\nSTEP = 30\nOuterConfig.steps = %STEPS\n")
    with pytest.raises(ValueError, match="macro STEP is set but nothing uses it"):
        load_config(OuterConfig, [file])


def test_a_missing_file_and_a_broken_file_are_named(tmp_path: Path):
    with pytest.raises(ValueError, match=r"none\.gin' not found"):
        load_config(OuterConfig, [tmp_path / "none.gin"])
    with pytest.raises(ValueError, match="gin:"):
        load_config(OuterConfig, [write(tmp_path, "OuterConfig.steps = = 3\n")])


def test_one_load_leaves_nothing_for_the_next():
    load_config(OuterConfig, [], ["OuterConfig.steps=3"])
    assert load_config(OuterConfig).steps == 10


def test_the_operative_config_gives_the_config_back(tmp_path: Path):
    config = OuterConfig(steps=7, inner=InnerConfig(path="p", words=(2, 9)))
    file = write(tmp_path, operative_config(config))
    assert load_config(OuterConfig, [file]) == config


def test_a_config_survives_json():
    config = OuterConfig(names=("x", "y"), inner=InnerConfig(words=(5, 6)))
    assert config_from_dict(OuterConfig, config_to_dict(config)) == config
    with pytest.raises(ValueError, match="has no field 'other'"):
        config_from_dict(OuterConfig, {"other": 1})


def test_help_lists_every_name_with_its_default():
    text = describe_configs(OuterConfig)
    assert "  --gin.OuterConfig.steps=10" in text
    assert "  --gin.InnerConfig.words=(1, 2)" in text
