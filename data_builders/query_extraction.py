"""Queries by rules: what a person might have typed before the prompt was written out. No model.

A query is cut from the caption at natural boundaries, so its words are the prompt's own. English
only: boundaries are prepositions, conjunctions and common verbs, so a run of nouns without any of
them gives few queries. Knows nothing about pairs or prefixes.
"""

import dataclasses
import hashlib
import re

from pe.text.flavors import HEADS
from pe.text.split import SplitPrompt, content_words, count_words, tidy_phrase

Range = tuple[int, int]

MIN_PROMPT_WORDS = 4


@dataclasses.dataclass(frozen=True, kw_only=True)
class RuleQueryConfig:
    """Fewest and most words of each kind of query."""

    abstract_words: Range = (1, 4)
    concrete_words: Range = (2, 24)
    short_words: Range = (1, 5)
    medium_words: Range = (3, 8)
    long_words: Range = (6, 16)

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if (
                len(value) != 2
                or not all(type(n) is int for n in value)
                or not 1 <= value[0] <= value[1]
            ):
                raise ValueError(
                    f"{field.name} must be whole numbers (fewest, most), 1 <= fewest <= most,"
                    f" got {value!r}"
                )


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


_ARTICLES = _set("a an the")
_DETERMINERS = _set("""
    a an the his her its their my your our this that these those two three
    """)
_PREPOSITIONS = _set("""
    in on at by for to from with without into onto over under above below behind between through
    near inside outside around across along against beside besides beneath among amid atop within
    during before after while as like via upon toward towards off past next front until about
    beyond out behind despite via per versus vs than featuring
    """)
_OTHER_BREAKS = _set("""
    and or but who which that where when whose because is are was were be been has have had having
    does do can will would should could looks look sits sit stands stand wears wear holds hold
    plays eats rides runs walks lies flies gets takes makes comes goes ate made surrounded covered
    filled dressed wrapped engulfed being depicted seen made painted drawn shown based inspired
    lit taken so very looking wearing holding sitting standing riding playing eating walking
    drinking running using making facing carrying showing doing taking reading talking fighting
    driving posing having lying laying dancing working watching smoking surrounding overlooking
    jumping cooking hugging kissing crying wielding sleeping swimming climbing emerging leaning
    staring gazing floating hanging waiting pointing pulling pushing throwing catching watching
    chasing attacking exploring trying giving smiling laughing screaming getting going coming
    turning feeding preparing performing resting kneeling crawling sipping sat stood
    """)
_NOT_VERBS = _set("""
    king ring wing wings building painting evening morning string spring ceiling clothing wedding
    lightning viking being thing something nothing everything anything sling swing starling
    duckling darling lighting drawing earring pudding dumpling sibling wellbeing sterling warning
    meeting blessing clearing landing crossing housing feeling peking beijing boeing
    """)
# A head that says nothing without the "of ..." after it.
_EMPTY_HEADS = _set("""
    group couple pair bunch lot lots kind piece part parts variety crowd view image series set
    number scene close up side back front top bottom inside interior exterior style type form
    version cup glass bowl plate bottle sort rest end beginning middle edge center mix mixture
    combination hybrid collection sea field depiction kind picture photo photograph painting
    portrait shot still illustration drawing rendering sketch closeup representation depiction
    style lots full made couple pile map cover
    """)
_ADJECTIVES = _set("""
    a an the very big small large huge giant tiny little old young new beautiful pretty cute ugly
    red blue green yellow orange purple pink black white brown grey gray golden silver dark bright
    light long short tall fat thin skinny round wide narrow deep high low hot cold warm cool wet
    dry happy sad angry scary creepy strange weird mysterious ancient medieval modern futuristic
    magical epic majestic elegant gorgeous stunning amazing extremely highly ultra realistic
    photorealistic detailed intricate ornate colorful vibrant dramatic cinematic gothic cyberpunk
    steampunk anthropomorphic humanoid glowing clear starry sunny cloudy foggy muscular handsome
    sexy attractive powerful massive enormous gigantic mystical ethereal fantasy cosmic evil holy
    sacred royal wild fluffy furry hairy bald naked rusty abandoned ruined broken empty full
    female male human single one two three four five several many some few various multiple most
    more less such own other another same different first last next american japanese chinese
    russian german french italian british english indian african european asian egyptian victorian
    roman greek rainy snowy windy stormy misty gloomy dusty dirty shiny
    """)
