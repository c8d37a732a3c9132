"""A SQLite file of prompts, pictures and votes is a source of images."""

import io
import sqlite3

import numpy as np
import pytest
from PIL import Image as PilImage

from data_builders.image_plan import is_image_source
from data_builders.image_reader import ImageReader
from data_builders.image_source import ImageSource, ImageSourceConfig


def picture(number: int) -> bytes:
    pixels = np.full((80, 80, 3), number * 20, np.uint8)
    buffer = io.BytesIO()
    PilImage.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def crowd(tmp_path):
    path = tmp_path / "votes.sqlite"
    (tmp_path / "b.png").write_bytes(picture(2))
    with sqlite3.connect(path) as file:
        file.execute("CREATE TABLE voters (name TEXT)")
        file.execute("CREATE TABLE pictures (Prompt TEXT, image, votes, licence TEXT)")
        rows = [
            ("a fox", picture(1), 3, "CC0"),
            ("a boat", "b.png", 1, None),
            ("a cat", picture(3), 0, None),
            ("an owl", picture(4), "many", None),
            ("a barn", "../votes.sqlite", 5, None),
            ("a hat", None, 2, None),
        ]
        file.executemany("INSERT INTO pictures VALUES (?, ?, ?, ?)", rows)
    file.close()
    return path


def list_rows(path, **settings):
    source = ImageSource(path, ImageSourceConfig(**settings), shard_rows=4)
    return source, [row for _, table in source.tables(()) for row in table["row"].to_pylist()]


def test_rows_with_votes_come_with_prompt_picture_and_licence(crowd):
    assert is_image_source(crowd)
    source, rows = list_rows(crowd)
    assert source.num_rows == 6
    found = [(row["prompt"], row["reason"], row["source"], row["licence"]) for row in rows]
    assert found == [
        ("a fox", None, "crowd", "CC0"),
        ("a boat", None, "crowd", ""),
        ("a cat", "few_votes", "crowd", ""),
        ("an owl", "no_votes", "crowd", ""),
        ("a barn", "no_file", "crowd", ""),
        ("a hat", "no_file", "crowd", ""),
    ]
    reader = ImageReader(source.root)
    assert [reader.read(row) for row in rows[:2]] == [picture(1), picture(2)]


def test_how_many_votes_it_takes_is_a_setting(crowd):
    _, rows = list_rows(crowd, min_votes=-1.0, source="party")
    assert [row["reason"] for row in rows[:3]] == [None, None, None]
    assert rows[0]["source"] == "party"


def test_a_row_that_goes_meanwhile_is_no_picture(crowd):
    source, rows = list_rows(crowd)
    with sqlite3.connect(crowd) as file:
        file.execute("DELETE FROM pictures WHERE Prompt = 'a fox'")
    file.close()
    with pytest.raises(FileNotFoundError, match=r"votes.sqlite:1 holds no bytes"):
        ImageReader(source.root).read(rows[0])


def test_votes_can_be_cast_while_rows_are_listed(crowd):
    source = ImageSource(crowd, ImageSourceConfig(), shard_rows=1)
    tables = source.tables(())
    next(tables)
    with sqlite3.connect(crowd, timeout=0.1) as file:
        file.execute("UPDATE pictures SET votes = votes + 1 WHERE Prompt = 'a boat'")
    file.close()
    assert len(list(tables)) == 5


def test_a_file_that_is_locked_is_the_machine_s_trouble(crowd, monkeypatch):
    monkeypatch.setattr("data_builders.votes.BUSY_SECS", 0.1)
    source, rows = list_rows(crowd)
    with sqlite3.connect(crowd) as file:
        file.execute("BEGIN EXCLUSIVE")
        with pytest.raises(OSError, match="cannot be read now: database is locked"):
            ImageReader(source.root).read(rows[0])
    file.close()


def test_a_bad_row_costs_only_itself(crowd):
    with sqlite3.connect(crowd) as file:
        rows = [
            ("a pen", "data:image/png;base64," + "A" * 5000, 3, None),
            ("a pin", "a\0b", 3, None),
        ]
        file.executemany("INSERT INTO pictures VALUES (?, ?, ?, ?)", rows)
        file.execute("INSERT INTO pictures VALUES (CAST(x'ff61' AS TEXT), x'00', 3, NULL)")
    file.close()
    _, rows = list_rows(crowd)
    assert [row["reason"] for row in rows[6:]] == ["no_file", "no_file", "bad_encoding"]


def test_what_is_no_file_of_votes_is_told(tmp_path):
    broken = tmp_path / "a.sqlite"
    broken.write_bytes(b"no such thing" * 100)
    with pytest.raises(ValueError, match=r"a.sqlite is not a readable SQLite file"):
        list_rows(broken)
    other = tmp_path / "b.db"
    with sqlite3.connect(other) as file:
        file.execute("CREATE TABLE t (prompt TEXT, votes INT)")
    file.close()
    with pytest.raises(ValueError, match=r"its tables are t \(prompt, votes\); expected one with"):
        list_rows(other)
