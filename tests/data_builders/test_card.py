"""The card, its plots and the Croissant description say what the pairs are."""

import json
from pathlib import Path

import pytest
from PIL import Image as PilImage

from data_builders.main import BuildConfig, build
from data_builders.pair_counts import PairCounts, count_pairs
from pe import shards
from pe.stages.local_runner import RunnerConfig

THINGS = ("fox", "barn", "lighthouse", "castle", "boat", "owl", "bridge", "garden")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("card")
    rows = [
        {"prompt": f"a {color} {thing} by the sea, {style}", "licence": licence}
        for thing in THINGS
        for color in ("red", "old", "tall")
        for style, licence in (("oil painting", "CC0-1.0"), ("watercolor, soft light", "MIT"))
    ]
    source = folder / "prompts.jsonl"
    source.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    build(source, folder / "data", BuildConfig(runner=RunnerConfig(shard_rows=10)))
    return folder / "data"


def test_counts_are_those_of_all_shards(dataset):
    counts, table = count_pairs(dataset / "pairs"), shards.read_shards(dataset / "pairs")
    assert counts.num_pairs == len(table)
    for name, found in counts.values.items():
        assert found == {r["values"]: r["counts"] for r in table[name].value_counts().to_pylist()}
    lengths = sorted(len(text.split()) for text in table["prompt"].to_pylist())
    assert [counts.quantile("prompt", q) for q in (0.0, 0.5, 1.0)] == [
        lengths[0], lengths[(len(lengths) - 1) // 2], lengths[-1],
    ]  # fmt: skip
    assert len(counts.samples) == min(20, len(table))
    rows = {(row["query"], row["prompt"]) for row in table.to_pylist()}
    assert {(row["query"], row["prompt"]) for row in counts.samples} <= rows


def test_the_card_shows_counts_rows_and_plots(dataset):
    card = (dataset / "README.md").read_text(encoding="utf-8")
    num = f"{len(shards.read_shards(dataset / 'pairs')):,} pairs"
    assert num in card
    assert "| MIT |" in card
    for name in ("kinds", "words"):
        assert f"(plots/{name}.png)" in card
        with PilImage.open(dataset / "plots" / f"{name}.png") as plot:
            assert plot.size == (1080, 360)


@pytest.mark.filterwarnings("ignore")  # the library's own
def test_croissant_is_valid_and_gives_the_rows(dataset):
    croissant = pytest.importorskip("mlcroissant", reason="the extra [croissant] is missing")
    found = croissant.Dataset(jsonld=str(dataset / "croissant.json"))
    assert not found.metadata.ctx.issues.errors
    table = shards.read_shards(dataset / "pairs")
    rows = [row for _, row in zip(range(5), found.records("pair"), strict=False)]
    assert {row["pair/query"].decode() for row in rows} <= set(table["query"].to_pylist())
    assert set(found.metadata.license) == {"CC0-1.0", "MIT"}


def test_a_shard_without_a_chosen_row_is_only_counted(dataset):
    table = shards.read_shards(dataset / "pairs")
    counts = PairCounts()
    counts.add(table, set())
    assert (counts.num_pairs, counts.samples) == (len(table), [])
