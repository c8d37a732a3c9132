"""The records that cross from stage to stage, and their Arrow schemas.

A record is a frozen dataclass whose `id` is a hash of its content, so that the same thing has the
same id on every machine and every rerun. Parents are named by id, which is what lets any training
row be walked back to the image or prompt it came from. The records know nothing of files or
engines.
"""

import dataclasses
import hashlib
import types
import typing
from typing import Any, ClassVar, TypeVar

import pyarrow as pa

R = TypeVar("R", bound="Record")
KINDS = ("abstract", "concrete", "short", "medium", "long", "grounded", "specific")
SPLITS = ("train", "validation", "test")
HALVES = ("base", "refine")


def content_hash(*parts: str) -> str:
    """Hash strings to 20 hex digits (80 bits: no clash is expected below 10^10 records)."""
    digest = hashlib.blake2b(digest_size=10)
    for part in parts:
        data = part.encode()
        digest.update(len(data).to_bytes(8, "little"))  # so that ("a", "bc") is not ("ab", "c")
        digest.update(data)
    return digest.hexdigest()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Record:
    """Base of all records: fills `id` from the fields named in ID_FIELDS when none is given."""

    ID_FIELDS: ClassVar[tuple[str, ...]] = ()
    id: str = ""

    def __post_init__(self) -> None:
        if not self.id:
            parts = (str(getattr(self, name)) for name in self.ID_FIELDS)
            object.__setattr__(self, "id", content_hash(type(self).__name__, *parts))

    def to_row(self) -> dict[str, Any]:
        """Return the fields as a plain dict, in the order of the schema."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    @classmethod
    def from_row(cls: type[R], row: dict[str, Any]) -> R:
        """Build the record from a dict as Arrow gives it (lists become tuples)."""
        values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in row.items()}
        return cls(**values)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Image(Record):
    """A picture, or a prompt that someone gave to an image model whose picture is not at hand.

    Without a picture `width` and `height` are 0 and `uri` names the row it was read from
    (file:line).
    """

    ID_FIELDS = ("given_prompt", "given_query", "given_caption")
    uri: str
    width: int = 0
    height: int = 0
    source: str
    licence: str = ""
    given_prompt: str | None = None
    given_query: str | None = None
    given_caption: str | None = None
    aesthetic: float | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Inversion(Record):
    """A prompt that would make the image: caption + flavors, or the prompt that did make it.

    `source_id` is what the split is drawn by: near-duplicate prompts share one.
    """

    ID_FIELDS = ("image_id", "prompt", "method")
    image_id: str
    source_id: str
    caption: str
    flavors: tuple[str, ...]
    prompt: str
    method: str
    language: str = ""  # of the prompt: ISO 639-1, or "und"


@dataclasses.dataclass(frozen=True, kw_only=True)
class QueryTask(Record):
    """A query that is to be made of an inversion, or the one that came with its image."""

    ID_FIELDS = ("inversion_id", "kind", "given_query")
    inversion_id: str
    kind: str
    given_query: str | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Query(Record):
    """A short text that a person might have typed for the inversion's prompt."""

    ID_FIELDS = ("inversion_id", "kind", "text", "method")
    inversion_id: str
    kind: str
    text: str
    method: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pair(Record):
    """A training row: query and prefix in, prompt out. `parents`: query, inversion, image ids."""

    ID_FIELDS = ("query", "prefix", "prompt", "parents")
    query: str
    prefix: str
    prompt: str
    kind: str
    source: str
    split: str
    half: str
    parents: tuple[str, ...]
    licence: str
    language: str = ""  # of the prompt: ISO 639-1, or "und"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Expansion(Record):
    """A prompt that a model made of a query; `number` says which of the query's it is, from 0.

    `logprob` (nats, summed; None where the model does not tell) and `num_tokens` are of the text as
    it was drawn, before anything was cut to end it with a phrase or to fit a budget.
    """

    ID_FIELDS = ("query", "prefix", "text", "seed", "model")
    query: str
    prefix: str
    text: str
    seed: int
    logprob: float | None
    num_tokens: int
    model: str
    number: int = 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rendering(Record):
    """A picture of an expansion. `uri` is its file, from the folder of all pictures."""

    ID_FIELDS = ("expansion_id", "seed", "t2i")
    expansion_id: str
    uri: str
    seed: int
    t2i: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Score(Record):
    """How well a picture shows what was asked for: `value`, and what it is made of.

    `version` names the weights and the formula.
    """

    ID_FIELDS = ("rendering_id", "name", "version")
    rendering_id: str
    name: str
    version: str
    value: float
    query_cosine: float
    prompt_cosine: float
    aesthetic: float | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Dropped(Record):
    """A row that a stage did not keep, and why.

    `uri` is where its source stands (file:line), `detail` what the reason was found by.
    """

    ID_FIELDS = ("stage", "parent_id", "reason", "uri")
    stage: str
    parent_id: str
    reason: str
    uri: str
    detail: str = ""


_ARROW_TYPES = {
    str: pa.string(),
    int: pa.int64(),
    float: pa.float64(),
    tuple[str, ...]: pa.list_(pa.string()),
}


def arrow_fields(record_type: type[Record]) -> list[pa.Field]:
    """Derive Arrow fields from a record's annotations; `X | None` becomes nullable."""
    hints = typing.get_type_hints(record_type)
    fields = []
    for field in dataclasses.fields(record_type):
        hint = hints[field.name]
        nullable = isinstance(hint, types.UnionType)
        if nullable:
            hint = next(arg for arg in typing.get_args(hint) if arg is not type(None))
        fields.append(pa.field(field.name, _ARROW_TYPES[hint], nullable=nullable))
    return fields


def arrow_schema(record_type: type[Record]) -> pa.Schema:
    """Return the Parquet schema of a record."""
    return pa.schema(arrow_fields(record_type))
