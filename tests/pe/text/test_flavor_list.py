"""Flavor lists: ours, a file's, and those of the package clip-interrogator."""

import importlib.util
import re
import sys
import warnings
from types import SimpleNamespace

import pytest

from pe.text.flavor_list import (
    CATEGORIES,
    OWN_CATEGORIES,
    TABLES,
    FlavorList,
    format_flavors,
    load_flavors,
    load_negative,
    parse_flavors,
)
from pe.text.phrase import normalize_phrase

# What the project's own toy renderer draws.
DRAWN = """
    pixel art, watercolor, charcoal sketch, oil painting, stained glass, mosaic, pointillism,
    low poly, linocut, sepia, cyanotype, film grain, bokeh, long exposure, golden hour, moonlit,
    neon, pastel, high contrast, vignette, fog, silhouette, aerial view, close-up, wide shot,
    blueprint, woodcut, embroidery, papercut, chalk drawing, ink wash, halftone, glitch art,
    double exposure, tilt-shift, infrared, x-ray, thermal, origami, claymation, comic book, pop art,
    art deco, cubism, ukiyo-e, risograph, duotone, monochrome, black and white, high key, low key,
    backlit, rim light, sunset, blue hour, overcast, stormy, candlelight
"""
ROWS = (
    "# a list of ours\n"
    "oil painting\t812\tmedium\n"
    "golden hour\n"
    "Golden  Hour\n"
    "by mira voss\t9\tartist\n"
    "#pixelart\n"
    "\n"
)


def make_list(*rows: tuple[str, str, int]) -> FlavorList:
    phrases, categories, counts = zip(*rows, strict=True)
    return FlavorList("mine", phrases, categories, counts)


# ---- our own ------------------------------------------------------------------------------------


def test_the_own_list_holds_what_the_renderer_draws():
    drawn = [" ".join(phrase.split()) for phrase in DRAWN.split(",")]
    assert len(drawn) == 58
    assert set(drawn) <= set(load_flavors("own").phrases)


def test_the_own_list_is_large_and_has_every_category_but_artists():
    own = load_flavors("own")
    sizes = {category: len(own.of(category)) for category in CATEGORIES}
    assert len(own) >= 900
    assert all(sizes[category] >= 25 for category in OWN_CATEGORIES)
    assert sizes["artist"] == sizes["flavor"] == 0
    assert set(own.counts) == {0}
    assert own.num_duplicates == own.num_empty == own.num_artists == 0


def test_the_own_list_spells_nothing_twice():
    keys = {}
    for phrase in load_flavors("own").phrases:
        words = normalize_phrase(phrase).replace("colour", "color").replace("grey", "gray").split()
        key = "".join(word.removesuffix("s") for word in words)
        assert keys.setdefault(key, phrase) == phrase


def test_own_phrases_are_written_as_in_a_prompt_and_name_no_author():
    for phrase in load_flavors("own").phrases + load_negative("own"):
        assert re.fullmatch(r"[a-z0-9][a-z0-9 '/.-]*", phrase)
        assert phrase == " ".join(phrase.split())
        assert len(phrase.split()) <= 7
        assert not re.search(r"\b(?:by|style of|inspired by)\b", phrase)


def test_the_own_negatives_are_enough_and_differ():
    negative = load_negative("own")
    assert len(set(negative)) == len(negative) >= 40
    assert {"blurry", "watermark"} <= set(negative)
    assert load_negative("some file") == negative


# ---- files --------------------------------------------------------------------------------------


def test_parse_flavors_gives_the_rows_of_its_docstring():
    flavors = parse_flavors(ROWS, "list.txt")
    assert list(zip(flavors.phrases, flavors.counts, flavors.categories, strict=True)) == [
        ("oil painting", 812, "medium"),
        ("golden hour", 0, "flavor"),
        ("#pixelart", 0, "flavor"),
    ]
    assert (flavors.num_duplicates, flavors.num_empty, flavors.num_artists) == (1, 1, 1)
    assert parse_flavors(ROWS, "list.txt", artists=True).of("artist") == ("by mira voss",)


def test_a_plain_text_is_a_list(tmp_path):
    path = tmp_path / "mine.txt"
    path.write_bytes("\ufefffog\r\n  pop art \r\nfög".encode())
    flavors = load_flavors(str(path))
    assert flavors.name == "mine.txt"
    assert flavors.phrases == ("fog", "pop art", "fög")
    assert flavors.num_empty == 0


def test_what_is_written_is_read_back():
    flavors = make_list(("oil painting", "medium", 812), ("golden hour", "light", 40))
    text = format_flavors(flavors, ("made by hand",))
    assert text == "# made by hand\noil painting\t812\tmedium\ngolden hour\t40\tlight\n"
    assert parse_flavors(text, "mine") == flavors


@pytest.mark.parametrize("text", ["", "\n", "# nothing\n\n  \n", "by mira voss\t9\tartist\n"])
def test_a_list_with_nothing_in_it_is_refused(text: str):
    with pytest.raises(ValueError, match=r"mine has no flavor in it: .* expected a phrase a line"):
        parse_flavors(text, "mine")


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("fog\t12", "2 fields"),
        ("fog\tmany\tlight", "'many' for the count"),
        ("fog\t-1\tlight", "'-1' for the count"),
        ("fog\t1\tlihgt", "'lihgt' for the category, expected one of medium, movement, light"),
        ("\t1\tlight", "expected a phrase by itself"),
    ],
)
def test_a_line_of_another_form_is_refused_with_its_number(line: str, told: str):
    with pytest.raises(ValueError, match=rf"^mine:2: .*{told}"):
        parse_flavors(f"ok\n{line}\n", "mine")