_ADVERBS = _set("""
    really slowly gently softly happily directly perfectly fully partially barely
    """)
_NOUN_ADJECTIVES = _set("""
    furry human humanoid female male orange single wild gold silver
    """)
_BAD_ENDS = (
    _PREPOSITIONS
    | _DETERMINERS
    | _set("""
    of and or but who which that where when is are was were be has have very not no it he she they
    them me you we i up down out so too just also more most all any each every both either s t
    what how why wearing looking made be been being am do does did can will get gets him really
    super extremely highly almost half large huge giant tiny upper lower & + some another other
    his inside one says reads said saying says reading true same only next that this upside
    """)
)
_AFTER_VERB = _DETERMINERS | _PREPOSITIONS | _set("out up down off away back together alone")
_ADJECTIVE_ENDS = ("ous", "ful", "less", "ish", "like", "istic", "ical", "esque", "able", "punk")

# Ideas, feelings and themes a person might ask for without naming a thing.
_ABSTRACT = _set("""
    loneliness chaos hope dystopia utopia nostalgia war peace apocalypse despair grief sorrow
    sadness happiness joy bliss melancholy anxiety depression fear terror dread horror madness
    insanity sanity rage anger fury hatred hate jealousy envy greed lust pride sloth gluttony
    wrath shame guilt regret revenge vengeance betrayal loyalty friendship love romance desire
    passion longing yearning solitude isolation alienation emptiness void oblivion eternity
    infinity immortality mortality death rebirth resurrection creation destruction decay entropy
    harmony balance serenity tranquility calm calmness stillness silence freedom liberty slavery
    oppression justice injustice equality corruption power glory victory defeat triumph courage
    bravery heroism sacrifice redemption salvation damnation sin innocence purity beauty truth
    wisdom knowledge ignorance consciousness subconscious unconsciousness enlightenment
    transcendence ascension spirituality faith religion divinity mysticism magic mystery wonder
    awe imagination creativity inspiration dream dreams nightmare nightmares hallucination
    hallucinations delusion illusion memory memories childhood youth aging time past future
    history destiny fate luck fortune karma life existence existentialism nihilism absurdity
    reality hyperreality surreality simulation singularity technology progress evolution
    revolution rebellion anarchy revolt tyranny capitalism communism socialism fascism democracy
    consumerism poverty wealth luxury famine pandemic extinction survival civilization society
    humanity nature wilderness summer winter autumn spring holidays celebration festivity
    adventure exploration discovery journey wanderlust escape exile homesickness homecoming
    belonging identity diversity unity love heartbreak loss trauma pain suffering agony torment
    misery ecstasy euphoria pleasure comfort coziness warmth kindness compassion empathy gratitude
    generosity forgiveness tenderness intimacy motherhood fatherhood parenthood marriage divorce
    jealousy deception lies secrecy conspiracy paranoia confusion disorder symmetry abundance
    prosperity success failure ambition motivation productivity boredom laziness procrastination
    stress burnout exhaustion insomnia sleep sleeplessness addiction temptation seduction
    obsession vanity narcissism arrogance humility honor valor chivalry patriotism nationalism
    freedom politics economics science mathematics philosophy psychology music jazz poetry
    literature astronomy astrology alchemy witchcraft voodoo occultism necromancy paradise heaven
    hell purgatory afterlife underworld cyberspace metaverse multiverse darkness decadence
    opulence elegance grandeur majesty fragility vulnerability resilience strength weakness energy
    vitality speed gravity relativity duality metamorphosis transformation transition change
    growth renewal fertility harvest apathy indifference hysteria panic suspense tension danger
    disaster catastrophe armageddon doom doomsday ruin downfall collapse genocide violence
    brutality cruelty evil goodness morality mischief playfulness whimsy fun curiosity nostalgia
    sentimentality bittersweetness ennui angst ego id superego psyche soul spirit
    """)
