"""What holds pictures is told by its name, Parquet by its columns."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_builders.image_plan import is_image_source


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.tar", True),
        ("A.TAR", True),
        ("x.jpg", True),
        ("X.WebP", True),
        ("x.tar.gz", True),  # its reader says that it has to be unpacked
        ("x.tgz", True),
        ("x.tar.zst", True),
        ("x.csv.gz", False),
        ("x.jsonl", False),
        ("x.txt", False),
        ("damaged.parquet", False),
    ],
)
def test_a_file_holds_pictures_by_its_name(tmp_path, name, expected):
    (tmp_path / name).write_bytes(b"PAR1 nothing")
    assert is_image_source(tmp_path / name) == expected


def test_parquet_holds_pictures_by_its_columns_and_a_folder_always(tmp_path):
    pq.write_table(pa.table({"prompt": ["a fox"]}), tmp_path / "prompts.parquet")
    pq.write_table(pa.table({"jpg": [b"1"]}), tmp_path / "IMAGES.PARQUET")
    assert not is_image_source(tmp_path / "prompts.parquet")
    assert is_image_source(tmp_path / "IMAGES.PARQUET")
    assert is_image_source(tmp_path)


def test_a_file_that_arrow_cannot_open_is_none_of_pictures(tmp_path, monkeypatch):
    path = tmp_path / "p.parquet"
    pq.write_table(pa.table({"jpg": [b"1"]}), path)

    def fail(path):
        raise OSError("Couldn't deserialize thrift")

    monkeypatch.setattr(pq, "read_schema", fail)
    assert not is_image_source(path)