def test_a_file_that_is_no_list_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="no flavor list 'nowhere'; expected own, studio"):
        load_flavors("nowhere")
    with pytest.raises(ValueError, match="is a folder; expected own"):
        load_flavors(str(tmp_path))
    path = tmp_path / "latin.txt"
    path.write_bytes(b"fog\nna\xefve art\n")
    with pytest.raises(ValueError, match=r"is not UTF-8: got byte 0xef at 6; save it as UTF-8"):
        load_flavors(str(path))


# ---- tables -------------------------------------------------------------------------------------


def test_tables_gives_the_rows_of_its_docstring():
    flavors = make_list(
        ("fog", "light", 0),
        ("oil painting", "medium", 0),
        ("cubism", "movement", 0),
        ("by mira voss", "artist", 0),
        ("trending on behance", "site", 0),
    )
    assert list(flavors.tables().items()) == [
        ("artists", ("by mira voss",)),
        ("flavors", ("fog",)),
        ("mediums", ("oil painting",)),
        ("movements", ("cubism",)),
        ("trendings", ("trending on behance",)),
    ]
    assert flavors.merged() == (
        "by mira voss",
        "fog",
        "oil painting",
        "cubism",
        "trending on behance",
    )
    assert flavors.of("medium") == ("oil painting",)
    assert flavors.of("camera") == ()


def test_an_unknown_category_is_refused():
    with pytest.raises(ValueError, match="got 'mediums' for the category, expected one of medium"):
        load_flavors("own").of("mediums")
    with pytest.raises(ValueError, match="'mine': got 'fun' for the category"):
        make_list(("fog", "fun", 0))
    with pytest.raises(ValueError, match="expected as many of each"):
        FlavorList("mine", ("fog",), (), (0,))


# ---- clip-interrogator --------------------------------------------------------------------------


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A made-up clip-interrogator that must not be imported; its folder of lists."""
    data = tmp_path / "clip_interrogator" / "data"
    data.mkdir(parents=True)
    (data.parent / "__init__.py").write_text("raise AssertionError('imported')")
    lists = {
        "artists": b"Mira Voss\nTom Harrel\n",
        "flavors": b" fog \n\nfog\nna\xefve\n",
        "mediums": b"a mosaic",
        "movements": b"cubism\n",
        "negative": b"blurry\nmuddy\n",
    }
    for name, content in lists.items():
        (data / f"{name}.txt").write_bytes(content)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "clip_interrogator", raising=False)  # the real one, if loaded
    return data


def test_the_packages_lists_are_read_as_it_reads_them(package):
    tables = load_flavors("clip-interrogator", artists=True).tables()
    assert list(tables) == list(TABLES)
    assert tables["artists"] == (
        "by Mira Voss",
        "by Tom Harrel",
        "inspired by Mira Voss",
        "inspired by Tom Harrel",
    )
    assert tables["flavors"] == ("fog", "", "fog", "na\ufffdve")
    assert tables["mediums"] == ("a mosaic",)
    assert len(tables["trendings"]) == 72
    assert tables["trendings"][::18] == (
        "Artstation",
        "trending on Artstation",
        "featured on Artstation",
        "Artstation contest winner",
    )
    assert load_negative("clip-interrogator") == ("blurry", "muddy")


def test_the_packages_artists_are_left_out_unless_asked_for(package):
    flavors = load_flavors("clip-interrogator")
    assert flavors.num_artists == 4
    assert flavors.of("artist") == ()
    assert flavors.merged() == flavors.phrases
    assert flavors.phrases[:5] == ("fog", "", "fog", "na\ufffdve", "a mosaic")


def test_a_package_without_a_list_is_told(package):
    (package / "movements.txt").unlink()
    with pytest.raises(ValueError, match=r"has no data/movements\.txt; expected the lists of its"):
        load_flavors("clip-interrogator")


def test_without_the_package_its_extra_is_named(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"not installed; install .* the extra \[interrogator\]"):
        load_flavors("clip-interrogator")
    with pytest.raises(ValueError, match=r"\[interrogator\]"):
        load_negative("clip-interrogator")


@pytest.mark.torch
def test_the_labels_are_those_that_the_package_makes(transformers, monkeypatch):
    if importlib.util.find_spec("clip_interrogator") is None:
        pytest.skip("needs the extra [interrogator]")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from clip_interrogator import clip_interrogator as real

        labels = {}
        note = lambda table, name, _: labels.update({name: table})  # noqa: E731
        monkeypatch.setattr(real, "LabelTable", note)
        model = SimpleNamespace()
        model.to = model.eval = lambda *_: model
        config = real.Config(quiet=True, caption_model_name=None, device="cpu")
        config.clip_model = config.clip_preprocess = model
        real.Interrogator(config)
    tables = load_flavors("clip-interrogator", artists=True).tables()
    assert {name: list(table) for name, table in tables.items()} | {
        "negative": list(load_negative("clip-interrogator"))
    } == labels
    assert list(tables) == [name for name in labels if name != "negative"]
