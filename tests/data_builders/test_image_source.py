"""Whatever holds images becomes rows with captions: one for each, and nothing goes unseen."""

import errno
import io
import json
import os
import tarfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from data_builders import archive
from data_builders.image_reader import ImageReader
from data_builders.image_source import (
    REASONS,
    ROW_TYPE,
    ImageSource,
    ImageSourceConfig,
)
from data_builders.table_format import MAX_ROW_BYTES
from pe.data.image_file import UnreadableImage, decode_image
from pe.stages.local_runner import Source

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "images"


def picture(red: int = 200) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (64, 64), (red, 0, 0)).save(buffer, "PNG")
    return buffer.getvalue()


def fill(folder: Path, files: dict[str, bytes | str]) -> Path:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.encode() if isinstance(data, str) else data)
    return folder


def fill_tar(path: Path, files: dict[str, bytes | str]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, data in files.items():
            data = data.encode() if isinstance(data, str) else data
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def open_source(path: Path, *, shard_rows: int = 100, **settings) -> ImageSource:
    return ImageSource(path, ImageSourceConfig(**settings), shard_rows=shard_rows)


def rows_of(path: Path, **settings) -> list[dict]:
    source = open_source(path, **settings)
    assert isinstance(source, Source)
    rows = []
    for _, table in source.tables(()):
        assert table.schema == pa.schema([("row", ROW_TYPE)])
        rows += table["row"].to_pylist()
    assert source.num_rows in (len(rows), None)
    assert {row["reason"] for row in rows} <= {None, *REASONS}
    return rows


def told(path: Path, **settings) -> list[tuple]:
    """(id, caption, reason) of each row."""
    return [(row["id"], row["caption"], row["reason"]) for row in rows_of(path, **settings)]


# ---- folders ------------------------------------------------------------------------------------


def test_a_folder_gives_a_row_for_every_file_and_reads_them_back(tmp_path):
    files = {"b.png": picture(1), "sub/a.png": picture(2), "a.jpg": picture(3), "notes.doc": b"?"}
    fill(tmp_path / "my photos", files)
    rows = rows_of(tmp_path / "my photos")
    assert [row["id"] for row in rows] == ["a.jpg", "b.png", "notes.doc", "sub/a.png"]
    assert rows[3] == {
        "id": "sub/a.png",
        "file": "sub/a.png",
        "offset": -1,
        "num_bytes": len(picture(2)),
        "index": -1,
        "caption": None,
        "prompt": None,
        "source": "my photos",
        "licence": "",
        "reason": None,
    }
    reader = ImageReader(tmp_path / "my photos")
    assert {row["id"]: reader.read(row) for row in rows} == files
    with pytest.raises(UnreadableImage, match="no_image"):
        decode_image(reader.read(rows[2]))


def test_what_is_hidden_or_about_the_folder_is_no_row(tmp_path):
    fill(
        tmp_path,
        dict.fromkeys((".DS_Store", "._a.png", ".git/a.png", "__MACOSX/a.png"), b"x")
        | dict.fromkeys(("README", "readme.txt", "LICENSE", "licence-images.txt"), b"x")
        | dict.fromkeys(("NOTES.md", "a.md", "PROVENANCE.md", "Thumbs.db"), b"x")
        | {"a.png": picture(), "license_plate.png": picture(), "license_plate.txt": "a plate"},
    )
    assert told(tmp_path) == [("a.png", None, None), ("license_plate.png", "a plate", None)]


def test_captions_stand_beside_the_image_or_in_a_list_and_the_nearest_wins(tmp_path):
    fill(
        tmp_path,
        {name: picture() for name in ("a.png", "b.png", "sub/c.png", "sub/d.png", "e.v2.png")}
        | {
            "a.txt": " from text \n",
            "a.json": '{"caption": "from json", "prompt": "p", "license": "CC0"}',
            "b.TXT": "from text",
            "e.v2.txt": "with dots",
            "captions.jsonl": '{"file": "a.png", "caption": "list", "source": "web"}\n'
            '{"file": "b.png", "caption": "list"}\n{"file": "sub/c.png", "caption": "above"}\n'
            '{"file": "sub/d.png", "caption": "above", "prompt": "q"}\n',
            "sub/metadata.csv": "file_name,caption\nd.png,nearest\n",
        },
    )
    rows = {row["id"]: row for row in rows_of(tmp_path)}
    assert {name: row["caption"] for name, row in rows.items()} == {
        "a.png": "from json",
        "b.png": "from text",
        "e.v2.png": "with dots",
        "sub/c.png": "above",
        "sub/d.png": "nearest",
    }
    assert [rows["a.png"][n] for n in ("prompt", "licence", "source")] == ["p", "CC0", "web"]
    assert rows["sub/d.png"]["prompt"] == "q"


def test_of_several_captions_one_is_chosen(tmp_path):
    lines = '{"file": "a.png", "captions": ["a fox", "a red fox", "a cat"]}\n'
    fill(tmp_path, {"a.png": picture(), "captions.jsonl": lines})
    assert told(tmp_path) == [("a.png", "a fox", None)]
    assert told(tmp_path, caption_choice="longest") == [("a.png", "a red fox", None)]


def test_what_is_said_of_no_image_or_is_broken_is_a_row_with_its_reason(tmp_path):
    fill(
        tmp_path,
        {name: picture() for name in ("a.png", "b.png", "c.png")}
        | {
            "a.txt": b"caf\xe9",
            "b.json": '{"caption": ',
            "gone.txt": "a caption",
            "captions.jsonl": '{"file": "c.png", "caption": "c"}\nnot json\n'
            '{"file": "lost/d.png", "caption": "d"}\n{"file": "../e.png", "prompt": "e"}\n',
        },
    )
    assert told(tmp_path) == [
        ("a.png", None, "bad_encoding"),
        ("b.png", None, "broken_sidecar"),
        ("c.png", "c", None),
        ("gone.txt", "a caption", "no_file"),
        ("lost/d.png", "d", "no_file"),
        ("../e.png", None, "no_file"),
        ("captions.jsonl:2", None, "broken_sidecar"),
    ]


def test_links_are_followed_but_not_in_circles(tmp_path):
    outside = fill(tmp_path / "outside", {"a.png": picture()})
    folder = fill(tmp_path / "folder", {"b.png": picture()})
    (folder / "linked").symlink_to(outside)
    (folder / "circle").symlink_to(folder)
    (folder / "c.png").symlink_to(outside / "a.png")
    (folder / "nowhere.png").symlink_to(tmp_path / "nothing")
    assert told(folder) == [
        ("b.png", None, None),
        ("c.png", None, None),
        ("nowhere.png", None, "no_file"),
        ("linked/a.png", None, None),
    ]


def test_a_pipe_is_not_waited_for(tmp_path):
    fill(tmp_path, {"a.png": picture()})
    os.mkfifo(tmp_path / "b.png")
    os.mkfifo(tmp_path / "a.txt")
    assert told(tmp_path) == [("a.png", None, "broken_sidecar"), ("b.png", None, "no_file")]


def test_a_name_that_is_not_utf8_is_dropped_under_a_name_that_a_table_can_hold(tmp_path):
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.png"))
    try:
        path.write_bytes(picture())
    except OSError:
        pytest.skip("this file system takes names in UTF-8 only")
    fill(tmp_path, {"café.png": picture()})
    assert told(tmp_path) == [("café.png", None, None), ("caf\\xe9.png", None, "bad_encoding")]


def test_a_sidecar_that_changes_after_it_was_listed_drops_its_row(tmp_path):
    fill(tmp_path, {"a.png": picture(), "a.txt": "a fox", "b.png": picture(), "b.txt": "b"})
    source = open_source(tmp_path, shard_rows=1)
    rows = []
    for _, table in source.tables(()):
        rows += table["row"].to_pylist()
        (tmp_path / "b.txt").unlink(missing_ok=True)
    assert [(row["caption"], row["reason"]) for row in rows] == [
        ("a fox", None),
        (None, "broken_sidecar"),
    ]


def test_a_sidecar_that_is_too_large_is_not_read(tmp_path, monkeypatch):
    fill(tmp_path, {"a.png": picture(), "a.txt": b"x" * (MAX_ROW_BYTES + 1)})

    def fail(*args):
        raise AssertionError("it was read")

    monkeypatch.setattr(archive, "read_piece", fail)
    assert told(tmp_path) == [("a.png", None, "broken_sidecar")]


def test_a_sidecar_that_the_machine_cannot_read_ends_the_run_and_drops_nothing(
    tmp_path, monkeypatch
):
    fill(tmp_path, {"a.png": picture(), "a.txt": "a fox"})

    def fail(*args):
        raise OSError(errno.ESTALE, "Stale file handle")

    with monkeypatch.context() as patch:
        patch.setattr(archive, "read_piece", fail)
        with pytest.raises(OSError, match="Stale file handle"):
            rows_of(tmp_path)
    assert told(tmp_path) == [("a.png", "a fox", None)]


def test_img2dataset_s_folders_of_files_are_read_with_their_failures(tmp_path):
    fill(
        tmp_path,
        {
            "00000/000000000.jpg": picture(),
            "00000/000000000.txt": "a fox",
            "00000/000000000.json": '{"status": "success", "caption": "a fox", "url": "x"}',
            "00000/000000001.txt": "a cat",
            "00000/000000001.json": '{"status": "failed_to_download", "caption": "a cat"}',
            "00000.parquet": b"metadata",
            "00000_stats.json": "{}",
        },
    )
    assert told(tmp_path) == [
        ("00000/000000000.jpg", "a fox", None),
        ("00000/000000001.json", "a cat", "failed_to_download"),
    ]


# ---- tars, Parquet, one file --------------------------------------------------------------------


def test_tars_give_their_samples_with_captions_and_failures(tmp_path):
    sample = {"0.png": picture(1), "0.txt": "a fox", "0.json": '{"prompt": "fox"}'}
    failed = {"1.json": '{"status": "failed_to_resize"}', "1.txt": "a cat"}
    fill_tar(tmp_path / "00001.tar", {"2.png": picture(3)})
    fill_tar(tmp_path / "00000.tar", sample | failed)
    fill(tmp_path, {"00000.parquet": b"metadata", "00000_stats.json": "{}", "README.md": "x"})
    assert told(tmp_path) == [
        ("00000.tar/0.png", "a fox", None),
        ("00000.tar/1.json", "a cat", "failed_to_resize"),
        ("00001.tar/2.png", None, None),
    ]
    rows = rows_of(tmp_path)
    assert (rows[0]["prompt"], rows[0]["source"]) == ("fox", tmp_path.name)
    assert ImageReader(tmp_path).read(rows[2]) == picture(3)
    assert told(tmp_path / "00001.tar") == [("00001.tar/2.png", None, None)]
    assert rows_of(tmp_path / "00001.tar")[0]["source"] == "00001"


def test_parquet_files_give_their_rows(tmp_path):
    for name, numbers in [("a", [1, 2]), ("sub/b", [3])]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        images = [{"bytes": picture(n), "path": "x.png"} for n in numbers]
        table = pa.table({"image": images, "caption": [f"number {n}" for n in numbers]})
        pq.write_table(table, tmp_path / f"{name}.parquet")
    fill(tmp_path, {"dataset_info.json": "{}", "README.md": "x"})
    rows = rows_of(tmp_path)
    assert [(row["id"], row["index"], row["caption"]) for row in rows] == [
        ("a.parquet:1", 0, "number 1"),
        ("a.parquet:2", 1, "number 2"),
        ("sub/b.parquet:1", 0, "number 3"),
    ]
    assert [ImageReader(tmp_path).read(row) for row in rows] == [picture(n) for n in (1, 2, 3)]
    assert [row["id"] for row in rows_of(tmp_path / "a.parquet")] == ["a.parquet:1", "a.parquet:2"]


def test_one_image_comes_with_what_is_said_of_it(tmp_path):
    files = {"a.png": picture(1), "b.png": picture(2), "b.txt": "a fox", "sub/c.png": picture(3)}
    lines = '{"file": "b.png", "prompt": "p"}\n{"file": "gone.png"}\nbroken\n'
    fill(tmp_path, files | {"captions.jsonl": lines})
    [row] = rows_of(tmp_path / "b.png")
    assert [row[n] for n in ("id", "caption", "prompt", "source")] == ["b.png", "a fox", "p", "b"]
    source = open_source(tmp_path / "b.png")
    assert ImageReader(source.root).read(row) == picture(2)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"t.tar": b"", "a.png": b""}, r"mixes kinds of sources, t\.tar and a\.png"),
        ({"sub/a.jpg": b"", "p.parquet": b""}, r"mixes kinds of sources, p\.parquet and sub/a"),
        ({"t.tar": b"", "p.parquet": b""}, r"mixes kinds of sources, t\.tar and p\.parquet"),
        ({"t.tar": b"", "captions.jsonl": b""}, r"mixes kinds of sources, t\.tar and captions"),
        ({"train.parquet": b"", "train/a.jpg": b""}, "mixes kinds of sources"),
        ({"t.tar.gz": b""}, r"t\.tar\.gz is a compressed tar: .* unpack it"),
        ({"t.tar": b"\x1f\x8b\x08"}, r"t\.tar is a compressed tar"),
        ({"p.parquet": b"PAR1"}, r"p\.parquet is not a readable parquet file"),
        (
            {},
            r"holds no image: expected an image, a \.tar, .*, a \.sqlite of votes, or a folder",
        ),
        ({"README.md": b"", ".hidden.png": b"", "captions.jsonl": b""}, "holds no image"),
        ({"t.tar": bytes(10_240)}, "holds no image"),
    ],
)
def test_what_is_no_source_says_what_was_expected(tmp_path, files, message):
    fill(tmp_path, files)
    with pytest.raises(ValueError, match=message):
        open_source(tmp_path)


