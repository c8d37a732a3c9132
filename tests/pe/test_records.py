import pyarrow as pa
import pytest

from pe.prefixes import PREFIXES, check_prefix, format_input
from pe.records import Image, Inversion, Pair, arrow_schema, content_hash


def test_equal_content_has_an_equal_id_and_other_content_another():
    one = Image(uri="a:1", source="s", given_prompt="a cat")
    same = Image(uri="b:9", source="t", given_prompt="a cat")
    other = Image(uri="a:1", source="s", given_prompt="a dog")
    assert one.id == same.id != other.id
    assert len(one.id) == 20


def test_the_borders_between_parts_count():
    assert content_hash("a", "bc") != content_hash("ab", "c")
    assert content_hash("a cat") == "acdd490e52b0edadd10f"  # the same on every machine


def test_records_go_through_arrow_and_back():
    inversion = Inversion(
        image_id="i", source_id="s", caption="c", flavors=("x", "y"), prompt="p", method="given"
    )
    table = pa.Table.from_pylist([inversion.to_row()], schema=arrow_schema(Inversion))
    assert Inversion.from_row(table.to_pylist()[0]) == inversion


def test_only_optional_fields_are_nullable():
    schema = arrow_schema(Image)
    assert schema.field("given_prompt").nullable
    assert not schema.field("uri").nullable
    assert arrow_schema(Pair).field("parents").type == pa.list_(pa.string())


@pytest.mark.parametrize(
    ("query", "prefix", "text"),
    [("undying love", "ABST", "ABST undying love"), ("undying love", "", "undying love"),
     ("", "ABST", "ABST")],
)  # fmt: skip
def test_the_input_string_is_prefix_space_query(query: str, prefix: str, text: str):
    assert format_input(query, prefix) == text


def test_there_are_eight_prefixes_and_an_unknown_one_lists_them():
    assert list(PREFIXES) == ["ABST", "DTL", "FLV", "HAST", "GRD", "SPCT", "RFT", "MSTP"]
    with pytest.raises(ValueError, match="unknown prefix 'abst'; expected one of: ABST"):
        check_prefix("abst")
