"""Lists of flavors: phrases that change a picture's style, each with its category and its count.

Four kinds, by the same name everywhere ("spec"):

own                the lists that come with this package, `flavor_lists/CATEGORY.txt`: ours, with no
                   artist's name in them and no counts (0)
studio             what Studio draws, and what people say beside it and Studio does not know:
                   `flavor_lists/studio.txt`
clip-interrogator  the lists of the installed package of that name, read as files: the package is
                   never imported
FILE               a list as `pe flavors` writes it, or any text with one phrase a line

Knows nothing about prompts, images or ranking.
"""

import dataclasses
import hashlib
import importlib.util
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

OWN = "own"
STUDIO = "studio"
CLIP_INTERROGATOR = "clip-interrogator"

OWN_CATEGORIES = (
    "medium",
    "movement",
    "light",
    "camera",
    "palette",
    "mood",
    "composition",
    "texture",
    "quality",
    "engine",
    "site",
)
# `artist` holds names; `flavor` is a phrase that nobody has put in a category.
CATEGORIES = (*OWN_CATEGORIES, "artist", "flavor")

# clip-interrogator's tables in the order in which it merges them. A category that is not named
# here (light, camera, ...) belongs to its "flavors".
TABLES = {
    "artists": "artist",
    "flavors": "flavor",
    "mediums": "medium",
    "movements": "movement",
    "trendings": "site",
}

# The sites that clip-interrogator knows, spelled and ordered as it does.
_SITES = (
    *("Artstation", "behance", "cg society", "cgsociety", "deviantart", "dribble", "flickr"),
    *("instagram", "pexels", "pinterest", "pixabay", "pixiv", "polycount", "reddit"),
    *("shutterstock", "tumblr", "unsplash", "zbrush central"),
)
_SITE_PATTERNS = ("{}", "trending on {}", "featured on {}", "{} contest winner")
_ARTIST_PATTERNS = ("by {}", "inspired by {}")


@dataclasses.dataclass(frozen=True)
class FlavorList:
    """Phrases with their categories and counts, in one order.

    num_duplicates  phrases of the file that were there before and were left out
    num_empty       lines of the file with nothing in them
    num_artists     artists of the file that were left out, because none were asked for
    """

    name: str
    phrases: tuple[str, ...]
    categories: tuple[str, ...]
    counts: tuple[int, ...]
    num_duplicates: int = 0
    num_empty: int = 0
    num_artists: int = 0

    def __post_init__(self) -> None:
        sizes = len(self.phrases), len(self.categories), len(self.counts)
        if len(set(sizes)) != 1:
            raise ValueError(
                f"flavor list {self.name!r}: got {sizes} phrases, categories and counts, expected "
                "as many of each"
            )
        unknown = sorted(set(self.categories) - set(CATEGORIES))
        if unknown:
            raise ValueError(f"flavor list {self.name!r}: {_unknown_category(unknown[0])}")

    def __len__(self) -> int:
        return len(self.phrases)

    def digest(self) -> str:
        """Return a hash of the phrases and their categories, in order."""
        parts = zip(self.phrases, self.categories, strict=True)
        text = "".join(f"{phrase}\t{category}\n" for phrase, category in parts)
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()

    def of(self, category: str) -> tuple[str, ...]:
        """Return the phrases of one category, in order; none where the list has none.

        Raises ValueError for a category that is not in `CATEGORIES`.
        """
        if category not in CATEGORIES:
            raise ValueError(_unknown_category(category))
        pairs = zip(self.phrases, self.categories, strict=True)
        return tuple(phrase for phrase, own in pairs if own == category)

    def tables(self) -> dict[str, tuple[str, ...]]:
        """Return clip-interrogator's five tables, in the order in which it merges them.

        phrases     fog     oil painting  cubism    by mira voss  trending on behance
        categories  light   medium        movement  artist        site
        returns     artists: by mira voss   flavors: fog   mediums: oil painting
                    movements: cubism       trendings: trending on behance
        """
        table_of = {category: table for table, category in TABLES.items()}
        tables: dict[str, list[str]] = {table: [] for table in TABLES}
        for phrase, category in zip(self.phrases, self.categories, strict=True):
            tables[table_of.get(category, "flavors")].append(phrase)
        return {table: tuple(phrases) for table, phrases in tables.items()}

    def merged(self) -> tuple[str, ...]:
        """Return the phrases of `tables` in one line: the order of clip-interrogator's ranking."""
        return tuple(phrase for table in self.tables().values() for phrase in table)


