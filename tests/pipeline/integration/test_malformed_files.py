"""Malformed files get a verdict and stop their day only; odd but right ones load whole.

One run over a range: each day carries something else. A second run after the bad days were fixed,
and after a good day got a bad file on top of what was loaded.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import re
import time
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.pipeline import CHAIN, Pipeline, Reconciliation, Run

if TYPE_CHECKING:
    from mypy_boto3_s3.literals import StorageClassType

COLUMNS = ["id", "name", "category", "brand", "price", "currency", "stock", "description"]
COLUMNS.append("updated_at")
FIRST = date(2026, 3, 1)


def record(number: int) -> list[str]:
    text = f'"A ""fine"" thing, {number}: café 😀\nand a second line"'
    return [
        str(number),
        f"Näme {number}",
        "Toys",
        '""',
        "1.50",
        "EUR",
        "",
        text,
        "2026-01-31T08:00",
    ]


def fact_row(number: int) -> dict[str, Any]:
    """What must become of the record."""
    return {
        "id": number,
        "name": f"Näme {number}",
        "category": "Toys",
        "brand": "",
        "price": Decimal("1.50"),
        "currency": "EUR",
        "stock": None,
        "description": f'A "fine" thing, {number}: café 😀\nand a second line',
        "updated_at": datetime(2026, 1, 31, 8),
    }


def csv(
    numbers: Iterable[int], *, columns: list[str] = COLUMNS, sep: str = ",", end: str = "\n"
) -> bytes:
    """Records with these columns, in this order; a column that is not the feed's holds an x."""
    lines = [columns]
    for number in numbers:
        fields = dict(zip(COLUMNS, record(number), strict=True))
        lines.append([fields.get(name, "x") for name in columns])
    return "".join(sep.join(line) + end for line in lines).encode()


GOOD = csv(range(1, 4))
LONG = gzip.compress(csv(range(2000)), mtime=0)


# -- what lands ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Malformed:
    """A file that cannot be right: what is wrong and what to do, in the words of its verdict."""

    name: str
    body: bytes
    reason: str
    fix: str
    beside: bytes | None = None
    storage_class: StorageClassType = "STANDARD"