# Too often a thing, a verb or a title: only with an adjective before them.
_WEAK_ABSTRACT = _set("""
    time past future history life nature summer winter autumn spring music science technology
    energy speed strength power beauty magic evil love death sleep escape change fun hell heaven
    society past war peace spirit soul void dream dreams horror adventure journey darkness pride
    lies science fortune paradise wonder elegance symmetry luxury jazz wilderness nightmare ruin
    balance glory calm underworld memory fantasy mystery fate fury rage civilization inspiration
    creation reality hope luck mysticism gravity desire destruction growth nightmares harmony
    strength imagination id ego majesty
    """)
_NOT_ALONE = _set(
    "music technology summer winter autumn spring nature symmetry speed id lies power future past"
)
_THEME_ALONE = _set("""
    dystopian utopian apocalyptic post-apocalyptic postapocalyptic existential nostalgic
    melancholic melancholy dreamlike otherworldly foreboding haunting hopeful lonely chaotic
    sinister serene peaceful tranquil transcendental spiritual lovecraftian bittersweet festive
    depressing horrifying terrifying unsettling eerie ominous mysterious euphoric heroic tragic
    """)
_THEME_HEADS = _set("""
    world society atmosphere mood feeling vibe vibes energy aura emotion emotions
    """)
_THEME_ADJECTIVES = _set("""
    dystopian utopian apocalyptic postapocalyptic cosmic existential eerie ominous melancholic
    nostalgic dreamy dreamlike ethereal mystical magical surreal haunting gloomy somber peaceful
    serene tranquil romantic mysterious sinister chaotic hopeful lonely joyful festive cheerful
    cozy playful whimsical tense spiritual psychedelic divine infinite eternal lost forbidden
    forgotten true pure undying unrequited eldritch lovecraftian primal inner outer collective
    endless absolute total utter deep human dark digital artificial modern urban tragic bitter
    sweet broken hidden ancient sacred wild raw post nuclear civil political social mental
    emotional lucid bad childhood summer medieval futuristic mythical celestial supernatural
    enchanted gothic foreboding moody unsettling creepy spooky intense relaxing calm happy sad
    """)
_STOPS = (",", ".", ";", ":", "!", "?")
_TOKEN = re.compile(r"[^\W_]")
_WORDS = re.compile(r"[^\W_]+")
_DIFFUSION = (
    (re.compile(r"(?<=\w) - (?=\w)"), "-"),
    (re.compile(r"(?<=\w) ?(['’]) ?(s|t|re|ll|ve|m|d)\b"), r"\1\2"),
    (re.compile(r"(?<![\w.])\d(?: \d)+(?: s\b)?"), None),
)


def extract_queries(split: SplitPrompt, config: RuleQueryConfig) -> dict[str, str]:
    """Cut queries out of a prompt: kind -> text, only the kinds for which a rule holds.

    split_prompt("a red fox sleeping in deep snow under the pines, oil painting, 8 k")
      ->  short     "a red fox"
          medium    "red fox sleeping in deep snow"
          long      "a red fox sleeping in deep snow under the pines, oil painting"
          concrete  "a red fox sleeping in deep snow under the pines"
    split_prompt("a lighthouse in a storm, existential dread, dark colors")
      ->  short     "lighthouse in a storm"
          medium    "a lighthouse in a storm, existential dread"
          abstract  "existential dread"
    split_prompt("a red fox")  ->  {}
    """
    if count_words(split.prompt) < MIN_PROMPT_WORDS or not split.caption:
        return {}
    caption = join_tokens(split.caption)
    marks = _natural_ends(caption)
    queries: dict[str, str] = {}
    seen: set[str] = set()

    def keep(kind: str, text: str | None) -> bool:
        if text is None or not _is_query(text, split.prompt) or _key(text) in seen:
            return False
        seen.add(_key(text))
        queries[kind] = text
        return True

    def longer_heads(words: Range, salt: str) -> list[str | None]:
        """Heads that say more than the queries so far; the whole caption is `concrete`'s first."""
        floor = max((count_words(_drop_article(q)) + 1 for q in queries.values()), default=0)
        whole = {_key(caption)} if _in_range(caption, config.concrete_words) else set()
        longer = [m for m in marks if count_words(m[0]) > floor]
        return [
            _head(longer, split.prompt, words, taken=taken, vary=salt)
            for taken in (seen | whole, seen)
        ]

    keep("short", _short(marks, split.prompt, config.short_words))
    other, any_head = longer_heads(config.medium_words, "medium")
    _ = keep("medium", other) or keep("medium", any_head)
    other, any_head = longer_heads(config.long_words, "")
    extended = _with_flavors(caption, split, config.long_words)
    _ = keep("long", other) or keep("long", extended) or keep("long", any_head)
    if _in_range(caption, config.concrete_words):
        keep("concrete", caption)
    keep("abstract", _abstract(split, config.abstract_words))
    return queries


