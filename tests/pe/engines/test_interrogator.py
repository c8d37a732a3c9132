"""Inversion equals a plain one that is written here, which embeds every text whole.

What clip-interrogator itself gives is in test_interrogator_parity.py.
"""

import functools

import numpy as np
import pytest

from pe.engines.flavor_table import embed_phrases
from pe.engines.interrogator import Interrogator, InterrogatorConfig, split_flavors
from pe.text.flavor_list import FlavorList

NEGATIVES = ("blur", "ink", "dark fog")
CAPTIONS = ("a red fox", "oil photo of a ship", "fog", "a dark ship, wide shot, by mira")


@pytest.fixture(scope="module")
def flavors(clip_words):
    """72 phrases of one to four words in five tables."""
    rng = np.random.default_rng(0)
    rows = {"oil photo": "medium", "by mira voss": "artist", "trending on ink": "site"}
    for category, count in (("flavor", 45), ("medium", 8), ("movement", 8), ("artist", 8)):
        while list(rows.values()).count(category) < count:
            rows.setdefault(" ".join(rng.choice(clip_words, rng.integers(1, 5))), category)
    return FlavorList("some", tuple(rows), tuple(rows.values()), (0,) * len(rows))


@pytest.fixture(scope="module")
def table(clip_encoder, flavors, tmp_path_factory):
    return embed_phrases(clip_encoder, flavors.merged(), folder=tmp_path_factory.mktemp("table"))


