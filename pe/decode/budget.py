"""Cut a text to a number of tokens, at the end of a phrase.

What a text costs is counted by a function of the caller's, on the very text that would be left:
tokens of the parts do not add up to tokens of the whole. Knows no tokenizer and no model.

A phrase ends where `pe.text.split` ends it (commas, semicolons, bars, sentence ends), at a line's
end, and at a "::" without weight; never inside brackets, quotes or a tag such as <lora:x:1>.
"""

import dataclasses
import re
from bisect import bisect_right
from collections.abc import Callable, Sequence

from pe.text.phrase import LOOSE_MARKS
from pe.text.split import PHRASE_BREAK

# longer pairs are whole prompts somebody put in brackets or quotes: running text
MAX_ENCLOSED_CHARS = 300
# Where a cut changes the tokens at its edge, a longer text may count less than a shorter one: how
# far above the budget the search still looks for such a text.
EDGE_TOKENS = 8
_BREAK = re.compile(rf"{PHRASE_BREAK.pattern}|[\r\n]+|::(?! ?-?[\d.])")
_THOUSANDS = re.compile(r"(?<=\d),\d{3}(?!\d)")
_BRACKET = re.compile(r"(?<![:;=])[(\[{]|[)\]}]")  # ":(" is a face
_OPENERS = {")": "(", "]": "[", "}": "{"}
_QUOTE = re.compile(r'(?<!\w)"[^"\r\n]+"(?!\w)|“[^“”\r\n]+”')
_OPEN_QUOTE = re.compile(r'(?<!\w)"(?=\w)[^"\r\n]*\Z|“[^“”\r\n]*\Z')
_TAG = re.compile(r"<(?=[^\s<>])[^<>\r\n]{1,300}>")
_SPACES = re.compile(r"\s+")
_DANGLING = re.compile(
    r"(?:(?<!\S)(?:in (?:the |a )?(?:styles?|manner)(?: of)?|inspired by|a|an|and|the|or|with"
    r"|without|by|of|in|on|at|to|for|from|as|into|onto|over|under|near|between|featuring|&)"
    r"|[\s,;:|，、。]+|(?<!\S)[(\[{<\"“+–—-]+)\Z",
    re.I,
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fitted:
    """A text that keeps its budget.

    `num_tokens` is what it counts, `cut` whether anything was taken off, `whole_phrases` whether it
    ends where a phrase does. Where not even the first phrase fits it is whole words of it, or "".
    """

    text: str
    num_tokens: int
    cut: bool
    whole_phrases: bool


def fit_to_budget(
    text: str, count: Callable[[str], int], budget: int, *, protected: str = ""
) -> Fitted:
    """Return the longest run of whole phrases from the text's start that fits in the budget.

    Where not even the first phrase fits, whole words of it are kept, outside of brackets and quotes
    if possible, and words that would dangle at the end ("with", "in the style of") are dropped;
    where not even a word fits, nothing is left. `protected` is what the text starts with and must
    not lose, such as a person's own words.

    Example (a token is a word or a mark):
      text                          budget  text of the result        whole_phrases
      a red fox, oil on canvas, 8k       9  the same                  True
      a red fox, oil on canvas, 8k       8  a red fox, oil on canvas  True
      a red fox, oil on canvas, 8k       6  a red fox                 True
      a fox, (red, soft:1.2), 8k        10  a fox                     True
      a red fox with a hat               5  a red fox                 False
      antidisestablishment               0  (empty)                   False

    Raises ValueError where the empty text, or the protected one, is over the budget already, and
    where the text does not start with the protected one.
    """
    if (least := count("")) > budget:
        raise ValueError(
            f"budget: got {budget} tokens, expected {least} or more: so many has the empty text"
        )
    if not text.startswith(protected):
        raise ValueError(f"protected: got {protected!r}, expected what the text starts with")
    if protected and (least := count(protected)) > budget:
        raise ValueError(
            f"protected: got a text of {least} tokens, and the budget is {budget}; shorten it, or "
            "choose a target that takes more"
        )
    if (num_tokens := count(text)) <= budget:
        return Fitted(text=text, num_tokens=num_tokens, cut=False, whole_phrases=True)
    phrase_ends = [end for end in find_phrase_ends(text) if end >= len(protected)]
    fitted = _longest(text, phrase_ends, count, budget)
    if fitted is not None:
        return Fitted(text=fitted, num_tokens=count(fitted), cut=True, whole_phrases=True)
    stop = phrase_ends[0] if phrase_ends else len(text)
    pairs, tags = _find_pairs(text), _find_tags(text)
    words = [m.start() for m in _SPACES.finditer(text, 0, stop) if m.start() >= len(protected)]
    words = _outside(words, tags)
    for ends in (_outside(words, pairs), words):
        fitted = _longest(text, _drop_dangling(text, ends, len(protected)), count, budget)
        if fitted is not None:
            break
    else:
        fitted = protected
    whole = ends_at_phrase(fitted, text)  # where the protected part alone is left, it may be
    return Fitted(text=fitted, num_tokens=count(fitted), cut=True, whole_phrases=whole)


def ends_at_phrase(text: str, original: str) -> bool:
    """Tell whether a text is the start of another and stops where a phrase of it does.

    Example (original: "a red fox, in snow"):
      text        returns
      a red fox   True
      a red fox,  True
      a red       False
      a blue fox  False
    """
    if text == original:
        return True
    if not text.strip() or not original.startswith(text):
        return False
    at = len(text.rstrip())
    if at == len(original.rstrip()):
        return True
    return any(start <= at <= stop for start, stop in _find_breaks(original))


def find_phrase_ends(text: str) -> list[int]:
    """List where phrases end, in order: text[:end] is a run of whole phrases, without a separator.

    "a fox , (red, soft:1.2); 8k"  ->  [5, 23, 27]
    """
    breaks = _find_breaks(text)
    ends = [start for start, _ in breaks]
    last = len(text.rstrip())
    return [*ends, last] if last > (breaks[-1][1] if breaks else 0) else ends


def split_phrases(text: str) -> list[str]:
    """Take a text apart at its phrase ends.

    "a fox , (red, soft:1.2); 8k"  ->  ["a fox", "(red, soft:1.2)", "8k"]
    """
    breaks = _find_breaks(text)
    starts = [0, *(stop for _, stop in breaks)]
    ends = [*(start for start, _ in breaks), len(text)]
    pieces = (text[start:end].strip(LOOSE_MARKS) for start, end in zip(starts, ends, strict=True))
    return [piece for piece in pieces if piece]


def drop_unfinished(text: str) -> str:
    """Cut a text that ran out of tokens at its last phrase end, or else before its last word.

    A bracket or quote that is still open is unfinished too. A phrase end that would leave less than
    a third of the text does not count.

    Example:
      text                              returns
      a boat, oil on canvas, dramati    a boat, oil on canvas
      a boat at sea, (golden hour, so   a boat at sea
      a small red boat on a l           a small red boat on a
      boat                              boat
    """
    breaks = _find_breaks(text, closed=False)
    if breaks and breaks[-1][1] == len(text) and text[breaks[-1][0] - 1].isdigit():
        breaks.pop()  # the "." of 35.5, the "," of 1,000
    if breaks and breaks[-1][0] >= len(text) // 3:
        return text[: breaks[-1][0]]
    return text.rpartition(" ")[0] or text


def _longest(
    text: str, ends: Sequence[int], count: Callable[[str], int], budget: int
) -> str | None:
    """Return the longest text[:end] that fits, None where none does."""
    at = bisect_right(ends, budget, key=lambda end: count(text[:end]))
    longest = None
    for end in reversed(ends[:at]):  # the first of them, unless counts go up and down
        if count(text[:end]) <= budget:
            longest = text[:end]
            break
    for end in ends[at:]:
        num_tokens = count(text[:end])
        if num_tokens <= budget:
            longest = text[:end]
        elif num_tokens > budget + EDGE_TOKENS:
            break
    return longest


def _drop_dangling(text: str, ends: Sequence[int], start: int) -> list[int]:
    """Move ends before separators, open marks and connecting words, not before `start`.

    "a fox in the style of", [5, 8, 12, 18, 21]  ->  [5]
    """
    tidy: dict[int, int] = {}
    for end in ends:
        at = end
        while at not in tidy:
            match = _DANGLING.search(text, max(start, at - 40), at)
            if match is None:
                break
            at = match.start()
        tidy[end] = tidy.get(at, at)
    return sorted({at for at in tidy.values() if at > start})


def _find_breaks(text: str, *, closed: bool = True) -> list[tuple[int, int]]:
    """List separators between phrases with the spaces about them, runs of them as one.

    Without `closed`, a pair that never closes reaches to the end of the text.
    """
    spans = _find_tags(text) + _find_pairs(text, closed=closed)
    breaks: list[tuple[int, int]] = []
    matches = {
        match.start(): match.end()
        for match in _BREAK.finditer(text)
        if not _THOUSANDS.match(text, match.start())
    }
    for start in _outside(list(matches), spans):
        stop = matches[start]
        while start and text[start - 1].isspace():
            start -= 1
        while stop < len(text) and text[stop].isspace():
            stop += 1
        if breaks and start <= breaks[-1][1]:
            breaks[-1] = (breaks[-1][0], stop)
        else:
            breaks.append((start, stop))
    if breaks and not text[: breaks[0][0]].strip(LOOSE_MARKS):
        breaks.pop(0)  # nothing stands before it
    return breaks


def _outside(positions: Sequence[int], spans: Sequence[tuple[int, int]]) -> list[int]:
    """Keep the positions, ascending, that lie in none of the spans."""
    kept = []
    reach, waiting = 0, sorted(spans, reverse=True)
    for at in positions:
        while waiting and waiting[-1][0] < at:
            reach = max(reach, waiting.pop()[1])
        if at >= reach:
            kept.append(at)
    return kept


def _find_tags(text: str) -> list[tuple[int, int]]:
    return [match.span() for match in _TAG.finditer(text)]


def _find_pairs(text: str, *, closed: bool = True) -> list[tuple[int, int]]:
    """List pairs of brackets and quotes that are no running text, and unclosed ones if asked."""
    pairs = [match.span() for match in _QUOTE.finditer(text)]
    stack: list[tuple[str, int]] = []
    for match in _BRACKET.finditer(text):
        if match[0] in "([{":
            stack.append((match[0], match.start()))
        elif stack and stack[-1][0] == _OPENERS[match[0]]:
            pairs.append((stack.pop()[1], match.end()))
    first = len(text) - len(text.lstrip(LOOSE_MARKS))
    last = len(text.rstrip(LOOSE_MARKS))
    pairs = [
        (start, stop)
        for start, stop in pairs
        if stop - start <= MAX_ENCLOSED_CHARS and not (start <= first and stop >= last)
    ]
    if not closed:
        opened = [start for _, start in stack]
        opened += [match.start() for match in _OPEN_QUOTE.finditer(text)]
        pairs += [(start, len(text) + 1) for start in opened]
    return pairs
