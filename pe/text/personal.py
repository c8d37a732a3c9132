"""Personal data in texts: e-mail addresses, telephone numbers, @handles; masked or reported.

Telephone numbers are found by `phonenumbers` (Google's rules for what numbers a country has), where
a text holds seven digits or more; those without a country's code are read as of `REGION`. Sizes,
years and the settings of cameras are no valid numbers, and stay.
"""

import dataclasses
import re
from collections.abc import Iterator

REGION = "US"
LEAST_DIGITS = 7
_EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@(?:[\w-]{1,63}\.)+[a-z]{2,24}\b", re.I)
# "@name", not "a @ b", not the part of an address, not "@2x"
_HANDLE = re.compile(r"(?<![\w@./])@(?!\d)\w(?:[\w.]{0,28}\w)?", re.I)
_SIZE = re.compile(r"^\d+\s*[x×:/]\s*\d+$")


@dataclasses.dataclass(frozen=True)
class Personal:
    """What was found: its kind ("email", "phone", "handle") and where it stands."""

    kind: str
    begin: int
    end: int


def find_personal(text: str) -> list[Personal]:
    """Find personal data, in the order of the text; nothing overlaps.

    "art by @someone, mail me at a.b@site.org"  ->  handle 7-15, email 28-40
    """
    found: list[Personal] = []
    for one in sorted(_find_all(text), key=lambda p: (p.begin, -p.end)):
        if not found or one.begin >= found[-1].end:
            found.append(one)
    return found


def mask_personal(text: str, placeholder: str = "[{kind}]") -> str:
    """Put a placeholder in the place of personal data: "mail a@b.org" -> "mail [email]"."""
    for one in reversed(find_personal(text)):
        text = text[: one.begin] + placeholder.format(kind=one.kind) + text[one.end :]
    return text


def _find_all(text: str) -> Iterator[Personal]:
    if "@" in text:
        for kind, pattern in (("email", _EMAIL), ("handle", _HANDLE)):
            for match in pattern.finditer(text):
                yield Personal(kind, match.start(), match.end())
    if sum(character.isdigit() for character in text) >= LEAST_DIGITS:
        import phonenumbers

        for match in phonenumbers.PhoneNumberMatcher(text, REGION):
            if not _SIZE.match(match.raw_string):
                yield Personal("phone", match.start, match.end)
