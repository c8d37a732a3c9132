"""A flavor's effect is the paired rise of its own cosine; a probe goes on where it was."""

import json

import numpy as np
import pytest
from PIL import Image

from pe.cli import main
from pe.engines.engine_error import RequestError
from pe.refine.pictures import PictureConfig
from pe.refine.probe import (
    Effect,
    ProbeConfig,
    ProbeRunConfig,
    measure_change,
    probe_flavors,
    read_effects,
)
from pe.refine.pruning import NOT_DRAWN, NOT_LIKED, find_unwanted
from pe.refine.selection import SelectConfig
from pe.studio.image_model import StudioModel

CONFIG = ProbeConfig(subjects=("a cat", "a boat"), seeds_per_subject=3)


class ColorEncoder:
    """Sees how red a picture is, and reads "red" and its opposite."""

    digest = "color"

    def encode_images(self, images):
        red = np.asarray([np.asarray(i, float)[..., 0].mean() / 255 for i in images])
        return np.stack([red, np.sqrt(1 - red**2)], axis=1)

    def encode_texts(self, texts):
        return np.asarray([[1.0, 0.0] if "red" in t else [0.0, 1.0] for t in texts])


class Painter:
    """Paints a grey by the seed; "red" makes it redder, "blue" is refused, all else is nothing."""

    name = "painter"

    def __init__(self):
        self.num_drawn = 0

    def render(self, prompts, seeds):
        self.num_drawn += len(prompts)
        found = []
        for prompt, seed in zip(prompts, seeds, strict=True):
            grey = 60 + seed % 40
            color = (grey + 80 if "red" in prompt else grey, grey, grey)
            refused = RequestError("status_400")
            found.append(refused if "blue" in prompt else Image.new("RGB", (64, 64), color))
        return found

    def close(self):
        pass


class RedScorer:
    """Likes pictures the less, the redder they are."""

    def prepare(self, image):
        return np.asarray(image, float)[..., 0].mean() / 255

    def score(self, prepared):
        return 5 - np.asarray(prepared)


def probe(out, flavors, painter=None, config=CONFIG, scorer=None):
    return probe_flavors(
        flavors, out, config, model=painter or Painter(), encoder=ColorEncoder(),
        pictures=PictureConfig(), scorer=scorer, rater="red" if scorer else "",
    )  # fmt: skip


def test_a_change_is_a_mean_with_its_interval():
    found = measure_change(np.asarray([0.1, 0.2, 0.3]))
    assert found.mean == pytest.approx(0.2)
    assert (found.low, found.high) == pytest.approx((-0.0484, 0.4484), abs=1e-3)


@pytest.mark.parametrize(
    ("low", "num", "is_drawn"), [(0.1, 4, True), (-0.1, 4, False), (0.0, 0, False)]
)
def test_drawn_is_what_surely_rises(low, num, is_drawn):
    assert Effect(flavor="ink", mean=0.2, low=low, high=0.3, num=num).is_drawn == is_drawn


def test_what_the_model_draws_rises_and_what_it_ignores_does_not(tmp_path):
    red, nothing, refused = probe(tmp_path / "p", ["8k", "red light", "blue", "red light"])
    assert red.flavor == "red light"
    assert red.mean == pytest.approx(80 / 255, abs=1e-3)
    assert red.num == 6
    assert red.is_drawn
    assert nothing == Effect(flavor="8k", mean=0.0, low=0.0, high=0.0, num=6)
    assert (refused.flavor, refused.num, refused.reason) == ("blue", 0, "status_400")
    page = (tmp_path / "p" / "probe.html").read_text()
    assert "1 of 3 flavors surely move a picture" in page
    assert page.count("<svg") == 3


def test_a_probe_goes_on_where_it_was_and_refuses_other_settings(tmp_path):
    out, first, second = tmp_path / "p", Painter(), Painter()
    probe(out, ["red light", "8k"], first)
    assert first.num_drawn == 6 * 3
    with (out / "probe.jsonl").open("a") as lines:
        lines.write('{"flavor": "in')  # killed while it was written
    found = probe(out, ["red light", "8k", "ink"], second)
    assert second.num_drawn == 6
    assert sorted(effect.flavor for effect in found) == ["8k", "ink", "red light"]
    assert [effect.flavor for effect in read_effects(out / "probe.jsonl")] == [
        "red light", "8k", "ink",
    ]  # fmt: skip
    with pytest.raises(ValueError, match=r"holds a probe of other settings or models"):
        probe(out, ["ink"], config=ProbeConfig(subjects=("a fox",), seeds_per_subject=2))
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").touch()
    with pytest.raises(ValueError, match=r"is not empty and holds no probe"):
        probe(tmp_path / "other", ["ink"])


