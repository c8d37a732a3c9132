"""The dataset card: what is in a dataset, by stage, prefix, kind and split, with rows to read."""

import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

from pe import shards

NUM_SAMPLES = 20


def read_stats(path: Path) -> dict[str, Any] | None:
    """Read stats.json, or None where no finished dataset stands."""
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def make_card(pairs: Path, stats: dict[str, Any]) -> str:
    """Write the card of a dataset as Markdown, with the header that Hugging Face reads."""
    table = shards.read_shards(pairs)
    columns = {name: table[name].to_pylist() for name in table.column_names}
    sections = [
        "---\nconfigs:\n- config_name: default\n  data_files: pairs/*.parquet\n---",
        "# Prompt expansion pairs",
        f"{len(table):,} pairs of a short query and a detailed prompt, made by `pe build`. "
        "`inputs` of the model: the prefix, a space and the query; its target: the prompt.",
        "## Stages\n\n" + _stage_table(stats["stages"]),
        "## Counts\n\n"
        + "\n\n".join(
            _count_table(name, columns[name])
            for name in ("prefix", "kind", "split", "half", "source", "licence")
        ),
        "## Words\n\n" + _length_table(columns),
        f"## {NUM_SAMPLES} rows\n\n" + _sample_table(columns),
    ]
    return "\n\n".join(sections) + "\n"


def _markdown_table(header: list[str], rows: list[list[Any]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def _stage_table(stages: list[dict[str, Any]]) -> str:
    rows = [
        [
            f"{stage['name']} {stage['version']}",
            *(f"{stage[name]:,}" for name in ("in", "kept", "dropped", "out")),
            ", ".join(f"{reason} {count:,}" for reason, count in stage["reasons"].items()),
        ]
        for stage in stages
    ]
    return _markdown_table(["stage", "in", "kept", "dropped", "out", "reasons"], rows)


def _count_table(name: str, values: list[str]) -> str:
    counts = Counter(value or "(none)" for value in values).most_common()
    rows = [[value, f"{n:,}", f"{n / len(values):.1%}"] for value, n in counts]
    return _markdown_table([name, "pairs", "share"], rows)


def _length_table(columns: dict[str, list[Any]]) -> str:
    rows = []
    for name in ("query", "prompt"):
        lengths = sorted(len(text.split()) for text in columns[name])
        picks = [lengths[int(q * (len(lengths) - 1))] for q in (0.05, 0.25, 0.5, 0.75, 0.95, 1.0)]
        rows.append([name, *picks])
    return _markdown_table(["words", "5%", "25%", "50%", "75%", "95%", "most"], rows)


def _sample_table(columns: dict[str, list[Any]]) -> str:
    picks = random.Random(0).sample(range(len(columns["id"])), min(NUM_SAMPLES, len(columns["id"])))
    names = ["prefix", "kind", "query", "prompt"]
    rows = [[columns[name][i].replace("|", "\\|") for name in names] for i in picks]
    return _markdown_table(names, rows)
