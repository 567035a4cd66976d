"""A file read split gives the same rows and rejects as the same file read whole: what was written.

In Spark in this process, without a sandbox. Splits are so small that records of every shape lie
across their edges.
"""

from __future__ import annotations

import random
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from tests.support.load_requests import request_json
from tests.support.local_spark import local_spark
from tests.support.project import ROOT
from xacct_assets.contract.load_request import LoadRequest

if str(ROOT / "glue") not in sys.path:
    sys.path.append(str(ROOT / "glue"))

from xacct_load import validation, verdicts
from xacct_load.errors import LoadError
from xacct_load.records import read_records
from xacct_load.settings import SETTINGS
from xacct_load.source_files import SourceFile
from xacct_load.validation import validate
from xacct_load.verdicts import settle

SPLIT_BYTES = 1024
FILES = 20
NAMES = ("code", "name", "note")
COLUMNS = [
    ("code", "varchar(40)", False),
    ("name", "varchar(20)", True),
    ("note", "varchar(20)", True),
]
# What decides where fields and records end, and what readers like to take for nothing.
ALPHABET = 'ab  ,,""\r;\t\x0b\x0c\x1c\x85\u2028é\ufeff\\#'
AFTER_QUOTE = "text after a closing quote (a quote inside a quoted field must be doubled)"
BACKSLASH_QUOTE = (
    "a quote behind a backslash, as MySQL writes it (double it instead: in MySQL, FIELDS ESCAPED "
    "BY '\"')"
)
DUPLICATE = "code: duplicate key (trailing blanks do not count, as in Redshift)"
DAY = date(2031, 6, 1)

Row = tuple[str | None, ...]

# A minute if the machine has nothing else to do.
pytestmark = pytest.mark.timeout(1200)


class LocalFile(SourceFile):
    """A file of this machine."""

    @property
    def uri(self) -> str:
        return f"file:{self.key}"


@dataclass
class Written:
    """A file, the rows that must be loaded of it, and the records that must be rejected."""

    header: tuple[str, ...]
    text: str
    rows: list[Row]
    rejects: list[tuple[str, str]]
    breaks: bool


@dataclass
class Outcome:
    """By file name, in the order of positions: rows, and (record, kind) of rejects."""

    rows: dict[str, list[Row]]
    rejects: dict[str, list[tuple[str, str]]]
    counted: tuple[int, int]


@pytest.fixture(scope="module")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    with local_spark(
        tmp_path_factory.mktemp("spark"),
        cores=2,
        shuffle__partitions=2,
        files__openCostInBytes=1,
        files__maxPartitionBytes=SPLIT_BYTES,
    ) as session:
        yield session


def field(random_: random.Random, value: str | None) -> str:
    """A value as a field: quoted where it must be, and sometimes where it need not be."""
    if value is None:
        return ""
    must = not value or value[0] == '"' or any(mark in value for mark in ",\r\n")
    if must or random_.random() < 0.3:
        return '"' + value.replace('"', '""') + '"'
    return value


def written(random_: random.Random, number: int) -> Written:
    """A file of random records; one in five is rejected, for each kind of reason."""
    header = tuple(random_.sample(NAMES, 3))
    end, breaks = random_.choice(["\n", "\r\n"]), number % 4 == 3
    alphabet = ALPHABET + ("\n\n" if breaks else "")
    file = Written(header, random_.choice(["", "\ufeff"]) + ",".join(header) + end, [], [], breaks)
    for row in range(random_.randrange(200)):
        values: dict[str, str | None] = {
            name: random_.choice([None, "", "".join(random_.choices(alphabet, k=5))])
            for name in NAMES
        }
        values["code"] = f"{'' if values['code'] is None else values['code']}{number}-{row}"
        fields = [field(random_, values[name]) for name in header]
        kind = random_.randrange(25)
        record, reason = ",".join(fields), ""
        if kind == 0:
            record, reason = f"{record},", "wrong number of fields"
        elif kind == 1:
            record, reason = f"{fields[0]},{fields[1]}", "wrong number of fields"
        elif kind == 2:
            behind = random_.choice("x \t") + "y"
            record = ",".join([f'"a"{behind}', *fields[1:]])
            reason = BACKSLASH_QUOTE if re.search(r'\\"[^",]', record) else AFTER_QUOTE
        elif kind == 3:
            record, reason = ",".join(header), "the header row again"
        elif kind == 4:
            values["note"] = "é" * 11
            record = ",".join(field(random_, values[name]) for name in header)
            reason = "note: longer than 20 bytes"
        elif kind == 5 and file.rows:
            values["code"] = f"{file.rows[0][0]}  "
            record = ",".join(field(random_, values[name]) for name in header)
            reason = DUPLICATE
        if reason:
            file.rejects.append((record, reason))
        else:
            file.rows.append(tuple(values[name] for name in NAMES))
        file.text += record + end + random_.choice(["", "", "", end])
    return file


