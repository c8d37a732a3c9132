"""`pe score`: how likely a model finds pairs."""

import argparse
import json
from pathlib import Path
from typing import Any

from pe.commands.flag import new_command, quiet_libraries


def add_score(commands: Any, with_help: bool) -> None:
    del with_help
    command = new_command(
        commands,
        "score",
        _run_score,
        "Nats per target token of a model over {query, prompt, prefix?} rows; beside it the same "
        "with padding for input (blanked), with an empty query, and a unigram of the training set.",
        "",
    )
    command.add_argument("--model", required=True, metavar="RUN", help="the --out of pe train")
    command.add_argument(
        "--pairs", required=True, metavar="FILE", help=".jsonl of {query, prompt, prefix?, kind?}"
    )
    command.add_argument(
        "--json", action="store_true", help="one JSON object: rows, total, by kind, by prefix"
    )


def _run_score(args: argparse.Namespace) -> None:
    quiet_libraries()
    from pe.data.pair_file import read_pairs

    pairs = list(read_pairs(Path(args.pairs)))
    from pe.eval.likelihood import rows_by, score_model
    from pe.train.run import load_run

    run = Path(args.model)
    scores = score_model(load_run(run), pairs, run=run)
    asked = scores["query"]

    def describe(rows: list[int]) -> dict[str, int | float]:
        return {
            "num_pairs": len(rows),
            "num_tokens": int(asked.num_tokens[rows].sum()),
            **{f"nats_per_token_{arm}": s.per_token(rows) for arm, s in scores.items()},
        }

    total = describe(list(range(len(pairs))))
    by_kind, by_prefix = (
        {group: describe(rows) for group, rows in rows_by(pairs, field).items()}
        for field in ("kind", "prefix")
    )
    per_row = asked.nats / asked.num_tokens
    if args.json:
        rows = [
            {"nats_per_token": float(value), "nats": float(nats), "num_tokens": int(count)}
            for value, nats, count in zip(per_row, asked.nats, asked.num_tokens, strict=True)
        ]
        tables = {"total": total, "by_kind": by_kind, "by_prefix": by_prefix}
        print(json.dumps({"rows": rows, **tables}))
        return
    for pair, value in zip(pairs, per_row, strict=True):
        print(f"{value:8.3f}  {pair['query']}  ->  {pair['prompt']}")
    for group, values in {"total": total, **by_kind, **by_prefix}.items():
        numbers = "  ".join(
            f"{name.removeprefix('nats_per_token_')} {value:.3f}"
            for name, value in values.items()
            if name.startswith("nats")
        )
        print(f"{group}: {values['num_pairs']:,} pairs, nats/token: {numbers}")
