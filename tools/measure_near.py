"""Measure what finds near duplicates: planted ones among prompts that have none.

    python tools/measure_near.py PROMPTS [--num_planted 1000] [--show 5]

PROMPTS is a table of prompts. Of its rows those are taken that the stage keeps, so that none is
near another; copies of so many follow them, in equal parts of another case, with other punctuation,
in another order of words, and with two words changed (of prompts with as many words as
`NearConfig.two_changes`). Prints one line of JSON: the recall over the copies, by kind, and the
precision: how many of the rows that were dropped are copies.
"""

import argparse
import collections
import json
import random
import re
from pathlib import Path

import pyarrow as pa

from data_builders.cleaning import DuplicateConfig, DuplicateStage
from data_builders.sources import SourceConfig, open_table, read_rows
from pe.records import Inversion
from pe.stages.stage import Drop

KINDS = ("case", "punctuation", "order", "two words")
TABLE_ROWS = 4096


def drop_near(prompts: list[str]) -> list[bool]:
    """Say of each prompt whether the stage drops it."""
    stage, dropped = DuplicateStage(DuplicateConfig()), []
    for begin in range(0, len(prompts), TABLE_ROWS):
        part = prompts[begin : begin + TABLE_ROWS]
        rows = [
            Inversion(image_id=text, source_id=text, caption=text, flavors=(), prompt=text,
                      method="given").to_row()
            for text in part
        ]  # fmt: skip
        images = [{"given_query": None}] * len(part)
        dropped += [
            isinstance(r, Drop) for r in stage(pa.table({"inversion": rows, "image": images}))
        ]
    return dropped


def change(prompt: str, kind: str, words: list[str], rng: random.Random) -> str:
    """Return a near copy of a prompt."""
    if kind == "case":
        return prompt.swapcase()
    if kind == "punctuation":
        return "; ".join(part.strip() for part in re.split(r"[,.]", prompt)) + " !"
    parts = prompt.split()
    if kind == "order":
        rng.shuffle(parts)
        return " ".join(parts)
    for place in rng.sample(range(len(parts)), 2):
        parts[place] = rng.choice(words)
    return " ".join(parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("prompts", type=Path)
    parser.add_argument("--num_planted", type=int, default=1000)
    parser.add_argument("--show", type=int, default=0, metavar="N", help="copies missed to print")
    args = parser.parse_args()
    config = SourceConfig()
    rows = read_rows(open_table(args.prompts, config), config)
    prompts = [row.prompt for row in rows if row.reason is None]
    prompts = [p for p, gone in zip(prompts, drop_near(prompts), strict=True) if not gone]
    rng = random.Random(0)
    words = sorted({word for prompt in prompts for word in prompt.split() if word.isalpha()})
    long = [p for p in prompts if len(p.split()) >= DuplicateConfig().words.two_changes]
    planted: dict[str, list[str]] = {
        kind: [
            change(p, kind, words, rng) for p in rng.sample(long, args.num_planted // len(KINDS))
        ]
        for kind in KINDS
    }
    mixed = [(text, "") for text in prompts]
    mixed += [(text, kind) for kind in KINDS for text in planted[kind]]
    dropped = drop_near([text for text, _ in mixed])
    found = collections.Counter(
        kind for (_, kind), gone in zip(mixed, dropped, strict=True) if gone
    )
    missed = [row for row, gone in zip(mixed, dropped, strict=True) if row[1] and not gone]
    for text, kind in missed[: args.show]:
        print(f"{kind}: {text}")
    num_found = sum(found[kind] for kind in KINDS)
    told = {
        "prompts": len(prompts),
        "planted": sum(map(len, planted.values())),
        "recall": num_found / sum(map(len, planted.values())),
        "precision": num_found / sum(found.values()),
        **{kind: found[kind] / len(planted[kind]) for kind in KINDS},
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main()
