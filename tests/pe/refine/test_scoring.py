"""A score is what its formula says, by a real encoder; pictures that are lost are dropped."""

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from pe.engines.aesthetics import AestheticConfig
from pe.engines.vision import load_encoder
from pe.records import Expansion, Query, Rendering, Score, arrow_fields
from pe.refine.pictures import PictureConfig, PictureFolder
from pe.refine.scoring import ScoreConfig, ScoreKey, ScoreStage
from pe.stages.stage import Drop
from pe.studio.render import render

TEXTS = ("a red fox in snow, watercolor", "a red fox in a forest", "an old boat at sea")


class Ratings:
    """Rates a picture by its mean brightness."""

    def prepare(self, image):
        return np.asarray(image)

    def score(self, prepared):
        return np.asarray([pixels.mean() / 25.5 for pixels in prepared], np.float32)


def make_rows(folder, uris=None):
    rows = []
    for k, text in enumerate(TEXTS):
        query = Query(inversion_id="i", kind="short", text=" ".join(text.split()[:3]), method="m")
        expansion = Expansion(query=query.text, prefix="", text=text, seed=0, logprob=None,
                              num_tokens=1, model="m", number=k)  # fmt: skip
        uri = f"{k}.png"
        Image.fromarray(render(text, k, size=64)).save(folder / uri)
        drawn = Rendering(expansion_id=expansion.id, uri=uri, seed=k, t2i="studio@64")
        rows.append({"query": query.to_row(), "expansion": expansion.to_row(),
                     "rendering": drawn.to_row()})  # fmt: skip
    kinds = {"query": Query, "expansion": Expansion, "rendering": Rendering}
    fields = [pa.field(name, pa.struct(arrow_fields(kind))) for name, kind in kinds.items()]
    return pa.Table.from_pylist(rows, schema=pa.schema(fields))


def make_stage(folder, encoder, scorer=None, **settings):
    key = ScoreKey(
        score=ScoreConfig(encoder="e", **settings),
        encoder=encoder.digest,
        aesthetics=AestheticConfig(),
        aesthetic={},
    )
    pictures = PictureFolder(folder, PictureConfig())
    stage = ScoreStage(key, pictures, lambda: (encoder, scorer))
    stage.open()
    return stage


@pytest.fixture(scope="module")
def encoder(encoder_folder):
    return load_encoder(str(encoder_folder))


def test_a_score_is_the_weighed_sum_of_its_cosines(tmp_path, encoder):
    table = make_rows(tmp_path)
    results = make_stage(tmp_path, encoder)(table)
    rated = make_stage(tmp_path, encoder, Ratings(), aesthetic_weight=0.1)(table)
    for k, text in enumerate(TEXTS):
        (score,) = results[k]
        assert isinstance(score, Score)
        image = Image.fromarray(render(text, k, size=64))
        picture = encoder.encode_images([image])[0]
        query, prompt = encoder.encode_texts([" ".join(text.split()[:3]), text])
        assert score.query_cosine == pytest.approx(float(query @ picture), abs=1e-5)
        assert score.prompt_cosine == pytest.approx(float(prompt @ picture), abs=1e-5)
        expected = 0.6 * score.query_cosine + 0.4 * score.prompt_cosine
        assert score.value == pytest.approx(expected, abs=1e-9)
        assert score.aesthetic is None
        (with_rating,) = rated[k]
        rating = np.asarray(image).mean() / 25.5
        assert with_rating.aesthetic == pytest.approx(rating, rel=1e-5)
        assert with_rating.value == pytest.approx(expected + 0.1 * rating, abs=1e-5)
        assert with_rating.version != score.version


def test_pictures_that_are_gone_or_broken_cost_themselves(tmp_path, encoder):
    table = make_rows(tmp_path)
    (tmp_path / "0.png").unlink()
    (tmp_path / "2.png").write_bytes((tmp_path / "1.png").read_bytes()[:-40])
    results = make_stage(tmp_path, encoder)(table)
    assert results[0] == Drop("picture_is_gone")
    assert isinstance(results[1], tuple)
    assert results[2] == Drop("picture_truncated")
    (tmp_path / "1.png").unlink()
    assert all(isinstance(result, Drop) for result in make_stage(tmp_path, encoder)(table))


@pytest.mark.parametrize(
    "weights",
    [{"query_weight": -0.1}, {"query_weight": 0.0, "prompt_weight": 0.0}],
)
def test_weights_that_say_nothing_are_refused(weights):
    with pytest.raises(ValueError, match=r"expected 0 or more, and one above 0"):
        ScoreConfig(**weights)