def _key(text: str) -> str:
    """What makes two queries the same: the words without case, punctuation and articles."""
    return " ".join(w for w in _WORDS.findall(text.lower()) if w not in _ARTICLES)


def join_tokens(text: str) -> str:
    """Close up what DiffusionDB's tokeniser pulled apart.

    "a close - up of the dog 's ears in 1 9 8 5"  ->  "a close-up of the dog's ears in 1985"
    """
    for pattern, joined in _DIFFUSION:
        text = pattern.sub(joined or (lambda m: m[0].replace(" ", "")), text)
    return text


def _is_query(text: str, prompt: str) -> bool:
    return (
        bool(content_words(text))
        and count_words(text) < count_words(prompt)
        and len(text) < len(prompt)
        and "\n" not in text
    )


def _in_range(text: str, words: Range) -> bool:
    return words[0] <= count_words(text) <= words[1]


def _coin(text: str, salt: str, sides: int = 2) -> int:
    """A choice that the same text always makes the same way."""
    return hashlib.blake2b(f"{salt}\0{text}".encode(), digest_size=4).digest()[0] % sides


def _bare(word: str) -> str:
    return word.lower().strip("\"'“”‘’.,:;!?()[]")


def _is_break(words: list[str], i: int, *, stops: bool) -> bool:
    """Tell whether a natural cut lies right before word i; `stops`: punctuation follows it."""
    word, before = words[i], words[i - 1]
    if word in _PREPOSITIONS:
        return True
    if word in ("of", "&", "-", "+", "vs", "x"):
        return word != "of"
    after = words[i + 1] if i + 1 < len(words) and not stops else ""
    if word in _OTHER_BREAKS:
        return before not in _ARTICLES
    if word.endswith("ed") and len(word) > 4 and after in _PREPOSITIONS:
        return before not in _ADJECTIVES
    if word.endswith("ing") and word not in _NOT_VERBS and len(word) > 4:
        return before not in _ADJECTIVES and after in _AFTER_VERB
    # "delivers the ...", "eats a ...": a word before an article that is no preposition is a verb
    return (
        after in _ARTICLES
        and word.endswith("s")
        and not word.endswith("ss")
        and before not in _DETERMINERS
        and before not in _BAD_ENDS
        and word != "of"
    )


def _is_end(words: list[str], i: int) -> bool:
    """Tell whether a head may end with word i - 1, the cut being natural."""
    last = words[i - 1]
    if last in _BAD_ENDS or not _TOKEN.search(last) or last in _OTHER_BREAKS:
        return False
    verbal = last.endswith("ed") or (last.endswith("ing") and last not in _NOT_VERBS)
    if i < len(words) and words[i] in _PREPOSITIONS and len(last) > 4 and verbal:
        return False
    if last.endswith("'s") or last in _ADVERBS:
        return False
    dangling = last in _ADJECTIVES or last.endswith(_ADJECTIVE_ENDS)
    if (
        dangling
        and i < len(words)
        and (words[i] in ("and", "or", "of") or i == 1 or (i == 2 and words[0] in _DETERMINERS))
    ):
        return False
    return not (i < len(words) and words[i] == "of")


