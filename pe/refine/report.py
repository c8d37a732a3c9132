"""What a round kept, to look at: one HTML file with everything in it."""

import base64
import dataclasses
import heapq
import html
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pe import shards
from pe.axes import Float
from pe.refine.page import start_page
from pe.refine.selection import SelectConfig
from pe.text.split import split_prompt

NUM_PICTURES, NUM_FLAVORS, NUM_BARS = 12, 15, 40
LEAST_SAID = 5  # times, of a flavor that is listed


@dataclasses.dataclass
class Tally:
    """What is counted over the rows of a round; pictures are named, not held."""

    values: list[Float[np.ndarray, " R"]] = dataclasses.field(default_factory=list)
    kept: list[Float[np.ndarray, " R"]] = dataclasses.field(default_factory=list)
    by_kind: Counter[str] = dataclasses.field(default_factory=Counter)
    kept_by_kind: Counter[str] = dataclasses.field(default_factory=Counter)
    flavors: Counter[str] = dataclasses.field(default_factory=Counter)
    kept_flavors: Counter[str] = dataclasses.field(default_factory=Counter)
    best: list[tuple[float, int, dict[str, Any]]] = dataclasses.field(default_factory=list)
    worst: list[tuple[float, int, dict[str, Any]]] = dataclasses.field(default_factory=list)

    def add(self, rows: Sequence[dict[str, Any]]) -> None:
        """Count the rows of a table: query, expansion, rendering, score, reason."""
        values = np.asarray([row["score"]["value"] for row in rows], np.float64)
        is_kept = np.asarray([row["reason"] is None for row in rows], bool)
        self.values.append(values)
        self.kept.append(is_kept)
        for row, value, kept in zip(rows, values.tolist(), is_kept.tolist(), strict=True):
            kind = row["query"]["kind"]
            self.by_kind[kind] += 1
            flavors = {flavor.lower() for flavor in split_prompt(row["expansion"]["text"]).flavors}
            self.flavors.update(flavors)
            if kept:
                self.kept_by_kind[kind] += 1
                self.kept_flavors.update(flavors)
            number = -self.by_kind.total()  # of equals the first
            for heap, sign in ((self.best, 1), (self.worst, -1)):
                heapq.heappush(heap, (sign * value, number, row))
                if len(heap) > NUM_PICTURES:
                    heapq.heappop(heap)


def write_report(
    path: Path,
    stage: Path,
    pictures: Path,
    *,
    select: SelectConfig,
    cutoff: float | None,
    title: str,
) -> None:
    """Write the report of a round, from the folder of its last stage and that of its pictures."""
    tally = Tally()
    columns = ["query", "expansion", "rendering", "score", "reason"]
    for table in shards.iterate_shards(stage, columns):
        tally.add(table.to_pylist())
    values, kept = np.concatenate(tally.values), np.concatenate(tally.kept)
    rule = {
        "quantile": f"at or above the {select.threshold:g} quantile of all scores",
        "absolute": f"at or above {select.threshold:g}",
        "best": f"the {select.threshold:g} best of each query",
    }[select.mode]
    best = [row for _, _, row in sorted(tally.best, key=lambda item: -item[0])]
    worst = [row for _, _, row in sorted(tally.worst, key=lambda item: -item[0])]
    parts = [
        start_page(title) + f"<p>{int(kept.sum()):,} of {len(kept):,} pictures were "
        f"kept: {rule}{'' if cutoff is None else f' ({cutoff:.4f})'}.</p>",
        "<h2>Scores</h2>",
        _histogram(values, kept, cutoff),
        "<h2>Kept, by kind of query</h2>",
        _table(
            ("kind", "pictures", "kept", "share"),
            [
                (kind, f"{num:,}", f"{tally.kept_by_kind[kind]:,}",
                 f"{tally.kept_by_kind[kind] / num:.0%}")
                for kind, num in tally.by_kind.most_common()
            ],
        ),
        "<h2>Flavors</h2>\n<p>How often a flavor is in a prompt that was kept, against all of "
        f"them. Those said {LEAST_SAID} times or more.</p>",
        _flavor_tables(tally, len(kept), int(kept.sum())),
        "<h2>Best</h2>",
        _show(best, pictures),
        "<h2>Worst</h2>",
        _show(worst, pictures),
        "</body>\n</html>\n",
    ]  # fmt: skip
    shards.write_text(path, "\n".join(parts))


