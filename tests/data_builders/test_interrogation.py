"""The stage that inverts: where captions come from, and what is dropped."""

import dataclasses

import numpy as np
import pyarrow as pa
import pytest

from data_builders.image_ingest import ImageLoader
from data_builders.image_reader import ImageReader
from data_builders.image_source import ROW_TYPE
from data_builders.interrogation import InterrogationKey, InterrogationStage, split_sources
from pe.data.image_file import ImageLimits
from pe.engines.interrogator import Inverted
from pe.engines.inverter import InverterConfig
from pe.records import Image, arrow_fields
from pe.stages.stage import ClosedStage, Drop


class Echo:
    """An inverter that adds the brightness of what it is shown."""

    def prepare(self, image):
        if image.width > 90:
            raise ValueError("too wide")
        return float(np.asarray(image).mean())

    def invert(self, prepared, captions, *, measure):
        assert not measure
        return [
            Inverted(caption=c, flavors=("flat",), prompt=f"{c}, flat", similarity=p)
            for p, c in zip(prepared, captions, strict=True)
        ]


class Writer:
    digest = "writer"  # of the protocol

    def prepare(self, image):
        return image.size

    def caption(self, prepared):
        return ["" if width == 70 else f"{width} wide ." for width, _ in prepared]


def make_table(tmp_path, images):
    from PIL import Image as PilImage

    rows, records = [], []
    for i, (width, fields) in enumerate(images):
        name = f"{i}.png"
        PilImage.new("RGB", (width, 64), (9, 9, 9)).save(tmp_path / name)
        row = dict.fromkeys(field.name for field in ROW_TYPE)
        rows.append(row | {"id": name, "file": name, "offset": -1, "index": -1})
        rows[-1]["num_bytes"] = (tmp_path / name).stat().st_size
        records.append(Image(id=str(i), uri=name, source="s", **fields).to_row())
    return pa.table(
        {
            "row": pa.array(rows, ROW_TYPE),
            "image": pa.array(records, pa.struct(arrow_fields(Image))),
        }
    )


def make_stage(tmp_path, *, captioner, **settings):
    inverter = dataclasses.replace(InverterConfig(), **settings)
    key = InterrogationKey(inverter=inverter, limits=ImageLimits(), weights={})
    loader = ImageLoader(ImageReader(tmp_path), ImageLimits())
    stage = InterrogationStage(key, loader, lambda: (Echo(), captioner))
    stage.open()
    return stage


GIVEN = {"given_caption": "A fox . ", "given_prompt": "a vixen, oil painting, artstation"}


@pytest.mark.parametrize(
    ("order", "caption"),
    [
        (("caption", "prompt"), "A fox"),
        (("prompt", "caption"), "a vixen"),
        (("captioner", "caption"), "64 wide"),
    ],
)
def test_a_caption_comes_from_the_first_source_that_has_one(tmp_path, order, caption):
    stage = make_stage(tmp_path, captioner=Writer(), captions_from=order)
    ((inversion,),) = stage(make_table(tmp_path, [(64, GIVEN)]))
    assert (inversion.caption, inversion.flavors) == (caption, ("flat",))
    assert inversion.prompt == f"{caption}, flat"


def test_sources_behind_the_captioner_are_asked_where_it_is_missing_or_says_nothing(tmp_path):
    order = ("captioner", "caption")
    table = make_table(tmp_path, [(70, GIVEN), (64, GIVEN)])  # of 70 pixels it says nothing
    for captioner, captions in ((Writer(), ["A fox", "64 wide"]), (None, ["A fox", "A fox"])):
        results = make_stage(tmp_path, captioner=captioner, captions_from=order)(table)
        assert [result[0].caption for result in results] == captions


def test_split_sources_gives_the_rows_of_its_docstring():
    sources = ("caption", "captioner", "prompt")
    assert split_sources(sources, has_captioner=True) == (("caption",), ("prompt",))
    assert split_sources(sources, has_captioner=False) == (("caption", "prompt"), None)
    two = ("caption", "prompt")
    assert split_sources(two, has_captioner=True) == (two, None)


def test_a_captioner_that_is_never_asked_is_refused():
    with pytest.raises(ValueError, match=r"captions_from \('caption',\) never asks it"):
        InverterConfig(captioner="coca", captions_from=("caption",))


def test_a_picture_that_nothing_can_caption_is_not_decoded(tmp_path, monkeypatch):
    stage = make_stage(tmp_path, captioner=None)
    table = make_table(tmp_path, [(64, {})])

    def fail(row):
        raise AssertionError("it was decoded")

    monkeypatch.setattr(stage.loader, "load", fail)
    assert stage(table) == [Drop("no_caption")]


def test_a_closed_stage_holds_no_model_and_can_be_opened_again(tmp_path):
    stage = make_stage(tmp_path, captioner=Writer())
    assert isinstance(stage, ClosedStage)
    stage.close()
    assert stage._engine is None
    stage.open()
    ((inversion,),) = stage(make_table(tmp_path, [(64, GIVEN)]))
    assert inversion.caption == "A fox"


def test_every_row_has_its_own_result_whatever_happens_to_its_neighbours(tmp_path):
    told = {"given_caption": "a fox"}
    table = make_table(tmp_path, [(64, told), (95, told), (80, {}), (70, {}), (66, told)])
    (tmp_path / "4.png").unlink()
    stage = make_stage(tmp_path, captioner=Writer())
    results = stage(table)
    assert [r.reason if isinstance(r, Drop) else r[0].caption for r in results] == [
        "a fox", "extreme_shape", "80 wide", "no_caption", "no_file",
    ]  # fmt: skip
    assert results[2][0].image_id == "2"


def test_without_a_captioner_a_picture_without_a_caption_is_dropped(tmp_path):
    stage = make_stage(tmp_path, captioner=None)
    assert stage(make_table(tmp_path, [(64, {})])) == [Drop("no_caption")]
