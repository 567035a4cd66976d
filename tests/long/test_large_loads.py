"""A load of many days, files, headers and columns: nothing grows that has a limit.

Spark plans recursively: an expression or a plan that is nested once per day, file or column ends in
a StackOverflowError. (More of everything, through Dagster: `tests/long/test_large_range.py`.)
"""

from __future__ import annotations

import itertools
import re
import sys
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from tests.support.load_job import Column, LoadJob
from tests.support.load_requests import request_json
from tests.support.local_spark import local_spark
from tests.support.project import ROOT
from tests.support.sandbox import RunningSandbox
from xacct_assets.contract.load_request import LoadRequest

if str(ROOT / "glue") not in sys.path:
    sys.path.append(str(ROOT / "glue"))

from xacct_load.own_count import SEGMENT_BYTES
from xacct_load.records import read_records
from xacct_load.source_files import SourceFile
from xacct_load.validation import validate

YEAR = [str(date(2028, 1, 1) + timedelta(days=number)) for number in range(366)]
# A minute if the machine has nothing else to do.
SECONDS = 900

pytestmark = pytest.mark.timeout(SECONDS + 300)

# Every type, a hundred columns in all: the type, a value of it, and what is none.
TYPES = [
    ("bigint", "9223372036854775807", "x"),
    ("integer", "-5", "2147483648"),
    ("smallint", "7", "40000"),
    ("decimal(18,4)", "12.3400", "1.23456"),
    ("double precision", "1e300", "NaN"),
    ("real", "0.5", "."),
    ("boolean", "yes", "maybe"),
    ("date", "2028-02-29", "2027-02-29"),
    ("timestamp", "2028-02-29T10:00:00", "now"),
    ("varchar(20)", "text", "more than twenty bytes"),
]
COLUMNS: list[Column] = [
    ("id", "bigint", False),
    *((f"c{number}", TYPES[number % 10][0], True) for number in range(99)),
]


def wide_file(*wrong: int) -> str:
    """A row of a hundred values, and for each of these columns a row in which it is wrong."""
    good = [TYPES[number % 10][1] for number in range(99)]
    lines = [[name for name, _, _ in COLUMNS], ["0", *good]]
    for column in wrong:
        lines.append([str(1 + column), *good])
        lines[-1][1 + column] = TYPES[column % 10][2]
    return "\n".join(",".join(line) for line in lines)


def test_a_year_of_days_with_a_hundred_columns_is_one_load(sandbox: RunningSandbox) -> None:
    job = LoadJob(sandbox, "load_year", COLUMNS)
    with job.tables(YEAR):
        job.put_all({(day, "a.csv"): wide_file() for day in YEAR})
        job.put(YEAR[-1], "b.csv", wide_file(*range(99)).replace("\n0,", "\n1000,"))
        run, report = job.run(YEAR, seconds=SECONDS)
        assert run["JobRunState"] == "SUCCEEDED", run.get("ErrorMessage")
        assert list(report) == YEAR
        reasons = report[YEAR[-1]]["reasons"]
        assert len(reasons) == 99
        assert reasons["c98: not a timestamp"] == 1
        per_day = "SELECT COUNT(*), COUNT(DISTINCT partition_date) FROM public.load_year"
        assert job.query(per_day) == [(367, 366)]
        assert job.load_audit() == [*((day, 1) for day in YEAR[:-1]), (YEAR[-1], 2)]


def test_a_load_does_not_grow_with_the_headers_of_its_files(sandbox: RunningSandbox) -> None:
    """Each file has its columns in another order, and a key that Spark must read alone."""
    names = ["id", "a", "b", "c", "d"]
    columns: list[Column] = [(name, "varchar(9)", name != "id") for name in names]
    orders = list(itertools.permutations(names))
    job = LoadJob(sandbox, "load_orders", columns)
    with job.tables(YEAR[:1]):
        job.put_all(
            {
                (YEAR[0], f"10:30[{number}].csv" if number % 4 == 0 else f"{number}.csv"): (
                    f"{','.join(order)}\n{','.join(f'{name}{number}' for name in order)}\n"
                )
                for number, order in enumerate(orders)
            }
        )
        run, _ = job.run(YEAR[:1], seconds=SECONDS)
        assert run["JobRunState"] == "SUCCEEDED", run.get("ErrorMessage")
        rows = job.query("SELECT id, a, b, c, d FROM public.load_orders")
        assert sorted(rows) == sorted(
            tuple(f"{name}{number}" for name in names) for number in range(len(orders))
        )