def load_flavors(spec: str, *, artists: bool = False) -> FlavorList:
    """Load a flavor list: own, studio, clip-interrogator, or a file (one called own is ./own).

    Without `artists` every phrase of the category artist is left out. Of a file, lines that are
    empty or hold a phrase a second time (but for case and white space) are left out and counted;
    clip-interrogator's lists stay as that package reads them, empty lines and repeats included, so
    that a ranking of them is that package's ranking.

    Raises:
      FileNotFoundError: there is no such file.
      ValueError: clip-interrogator is not installed, or its lists are not where they were; the file
        is a folder, not UTF-8, without a phrase, or has a line of another form.
    """
    if spec == OWN:
        return _load_own()
    if spec == STUDIO:
        return parse_flavors(_read_list(STUDIO), STUDIO, artists=artists)
    if spec == CLIP_INTERROGATOR:
        return _load_clip_interrogator(artists=artists)
    path = Path(spec)
    return parse_flavors(_read_text(path), path.name, artists=artists)


def load_negative(spec: str) -> tuple[str, ...]:
    """Load the phrases for what a picture should not be: "blurry", "watermark".

    clip-interrogator has its own; with every other spec they are ours.
    """
    if spec == CLIP_INTERROGATOR:
        return tuple(_read_package_list(_find_package_lists(), "negative"))
    return _read_own("negative")


def parse_flavors(text: str, name: str, *, artists: bool = False) -> FlavorList:
    r"""Read a flavor list from its text.

    A line is a phrase, or phrase<TAB>count<TAB>category; "#" alone or before a space opens a
    remark. A phrase by itself has the count 0 and the category flavor.

    text                              phrase        count  category
    # a list of ours                  (a remark)
    oil painting\t812\tmedium         oil painting  812    medium
    golden hour                       golden hour   0      flavor
    Golden  Hour                      (a duplicate)
    by mira voss\t9\tartist           (left out without `artists`)
    #pixelart                         #pixelart     0      flavor

    Raises ValueError for a line of another form, and where no phrase is left.
    """
    rows: dict[str, tuple[str, str, int]] = {}
    num_duplicates = num_empty = num_artists = 0
    for number, line in enumerate(text.split("\n"), start=1):
        if line.rstrip() == "#" or line.startswith(("# ", "#\t")):
            continue
        if not line.strip():
            num_empty += 1
            continue
        phrase, count, category = _parse_line(line, f"{name}:{number}")
        key = phrase.lower()
        if key in rows:
            num_duplicates += 1
        elif category == "artist" and not artists:
            num_artists += 1
        else:
            rows[key] = (phrase, category, count)
    if text.endswith("\n") or not text:
        num_empty -= 1  # what follows the last line is no line
    if not rows:
        raise ValueError(
            f"{name} has no flavor in it: got {max(0, num_empty)} empty lines and {num_artists} "
            "artists, expected a phrase a line"
        )
    phrases, categories, counts = zip(*rows.values(), strict=True)
    return FlavorList(
        name=name,
        phrases=phrases,
        categories=categories,
        counts=counts,
        num_duplicates=num_duplicates,
        num_empty=num_empty,
        num_artists=num_artists,
    )


def format_flavors(flavors: FlavorList, remarks: Sequence[str] = ()) -> str:
    r"""Write a flavor list as text that `parse_flavors` reads back.

    remarks            ("made by hand",)
    phrases, counts    oil painting 812, golden hour 40
    returns            # made by hand
                       oil painting\t812\tmedium
                       golden hour\t40\tlight
    """
    lines = [f"# {' '.join(remark.split())}" for remark in remarks]
    rows = zip(flavors.phrases, flavors.counts, flavors.categories, strict=True)
    lines += [f"{phrase}\t{count}\t{category}" for phrase, count, category in rows]
    return "\n".join(lines) + "\n"


