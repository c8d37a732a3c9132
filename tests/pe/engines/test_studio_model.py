"""The encoder, captioner and head that come along: found by name, small, right on what is drawn."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.stats import spearmanr

from pe.decode.caption import CaptionConfig
from pe.engines.aesthetics import AestheticConfig, load_scorer
from pe.engines.vision import CocaCaptioner, share_encoder
from pe.studio.gallery import sample_prompt
from pe.studio.render import draw_scene
from pe.studio.scene import fill_scene, read_prompt
from pe.studio.taste import score_picture
from pe.studio.world import SUBJECTS
from pe.weights.hub import find_files

SEED = 77_000


@pytest.fixture(scope="module")
def encoder():
    return share_encoder("studio")


def draw(prompt: str, seed: int) -> Image.Image:
    return Image.fromarray(draw_scene(fill_scene(read_prompt(prompt), seed)))


def test_it_is_found_by_name_and_is_small(tmp_path, monkeypatch):
    (tmp_path / "studio").mkdir()
    monkeypatch.chdir(tmp_path)  # a folder of that name is given as ./studio
    folder = find_files("studio")
    assert folder.parent.name == "weights"
    assert find_files("./studio") == Path("./studio")
    assert sum(path.stat().st_size for path in folder.rglob("*")) < 12e6


def test_it_tells_things_apart(encoder):
    names = list(SUBJECTS)[::4]
    pictures = [draw(f"a {name}, medium shot", SEED + k) for k, name in enumerate(names)]
    found = encoder.encode_images(pictures) @ encoder.encode_texts([f"a {n}" for n in names]).T
    assert np.mean(np.argmax(found, axis=1) == np.arange(len(names))) >= 0.9


def test_its_captions_are_read_back(encoder):
    captioner = CocaCaptioner(encoder, CaptionConfig(method="greedy"))
    names = list(SUBJECTS)
    pictures = [
        draw(f"two {SUBJECTS[name].plural} at night", SEED + k) for k, name in enumerate(names)
    ]
    captions = captioner.caption([captioner.prepare(picture) for picture in pictures])
    told = [read_prompt(caption) for caption in captions]
    assert (
        np.mean(
            [
                bool(t.entities) and t.entities[0].subject == n
                for t, n in zip(told, names, strict=True)
            ]
        )
        >= 0.9
    )
    assert np.mean([t.time == "night" for t in told]) >= 0.9


def test_its_head_ranks_as_the_crowd_does():
    scorer = load_scorer(AestheticConfig(weights="studio", encoder="studio"))
    assert scorer is not None
    pictures, tastes = [], []
    for number in range(60):
        rng = np.random.default_rng((SEED, number))
        scene = fill_scene(read_prompt(sample_prompt(rng)), int(rng.integers(2**31)))
        picture = draw_scene(scene)
        pictures.append(Image.fromarray(picture))
        tastes.append(score_picture(scene, picture))
    scores = scorer.score([scorer.prepare(picture) for picture in pictures])
    assert spearmanr(np.asarray(scores), tastes).statistic > 0.7  # pyright: ignore
