"""The page: both sets of pictures of each query, whole in one file, prompts told as text."""

import base64
import html.parser
import io
import re

import numpy as np
import pytest
from PIL import Image

from pe.engines.t2i import ImageModel
from pe.serve.picture_page import ExpandedQuery, write_page
from pe.studio.image_model import StudioModel
from pe.studio.render import render

QUERIES = (
    ExpandedQuery(query="a cat", sets=(("a cat in the snow, pastel", "a cat, watercolor"),)),
    ExpandedQuery(query="<b>a & b</b>", sets=(('a "boat" <script>alert(1)</script>',),)),
)


class Reader(html.parser.HTMLParser):
    """Collects tags and texts, and that each tag is closed by its own."""

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.images, self.captions = [], [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag == "img":
            self.images.append(dict(attrs))
        elif tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == "figcaption":
            self.captions.append(data)


def read_page(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    reader.close()
    assert not reader.open
    return reader


@pytest.fixture(scope="module")
def page():
    return "".join(write_page(QUERIES, StudioModel(64), title="Two & more", seed=5))


def test_studio_is_an_image_model():
    model = StudioModel(64)
    assert isinstance(model, ImageModel)
    first, second = model.render(["a cat", "a boat"], [3, 4])
    assert np.array_equal(np.asarray(first), render("a cat", 3, size=64))
    assert np.array_equal(np.asarray(second), render("a boat", 4, size=64))


def test_both_sets_are_drawn_with_the_same_seeds(page):
    images = read_page(page).images
    assert len(images) == 2 * 2 + 2 * 1
    wanted = [("a cat", 5), ("a cat", 6), (QUERIES[0].sets[0][0], 5)]
    for image, (prompt, seed) in zip(images, wanted, strict=False):
        assert image["alt"] == prompt
        data = base64.b64decode(image["src"].removeprefix("data:image/jpeg;base64,"))
        with Image.open(io.BytesIO(data)) as opened:
            shown = np.asarray(opened.convert("RGB"), np.float32)
        error = np.abs(shown - render(prompt, seed, size=64)).mean()
        assert error < 6, prompt  # of 255: what JPEG loses


def test_texts_are_shown_as_they_are_and_run_nothing(page):
    reader = read_page(page)
    assert reader.captions == [*QUERIES[0].sets[0], *QUERIES[1].sets[0]]
    assert "script" not in reader.tags
    assert "<h2>&lt;b&gt;a &amp; b&lt;/b&gt;</h2>" in page
    assert "<title>Two &amp; more</title>" in page


def test_nothing_is_fetched_from_elsewhere(page):
    assert not re.search(r"(src|href)=\"(?!data:)", page)
    assert "url(" not in page
    assert "@import" not in page


def test_several_expanders_stand_side_by_side():
    queries = [ExpandedQuery(query="a cat", sets=(("a cat, mosaic",), ("a cat, pastel", "a pet")))]
    page = "".join(write_page(queries, StudioModel(64), title="t", names=("base", "<2>"), seed=1))
    assert re.findall("<h3>(.*?)</h3>", page) == ["As typed", "base", "&lt;2&gt;"]
    alts = [image["alt"] for image in read_page(page).images]
    assert alts == ["a cat", "a cat", "a cat, mosaic", "a cat, pastel", "a pet"]


def test_progress_is_told_by_query():
    told = []
    list(
        write_page(
            QUERIES,
            StudioModel(64),
            title="t",
            progress=lambda done, total: told.append((done, total)),
        )
    )
    assert told == [(1, 2), (2, 2)]


def test_a_query_without_expansions_is_refused():
    with pytest.raises(ValueError, match="the query 'a cat' has no expansions; expected one"):
        ExpandedQuery(query="a cat", sets=((),))
