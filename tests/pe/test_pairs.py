import pytest

from pe.pairs import (
    PairConfig,
    adds_only_flavors,
    assign_half,
    assign_prefix,
    assign_split,
    make_pair,
)
from pe.records import Image, Inversion, Query

CONFIG = PairConfig()


def make_records(
    query: str, prompt: str, *, kind: str = "short", flavors: tuple[str, ...] = (), score=None
) -> tuple[Query, Inversion, Image]:
    image = Image(uri="a:1", source="s", given_prompt=prompt, aesthetic=score, licence="cc0")
    inversion = Inversion(
        image_id=image.id, source_id="src", caption="c", flavors=flavors, prompt=prompt, method="m"
    )
    return Query(inversion_id=inversion.id, kind=kind, text=query, method="rules"), inversion, image


@pytest.mark.parametrize(
    ("query", "prompt", "flavors", "expected"),
    [
        ("a red boat", "a red boat, watercolor", ("watercolor",), True),
        ("a boat", "a red boat, watercolor", ("watercolor",), False),
        ("a red boat", "a red boat", (), False),
        ("a blue boat", "a boat, watercolor", ("watercolor",), False),
    ],
)
def test_flavor_pairs_add_no_content_word(query: str, prompt: str, flavors, expected: bool):
    assert adds_only_flavors(query, prompt, flavors) is expected


@pytest.mark.parametrize(
    ("kind", "prefix"), [("abstract", "ABST"), ("grounded", "GRD"), ("specific", "SPCT")]
)
def test_the_kind_decides_before_the_flavors(kind: str, prefix: str):
    records = make_records("a boat", "a boat, ink", kind=kind, flavors=("ink",))
    assert assign_prefix(*records, CONFIG) == prefix


def test_flavors_come_before_aesthetics_and_detail_is_the_rest():
    config = PairConfig(high_aesthetic=6.0)
    flv = make_records("a boat", "a boat, ink", flavors=("ink",), score=9.0)
    assert assign_prefix(*flv, config) == "FLV"
    assert assign_prefix(*make_records("a boat", "a boat on a lake"), config) == "DTL"


def test_a_seeded_half_of_the_beautiful_pairs_is_hast():
    config = PairConfig(high_aesthetic=6.0)
    prefixes = [
        assign_prefix(*make_records(f"boat {i}", f"boat {i} on a lake", score=6.0), config)
        for i in range(1000)
    ]
    assert set(prefixes) == {"HAST", "DTL"}
    assert 450 < prefixes.count("HAST") < 550
    low = make_records("a boat", "a boat on a lake", score=5.9)
    assert assign_prefix(*low, config) == "DTL"


def test_splits_are_70_20_10_and_halves_50_50():
    splits = [assign_split(f"source {i}", CONFIG) for i in range(20_000)]
    shares = {name: splits.count(name) / len(splits) for name in ("train", "validation", "test")}
    assert shares == pytest.approx({"train": 0.7, "validation": 0.2, "test": 0.1}, abs=0.01)
    halves = [assign_half(f"source {i}", "train", CONFIG) for i in range(20_000)]
    assert halves.count("base") / len(halves) == pytest.approx(0.5, abs=0.01)
    assert assign_half("source 1", "test", CONFIG) == ""


def test_all_pairs_of_a_source_share_its_split():
    pairs = [make_pair(*make_records(f"q {i}", "a boat on a lake"), CONFIG) for i in range(50)]
    assert len({(pair.split, pair.half) for pair in pairs}) == 1
    assert len({pair.id for pair in pairs}) == 50


def test_a_pair_names_its_parents_and_licence():
    query, inversion, image = make_records("a boat", "a boat on a lake")
    pair = make_pair(query, inversion, image, CONFIG)
    assert pair.parents == (query.id, inversion.id, image.id)
    assert (pair.query, pair.prompt, pair.licence) == ("a boat", "a boat on a lake", "cc0")


def test_fractions_out_of_range_are_refused():
    with pytest.raises(ValueError, match=r"PairConfig.train_frac: got 1.5"):
        PairConfig(train_frac=1.5)
    with pytest.raises(ValueError, match="expected <= 1"):
        PairConfig(train_frac=0.9, validation_frac=0.2)
