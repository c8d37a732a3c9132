"""A tiny Stable Diffusion in diffusers' own layout: what it draws depends on prompt and seed."""

import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from pe.engines.t2i import T2iConfig
from pe.studio.image_model import StudioModel, load_image_model

pytestmark = pytest.mark.torch
WORDS = ("a", "red", "fox", "boat", "in", "fog")


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory, transformers):
    """A StableDiffusionPipeline of random weights, saved by diffusers."""
    torch = pytest.importorskip("torch", reason="needs the extra [t2i]")
    diffusers = pytest.importorskip("diffusers", reason="needs the extra [t2i]")
    folder = tmp_path_factory.mktemp("pipeline")
    tokens = ["<|startoftext|>", "<|endoftext|>", *(f"{word}</w>" for word in WORDS)]
    letters = sorted({letter for word in WORDS for letter in word})
    tokens += [*letters, *(f"{letter}</w>" for letter in letters if f"{letter}</w>" not in tokens)]
    (folder / "vocab.json").write_text(json.dumps({t: i for i, t in enumerate(tokens)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    tokenizer = transformers.CLIPTokenizer(
        str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=16
    )
    torch.manual_seed(0)
    text = transformers.CLIPTextModel(
        transformers.CLIPTextConfig(
            vocab_size=len(tokens), hidden_size=32, intermediate_size=37, num_hidden_layers=2,
            num_attention_heads=4, max_position_embeddings=16, bos_token_id=0, eos_token_id=1,
            pad_token_id=1,
        )
    )  # fmt: skip
    unet = diffusers.UNet2DConditionModel(
        block_out_channels=(32, 64), layers_per_block=1, sample_size=8, in_channels=4,
        out_channels=4, down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"), cross_attention_dim=32,
        norm_num_groups=32,
    )  # fmt: skip
    vae = diffusers.AutoencoderKL(
        block_out_channels=(32, 64), in_channels=3, out_channels=3,
        down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2,
        latent_channels=4,
    )  # fmt: skip
    made = diffusers.StableDiffusionPipeline(
        vae=vae, text_encoder=text, tokenizer=tokenizer, unet=unet,
        scheduler=diffusers.DDIMScheduler(
            clip_sample=False, set_alpha_to_one=False, steps_offset=1
        ),
        safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip
    made.save_pretrained(folder / "safe")
    made.save_pretrained(folder / "pickled", safe_serialization=False)
    return folder


def settings(pipeline, **more):
    values = {"num_steps": 2, "size_px": 64, "batch_images": 2, **more}
    return T2iConfig(model=str(pipeline / "safe"), **values)


def test_a_picture_depends_on_prompt_and_seed_and_not_on_its_company(pipeline):
    model = load_image_model(settings(pipeline))
    prompts = ["a red fox", "a boat in fog", "a red fox"]
    together = [np.asarray(p, float) for p in model.render(prompts, [1, 1, 2])]
    assert [picture.shape for picture in together] == [(64, 64, 3)] * 3
    for prompt, seed, expected in zip(prompts, [1, 1, 2], together, strict=True):
        alone = np.asarray(model.render([prompt], [seed])[0], float)
        assert np.abs(alone - expected).max() <= 2  # of 255: batches round otherwise
    assert np.abs(together[0] - together[1]).max() > 2
    assert np.abs(together[0] - together[2]).max() > 20
    again = load_image_model(settings(pipeline))
    assert again.name == model.name
    np.testing.assert_array_equal(np.asarray(again.render(["a red fox"], [1])[0]),
                                  np.asarray(model.render(["a red fox"], [1])[0]))  # fmt: skip
    model.close()


def test_threads_take_turns(pipeline):
    model = load_image_model(settings(pipeline))
    prompts = ["a red fox", "a boat in fog", "a fox", "a boat"]
    expected = [np.asarray(model.render([p], [3])[0]) for p in prompts]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda prompt: model.render([prompt], [3])[0], prompts))
    for one, other in zip(expected, found, strict=True):
        np.testing.assert_array_equal(one, np.asarray(other))
    model.close()


def test_a_batch_that_does_not_fit_is_halved(pipeline, monkeypatch):
    model = load_image_model(settings(pipeline, batch_images=4))
    draw, sizes = model._draw, []

    class OutOfMemoryError(RuntimeError):
        """As torch's is called."""

    def draw_two(prompts, seeds):
        sizes.append(len(prompts))
        if len(prompts) > 2:
            raise OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
        return draw(prompts, seeds)

    monkeypatch.setattr(model, "_draw", draw_two)
    assert len(model.render(["a fox"] * 5, [1, 2, 3, 4, 5])) == 5
    assert sizes == [4, 2, 2, 1]


def test_a_name_tells_the_files_and_the_settings(pipeline, tmp_path):
    names = {
        load_image_model(settings(pipeline, **more)).name
        for more in ({}, {"num_steps": 3}, {"guidance": 2.0}, {"negative_prompt": "fog"})
    }
    assert len(names) == 4
    assert all(name.startswith("safe#") for name in names)


def test_pickled_weights_are_refused(pipeline):
    with pytest.raises(ValueError, match=r"pickled is no pipeline that diffusers reads"):
        load_image_model(T2iConfig(model=str(pipeline / "pickled")))


def test_what_is_no_pipeline_is_said(pipeline, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match=r"holds no model_index.json"):
        load_image_model(T2iConfig(model=str(tmp_path)))
    with pytest.raises(ValueError, match=r"no folder 'no such thing', and it is no hub name"):
        load_image_model(T2iConfig(model="no such thing"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ValueError, match=r"no folder 'org/none', and the hub did not give it"):
        load_image_model(T2iConfig(model="org/none"))


def test_a_setting_that_a_pipeline_does_not_take_is_named(pipeline):
    model = load_image_model(settings(pipeline, guidance=3.0))
    model._known = model._known - {"guidance_scale"}
    with pytest.raises(ValueError, match=r"takes no guidance_scale; leave it out"):
        model.render(["a fox"], [0])


def test_studio_is_what_a_config_names_by_default():
    model = load_image_model(T2iConfig())
    assert isinstance(model, StudioModel)
    assert model.name == "studio@256"
    assert load_image_model(T2iConfig(size_px=64)).name == "studio@64"
