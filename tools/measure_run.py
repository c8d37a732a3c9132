"""Measure a trained run on the test split of its dataset: likelihood, and what expansions keep.

    python tools/measure_run.py --model RUN --data DIR [--num_queries 100] [-n 4] [--prefix P]

Prints two tables: nats per target token, in total, by kind of query and by prefix (with the query,
without its prefix, with padding for input, with an empty query, and of a unigram); and, by kind,
the share of the queries' content words that the expansions hold, with how many queries got
expansions that all differ. Ten of them are printed to be read; `--prefix` is given to all.
"""

import argparse
import random
import sys
from pathlib import Path

from pe.data.pipeline import load_pairs
from pe.decode.sampling import SamplingConfig
from pe.engines.expander import T5Expander
from pe.engines.model import load_model
from pe.eval.likelihood import rows_by, score_model
from pe.metrics.text import content_recall, count_distinct
from pe.train.run import load_run


def main() -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", type=Path, required=True, help="the --out of pe train")
    parser.add_argument("--data", type=Path, required=True, help="the --out of pe build")
    parser.add_argument("--num_pairs", type=int, help="score only so many test pairs (all)")
    parser.add_argument("--num_queries", type=int, default=100, help="queries a row to expand")
    parser.add_argument("-n", type=int, default=4, help="expansions a query")
    parser.add_argument("--prefix", default="", help="of the queries to expand")
    parser.add_argument("--seed", type=int, default=0, help="of the choice and of the sampling")
    args = parser.parse_args()
    model = load_run(args.model)
    rng = random.Random(args.seed)
    pairs = load_pairs(args.data, split="test").to_pylist()
    rng.shuffle(pairs)
    scored = pairs[: args.num_pairs]
    scores = score_model(model, scored, run=args.model)
    print(f"{model.name}: nats per target token on {len(scored):,} test pairs")
    groups = {"total": list(range(len(scored)))}
    groups |= {**rows_by(scored, "kind"), **rows_by(scored, "prefix")}
    for group, rows in groups.items():
        values = {arm: score.per_token(rows) for arm, score in scores.items()}
        cells = "  ".join(f"{arm} {value:.3f}" for arm, value in values.items())
        print(
            f"  {group:9} {len(rows):6,} pairs  {cells}"
            f"  blanking costs {values['blanked'] - values['query']:.3f}"
            f"  emptying {values['empty'] - values['query']:.3f}"
        )
    expander = T5Expander(load_model(args.model))
    kinds = rows_by(pairs, "kind")
    print(f"share of the query's content words in the expansion, n = {args.n}, temperature 1")
    for group, rows in {"any kind": list(range(len(pairs))), **kinds}.items():
        queries = [pairs[row]["query"] for row in rows[: args.num_queries]]
        sets = expander.expand(
            queries, args.n, prefix=args.prefix, seed=args.seed, sampling=SamplingConfig()
        )
        recalls = [
            content_recall(q, e.text) for q, es in zip(queries, sets, strict=True) for e in es
        ]
        share = sum(found for found, _ in recalls) / max(1, sum(asked for _, asked in recalls))
        different = sum(count_distinct([e.text for e in es]) == args.n for es in sets)
        print(f"  {group:9} {len(queries):4} queries  {share:.3f}  all differ: {different}")
        if group == "any kind":
            for expansions in sets[:10]:
                print(f"    {expansions[0].query}")
                for expansion in expansions:
                    print(f"      -> {expansion.text}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