def draw_images(count: int, *, seed: int = 3) -> np.ndarray:
    values = np.random.default_rng(seed).normal(size=(count, 16))
    return (values / np.linalg.norm(values, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def make(clip_encoder, flavors, table):
    def make(mode="best", *, negatives=NEGATIVES, num_chains=2, **options):
        return Interrogator(
            clip_encoder,
            flavors,
            table,
            negatives=negatives,
            config=InterrogatorConfig(mode=mode, **options),
            num_chains=num_chains,
        )

    return make


class Plain:
    """One image at a time, one whole text after the other, each fed to the text tower itself."""

    def __init__(self, embed, encoder, flavors, table, image):
        self.embed = embed
        self.encoder = encoder
        self.length = encoder.config.text.context_tokens
        self.tables = {}
        begin = 0
        for name, phrases in flavors.tables().items():
            self.tables[name] = (phrases, table[begin : begin + len(phrases)])
            begin += len(phrases)
        self.tables["all"] = (flavors.merged(), table)
        self.image = image

    def cosine(self, *texts):
        rows = np.zeros((96, self.length), np.int32)
        rows[: len(texts)] = self.encoder.tokenizer.tokenize(texts, self.length)
        embeddings = np.asarray(self.embed(rows))[: len(texts)]
        return embeddings @ self.image / np.linalg.norm(embeddings, axis=1)

    def nearest(self, name, count, sign=1):
        phrases, embeddings = self.tables[name]
        order = np.argsort(-sign * (embeddings @ self.image), kind="stable")
        return [phrases[i] for i in order[:count]]

    def is_full(self, text):
        return self.encoder.tokenizer.tokenize([text], self.length)[0, -1] != 0

    def cut(self, text):
        kept, *parts = text.split(", ")
        for part in parts:
            if self.is_full(kept + part):
                break
            kept += ", " + part
        return kept

    def fast(self, caption, count=32):
        return self.cut(", ".join([caption, *self.nearest("all", count)]))

    def classic(self, caption, count=3):
        medium, artist, site, movement = (
            self.nearest(name, 1)[0] for name in ("mediums", "artists", "trendings", "movements")
        )
        lead = caption if caption.startswith(medium) else f"{caption}, {medium}"
        flavors = ", ".join(self.nearest("flavors", count))
        return self.cut(f"{lead} {artist}, {site}, {movement}, {flavors}")

    def chain(self, text, candidates, *, least=8, most=32, sign=1):
        """Return the best text seen, and every text of the chain."""
        candidates = list(dict.fromkeys(candidates))
        score = lambda *texts: sign * self.cosine(*texts)  # noqa: E731
        if not text:
            text = candidates.pop(int(np.argmax(score(*candidates))))
        best, best_score = text, score(text)[0]
        current, seen = best_score, [text]
        for i in range(most):
            if not candidates:
                break
            scores = score(*(f"{text}, {phrase}" for phrase in candidates))
            chosen = int(np.argmax(scores))
            longer, value = f"{text}, {candidates[chosen]}", scores[chosen]
            if value > best_score:
                best, best_score = longer, value
            if value <= current and i >= least:
                break
            text, current = longer, value
            seen.append(text)
            if self.is_full(text):
                break
            del candidates[chosen]
        return best, seen

    def best(self, caption, num_candidates, least=8, most=32):
        chain, _ = self.chain(caption, self.nearest("all", num_candidates), least=least, most=most)
        # as in the package, classic has here as many flavors as fast
        options = [caption, self.classic(caption, most), self.fast(caption, most), chain]
        return options[int(np.argmax(self.cosine(*options)))]

    def negative(self, num_candidates, most=32):
        furthest = self.nearest("flavors", num_candidates, sign=-1)
        return self.chain("", [*furthest, *NEGATIVES], most=most, sign=-1)[0]


@pytest.fixture(scope="module")
def embed(clip_encoder):
    """The text tower, of texts that are not packed."""
    return clip_encoder.compile(lambda model, tokens: model.text(tokens))


@pytest.fixture(scope="module")
def plain(embed, clip_encoder, flavors, table):
    return functools.partial(Plain, embed, clip_encoder, flavors, table)


IMAGES = draw_images(len(CAPTIONS))


@pytest.mark.parametrize("count", [1, 5, 32])
def test_fast_is_the_plain_one(make, plain, count):
    found = make("fast", min_flavors=0, max_flavors=count).invert(IMAGES, CAPTIONS)
    for image, caption, one in zip(IMAGES, CAPTIONS, found, strict=True):
        assert one.prompt == plain(image).fast(caption, count)


@pytest.mark.parametrize("count", [1, 3, 20])
def test_classic_is_the_plain_one(make, plain, count):
    found = make("classic", classic_flavors=count).invert(IMAGES, CAPTIONS)
    for image, caption, one in zip(IMAGES, CAPTIONS, found, strict=True):
        assert one.prompt == plain(image).classic(caption, count)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("num_candidates", "least", "most"), [(30, 8, 32), (2048, 0, 32), (12, 2, 3), (4, 8, 32)]
)
def test_best_is_the_plain_one(make, plain, num_candidates, least, most):
    images = draw_images(8, seed=least)
    captions = CAPTIONS * 2
    found = make(
        num_candidates=num_candidates, min_flavors=min(least, most), max_flavors=most
    ).invert(images, captions)
    for image, caption, one in zip(images, captions, found, strict=True):
        assert one.prompt == plain(image).best(caption, num_candidates, least, most)


@pytest.mark.slow
def test_best_may_be_any_of_its_four_texts(make, plain):
    # a chain of one candidate is often beaten
    images = draw_images(60, seed=5)
    captions = ["a red fox"] * len(images)
    found = make(num_candidates=1, min_flavors=0, classic_flavors=1).invert(images, captions)
    winners = set()
    for image, one in zip(images, found, strict=True):
        judge = plain(image)
        assert one.prompt == judge.best("a red fox", 1, 0)
        texts = {"caption": "a red fox", "fast": judge.fast("a red fox"),
                 "classic": judge.classic("a red fox", 32)}  # fmt: skip
        winners |= {name for name, text in texts.items() if text == one.prompt} or {"chain"}
    assert winners == {"caption", "classic", "fast", "chain"}


@pytest.mark.slow
@pytest.mark.parametrize("num_candidates", [3, 20, 2048])
def test_negative_is_the_plain_one_and_ends_up_far_from_the_image(make, plain, num_candidates):
    found = make("negative", num_candidates=num_candidates).invert(IMAGES, CAPTIONS)
    near = make("best", num_candidates=num_candidates).invert(IMAGES, CAPTIONS)
    for image, one, other in zip(IMAGES, found, near, strict=True):
        assert one.prompt == plain(image).negative(num_candidates)
        assert one.similarity < min(0.0, other.similarity)
        assert one.caption == ""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mode", "num_chains"), [("best", 1), ("best", 16), ("negative", 1), ("negative", 3)]
)
def test_images_do_not_change_one_another(make, mode, num_chains):
    together = make(mode, num_chains=num_chains).invert(IMAGES, CAPTIONS)
    for i, one in enumerate(together):
        (alone,) = make(mode).invert(IMAGES[i : i + 1], CAPTIONS[i : i + 1])
        assert (alone.prompt, alone.flavors) == (one.prompt, one.flavors)
        assert alone.similarity == pytest.approx(one.similarity, abs=1e-5)


def test_a_prompt_is_its_caption_its_flavors_and_their_cosine(make, plain):
    for mode in ("fast", "classic", "best"):
        for image, caption, one in zip(
            IMAGES, CAPTIONS, make(mode).invert(IMAGES, CAPTIONS), strict=True
        ):
            assert one.caption == caption
            assert one.similarity == pytest.approx(plain(image).cosine(one.prompt)[0], abs=1e-5)
            if one.prompt.startswith(f"{caption}, "):
                assert one.prompt == ", ".join([caption, *one.flavors])


def test_what_a_chain_must_take_is_taken_even_where_it_does_not_help(make, plain):
    # of two chains over the same candidates the one that may stop is a beginning of the other
    image = IMAGES[:1]
    for least in (0, 2, 6):
        texts, _ = make(min_flavors=least)._chain(
            image, [["oil", "fog", "ink", "dark", "blue", "photo"]], ["fox"], min_flavors=least
        )
        best, seen = plain(image[0]).chain(
            "fox", ["oil", "fog", "ink", "dark", "blue", "photo"], least=least
        )
        assert texts == [best]
        assert len(seen) >= 1 + min(least, 6)


