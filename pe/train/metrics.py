"""Where the numbers of a run go: one JSONL line and one TensorBoard event each time."""

import json
from pathlib import Path

from tensorboardX import SummaryWriter

from pe import shards


class MetricWriter:
    """Writes metrics of a run; on resume, lines past the restored step are taken back."""

    def __init__(self, folder: Path, *, start_step: int):
        self.path = folder / "metrics.jsonl"
        _truncate(self.path, start_step)
        self._file = self.path.open("a", encoding="utf-8")
        self._events = SummaryWriter(str(folder / "tensorboard"), purge_step=start_step + 1)

    def write(self, step: int, metrics: dict[str, float]) -> None:
        """Write one line: {"step": step, name: value, ...}."""
        self._file.write(json.dumps({"step": step, **metrics}) + "\n")
        self._file.flush()
        for name, value in metrics.items():
            self._events.add_scalar(name, value, step)

    def flush(self) -> None:
        """Put on disk what is written; called before a checkpoint, so that no line is lost."""
        self._events.flush()

    def close(self) -> None:
        """Flush and close both."""
        self._file.close()
        self._events.close()


def read_metrics(path: Path) -> list[dict[str, int | float]]:
    """Read metrics.jsonl; a line torn by a kill is left out."""
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return rows


def _truncate(path: Path, start_step: int) -> None:
    if not path.is_file():
        return
    rows = [row for row in read_metrics(path) if row["step"] <= start_step]
    shards.write_text(path, "".join(json.dumps(row) + "\n" for row in rows))
