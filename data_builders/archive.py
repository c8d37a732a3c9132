"""Images inside tars and Parquet files: which there are, and their bytes again later.

A tar is a WebDataset or img2dataset shard: members whose names are equal up to the first dot are
one sample, `000.jpg` the picture, `000.txt` and `000.json` what is said of it. A Parquet file has
pictures as Hugging Face datasets write them (a column of {bytes, path}) or as plain bytes.
Pixels stay where they are: a row says where its bytes stand. Knows nothing of decoding.
"""

import dataclasses
import errno
import posixpath
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from data_builders.sidecar import FIELDS, FILE_SIDECARS, NOTHING, Said, read_fields
from data_builders.table_format import fold_name

IMAGE_SUFFIXES = frozenset((
    ".avif", ".bmp", ".dib", ".gif", ".heic", ".heif", ".ico", ".j2k", ".jfif", ".jp2", ".jpe",
    ".jpeg", ".jpg", ".jxl", ".pbm", ".pgm", ".png", ".pnm", ".ppm", ".psd", ".svg", ".tga", ".tif",
    ".tiff", ".webp",
))  # fmt: skip
IMAGE_COLUMNS = ("image", "jpg", "png", "webp", "image_bytes", "bytes")  # in order of precedence
BATCH_ROWS = 4096

_ROW_ERRORS = (FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError)

REASONS = {
    "broken_archive": "the tar or Parquet file is damaged here, or cut from here on",
    "no_file": "something is said of an image that is not there",
}


class Piece(NamedTuple):
    """Where a file or a member stands: `offset` -1 for a whole file."""

    name: str  # the row's id: the path from the source's root, through the archive
    suffix: str
    file: str
    offset: int
    num_bytes: int


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ImageRow:
    """One image of a source, before its sidecars are read; `index` is Parquet's row, from 0."""

    id: str
    file: str
    offset: int = -1
    num_bytes: int = -1
    index: int = -1
    said: Said = NOTHING
    sidecars: tuple[Piece, ...] = ()
    reason: str | None = None


def make_rows(pieces: Iterable[Piece], *, only_suffixes: frozenset[str] | None) -> list[ImageRow]:
    """Make the rows of one sample: one for each picture; where there is none, one for what is left.

    A picture is what has one of `only_suffixes`, or with None whatever is no sidecar. Of two
    sidecars of one kind the shortest name counts, then the first by the alphabet.

    Example:
      pieces                       rows (id, sidecars, reason)
      a.jpg a.txt                  a.jpg  (a.txt)  None
      a.jpg a.png a.json a.txt     a.jpg  (a.json, a.txt)  None;  a.png  (a.json, a.txt)  None
      a.jpg a.json a.meta.json     a.jpg  (a.json)  None
      b.txt                        b.txt  (b.txt)  "no_file"
    """
    pieces = list(pieces)
    by_rank = sorted(pieces, key=lambda piece: (len(piece.name), piece.name), reverse=True)
    by_suffix = {piece.suffix: piece for piece in by_rank}  # of one name twice in a tar the later
    sidecars = tuple(by_suffix[suffix] for suffix in FILE_SIDECARS if suffix in by_suffix)
    if only_suffixes is None:
        pictures = [piece for piece in pieces if piece.suffix not in FILE_SIDECARS]
    else:
        pictures = [piece for piece in pieces if piece.suffix in only_suffixes]
    return [
        ImageRow(
            id=piece.name,
            file=piece.file,
            offset=piece.offset,
            num_bytes=piece.num_bytes,
            sidecars=sidecars,
            reason=None if pictures and piece.num_bytes >= 0 else "no_file",
        )
        for piece in pictures or pieces[:1]
    ]


# ---- tar ----------------------------------------------------------------------------------------


def tar_rows(root: Path, file: str) -> Iterator[ImageRow]:
    """Yield the rows of a tar, samples in the order of their first members.

    A tar that is cut or damaged ends with a row of its own: its name, reason broken_archive.
    Memory holds the names of one tar's members.
    """
    samples: dict[str, list[Piece]] = {}
    size, is_broken = (root / file).stat().st_size, False
    try:
        with tarfile.open(root / file, "r:") as tar:
            while (member := tar.next()) is not None:
                tar.members.clear()  # kept for look-ups by name, about 1 KB each
                name = posixpath.normpath(member.name)
                if member.isdir() or is_hidden(name):
                    continue
                is_data = member.isreg() and not member.issparse()  # no links, no holes
                is_broken = is_data and member.offset_data + member.size > size
                if is_broken:
                    break
                base = posixpath.basename(name)
                key = posixpath.join(posixpath.dirname(name), base.split(".", 1)[0])
                suffix = posixpath.splitext(base)[1].lower() if is_data else ""
                piece = Piece(f"{file}/{name}", suffix, file, member.offset_data, member.size)
                samples.setdefault(key, []).append(piece)
            end = tar.offset
        with (root / file).open("rb") as stream:  # tarfile takes a damaged header for the end
            stream.seek(end)
            is_broken = is_broken or any(stream.read(512))
    except (tarfile.TarError, EOFError, ValueError):
        is_broken = True
    for pieces in samples.values():
        yield from make_rows(pieces, only_suffixes=IMAGE_SUFFIXES)
    if is_broken:
        yield ImageRow(id=file, file=file, reason="broken_archive")


