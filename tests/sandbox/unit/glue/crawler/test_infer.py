"""Files are classified as Glue's built-in classifiers do."""

from __future__ import annotations

import csv
import gzip
import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from xacct_sandbox.glue.crawler.infer import SAMPLE_BYTES, infer_schema
from xacct_sandbox.glue.crawler.infer.csv_files import DELIMITERS, infer_csv, value_type
from xacct_sandbox.glue.crawler.infer.schema import Layout, Schema, Unclassified, UnsupportedFormat
from xacct_sandbox.glue.crawler.infer.types import Array, Struct, merge, render

PRODUCTS = (
    "id,name,price,stock,active,updated_at\n"
    '1,"Pan, large",12.50,3,true,2026-01-01 10:00:00\n'
    '2,"Two\nlines ""quoted""",7,,false,2026-01-01 11:00:00\n'
)


def infer(content: bytes) -> Schema:
    return infer_schema(
        content[:SAMPLE_BYTES], len(content), lambda start, size: content[start : start + size]
    )


def columns(schema: Schema) -> dict[str, str]:
    return {name: render(kind) for name, kind in schema.columns.items()}


def test_products_are_csv_with_a_header_and_typed_columns():
    schema = infer(PRODUCTS.encode())
    assert schema.layout == Layout("csv", "none", ",", header=True)
    assert columns(schema) == {
        "id": "bigint",
        "name": "string",
        "price": "double",
        "stock": "bigint",
        "active": "boolean",
        "updated_at": "string",  # dates and times stay strings
    }
    assert schema.records == 2


def test_a_byte_order_mark_and_windows_line_ends_change_nothing():
    same = infer(b"\xef\xbb\xbf" + PRODUCTS.replace("\n", "\r\n").encode())
    assert columns(same) == columns(infer(PRODUCTS.encode()))


@pytest.mark.parametrize("delimiter", DELIMITERS)
def test_each_delimiter_that_glue_knows_is_found(delimiter):
    text = PRODUCTS.split("\n", 1)[0].replace(",", delimiter) + f"\n1{delimiter}a" + delimiter * 4
    assert infer_csv(text + "\n" + text.split("\n")[1] + "\n", complete=True).delimiter == delimiter


def test_text_columns_alone_give_no_header():
    # The guide: if all columns are STRING, the first row is not different enough to be a header.
    schema = infer(b"name,city\nann,rome\nbob,oslo\n")
    assert not schema.layout.header
    assert columns(schema) == {"col0": "string", "col1": "string"}
    assert schema.records == 3


@pytest.mark.parametrize(
    "first",
    [
        "id,7",  # a cell that is no string
        f"id,{'n' * 150},x",  # a cell of 150 characters that is not the last
        "id,,x",  # a cell without a name
        "id,ID",  # twice the same name
    ],
)
def test_a_first_row_that_breaks_a_header_rule_is_data(first):
    width = first.count(",")
    assert not infer(f"{first}\n1{',2' * width}\n3{',4' * width}\n".encode()).layout.header


def test_a_trailing_delimiter_does_not_hide_the_header():
    schema = infer(b"id,name,\n1,a,\n2,b,\n")
    assert schema.layout.header
    assert list(schema.columns) == ["id", "name", "col2"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"id,name\n", "two rows"),
        (b"one\ntwo\nthree\n", "two columns"),
        (b"id,name\n1,\xff\xfe\n", "not UTF-8 at byte 10"),
        (b"id,name\n1,\x00\n", "NUL"),
        (b"\x1f\x8b\x08\x00broken", "gzip"),
        (gzip.compress(PRODUCTS.encode(), mtime=0)[:-12], "too early"),
        (gzip.compress(b"", mtime=0), "empty"),
        (b'{"a": 1', "not JSON"),
        (b"[1, 2]\n3", "objects"),
        (b"{}\n{}\n", "no members"),
        (b"PAR1 but no footer", "Parquet"),
    ],
)
def test_a_file_that_no_classifier_recognizes_is_refused_with_the_reason(content, reason):
    with pytest.raises(Unclassified, match=reason):
        infer(content)


@pytest.mark.parametrize(
    ("content", "name"), [(b"Obj\x01", "Avro"), (b"ORC", "ORC"), (b"<?xml?>", "XML")]
)
def test_a_format_that_only_glue_reads_is_refused_by_name(content, name):
    with pytest.raises(UnsupportedFormat, match=name):
        infer(content + b"....")


def test_gzip_is_recognized_by_its_content_and_kept_apart():
    schema = infer(gzip.compress(PRODUCTS.encode()))
    assert schema.layout == Layout("csv", "gzip", ",", header=True)
    assert not schema.fits(infer(PRODUCTS.encode()))