def read(
    spark: SparkSession,
    folder: Path,
    files: dict[str, Written],
    split: Sequence[str],
    *,
    few: bool = False,
    **more: Any,
) -> Outcome:
    """Read, validate and count as the job does, these files split; as few rows or as many."""
    headers = {}
    for name, file in files.items():
        path = folder / name
        path.write_bytes(file.text.encode())
        headers[LocalFile("", str(path), path.stat().st_size, DAY)] = file.header
    request = LoadRequest.from_json(
        {
            **request_json(),
            "days": [{"day": str(DAY), "values": ["2031", "06", "01"]}],
            "columns": [{"name": n, "type": t, "nullable": u} for n, t, u in COLUMNS],
            "key": ["code"],
            **more,
        }
    )
    object.__setattr__(request, "splittable_files", tuple(f"file:{folder / n}" for n in split))
    try:
        rows = validate(read_records(spark, request, headers), request)
        settled, counts = settle(rows, request, list(headers), 0 if few else 10**9)
        outcome = Outcome({n: [] for n in files}, {n: [] for n in files}, (0, 0))
        for row in settled.good.orderBy("file_path", "block", "id").collect():
            name = row["file_path"].rpartition("/")[2]
            outcome.rows[name].append(tuple(row["values"]))
        for row in settled.rejected.orderBy("file_path", "block", "id").collect():
            name = row["file_path"].rpartition("/")[2]
            outcome.rejects[name].append((row["raw_record"], row["kind"]))
        outcome.counted = (counts.loaded, counts.rejected)
        return outcome
    finally:
        spark.catalog.clearCache()


def test_what_was_written_is_what_is_loaded_and_rejected_split_and_whole(
    spark: SparkSession, tmp_path: Path
) -> None:
    random_ = random.Random(20310601)
    files = {f"{number:03}.csv": written(random_, number) for number in range(FILES)}
    splittable = [name for name, file in files.items() if not file.breaks]
    assert sum(len(files[name].text.encode()) > 2 * SPLIT_BYTES for name in splittable) > 5
    for split, few in (([], True), (splittable, False)):
        outcome = read(spark, tmp_path, files, split, few=few)
        for name, file in files.items():
            assert outcome.rows[name] == file.rows, (name, bool(split))
            assert outcome.rejects[name] == file.rejects, (name, bool(split))
        assert outcome.counted == (
            sum(len(file.rows) for file in files.values()),
            sum(len(file.rejects) for file in files.values()),
        )


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_record_may_begin_and_end_at_any_byte_of_a_split(
    spark: SparkSession, tmp_path: Path, end: str
) -> None:
    """A first record of every length moves quotes, delimiters and line ends over the edge."""
    files = {}
    for shift in range(16):
        rows: list[Row] = [(f"{shift:02}" + "x" * shift, "a", "b")]
        rows += [(f"{shift:02}-{row:02}", 'q"u', ",é") for row in range(80)]
        lines = [",".join(NAMES), f"{rows[0][0]},a,b"]
        lines += [f'{row[0]},"q""u",",é"' for row in rows[1:]]
        text = end.join(lines) + (end if shift % 2 else "")
        files[f"{shift:02}.csv"] = Written(NAMES, text, rows, [], breaks=False)
    outcome = read(spark, tmp_path, files, list(files))
    assert outcome.rows == {name: file.rows for name, file in files.items()}
    assert not any(outcome.rejects.values())