def test_a_path_to_nothing_to_text_or_to_a_table_of_numbers_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is nothing at .*/lost: expected an image"):
        open_source(tmp_path / "lost")
    fill(tmp_path, {"captions.jsonl": "{}"})
    with pytest.raises(ValueError, match=r"captions\.jsonl is no image"):
        open_source(tmp_path / "captions.jsonl")
    pq.write_table(pa.table({"label": [1]}), tmp_path / "p.parquet")
    with pytest.raises(ValueError, match=r"no column of images: its columns are label \(int64\)"):
        open_source(tmp_path / "p.parquet")


def test_settings_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="caption_choice: got 'shortest', expected one of first"):
        ImageSourceConfig(caption_choice="shortest")
    with pytest.raises(ValueError, match="limit: got 0"):
        ImageSourceConfig(limit=0)


# ---- shards and key -----------------------------------------------------------------------------


@pytest.fixture(params=["folder", "tars", "parquet"])
def seven(request, tmp_path) -> Path:
    """A source of seven images of each kind."""
    names = [f"{i}.png" for i in range(7)]
    if request.param == "folder":
        return fill(tmp_path / "s", {name: picture() for name in names})
    if request.param == "tars":
        fill_tar(tmp_path / "s" / "a.tar", {name: picture() for name in names[:4]})
        fill_tar(tmp_path / "s" / "b.tar", {name: picture() for name in names[4:]})
    else:
        (tmp_path / "s").mkdir()
        pq.write_table(pa.table({"png": [picture()] * 7}), tmp_path / "s" / "a.parquet")
    return tmp_path / "s"


