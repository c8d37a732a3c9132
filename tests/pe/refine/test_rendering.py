"""Pictures are files from the moment they are there, and are not drawn twice."""

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from pe.engines.engine_error import RequestError
from pe.engines.t2i import picture_seed
from pe.records import Expansion, Rendering, arrow_fields
from pe.refine.pictures import PictureConfig, PictureFolder
from pe.refine.rendering import RenderConfig, RenderKey, RenderStage
from pe.stages.stage import Drop
from pe.studio.image_model import StudioModel
from pe.studio.render import render


class CountingModel(StudioModel):
    """Studio, which remembers what it drew, and refuses what it is told to."""

    def __init__(self):
        super().__init__(64)
        self.drawn: list[tuple[str, int]] = []
        self.is_closed = False

    def render(self, prompts, seeds):
        self.drawn += zip(prompts, seeds, strict=True)
        found = super().render(prompts, seeds)
        return [RequestError("status_400") if "refused" in p else f
                for p, f in zip(prompts, found, strict=True)]  # fmt: skip

    def close(self):
        self.is_closed = True


def make_table(*texts, query="a fox"):
    rows = [
        Expansion(query=query, prefix="", text=text, seed=0, logprob=None, num_tokens=1, model="m",
                  number=k).to_row()
        for k, text in enumerate(texts)
    ]  # fmt: skip
    column = pa.array(rows, pa.struct(arrow_fields(Expansion)))
    return pa.table({"expansion": column})


def make_stage(folder, model, seed=0, **settings):
    key = RenderKey(render=RenderConfig(seed=seed), model=model.name)
    stage = RenderStage(key, PictureFolder(folder, PictureConfig(**settings)), lambda: model)
    stage.open()
    return stage


def test_a_picture_is_that_of_its_prompt_and_the_query_s_seed(tmp_path):
    model = CountingModel()
    stage = make_stage(tmp_path, model, seed=3)
    results = stage(make_table("a fox in snow", "a red fox"))
    for number, (text, (rendering,)) in enumerate(
        zip(("a fox in snow", "a red fox"), results, strict=True)
    ):
        assert isinstance(rendering, Rendering)
        assert rendering.seed == picture_seed(3, "a fox", number)
        assert rendering.t2i == "studio@64"
        with Image.open(tmp_path / rendering.uri) as image:
            expected = render(text, rendering.seed, size=64)
            np.testing.assert_array_equal(np.asarray(image), expected)
    stage.close()
    assert model.is_closed


def test_what_is_there_is_not_drawn_again_and_doubles_are_drawn_once(tmp_path):
    first, second = CountingModel(), CountingModel()
    make_stage(tmp_path, first)(make_table("a fox in snow"))
    results = make_stage(tmp_path, second)(make_table("a fox in snow", "a fox"))
    assert [text for text, _ in second.drawn] == ["a fox"]
    assert all(isinstance(result, tuple) for result in results)
    twice = pa.concat_tables([make_table("a boat"), make_table("a boat")])
    third = CountingModel()
    one, other = make_stage(tmp_path, third)(twice)
    assert len(third.drawn) == 1
    assert one == other
    assert not list(tmp_path.rglob(".tmp-*"))


def test_a_prompt_that_is_refused_is_dropped_with_its_reason(tmp_path):
    results = make_stage(tmp_path, CountingModel())(make_table("a fox", "refused", "a red fox"))
    assert results[1] == Drop("t2i_status_400")
    assert [type(result) for result in results] == [tuple, Drop, tuple]
    assert len(list(tmp_path.rglob("*.png"))) == 2


def test_jpeg_is_smaller(tmp_path):
    ((png,),) = make_stage(tmp_path, CountingModel())(make_table("a fox, film grain"))
    stage = make_stage(tmp_path, CountingModel(), file_format="jpeg")
    ((jpeg,),) = stage(make_table("a fox, film grain"))
    sizes = [(tmp_path / found.uri).stat().st_size for found in (png, jpeg)]
    assert sizes[1] < sizes[0]
    with pytest.raises(ValueError, match=r"file_format: got 'gif', expected one of"):
        PictureConfig(file_format="gif")


def test_a_model_that_changed_meanwhile_is_refused(tmp_path):
    model = CountingModel()
    key = RenderKey(render=RenderConfig(), model="studio@32")
    with pytest.raises(ValueError, match=r"is studio@64 now, and was studio@32"):
        RenderStage(key, PictureFolder(tmp_path, PictureConfig()), lambda: model).open()
