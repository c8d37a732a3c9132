"""Pairs that a person wrote into a .jsonl file. Knows the fields, not what is done with them."""

import json
from collections.abc import Iterator
from pathlib import Path

from pe.prefixes import check_prefix


def read_pairs(path: Path) -> Iterator[dict[str, str]]:
    """Read rows of {query, prompt, prefix?, kind?} from a .jsonl file.

    Raises ValueError naming the line when the file is missing, empty, or a row is not such a row.
    """
    if not path.is_file():
        raise ValueError(f"{path} not found; expected a .jsonl file of query and prompt")
    num_rows = 0
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except json.JSONDecodeError as error:
                raise ValueError(f"{path}:{number}: broken JSON ({error.msg})") from error
            if not isinstance(row, dict):
                raise ValueError(f"{path}:{number}: got {type(row).__name__}, expected an object")
            pair = {name: row.get(name, "") for name in ("query", "prompt")}
            pair |= {name: row.get(name) or "" for name in ("prefix", "kind")}
            wrong = [name for name, value in pair.items() if not isinstance(value, str)]
            if wrong or "query" not in row or not pair["prompt"].strip():
                raise ValueError(
                    f"{path}:{number}: expected the text fields query and prompt (and prefix, kind "
                    f"if wanted), got {sorted(row)}"
                )
            try:
                check_prefix(pair["prefix"])
            except ValueError as error:
                raise ValueError(f"{path}:{number}: {error}") from error
            num_rows += 1
            yield pair
    if not num_rows:
        raise ValueError(f"{path} holds no rows; expected one JSON object a line")
