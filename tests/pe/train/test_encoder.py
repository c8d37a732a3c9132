"""An encoder's training: it learns, goes on bit by bit, and ends as a model that engines load."""

import dataclasses
import json

import numpy as np
import pytest
from PIL import Image

from pe.cli import main
from pe.data.image_text import ImageTextConfig, ImageTextSource
from pe.decode.caption import CaptionConfig
from pe.engines.aesthetics import AestheticConfig, HeadScorer, load_scorer
from pe.engines.vision import CocaCaptioner, load_encoder
from pe.models.clip_config import ClipConfig, DecoderConfig, TextConfig, VisionConfig
from pe.studio.lesson import LessonConfig, write_lessons
from pe.train.encoder import EncoderConfig, train_encoder
from pe.train.image_text import ImageTextLossConfig
from pe.train.loop import LoopConfig
from pe.train.metrics import read_metrics
from pe.train.optimizer import OptimizerConfig
from pe.weights.aesthetic import open_head

WIDTH = 16


@pytest.fixture(scope="module")
def lessons(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lessons")
    config = LessonConfig(num_images=60, size=16, plain_frac=1.0, simple_frac=0.0, num_processes=1)
    write_lessons(folder, config)
    return folder


def make_config(**settings) -> EncoderConfig:
    loop = {"num_steps": 6, "log_every_steps": 2, "eval_every_steps": 3, "save_every_steps": 2}
    loop |= settings.pop("loop", {})
    values = {
        "model": ClipConfig(
            embed_dim=WIDTH,
            vision=VisionConfig(
                image_px=16, patch_px=8, width=WIDTH, num_layers=1, num_heads=2, mlp_width=32,
                num_pool_queries=3, num_pool_heads=2,
            ),
            text=TextConfig(
                context_tokens=16, vocab_size=600, width=WIDTH, num_layers=1, num_heads=2,
                mlp_width=32, has_class_token=True,
            ),
        ),
        "decoder": DecoderConfig(
            context_tokens=16, width=WIDTH, num_layers=1, num_heads=2, mlp_width=4 * WIDTH
        ),
        "data": ImageTextConfig(batch_rows=8, num_held_out=10, caption_tokens=16),
        "loss": ImageTextLossConfig(caption_weight=1.0, vote_weight=0.1),
        "writes_captions": True,
        "optimizer": OptimizerConfig(name="muon", learning_rate=1e-2),
        "loop": LoopConfig(**loop),
    }  # fmt: skip
    return EncoderConfig(**{**values, **settings})


def run(lessons, out, config) -> str:
    return train_encoder(lessons, out, config, console=lambda step, metrics: None)


@pytest.fixture(scope="module")
def trained(lessons, tmp_path_factory):
    out = tmp_path_factory.mktemp("run") / "whole"
    assert run(lessons, out, make_config()) == "done"
    return out


@pytest.mark.slow
def test_a_run_that_was_cut_off_ends_with_the_same_parameters(lessons, trained, tmp_path):
    out = tmp_path / "cut"
    config = make_config()
    short = dataclasses.replace(config, loop=dataclasses.replace(config.loop, num_steps=3))
    run(lessons, out, short)
    described = json.loads((out / "run.json").read_text())
    described["config"]["loop"]["num_steps"] = 6
    (out / "run.json").write_text(json.dumps(described), encoding="utf-8")
    assert run(lessons, out, config) == "done"
    for path in ("model/open_clip_model.safetensors", "model/head/aesthetic.safetensors"):
        assert (out / path).read_bytes() == (trained / path).read_bytes()


@pytest.mark.slow
def test_its_lines_tell_what_is_learned(trained):
    rows = read_metrics(trained / "metrics.jsonl")
    logged = [row for row in rows if "learning_rate" in row]
    assert [row["step"] for row in logged] == [2, 4, 6]
    assert {"contrast", "recall", "caption_nll", "vote_error"} <= logged[0].keys()
    assert logged[-1]["caption_nll"] < logged[0]["caption_nll"]
    assert [row["step"] for row in rows if "held_out/recall" in row] == [3, 6]


@pytest.mark.slow
def test_its_model_is_loaded_as_real_ones_are(lessons, trained):
    encoder = load_encoder(str(trained / "model"))
    source = ImageTextSource(lessons)
    images = [Image.fromarray(pixels) for pixels in source.pixels(np.arange(4))]
    embeddings = encoder.encode_images(images)
    assert embeddings.shape == (4, WIDTH)
    assert np.allclose(np.linalg.norm(embeddings, axis=1), 1, atol=1e-5)
    assert encoder.encode_texts(["a red cat", "zyx"]).shape == (2, WIDTH)
    captioner = CocaCaptioner(encoder, CaptionConfig(max_tokens=12))
    assert len(captioner.caption([captioner.prepare(image) for image in images])) == 4
    scorer = HeadScorer(encoder, open_head(trained / "model" / "head"))
    scores = scorer.score([scorer.prepare(image) for image in images])
    assert np.all((scores > 1) & (scores < 10))
    model = str(trained / "model")
    same = load_scorer(AestheticConfig(weights=model, encoder=model))
    assert np.array_equal(same.score([same.prepare(image) for image in images]), scores)


@pytest.mark.slow
def test_a_run_begins_with_an_earlier_one_s_model(lessons, trained, tmp_path):
    still = OptimizerConfig(name="adamw", learning_rate=1e-12)
    config = make_config(optimizer=still)
    out, init = tmp_path / "on", trained / "model"
    quiet = {"console": lambda step, metrics: None}
    assert train_encoder(lessons, out, config, init=init, **quiet) == "done"
    for name in ("open_clip_model.safetensors", "vocab.json", "merges.txt"):
        assert (out / "model" / name).read_bytes() == (init / name).read_bytes(), name
    heads = [open_head(folder / "head").weights[0] for folder in (init, out / "model")]
    np.testing.assert_allclose(*heads, rtol=1e-6)
    other = make_config(writes_captions=False, loss=ImageTextLossConfig(vote_weight=0.1))
    with pytest.raises(ValueError, match="is of another config than this run's"):
        train_encoder(lessons, tmp_path / "other", other, init=init, **quiet)


def test_other_settings_or_pictures_do_not_go_on_there(lessons, trained, tmp_path):
    other = make_config(loop={"num_steps": 7})
    with pytest.raises(ValueError, match="holds a run of other settings or data; choose another"):
        run(lessons, trained, other)
    (tmp_path / "mine.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(ValueError, match="is not empty and holds no run"):
        run(lessons, tmp_path, make_config())


def test_settings_that_do_not_fit_are_refused(lessons, tmp_path):
    model = make_config().model
    wrong = dataclasses.replace(model, vision=dataclasses.replace(model.vision, image_px=32))
    with pytest.raises(
        ValueError, match=r"holds pictures of 16 pixels, VisionConfig\.image_px is 32"
    ):
        run(lessons, tmp_path / "run", make_config(model=wrong))
    with pytest.raises(ValueError, match=r"export_dtype: got 'int8', expected float16 or float32"):
        make_config(export_dtype="int8")
    with pytest.raises(ValueError, match="num_microbatches: 3 does not divide"):
        make_config(loop={"num_microbatches": 3})
    assert not (tmp_path / "run").exists()


def test_the_command_says_what_is_wrong_with_its_data(tmp_path, capsys):
    args = ["train_encoder", "--data", str(tmp_path), "--out", str(tmp_path / "run")]
    assert main(args) == 2
    assert "holds no image_text.json; expected a folder of pe lessons" in capsys.readouterr().err
