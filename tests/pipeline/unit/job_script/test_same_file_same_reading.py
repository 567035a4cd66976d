"""raw_partition and the load job read a file with different code, and must agree on it.

What raw_partition passes, the job must not refuse, and must read with the same header; what it
finds no row in, the job must find no header in. (How many records Spark cuts is compared in
`tests/pipeline/integration/test_fuzzed_files.py`.)
"""

from __future__ import annotations

import gzip
from datetime import UTC, datetime
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.support.fakes.s3 import FakeBucket
from xacct_assets.aws.s3.file_inspection import RawObject
from xacct_assets.aws.s3.raw_bucket import RawBucket
from xacct_assets.contract.csv_dialect import CsvDialect
from xacct_assets.contract.headers import FileColumns
from xacct_load.headers import HEAD_BYTES, parse_head

COLUMNS = ("id", "name", "price")
SETTINGS = settings(max_examples=400)
PLAIN = CsvDialect()


def verdict(body: bytes, key: str, dialect: CsvDialect = PLAIN) -> Any:
    """What raw_partition says."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    bucket = FakeBucket({key: body})
    raw_object = RawObject(key, len(body), bucket.etag(body).strip('"'), now)
    raw_bucket = RawBucket(bucket.client, "b", "111111111111")
    (found,) = raw_bucket.inspect([raw_object], dialect, FileColumns(COLUMNS))
    return found


def header(
    body: bytes, key: str, columns: tuple[str, ...] = COLUMNS, dialect: CsvDialect = PLAIN
) -> Any:
    """What the job says: a header, None for no row, or an error."""
    if not body:
        return None
    whole = len(body) <= HEAD_BYTES
    found = parse_head(body[:HEAD_BYTES], key, whole, dialect)
    if found is not None and (problem := FileColumns(columns).problem(found, dialect)):
        raise ValueError(problem)
    return found


# Pieces of malformed files; most of them begin as one of the feed should.
names = st.sampled_from([*COLUMNS, '"id"', '"na\nme"', " id", "ID", "", "é", "x\ry"])
headers = st.one_of(
    st.permutations(COLUMNS).map(",".join),
    st.permutations(COLUMNS).map(lambda found: ",".join(f'"{name}"' for name in found)),
    st.lists(names, max_size=4).map(",".join),
)
line_ends = st.sampled_from(["\n", "\r\n", "\r", "\n\n", "\r\n\r\n", ""])
bodies = st.text(alphabet='1a,;"\n\r\t é\x00\u2028\ufeff', max_size=40)
marks = st.sampled_from(["", "", "\ufeff", "\n", "\r\n", "\n\r\n", " "])
texts = st.builds(
    lambda mark, header, end, body: f"{mark}{header}{end}{body}", marks, headers, line_ends, bodies
)
files = st.one_of(
    texts.map(str.encode),
    texts.map(lambda text: text.encode("utf-16")),
    texts.map(lambda text: text.encode("latin-1", errors="ignore")),
    st.binary(max_size=40),
)


@SETTINGS
@given(body=files)
@example(body=b"\xef\xbb\xbf")
@example(body=b"id,name,price")
@example(body=b"\r\nid,name,price\n")
def test_a_file_that_passes_is_read_with_the_same_header(body: bytes) -> None:
    result = verdict(body, "a.csv")
    if result.problem is None:
        found = header(body, "a.csv")
        assert result.header == (found or ())


dialects = st.builds(
    CsvDialect,
    delimiter=st.sampled_from(",;"),
    header_row=st.booleans(),
    preamble_lines=st.integers(0, 2),
    encoding=st.sampled_from(["utf-8", "utf-16"]),
)
preambles = st.sampled_from(["", "sep=,\n", "Title\n\n", "a\r\n", "\n", "x\ry\n", '"a"\n'])


@SETTINGS
@given(dialect=dialects, preamble=preambles, text=texts)
@example(CsvDialect(preamble_lines=1, header_row=False), "sep=,\n", '1,"\r",\n')
@example(CsvDialect(preamble_lines=1), "sep=,\n", 'id,"name",price\r\n1,"\r",\n')
@example(CsvDialect(preamble_lines=1), "a\r\n", "id,name,price\n")
def test_a_file_of_any_dialect_that_passes_is_not_refused_later(
    dialect: CsvDialect, preamble: str, text: str
) -> None:
    body = f"{preamble}{text}".encode(dialect.encoding)
    result = verdict(body, "a.csv", dialect)
    if result.problem is None:
        found = header(body, "a.csv", dialect=dialect)
        if dialect.header_row:
            assert result.header == (found or ())


@SETTINGS
@given(body=texts.map(str.encode), cut=st.integers(0, 30), parts=st.integers(1, 3))
def test_a_gzip_file_that_passes_is_read_with_the_same_header(
    body: bytes, cut: int, parts: int
) -> None:
    step = len(body) // parts + 1
    members = [gzip.compress(body[i : i + step], mtime=0) for i in range(0, len(body) or 1, step)]
    packed = b"".join(members)
    for data in (packed, packed[: len(packed) - cut]):
        result = verdict(data, "a.csv.gz")
        if result.problem is None:
            found = header(data, "a.csv.gz")
            assert result.header == (found or ())


@SETTINGS
@given(body=files)
def test_what_the_job_would_refuse_is_refused_by_raw_partition(body: bytes) -> None:
    try:
        header(body, "a.csv")
    except ValueError:
        assert verdict(body, "a.csv").problem is not None
