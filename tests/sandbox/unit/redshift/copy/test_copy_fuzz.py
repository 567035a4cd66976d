"""COPY loads exactly what was written: CSV of Glue's connector, and Parquet."""

from __future__ import annotations

import gzip
import io
import math
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.support.postgres_csv import rows_read
from xacct_sandbox.redshift.copy import columnar
from xacct_sandbox.redshift.copy.conversion import FieldCountError
from xacct_sandbox.redshift.copy.options import parse_copy
from xacct_sandbox.redshift.copy.records import pieces
from xacct_sandbox.redshift.copy.rules import Column, Piece, Rules
from xacct_sandbox.redshift.copy.s3_reading import SourceObject, object_chunks
from xacct_sandbox.redshift.roles import RoleSession
from xacct_sandbox.redshift.sql import lexer
from xacct_sandbox.redshift.sql.errors import RedshiftError

NULL = "@NULL-0123abcd@"
# As Glue's connector says it for the options of glue/load.py.
CONNECTOR = (
    """COPY public.products ("id", "name", "price") FROM 's3://b/m' IAM_ROLE """
    f"""'arn:aws:iam::222222222222:role/B' FORMAT AS CSV GZIP NULL AS '{NULL}' MANIFEST """
    "COMPUPDATE OFF"
)
PARQUET = (
    "COPY public.products FROM 's3://b/k' IAM_ROLE 'arn:aws:iam::222222222222:role/B' "
    "FORMAT AS PARQUET"
)
TEXTS = (
    Column("id", 1, "bigint", None, True, ""),
    Column("name", 2, "character varying", 256, False, ""),
    Column("price", 3, "numeric", None, False, ""),
)
TYPED = (
    *TEXTS,
    Column("weight", 4, "double precision", None, False, ""),
    Column("sold", 5, "boolean", None, False, ""),
    Column("day", 6, "date", None, False, ""),
    Column("at", 7, "timestamp without time zone", None, False, ""),
)


def rules(sql: str, columns: tuple[Column, ...]) -> Rules:
    return Rules(parse_copy(sql, lexer.tokenize(sql)), columns)


def stored(body: bytes, step: int = 1 << 20) -> tuple[RoleSession, SourceObject]:
    """An object with these bytes, of which a read returns at most `step`."""

    class Body(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            return super().read(step if size is None or size < 0 else min(step, size))

    def get_object(Bucket: str, Key: str, Range: str | None = None) -> dict[str, Any]:
        if Range is None:
            return {"Body": Body(body)}
        first, last = Range.removeprefix("bytes=").split("-")
        return {"Body": io.BytesIO(body[int(first) : int(last) + 1])}

    s3 = SimpleNamespace(get_object=get_object)
    session: Any = SimpleNamespace(s3=s3, principal="arn:aws:iam::222222222222:role/B")
    return session, SourceObject("b", "k.csv.gz", len(body))


def csv_pieces(body: bytes, chosen: Rules, step: int = 1 << 20) -> Iterator[Piece]:
    return pieces(object_chunks(*stored(body, step), "gzip"), chosen)


def rows_of(loaded: Iterator[Piece], chosen: Rules) -> list[list[str | None]]:
    return [row for piece in loaded for row in rows_read(piece, chosen)]


# -- text ------------------------------------------------------------------------------------------

# No value holds NUL (the load job refuses it) or the marker (it holds the id of the load).
_ANY = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)
_SIGNS = st.text(alphabet=',"\n\r\\N @\x01\ufeff', max_size=6)
_NAMES = st.none() | _ANY | _SIGNS
_PRICES = st.none() | st.decimals(-9999, 9999, places=2).map(str)
_ROWS = st.lists(st.tuples(st.integers(0, 99).map(str), _NAMES, _PRICES), max_size=8)


def written(value: str | None, *, quoted: bool) -> str:
    """A field as Spark writes it: NULL is the marker, an empty text is two quotes."""
    if value is None:
        return NULL
    if quoted or value == "" or any(sign in value for sign in ',"\n\r'):
        return '"' + value.replace('"', '""') + '"'
    return value


def as_csv(rows: list[tuple[str | None, ...]], *, quoted: bool) -> str:
    return "".join(",".join(written(value, quoted=quoted) for value in row) + "\n" for row in rows)


