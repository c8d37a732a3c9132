"""Measure Studio's encoder, captioner, aesthetic head and inversion on pictures they never saw.

python tools/measure_studio.py --model encoder/model [--num_images 1000] [--num_inversions 500]

All by the code that real weights go through. Truth is the scene that was drawn:

recall        of 100 pictures a text (caption and flavors) finds its own
subject       96-way, pictures of one kind of thing, all and by the number of their flavors; a class
              is the mean of its texts: one or three of it, in every place at every time of day
flavor        60-way (drawn once, by a seed) and of all, pictures with one flavor
count         1 to 5, as many of each, of a thing that is told
captions      first thing, its color (where colors can be seen) and its count, read from the caption
head          rank correlation with the crowd's taste, which is hidden from it
inversion     mode best from our own caption: the drawn flavor among the first three found
"""

import argparse
import json
import time

import numpy as np
from PIL import Image
from scipy.stats import spearmanr

from pe.axes import Float
from pe.decode.caption import CaptionConfig
from pe.engines.aesthetics import HeadScorer
from pe.engines.flavor_table import embed_phrases
from pe.engines.interrogator import Interrogator, InterrogatorConfig
from pe.engines.vision import ClipEncoder, CocaCaptioner, load_encoder
from pe.studio.gallery import sample_prompt, say_place, say_time
from pe.studio.lesson import COUNT_WORDS, can_count, caption_scene, order_entities, shows_color
from pe.studio.render import draw_scene
from pe.studio.scene import PLACES, TIMES, Scene, fill_scene, read_prompt
from pe.studio.taste import score_picture
from pe.studio.world import FLAVORS, SUBJECTS
from pe.text.flavor_list import load_flavors
from pe.weights.aesthetic import HEAD_FOLDER, open_head
from pe.weights.hub import find_files

SEED = 2_000_000  # far from those of lessons and galleries
CROWD, MAX_COUNT, NUM_FLAVORS = 100, 5, 60


class Pictures:
    """Drawn pictures with their scenes and embeddings."""

    def __init__(self, encoder: ClipEncoder, num: int, *, slot: int, many_frac: float = 0.25):
        self.scenes: list[Scene] = []
        self.images: list[Image.Image] = []
        self.tastes: list[float] = []
        for number in range(num):
            rng = np.random.default_rng((SEED, slot, number))
            prompt, seed = sample_prompt(rng, many_frac=many_frac), int(rng.integers(2**31))
            scene = fill_scene(read_prompt(prompt), seed)
            picture = draw_scene(scene)
            self.scenes.append(scene)
            self.images.append(Image.fromarray(picture))
            self.tastes.append(score_picture(scene, picture))
        self.embeddings = encoder.encode_images(self.images)

    def where(self, numbers: list[int]) -> Float[np.ndarray, "B E"]:
        return self.embeddings[np.asarray(numbers, int)]


def name_things(name: str, count: int) -> str:
    return f"a {name}" if count == 1 else f"{COUNT_WORDS[count]} {SUBJECTS[name].plural}"


def embed_classes(encoder: ClipEncoder, classes: list[list[str]]) -> Float[np.ndarray, "C E"]:
    """Embed each class as the mean of its texts."""
    means = [encoder.encode_texts(texts).mean(axis=0) for texts in classes]
    return np.stack([mean / np.linalg.norm(mean) for mean in means])


