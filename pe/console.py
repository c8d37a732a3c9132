"""What a person sees: progress on stderr (bars on a terminal, else lines), tables on stdout."""

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from pe.records import Expansion

RATE_SECS = 60.0  # what a rate is taken over: finished shards of an earlier run pass in no time
LINE_SECS = 10.0  # between plain lines, where there is no terminal to draw a bar on
STDERR = Console(stderr=True, highlight=False, emoji=False)


def say(text: str) -> None:
    """Print a line of what is being done."""
    STDERR.print(text, soft_wrap=True, markup=False)


class StageProgress:
    """Rows, rate and time left of the builder's stages."""

    def __init__(self) -> None:
        self._bars = Progress(
            TextColumn("{task.description:>14}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[status]}"),
            console=STDERR,
            disable=not STDERR.is_terminal,
        )
        self._tasks: dict[str, TaskID] = {}
        self._recent: dict[str, deque[tuple[float, int]]] = {}
        self._spoken = time.monotonic()

    def __enter__(self) -> "StageProgress":
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def __call__(self, stage: str, num_rows: int, num_total: int | None, status: str = "") -> None:
        now = time.monotonic()
        if stage not in self._tasks:
            self._tasks[stage] = self._bars.add_task(stage, total=num_total, rate="", status="")
            self._recent[stage] = deque()
        recent = self._recent[stage]
        recent.append((now, num_rows))
        while len(recent) > 2 and recent[1][0] < now - RATE_SECS:
            recent.popleft()
        begin, first_rows = recent[0]
        rate = (num_rows - first_rows) / max(1e-3, now - begin)
        shown = f"{rate:,.{0 if rate >= 10 else 2}f} rows/s" if now - begin > 0.5 else ""
        self._bars.update(self._tasks[stage], completed=num_rows, rate=shown, status=status)
        if not STDERR.is_terminal and now - self._spoken > LINE_SECS:
            self._spoken = now
            parts = [f"{num_rows:,}/{num_total or '?'} rows", *filter(None, [shown])]
            if shown and rate and num_total:
                parts.append(f"{format_secs((num_total - num_rows) / rate)} left")
            parts += filter(None, [status])
            say(f"{stage}: {', '.join(parts)}")


class TrainProgress:
    """Steps, what `describe` says of the metrics, and time left of a training run."""

    def __init__(
        self, num_steps: int, describe: Callable[[Mapping[str, float]], str] | None = None
    ):
        self.num_steps = num_steps
        self._describe = describe or describe_step
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[metrics]}"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
            console=STDERR,
            disable=not STDERR.is_terminal,
        )
        self._task = self._bars.add_task("train", total=num_steps, metrics="", left="")
        self._first: tuple[int, float] | None = None
        self._spoken = 0.0

    def __enter__(self) -> "TrainProgress":
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def __call__(self, step: int, metrics: Mapping[str, float]) -> None:
        now = time.monotonic()
        if "learning_rate" not in metrics:  # of an evaluation
            totals = {k: v for k, v in metrics.items() if k.count("/") == 1}  # not by prefix
            say(f"step {step:,}: " + ", ".join(f"{k} {v:.3f}" for k, v in totals.items()))
            return
        self._first = self._first or (step, now)
        first_step, begin = self._first
        left = ""
        if step > first_step:
            secs = (now - begin) / (step - first_step) * (self.num_steps - step)
            left = f"{format_secs(secs)} left"
        shown = self._describe(metrics)
        self._bars.update(self._task, completed=step, metrics=shown, left=left)
        is_due = now - self._spoken > LINE_SECS or step == self.num_steps
        if not STDERR.is_terminal and is_due:
            self._spoken = now
            say(f"step {step:,}/{self.num_steps:,}  {shown}  {left}")


def describe_step(metrics: Mapping[str, float]) -> str:
    """Return what a line of training says: loss, tokens that are no padding, padding, utilisation.

    Example:
      nll 2.5, tokens_per_sec 81000, padding_frac 0.06, flops_utilisation 0.43
      returns  loss 2.500  81,000 tokens/s  padding 6%  utilisation 43%
    """
    parts = [f"loss {metrics['nll']:.3f}", f"{metrics['tokens_per_sec']:,.0f} tokens/s"]
    if "padding_frac" in metrics:
        parts.append(f"padding {metrics['padding_frac']:.0%}")
    if "flops_utilisation" in metrics:
        parts.append(f"utilisation {metrics['flops_utilisation']:.0%}")
    return "  ".join(parts)


def describe_encoder_step(metrics: Mapping[str, float]) -> str:
    """Return what a line of an encoder's training says, without what is not learned.

    Example:
      contrast 1.5, recall 0.6, caption_nll 0.71, vote_error 0.9, tokens_per_sec 102
      returns  contrast 1.500  found 60%  captions 0.710  votes 0.90  102 pictures/s
    """
    parts = [f"contrast {metrics['contrast']:.3f}", f"found {metrics['recall']:.0%}"]
    if "caption_nll" in metrics:
        parts.append(f"captions {metrics['caption_nll']:.3f}")
    if "vote_error" in metrics:
        parts.append(f"votes {metrics['vote_error']:.2f}")
    return "  ".join([*parts, f"{metrics['tokens_per_sec']:,.0f} pictures/s"])


def format_secs(secs: float) -> str:
    """Return a duration as a person reads it: 75 -> 1:15, 4000 -> 1:06:40."""
    minutes, seconds = divmod(int(secs), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def print_chains(queries: Sequence[str], chains: Sequence[Sequence[Sequence[Expansion]]]) -> None:
    """Print each query's chains of expansions on standard output, a line a step."""
    table = Table(show_lines=False, expand=False, box=None, pad_edge=False)
    table.add_column("query", style="bold", ratio=1)
    table.add_column("step")
    table.add_column("expansion", ratio=4)
    for query, of_query in zip(queries, chains, strict=True):
        told = query.strip()
        for chain in of_query:
            for step, expansion in enumerate(chain, start=1):
                table.add_row(told, str(step), expansion.text)
                told = ""
            table.add_row("", "", "")
    Console(highlight=False, emoji=False).print(table, markup=False)


def print_expansions(sets: Sequence[Sequence[Expansion]], *, numbered: bool = False) -> None:
    """Print a table of queries and their expansions on standard output."""
    table = Table(show_lines=False, expand=False, box=None, pad_edge=False)
    table.add_column("query", style="bold", ratio=1)
    table.add_column("expansion", ratio=4)
    for expansions in sets:
        for number, expansion in enumerate(expansions):
            last = number == len(expansions) - 1
            query = f"{expansion.prefix} {expansion.query}".strip() if number == 0 else ""
            text = f"{number + 1}: {expansion.text}" if numbered else expansion.text
            table.add_row(query, text, end_section=last)
        table.add_row("", "")
    console = Console(highlight=False, emoji=False)
    console.print(table, markup=False)