@pytest.mark.slow
def test_no_text_is_longer_than_the_context(make, clip_encoder):
    # 24 places: start, 22 of text, end. The last flavor may be cut, as the package cuts it
    long = "a red fox by a ship of fog and ink and oil and more of the same"
    for mode in ("fast", "classic", "best"):
        for one in make(mode, min_flavors=32).invert(IMAGES[:2], [long, "fog"]):
            *head, _ = one.prompt.split(", ")
            assert len(clip_encoder.tokenizer.encode(", ".join(head))) <= 22


def test_a_caption_that_fills_the_context_stands_alone_or_has_one_flavor(make, plain):
    long = ", ".join(["red fox", "blue ship"] * 5)
    for mode in ("fast", "classic", "best"):
        (one,) = make(mode, num_candidates=20).invert(IMAGES[:1], [long])
        wanted = {
            "fast": lambda: plain(IMAGES[0]).fast(long),
            "classic": lambda: plain(IMAGES[0]).classic(long),
            "best": lambda: plain(IMAGES[0]).best(long, 20),
        }[mode]()
        assert one.prompt == wanted


@pytest.mark.parametrize("odd", ["fish &amp; ships", "caf\u00e9", "ﬁne\u3000art", "“ink”", "tail,"])
def test_phrases_that_are_mended_are_read_as_in_a_whole_text(embed, clip_encoder, tmp_path, odd):
    phrases = (odd, "oil", "fog", "golden hour")
    listed = FlavorList("odd", phrases, ("flavor",) * 4, (0,) * 4)
    table = embed_phrases(clip_encoder, listed.merged(), folder=tmp_path)
    config = InterrogatorConfig(min_flavors=4)
    interrogator = Interrogator(clip_encoder, listed, table, config=config)
    found, cosines = interrogator._chain(IMAGES[:2], [phrases] * 2, ["fox", "ship"], min_flavors=4)
    for image, caption, text, cosine in zip(IMAGES, ("fox", "ship"), found, cosines, strict=False):
        judge = Plain(embed, clip_encoder, listed, table, image)
        assert text == judge.chain(caption, phrases, least=4)[0]
        assert cosine == pytest.approx(judge.cosine(text)[0], abs=1e-5)


def test_tables_may_be_empty(clip_encoder, tmp_path):
    listed = FlavorList("short", ("oil", "fog"), ("flavor", "flavor"), (0, 0))
    table = embed_phrases(clip_encoder, listed.merged(), folder=tmp_path)
    for mode in ("fast", "classic", "best", "negative"):
        config = InterrogatorConfig(mode=mode)
        (one,) = Interrogator(clip_encoder, listed, table, config=config).invert(
            IMAGES[:1], ["a fox"]
        )
        assert set(one.flavors or one.prompt.split(", ")) <= {"oil", "fog", "a fox"}
        if mode == "classic":
            assert sorted(one.prompt.split(", ")) == ["a fox", "fog", "oil"]


def test_no_image_gives_nothing(make):
    for mode in ("fast", "classic", "best", "negative"):
        assert make(mode).invert(IMAGES[:0], []) == []


def test_repeated_candidates_are_taken_once(make):
    texts, _ = make(min_flavors=8)._chain(
        IMAGES[:1], [["oil", "oil", "fog", "oil"]], ["fox"], min_flavors=8
    )
    parts = texts[0].split(", ")
    assert len(parts) == len(set(parts))


def test_what_cannot_be_done_is_refused(make, clip_encoder, flavors, table):
    with pytest.raises(ValueError, match="an empty caption; expected what is in the image"):
        make("fast").invert(IMAGES[:1], ["  "])
    with pytest.raises(ValueError, match=r"phrases and 3 embeddings; expected one for each"):
        Interrogator(clip_encoder, flavors, table[:3], config=InterrogatorConfig())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "slow"}, r"mode: got 'slow', expected one of \('fast', 'classic'"),
        ({"max_flavors": 0}, "max_flavors: got 0, expected 1 or more"),
        ({"classic_flavors": -1}, "classic_flavors: got -1"),
        ({"num_candidates": 0}, "num_candidates: got 0"),
        ({"min_flavors": 33}, r"min_flavors: got 33, expected 0 to max_flavors \(32\)"),
        ({"min_flavors": -1}, "min_flavors: got -1"),
    ],
)
def test_settings_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        InterrogatorConfig(**options)


def test_what_stands_behind_the_caption_are_the_flavors():
    assert split_flavors("a fox, fog, oil painting", "a fox") == ("fog", "oil painting")
    assert split_flavors("fog, a fox", "a fox") == ()
    assert split_flavors("fog, dark", "") == ("fog", "dark")


@pytest.mark.slow
def test_the_text_tower_does_not_run_after_the_last_step(make, clip_encoder, monkeypatch):
    interrogator = make("best", max_flavors=3, min_flavors=3)
    grown = []
    advance = interrogator._advance

    def count(cache, chains, texts, active):
        assert active
        grown.append(len(active))
        return advance(cache, chains, texts, active)

    monkeypatch.setattr(interrogator, "_advance", count)
    interrogator.invert(draw_images(2), CAPTIONS[:2], measure=False)
    assert len(grown) == 2  # between three steps
