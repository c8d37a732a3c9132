from pathlib import Path

import pyarrow as pa
import pytest

from pe import shards


def test_shards_are_read_in_order_and_temporary_files_are_not_shards(tmp_path: Path):
    for index in (10, 2):
        shards.write_table(tmp_path / shards.shard_name(index), pa.table({"a": [index]}))
    (tmp_path / ".tmp-part-00003.parquet").write_bytes(b"half")
    assert shards.read_shards(tmp_path)["a"].to_pylist() == [2, 10]
    shards.clear_temporary(tmp_path)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_folder_without_shards_is_an_error(tmp_path: Path):
    with pytest.raises(ValueError, match="no Parquet shards"):
        shards.read_shards(tmp_path)


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path):
    path = tmp_path / "a.json"
    shards.write_json(path, {"a": 1})
    with pytest.raises(TypeError):
        shards.write_json(path, {"a": object()})
    assert path.read_text() == '{\n "a": 1\n}\n'
