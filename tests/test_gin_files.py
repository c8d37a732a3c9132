"""Every gin file opens with its header, parses, and builds the config it is for."""

from pathlib import Path

import pytest

from data_builders.main import BuildConfig
from pe.config import load_config
from pe.refine.probe import ProbeRunConfig
from pe.refine.round import RefineConfig
from pe.refine.step_pairs import StepPairsConfig
from pe.train.encoder import EncoderConfig
from pe.train.run import TrainConfig

ROOT = Path(__file__).resolve().parents[1]
FILES = sorted(path for path in ROOT.glob("gin/**/*.gin") if path.parent.name != "t5x")
# all others: a T5's training
ROOTS = {
    "builders": BuildConfig,
    "probe": ProbeRunConfig,
    "refine": RefineConfig,
    "steps": StepPairsConfig,
    "studio": EncoderConfig,
}
HEADER = ("# Provides:", "# Requires:", "# Hardware:")
COMMANDS = ("probe", "refine", "runs", "steps", "studio")  # folders whose files name theirs


@pytest.fixture(autouse=True)
def in_the_repository(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(ROOT)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_gin_file_opens_with_its_header(path: Path):
    text = path.read_text(encoding="utf-8")
    header = [line for line in text.splitlines() if line.startswith("#")]
    for start in (*HEADER, *(["# Command:"] if path.parent.name in COMMANDS else [])):
        assert any(line.startswith(start) for line in header), f"{path} has no {start}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_gin_file_builds_its_config(path: Path):
    root = ROOTS.get(path.parent.name, TrainConfig)
    assert isinstance(load_config(root, [path]), root)


def test_gin_files_are_found_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    config = load_config(TrainConfig, [ROOT / "gin/runs/train.gin"])
    assert config.model.d_model == 256
