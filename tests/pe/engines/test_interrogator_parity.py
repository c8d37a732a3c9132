"""Our inversion gives the texts of the package clip-interrogator 0.6.0, which runs beside it here.

Both have the same weights, lists and captions. The package ranks exactly where a table is one
chunk, so it is given chunks that are large enough.
"""

import copy
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pe.data.clip_tokenizer import MERGE_FILE
from pe.engines.flavor_table import embed_phrases
from pe.engines.interrogator import Interrogator, InterrogatorConfig
from pe.engines.vision import load_encoder
from pe.text.flavor_list import TABLES, FlavorList

pytestmark = [
    pytest.mark.torch,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),  # the package calls what torch has deprecated
]

NUM_IMAGES = 20
NUM_CANDIDATES = 64
TIE = 1e-4  # cosines nearer than this may fall either way
WORDS = (
    "amber",
    "velvet",
    "stormy",
    "hollow",
    "gentle",
    "copper",
    "lunar",
    "woven",
    "marble",
    "drifting",
    "scarlet",
    "quiet",
    "frost",
    "tangled",
    "golden",
    "hazy",
    "ornate",
    "brittle",
    "misty",
    "radiant",
    "muted",
    "electric",
    "harbor",
    "lantern",
    "meadow",
    "engraving",
    "mosaic",
    "collage",
)
NAMES = (
    "orlo",
    "vint",
    "hask",
    "temba",
    "rill",
    "quen",
    "adra",
    "pavo",
    "zinn",
    "merek",
    "sohl",
    "ulfa",
)
CAPTIONS = tuple(
    f"{start} {thing}"
    for start in ("a photo of", "woven mosaic", "a small", "two pictures, one of them with")
    for thing in ("a dog in the grass", "a red ship", "it's 3 people, standing", "foxes", "light")
)


@pytest.fixture(scope="module")
def packages(transformers):
    return pytest.importorskip("clip_interrogator"), pytest.importorskip("open_clip")


@pytest.fixture(scope="module")
def encoder_folder(packages, torch, tmp_path_factory):
    """A small ViT with CLIP's own vocabulary, as open_clip keeps it."""
    from safetensors.torch import save_file

    config = copy.deepcopy(packages[1].get_model_config("ViT-B-32"))
    config["embed_dim"] = 64
    config["vision_cfg"].update(image_size=64, layers=2, width=64, patch_size=16, head_width=32)
    config["text_cfg"].update(width=64, heads=2, layers=2)
    generator = torch.Generator().manual_seed(0)
    model = packages[1].CLIP(**config)
    with torch.no_grad():
        # Its own drawing gives all texts nearly one embedding. Every matrix keeps a signal's size:
        # texts differ, and attention is soft, so that each of their words counts
        for name, values in model.named_parameters():
            if name == "logit_scale" or "ln_" in name or name.endswith("bias"):
                continue
            drawn = torch.randn(values.shape, generator=generator)
            if "embedding" in name:
                drawn *= 0.1 if "position" in name else 1.0
            elif name.endswith(("visual.proj", "text_projection")):
                drawn *= values.shape[0] ** -0.5  # [in out], all others [out in ...]
            else:
                drawn *= values[0].numel() ** -0.5
            values.copy_(drawn)
    folder = tmp_path_factory.mktemp("vit")
    arrays = {name: values.contiguous() for name, values in model.state_dict().items()}
    save_file(arrays, str(folder / "open_clip_model.safetensors"))
    text = json.dumps({"model_cfg": config, "preprocess_cfg": {}})
    (folder / "open_clip_config.json").write_text(text, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def package(packages, encoder_folder, tmp_path_factory):
    """The package's interrogator: 300 flavors, 30 mediums, 30 movements, 40 invented artists."""
    rng = np.random.default_rng(0)
    folder = tmp_path_factory.mktemp("lists")
    seen = set()
    for name, count in (("flavors", 300), ("mediums", 30), ("movements", 30), ("artists", 40)):
        lines = ["woven mosaic"] if name == "mediums" else []  # which a caption begins with
        while len(lines) < count:
            words = NAMES if name == "artists" else WORDS
            phrase = " ".join(rng.choice(words, rng.integers(1 + (name == "artists"), 6)))
            if phrase not in seen:
                seen.add(phrase)
                lines.append(phrase)
        (folder / f"{name}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "negative.txt").write_text("blurry\nwatermark\n", encoding="utf-8")
    model, _, preprocess = packages[1].create_model_and_transforms(f"local-dir:{encoder_folder}")
    config = packages[0].Config(
        caption_model_name=None,
        cache_path=str(tmp_path_factory.mktemp("cache")),
        data_path=str(folder),
        download_cache=False,
        chunk_size=4096,
        device="cpu",
        flavor_intermediate_count=NUM_CANDIDATES,
        quiet=True,
    )
    config.clip_model, config.clip_preprocess = model.eval(), preprocess
    return packages[0].Interrogator(config)


@pytest.fixture(scope="module")
def encoder(packages, encoder_folder):
    vocabulary = Path(packages[1].__file__).parent / MERGE_FILE
    return load_encoder(str(encoder_folder), vocabulary=str(vocabulary))


@pytest.fixture(scope="module")
def flavors(package):
    """The package's labels, table by table."""
    labels = {category: getattr(package, table).labels for table, category in TABLES.items()}
    return FlavorList(
        name="the package's",
        phrases=tuple(phrase for table in labels.values() for phrase in table),
        categories=tuple(category for category, table in labels.items() for _ in table),
        counts=(0,) * sum(map(len, labels.values())),
    )


@pytest.fixture(scope="module")
def table(encoder, flavors, tmp_path_factory):
    return embed_phrases(encoder, flavors.merged(), folder=tmp_path_factory.mktemp("embeddings"))


@pytest.fixture(scope="module")
def images():
    """Noise and gradients of several sizes and shapes."""
    rng = np.random.default_rng(1)
    found = []
    for i in range(NUM_IMAGES):
        grain = int(rng.integers(2, 24))
        pixels = rng.integers(0, 256, (grain, grain, 3), dtype=np.uint8)
        found.append(Image.fromarray(pixels).resize((70 + 7 * i, 90), Image.Resampling.BICUBIC))
    return found


@pytest.fixture(scope="module")
def image_embeddings(encoder, images):
    return encoder.encode_images(images)


def test_labels_and_images_have_the_packages_embeddings(
    package, flavors, table, images, image_embeddings
):
    theirs = [e for name in TABLES for e in getattr(package, name).embeds]
    assert len(theirs) == len(flavors) == 300 + 30 + 30 + 2 * 40 + 4 * 18
    np.testing.assert_allclose(table, np.stack(theirs), atol=1e-3)  # float16, in both
    for image, ours in zip(images, image_embeddings, strict=True):
        np.testing.assert_allclose(ours, package.image_to_features(image)[0], atol=1e-5)
    spread = (image_embeddings @ table.T).std(axis=1)
    assert spread.min() > 0.02  # the labels differ to each image, or texts would prove little


def first_difference(ours: str, theirs: str) -> tuple[list[str], list[str]]:
    """Cut two texts behind the first part that differs."""
    one, other = ours.split(", "), theirs.split(", ")
    same = next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), None)
    end = min(len(one), len(other)) + 1 if same is None else same + 1
    return one[:end], other[:end]