def is_hidden(name: str) -> bool:
    """Tell what systems leave behind: .DS_Store, ._a.jpg, __MACOSX/..., Thumbs.db, desktop.ini.

    What stands above a tar's own folder (../a.jpg) is as good as any: nothing is unpacked.
    """
    return any(
        (part.startswith(".") and part != "..") or part in ("__MACOSX", "Thumbs.db", "desktop.ini")
        for part in name.split("/")
    )


# ---- Parquet ------------------------------------------------------------------------------------


def find_image_column(path: Path, schema: pa.Schema) -> str:
    """Find the column of pictures; raises ValueError where there is none."""
    by_name = {fold_name(name): name for name in reversed(schema.names)}
    for wanted in IMAGE_COLUMNS:
        name = by_name.get(wanted)
        kind = None if name is None else schema.field(name).type
        if kind is not None and pa.types.is_struct(kind):
            place = kind.get_field_index("bytes")
            kind = kind.field(place).type if place >= 0 else None
        if name is not None and kind is not None and _is_bytes(kind):
            return name
    columns = ", ".join(f"{field.name} ({field.type})" for field in list(schema)[:20])
    raise ValueError(
        f"{path} has no column of images: its columns are {columns}; expected bytes, or a struct "
        f"with bytes, in one named {', '.join(IMAGE_COLUMNS)}"
    )


def _is_bytes(kind: pa.DataType) -> bool:
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_null(kind)


def count_parquet_rows(path: Path) -> int:
    """Return a file's number of rows; raises ValueError where it cannot be used."""
    try:
        with pq.ParquetFile(path) as file:
            find_image_column(path, file.schema_arrow)
            return file.metadata.num_rows
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"{path} is not a readable parquet file: {error}") from error


def parquet_rows(root: Path, file: str) -> Iterator[ImageRow]:
    """Yield the rows of a Parquet file without reading a picture; row 0 has the id FILE:1."""
    index = 0
    try:
        with pq.ParquetFile(root / file) as table:
            schema = table.schema_arrow
            image = find_image_column(root / file, schema)
            names = [n for n in schema.names if n != image and fold_name(n) in FIELDS]
            for group in range(table.num_row_groups):
                if not names:  # nothing to read but how many there are
                    for _ in range(table.metadata.row_group(group).num_rows):
                        yield ImageRow(id=f"{file}:{index + 1}", file=file, index=index)
                        index += 1
                    continue
                for batch in table.iter_batches(BATCH_ROWS, row_groups=[group], columns=names):
                    for said in _batch_fields(batch):
                        failure = said if isinstance(said, str) else said.failure
                        yield ImageRow(
                            id=f"{file}:{index + 1}",
                            file=file,
                            index=index,
                            said=NOTHING if isinstance(said, str) else said,
                            reason=failure,
                        )
                        index += 1
    except (pa.ArrowException, OSError) as error:
        if not is_damage(error):
            raise
        yield ImageRow(id=f"{file}:{index + 1}", file=file, reason="broken_archive")


def is_damage(error: Exception) -> bool:
    """Tell a damaged file from the machine's trouble: of the system's errors Arrow says which."""
    return not isinstance(error, MemoryError) and getattr(error, "errno", None) is None


def _batch_fields(batch: pa.RecordBatch) -> Iterator[Said | str]:
    columns = [_text_as_bytes(column) for column in batch.columns]
    for values in zip(*(column.to_pylist() for column in columns), strict=True):
        yield read_fields(dict(zip(batch.schema.names, values, strict=True)))


def _text_as_bytes(column: pa.Array) -> pa.Array:
    """Cast text, and lists of it, to bytes: a value which is not UTF-8 is then one bad row."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.dictionary_decode()
        kind = column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return column.cast(pa.large_binary())
    if pa.types.is_list(kind) and pa.types.is_string(kind.value_type):
        return column.cast(pa.list_(pa.binary()))
    return column


# ---- bytes --------------------------------------------------------------------------------------


class BrokenArchiveError(ValueError):
    """A part of a Parquet file is damaged: none of its images can be read."""


def is_row_error(error: Exception, root: Path) -> bool:
    """Tell whether a file that could not be read is to blame itself: gone, locked or changed.

    What comes of the machine (EIO, ESTALE, EMFILE, a folder that is not mounted any more) says
    nothing about the row, and may read well the next time.
    """
    if isinstance(error, OSError):
        is_own = isinstance(error, _ROW_ERRORS) or error.errno in (errno.ELOOP, errno.ENAMETOOLONG)
        return is_own and root.is_dir()
    return isinstance(error, ValueError)


def read_piece(root: Path, file: str, offset: int, num_bytes: int) -> bytes:
    """Read a file, or a part of one, as it was listed.

    Raises:
      OSError: it is gone, or cannot be opened.
      ValueError: it has another size now.
    """
    with (root / file).open("rb") as stream:
        stream.seek(max(offset, 0))
        data = stream.read(num_bytes + (offset < 0))  # one more would show that a file has grown
    if len(data) != num_bytes:
        raise ValueError(f"{file} has changed since it was listed: expected {num_bytes} bytes")
    return data