def test_a_file_that_is_replaced_by_one_with_line_breaks_in_quotes_loads_no_half_record(
    spark: SparkSession, tmp_path: Path
) -> None:
    """The count proved another file. (The numbers of rows differ too, and stop the day.)"""
    text = 'code,name,note\n1,a,b\n2,"x\ny",z\n3,c,"d\ne"\n4,e,f\n'
    files = {"a.csv": Written(NAMES, text, [], [], breaks=False)}
    outcome = read(spark, tmp_path, files, ["a.csv"])
    assert outcome.rows["a.csv"] == [("1", "a", "b"), ("4", "e", "f")]
    assert [record for record, _ in outcome.rejects["a.csv"]] == ['2,"x', 'y",z', '3,c,"d', 'e"']


def test_a_split_file_whose_first_row_is_no_header_is_refused(
    spark: SparkSession, tmp_path: Path
) -> None:
    files = {"a.csv": Written(NAMES, "1,a,b\n2,c,d\n", [], [], breaks=False)}
    with pytest.raises(LoadError, match=r"a\.csv: its first row is not its header any more"):
        read(spark, tmp_path, files, ["a.csv"])


def test_one_key_in_every_row_leaves_one_row(spark: SparkSession, tmp_path: Path) -> None:
    rows = 20_000
    text = "code,name,note\n" + "".join(f"same{' ' * (n % 3)},{n},x\n" for n in range(rows))
    spark.conf.set("spark.sql.files.maxPartitionBytes", "100000")
    try:
        files = {"a.csv": Written(NAMES, text, [], [], breaks=False)}
        outcome = read(spark, tmp_path, files, ["a.csv"])
    finally:
        spark.conf.set("spark.sql.files.maxPartitionBytes", str(SPLIT_BYTES))
    assert outcome.rows["a.csv"] == [("same", "0", "x")]
    assert outcome.counted == (1, rows - 1)


