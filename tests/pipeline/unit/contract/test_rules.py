"""The rules that orchestrator and job script share: files, headers, days, owners, conflicts."""

from __future__ import annotations

from datetime import date

import pytest

from xacct_assets.contract.bucket_owners import format_owners, parse_owners
from xacct_assets.contract.column_types import ColumnType
from xacct_assets.contract.conflicts import is_conflict, retry_transaction
from xacct_assets.contract.csv_dialect import CsvDialect
from xacct_assets.contract.days import DayFolders, DayLayout, day_prefix, day_values
from xacct_assets.contract.file_patterns import FilePatterns
from xacct_assets.contract.headers import FileColumns
from xacct_assets.contract.load_report import DayLoad, LoadReport
from xacct_assets.contract.reject_manifest import RejectManifest

DAY = date(2026, 1, 2)
COLUMNS = ["id", "name", "price"]
FILE_COLUMNS = FileColumns(tuple(COLUMNS))
OWNERS = "raw=111111111111,working=222222222222"


def is_data(key: str, *patterns: str) -> bool:
    return FilePatterns(patterns or ("*.csv", "*.csv.gz")).is_data_file(key)


@pytest.mark.parametrize("key", ["a.csv", "a.csv.gz", "a b+%20[1].csv", "ü😀.csv"])
def test_keys_that_match_the_pattern_are_data(key: str) -> None:
    assert is_data(key)


@pytest.mark.parametrize(
    "key", ["", "_SUCCESS", "_a.csv", ".a.csv", "a.CSV", "readme.txt", "sub/a.csv", "sub/"]
)
def test_hidden_keys_folders_below_and_other_names_are_not(key: str) -> None:
    assert not is_data(key)


def test_a_pattern_may_name_levels() -> None:
    assert is_data("part/a.csv", "*/*.csv")
    assert not is_data("a.csv", "*/*.csv")


@pytest.mark.parametrize(
    "key", ["A.CSV", "a.CSV.gz", "sub/a.csv", "readme.txt", "../a.csv", "/a.csv", "a.csv "]
)
def test_a_visible_key_that_no_pattern_matches_is_unmatched(key: str) -> None:
    rule = FilePatterns(["*.csv", "*.csv.gz"], "done")
    assert rule.is_unmatched(key)
    assert not rule.is_data_file(key)


@pytest.mark.parametrize(
    "key", ["a.csv", "done", "_SUCCESS", ".a.CSV", "_tmp/a.csv", "x/.spark/a.csv", "sub/", ""]
)
def test_data_files_the_marker_and_hidden_keys_are_not_unmatched(key: str) -> None:
    assert not FilePatterns(["*.csv", "*.csv.gz"], "done").is_unmatched(key)


@pytest.mark.parametrize("header", [COLUMNS, ["price", "id", "name"]])
def test_columns_may_come_in_any_order(header: list[str]) -> None:
    assert FILE_COLUMNS.problem(header, CsvDialect()) is None


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (["id", "name"], "missing 'price'"),
        (["id", "name", "price", "x"], "not of the feed 'x'"),
        (["id;name;price"], "separated by a semicolon (';'), while the feed says ','"),
        (["a;b"], "missing 'id', 'name', 'price'; not of the feed 'a;b'"),
        (["id", "id", "name", "price"], "repeated 'id'"),
        (["ID", "name", "price"], "missing 'id'; not of the feed 'ID'; names must be equal"),
    ],
)
def test_a_header_that_differs_from_the_columns_is_described(
    header: list[str], message: str
) -> None:
    assert message in (FILE_COLUMNS.problem(header, CsvDialect()) or "")


@pytest.mark.parametrize(
    ("layout", "prefix"),
    [
        (DayLayout.PLAIN, "products/2026/01/02/"),
        (DayLayout.KEY_VALUE, "products/year=2026/month=01/day=02/"),
    ],
)
def test_both_layouts_end_in_a_slash_and_have_the_same_values(
    layout: DayLayout, prefix: str
) -> None:
    assert day_prefix("products", layout, DAY) == prefix
    assert day_values(DAY) == ["2026", "01", "02"]


@pytest.mark.parametrize("layout", list(DayLayout))
def test_a_key_is_mapped_to_its_day(layout: DayLayout) -> None:
    folders = DayFolders("in/1234/11/22.x", layout)
    assert folders.day_of(folders.prefix(DAY) + "a/b.csv") == DAY
    assert folders.day_of(folders.prefix(DAY)) == DAY