def test_refine_reads_which_flavors_are_not_drawn(tmp_path):
    out = tmp_path / "p"
    probe(out, ["red light", "8K", "blue"])
    config = SelectConfig(probe=str(out / "probe.jsonl"))
    assert find_unwanted(config) == (("8k", NOT_DRAWN),)  # of "blue" nothing is known
    assert find_unwanted(SelectConfig()) == ()
    with pytest.raises(ValueError, match=r"there is no file nowhere; run pe probe"):
        find_unwanted(SelectConfig(probe="nowhere"))
    (tmp_path / "bad").write_text('{"flavor": 1}\n{"x": 2}\n')
    with pytest.raises(ValueError, match=r"bad:1 is no line of a probe"):
        read_effects(tmp_path / "bad")


def test_refine_reads_which_flavors_are_not_liked(tmp_path):
    out = tmp_path / "p"
    red, nothing = probe(out, ["red light", "8K"], scorer=RedScorer())
    assert red.rating is not None
    assert nothing.rating is not None
    assert red.rating.mean == pytest.approx(-80 / 255, abs=1e-3)
    assert nothing.rating.mean == 0.0
    assert read_effects(out / "probe.jsonl") == [red, nothing]
    assert "<th class=n>rating</th>" in (out / "probe.html").read_text()
    lines = str(out / "probe.jsonl")
    assert find_unwanted(SelectConfig(probe=lines)) == (("8k", NOT_DRAWN),)
    found = find_unwanted(SelectConfig(probe=lines, least_rating_change=0.0))
    assert found == (("8k", NOT_DRAWN), ("red light", NOT_LIKED))
    assert find_unwanted(SelectConfig(probe=lines, least_rating_change=-0.5)) == found[:1]
    with pytest.raises(ValueError, match=r"holds a probe of other settings or models"):
        probe(out, ["ink"])
    probe(tmp_path / "unrated", ["ink"])
    unrated = SelectConfig(probe=str(tmp_path / "unrated" / "probe.jsonl"), least_rating_change=0.0)
    with pytest.raises(ValueError, match=r"holds no ratings, which SelectConfig.least_rating"):
        find_unwanted(unrated)
    with pytest.raises(ValueError, match=r"least_rating_change is set, and SelectConfig.probe"):
        SelectConfig(least_rating_change=0.0)


@pytest.mark.slow
def test_the_command_probes_studio_with_a_real_encoder(tmp_path, encoder_folder, capsys):
    flavors, out = tmp_path / "flavors.txt", tmp_path / "p"
    flavors.write_text("pixel art\n8k\n")
    settings = ["--gin.T2iConfig.size_px=64", "--gin.ProbeConfig.subjects=('a cat',)"]
    command = ["probe", "--flavors", str(flavors), "--encoder", str(encoder_folder)]
    assert main([*command, "--out", str(out), *settings]) == 0
    told = capsys.readouterr().out
    assert "pixel art" in told
    by_flavor = {e.flavor: e for e in read_effects(out / "probe.jsonl")}
    assert by_flavor["8k"].mean == 0.0  # Studio does not know it
    assert by_flavor["pixel art"].mean != 0.0
    settings = json.loads((out / "probe.json").read_text())
    assert settings["model"] == StudioModel(64).name


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ProbeConfig(subjects=()), "expected one subject and one seed"),
        (lambda: ProbeConfig(subjects=("a",), seeds_per_subject=1), "needs two pictures or more"),
        (lambda: ProbeRunConfig(encoder="e"), "ProbeRunConfig.flavors is not set; give --flavors"),
        (lambda: ProbeRunConfig(flavors="own"), "ProbeRunConfig.encoder is not set"),
    ],
)
def test_settings_that_make_no_sense_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