def test_a_key_with_a_hash_of_another_key_is_no_duplicate_of_it(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hashes say which keys to compare, not which are equal."""
    monkeypatch.setattr(validation, "_key_hash", lambda _: "CAST(1 AS BIGINT)")
    text = "code,name,note\n" + "".join(f"{n % 90},{n},x\n" for n in range(100))
    files = {"a.csv": Written(NAMES, text, [], [], breaks=False)}
    outcome = read(spark, tmp_path, files, ["a.csv"])
    assert outcome.rows["a.csv"] == [(str(n), str(n), "x") for n in range(90)]
    assert outcome.rejects["a.csv"] == [(f"{n % 90},{n},x", DUPLICATE) for n in range(90, 100)]


@pytest.mark.parametrize("limit", ["FEW_NUMBERS", "BROADCAST_NUMBERS"])
def test_more_duplicates_than_a_plan_or_a_worker_can_hold_are_rejected_alike(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    monkeypatch.setattr(verdicts, "FEW_NUMBERS", 5)
    monkeypatch.setattr(verdicts, limit, 5)
    text = "code,name,note\n" + "".join(f"{n % 20},{n},x\n" for n in range(50))
    files = {"a.csv": Written(NAMES, text, [], [], breaks=False)}
    outcome = read(spark, tmp_path, files, ["a.csv"])
    assert outcome.rows["a.csv"] == [(str(n), str(n), "x") for n in range(20)]
    assert outcome.rejects["a.csv"] == [(f"{n % 20},{n},x", DUPLICATE) for n in range(20, 50)]
    assert outcome.counted == (20, 30)


def test_a_text_that_begins_with_quotes_is_no_text_behind_a_quote(
    spark: SparkSession, tmp_path: Path
) -> None:
    text = 'code,name,note\n1,"""q"" x",""""\n"2" ,a,b\n3,"",a"b\n\ufeff4,"a","b"x\n5,a,\n'
    files = {"a.csv": Written(NAMES, text, [], [], breaks=False)}
    for split in ([], ["a.csv"]):
        outcome = read(spark, tmp_path, files, split)
        assert outcome.rows["a.csv"] == [
            ("1", '"q" x', '"'),
            ("3", "", 'a"b'),
            ("5", "a", None),
        ]
        assert outcome.rejects["a.csv"] == [
            ('"2" ,a,b', AFTER_QUOTE),
            ('\ufeff4,"a","b"x', AFTER_QUOTE),
        ]


@pytest.mark.parametrize(("delimiter", "quote"), [("|", "^"), ("$", "\\"), (".", "*"), ("]", "-")])
def test_marks_that_mean_something_in_patterns_are_taken_as_they_are(
    spark: SparkSession, tmp_path: Path, delimiter: str, quote: str
) -> None:
    lines = ["code,name,note", "1,a,b", '2,"c,d",', '"3",,""', "4,x", '5,"""","e""f"', '6,a"b,c']
    text = "\n".join(lines).replace('"', quote).replace(",", delimiter)
    files = {"a.csv": Written(NAMES, text, [], [], breaks=False)}
    source = {**request_json()["source"], "delimiter": delimiter, "quote": quote, "escape": quote}
    for split in ([], ["a.csv"]):
        outcome = read(spark, tmp_path, files, split, few=True, source=source)
        assert outcome.rows["a.csv"] == [
            ("1", "a", "b"),
            ("2", f"c{delimiter}d", None),
            ("3", None, ""),
            ("5", quote, f"e{quote}f"),
            ("6", f"a{quote}b", "c"),
        ]
        assert outcome.rejects["a.csv"] == [(f"4{delimiter}x", "wrong number of fields")]


def test_a_text_of_any_number_of_quotes_is_read(spark: SparkSession, tmp_path: Path) -> None:
    """Java's patterns answer with a StackOverflowError where they go back for each of them."""
    quotes = '"' * 20_000
    row = (quotes, "a", None)
    text = f'code,name,note\n"{quotes * 2}",a,\n"{quotes},b,\n'
    files = {"a.csv": Written(NAMES, text, [], [], breaks=False)}
    columns = [{"name": n, "type": "varchar(65535)", "nullable": n != "code"} for n in NAMES]
    outcome = read(spark, tmp_path, files, ["a.csv"], few=True, columns=columns)
    assert outcome.rows["a.csv"] == [row]
    assert outcome.rejects["a.csv"] == [(f'"{quotes},b,', AFTER_QUOTE)]


@pytest.mark.parametrize("columns", [9, 100])
def test_every_method_that_spark_generates_for_a_feed_is_short_enough_for_java_to_compile(
    spark: SparkSession, tmp_path: Path, columns: int
) -> None:
    """HotSpot interprets methods above 8,000 bytes. Spark counts the bytes of all it generates."""
    kinds = [
        *("bigint", "varchar(40)", "decimal(12,2)", "timestamp", "date", "double precision"),
        *("boolean", "integer", "real", "smallint"),
    ]
    names = [f"c{number:03}" for number in range(columns)]
    good = ["{n}", "text {n}", "{n}.50", "2031-01-01 00:00:00", "2031-01-01", "1e3", "t", "{n}"]
    good += ["1.5", "7"]
    lines = [",".join(good[n % 10].format(n=row) for n in range(columns)) for row in range(50)]
    text = "\n".join([",".join(names), *lines, "x" + lines[0], lines[0], lines[0] + ",", ""])
    feed = [
        {"name": name, "type": kinds[n % 10], "nullable": n > 0} for n, name in enumerate(names)
    ]
    files = {"a.csv": Written(tuple(names), text, [], [], breaks=False)}
    sizes = spark._jvm.org.apache.spark.metrics.source.CodegenMetrics  # type: ignore[union-attr]
    spark.conf.set("spark.sql.codegen.wholeStage", "false")
    for name, value in SETTINGS.items():
        spark.conf.set(name, value)
    try:
        for split in ([], ["a.csv"]):
            outcome = read(spark, tmp_path, files, split, columns=feed, key=[names[0]])
            assert outcome.counted == (50, 3)
    finally:
        spark.conf.set("spark.sql.codegen.wholeStage", "true")
    assert sizes.METRIC_GENERATED_METHOD_BYTECODE_SIZE().getSnapshot().getMax() <= 8000