def test_shards_are_cut_by_rows_and_done_ones_are_not_read(seven):
    source = open_source(seven, shard_rows=3)
    tables = dict(source.tables(()))
    assert [len(table) for table in tables.values()] == [3, 3, 1]
    again = dict(source.tables({0, 2}))
    assert again == {0: None, 1: tables[1], 2: None}


def test_a_limit_takes_the_first_rows(seven):
    assert rows_of(seven, limit=4, source="x") == rows_of(seven, source="x")[:4]
    assert open_source(seven, limit=4).num_rows in (4, None)
    assert len(rows_of(seven, limit=99)) == 7


def test_the_key_changes_with_files_and_settings_and_with_nothing_else(seven):
    key = open_source(seven).key
    assert open_source(seven).key == key
    fill(seven, {"README.md": "x", ".hidden": "x"})
    assert open_source(seven).key == key
    others = [
        open_source(seven, limit=5).key,
        open_source(seven, caption_choice="longest").key,
        open_source(seven, source="x").key,
        open_source(seven, shard_rows=5).key,
    ]
    [path, *_] = sorted(p for p in seven.iterdir() if p.suffix in (".png", ".tar", ".parquet"))
    facts = path.stat()
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns + 1))
    others.append(open_source(seven).key)
    path.rename(path.with_name("z" + path.name))
    others.append(open_source(seven).key)
    assert len({key, *others}) == len(others) + 1


