"""Measure in Studio's world what refining did: models before it beside models after it.

python tools/measure_refine.py --base RUN... --refined RUN... --data DIR [--num_queries 200] [-n 4]
python tools/measure_refine.py --refined RUN... --data DIR --steps 4

The runs of --base and --refined belong together in their order (one pair a seed). Queries are of
the test split. Each is expanded n times at temperature 1, and picture k of a query has the same
seed for every model. A row of the tables is the mean over runs, with its standard error:

unknown    share of what follows the caption that Studio does not draw (1 - r)
bad        share of it that Studio draws badly;  bad_each: how many of those an expansion says
flavors    phrases after the caption, an expansion
subject    share of expansions that still name the query's first thing
align      cosine of query and picture, by Studio's encoder
taste      the crowd's, which nothing trained sees
diversity  one minus the mean cosine of the pictures of a set

With --steps every step of a chain is measured (the second and later with the prefix MSTP, where the
model was trained on it: --later_prefix), and shares are those of chains that reached the step.
"""

import argparse
import dataclasses
import json
import random
from pathlib import Path

import numpy as np
from PIL import Image

from pe.data.pipeline import load_pairs
from pe.decode.sampling import SamplingConfig
from pe.engines.expander import T5Expander, request_seed
from pe.engines.model import load_model
from pe.engines.multi_step import expand_steps
from pe.engines.vision import ClipEncoder, load_encoder
from pe.studio.render import draw_scene
from pe.studio.scene import fill_scene, read_prompt
from pe.studio.taste import score_picture
from pe.studio.world import FLAVORS

BAD = frozenset(name for name, flavor in FLAVORS.items() if flavor.order == 4)


@dataclasses.dataclass(frozen=True)
class Said:
    """What one expansion says after its caption, and whether it names the query's first thing."""

    num_phrases: int
    num_unknown: int
    num_bad: int
    keeps_subject: bool


def read_expansion(query: str, text: str) -> Said:
    phrases = [part.strip() for part in text.split(",")[1:] if part.strip()]
    specs = [read_prompt(phrase) for phrase in phrases]
    unknown = sum(spec == read_prompt("") for spec in specs)
    bad = sum(len(BAD.intersection(spec.flavors)) for spec in specs)
    asked, told = read_prompt(query).entities, read_prompt(text).entities
    keeps = not asked or asked[0].subject in {entity.subject for entity in told}
    return Said(len(phrases), unknown, bad, keeps)


def measure_sets(encoder: ClipEncoder, queries: list[str], sets: list[list[str]]) -> dict:
    """Measure the expansions of every query; a set may be empty."""
    said = [
        read_expansion(q, text) for q, texts in zip(queries, sets, strict=True) for text in texts
    ]
    align, taste, diversity = [], [], []
    embedded = encoder.encode_texts(queries)
    for query, texts, target in zip(queries, sets, embedded, strict=True):
        if not texts:
            continue
        images = []
        for k, text in enumerate(texts):
            scene = fill_scene(read_prompt(text), request_seed(k, "", query) % 2**31)
            picture = draw_scene(scene)
            taste.append(score_picture(scene, picture))
            images.append(Image.fromarray(picture))
        found = np.asarray(encoder.encode_images(images))
        align += (found @ target).tolist()
        if len(texts) > 1:
            cosines = (found @ found.T)[np.triu_indices(len(texts), 1)]
            diversity.append(1.0 - float(cosines.mean()))
    if not said:
        return {"num": 0}
    num_phrases = max(1, sum(each.num_phrases for each in said))
    return {
        "unknown": sum(each.num_unknown for each in said) / num_phrases,
        "bad": sum(each.num_bad for each in said) / num_phrases,
        "bad_each": sum(each.num_bad for each in said) / len(said),
        "flavors": num_phrases / len(said),
        "subject": float(np.mean([each.keeps_subject for each in said])),
        "align": float(np.mean(align)),
        "taste": float(np.mean(taste)),
        "diversity": float(np.mean(diversity)),
        "num": len(said),
    }


def average(measured: list[dict]) -> dict[str, str]:
    """Return mean and standard error of each figure over runs."""
    told = {}
    for name in measured[0]:
        values = np.asarray([found[name] for found in measured], float)
        error = values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else 0.0
        told[name] = f"{values.mean():.4f} +- {error:.4f}"
    return told


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--base", nargs="*", default=[], metavar="RUN")
    parser.add_argument("--refined", nargs="+", required=True, metavar="RUN")
    parser.add_argument("--data", type=Path, required=True, help="the --out of pe build")
    parser.add_argument("--encoder", default="studio", help="what measures align and diversity")
    parser.add_argument("--num_queries", type=int, default=200)
    parser.add_argument(
        "--skip", type=int, default=0, metavar="N", help="leave out those that chose the settings"
    )
    parser.add_argument("-n", type=int, default=4, help="expansions a query")
    parser.add_argument("--prefix", default="RFT", help="of refined models (RFT)")
    parser.add_argument("--later_prefix", default="MSTP", help="of the second step and later ones")
    parser.add_argument("--steps", type=int, default=1)
    parser.add_argument("--show", type=int, default=10, metavar="N", help="queries to print (10)")
    args = parser.parse_args()
    encoder = load_encoder(args.encoder)
    queries = sorted(set(load_pairs(args.data, split="test").column("query").to_pylist()))
    random.Random(0).shuffle(queries)
    queries = queries[args.skip : args.skip + args.num_queries]
    for name, runs in (("base", args.base), ("refined", args.refined)):
        by_step: list[list[dict]] = [[] for _ in range(args.steps)]
        for seed, run in enumerate(runs):
            chains = expand_steps(
                T5Expander(load_model(run)),
                queries,
                args.n,
                args.steps,
                prefix=args.prefix if name == "refined" else "",
                later_prefix=args.later_prefix if name == "refined" else "",
                seed=seed,
                sampling=SamplingConfig(),
            )
            for step, measured in enumerate(by_step):
                sets = [[c[step].text for c in found if len(c) > step] for found in chains]
                measured.append(measure_sets(encoder, queries, sets))
            if not seed:
                for query, found in list(zip(queries, chains, strict=True))[: args.show]:
                    print(f"{name}: {query}\n    -> " + " -> ".join(c.text for c in found[0]))
        for step, measured in enumerate(by_step, start=1):
            if measured:
                print(json.dumps({"model": name, "step": step, **average(measured)}), flush=True)


if __name__ == "__main__":
    main()