def measure_recall(encoder: ClipEncoder, pictures: Pictures) -> float:
    texts = [", ".join([caption_scene(s), *s.flavors]) for s in pictures.scenes]
    embedded = encoder.encode_texts(texts)
    hits = []
    for begin in range(0, len(texts) // CROWD * CROWD, CROWD):
        part = slice(begin, begin + CROWD)
        best = np.argmax(embedded[part] @ pictures.embeddings[part].T, axis=1)
        hits += (best == np.arange(CROWD)).tolist()
    return float(np.mean(hits))


def measure_subject(encoder: ClipEncoder, pictures: Pictures) -> tuple[dict[str, float], list[str]]:
    names = list(SUBJECTS)
    places = [f"{say_place(place)} {say_time(time)}" for place in PLACES for time in TIMES]
    texts = [
        [f"{name_things(name, count)} {place}" for place in places for count in (1, 3)]
        for name in names
    ]
    classes = embed_classes(encoder, texts)
    chosen = [i for i, scene in enumerate(pictures.scenes) if len(scene.entities) == 1]
    best = np.argmax(pictures.where(chosen) @ classes.T, axis=1)
    pairs = [
        (pictures.scenes[i].entities[0].subject, names[b])
        for i, b in zip(chosen, best, strict=True)
    ]
    hits: dict[str, list[bool]] = {"subject_96": [true == found for true, found in pairs]}
    for i, is_right in zip(chosen, hits["subject_96"], strict=True):
        name = f"subject_96_with_{len(pictures.scenes[i].flavors)}_flavors"
        hits.setdefault(name, []).append(is_right)
    wrong = [f"{true} -> {found}" for true, found in pairs if true != found]
    return {name: float(np.mean(hits[name])) for name in sorted(hits)}, wrong


def measure_flavor(
    encoder: ClipEncoder, pictures: Pictures, names: list[str]
) -> tuple[float, list[str]]:
    classes = encoder.encode_texts(names)
    chosen = [
        i
        for i, scene in enumerate(pictures.scenes)
        if len(scene.flavors) == 1 and scene.flavors[0] in names
    ]
    best = np.argmax(pictures.where(chosen) @ classes.T, axis=1)
    pairs = [(pictures.scenes[i].flavors[0], names[b]) for i, b in zip(chosen, best, strict=True)]
    wrong = [f"{true} -> {found}" for true, found in pairs if true != found]
    return 1 - len(wrong) / len(pairs), wrong


def measure_count(encoder: ClipEncoder, pictures: Pictures) -> float:
    by_count: dict[int, list[bool]] = {count: [] for count in range(1, MAX_COUNT + 1)}
    for scene, embedding in zip(pictures.scenes, pictures.embeddings, strict=True):
        thing = scene.entities[0]
        if len(scene.entities) != 1 or thing.count not in by_count or not can_count(scene):
            continue
        texts = [name_things(thing.subject, count) for count in by_count]
        found = int(np.argmax(encoder.encode_texts(texts) @ embedding)) + 1
        by_count[thing.count].append(found == thing.count)
    return float(np.mean([np.mean(hits) for hits in by_count.values()]))


def measure_captions(encoder: ClipEncoder, pictures: Pictures) -> dict[str, float]:
    captioner = CocaCaptioner(encoder, CaptionConfig(method="greedy"))
    captions = captioner.caption([captioner.prepare(image) for image in pictures.images])
    hits: dict[str, list[bool]] = {"subject": [], "color": [], "count": [], "subject_alone": []}
    for scene, caption in zip(pictures.scenes, captions, strict=True):
        told = read_prompt(caption).entities
        thing, found = order_entities(scene.entities)[0], told[0] if told else None
        is_right = found is not None and found.subject == thing.subject
        hits["subject"].append(is_right)
        if len(scene.entities) == 1:
            hits["subject_alone"].append(is_right)
        if shows_color(scene):
            hits["color"].append(found is not None and found.color == thing.color)
        if can_count(scene):
            hits["count"].append(found is not None and found.count == thing.count)
    return {name: float(np.mean(found)) for name, found in hits.items()}


def measure_inversion(encoder: ClipEncoder, pictures: Pictures, num: int) -> dict[str, float]:
    flavors = load_flavors("studio")
    inverter = Interrogator(
        encoder,
        flavors,
        embed_phrases(encoder, flavors.merged()),
        config=InterrogatorConfig(mode="best", min_flavors=3, max_flavors=4),
    )
    captioner = CocaCaptioner(encoder, CaptionConfig(method="greedy"))
    chosen = [i for i, scene in enumerate(pictures.scenes) if len(scene.flavors) == 1][:num]
    captions = captioner.caption([captioner.prepare(pictures.images[i]) for i in chosen])
    begin = time.perf_counter()
    found = inverter.invert(pictures.where(chosen), captions, measure=False)
    secs = time.perf_counter() - begin
    is_found, is_right, at = [], [], []
    for i, inverted, caption in zip(chosen, found, captions, strict=True):
        scene, told = pictures.scenes[i], read_prompt(caption).entities
        is_found.append(scene.flavors[0] in inverted.flavors[:3])
        at.append(scene.flavors[0] == (inverted.flavors or ("",))[0])
        is_right.append(bool(told) and told[0].subject == order_entities(scene.entities)[0].subject)
    return {
        "num": len(chosen),
        "flavor_in_first_three": float(np.mean(is_found)),
        "flavor_first": float(np.mean(at)),
        "caption_subject": float(np.mean(is_right)),
        "secs": secs,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--model", required=True, help="the model/ of pe train_encoder")
    parser.add_argument("--num_images", type=int, default=1000)
    parser.add_argument("--num_inversions", type=int, default=500)
    parser.add_argument("--show", type=int, default=12, metavar="N", help="errors to show (12)")
    args = parser.parse_args()
    encoder = load_encoder(args.model)
    pictures = Pictures(encoder, args.num_images, slot=0)
    names = list(FLAVORS)
    rng = np.random.default_rng(0)
    sixty = sorted(rng.choice(names, NUM_FLAVORS, replace=False).tolist())
    subjects, wrong_subjects = measure_subject(encoder, pictures)
    single = Pictures(encoder, args.num_images, slot=1, many_frac=0.8)
    flavor, _ = measure_flavor(encoder, pictures, sixty)
    all_flavors, wrong_flavors = measure_flavor(encoder, pictures, names)
    head = open_head(find_files(args.model) / HEAD_FOLDER)
    scores = HeadScorer(encoder, head).head.score(pictures.embeddings)
    measured = {
        "recall_1_of_100": measure_recall(encoder, pictures),
        **subjects,
        "flavor_60": flavor,
        f"flavor_{len(names)}": all_flavors,
        "count_5": measure_count(encoder, single),
        "captions": measure_captions(encoder, pictures),
        "head_rank_correlation": float(
            spearmanr(np.asarray(scores), pictures.tastes).statistic  # pyright: ignore
        ),
        "inversion": measure_inversion(encoder, pictures, args.num_inversions),
    }
    print(json.dumps(measured, indent=1))
    print("subjects:", "; ".join(wrong_subjects[: args.show]))
    print("flavors:", "; ".join(wrong_flavors[: args.show]))


if __name__ == "__main__":
    main()