def _parse_line(line: str, where: str) -> tuple[str, int, str]:
    """Read a line of a list: "fog\\t12\\tlight" -> ("fog", 12, "light")."""
    fields = [" ".join(field.split()) for field in line.strip("\r\n").split("\t")]
    if len(fields) == 1:
        return fields[0], 0, "flavor"
    if len(fields) != 3 or not fields[0]:
        raise ValueError(
            f"{where}: got {line.strip()!r}, {len(fields)} fields; expected a phrase by itself, or "
            "phrase<TAB>count<TAB>category"
        )
    phrase, count, category = fields
    if not (count.isascii() and count.isdigit()):
        raise ValueError(f"{where}: got {count!r} for the count, expected a whole number")
    if category not in CATEGORIES:
        raise ValueError(f"{where}: {_unknown_category(category)}")
    return phrase, int(count), category


def _unknown_category(category: str) -> str:
    return f"got {category!r} for the category, expected one of {', '.join(CATEGORIES)}"


def _read_text(path: Path) -> str:
    known = (
        f"expected {OWN}, {STUDIO}, {CLIP_INTERROGATOR}, or the path of a text with a phrase a line"
    )
    if path.is_dir():
        raise ValueError(f"the flavor list {str(path)!r} is a folder; {known}")
    if not path.exists():
        raise FileNotFoundError(f"there is no flavor list {str(path)!r}; {known}")
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path} is not UTF-8: got byte {error.object[error.start]:#04x} at {error.start:,}; "
            "save it as UTF-8 text"
        ) from error


# ---- our own lists ------------------------------------------------------------------------------


def _read_list(name: str) -> str:
    file = resources.files("pe.text") / "flavor_lists" / f"{name}.txt"
    return file.read_text(encoding="utf-8")


def _read_own(category: str) -> tuple[str, ...]:
    return tuple(_read_list(category).split("\n")[:-1])


def _load_own() -> FlavorList:
    tables = {category: _read_own(category) for category in OWN_CATEGORIES}
    return FlavorList(
        name=OWN,
        phrases=tuple(phrase for table in tables.values() for phrase in table),
        categories=tuple(category for category, table in tables.items() for _ in table),
        counts=(0,) * sum(map(len, tables.values())),
    )


# ---- clip-interrogator's lists ------------------------------------------------------------------


def _load_clip_interrogator(*, artists: bool) -> FlavorList:
    """Read the package's lists into the labels it makes of them, in the order it merges them."""
    folder = _find_package_lists()
    tables = {
        "artists": _fill(_ARTIST_PATTERNS, _read_package_list(folder, "artists")),
        "flavors": _read_package_list(folder, "flavors"),
        "mediums": _read_package_list(folder, "mediums"),
        "movements": _read_package_list(folder, "movements"),
        "trendings": _fill(_SITE_PATTERNS, _SITES),
    }
    num_artists = 0 if artists else len(tables["artists"])
    if not artists:
        tables["artists"] = []
    return FlavorList(
        name=CLIP_INTERROGATOR,
        phrases=tuple(phrase for table in tables.values() for phrase in table),
        categories=tuple(TABLES[name] for name, table in tables.items() for _ in table),
        counts=(0,) * sum(map(len, tables.values())),
        num_artists=num_artists,
    )


def _fill(patterns: Sequence[str], names: Sequence[str]) -> list[str]:
    """Put every name into the first pattern, then into the second: ("by {}",), a -> by a."""
    return [pattern.format(name) for pattern in patterns for name in names]


def _find_package_lists() -> Path:
    spec = importlib.util.find_spec("clip_interrogator")
    if spec is None or not spec.submodule_search_locations:
        raise ValueError(
            "the flavor list clip-interrogator is in the package of that name, which is not "
            "installed; install prompt-expansion with the extra [interrogator], or use the list "
            f"{OWN!r}"
        )
    return Path(spec.submodule_search_locations[0]) / "data"


def _read_package_list(folder: Path, name: str) -> list[str]:
    """Read a list as the package does: bytes that are not UTF-8 replaced, empty lines kept."""
    path = folder / f"{name}.txt"
    if not path.is_file():
        raise ValueError(
            f"the installed clip-interrogator has no {folder.name}/{path.name}; expected the lists "
            "of its version 0.6.0"
        )
    with path.open(encoding="utf-8", errors="replace") as file:
        return [line.strip() for line in file]
