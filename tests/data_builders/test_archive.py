"""Images inside tars and Parquet files are listed without their pixels, and read back later."""

import errno
import io
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_builders import archive, image_reader
from data_builders.archive import (
    BrokenArchiveError,
    Piece,
    find_image_column,
    is_hidden,
    is_row_error,
    make_rows,
    parquet_rows,
    tar_rows,
)
from data_builders.image_reader import ImageReader


def write_tar(path: Path, **members: bytes):
    """Write members; in their names __ stands for a slash and the first _ left for a dot."""
    with tarfile.open(path, "w") as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name.replace("__", "/").replace("_", "."))
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


def described(rows):
    return [(row.id, [piece.suffix for piece in row.sidecars], row.reason) for row in rows]


def as_row(row):
    return {n: getattr(row, n) for n in ("id", "file", "offset", "num_bytes", "index", "reason")}


def test_make_rows_gives_the_rows_of_its_docstring():
    def rows_of(*names):
        pieces = [Piece(name, name[1:], "t.tar", 0, 9) for name in names]
        return described(make_rows(pieces, only_suffixes=archive.IMAGE_SUFFIXES))

    assert rows_of("a.jpg", "a.txt") == [("a.jpg", [".txt"], None)]
    assert rows_of("a.jpg", "a.png", "a.json", "a.txt") == [
        ("a.jpg", [".json", ".txt"], None),
        ("a.png", [".json", ".txt"], None),
    ]
    assert rows_of("b.txt") == [("b.txt", [".txt"], "no_file")]


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        (("0.meta.json", "0.json"), "0.json"),
        (("0.json", "0.meta.json"), "0.json"),
        (("0.txt", "0.TXT"), "0.TXT"),
        (("0.TXT", "0.txt"), "0.TXT"),
    ],
)
def test_of_two_sidecars_of_one_kind_the_shortest_name_wins_in_any_order(names, chosen):
    pieces = [Piece("0.jpg", ".jpg", "t.tar", 0, 9)]
    pieces += [Piece(name, Path(name).suffix.lower(), "t.tar", 0, 9) for name in names]
    (row,) = make_rows(pieces, only_suffixes=archive.IMAGE_SUFFIXES)
    assert [piece.name for piece in row.sidecars] == [chosen]


def test_of_a_sidecar_that_is_twice_in_a_tar_the_later_counts():
    pieces = [Piece("0.jpg", ".jpg", "t.tar", 0, 9)]
    pieces += [Piece("0.txt", ".txt", "t.tar", offset, 9) for offset in (1, 2)]
    (row,) = make_rows(pieces, only_suffixes=archive.IMAGE_SUFFIXES)
    assert [piece.offset for piece in row.sidecars] == [2]


def test_a_member_above_the_tar_s_own_folder_is_a_row_as_any_other(tmp_path):
    with tarfile.open(tmp_path / "t.tar", "w") as tar:
        for name in ("../x.jpg", "a/../../y.jpg", "../.hidden.jpg"):
            info = tarfile.TarInfo(name)
            info.size = 3
            tar.addfile(info, io.BytesIO(b"one"))
    rows = list(tar_rows(tmp_path, "t.tar"))
    assert described(rows) == [("t.tar/../x.jpg", [], None), ("t.tar/../y.jpg", [], None)]
    assert ImageReader(tmp_path).read(as_row(rows[0])) == b"one"


def test_the_members_of_a_tar_are_grouped_by_name_wherever_they_stand(tmp_path):
    write_tar(
        tmp_path / "00000.tar",
        a__1_jpg=b"one",
        a__2_seg_PNG=b"two",
        a__1_txt=b"a fox",
        b__1_webp=b"three",
        a__1_cls=b"7",
        a__3_json=b"{}",
        a__3_cls=b"9",
        _DS_Store=b"?",
        a___1_jpg=b"?",
    )
    rows = list(tar_rows(tmp_path, "00000.tar"))
    assert described(rows) == [
        ("00000.tar/a/1.jpg", [".txt"], None),
        ("00000.tar/a/2.seg.PNG", [], None),
        ("00000.tar/b/1.webp", [], None),
        ("00000.tar/a/3.json", [".json"], "no_file"),
    ]
    reader = ImageReader(tmp_path)
    assert [reader.read(as_row(row)) for row in rows[:3]] == [b"one", b"two", b"three"]
    with pytest.raises(ValueError, match="no image: its reason is no_file"):
        reader.read(as_row(rows[3]))


def test_links_and_folders_in_a_tar_are_no_images(tmp_path):
    with tarfile.open(tmp_path / "t.tar", "w") as tar:
        folder, link = tarfile.TarInfo("a"), tarfile.TarInfo("a/1.jpg")
        folder.type, link.type, link.linkname = tarfile.DIRTYPE, tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(folder)
        tar.addfile(link)
    assert described(tar_rows(tmp_path, "t.tar")) == [("t.tar/a/1.jpg", [], "no_file")]