def test_schema_and_record_count_of_a_long_file_come_from_its_beginning():
    rows = 20_000
    body = "id,name\n" + "".join(f"{number},name {number}\n" for number in range(rows))
    schema = infer(body.encode())
    assert columns(schema) == {"id": "bigint", "name": "string"}
    assert abs(schema.records - rows) < rows * 0.2
    packed = infer(gzip.compress(body.encode()))
    assert abs(packed.records - rows) < rows * 0.5


def test_json_lines_give_ints_structs_and_arrays():
    lines = [
        {"ID": 1, "tags": ["a"], "size": {"w": 1, "h": 2.5}, "big": 2**40, "none": None},
        {"ID": 2, "tags": [], "size": {"w": 2}, "extra": True},
    ]
    schema = infer("\n".join(json.dumps(line) for line in lines).encode())
    assert schema.layout == Layout("json")
    assert columns(schema) == {
        "id": "int",
        "tags": "array<string>",
        "size": "struct<w:int,h:double>",
        "big": "bigint",
        "none": "string",
        "extra": "boolean",
    }


def test_one_json_array_is_a_column_called_array():
    assert columns(infer(b'[{"a": 1}, {"b": "x"}]')) == {"array": "array<struct<a:int,b:string>>"}


def test_a_json_record_that_the_sample_cuts_is_left_out():
    line = json.dumps({"a": 1, "text": "x" * 1000}) + "\n"
    schema = infer(line.encode() * 200)
    assert columns(schema) == {"a": "int", "text": "string"}


def test_parquet_is_read_from_its_footer():
    table = pa.table(
        {
            "Id": pa.array([1, 2], pa.int64()),
            "price": pa.array([None, None], pa.decimal128(12, 2)),
            "day": pa.array([None, None], pa.date32()),
            "at": pa.array([None, None], pa.timestamp("us")),
            "tags": pa.array([["a"], []], pa.list_(pa.string())),
            "box": pa.array([{"w": 1}, None], pa.struct([("w", pa.int32())])),
        }
    )
    sink = io.BytesIO()
    pq.write_table(table, sink)
    content = sink.getvalue()
    reads: list[int] = []

    def read_range(start: int, size: int) -> bytes:
        reads.append(size)
        return content[start : start + size]

    schema = infer_schema(content[:8], len(content), read_range)
    assert columns(schema) == {
        "id": "bigint",
        "price": "decimal(12,2)",
        "day": "date",
        "at": "timestamp",
        "tags": "array<string>",
        "box": "struct<w:int>",
    }
    assert schema.records == 2
    assert sum(reads) <= len(content) + 64 * 1024


cells = st.one_of(
    st.integers(-(10**20), 10**20).map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(str),
    st.sampled_from(["", "true", "FALSE", "2026-01-01", "007", "1e3", "-", ".", "NaN"]),
    st.text(st.characters(exclude_characters="\x00\r\n", codec="utf-8"), max_size=6),
)


@given(rows=st.lists(st.lists(cells, min_size=3, max_size=3), min_size=1, max_size=6))
def test_whatever_the_cells_a_file_with_a_typed_column_keeps_its_header(rows):
    sink = io.StringIO()
    writer = csv.writer(sink, lineterminator="\n")
    writer.writerow(["key", "first", "second", "third"])
    for number, row in enumerate(rows):
        writer.writerow([number, *row])
    found = infer_csv(sink.getvalue(), complete=True)
    assert (found.delimiter, found.header) == (",", True)
    assert list(found.columns) == ["key", "first", "second", "third"]
    assert found.columns["key"] == "bigint"
    assert found.rows == len(rows)


types = st.recursive(
    st.sampled_from([None, "int", "bigint", "double", "float", "boolean", "string"]),
    lambda inner: st.one_of(
        inner.map(Array),
        st.dictionaries(st.sampled_from("ab"), inner, max_size=2).map(
            lambda fields: Struct(tuple(sorted(fields.items())))
        ),
    ),
    max_leaves=4,
)


@given(one=types, other=types)
def test_merging_types_does_not_depend_on_the_order_in_which_files_are_read(one, other):
    def unordered(kind):
        return sorted(render(kind))

    assert unordered(merge(one, other)) == unordered(merge(other, one))
    assert merge(one, one) == one


@given(cell=cells)
@example(cell="0\x1f")
def test_the_type_of_a_value_can_hold_the_value(cell):
    kind = value_type(cell)
    if kind == "bigint":
        assert -(2**63) <= int(cell) < 2**63
    elif kind == "double":
        float(cell)


def test_a_stored_schema_is_read_back_unchanged():
    schema = infer(b'{"a": {"b": [1]}}\n')
    assert Schema.from_json(json.loads(json.dumps(schema.to_json()))) == schema


def test_header_texts_become_columns_in_lower_case() -> None:
    text = 'Handle,"Body (HTML)",Google Shopping / Custom Label 0, Variant Price \na,b,c,1.5\n'
    found = infer_csv(text, complete=True)
    assert found.header
    assert list(found.columns) == [
        *("handle", "body (html)", "google shopping / custom label 0", "variant price"),
    ]
