"""Which category a phrase of a prompt belongs to, if it is a flavor at all.

Rules over the tables of `pe.text.flavors`, our own flavor lists and `flavor_words`. A phrase is a
flavor only when every word of it is known, so that a name or a thing shown makes it none. Knows
nothing about counts or files of prompts.
"""

import re

from data_builders import flavor_words
from pe.text import flavors as tables
from pe.text.flavor_list import OWN, OWN_CATEGORIES, load_flavors
from pe.text.phrase import normalize_phrase
from pe.text.split import is_name_list

_DEVICE = re.compile(
    r"(?:(?:shot|taken|captured|photographed|filmed|photo taken) (?:on|with|in|using|by) "
    r"(?:a |an |the )?)?(.+)"
)
_DIGIT_TOKEN = re.compile(r"[a-z]{0,3}\d[a-z0-9./]{0,6}")
_OPTICS = re.compile(
    r"(?:f ?/? ?\d{1,2}(?:[. ]+\d{1,2})?|iso ?\d{2,6}|1 ?/ ?\d{2,4} ?s?"
    r"|\d{1,4} ?mm(?: (?:prime |macro |anamorphic )?(?:lens|film|photo|photograph|photography"
    r"|f ?/? ?\d[\d. ]*))?|\d{1,4} ?(?:mp|megapixels?|fps))"
)
_SIZE = re.compile(r"(?:\d{3,5} ?[x×] ?\d{3,5}|\d{3,4}p|(?:2|4|5|6|8|10|12|16|32|64|128)k)")
_DECADE = re.compile(
    r"(?:early |late |mid )?(?:(?:1[5-9]|20)\d0'?s?|\d0'?s)(?: (?:style|aesthetic|era|vibe))?"
)
_SITE_NAMES = (
    r"(?:art ?station|deviant ?art|cg ?society|behance|dribbble|pinterest|pixiv|instagram|tumblr"
    r"|flickr|500px|unsplash|shutterstock|getty images|imgur|reddit|zbrush central|polycount"
    r"|national geographic|facebook|twitter|pexels|pixabay|artgram|youtube|furaffinity|e621|etsy)"
    r"(?:\.com| ?hq| ?hd| fanbox)?"
)
_SITE = re.compile(
    rf"(?:(?:trending|featured|popular|top|hot|posted|seen|as seen)(?: \w+)? )?(?:on |in |at )?"
    rf"{_SITE_NAMES}(?: (?:trending|featured|hq|contest winner|contest))?"
    rf"|(?:trending|featured) (?:on |in |at )?{_SITE_NAMES}(?: and {_SITE_NAMES})?"
)
_ENGINE_NAMES = (
    r"(?:octane|unreal(?: engine)?|ue|blender(?: 3d)?|cinema ?4d|c4d|v ?ray|arnold|redshift|corona"
    r"|houdini|zbrush|maya|keyshot|lumion|unity(?: engine)?|cry ?engine|cycles|luxcore ?render"
    r"|povray|daz ?3d|photoshop|procreate|after effects|renderman|eevee|3ds max|marvelous designer)"
)
_ENGINE = re.compile(
    rf"(?:(?:rendered|render|rendering|made|created|done|modeled|painted) (?:in|with|by|using|on)"
    rf" )?(?:an? )?(?:high |beautiful |photorealistic |3d |4k |8k |hd )*{_ENGINE_NAMES} ?\d?\.?\d?"
    rf"(?: (?:3d |quality |4k |8k |hd )*(?:render|rendered|rendering|renderer|renders|quality|hd"
    rf"|4k|8k|hdr))?"
)
_ARTIST = re.compile(
    r"(?:(?P<style>.{1,60}?) )??"
    r"(?:(?:made|drawn|painted|illustrated|photographed|directed|designed) )?"
    r"(?:by|in the styles? of|in style of|styles? of|inspired by|in the manner of) (?P<names>.+)"
)
_AND = re.compile(r" (?:and|&) (?:by )?|, ?(?:and |by )*")
_NOT_PLAIN = re.compile(r"[^a-z0-9 '/.&×-]")
_HEAD_CATEGORY = {
    word: category for category, words in flavor_words.HEADS.items() for word in words
}