@pytest.mark.parametrize(
    ("num_bytes", "ids"),
    [
        (512 + 512 + 512 + 100, ["t.tar/1.jpg", "t.tar"]),  # inside the second member's bytes
        (512 + 512 + 100, ["t.tar/1.jpg", "t.tar"]),  # inside its header
        (512 + 512, ["t.tar/1.jpg"]),  # before it: no other end than a tar without end marks
        (100, ["t.tar"]),
    ],
)
def test_a_tar_that_was_cut_keeps_what_is_whole_and_says_so(tmp_path, num_bytes, ids):
    write_tar(tmp_path / "t.tar", **{"1_jpg": b"1" * 500, "2_jpg": b"2" * 500})
    data = (tmp_path / "t.tar").read_bytes()
    (tmp_path / "t.tar").write_bytes(data[:num_bytes])
    rows = list(tar_rows(tmp_path, "t.tar"))
    assert [row.id for row in rows] == ids
    assert [row.reason for row in rows if row.id == "t.tar"] == ["broken_archive"] * (
        "t.tar" in ids
    )


def test_a_tar_that_is_damaged_in_the_middle_says_so(tmp_path):
    write_tar(tmp_path / "t.tar", **{f"{i}_jpg": b"1" * 500 for i in range(3)})
    data = bytearray((tmp_path / "t.tar").read_bytes())
    data[1024:1124] = b"damaged" * 14 + b"!!"
    (tmp_path / "t.tar").write_bytes(data)
    assert [row.id for row in tar_rows(tmp_path, "t.tar")] == ["t.tar/0.jpg", "t.tar"]


def test_what_is_no_tar_is_one_broken_row(tmp_path):
    (tmp_path / "t.tar").write_bytes(b"no tar at all " * 99)
    assert described(tar_rows(tmp_path, "t.tar")) == [("t.tar", [], "broken_archive")]


def test_what_systems_leave_behind_is_hidden():
    for name, expected in [
        ("._a.jpg", True),
        ("__MACOSX/a.jpg", True),
        ("a/.b/c.jpg", True),
        ("Thumbs.db", True),
        ("a/b.c.jpg", False),
        ("../a.jpg", False),
    ]:
        assert is_hidden(name) == expected


def test_the_rows_of_a_parquet_file_are_read_group_by_group(tmp_path):
    table = pa.table(
        {
            "image": [{"bytes": b"%d" % i, "path": f"{i}.jpg"} for i in range(10)],
            "text": [f"caption {i}" for i in range(10)],
            "label": list(range(10)),
        }
    )
    pq.write_table(table, tmp_path / "p.parquet", row_group_size=3)
    rows = list(parquet_rows(tmp_path, "p.parquet"))
    assert [(row.id, row.index, row.said.captions) for row in rows] == [
        (f"p.parquet:{i + 1}", i, (f"caption {i}",)) for i in range(10)
    ]
    assert {(row.offset, row.num_bytes, row.reason) for row in rows} == {(-1, -1, None)}
    reader = ImageReader(tmp_path)
    with ThreadPoolExecutor(4) as pool:
        read = list(pool.map(lambda i: reader.read(as_row(rows[i])), [*range(10), 9, 0, 5] * 5))
    assert read == [b"%d" % i for i in [*range(10), 9, 0, 5] * 5]
    assert len(reader._groups) == image_reader.GROUPS_KEPT


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary()])
@pytest.mark.parametrize("name", ["image", "jpg", "png", "bytes", "image_bytes", "JPG"])
def test_images_may_be_plain_bytes(tmp_path, kind, name):
    table = pa.table({"key": ["a", "b"], name: pa.array([b"one", b"two"], kind)})
    pq.write_table(table, tmp_path / "p.parquet")
    rows = list(parquet_rows(tmp_path, "p.parquet"))
    assert [ImageReader(tmp_path).read(as_row(row)) for row in rows] == [b"one", b"two"]


def test_captions_in_parquet_may_be_lists_dictionaries_or_wrong(tmp_path):
    table = pa.table(
        {
            "jpg": [b"1", b"2", None],
            "captions": pa.array([["a", "b"], None, []]),
            "license": pa.array(["CC0", "CC0", None]).dictionary_encode(),
            "prompt": pa.array([b"p", b"\xff", None], pa.binary()),
            "status": ["success", "success", "failed_to_resize"],
        }
    )
    pq.write_table(table, tmp_path / "p.parquet")
    rows = list(parquet_rows(tmp_path, "p.parquet"))
    assert [row.reason for row in rows] == [None, "bad_encoding", "failed_to_resize"]
    assert rows[0].said[:4] == (("a", "b"), "p", None, "CC0")


def test_a_parquet_row_without_bytes_is_a_missing_file(tmp_path):
    table = pa.table({"image": [{"bytes": None, "path": "/elsewhere/a.jpg"}, None]})
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    pq.write_table(table.cast(pa.schema([("image", kind)])), tmp_path / "p.parquet")
    for row in parquet_rows(tmp_path, "p.parquet"):
        with pytest.raises(FileNotFoundError, match=r"p\.parquet:\d holds no bytes"):
            ImageReader(tmp_path).read(as_row(row))


