"""clip-interrogator as an engine: the texts of ours, and what is said where it is missing."""

import copy
import json
import warnings

import numpy as np
import pytest
from PIL import Image

from pe.data.clip_tokenizer import find_clip_vocabulary
from pe.engines.clip_interrogator import tidy_slots, write_lists
from pe.engines.interrogator import InterrogatorConfig
from pe.engines.inverter import InverterConfig, load_inverter
from pe.engines.vision import load_encoder
from pe.text.flavor_list import load_negative, parse_flavors

pytestmark = [pytest.mark.torch, pytest.mark.slow]

NUM_IMAGES = 4


@pytest.fixture(scope="module")
def package(transformers):
    """The package and open_clip, without the warnings of what they stand on."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield pytest.importorskip("clip_interrogator"), pytest.importorskip("open_clip")


@pytest.fixture(scope="module")
def encoder_folder(package, torch, tmp_path_factory):
    """A tiny ViT with the true vocabulary, made and written by open_clip."""
    from safetensors.torch import save_file

    config = copy.deepcopy(package[1].get_model_config("ViT-B-32"))
    config["embed_dim"] = 64
    config["vision_cfg"].update(image_size=64, layers=2, width=64, patch_size=16, head_width=32)
    config["text_cfg"].update(width=64, heads=2, layers=2)
    torch.manual_seed(0)
    model = package[1].CLIP(**config)
    folder = tmp_path_factory.mktemp("vit")
    state = {name: value.contiguous() for name, value in model.state_dict().items()}
    save_file(state, str(folder / "open_clip_model.safetensors"))
    text = json.dumps({"model_cfg": config, "preprocess_cfg": {}})
    (folder / "open_clip_config.json").write_text(text, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def flavors(tmp_path_factory):
    """A list of 500 phrases of one to six words, all different, in the package's five kinds."""
    rng = np.random.default_rng(0)
    words = (
        "amber", "velvet", "stormy", "hollow", "gentle", "copper", "lunar", "woven", "marble",
        "drifting", "scarlet", "quiet", "frosted", "tangled", "golden", "hazy", "ornate", "misty",
    )  # fmt: skip
    phrases: dict[str, str] = {}
    for category, count in (("flavor", 400), ("medium", 40), ("movement", 40), ("artist", 20)):
        size = 0
        while size < count:
            phrase = " ".join(rng.choice(words, rng.integers(1, 7)))
            phrase = f"by {phrase}" if category == "artist" else phrase
            if phrase not in phrases:
                phrases[phrase] = category
                size += 1
    path = tmp_path_factory.mktemp("lists") / "flavors.tsv"
    lines = (f"{phrase}\t0\t{category}\n" for phrase, category in phrases.items())
    path.write_text("".join(lines), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(1)
    found = []
    for i in range(NUM_IMAGES):
        size = int(rng.integers(2, 24))
        pixels = rng.integers(0, 256, (size, size, 3), dtype=np.uint8)
        found.append(Image.fromarray(pixels).resize((80 + 5 * i, 90), Image.Resampling.BICUBIC))
    return found


@pytest.mark.parametrize(
    ("mode", "artists"),
    [("fast", True), ("classic", True), ("best", True), ("classic", False), ("best", False)],
)
def test_both_engines_give_the_same_texts(
    package, encoder_folder, flavors, images, mode, artists, tmp_path
):
    vocabulary = find_clip_vocabulary("open_clip").path
    config = InverterConfig(
        encoder=str(encoder_folder),
        vocabulary=str(vocabulary),
        flavors=str(flavors),
        artists=artists,
        interrogator=InterrogatorConfig(mode=mode, num_candidates=96),
    )
    captions = [f"a photo of thing {i}, beside a wall" for i in range(NUM_IMAGES)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = load_inverter(
            InverterConfig(**{**vars(config), "engine": "clip-interrogator"}), folder=tmp_path
        )
    sites = theirs._package.trendings.labels
    inspired = [label for label in theirs._package.artists.labels if label.startswith("inspired")]
    assert bool(inspired) == artists
    extra = "".join(f"{s}\t0\tsite\n" for s in sites) + "".join(
        f"{a}\t0\tartist\n" for a in inspired
    )
    ours_list = tmp_path / "all.tsv"
    ours_list.write_text(flavors.read_text(encoding="utf-8") + extra, encoding="utf-8")
    ours = load_inverter(
        InverterConfig(**{**vars(config), "flavors": str(ours_list)}), folder=tmp_path
    )
    labels = load_encoder(str(encoder_folder), vocabulary=str(vocabulary)).encode_images(images)
    cosines = labels @ ours.interrogator.embeddings.T
    assert cosines.std(axis=1).min() >= 0.02
    found = ours.invert([ours.prepare(image) for image in images], captions)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wanted = theirs.invert([theirs.prepare(image) for image in images], captions)
    differing = [
        (one, other) for one, other in zip(found, wanted, strict=True) if one.prompt != other.prompt
    ]
    assert len(differing) <= 1, differing  # a tie may fall either way
    assert all(abs(one.similarity - other.similarity) < 1e-4 for one, other in differing)
    assert np.allclose(
        [one.similarity for one in found], [one.similarity for one in wanted], atol=1e-4
    )


def test_the_package_reads_open_clips_layout_alone(package, tmp_path):
    config = InverterConfig(engine="clip-interrogator", encoder=str(tmp_path))
    with pytest.raises(ValueError, match=r"has no open_clip_config\.json; clip-interrogator reads"):
        load_inverter(config)


@pytest.mark.parametrize("mode", ["classic", "best", "negative"])
def test_a_list_of_nothing_but_phrases_is_enough(package, encoder_folder, images, mode, tmp_path):
    (tmp_path / "plain.txt").write_text("fog\noil painting\nsoft light\n", encoding="utf-8")
    config = InverterConfig(
        engine="clip-interrogator",
        encoder=str(encoder_folder),
        flavors=str(tmp_path / "plain.txt"),
        interrogator=InterrogatorConfig(mode=mode, num_candidates=96, max_flavors=9),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        inverter = load_inverter(config, folder=tmp_path)
        (found,) = inverter.invert([inverter.prepare(images[0])], ["a fox by a wall"])
    assert found.prompt == tidy_slots(found.prompt)
    assert inverter._package.negative.labels == list(load_negative("own"))
    if mode == "classic":
        assert found.caption == "a fox by a wall"
        assert {"fog", "oil painting", "soft light"} < set(found.flavors)
        assert len(found.flavors) == 4  # and a site


def test_lists_are_written_once_and_whole(tmp_path):
    flavors = parse_flavors("fog\t9\tlight\nby mira\t2\tartist\n", "some", artists=True)
    for _ in range(2):
        write_lists(tmp_path, flavors, ["blurry", "watermark"])
        found = {path.name: path.read_text(encoding="utf-8") for path in tmp_path.iterdir()}
        assert found == {
            "flavors.txt": "fog\n",
            "artists.txt": "mira\n",
            "mediums.txt": "",
            "movements.txt": "",
            "negative.txt": "blurry\nwatermark\n",
        }
    (tmp_path / "mediums.txt").write_text("is there\n", encoding="utf-8")
    write_lists(tmp_path, flavors, ["blurry", "watermark"])
    assert (tmp_path / "mediums.txt").read_text(encoding="utf-8") == "is there\n"


def test_slots_without_a_phrase_are_left_out():
    assert tidy_slots("a fox,    , cubism,  , ") == "a fox, cubism"
    assert tidy_slots("a fox, oil,paint, fog") == "a fox, oil,paint, fog"
