"""Whether pairs were chosen before: stats.json, written last, holds the key of what made them."""

import json
from pathlib import Path
from typing import Any

from pe.stages.finished import find_lost

STATS = "stats.json"


def read_finished(folder: Path, key: str) -> dict[str, Any] | None:
    """Return what stats.json holds where pairs are chosen already, by the same key; else None.

    None also where some of their files were lost or cut off since. Raises ValueError where they are
    of another key.
    """
    path = folder / STATS
    if not path.is_file():
        return None
    finished = json.loads(path.read_text(encoding="utf-8"))
    if finished.get("key") != key:
        raise ValueError(
            f"{folder} holds pairs of other settings, queries or models; choose another --out, or "
            "remove that folder"
        )
    return None if find_lost(folder, finished.get("files", {})) else finished