def test_a_parquet_file_that_shrank_or_went_is_said_to_have(tmp_path):
    path = tmp_path / "p.parquet"
    pq.write_table(pa.table({"jpg": [b"1", b"2"]}), path)
    rows = [as_row(row) for row in parquet_rows(tmp_path, "p.parquet")]
    pq.write_table(pa.table({"jpg": [b"1"]}), path)
    with pytest.raises(ValueError, match="no row 1"):
        ImageReader(tmp_path).read(rows[1])
    path.write_bytes(b"PAR1 nothing")
    with pytest.raises(ValueError, match=r"p\.parquet cannot be read"):
        ImageReader(tmp_path).read(rows[0])
    path.unlink()
    with pytest.raises(FileNotFoundError):
        ImageReader(tmp_path).read(rows[0])


def write_broken_groups(path: Path) -> None:
    """Write four rows in two groups, the second one damaged."""
    table = pa.table({"jpg": [b"%d" % i * 99 for i in range(4)], "text": list("abcd")})
    pq.write_table(table, path, row_group_size=2, compression="snappy", use_dictionary=False)
    column = pq.read_metadata(path).row_group(1).column(0)
    data = bytearray(path.read_bytes())
    begin, size = column.data_page_offset, column.total_compressed_size
    data[begin : begin + size] = b"\xff" * size
    path.write_bytes(data)


def test_a_damaged_row_group_is_read_once_and_the_others_are_whole(tmp_path, monkeypatch):
    write_broken_groups(tmp_path / "p.parquet")
    reader, tried = ImageReader(tmp_path), []
    rows = [as_row(row) for row in parquet_rows(tmp_path, "p.parquet")]
    read_row_group = pq.ParquetFile.read_row_group

    def count(self, i, **kwargs):
        tried.append(i)
        return read_row_group(self, i, **kwargs)

    monkeypatch.setattr(pq.ParquetFile, "read_row_group", count)
    for row in rows[2:]:
        with pytest.raises(
            BrokenArchiveError, match=r"p\.parquet cannot be read in its row group 1"
        ):
            reader.read(row)
    assert [reader.read(row) for row in rows[:2]] == [b"0" * 99, b"1" * 99]
    assert tried == [1, 0]


def test_what_arrow_has_from_the_system_is_not_the_file_s_damage(tmp_path, monkeypatch):
    pq.write_table(pa.table({"jpg": [b"1", b"2"], "text": ["a", "b"]}), tmp_path / "p.parquet")
    rows = [as_row(row) for row in parquet_rows(tmp_path, "p.parquet")]

    def fail(*args, **kwargs):
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(pq.ParquetFile, "read_row_group", fail)
        patch.setattr(pq.ParquetFile, "iter_batches", fail)
        reader = ImageReader(tmp_path)
        with pytest.raises(OSError, match="Input/output"):
            reader.read(rows[0])
        with pytest.raises(OSError, match="Input/output"):
            list(parquet_rows(tmp_path, "p.parquet"))
    assert reader.read(rows[0]) == b"1"  # the next time


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (FileNotFoundError(errno.ENOENT, "gone"), True),
        (NotADirectoryError(errno.ENOTDIR, "gone"), True),
        (PermissionError(errno.EACCES, "locked"), True),
        (ValueError("has changed"), True),
        (OSError(errno.EIO, "input/output"), False),
        (OSError(errno.ESTALE, "stale"), False),
        (OSError(errno.EMFILE, "too many files"), False),
        (TimeoutError(errno.ETIMEDOUT, "server"), False),
    ],
)
def test_an_error_is_the_row_s_or_the_machine_s(tmp_path, error, expected):
    assert is_row_error(error, tmp_path) == expected
    if isinstance(error, OSError):  # whatever it says: the disk is not mounted any more
        assert not is_row_error(error, tmp_path / "gone")


def test_a_file_that_changed_since_it_was_listed_is_not_read(tmp_path):
    row = {"id": "a", "file": "a", "offset": -1, "num_bytes": 3, "index": -1, "reason": None}
    for data in (b"", b"12", b"1234"):
        (tmp_path / "a").write_bytes(data)
        with pytest.raises(ValueError, match="a has changed since it was listed: expected 3 bytes"):
            ImageReader(tmp_path).read(row)
    (tmp_path / "a").write_bytes(b"123")
    assert ImageReader(tmp_path).read(row) == b"123"
    (tmp_path / "a").unlink()
    with pytest.raises(FileNotFoundError):
        ImageReader(tmp_path).read(row)


def test_a_table_without_images_names_its_columns():
    schema = pa.schema([("image", pa.string()), ("text", pa.string())])
    with pytest.raises(ValueError, match=r"image \(string\), text \(string\); expected bytes"):
        find_image_column(Path("p.parquet"), schema)