def _natural_ends(caption: str) -> list[tuple[str, bool]]:
    """List the caption's heads, shortest first: (text, whether it ends at a phrase).

    "a red fox in deep snow, two crows"
      ->  ("a red fox", False), ("a red fox in deep snow", True),
          ("a red fox in deep snow, two crows", True)
    """
    ends: list[tuple[str, bool]] = []
    raw = caption.split()[:40]
    bare = [_bare(w) for w in raw]
    start = 0  # of the phrase the word stands in
    for i in range(1, len(raw) + 1):
        phrase_end = i == len(raw) or raw[i - 1].endswith(_STOPS)
        if i == len(raw) and len(caption.split()) > 40:
            break
        if not phrase_end and not (i > start and _is_break(bare, i, stops=raw[i].endswith(_STOPS))):
            continue
        scope = bare[start:i] if phrase_end else bare[start:]
        head = bare[start:i]
        if phrase_end and i < len(raw) and i - start > 1 and bare[i - 1] in _ADJECTIVES:
            pass  # "a clear, starry night" has no end after "clear"
        elif _is_end(scope, i - start) and not _is_empty_head(head, start):
            text = (
                tidy_phrase(" ".join(raw[:i])).rstrip("\"'“‘( ")
                if '"' not in caption
                else " ".join(raw[:i])
            )
            ends.append((tidy_phrase(text), phrase_end))
        if phrase_end:
            start = i
    return [(text, whole) for text, whole in ends if _is_balanced(text)]


def _is_empty_head(words: list[str], start: int) -> bool:
    """ "a group" and "a close up" say nothing yet."""
    rest = [w for w in words if w not in _ADJECTIVES and w not in _DETERMINERS]
    if "of" in words and words[-1] not in _BAD_ENDS and words[-1] != "of":
        return False
    if not rest:
        return words[-1] not in _NOUN_ADJECTIVES
    return start == 0 and all(w in _EMPTY_HEADS or w in _BAD_ENDS for w in rest)


def _is_balanced(text: str) -> bool:
    return text.count('"') % 2 == 0 and text.count("(") == text.count(")") and bool(text)


def _drop_article(text: str) -> str:
    first, _, rest = text.partition(" ")
    return rest if first.lower() in _ARTICLES and rest else text


def _vary_article(text: str, salt: str) -> str:
    return _drop_article(text) if _coin(text, salt) else text


def _short(marks: list[tuple[str, bool]], prompt: str, words: Range) -> str | None:
    """The main subject: the shortest head, or the longest in range (always so after one word)."""
    fits = [t for t, _ in marks if count_words(_drop_article(t)) <= words[1]]
    fits = [t for t in fits if "," not in t] or fits[:1]
    fits = [t for t in fits if _is_query(_drop_article(t), prompt) and _starts_well(t)]
    fits = [t for t in fits if " " in t or not t.endswith("ing")]
    if not fits:
        return _last_words(marks, prompt, words)
    longest = fits[-2] if len(fits) > 1 and _key(fits[-1]) == _key(prompt) else fits[-1]
    text = (
        longest if count_words(_drop_article(fits[0])) == 1 or _coin(prompt, "short") else fits[0]
    )
    bare = _drop_article(text)
    if not words[0] <= count_words(text) <= words[1] or not _is_query(text, prompt):
        text = bare
    elif count_words(bare) >= words[0]:
        text = _vary_article(text, "short article")
    return text if _in_range(text, words) else None


def _starts_well(text: str) -> bool:
    first = _bare(text.split()[0])
    return first not in _PREPOSITIONS and first not in (
        "and",
        "or",
        "of",
        "is",
        "are",
        "wearing",
        "with",
    )