def _exact_table() -> dict[str, str]:
    """Every phrase of the tables and of our own lists, normalised, with its category."""
    table = {p: category for category, ps in tables.CATEGORIES.items() for p in ps}
    own = load_flavors(OWN)
    for phrase, category in zip(own.phrases, own.categories, strict=True):
        table[normalize_phrase(phrase)] = category
    table.update(flavor_words.EXACT)
    return table


EXACT = _exact_table()
_TABLE_PHRASES = frozenset(p for ps in tables.CATEGORIES.values() for p in ps)
_SINGLE = {
    phrase: category
    for phrase, category in EXACT.items()
    if " " not in phrase and (phrase in flavor_words.EXACT or phrase in _TABLE_PHRASES)
}
KNOWN = (
    frozenset(p for p in _TABLE_PHRASES if " " not in p)
    | tables.MODIFIERS
    | tables.HEADS
    | flavor_words.DEGREE
    | frozenset(_HEAD_CATEGORY)
) - flavor_words.NOT_BESIDE
_JOINERS = tables.word_set("and & of in with on at a the to")
_NOUNS = tables.word_set("quality resolution detail details definition lighting light colors color")
_ADVERBS = tables.word_set("very extremely highly insanely incredibly intricately beautifully")


def categorize(text: str) -> str:
    """Name the category of a normalised phrase, or why it has none.

    Where it has none: "artist" (a name after "by", or a style that is named after someone),
    "vague" (too little to go by), "content" (what is shown, and whatever is not understood).

    "soft cinematic lighting"    ->  "light"
    "8k"                         ->  "quality"
    "shot on canon eos"          ->  "camera"
    "portrait by mira voss"      ->  "artist"
    "details"                    ->  "vague"
    "a red fox"                  ->  "content"
    """
    if text in flavor_words.VAGUE or text in flavor_words.VAGUE_PHRASES:
        return "vague"
    if (category := EXACT.get(text)) is not None:
        return category
    if (category := _match_pattern(text)) is not None:
        return category
    if split_names(text)[1]:
        return "artist"
    words = text.split()
    if not words or _NOT_PLAIN.search(text) or words[-1] in _JOINERS or words[0] in _JOINERS:
        return "content"
    if len(words) > 1 and words[-2].endswith("ly") and words[-1] in _NOUNS:
        return "content"  # "insanely quality": half of something
    category = _by_ending(words)
    if category is not None and category != "site" and _are_known(words, category):
        return category
    if words[-1] in flavor_words.STYLE_HEADS and is_name_list(" ".join(words[:-1]), strict=True):
        return "artist"
    return "content"


def _match_pattern(text: str) -> str | None:
    """Name the category of what has a free part: sizes, lenses, devices, sites, programs."""
    if _SIZE.fullmatch(text):
        return "quality"
    if _OPTICS.fullmatch(text):
        return "camera"
    if _DECADE.fullmatch(text):
        return "movement"
    if _SITE.fullmatch(text):
        return "site"
    if _ENGINE.fullmatch(text):
        return "engine"
    match = _DEVICE.fullmatch(text)
    if match is not None and any(word in flavor_words.MAKERS for word in match[1].split()):
        words = match[1].split()
        if all(word in flavor_words.BRANDS or _DIGIT_TOKEN.fullmatch(word) for word in words):
            return "camera"
    return None


def _by_ending(words: list[str]) -> str | None:
    """Name the category by the longest table phrase at the end, else by the last word.

    Photos and paintings of a framing go by the framing: "full body photo", and things drawn with a
    program by the program: "octane 3d render".
    """
    size = _table_ending(words)
    if size > 1:
        category = EXACT[" ".join(words[-size:])]
    else:
        category = _HEAD_CATEGORY.get(words[-1]) or _SINGLE.get(words[-1])
    if category in ("medium", "quality") and len(words) > 2:
        if EXACT.get(" ".join(words[:2])) == "composition":
            return "composition"
        if words[-1].startswith("render") and any(_SINGLE.get(w) == "engine" for w in words):
            return "engine"
    return category


