"""The job's own count of a large day: in segments, joined to the count of the whole file."""

from __future__ import annotations

import gzip
from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any

import pytest
from botocore.exceptions import ResponseStreamingError
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.support.fakes.s3 import FakeBucket
from tests.support.load_requests import request_json
from xacct_assets.contract.csv_count import count_records
from xacct_assets.contract.load_report import DayLoad, LoadReport
from xacct_assets.contract.load_request import LoadRequest
from xacct_assets.contract.malformed_csv import MalformedCsv
from xacct_load import own_count
from xacct_load.bad_files import count_bad_days
from xacct_load.counts import DayCounts, LoadCounts
from xacct_load.errors import LoadError
from xacct_load.own_count import OwnCount, count_uncounted, differing_days, with_own_counts
from xacct_load.source_files import SourceFile

DAYS = [date(2026, 1, 1), date(2026, 1, 2)]
OWNERS = {"raw": "111111111111"}
HEADER = b"id,name\n"


class InProcess:
    """Stands for Spark: runs the tasks here, one after the other, and counts its jobs."""

    def __init__(self) -> None:
        self.jobs: list[int] = []
        self.sparkContext = self

    def parallelize(self, items: list[Any], tasks: int) -> InProcess:
        self.jobs.append(len(items))
        self._items = items
        return self

    def map(self, function: Any) -> InProcess:
        self._found = [function(item) for item in self._items]
        return self

    def collect(self) -> list[Any]:
        return self._found


@pytest.fixture(autouse=True)
def small_segments() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(own_count, "SEGMENT_BYTES", 16)
        patch.setattr(own_count, "REQUEST_BYTES", 7)
        patch.setattr(own_count, "LINE_BYTES", 3)
        patch.setattr(own_count, "WORTH_SPLITTING_BYTES", 20)
        patch.setattr(own_count, "region_of", lambda s3, uri: "eu-west-1")
        yield


def request(**rows: int | None) -> LoadRequest:
    days = [{"day": str(day), "values": str(day).split("-"), "rows": None} for day in DAYS]
    for item, number in zip(days, rows.values(), strict=False):
        item["rows"] = number
    return LoadRequest.from_json({**request_json(), "days": days})