def _last_words(marks: list[tuple[str, bool]], prompt: str, words: Range) -> str | None:
    """Cut a noun phrase that has no boundary: before "of", or its modifiers from the left.

    "a flowery old glowing mountain temple gate"  ->  "mountain temple gate"
    "a carved marble statue of a sea god"         ->  "carved marble statue"
    """
    if not marks or "," in marks[0][0]:
        return None
    head, of, _ = marks[0][0].partition(" of ")
    tokens = head.split()
    bare = [_bare(t) for t in tokens]
    if (
        of
        and bare[-1] not in _EMPTY_HEADS
        and _in_range(_drop_article(head), words)
        and len(tokens) > 1
    ):
        return _drop_article(head) if _is_balanced(head) and _starts_well(head) else None
    if not 4 <= len(tokens) <= 9 or any(t in _BAD_ENDS or t in _OTHER_BREAKS for t in bare[1:]):
        return None
    styled = any(t in HEADS or t in _EMPTY_HEADS for t in bare)
    if bare[0] not in _ARTICLES and (styled or len(tokens) > 5):
        return None
    for size in (3, 2):
        text = tidy_phrase(" ".join(tokens[-size:]))
        if _in_range(text, words) and _is_query(text, prompt) and _is_balanced(text):
            return text
    return None


def _head(
    marks: list[tuple[str, bool]], prompt: str, words: Range, *, taken: set[str], vary: str
) -> str | None:
    """The longest head in range and not yet taken, one that ends a phrase first."""
    fits = [m for m in marks if _in_range(m[0], words) and _starts_well(m[0])]
    fits = [m for m in fits if _key(m[0]) not in taken and _is_query(m[0], prompt)]
    if not fits:
        return None
    whole = [text for text, phrase_end in fits if phrase_end]
    text = (whole or [text for text, _ in fits])[-1]
    varied = _vary_article(text, vary) if vary else text
    return varied if _in_range(varied, words) else text


def _with_flavors(caption: str, split: SplitPrompt, words: Range) -> str | None:
    """The caption and the first flavors as they stand, where the caption alone is too short."""
    text = caption
    start = split.prompt.find(split.caption[:12])
    for flavor in split.flavors[:4]:
        if split.prompt.find(flavor) < start:
            continue  # it stood before the caption: "portrait of X" is not "X, portrait"
        text = f"{text}, {join_tokens(flavor)}"
        if _in_range(text, words):
            return text
    return None


def _abstract(split: SplitPrompt, words: Range) -> str | None:
    """An idea or feeling that the prompt itself names, with the adjective before it.

    "a city in ruins, cosmic horror, 8k"  ->  "cosmic horror"
    "the loss of innocence, oil"          ->  "loss of innocence"
    "a cat in a hat"                      ->  None
    """
    for phrase in split.caption.split(", ") + list(split.flavors):
        raw = join_tokens(phrase).split()
        if len(raw) > 40:
            continue
        bare = [_bare(w) for w in raw]
        for i, word in enumerate(bare):
            span = None
            if word in _ABSTRACT or word in _THEME_HEADS:
                span = _abstract_span(bare, i)
            elif len(bare) == 1 and word in _THEME_ALONE:
                span = (0, 1)
            if span is not None:
                text = tidy_phrase(" ".join(raw[span[0] : span[1]]))
                if _in_range(text, words) and _is_balanced(text):
                    return text
    return None


def _abstract_span(bare: list[str], i: int) -> Range | None:
    word = bare[i]
    after = bare[i + 1] if i + 1 < len(bare) else ""
    if after == "of" and i + 2 < len(bare) and word in _ABSTRACT:
        j = i + 3 if bare[i + 2] in _ARTICLES and i + 3 < len(bare) else i + 2
        if bare[j] in _ABSTRACT and (j + 1 == len(bare) or _is_break(bare, j + 1, stops=False)):
            return (i, j + 1)
    if after and after not in _PREPOSITIONS and after not in ("and", "or", "but", "is"):
        return None
    before = bare[i - 1] if i else ""
    modifier = before.split("-")[0] in _THEME_ADJECTIVES or before in _THEME_ADJECTIVES
    if modifier and before:
        return (i - 1, i + 1)
    if len(bare) == 1 and word not in _NOT_ALONE and word not in _THEME_HEADS:
        return (i, i + 1)
    if word in _WEAK_ABSTRACT or word in _THEME_HEADS:
        return None
    alone = i == 0 or before in _PREPOSITIONS or before in ("of", "and", "the")
    return (i, i + 1) if alone else None