@pytest.mark.parametrize("mode", ["fast", "classic", "best"])
def test_the_texts_are_the_packages(
    mode, package, encoder, flavors, table, images, image_embeddings
):
    interrogator = Interrogator(
        encoder, flavors, table, config=InterrogatorConfig(mode=mode, num_candidates=NUM_CANDIDATES)
    )
    found = interrogator.invert(image_embeddings, CAPTIONS)
    ask = {
        "fast": package.interrogate_fast,
        "classic": package.interrogate_classic,
        "best": package.interrogate,
    }[mode]
    excused = 0
    for image, caption, ours in zip(images, CAPTIONS, found, strict=True):
        theirs = ask(image, caption=caption)
        features = package.image_to_features(image)
        assert ours.similarity == pytest.approx(package.similarity(features, ours.prompt), abs=TIE)
        ours_row, their_row = encoder.tokenizer.tokenize([ours.prompt, theirs])
        if (ours_row == their_row).all():  # a last flavor that the context cuts may be any
            continue
        # What was chosen between: single labels by their own cosine, links of a chain in place
        one, other = first_difference(ours.prompt, theirs)
        ends = [", ".join(parts) if mode == "best" else parts[-1] for parts in (one, other)]
        difference = np.subtract(*(package.similarity(features, text) for text in ends))
        assert abs(difference) < TIE, f"ours: {ours.prompt}\ntheirs: {theirs}"
        excused += 1
    assert excused <= 1
    parts = [len(one.prompt.split(", ")) for one in found]
    assert min(parts) >= 3


def test_the_chain_is_nearer_than_what_is_merely_listed(encoder, flavors, table, image_embeddings):
    means = {}
    for mode in ("fast", "classic", "best"):
        config = InterrogatorConfig(mode=mode, num_candidates=NUM_CANDIDATES)
        found = Interrogator(encoder, flavors, table, config=config).invert(
            image_embeddings, CAPTIONS
        )
        means[mode] = np.array([one.similarity for one in found])
    assert (means["best"] >= np.maximum(means["fast"], means["classic"]) - 1e-5).all()