def count(
    bucket: FakeBucket,
    load_request: LoadRequest | None = None,
    files: Sequence[SourceFile] = (),
) -> tuple[OwnCount, Any]:
    """Every object of the bucket is a file of the first day, unless files are named."""
    spark = InProcess()
    files = files or [
        SourceFile("raw", key, len(body), DAYS[0]) for key, body in bucket.objects.items()
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(own_count, "_client", lambda region, owners: bucket.client)
        found = count_uncounted(
            *(spark, bucket.client, load_request or request(), files, OWNERS)  # type: ignore[arg-type]
        )
    return found, spark


def whole(data: bytes) -> tuple[int, bool] | str:
    try:
        counter = count_records([data])
    except MalformedCsv as problem:
        return str(problem)
    return counter.rows, counter.has_inner_line_ends


def in_segments(data: bytes) -> tuple[int, bool] | str:
    found, _ = count(FakeBucket({"a.csv": data}))
    for problem in found.bad_files.values():
        return problem
    return found.rows[DAYS[0]], len(data) >= 20 and not found.splittable_files


@settings(max_examples=400, deadline=None)
@given(body=st.text(alphabet='aaa,,""\n\n\r é', max_size=120).map(str.encode))
@example(body=b'1,"' + b"x\n" * 40 + b'"\n2,b')
@example(body=b'1,"' + b"x\n" * 40)
@example(body=b'1,"' + b'""\n,""' * 20 + b'"\n' + b"2,b\n" * 20)
@example(body=b"1,a\r\n" * 20 + b"2,b\r")
@example(body=b"x" * 100)
@example(body=b"\n" * 50)
def test_a_file_counts_in_segments_as_it_does_whole(body: bytes) -> None:
    data = HEADER + body
    expected = whole(data)
    if not isinstance(expected, str):
        expected = (expected[0], len(data) >= 20 and expected[1])
    assert in_segments(data) == expected


@settings(max_examples=100, deadline=None)
@given(body=st.binary(max_size=100))
def test_bytes_that_are_no_text_are_refused_in_segments_too(body: bytes) -> None:
    data = HEADER + body
    assert isinstance(in_segments(data), str) == isinstance(whole(data), str)


def test_every_byte_is_read_once_but_for_the_ends_of_lines() -> None:
    bucket = FakeBucket({"a.csv": HEADER + b"1,abc\n" * 50})
    found, _ = count(bucket)
    assert found.rows == {DAYS[0]: 50, DAYS[1]: 0}
    size = len(bucket.objects["a.csv"])
    read = 0
    for call in bucket.client.named("get_object"):
        start, _, stop = call["Range"].removeprefix("bytes=").partition("-")
        read += int(stop) + 1 - int(start)
    segments = size / own_count.SEGMENT_BYTES
    assert size <= read <= size + segments * (1 + 6 + own_count.LINE_BYTES)


def bad_files(files: dict[str, bytes]) -> dict[str, str]:
    found, _ = count(FakeBucket(files))
    return {file.uri: problem for file, problem in found.bad_files.items()}


def test_a_file_of_many_quoted_lines_takes_two_jobs_and_not_one_a_segment() -> None:
    record = b'1,"' + b"line, and line\n" * 30 + b'"\n'
    found, spark = count(FakeBucket({"a.csv": HEADER + record * 5}))
    assert found.rows[DAYS[0]] == 5
    assert len(spark.jobs) <= 3


def test_a_gzip_file_is_one_segment_that_is_read_to_its_end() -> None:
    packed = gzip.compress(HEADER + b"1,a\n" * 1000, mtime=0)
    found, _ = count(FakeBucket({"a.csv.gz": packed}))
    assert (found.rows[DAYS[0]], found.splittable_files) == (1000, ())
    (problem,) = bad_files({"a.csv.gz": packed[:-9]}).values()
    assert problem.startswith("its gzip content is cut off")
    (problem,) = bad_files({"a.csv.gz": packed[:-8] + b"xxxxxxxx"}).values()
    assert problem.startswith("it is damaged gzip")


def test_only_large_plain_files_without_inner_line_ends_are_splittable() -> None:
    files = {
        "small.csv": HEADER + b"1,a\n",
        "plain.csv": HEADER + b"1,a\n" * 9,
        "quoted.csv": HEADER + b'1,"a"\n' * 9,
        "inner.csv": HEADER + b"1,a\n" * 9 + b'1,"a\nb"\n',
        "last.csv": HEADER + b"1,a\n" * 9 + b'1,"a\n"',
        "header.csv": b'id,"na\nme"\n' + b"1,a\n" * 9,
        "packed.csv.gz": gzip.compress(HEADER + b"1,a\n" * 9, mtime=0),
    }
    found, _ = count(FakeBucket(files))
    assert found.splittable_files == ("s3://raw/plain.csv", "s3://raw/quoted.csv")


def test_all_files_that_cannot_be_loaded_are_named_at_once() -> None:
    files = {
        "good.csv": HEADER + b"1,a\n" * 9,
        "open.csv": HEADER + b"1,a\n" * 9 + b'2,"b\n',
        "latin.csv": HEADER + b"1,a\n" * 9 + b"2,\xe9\n",
    }
    assert bad_files(files) == {
        "s3://raw/open.csv": "the quoted field that is open at byte 46 is never closed: somewhere "
        "a quote is missing, or a quote inside a field is not doubled",
        "s3://raw/latin.csv": "it is not UTF-8: byte 46 is 0xe9 (invalid continuation byte); "
        "convert the file to UTF-8, or set the feed's source.csv.encoding to that of the file, "
        "e.g. windows-1252",
    }


def test_a_day_with_a_bad_file_has_no_count_and_the_other_days_have_theirs() -> None:
    bodies = {"1/good.csv": HEADER + b"1,a\n", "1/open.csv": HEADER + b'"b', "2.csv": HEADER * 3}
    bucket = FakeBucket(bodies)
    files = [SourceFile("raw", key, len(body), DAYS[key[0] == "2"]) for key, body in bodies.items()]
    found, _ = count(bucket, files=files)
    assert found.rows == {DAYS[1]: 2}
    assert count_bad_days(files, found.bad_files) == {
        DAYS[0]: DayCounts(
            files=2,
            problem="1 of 2 files cannot be loaded:\n- s3://raw/1/open.csv: the quoted field that "
            "is open at byte 8 is never closed: somewhere a quote is missing, or a quote inside a "
            "field is not doubled",
        )
    }


def test_a_day_of_many_bad_files_names_the_first_ten() -> None:
    files = [SourceFile("raw", f"{number}.csv", 9, DAYS[0]) for number in range(13)]
    problem = count_bad_days(files, dict.fromkeys(files[1:], "it is bad"))[DAYS[0]].problem or ""
    assert problem.splitlines()[0] == "12 of 13 files cannot be loaded:"
    assert problem.splitlines()[-1] == "- 2 more files"
    assert len(problem.splitlines()) == 12


def test_days_that_were_counted_already_are_not_read() -> None:
    bucket = FakeBucket({"a.csv": HEADER + b"1,a\n"})
    found, _ = count(bucket, request(first=1))
    assert found.rows == {DAYS[1]: 0}
    assert bucket.reads == []


def test_a_small_day_is_counted_without_a_spark_job() -> None:
    _, spark = count(FakeBucket({"a.csv": HEADER + b"1,a\n"}))
    assert spark.jobs == []
    _, spark = count(FakeBucket({"a.csv": HEADER + b"1,a\n" * 9}))
    assert spark.jobs != []


def test_a_connection_that_breaks_is_made_again_and_given_up_in_the_end() -> None:
    bucket = FakeBucket({"a.csv": HEADER + b"1,a\n" * 9})
    bucket.breaks = [(2, ResponseStreamingError(error="reset"))] * (own_count.ATTEMPTS - 1)
    assert count(bucket)[0].rows[DAYS[0]] == 9
    bucket.breaks = [(2, ResponseStreamingError(error="reset"))] * 99
    with pytest.raises(
        LoadError, match=r"a\.csv: cannot be read: .*2 read, but total bytes expected is 7"
    ):
        count(bucket)


def counts(*loaded: int) -> LoadCounts:
    return LoadCounts({day: DayCounts(1, number) for day, number in zip(DAYS, loaded, strict=True)})


def test_a_day_differs_whoever_counted_it() -> None:
    by_both = request(first=5)
    assert differing_days(by_both, counts(5, 7), OwnCount({DAYS[1]: 7}, ())) == {}
    assert differing_days(by_both, counts(4, 8), OwnCount({DAYS[1]: 7}, ())) == {
        DAYS[0]: "4 rows were read, but 5 were counted",
        DAYS[1]: "8 rows were read, but 7 were counted",
    }
    # A day with a bad file has its verdict; its rows were not counted.
    bad = LoadCounts({DAYS[0]: DayCounts(1, 5), DAYS[1]: DayCounts(1, problem="bad")})
    assert differing_days(by_both, bad, OwnCount({}, ())) == {}


def test_the_report_says_what_the_job_counted_itself() -> None:
    load = DayLoad(1, 5, 5, 0, {}, [], problem="1 of 1 files cannot be loaded")
    report = with_own_counts(
        LoadReport("w1", dict.fromkeys(DAYS, load)), OwnCount({DAYS[1]: 5}, ())
    )
    assert [each.rows_counted for each in report.days.values()] == [None, 5]
    assert LoadReport.from_json(report.to_json()) == report
