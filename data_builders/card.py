"""The dataset card: what is in a dataset, by stage, prefix, kind and split, with rows to read."""

import json
import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pe import shards

NUM_SAMPLES = 20
COUNTED = ("prefix", "kind", "split", "half", "source", "licence", "language")
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95, 1.0)


def read_stats(path: Path) -> dict[str, Any] | None:
    """Read stats.json, or None where no finished dataset stands.

    Raises ValueError when the file is not one that pe build wrote.
    """
    if not path.is_file():
        return None
    try:
        stats = json.loads(path.read_text(encoding="utf-8"))
        if not {"key", "stages", "stage_folders"} <= set(stats):
            raise ValueError("key, stages and stage_folders expected")
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path} is not the stats.json of a pe build: {error}") from error
    return stats


def make_card(pairs: Path, stats: dict[str, Any]) -> str:
    """Write the card of a dataset as Markdown, with the header that Hugging Face reads."""
    table = shards.read_shards(pairs)
    sections = [
        "---\nconfigs:\n- config_name: default\n  data_files: pairs/*.parquet\n---",
        "# Prompt expansion pairs",
        f"{len(table):,} pairs of a short query and a detailed prompt, made by `pe build`. "
        "`inputs` of the model: the prefix, a space and the query; its target: the prompt.",
        "## Stages\n\n" + _stage_table(stats["stages"]),
        "## Counts\n\n" + "\n\n".join(_count_table(name, table[name]) for name in COUNTED),
        "## Words\n\n" + _length_table(table),
        f"## {NUM_SAMPLES} rows\n\n" + _sample_table(table),
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


def _count_table(name: str, values: pa.ChunkedArray) -> str:
    counts = [
        (row["values"] or "(none)", row["counts"]) for row in values.value_counts().to_pylist()
    ]
    counts.sort(key=lambda item: (-item[1], item[0]))
    rows = [[value, f"{n:,}", f"{n / len(values):.1%}"] for value, n in counts]
    return _markdown_table([name, "pairs", "share"], rows)


def _length_table(table: pa.Table) -> str:
    rows = []
    for name in ("query", "prompt"):
        lengths = pc.list_value_length(pc.utf8_split_whitespace(table[name]))
        picks = pc.quantile(lengths, q=list(QUANTILES), interpolation="lower").to_pylist()
        rows.append([name, *picks])
    return _markdown_table(["words", *(f"{q:.0%}" for q in QUANTILES)], rows)


def _sample_table(table: pa.Table) -> str:
    picks = random.Random(0).sample(range(len(table)), min(NUM_SAMPLES, len(table)))
    names = ["prefix", "kind", "query", "prompt"]
    rows = table.select(names).take(picks).to_pylist()
    cells = [[row[name].replace("|", "\\|") for name in names] for row in rows]
    return _markdown_table(names, cells)
