"""The dataset card: what is in a dataset, by stage, prefix, kind and split, with rows to read."""

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from data_builders.pair_counts import COUNTED, MEASURED, PairCounts

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
MOST_VALUES = 40  # of a column, that are listed
PLOTS = "plots"
DESCRIPTION = (
    "{num:,} pairs of a short query and a detailed prompt, made by `pe build`. `inputs` of the "
    "model: the prefix, a space and the query; its target: the prompt."
)
BAR = "#3a6ea5"


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


def describe(counts: PairCounts) -> str:
    """Say in a sentence or two what the dataset is."""
    return DESCRIPTION.format(num=counts.num_pairs)


def make_card(counts: PairCounts, stats: Mapping[str, Any]) -> str:
    """Write the card of a dataset as Markdown, with the header that Hugging Face reads.

    There all rows are one split, `pairs`: which of train, validation and test a row is of stands in
    its own column, and nobody should take them all for "train".
    """
    tables = [_count_table(name, counts.values[name], counts.num_pairs) for name in COUNTED]
    sections = [
        "---\nconfigs:\n- config_name: default\n  data_files:\n  - split: pairs\n"
        "    path: pairs/*.parquet\n---",
        "# Prompt expansion pairs",
        describe(counts),
        "## Stages\n\n" + _stage_table(stats["stages"]),
        "## Counts\n\n" + "\n\n".join(tables),
        f"![pairs by prefix and kind]({PLOTS}/kinds.png)",
        "## Words\n\n" + _length_table(counts),
        f"![words of queries and prompts]({PLOTS}/words.png)",
        f"## {len(counts.samples)} rows\n\n" + _sample_table(counts),
    ]
    return "\n\n".join(sections) + "\n"


def write_plots(counts: PairCounts, folder: Path) -> None:
    """Draw kinds.png, pairs by prefix and by kind, and words.png, how long texts are."""
    from matplotlib.figure import Figure

    folder.mkdir(parents=True, exist_ok=True)
    figure = Figure(figsize=(9, 3), layout="constrained")
    for axes, name in zip(figure.subplots(1, 2), ("prefix", "kind"), strict=True):
        found = sorted(counts.values[name].items(), key=lambda item: (item[1], item[0]))
        axes.barh([value or "(none)" for value, _ in found], [n for _, n in found], color=BAR)
        axes.set_title(f"pairs by {name}")
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(folder / "kinds.png", dpi=120, metadata={"Software": None})
    figure = Figure(figsize=(9, 3), layout="constrained")
    for axes, name in zip(figure.subplots(1, 2), MEASURED, strict=True):
        longest = max(counts.quantile(name, 0.99), 1)
        lengths = list(range(longest + 1))
        axes.bar(lengths, [counts.words[name][length] for length in lengths], 0.9, color=BAR)
        axes.set_title(f"words of a {name}")
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(folder / "words.png", dpi=120, metadata={"Software": None})


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


def _count_table(name: str, counts: Counter[str], num_pairs: int) -> str:
    found = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    rows = [[value or "(none)", f"{n:,}", f"{n / num_pairs:.1%}"] for value, n in found]
    if len(rows) > MOST_VALUES:
        rest = sum(n for _, n in found[MOST_VALUES:])
        more = f"({len(rows) - MOST_VALUES:,} others)"
        rows = [*rows[:MOST_VALUES], [more, f"{rest:,}", f"{rest / num_pairs:.1%}"]]
    return _markdown_table([name, "pairs", "share"], rows)


def _length_table(counts: PairCounts) -> str:
    rows = [[name, *(counts.quantile(name, q) for q in QUANTILES)] for name in MEASURED]
    return _markdown_table(["words", *(f"{q:.0%}" for q in QUANTILES)], rows)


def _sample_table(counts: PairCounts) -> str:
    names = ["prefix", "kind", "query", "prompt"]
    cells = [[row[name].replace("|", "\\|") for name in names] for row in counts.samples]
    return _markdown_table(names, cells)