@given(_ROWS, st.booleans(), st.integers(1, 9), st.integers(1, 40))
def test_what_glues_connector_writes_is_what_copy_loads(
    rows: list[tuple[str | None, ...]], quoted: bool, members: int, step: int
) -> None:
    text = as_csv(rows, quoted=quoted).encode()
    size = max(1, len(text) // members)
    body = b"".join(
        gzip.compress(text[at : at + size], mtime=0) for at in range(0, max(1, len(text)), size)
    )
    chosen = rules(CONNECTOR, TEXTS)
    assert rows_of(csv_pieces(body, chosen, step), chosen) == [list(row) for row in rows]


@given(st.binary(min_size=1, max_size=40), st.integers(1, 9))
def test_a_file_that_is_not_the_gzip_it_is_called_is_named(body: bytes, cut: int) -> None:
    assume(body[:2] != b"\x1f\x8b")
    whole = gzip.compress(body, mtime=0)
    for broken in (body, whole[:-cut]):
        with pytest.raises(RedshiftError, match=r"s3://b/k\.csv\.gz is not valid gzip"):
            list(csv_pieces(broken, rules(CONNECTOR, TEXTS)))


# The last record holds the marker beside an empty field, so that the file is taken apart here;
# of other files PostgreSQL tells the line itself.
@given(_ROWS, _ROWS, st.sampled_from([1, 2, 4, 5]), _SIGNS)
def test_a_record_with_too_few_or_many_fields_is_named_with_its_line(
    before: list[tuple[str | None, ...]],
    after: list[tuple[str | None, ...]],
    fields: int,
    value: str,
) -> None:
    bad = as_csv([("1", value, "2", "3", "4")[:fields]], quoted=False)
    first = as_csv(before, quoted=False)
    rest = as_csv(after, quoted=False)
    text = f"{first}{bad}{rest}7,{NULL},\n"
    with pytest.raises(FieldCountError) as caught:
        list(csv_pieces(gzip.compress(text.encode(), mtime=0), rules(CONNECTOR, TEXTS)))
    told = caught.value
    assert (told.expected, told.found) == (3, fields)
    assert told.text == bad.removesuffix("\n")
    assert told.line == first.count("\n")


# -- Parquet ---------------------------------------------------------------------------------------

_SCHEMA = pa.schema(
    [
        ("id", pa.int64()),
        ("name", pa.string()),
        ("price", pa.decimal128(12, 2)),
        ("weight", pa.float64()),
        ("sold", pa.bool_()),
        ("day", pa.date32()),
        ("at", pa.timestamp("us")),
    ]
)
_RECORDS = st.lists(
    st.tuples(
        st.integers(-(2**63), 2**63 - 1),
        _NAMES,
        st.none() | st.decimals(-(10**9), 10**9, places=2),
        st.none() | st.floats(),
        st.none() | st.booleans(),
        st.none() | st.dates(date(1, 1, 1)),
        st.none() | st.datetimes(datetime(1, 1, 1)),
    ),
    max_size=12,
)
_READ = (
    int,
    str,
    Decimal,
    float,
    {"true": True, "false": False}.__getitem__,
    date.fromisoformat,
    datetime.fromisoformat,
)


def as_parquet(records: list[tuple[Any, ...]], **options: Any) -> bytes:
    columns = [list(values) for values in zip(*records, strict=True)] or [[] for _ in _SCHEMA]
    arrays = [pa.array(v, f.type) for v, f in zip(columns, _SCHEMA, strict=True)]
    sink = io.BytesIO()
    pq.write_table(pa.table(arrays, schema=_SCHEMA), sink, **options)
    return sink.getvalue()


def same(one: Any, other: Any) -> bool:
    return one == other or (
        isinstance(one, float)
        and isinstance(other, float)
        and math.isnan(one)
        and math.isnan(other)
    )


@given(_RECORDS, st.booleans(), st.sampled_from(["none", "snappy", "zstd"]))
def test_what_a_parquet_file_holds_is_what_copy_loads(
    records: list[tuple[Any, ...]], dictionary: bool, packed: str
) -> None:
    body = as_parquet(records, use_dictionary=dictionary, compression=packed, row_group_size=5)
    chosen = rules(PARQUET, TYPED)
    loaded = rows_of(columnar.parquet_pieces(*stored(body), chosen), chosen)
    found = [
        [None if text is None else read(text) for read, text in zip(_READ, row, strict=True)]
        for row in loaded
    ]
    assert len(found) == len(records)
    for row, record in zip(found, records, strict=True):
        assert all(map(same, row, record)), (row, record)


@given(st.binary(max_size=60))
def test_a_file_that_is_no_parquet_is_named(body: bytes) -> None:
    with pytest.raises(RedshiftError, match=r"s3://b/k\.csv\.gz is not a Parquet file"):
        list(columnar.parquet_pieces(*stored(body), rules(PARQUET, TYPED)))


def test_a_parquet_file_of_other_columns_is_named_with_both_numbers() -> None:
    with pytest.raises(RedshiftError, match=r"s3://b/k\.csv\.gz has 7 columns, the target 3"):
        list(columnar.parquet_pieces(*stored(as_parquet([])), rules(PARQUET, TEXTS)))
