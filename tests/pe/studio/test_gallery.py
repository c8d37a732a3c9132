"""A gallery: prompts as people type them, pictures, votes; it goes on; `pe build` reads it."""

import json

import numpy as np
import pytest
from PIL import Image

from data_builders.image_source import ImageSource, ImageSourceConfig
from pe.cli import main
from pe.studio.gallery import UNKNOWN_FLAVORS, GalleryConfig, sample_prompt, write_gallery
from pe.studio.render import render
from pe.studio.scene import read_prompt
from pe.studio.world import FLAVORS

CONFIG = GalleryConfig(num_images=6, seed=3, size=64, num_processes=1)


def test_prompts_are_varied_and_name_a_thing_each():
    prompts = [sample_prompt(np.random.default_rng(seed)) for seed in range(400)]
    assert len(set(prompts)) > 390
    specs = [read_prompt(prompt) for prompt in prompts]
    assert all(spec.entities for spec in specs)
    assert 0.2 < np.mean([len(spec.entities) > 1 for spec in specs]) < 0.4
    assert 0.5 < np.mean([bool(spec.flavors) for spec in specs]) < 0.95
    unknown = [any(flavor in prompt for flavor in UNKNOWN_FLAVORS) for prompt in prompts]
    assert 0.4 < np.mean(unknown) < 0.9


def test_flavors_of_a_prompt_go_together():
    for seed in range(400):
        spec = read_prompt(sample_prompt(np.random.default_rng(seed)))
        redraws = [FLAVORS[name].order >= 2 for name in spec.flavors]  # lens, medium, flaw
        assert len(set(redraws)) == len(redraws), spec.flavors


def test_what_studio_is_said_not_to_know_it_does_not_know():
    for flavor in UNKNOWN_FLAVORS:
        assert read_prompt(f"a cat, {flavor}") == read_prompt("a cat"), flavor


def test_pictures_are_those_of_their_prompts_and_seeds(tmp_path):
    told = []
    write_gallery(tmp_path, CONFIG, progress=lambda *args: told.append(args))
    assert told == [(6, 6)]
    labels = sorted((tmp_path / "images").glob("*/*.json"))
    assert [label.stem for label in labels] == [f"{k:06d}" for k in range(6)]
    for label in labels:
        row = json.loads(label.read_text())
        with Image.open(label.with_suffix(".png")) as image:
            picture = np.asarray(image)
        assert np.array_equal(picture, render(row["prompt"], row["seed"], size=64))
        assert len(row["votes"]) == 7
    lines = [json.loads(line) for line in (tmp_path / "prompts.jsonl").read_text().splitlines()]
    assert [line["image"] for line in lines] == [
        label.with_suffix(".png").relative_to(tmp_path).as_posix() for label in labels
    ]
    rows = [json.loads(label.read_text()) for label in labels]
    assert [line["prompt"] for line in lines] == [row["prompt"] for row in rows]
    assert [line["score"] for line in lines] == [np.mean(row["votes"]) for row in rows]


def test_a_gallery_goes_on_where_it_was(tmp_path):
    write_gallery(tmp_path / "whole", CONFIG)
    write_gallery(tmp_path / "part", CONFIG)
    gone = tmp_path / "part" / "images" / "00"
    (gone / "000004.json").unlink()
    (gone / "000002.json").unlink()
    (gone / "000002.png").write_bytes(b"half")
    write_gallery(tmp_path / "part", CONFIG)
    for path in sorted((tmp_path / "whole").rglob("*.*")):
        other = tmp_path / "part" / path.relative_to(tmp_path / "whole")
        assert path.read_bytes() == other.read_bytes()


def test_another_gallerys_folder_is_refused(tmp_path):
    write_gallery(tmp_path / "a", GalleryConfig(num_images=1, size=64))
    with pytest.raises(ValueError, match="a gallery of other settings"):
        write_gallery(tmp_path / "a", GalleryConfig(num_images=2, size=64))
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "thesis.txt").write_text("mine")
    with pytest.raises(ValueError, match="is not empty and holds no gallery"):
        write_gallery(tmp_path / "b", CONFIG)


def test_the_builder_reads_pictures_and_prompts(tmp_path):
    write_gallery(tmp_path, CONFIG)
    source = ImageSource(tmp_path / "images", ImageSourceConfig(), shard_rows=10)
    ((_, table),) = source.tables(frozenset())
    assert table.num_rows == 6


def test_render_and_gallery_are_commands(tmp_path, capsys):
    sheet = tmp_path / "sheet.png"
    flags = ["--out", str(sheet), "-n", "5", "--size", "64"]
    assert main(["render", "a cat", "two dogs at night", *flags]) == 0
    with Image.open(sheet) as image:
        assert image.size == (4 * 64, 4 * 64)
    assert "10 pictures" in capsys.readouterr().err
    out = str(tmp_path / "gallery")
    assert main(["gallery", "--out", out, "--num_images", "2", "--gin.GalleryConfig.size=64"]) == 0
    assert len(list((tmp_path / "gallery").rglob("*.png"))) == 2
    for bad in (["-n", "0"], ["--size", "9"], ["--out", str(tmp_path / "x.gif")]):
        assert main(["render", "a cat", *flags, *bad]) == 2