def archive_of(*names: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(name, GOOD)
    return buffer.getvalue()


MALFORMED = {
    "wrong delimiter": Malformed(
        "semicolons.csv",
        csv(range(1, 4), sep=";"),
        "separated by a semicolon (';'), while the feed says ','",
        "write the file with ','",
    ),
    "missing column": Malformed(
        "short.csv",
        csv(range(1, 4), columns=[name for name in COLUMNS if name != "price"]),
        "missing 'price'",
        "correct the file, or the feed's columns",
    ),
    "extra column": Malformed(
        "long.csv",
        csv(range(1, 4), columns=[*COLUMNS, "colour"]),
        "not of the feed 'colour'",
        "correct the file, or the feed's columns",
    ),
    "not UTF-8": Malformed(
        "latin.csv",
        GOOD.decode().replace("😀", "!").encode("latin-1"),
        "is 0xe4 (invalid continuation byte)",
        "convert the file to UTF-8",
    ),
    "UTF-16": Malformed(
        "wide.csv", GOOD.decode().encode("utf-16"), "it is UTF-16", "convert it to UTF-8"
    ),
    "gzip under a .csv name": Malformed(
        "zipped.csv",
        gzip.compress(GOOD, mtime=0),
        "its content is gzip but its name does not end in .gz",
        "rename it to *.csv.gz",
    ),
    "zip under a .csv name": Malformed(
        "zip.csv", archive_of("a.csv"), "it is a zip archive, not CSV", "upload the file inside it"
    ),
    "Excel under a .csv name": Malformed(
        "sheet.csv",
        archive_of("[Content_Types].xml", "xl/workbook.xml"),
        "it is an Excel workbook, not CSV",
        "export it as CSV",
    ),
    "XML under a .csv name": Malformed(
        "feed.csv", b'<?xml version="1.0"?><products/>', "it is XML, not CSV", "export it as CSV"
    ),
    "Avro under a .csv name": Malformed(
        "avro.csv", b"Obj\x01\x04\x14avro.codec", "it is Avro, not CSV", "export it as CSV"
    ),
    "archived": Malformed(
        "archived.csv",
        GOOD,
        "archived in GLACIER",
        "restore it as account 111111111111, `aws s3api restore-object",
        storage_class="GLACIER",
    ),
    "archived beside a good one": Malformed(
        "b.csv",
        csv(range(4, 7)),
        "archived in DEEP_ARCHIVE",
        "then materialize the day again",
        GOOD,
        "DEEP_ARCHIVE",
    ),
    "text under a .gz name": Malformed(
        "plain.csv.gz",
        GOOD,
        "its name ends in .gz but its content is not gzip",
        "compress it, or rename it to *.csv",
    ),
    "gzip cut off": Malformed(
        "cut.csv.gz", LONG[: len(LONG) // 2], "its gzip content is cut off", "upload it again"
    ),
    "gzip damaged": Malformed(
        "damaged.csv.gz",
        LONG[:5000] + b"\xff" * 64 + LONG[5064:],
        "it is damaged gzip (near byte",
        "upload it again",
    ),
    "line break in its key": Malformed(
        "two\nlines.csv", GOOD, "its key holds a control character", "copy it to a key without"
    ),
    "unterminated quote": Malformed(
        "open.csv",
        GOOD + b'9,"Never closed,Toys,,1,EUR,,,2026-01-31T08:00\n',
        "is never closed",
        "a quote is missing, or a quote inside a field is not doubled",
    ),
    "one bad file among good ones": Malformed(
        "b.csv", csv([7], sep="\t"), "separated by a tab ('\\t')", "write the file with ','", GOOD
    ),
}
EMPTY = {
    "header only": ("only-header.csv", csv([]), "a header and no rows"),
    "zero bytes": ("nothing.csv", b"", "zero bytes"),
}

# All of these in one day, each with three records of its own.
WELL_FORMED = {
    "CRLF": ("crlf.csv", lambda ids: csv(ids, end="\r\n").replace(b"\r\nand", b"\nand")),
    "byte order mark": ("bom.csv", lambda ids: b"\xef\xbb\xbf" + csv(ids)),
    "other order": ("order.csv", lambda ids: csv(ids, columns=sorted(COLUMNS))),
    "gzip": ("a.csv.gz", lambda ids: gzip.compress(csv(ids))),
    "gzip of several members": (
        "members.csv.gz",
        lambda ids: gzip.compress(csv(ids)[:90]) + gzip.compress(csv(ids)[90:]),
    ),
    "no line end at the end": ("open-end.csv", lambda ids: csv(ids).rstrip(b"\n")),
    "empty lines": ("gaps.csv", lambda ids: csv(ids).replace(b"08:00\n", b"08:00\n\n")),
    **{
        f"key {name!r}": (name, csv)
        for name in (
            " a b .csv",
            "100%25+2B.csv",
            'it\'s "quoted", yes.csv',
            "café-日本-😀.csv",
            "[a]{b}*?\\.csv",
            "10:30:00[1].csv",
            "a=1&b;c#d|f<g>~!$.csv",
            "back\\slash at 10:30.csv",
            "back\\slash at 10:30[*].csv",
            "%2F+%2B%%.csv",
            "a..b.csv",
            "Ame\N{LATIN SMALL LETTER E WITH ACUTE}lie.csv",
            "Ame\N{LATIN SMALL LETTER E}\N{COMBINING ACUTE ACCENT}lie.csv",
            "x" * 251 + ".csv",
        )
    },
}
IDS = {name: range(10 * n, 10 * n + 3) for n, name in enumerate(WELL_FORMED, 1)}

# In folders below the day's, whatever they are called; S3 walks no path.
IGNORED = ("nested/folder/too-deep.csv", "../up.csv", "/slash.csv", "./dot.csv", "slash.csv/")

DAYS = {
    name: str(FIRST + timedelta(days=n))
    for n, name in enumerate([*MALFORMED, "plain", *EMPTY, "duplicates", "well-formed"])
}
LAST = DAYS["well-formed"]
BAD_DAYS = [DAYS[name] for name in MALFORMED]
GOOD_DAYS = [day for day in DAYS.values() if day not in BAD_DAYS]


# -- the first run -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Outcome:
    """A run over all days, and what was found afterwards."""

    run: Run
    reconciled: Reconciliation

    def verdict(self, day: str) -> str:
        """What the run says of a bad day."""
        message = self.run.failures["raw_partition_every_partition_materialized"]
        by_day = re.split(r"(?m)^- (\d{4}-\d\d-\d\d): ", message)
        return dict(zip(by_day[1::2], by_day[2::2], strict=True))[day]


@pytest.fixture(scope="module")
def first(pipeline: Pipeline) -> Outcome:
    """All the days landed, then one run over them."""
    for name, file in MALFORMED.items():
        pipeline.put(DAYS[name], file.body, file.name, file.storage_class)
        if file.beside is not None:
            pipeline.put(DAYS[name], file.beside, "a.csv")
    for name, (key, body, _) in EMPTY.items():
        pipeline.put(DAYS[name], body, key)
    for name, (key, write) in WELL_FORMED.items():
        pipeline.put(DAYS["well-formed"], write(IDS[name]), key)
    for name in IGNORED:
        pipeline.put(DAYS["well-formed"], GOOD, name)
    pipeline.put(DAYS["duplicates"], csv(range(1, 61)), "a.csv")
    pipeline.put(DAYS["duplicates"], csv([60, 61]).replace("Näme 60".encode(), b"Again"), "b.csv")
    pipeline.put(DAYS["plain"], GOOD)
    run = pipeline.run(str(FIRST), LAST)
    return Outcome(run, pipeline.reconcile(f"{FIRST}...{LAST}"))


@pytest.mark.parametrize("name", MALFORMED)
def test_the_verdict_names_the_file_the_reason_and_the_fix(name: str, first: Outcome) -> None:
    file, verdict = MALFORMED[name], first.verdict(DAYS[name])
    shown = file.name.replace("\n", "\\n")
    uri = f"s3://sample-inp-bucket-etl-local/products/{DAYS[name].replace('-', '/')}/{shown}"
    for part in (f"1 of {1 + (file.beside is not None)} files", uri, file.reason, file.fix):
        assert part in verdict


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_day_is_stopped_before_anything_is_touched(
    name: str, first: Outcome, pipeline: Pipeline
) -> None:
    day = DAYS[name]
    row = first.reconciled.rows[day]
    assert (row["staged_rows"], row["fact_rows"], row["rejected_rows"]) == (0, 0, None)
    assert row["exported_rows"] is None
    assert not row["ok"]
    assert MALFORMED[name].reason in first.reconciled.problems(day)
    assert pipeline.exported(day) == {}
    there = pipeline.sandbox.client("account-a-admin", "s3").head_object(
        Bucket="sample-inp-bucket-etl-local",
        Key=f"products/{day.replace('-', '/')}/{MALFORMED[name].name}",
    )
    digest = hashlib.md5(MALFORMED[name].body, usedforsecurity=False).hexdigest()
    assert there["ETag"] == f'"{digest}"'


def test_the_other_days_of_the_same_run_go_through_all_five_assets(first: Outcome) -> None:
    for asset in CHAIN:
        assert first.run.materialized_days(asset) == GOOD_DAYS, first.run.why
    for day in GOOD_DAYS:
        assert first.reconciled.rows[day]["ok"], first.reconciled.problems(day)
    assert first.reconciled.exit_code != 0
    assert not first.run.success


@pytest.mark.parametrize("name", EMPTY)
def test_a_file_without_rows_is_no_error_but_is_pointed_out(name: str, first: Outcome) -> None:
    key, _, note = EMPTY[name]
    day = DAYS[name]
    (empty_file,) = first.run.metadata("raw_partition", day)["xacct/empty_files"]
    assert empty_file.endswith(f"/{key}: {note}")
    assert first.run.check_descriptions("files_have_rows")[day] == "1 of 1 files hold no rows"
    assert first.reconciled.rows[day]["fact_rows"] == 0


@pytest.mark.parametrize("name", WELL_FORMED)
def test_what_is_odd_but_right_is_loaded_value_by_value(
    name: str, first: Outcome, pipeline: Pipeline
) -> None:
    rows = {row["id"]: row for row in pipeline.fact_rows(DAYS["well-formed"])}
    assert [rows.get(number) for number in IDS[name]] == [fact_row(n) for n in IDS[name]]


def test_a_file_in_a_folder_below_is_left_out_and_pointed_out(
    first: Outcome, pipeline: Pipeline
) -> None:
    day = DAYS["well-formed"]
    unmatched = first.run.metadata("raw_partition", day)["files that no pattern matches"]
    # A key that ends in a slash is a folder to every tool, and no file.
    assert unmatched == sorted(name for name in IGNORED if not name.endswith("/"))
    assert len(pipeline.fact_rows(day)) == 3 * len(WELL_FORMED)


def test_of_a_doubled_key_the_first_row_is_kept_and_the_second_set_aside(
    first: Outcome, pipeline: Pipeline
) -> None:
    day = DAYS["duplicates"]
    assert pipeline.fact_rows(day) == [fact_row(number) for number in range(1, 62)]
    metadata = first.run.metadata("staging_table", day)
    assert metadata["reasons"] == {"id: duplicate key": 1}
    (reject,) = [sample.data for sample in metadata["sample of rejects"].records]
    assert reject["source_file"].endswith("/b.csv")
    assert reject["reason"] == "id: duplicate key: 60"
    assert "Again" in reject["raw_record"]


# -- corrected, and broken again -----------------------------------------------------------------


def wait_until_readable(pipeline: Pipeline, key: str) -> None:
    s3 = pipeline.sandbox.client("account-a-admin", "s3")
    deadline = time.monotonic() + 30
    while (
        'ongoing-request="true"'
        in s3.head_object(Bucket="sample-inp-bucket-etl-local", Key=key)["Restore"]
    ):
        assert time.monotonic() < deadline
        time.sleep(0.2)


@pytest.fixture(scope="module")
def second(first: Outcome, pipeline: Pipeline) -> Outcome:
    """A second run, after the bad days were corrected and one loaded day was made bad."""
    s3 = pipeline.sandbox.client("account-a-admin", "s3")
    for name, file in MALFORMED.items():
        folder = f"products/{DAYS[name].replace('-', '/')}/"
        if name == "archived":
            request = {"Days": 7, "GlacierJobParameters": {"Tier": "Standard"}}
            s3.restore_object(
                Bucket="sample-inp-bucket-etl-local",
                Key=folder + file.name,
                RestoreRequest=request,
            )
            continue
        s3.delete_object(Bucket="sample-inp-bucket-etl-local", Key=folder + file.name)
        pipeline.put(DAYS[name], GOOD, "delivered-again.csv")
        if file.beside is not None:
            s3.delete_object(Bucket="sample-inp-bucket-etl-local", Key=folder + "a.csv")
    pipeline.put(DAYS["plain"], csv([99], sep="|"), "late.csv")
    wait_until_readable(pipeline, f"products/{DAYS['archived'].replace('-', '/')}/archived.csv")
    run = pipeline.run(str(FIRST), DAYS["plain"])
    return Outcome(run, pipeline.reconcile(f"{FIRST}...{DAYS['plain']}"))


def test_a_mended_day_is_as_if_it_had_never_been_bad(second: Outcome, pipeline: Pipeline) -> None:
    for day in BAD_DAYS:
        assert second.reconciled.rows[day]["ok"], second.reconciled.problems(day)
        assert pipeline.fact_rows(day) == [fact_row(number) for number in range(1, 4)]


def test_the_catalog_forgets_the_columns_of_the_files_that_were_replaced(
    first: Outcome, second: Outcome
) -> None:
    verdicts = second.run.check_descriptions("schema_matches_feed")
    descriptions = {day: verdicts[day] for day in BAD_DAYS}
    # A column that is empty everywhere is text to a crawler; of names nothing is left to say.
    types = "stock: integer in the feed, string in the files"
    assert set(descriptions.values()) <= {"the catalog has the feed's columns", types}
    repairs = second.run.metadata("catalog_table", DAYS["extra column"])["repaired after the crawl"]
    assert repairs == "updated to the feed's columns: colour is in no file"


def test_a_bad_file_that_joins_a_loaded_day_takes_nothing_away(
    second: Outcome, pipeline: Pipeline
) -> None:
    day = DAYS["plain"]
    (verdict,) = [text for name, text in second.run.failures.items() if "raw_partition" in name]
    assert "late.csv: its fields seem to be separated by a pipe" in verdict
    for asset in CHAIN:
        assert second.run.materialized_days(asset) == BAD_DAYS
    assert pipeline.fact_rows(day) == [fact_row(number) for number in range(1, 4)]
    assert "manifest" in pipeline.exported(day)
    row = second.reconciled.rows[day]
    assert (row["fact_rows"], row["exported_rows"], row["manifest"]) == (3, 3, "whole")
    assert not row["ok"]
