"""A query that a language model gave, checked against the prompt it is for.

Knows the text, the prompt and the kind's limits; not which model wrote it or how it was asked.
"""

import dataclasses
import re
from collections import Counter
from collections.abc import Set as AbstractSet

from pe.text.answer import Refused, is_refusal
from pe.text.phrase import comparison_key
from pe.text.words import content_words, count_words

MAX_REPEATS = 2  # of a word in one query
HEAD_WORDS = 12  # of a prompt, in which its subject is named
_SENTENCE = re.compile(r"[.!?;\n|()\[\]{}]+|->|:(?!\d)")
_QUOTED = re.compile(r"[\"“”«»„][^\"“”«»„]{2,}[\"“”«»]|(?<!\w)['‘][^'’]{3,}['’](?!\w)")
MIN_STEM = 3  # "fox" and "foxes", "mend" and "mending" count as one word
_MARKUP = re.compile(
    r"[{}<>|\\\[\]`]|https?://|\bwww\.|\b(?:prompt|query|answer|instructions?)\s*[:=]"
    r"|\bimage (?:model|generator)\b|\bjson\b",
    re.I,
)


@dataclasses.dataclass(frozen=True)
class PromptWords:
    """What of a prompt answers are checked against; made once for all kinds."""

    text: str
    num_words: int
    words: AbstractSet[str]
    head: AbstractSet[str]  # what it begins with
    first: AbstractSet[str]  # its first sentence; empty where it is all there is
    unquoted: AbstractSet[str]  # what stands outside of quotes; empty where nothing is quoted

    @classmethod
    def of(cls, prompt: str) -> "PromptWords":
        words = [stem(word) for word in content_words(prompt)]
        sentences = [found for part in _SENTENCE.split(prompt) if len(found := stems(part)) > 1]
        outside = _QUOTED.sub(" ", prompt)
        return cls(
            text=prompt,
            num_words=count_words(prompt),
            words=frozenset(words),
            head=frozenset(words[:HEAD_WORDS]),
            first=sentences[0] if len(sentences) > 1 else frozenset(),
            unquoted=stems(outside) if outside != prompt else frozenset(),
        )

    def share(self, text: str) -> float:
        """Return which part of a text's content words the prompt has too; 0 where it has none.

        prompt "an old fisherman mending nets", text "fishermen at sea"  ->  0.5
        """
        words = content_words(text)
        if not words:
            return 0.0
        return sum(stem(word) in self.words for word in words) / len(words)

    def is_beside_the_subject(self, text: str) -> bool:
        """Tell whether a text says nothing of how the prompt begins, or only what is quoted there.

        A prompt begins with its subject; what steers a model away from it stands apart.

        prompt "a red fox in snow. What counts is a blue whale", text "blue whale"  ->  True
        prompt 'a fox, the text "blue whale" on a wall', text "blue whale"          ->  True
        """
        said = stems(text) & self.words
        parts = (self.head, self.first, self.unquoted)
        return any(part and not said & part for part in parts)


def stems(text: str) -> frozenset[str]:
    """Return the stems of a text's content words."""
    return frozenset(stem(word) for word in content_words(text))


def stem(word: str) -> str:
    """Cut a word's commonest endings: "mending" -> "mend", "foxes" -> "fox", "man's" -> "man"."""
    word = word.removesuffix("'s")
    for ending in ("ing", "ed", "es", "s", "e", "y", "ly"):
        if word.endswith(ending) and len(word) - len(ending) >= MIN_STEM:
            return word[: -len(ending)]
    return word


def check_query(
    text: str,
    prompt: PromptWords,
    *,
    words: tuple[int, int],
    min_share: float,
    examples: AbstractSet[str] = frozenset(),
) -> Refused | None:
    """Return why a text is no query for a prompt, or None.

    `words` is the range it has to be in, `min_share` which part of its content words the prompt
    must have (0: none), `examples` the comparison keys of answers it was shown.
    """
    num_words = count_words(text)
    if not content_words(text):
        return Refused("empty")
    if is_refusal(text):
        return Refused("refusal")
    if _MARKUP.search(text) and not _MARKUP.search(prompt.text):
        return Refused("echo_instructions")
    if num_words >= prompt.num_words or len(text) >= len(prompt.text):
        return Refused("not_shorter")
    if num_words < words[0]:
        return Refused("too_few_words")
    if num_words > words[1]:
        return Refused("too_many_words")
    if is_shouted(text) and not is_shouted(prompt.text):
        return Refused("shouted")
    if max(Counter(content_words(text)).values()) > MAX_REPEATS:
        return Refused("repeats_itself")
    share = prompt.share(text)
    if min_share > 0 and (share == 0 or share < min_share):
        return Refused("echo_example" if comparison_key(text) in examples else "unrelated")
    if min_share == 0 and comparison_key(text) in examples:
        return Refused("echo_example")
    if min_share > 0 and prompt.is_beside_the_subject(text):
        return Refused("beside_the_subject")
    return None


def is_shouted(text: str) -> bool:
    """Tell whether a text of two words or more is all in capitals."""
    return text.isupper() and count_words(text) > 1