def test_the_key_depends_on_the_bytes_of_lists_and_the_times_of_sidecars(tmp_path):
    line = json.dumps({"file": "a.png", "caption": "a fox"})
    fill(tmp_path, {"a.png": picture(), "captions.jsonl": line, "a.txt": "a fox"})
    keys = [open_source(tmp_path).key]
    os.utime(tmp_path / "captions.jsonl", ns=(5, 5))
    assert open_source(tmp_path).key == keys[0]
    fill(tmp_path, {"captions.jsonl": line.replace("fox", "cat")})
    keys.append(open_source(tmp_path).key)
    os.utime(tmp_path / "a.txt", ns=(5, 5))
    keys.append(open_source(tmp_path).key)
    assert len(set(keys)) == 3


def test_700_photographs_are_listed_with_their_captions_and_decode():
    folder = SHARED / "flickr8k"
    if not folder.is_dir():
        pytest.skip("needs the shared photographs")
    rows = rows_of(folder)
    assert (len(rows), {row["reason"] for row in rows}) == (700, {None})
    assert rows[0]["caption"] == "A black dog and a spotted dog are fighting"
    assert all(row["caption"] for row in rows)
    reader = ImageReader(folder)
    sizes = [decode_image(reader.read(row)).size for row in rows]
    assert (min(map(min, sizes)) >= 64, max(map(max, sizes))) == (True, 500)
