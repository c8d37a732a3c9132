"""Markup in a prompt: switches, weights, emphasis brackets, entities and other leftovers.

What other programs read in a prompt and no picture shows. Knows nothing about content or flavors.
Every scan is linear in the text.
"""

import html
import re
import unicodedata

from pe.text.phrase import WORD_CHARACTER

_CONTROL = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u2064\ufeff\ufffd]"
)
_BROKEN_NUMERIC = re.compile(r"& ?# ?((?:\d ?){1,7});")
_ENTITY = re.compile(r"& ?(amp|quot|lt|gt|apos|nbsp) ?;|&#x?[0-9a-fA-F]{1,7};?")
_NEWLINES = re.compile(r"([,.;:|!?]?)[ \t]*[\r\n][\s]*")
_SPACES = re.compile(r"\s+")
_TAIL = re.compile(r"\bnegative prompts? ?:.*|\bsteps ?: ?\d.*", re.I)
_TAG = re.compile(
    r"<(?:lora|lyco|hypernet|ti|embedding|https?) ?:[^<>]{1,300}>|https?://[^\s,>]+", re.I
)
_FLAG = re.compile(
    r"(?<![\w-])(?:--|—|–|- -) ?(?:no\b(?: (?!--|—|–|- -)[^\s]+)+"
    r"|(?:ar|aspect) ?(?:\d ?){1,5}: ?(?:\d ?)+"
    r"|(?:v|version|s|stylize|q|quality|c|chaos|seed|sameseed|stop|iw|niji|w|h|width|height|weird"
    r"|repeat|cw|sw|ascore|steps|cfg) ?[\d.]+(?: ?\d)*\b"
    r"|(?:style|profile|sref|cref|p) [\w:/.]+"
    r"|(?:tile|uplight|upbeta|upanime|testp?|hd|creative|niji|video|beta|relax|fast|turbo|raw)\b)",
    re.I,
)
_COMMAND = re.compile(r"^[\s*]*(?:/ ?imagine(?: prompt)?\b ?:?|[!/] ?dream\b)", re.I)
_DOUBLE_COLON = re.compile(r" ?:: ?(-?(?:\d+(?:\.\d+)?|\.\d+))?")
_BARE_WEIGHT = re.compile(r"(?<=[^\W\d]):[0-2]\.\d{1,3}(?![\w.:])")
_INNER_WEIGHT = re.compile(r" ?: ?-?(?:\d{1,3}(?:\.\d{0,4})?|\.\d{1,4}) ?$")
_BRACKET = re.compile(r"[()\[\]{}]")
_OPENERS = {")": "(", "]": "[", "}": "{"}
_COMMAS = re.compile(r"(?: ?,)+")
_EDGE = " ,;|*/\\"


def clean_prompt(text: str) -> tuple[str, tuple[str, ...], int]:
    """Take switches and weights out of a prompt: (prompt, removed parameters, number of weights).

    "(red:1.2) fox, --ar 16:9"  ->  ("red fox", ("--ar 16:9",), 1)
    "a cat & # 0 3 9 ; s hat"   ->  ("a cat ' s hat", (), 0)
    """
    parameters: list[str] = []

    def take(match: re.Match[str]) -> str:
        parameters.append(match[0].strip())
        return " "

    text = unicodedata.normalize("NFC", text)
    if "&" in text:
        text = _BROKEN_NUMERIC.sub(lambda m: html.unescape(f"&#{m[1].replace(' ', '')};"), text)
        text = _ENTITY.sub(lambda m: html.unescape(f"&{m[1]};" if m[1] else m[0]), text)
    text = _CONTROL.sub("", text)
    if "\n" in text or "\r" in text:
        text = _NEWLINES.sub(lambda m: m[1] + " " if m[1] else ", ", text.strip())
    text = _SPACES.sub(" ", text)
    text = _COMMAND.sub(take, text)
    if ":" in text:
        text = _TAIL.sub(take, _TAG.sub(take, text))
    if "-" in text or "—" in text or "–" in text:
        text = _FLAG.sub(take, text)
    num_weights = 0
    if "::" in text:
        num_weights += len(_DOUBLE_COLON.findall(text))
        parameters.extend(m[0].strip() for m in _DOUBLE_COLON.finditer(text) if m[1])
        text = _DOUBLE_COLON.sub(lambda m: " " if m[1] else ", ", text)
    if _BRACKET.search(text):
        text, unwrapped = _unwrap_brackets(text)
        num_weights += unwrapped
    if ":" in text:
        text, bare = _BARE_WEIGHT.subn("", text)
        num_weights += bare
    text = _COMMAS.sub(",", _SPACES.sub(" ", text)).strip(_EDGE)
    return text if WORD_CHARACTER.search(text) else "", tuple(parameters), num_weights


def _unwrap_brackets(text: str) -> tuple[str, int]:
    """Drop emphasis and weights; plain parentheses stay. One pass with a stack.

    "((big)) fox (at rest)"  ->  ("big fox (at rest)", 1)
    """
    stack: list[tuple[str, int]] = []
    drop: list[tuple[int, int]] = []
    num_weights = 0
    last_pair: tuple[int, int] | None = None  # an inner pair closes right before its outer one
    for match in _BRACKET.finditer(text):
        char, at = match[0], match.start()
        if char in "([{":
            stack.append((char, at))
            continue
        if not stack or stack[-1][0] != _OPENERS[char]:
            if not (char == ")" and at and (text[at - 1].isdigit() or text[at - 1] in ":;")):
                drop.append((at, at + 1))
            continue
        _, start = stack.pop()
        weight = _INNER_WEIGHT.search(text[max(start + 1, at - 12) : at])
        nested = (
            last_pair is not None
            and start < last_pair[0] <= start + 2
            and last_pair[1] >= at - 2
            and not text[start + 1 : last_pair[0]].strip()
            and not text[last_pair[1] + 1 : at].strip()
        )
        if weight is not None or char != ")" or nested:
            cut = at - (len(weight[0]) if weight else 0)
            drop += [(start, start + 1), (cut, at + 1)]
            num_weights += not nested
        if nested and last_pair is not None:
            fresh = [(last_pair[0], last_pair[0] + 1), (last_pair[1], last_pair[1] + 1)]
            num_weights += fresh[0] not in drop[-6:]
            drop += fresh
        last_pair = (start, at)
    drop += [(at, at + 1) for _, at in stack]
    pieces, done = [], 0
    for start, stop in sorted(drop):
        if start >= done:
            pieces.append(text[done:start])
        done = max(done, stop)
    return "".join([*pieces, text[done:]]), num_weights
