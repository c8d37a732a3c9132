"""Few-shot examples: prompts with a query of each kind beside them.

A file of them is JSON lines, {"prompt": ..., KIND: ..., ...}; any kind of a row can be left out,
and any of a row's texts can be the one asked about, so that one file serves every step of a chain.
Ours lies in `few_shot/queries.jsonl`. Knows nothing about models or how a request is written.
"""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path

from pe.records import KINDS

OWN = "own"
PROMPT = "prompt"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Shot:
    """A prompt and its queries: kind -> text."""

    prompt: str
    queries: Mapping[str, str]

    def text(self, name: str) -> str | None:
        """Return the prompt, or the query of a kind if there is one."""
        return self.prompt if name == PROMPT else self.queries.get(name)


def load_shots(name_or_path: str = OWN) -> tuple[Shot, ...]:
    """Read examples: ours by the name "own", or a file of JSON lines.

    Raises ValueError naming the line that is not as described above.
    """
    if name_or_path == OWN:
        file = resources.files("pe.text") / "few_shot" / "queries.jsonl"
    else:
        file = Path(name_or_path)
        if not file.is_file():
            raise ValueError(
                f"no few-shot examples at {name_or_path!r}; expected {OWN!r} or a file of JSON "
                'lines {"prompt": ..., "short": ..., ...}'
            )
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{name_or_path} is not UTF-8 (byte {error.start}); save it so") from error
    shots = [
        _read_shot(line, f"{name_or_path}:{number}")
        for number, line in enumerate(lines, 1)
        if line.strip()
    ]
    if not shots:
        raise ValueError(f"{name_or_path} holds no examples; expected one a line")
    return tuple(shots)


def _read_shot(line: str, where: str) -> Shot:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise ValueError(f"{where}: not a line of JSON ({error})") from error
    if not isinstance(row, dict) or PROMPT not in row:
        raise ValueError(f'{where}: expected an object with a "prompt", got {line[:80]!r}')
    if unknown := sorted(set(row) - {PROMPT, *KINDS}):
        raise ValueError(f"{where}: unknown {unknown}; expected prompt and any of {KINDS}")
    texts = {}
    for name, text in row.items():
        if not isinstance(text, str) or not text.strip():
            raise ValueError(f"{where}: {name} is {text!r}, expected a text")
        texts[name] = " ".join(text.split())
    return Shot(prompt=texts.pop(PROMPT), queries=texts)


def list_examples(
    shots: Sequence[Shot], *, asked: str, answered: str
) -> tuple[tuple[str, str], ...]:
    """List (asked, answered) of every row that has both; each is "prompt" or a kind.

    [{"prompt": "a red fox in snow, oil", "short": "red fox"}], asked="prompt", answered="short"
      ->  (("a red fox in snow, oil", "red fox"),)
    """
    pairs = ((shot.text(asked), shot.text(answered)) for shot in shots)
    return tuple((a, b) for a, b in pairs if a is not None and b is not None)