def _are_known(words: list[str], category: str) -> bool:
    """Tell whether each word is a table's, a number, or one that goes with this category."""
    if words[-1] == "background":
        return flavor_words.BACKGROUND.issuperset(words[:-1])
    is_portrait = category == "composition" and words[-1].startswith("portrait")
    allowed = flavor_words.ALLOWED.get("medium" if is_portrait else category, frozenset())
    tail = _table_ending(words)
    return all(
        word in KNOWN or word in allowed or _SIZE.fullmatch(word) or _DECADE.fullmatch(word)
        for word in words[: len(words) - tail]
    )


def _table_ending(words: list[str]) -> int:
    """Count the words of the longest table phrase (two words or more) at the end, or the head."""
    for start in range(max(0, len(words) - 6), len(words) - 1):
        if " ".join(words[start:]) in EXACT:
            return len(words) - start
    return 1


def split_names(text: str) -> tuple[str, list[str]]:
    """Take the artists off a normalised phrase: (what stands before them, their names).

    "oil painting by mira voss and tom harrel"  ->  ("oil painting", ["mira voss", "tom harrel"])
    "in the style of mira voss"                 ->  ("", ["mira voss"])
    "by the lake"                               ->  ("by the lake", [])
    """
    match = _ARTIST.fullmatch(text)
    if match is None or not is_name_list(match["names"]):
        return text, []
    return match["style"] or "", [name for name in _AND.split(match["names"]) if name]


def split_run(text: str) -> list[str]:
    """Take apart a run of table phrases that lost its commas; anything else stays whole.

    "global illumination sharp focus"  ->  ["global illumination", "sharp focus"]
    "dslr extremely intricate"         ->  ["dslr", "extremely intricate"]
    "soft cinematic lighting"          ->  ["soft cinematic lighting"]
    """
    words = text.split()
    if text in EXACT:
        return [text]
    for i in range(1, len(words) - 1):
        if words[i] in _ADVERBS and words[i - 1] not in _JOINERS | _ADVERBS:
            parts = [" ".join(words[:i]), " ".join(words[i:])]
            if all(categorize(part) in OWN_CATEGORIES for part in parts):
                return parts
    parts = []
    start = 0
    while start < len(words):
        for stop in range(min(len(words), start + 6), start + 1, -1):
            part = " ".join(words[start:stop])
            if part in EXACT:
                parts.append(part)
                start = stop
                break
        else:
            return [text]
    return parts


def merge_key(text: str) -> str:
    """Reduce a normalised phrase to what its spellings share.

    "vivid colours"           ->  "vividcolor"
    "vivid color"             ->  "vividcolor"
    "photo realistic"         ->  "photorealistic"
    "trending in art station" ->  "artstation trending"
    """
    if _SITE.fullmatch(text):
        words = _SITE_LINKS.sub(" ", text).replace(".com", "").split()
        first = [word for word in words if word in _SITE_HONOURS]
        return " ".join(["".join(w for w in words if w not in first), *first])
    if _ENGINE.fullmatch(text):
        text = _UNREAL.sub(r"unreal engine \1", text)
    return "".join(_fold_word(word) for word in text.replace("'", "").split())


def _fold_word(word: str) -> str:
    for british, american in flavor_words.SPELLINGS:
        word = word.replace(british, american)
    if word in ("rendering", "rendered", "renderer", "renderings"):
        return "render"
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is", "hres")):
        return word[:-1]
    return word


_SITE_LINKS = re.compile(r" (?:on|in|at) ")
_SITE_HONOURS = ("trending", "featured", "contest", "winner", "popular", "hot", "top")
_UNREAL = re.compile(r"^(?:unreal|ue) ?(\d)")
