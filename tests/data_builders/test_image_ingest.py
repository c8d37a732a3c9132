"""The stage that takes pictures in: what is dropped, what ends the run, and how many at once."""

import errno

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image as PilImage

from data_builders import image_ingest, image_reader
from data_builders.image_ingest import ImageIngestKey, ImageIngestStage, ImageLoader
from data_builders.image_reader import ImageReader
from data_builders.image_source import ImageSource, ImageSourceConfig
from pe.data.image_file import ImageLimits
from pe.engines.aesthetics import AestheticConfig
from pe.stages.stage import ClosedStage, Drop


class Scorer:
    """Rates a picture by its width; knows how many lie prepared at most."""

    def __init__(self):
        self.sizes = []

    def prepare(self, image):
        if image.width == 70:
            raise ValueError("too narrow")
        return image.width

    def score(self, prepared):
        self.sizes.append(len(prepared))
        return np.array(prepared, np.float32)


@pytest.fixture
def table(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for width in range(64, 74):
        PilImage.new("RGB", (width, 64)).save(folder / f"{width}.png")
    source = ImageSource(folder, ImageSourceConfig(), shard_rows=100)
    ((_, table),) = source.tables(())
    return table


def make_stage(folder, scorer=None):
    key = ImageIngestKey(limits=ImageLimits(), aesthetics=AestheticConfig(), weights={})
    loader = ImageLoader(ImageReader(folder), ImageLimits())
    stage = ImageIngestStage(key, loader, lambda: scorer)
    stage.open()
    return stage


def test_pictures_are_prepared_a_few_at_a_time_and_keep_their_places(table, tmp_path, monkeypatch):
    monkeypatch.setattr(image_ingest, "PART_ROWS", 4)
    scorer = Scorer()
    stage = make_stage(tmp_path / "pictures", scorer)
    results = stage(table)
    assert [r.reason if isinstance(r, Drop) else r[0].aesthetic for r in results] == [
        64.0, 65.0, 66.0, 67.0, 68.0, 69.0, "extreme_shape", 71.0, 72.0, 73.0,
    ]  # fmt: skip
    assert scorer.sizes == [4, 3, 2]
    assert isinstance(stage, ClosedStage)
    stage.close()
    assert stage._engine is None


def test_without_a_scorer_nothing_is_rated(table, tmp_path):
    results = make_stage(tmp_path / "pictures")(table)
    assert [result[0].aesthetic for result in results] == [None] * 10


def test_a_picture_that_is_gone_is_dropped_while_its_folder_is_there(table, tmp_path):
    stage = make_stage(tmp_path / "pictures")
    (tmp_path / "pictures" / "64.png").unlink()
    (tmp_path / "pictures" / "65.png").write_bytes(b"changed")
    results = stage(table)
    assert results[:2] == [Drop("no_file")] * 2
    assert not isinstance(results[2], Drop)
    (tmp_path / "pictures").rename(tmp_path / "elsewhere")
    with pytest.raises(FileNotFoundError):
        stage(table)


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.EMFILE])
def test_the_machine_s_trouble_drops_no_picture(table, tmp_path, monkeypatch, number):
    def fail(*args):
        raise OSError(number, "trouble")

    monkeypatch.setattr(image_reader, "read_piece", fail)
    with pytest.raises(OSError, match="trouble"):
        make_stage(tmp_path / "pictures")(table)


def test_pictures_of_a_damaged_part_of_an_archive_are_dropped_as_such(tmp_path, monkeypatch):
    pq.write_table(pa.table({"jpg": [b"1", b"2"]}), tmp_path / "p.parquet")
    source = ImageSource(tmp_path / "p.parquet", ImageSourceConfig(), shard_rows=100)
    ((_, table),) = source.tables(())

    def fail(*args, **kwargs):
        raise OSError("Corrupt snappy compressed data.")  # as Arrow does it, without a number

    monkeypatch.setattr(pq.ParquetFile, "read_row_group", fail)
    assert make_stage(tmp_path)(table) == [Drop("broken_archive")] * 2