def requested(day: str, rows: int | None) -> dict[str, Any]:
    return {"day": day, "values": day.split("-"), "rows": rows}


def test_a_large_file_is_counted_in_segments_and_a_day_that_differs_is_left_as_it_was(
    sandbox: RunningSandbox,
) -> None:
    """Nearly all of the file is inside quoted fields, and so is the start of its second segment."""
    large, other = YEAR[:2]
    columns: list[Column] = [("id", "bigint", False), ("note", "varchar(65535)", True)]
    rows = SEGMENT_BYTES // 7000 + 500
    note = "line, and\n" * 700
    job = LoadJob(sandbox, "load_counted", columns)
    with job.tables([large, other]):
        job.put(other, "a.csv", "id,note\n1,a\n2,b\n")
        run, _ = job.run([other], request={"days": [requested(other, 2)]})
        assert run["JobRunState"] == "SUCCEEDED", run.get("ErrorMessage")
        job.put(other, "a.csv", "id,note\n1,a\n2,b\n3,c\n")
        text = "".join(f'{number},"{note}{number}"\n' for number in range(rows))
        job.put(large, "a.csv", f"id,note\n{text}")
        days = [requested(large, None), requested(other, 4)]
        run, report = job.run([large, other], seconds=SECONDS, request={"days": days})
        assert run["JobRunState"] == "SUCCEEDED", run.get("ErrorMessage")
        assert report[large]["rows_counted"] == report[large]["rows_loaded"] == rows
        assert (report[other].get("rows_counted"), report[other]["rows_read"]) == (None, 3)
        assert job.load_audit() == [(large, rows), (other, 2)]
        per_day = (
            "SELECT COUNT(*) FROM public.load_counted GROUP BY partition_date "
            "ORDER BY partition_date"
        )
        assert job.query(per_day) == [(rows,), (2,)]


# -- the plan ------------------------------------------------------------------------------------


class LocalFile(SourceFile):
    """A file of this machine: Spark looks for it when it makes a plan."""

    @property
    def uri(self) -> str:
        return f"file://{self.key}"


@pytest.fixture(scope="module")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """Spark in this process, for plans that are made and not executed."""
    folder = tmp_path_factory.mktemp("spark")
    with local_spark(folder, cores=1, debug__maxToStringFields=100_000) as session:
        yield session


def plan_of(spark: SparkSession, folder: Path, columns: int, days: int, files: int) -> str:
    """The optimized plan of a load, each file with its columns in another order."""
    names = [column for column, _, _ in COLUMNS[:columns]]
    headers = {}
    for number, day in itertools.product(range(files), range(days)):
        path = folder / f"{day}-{number}.csv"
        path.write_text("x\n")
        turn = (number + day) % columns
        file = LocalFile("", str(path), 2, date(2028, 1, 1) + timedelta(days=day))
        headers[file] = (*names[turn:], *names[:turn])
    request = LoadRequest.from_json(
        {
            **request_json(),
            "columns": [
                {"name": name, "type": kind, "nullable": nullable}
                for name, kind, nullable in COLUMNS[:columns]
            ],
        }
    )
    frame: Any = validate(read_records(spark, request, headers), request)
    return str(frame._jdf.queryExecution().optimizedPlan().treeString())


def depth(plan: str) -> int:
    """How deep its operators and expressions are nested."""
    level = deepest = 0
    for mark in re.findall(r"[(\[]|[)\]]|\bCASE\b|\bEND\b", re.sub(r"\[\{.*?\}\]", "", plan)):
        level += 1 if mark in ("(", "[", "CASE") else -1
        deepest = max(deepest, level)
    return deepest + len(re.findall(r"(?m)^[ :+-]*[A-Z]", plan))


def test_the_plan_is_as_deep_for_many_days_files_and_columns_as_for_few(
    spark: SparkSession, tmp_path: Path
) -> None:
    few = depth(plan_of(spark, tmp_path, columns=10, days=1, files=2))
    assert depth(plan_of(spark, tmp_path, columns=10, days=40, files=20)) == few
    assert depth(plan_of(spark, tmp_path, columns=100, days=1, files=2)) == few
