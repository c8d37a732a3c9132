"""Hold a trained expander to its promises: budgets, bans, and texts that depend on no neighbour.

  python tools/measure_decoding.py --model RUN --data DIR --clip PATH --t5 PATH

Queries come from the test split of --data; --clip and --t5 name tokenizers (folders or files).
"""

import argparse
import random
import sys
from collections import Counter
from pathlib import Path

from pe.data.pipeline import load_pairs
from pe.decode.budget import ends_at_phrase
from pe.decode.phrase_ban import letters_of
from pe.decode.sampling import SamplingConfig
from pe.decode.target_tokenizer import load_target
from pe.engines.expander import T5Expander
from pe.engines.model import load_model

MAX_TOKENS = 160


def main() -> int:
    """Run the checks asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", required=True, help="what pe expand takes")
    parser.add_argument("--data", type=Path, required=True, help="the --out of pe build")
    parser.add_argument("--clip", required=True, help="CLIP's tokenizer")
    parser.add_argument("--t5", required=True, help="T5's tokenizer")
    parser.add_argument("--num_texts", type=int, default=1000, help="expansions a tokenizer")
    parser.add_argument("--num_phrases", type=int, default=50, help="phrases to ban")
    parser.add_argument("--num_samples", type=int, default=200, help="texts a ban")
    parser.add_argument("--num_requests", type=int, default=1000, help="requests a dtype")
    parser.add_argument("--checks", nargs="+", default=["budget", "ban", "seed"])
    args = parser.parse_args()
    queries = [pair["query"] for pair in load_pairs(args.data, split="test").to_pylist()]
    random.Random(0).shuffle(queries)
    if "budget" in args.checks:
        check_budgets(args, queries)
    if "ban" in args.checks:
        check_bans(args, queries)
    if "seed" in args.checks:
        for dtype in ("float32", "bfloat16"):
            check_seeds(args, queries, dtype)
    return 0


def check_budgets(args: argparse.Namespace, queries: list[str]) -> None:
    """Expand with a target and without; each text must fit and end with a phrase of the other."""
    model = load_model(args.model)
    sampling = SamplingConfig(max_tokens=MAX_TOKENS)
    asked = queries[: args.num_texts]
    whole = T5Expander(model).expand(asked, 4, sampling=sampling)
    # the last gives the texts of a small model reason to be cut
    for spec in (
        f"clip={args.clip}",
        f"t5:256={args.t5}",
        f"clip:3={args.clip}",
        f"t5:24={args.t5}",
    ):
        target = load_target(spec)
        sets = T5Expander(model, target=target).expand(asked, 1, sampling=sampling)
        over = inside = cut = unmatched = 0
        for (fitted,), texts in zip(sets, whole, strict=True):
            over += target.count(fitted.text) > target.budget
            full = next((t.text for t in texts if t.logprob == fitted.logprob), None)
            unmatched += full is None
            if full is not None and fitted.text != full:
                cut += 1
                inside += not ends_at_phrase(fitted.text, full)
        name = spec.split("=")[0]
        print(
            f"budget {name} ({target.budget}): {len(asked)} texts, {over} over it, {cut} cut, "
            f"{inside} inside a phrase ({unmatched} drawn anew too often to compare)",
            flush=True,
        )


def check_bans(args: argparse.Namespace, queries: list[str]) -> None:
    """Ban what the model says most, a phrase at a time, and count how often it comes."""
    model = load_model(args.model)
    expander = T5Expander(model)
    sampling = SamplingConfig(max_tokens=77)
    sets = expander.expand(queries[:300], 4, sampling=sampling)
    said = Counter(
        phrase.strip().lower()
        for expansions in sets
        for expansion in expansions
        for phrase in expansion.text.split(",")
        if 1 <= len(phrase.split()) <= 3 and letters_of(phrase).strip()
    )
    phrases = [phrase for phrase, _ in said.most_common(args.num_phrases)]
    print(f"bans: said most {', '.join(phrases[:8])}: {[said[p] for p in phrases[:8]]} of 1,200")
    before = after = strict = 0
    for number, phrase in enumerate(phrases):
        asked = queries[300 + number : 300 + number + args.num_samples // 8]
        wanted = f" {letters_of(phrase).decode().strip()} "
        for ban in ((), (phrase,)):
            banned = SamplingConfig(max_tokens=77, ban=ban)
            found = [
                f" {letters_of(expansion.text).decode().strip()} "
                for expansions in expander.expand(asked, 8, seed=number, sampling=banned)
                for expansion in expansions
            ]
            num_found = sum(wanted in text for text in found)
            if ban:
                after += num_found
                strict += sum(phrase in text for text in found)
            else:
                before += num_found
    print(
        f"bans: {len(phrases)} phrases x {args.num_samples} texts: said {before} times without the "
        f"ban, {after} times with it (as a part of longer words: {strict})",
        flush=True,
    )


def check_seeds(args: argparse.Namespace, queries: list[str], dtype: str) -> None:
    """Ask alone, among 31 others, and as the first of eight."""
    expander = T5Expander(load_model(args.model, dtype=dtype))
    sampling = SamplingConfig(max_tokens=64)
    asked = [queries[i % len(queries)] for i in range(args.num_requests)]
    same = {"alone": 0, "first of 8": 0}
    for start in range(0, len(asked), 32):
        block = asked[start : start + 32]
        together = expander.expand(block, 1, seed=start, sampling=sampling)
        of_eight = expander.expand(block, 8, seed=start, sampling=sampling)
        for query, (one,), eight in zip(block, together, of_eight, strict=True):
            ((alone,),) = expander.expand([query], 1, seed=start, sampling=sampling)
            same["alone"] += alone.text == one.text
            same["first of 8"] += eight[0].text == one.text
    print(
        f"seed, {dtype}: of {len(asked)} requests among 31 others {same['alone']} have the text "
        f"that they have alone, {same['first of 8']} that of the first of 8",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
