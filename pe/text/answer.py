"""A language model's answer -> the one text in it.

Asked for a JSON object of one string, models also give it in a fence, behind "Here is ...", in
quotes, with their thinking before it, or they refuse. Knows nothing of what was asked.
"""

import dataclasses
import json
import re

_FENCE = re.compile(r"^```\w*\s*|\s*```$")
_THINKING = re.compile(r"<think(?:ing)?>.*?</think(?:ing)?>", re.S | re.I)
_LABEL = re.compile(
    r"^(?:(?:the |a |my |your )?(?:\w+ )?(?:query|answer|output|response|result|search)"
    r"(?: (?:is|would be|could be))?\s*[:=]|sure[,!.:]?(?: here(?:'s| is)[^:\n]*:)?"
    r"|here(?:'s| is)[^:\n]*:|[-*•]|\d+[.)])\s*",
    re.I,
)
_REFUSAL = re.compile(
    r"\b(?:sorry|apologi[sz]e|as an? (?:ai|language model|assistant)|unable to|not appropriate"
    r"|i(?:'m| am) (?:not able|unable|an ai)|inappropriate|content policy|n/a|not possible"
    r"|i (?:can(?:'|no)?t|cannot|won't|will not|do not|don't|must decline)"
    r"|against (?:my|the) (?:policy|guidelines)|cannot (?:be|assist|help|provide|fulfil)"
    r"|no (?:valid )?query)\b",
    re.I,
)
_QUOTES = {'"': '"', "'": "'", "“": "”", "‘": "’", "«": "»"}


@dataclasses.dataclass(frozen=True)
class Refused:
    """An answer that is no query; `reason` is a short snake_case code."""

    reason: str


def read_answer(text: str, field: str) -> str | Refused:
    """Return the one line an answer holds: by its JSON, or by tolerant reading.

    '{"query": "red fox"}'                      ->  red fox
    '```json\\n{"query": "red fox"}\\n```'        ->  red fox
    'Sure! Here is the query: "red fox"'        ->  red fox
    'red fox\\nblue whale'                       ->  Refused("many_lines")
    """
    text = _THINKING.sub("", text).strip()
    text = _FENCE.sub("", text).strip()
    if not text:
        return Refused("empty")
    found = _read_json(text, field)
    if found is not None:
        return _one_line(found)
    if text[0] in "{[":
        return Refused("broken_json")
    found = _one_line(text)
    if isinstance(found, Refused):
        return found
    for _ in range(2):
        found = _LABEL.sub("", found).strip()
    if not found:
        return Refused("empty")
    if found[0] in _QUOTES and found.endswith(_QUOTES[found[0]]) and len(found) > 2:
        found = found[1:-1].strip()
    return found or Refused("empty")


def _one_line(text: str) -> str | Refused:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        return Refused("empty")
    return lines[0] if len(lines) == 1 else Refused("many_lines")


def _read_json(text: str, field: str) -> str | None:
    """Return the field of the first JSON object in a text that has it as a string."""
    decoder = json.JSONDecoder()
    begin = text.find("{")
    while begin >= 0:
        try:
            value, _ = decoder.raw_decode(text, begin)
        except (ValueError, RecursionError):
            value = None
        if isinstance(value, dict) and isinstance(value.get(field), str):
            return value[field]
        begin = text.find("{", begin + 1)
    return None


def is_refusal(text: str) -> bool:
    """Tell whether a text declines, in the words that models use for it."""
    return bool(_REFUSAL.search(text))