def flavor_changes(tally: Tally, num_all: int, num_kept: int) -> list[tuple[str, int, float]]:
    """Return (flavor, times said, share among kept over share among all), what gained first."""
    found = [
        (flavor, num, (tally.kept_flavors[flavor] / max(num_kept, 1)) / (num / num_all))
        for flavor, num in tally.flavors.items()
        if num >= LEAST_SAID
    ]
    return sorted(found, key=lambda item: (-item[2], item[0]))


def _flavor_tables(tally: Tally, num_all: int, num_kept: int) -> str:
    changes = flavor_changes(tally, num_all, num_kept)
    gained = [item for item in changes if item[2] > 1][:NUM_FLAVORS]
    lost = [item for item in reversed(changes) if item[2] < 1][:NUM_FLAVORS]
    tables = [
        _table((name, "said", "change"), [(f, f"{n:,}", f"{c - 1:+.0%}") for f, n, c in items])
        for name, items in (("gained", gained), ("lost", lost))
    ]
    return f'<div class="two">{tables[0]}{tables[1]}</div>'


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    def line(cells: Sequence[str], tag: str) -> str:
        told = [
            f"<{tag}{'' if i == 0 else ' class=n'}>{html.escape(cell)}</{tag}>"
            for i, cell in enumerate(cells)
        ]
        return f"<tr>{''.join(told)}</tr>"

    body = "".join(line(row, "td") for row in rows)
    return f"<table>{line(header, 'th')}{body}</table>"


def _histogram(values: Float[np.ndarray, " R"], kept: np.ndarray, cutoff: float | None) -> str:
    """Draw how many pictures have which score, those that were kept in another color."""
    width, height, bottom = 720, 200, 24
    edges = np.histogram_bin_edges(values, NUM_BARS)
    counts, kept_counts = np.histogram(values, edges)[0], np.histogram(values[kept], edges)[0]
    most, span = max(counts.max(), 1), max(edges[-1] - edges[0], 1e-9)
    bar = width / NUM_BARS
    parts = [f'<svg viewBox="0 0 {width} {height + bottom}" width="{width}" role="img">']
    for i, (num, num_kept) in enumerate(zip(counts, kept_counts, strict=True)):
        for amount, color in ((num, "dropped"), (num_kept, "kept")):
            tall = height * amount / most
            parts.append(
                f'<rect x="{i * bar + 1:.1f}" y="{height - tall:.1f}" width="{bar - 2:.1f}" '
                f'height="{tall:.1f}" fill="var(--{color})"/>'
            )
    if cutoff is not None and edges[0] <= cutoff <= edges[-1]:
        x = width * (cutoff - edges[0]) / span
        parts.append(
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="{height}" stroke="var(--ink)" '
            'stroke-dasharray="4 3"/>'
        )
    for share, anchor in ((0.0, "start"), (0.5, "middle"), (1.0, "end")):
        told = edges[0] + share * span
        parts.append(
            f'<text x="{share * width:.0f}" y="{height + 17}" text-anchor="{anchor}">{told:.3f}'
            "</text>"
        )
    return "\n".join([*parts, "</svg>"])


def _show(rows: Sequence[dict[str, Any]], pictures: Path) -> str:
    figures = []
    for row in rows:
        path = pictures / row["rendering"]["uri"]
        kind = "jpeg" if path.suffix == ".jpeg" else "png"
        data = base64.b64encode(path.read_bytes()).decode("ascii")
        text = html.escape(row["expansion"]["text"])
        score = row["score"]
        rated = "" if score["aesthetic"] is None else f", rating {score['aesthetic']:.2f}"
        figures.append(
            f'<figure><img src="data:image/{kind};base64,{data}" alt="{text}"><figcaption>'
            f"<b>{html.escape(row['query']['text'])}</b><br>{text}<br>{score['value']:.3f}: "
            f"query {score['query_cosine']:.3f}, prompt {score['prompt_cosine']:.3f}{rated}"
            "</figcaption></figure>"
        )
    return f'<div class="pictures">{"".join(figures)}</div>'
