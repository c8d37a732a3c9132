"""What may stay in a dataset: by licence, language, safety, evaluation sets and personal data.

Prompts are screened before queries are made of them, so that nobody is asked about what goes;
queries are screened once they stand in pairs, since people and language models write them, too.
"""

import dataclasses
import functools
from pathlib import Path
from typing import ClassVar

import pyarrow as pa

from pe.records import Image, Inversion, Pair, Record, content_hash
from pe.stages.stage import Drop, Result
from pe.text.contamination import EvaluationLines, read_evaluation_lines
from pe.text.language import LANGUAGES, UNKNOWN, tag_language
from pe.text.personal import find_personal, mask_personal
from pe.text.safety import find_unsafe, identify_tables, read_phrases

ACTIONS = ("mask", "drop", "keep")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ScreenConfig:
    """What goes, and what is changed. Empty tuples and names ask for nothing.

    allow_licences    the licences that rows may have, whatever their case; "" is a row without one
    languages         tags of the languages that prompts may be in (`pe.text.language`)
    unsafe            "drop" or "keep" what `pe.text.safety` finds
    allow_phrases     a file of phrases, one a line, that are harmless here
    personal          "mask", "drop" or "keep" e-mail addresses, telephone numbers and @handles
    placeholder       what is put in their place; {kind} is email, phone or handle
    evaluation_sets   files of lines (.tsv .csv .jsonl .txt) that must not be in the dataset
    """

    allow_licences: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    unsafe: str = "drop"
    allow_phrases: str = ""
    personal: str = "mask"
    placeholder: str = "[{kind}]"
    evaluation_sets: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, choices in (("unsafe", ACTIONS[1:]), ("personal", ACTIONS)):
            if getattr(self, name) not in choices:
                raise ValueError(
                    f"ScreenConfig.{name}: got {getattr(self, name)!r}, expected one of {choices}"
                )
        if self.unsafe == "keep" and self.allow_phrases:
            raise ValueError(
                f"ScreenConfig.allow_phrases is {self.allow_phrases}, and ScreenConfig.unsafe is "
                "'keep', so that nothing is looked for; leave one out"
            )
        try:
            self.placeholder.format(kind="email")
        except (KeyError, IndexError, ValueError) as error:
            raise ValueError(
                f"ScreenConfig.placeholder: got {self.placeholder!r}, expected a text with {{kind}}"
            ) from error
        unknown = [tag for tag in self.languages if tag not in (*LANGUAGES, UNKNOWN)]
        if unknown:
            known = ", ".join((*LANGUAGES, UNKNOWN))
            raise ValueError(f"ScreenConfig.languages: {unknown[0]!r} is none of {known}")
        for name in ("allow_licences", "languages", "evaluation_sets"):
            if not isinstance(getattr(self, name), tuple):
                raise ValueError(f"ScreenConfig.{name}: expected ('x', 'y'), or ('x',) for one")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ScreenKey:
    """What screening depends on: its settings, the word tables, and the files that it names."""

    screen: ScreenConfig
    tables: str
    phrases: tuple[str, ...]
    evaluation: str


class Screen:
    """Looks at single texts; made once for both stages."""

    def __init__(self, config: ScreenConfig):
        """Read the files that a config names.

        Raises FileNotFoundError where one is not there, and ValueError where one cannot be read.
        """
        self.config = config
        for name in (config.allow_phrases, *config.evaluation_sets):
            if name and not Path(name).is_file():
                raise FileNotFoundError(f"ScreenConfig: there is no file {name}; check the path")
        phrases = read_phrases(Path(config.allow_phrases)) if config.allow_phrases else ()
        rows = [r for name in config.evaluation_sets for r in read_evaluation_lines(Path(name))]
        self.lines = EvaluationLines(rows)
        self._find_unsafe = functools.partial(find_unsafe, allowed=phrases)
        evaluation = content_hash(*(part for row in rows for part in row)) if rows else ""
        self.key = ScreenKey(
            screen=config, tables=identify_tables(), phrases=phrases, evaluation=evaluation
        )
        self._licences = {licence.strip().lower() for licence in config.allow_licences}

    def check(self, text: str) -> Drop | None:
        """Return why a text has to go, or None."""
        if self.config.unsafe == "drop":
            unsafe = self._find_unsafe(text)
            if unsafe is not None:
                return Drop(unsafe.reason, unsafe.words)
        match = self.lines.find(text) if len(self.lines) else None
        if match is not None:
            return Drop(f"contaminated_{match.how}", f"{match.name}: {match.line}")
        if self.config.personal == "drop":
            kinds = sorted({found.kind for found in find_personal(text)})
            if kinds:
                return Drop(f"personal_{kinds[0]}", ", ".join(kinds))
        return None

    def check_licence(self, licence: str) -> Drop | None:
        """Return why a row's licence does not do, or None."""
        if self._licences and licence.strip().lower() not in self._licences:
            return Drop("licence", licence or "none is given")
        return None

    def mask(self, text: str) -> str:
        """Return a text without personal data, where it is to be masked."""
        if self.config.personal != "mask":
            return text
        return mask_personal(text, self.config.placeholder)


class ScreenStage:
    """Inversion -> itself, with its language and without personal data, or the reason it goes."""

    NAME: ClassVar[str] = "screen"
    VERSION: ClassVar[str] = "1"
    INPUT: ClassVar[str] = "inversion"
    OUTPUT: ClassVar[type[Record]] = Inversion
    ORDERED: ClassVar[bool] = False

    def __init__(self, screen: Screen):
        self.config = screen.key
        self.screen = screen

    def __call__(self, table: pa.Table) -> list[Result]:
        rows = zip(table["inversion"].to_pylist(), table["image"].to_pylist(), strict=True)
        return [self._check(Inversion.from_row(row), Image.from_row(image)) for row, image in rows]

    def _check(self, inversion: Inversion, image: Image) -> Result:
        drop = self.screen.check_licence(image.licence) or self.screen.check(inversion.prompt)
        if drop is not None:
            return drop
        language = tag_language(inversion.prompt)
        languages = self.config.screen.languages
        if languages and language not in languages:
            return Drop("language", language)
        mask = self.screen.mask
        prompt = mask(inversion.prompt)
        masked = dataclasses.replace(
            inversion,
            id=inversion.id if prompt == inversion.prompt else "",  # of what it holds
            caption=mask(inversion.caption),
            flavors=tuple(mask(flavor) for flavor in inversion.flavors),
            prompt=prompt,
            language=language,
        )
        return (masked,)


class ScreenPairStage:
    """Pair -> itself, its query without personal data, or the reason why the query goes."""

    NAME: ClassVar[str] = "screen_pair"
    VERSION: ClassVar[str] = "1"
    INPUT: ClassVar[str] = "pair"
    OUTPUT: ClassVar[type[Record]] = Pair
    ORDERED: ClassVar[bool] = False

    def __init__(self, screen: Screen):
        self.config = screen.key
        self.screen = screen

    def __call__(self, table: pa.Table) -> list[Result]:
        return [self._check(Pair.from_row(row)) for row in table["pair"].to_pylist()]

    def _check(self, pair: Pair) -> Result:
        drop = self.screen.check(pair.query)
        if drop is not None:
            return drop
        query = self.screen.mask(pair.query)
        return (pair if query == pair.query else dataclasses.replace(pair, query=query, id=""),)


def make_screens(config: ScreenConfig) -> tuple[ScreenStage, ScreenPairStage]:
    """Return the stage for inversions and the one for pairs."""
    screen = Screen(config)
    return ScreenStage(screen), ScreenPairStage(screen)