@pytest.mark.parametrize(
    "key",
    [
        "products/2026/02/30/a.csv",
        "products/2026/2/3/a.csv",
        "products/2026/02/03",
        "productsX2026/02/03/a.csv",
        "x/products/2026/02/03/a.csv",
        "products/year=2026/month=02/day=03/a.csv",
        "products/0000/01/01/a.csv",
    ],
)
def test_a_key_that_is_in_no_days_folder_has_no_day(key: str) -> None:
    assert DayFolders("products", DayLayout.PLAIN).day_of(key) is None


def test_bucket_owners_are_read_as_they_were_written() -> None:
    owners = {"raw": "111111111111", "working": "222222222222"}
    assert format_owners(owners) == OWNERS
    assert parse_owners(OWNERS) == owners


@pytest.mark.parametrize(
    "text", ["", "raw", "raw=", "raw=1", "=111111111111", f"{OWNERS},", "a=b=c"]
)
def test_owners_that_cannot_be_read_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="--bucket_owners") as caught:
        parse_owners(text)
    assert repr(text) in str(caught.value)


def test_a_report_is_read_as_it_was_sent() -> None:
    sample = [{"source_file": "f", "reason": "id: missing", "raw_record": ",a"}]
    report = LoadReport("w-1", {DAY: DayLoad(2, 6, 5, 1, {"id: missing": 1}, sample)})
    assert LoadReport.from_json(report.to_json()) == report
    assert LoadReport.find([{"load_id": "w-0", "days": {}}, report.to_json()], "w-1") == report
    assert LoadReport.find([report.to_json()], "w-0") is None


def test_a_reject_manifest_is_read_as_it_was_written() -> None:
    manifest = RejectManifest("products", DAY, "w-1", 2, {"id: missing": 2}, [("k", 2)])
    assert RejectManifest.from_json(manifest.to_json()) == manifest


@pytest.mark.parametrize(
    "text",
    [
        "ERROR: 1023\n  Detail: Serializable isolation violation on table - 100",
        "could not serialize access due to concurrent update",
        "deadlock detected",
    ],
)
def test_a_transaction_that_meets_another_is_run_again(text: str) -> None:
    outcomes, attempts, slept = [RuntimeError(text), RuntimeError(text), None], [], []

    def run(attempt: int) -> str:
        attempts.append(attempt)
        if outcome := outcomes.pop(0):
            raise outcome
        return "done"

    assert retry_transaction(run, lambda e: is_conflict(str(e)), sleep=slept.append) == "done"
    assert attempts == [1, 2, 3]
    assert len(slept) == 2


@pytest.mark.parametrize(
    ("text", "attempts"), [("ERROR: 1023", 6), ("permission denied for table products", 1)]
)
def test_a_transaction_fails_with_the_databases_message_in_the_end(
    text: str, attempts: int
) -> None:
    tries = []

    def run(attempt: int) -> None:
        tries.append(attempt)
        raise RuntimeError(text)

    with pytest.raises(RuntimeError, match=text):
        retry_transaction(run, lambda e: is_conflict(str(e)), sleep=lambda _seconds: None)
    assert len(tries) == attempts


def test_pauses_grow_to_their_bound() -> None:
    slept: list[float] = []

    def run(_attempt: int) -> None:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        retry_transaction(
            run, lambda _: True, attempts=9, first_pause=1.0, longest_pause=4.0, sleep=slept.append
        )
    assert all(pause <= bound for pause, bound in zip(slept, [1, 2, *[4.0] * 6], strict=True))


@pytest.mark.parametrize(
    ("column", "value", "holds"),
    [
        ("bigint", "integer", True),
        ("integer", "bigint", False),
        ("double precision", "real", True),
        ("real", "integer", False),
        ("varchar(64)", "varchar(32)", True),
        ("varchar(32)", "varchar(64)", False),
        ("char(4)", "varchar(4)", False),
        ("decimal(14,2)", "decimal(12,2)", True),
        ("decimal(14,4)", "decimal(12,2)", False),
        ("decimal(12,2)", "decimal(14,2)", False),
        ("timestamptz", "timestamp", False),
        ("date", "date", True),
    ],
)
def test_a_column_holds_a_type_if_it_holds_each_of_its_values_unchanged(
    column: str, value: str, holds: bool
) -> None:
    assert ColumnType.parse(column).holds(ColumnType.parse(value)) is holds
