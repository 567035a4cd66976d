"""Which objects the job reads, and which beginnings of files it refuses."""

from __future__ import annotations

import gzip
from dataclasses import replace
from datetime import date, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.fakes.s3 import FakeBucket
from xacct_assets.contract.fingerprint import fingerprint
from xacct_assets.contract.load_request import LoadRequest, RequestedDay
from xacct_load import headers, records, s3
from xacct_load.catalog import check_connection, find_partitions
from xacct_load.errors import LoadError
from xacct_load.source_files import SourceFile

HEADER = b"id,name,price\n"


def head(load_request: LoadRequest, data: bytes, key: str = "a.csv") -> Any:
    return headers.parse_head(data, key, True, load_request.dialect)


def test_columns_may_come_in_any_order(load_request: LoadRequest) -> None:
    assert head(load_request, b"price,id,name\n1,2,3\n") == ("price", "id", "name")


@pytest.mark.parametrize(
    ("data", "key", "message"),
    [
        (gzip.compress(HEADER, mtime=0), "a.csv", "gzip without a name ending in .gz"),
        (HEADER, "a.csv.gz", "not gzip"),
        (gzip.compress(HEADER * 9, mtime=0)[:-9], "a.csv.gz", "ends too early"),
        (gzip.compress(HEADER, mtime=0)[:10], "a.csv.gz", "ends too early"),
        (gzip.compress(HEADER, mtime=0)[:4] + b"broken gzip body", "a.csv.gz", "broken gzip"),
        ("id,naïve,price\n".encode("latin-1"), "a.csv", "not UTF-8"),
        (b"id,name,price\r1,a,2\r", "a.csv", "lone carriage return"),
        (b"\r\nid,name,price\r\n", "a.csv", "begins with an empty line"),
        (b"\n\r\nid,name,price\n", "a.csv", "begins with an empty line"),
    ],
)
def test_a_file_that_cannot_be_read_rightly_is_refused(
    load_request: LoadRequest, data: bytes, key: str, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        head(load_request, data, key)


def test_a_header_that_does_not_end_is_refused(load_request: LoadRequest) -> None:
    cut = b"x" * headers.HEAD_BYTES
    with pytest.raises(ValueError, match="header row longer than"):
        headers.parse_head(cut, "a.csv", False, load_request.dialect)


@pytest.mark.parametrize("data", [b"", b"\n\n", gzip.compress(b"", mtime=0)])
def test_a_file_without_a_row_has_no_header(load_request: LoadRequest, data: bytes) -> None:
    key = "a.csv.gz" if data[:2] == b"\x1f\x8b" else "a.csv"
    assert head(load_request, data, key) is None


def test_a_byte_order_mark_is_not_part_of_the_first_column(load_request: LoadRequest) -> None:
    assert head(load_request, b"\xef\xbb\xbf" + HEADER)[0] == "id"


def test_a_header_that_raw_partition_found_is_not_read_again_unless_a_file_was_replaced(
    load_request: LoadRequest,
) -> None:
    first, second = (item.day for item in load_request.days)
    bucket = FakeBucket({"1/a.csv": HEADER, "1/empty.csv": b"", "2/a.csv": b"name,id,price\n"})
    files = [
        SourceFile("raw", key, len(body), first if key[0] == "1" else second, bucket.etag(body))
        for key, body in bucket.objects.items()
    ]
    versions = [fingerprint(files[:2]), fingerprint([replace(files[2], etag="other")])]
    days = tuple(
        replace(item, version=version)
        for item, version in zip(load_request.days, versions, strict=True)
    )
    request = replace(load_request, days=days, header=("id", "name", "price"))
    found = headers.read_headers(bucket.client, request, files)  # type: ignore[arg-type]
    wanted = {files[0]: ("id", "name", "price"), files[2]: ("name", "id", "price")}
    assert found == (wanted, {})
    assert bucket.reads == ["2/a.csv"]
    # Without a version, or a header, every file is read.
    for unknown in (replace(request, days=load_request.days), replace(request, header=())):
        bucket.reads.clear()
        headers.read_headers(bucket.client, unknown, files)  # type: ignore[arg-type]
        assert sorted(bucket.reads) == ["1/a.csv", "2/a.csv"]


def test_each_file_whose_header_is_wrong_is_named_and_the_others_are_read(
    load_request: LoadRequest,
) -> None:
    bodies = {
        "other.csv": b"id,name\n",
        "good.csv": HEADER,
        "latin.csv": b"id,name,pr\xe9\n",
        "cut.csv.gz": gzip.compress(HEADER * 9, mtime=0)[:20],
        "empty.csv": b"",
    }
    bucket, day = FakeBucket(bodies), load_request.days[0].day
    files = [SourceFile("raw", key, len(body), day) for key, body in bodies.items()]
    found, bad = headers.read_headers(bucket.client, load_request, files)  # type: ignore[arg-type]
    assert [file.key for file in found] == ["good.csv"]
    assert {file.key: problem.partition(" (")[0] for file, problem in bad.items()} == {
        "other.csv": "its header differs from the feed's columns",
        "latin.csv": "is not UTF-8",
        "cut.csv.gz": "is a gzip file that ends too early; deliver it again",
    }


def test_glob_characters_of_a_key_are_taken_literally() -> None:
    assert records.escape_glob("s3://b/a[1]*{x}?.csv") == r"s3://b/a\[1\]\*\{x\}\?.csv"


def test_a_key_with_a_colon_and_glob_characters_is_read_alone_as_it_is() -> None:
    keys = ["a:b.csv", "[1].csv", "10:30[1].csv", "c.csv"]
    files = [SourceFile("b", key, 1, date(2026, 1, 1)) for key in keys]
    assert list(records.spark_paths(files)) == [
        (["s3://b/10:30[1].csv"], {"__globPaths__": "false"}),
        (["s3://b/a:b.csv", r"s3://b/\[1\].csv", "s3://b/c.csv"], {}),
    ]


class Catalog:
    """A catalog that knows some partitions."""

    def __init__(self, locations: dict[tuple[str, ...], str]) -> None:
        self._locations = locations

    def batch_get_partition(self, PartitionsToGet: Any, **_: Any) -> Any:
        wanted = [tuple(item["Values"]) for item in PartitionsToGet]
        return {
            "Partitions": [
                {"Values": list(v), "StorageDescriptor": {"Location": self._locations[v]}}
                for v in wanted
                if v in self._locations
            ],
            "UnprocessedKeys": [{"Values": list(v)} for v in wanted if v not in self._locations],
        }


def test_a_day_without_a_partition_is_named(load_request: LoadRequest) -> None:
    catalog = Catalog({("2026", "01", "01"): "s3://raw/products/2026/01/01"})
    with pytest.raises(LoadError, match=r"products has no partition for 2026-01-02"):
        find_partitions(catalog, load_request)


def test_of_many_days_without_a_partition_some_are_named(load_request: LoadRequest) -> None:
    days = tuple(
        RequestedDay(day, (f"{day:%Y}", f"{day:%m}", f"{day:%d}"))
        for day in (date(2024, 1, 1) + timedelta(days=number) for number in range(1000))
    )
    with pytest.raises(LoadError, match=r"2024-01-10 \(.* and 990 other days: crawl") as failure:
        find_partitions(Catalog({}), replace(load_request, days=days))
    assert len(str(failure.value)) < 1000


def test_a_day_without_rows_needs_no_partition(load_request: LoadRequest) -> None:
    first, second = load_request.days
    known = replace(load_request, days=(first, replace(second, rows=0)))
    catalog = Catalog({("2026", "01", "01"): "s3://raw/p/1"})
    assert find_partitions(catalog, known) == {"s3://raw/p/1/": date(2026, 1, 1)}


def test_two_days_in_one_folder_are_refused(load_request: LoadRequest) -> None:
    same = "s3://raw/products/2026/01/01/"
    catalog = Catalog({("2026", "01", "01"): same, ("2026", "01", "02"): same})
    with pytest.raises(LoadError, match="2026-01-01 and 2026-01-02 are both at"):
        find_partitions(catalog, load_request)


def test_each_location_has_its_day(load_request: LoadRequest) -> None:
    catalog = Catalog({("2026", "01", "01"): "s3://raw/p/1", ("2026", "01", "02"): "s3://raw/p/2/"})
    assert find_partitions(catalog, load_request) == {
        "s3://raw/p/1/": date(2026, 1, 1),
        "s3://raw/p/2/": date(2026, 1, 2),
    }


class Connections:
    def get_connection(self, **_: Any) -> Any:
        url = "jdbc:redshift://host:5439/other?ssl=true"
        return {"Connection": {"ConnectionProperties": {"JDBC_CONNECTION_URL": url}}}


def test_a_connection_to_another_database_is_refused(load_request: LoadRequest) -> None:
    with pytest.raises(LoadError, match=r"xacct-redshift leads to database 'other'"):
        check_connection(Connections(), load_request)


def test_a_bare_denial_of_s3_is_described_with_caller_and_action(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    me = "arn:aws:sts::222222222222:assumed-role/xacct-glue-x/GlueJobRunnerSession"
    identity = SimpleNamespace(get_caller_identity=lambda: {"Arn": me})
    monkeypatch.setattr(s3.boto3, "client", lambda service, region_name: identity)
    client = SimpleNamespace(meta=SimpleNamespace(region_name="us-east-1"))
    refusal = ClientError(
        {"Error": {"Code": "AccessDenied", "Message": "Access Denied"}}, "GetObject"
    )
    assert s3.denial(client, refusal, "s3:GetObject", "arn:aws:s3:::raw/k").startswith(
        f"User: {me} is not authorized to perform: s3:GetObject on resource: arn:aws:s3:::raw/k"
    )
    gone = ClientError({"Error": {"Code": "NoSuchKey"}}, "GetObject")
    assert s3.denial(client, gone, "s3:GetObject", "arn:aws:s3:::raw/k") is None
