"""The kinds of queries: how many words each has, and what a language model is told of it.

The paper names them (arXiv:2312.16720, sec. 4 and appendix A) and prints neither definitions nor
word limits: these are ours.
"""

from pe.records import KINDS

Range = tuple[int, int]
ABSTRACT_WORDS: Range = (1, 4)
CONCRETE_WORDS: Range = (2, 24)
SHORT_WORDS: Range = (1, 5)
MEDIUM_WORDS: Range = (3, 8)
LONG_WORDS: Range = (6, 16)


def check_words(name: str, value: Range) -> None:
    """Raise ValueError for a range that is none."""
    if len(value) != 2 or not all(type(n) is int for n in value) or not 1 <= value[0] <= value[1]:
        raise ValueError(
            f"{name} must be whole numbers (fewest, most), 1 <= fewest <= most, got {value!r}"
        )


def check_kinds(name: str, kinds: tuple[str, ...]) -> None:
    """Raise ValueError for a list of kinds that holds none, one twice, or one that is not known."""
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown or not kinds or len(set(kinds)) < len(kinds):
        raise ValueError(f"{name}: got {kinds}, expected some of {KINDS}, each once")
