"""How fast raw_partition counts a file's records, in one process and in several.

Beside Python's csv module and pyarrow's CSV reader, which both read every value, and neither of
which gives the same verdicts on malformed files.
"""

from __future__ import annotations

import csv
import io
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime
from statistics import median

import pyarrow
from pyarrow import csv as arrow_csv

from benchmarks import report
from benchmarks.own_sandbox import Progress
from xacct_assets.aws.s3.file_inspection import RawObject, inspect_content
from xacct_assets.aws.s3.inspection_process import inspect_in_process
from xacct_assets.contract.csv_count import count_records
from xacct_assets.contract.csv_dialect import CsvDialect
from xacct_assets.contract.gzip_stream import CHUNK
from xacct_assets.contract.headers import FileColumns
from xacct_sandbox.sample_data import COLUMNS, ProductFile

MEGABYTES = 32
REPEATS = 5
FILES = 8
#: Of each of the eight files.
FILE_MEGABYTES = 192


@dataclass(frozen=True)
class Speed:
    """Megabytes a second of one kind of text."""

    name: str
    ours: float
    module: float
    arrow: float


def main() -> int:
    """Measure, and write the section; a minute."""
    say = Progress()
    texts = dict(_texts())
    speeds = [_speed(name, text, say) for name, text in texts.items()]
    body = texts["products, as the sandbox generates them"]
    one, several = _files(body, inspect_content), _files(body, inspect_in_process)
    for wall, processor in (one, several):
        say(f"{FILES} files: {wall:.1f} s, {processor:.1f} s of processor")
    report.write_section("counting", _section(speeds, one, several))
    say(f"{report.REPORT.name} is written")
    return 0


def _texts() -> Iterator[tuple[str, bytes]]:
    """Kinds of CSV text, each `MEGABYTES` large and made of whole records."""
    products = b"".join(ProductFile(1, date(2026, 3, 1), 20_000).chunks())
    header, _, body = products.partition(b"\n")
    rows = list(csv.reader(io.StringIO(body.decode(), newline="")))
    plain = "".join(",".join(field.replace('"', "") for field in _flat(row)) + "\n" for row in rows)
    quoted = io.StringIO(newline="")
    csv.writer(quoted, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows(rows)
    odd = "".join(f'{number},5" pipe,1.50,text of a field\n' for number in range(20_000))
    for name, text in (
        ("plain: no quotes", plain.encode("ascii", "ignore")),
        ("plain, other than ASCII characters", plain.encode()),
        ("products, as the sandbox generates them", body),
        ("every field in quotes", quoted.getvalue().encode()),
        ("a quote inside a field of each row (read field by field)", odd.encode()),
    ):
        yield name, header + b"\n" + text * (MEGABYTES * 1_000_000 // len(text))


def _flat(row: list[str]) -> list[str]:
    return [field.replace(",", " ").replace("\n", " ").replace("\r", " ") for field in row]


def _speed(name: str, text: bytes, say: Progress) -> Speed:
    def ours() -> int:
        return count_records(_chunks(text)).rows

    def module() -> int:
        lines = io.TextIOWrapper(io.BytesIO(text), encoding="utf-8", newline="")
        return sum(1 for row in csv.reader(lines) if row)

    def arrow() -> int:
        parse = arrow_csv.ParseOptions(
            newlines_in_values=True, invalid_row_handler=lambda row: "skip"
        )
        read = arrow_csv.ReadOptions(use_threads=False)
        reader = arrow_csv.open_csv(pyarrow.BufferReader(text), read, parse)
        return sum(batch.num_rows for batch in reader)

    found = Speed(name, *(_megabytes_a_second(len(text), each) for each in (ours, module, arrow)))
    say(f"{name}: {found.ours:.0f} MB/s; csv {found.module:.0f}, pyarrow {found.arrow:.0f}")
    return found


def _chunks(text: bytes) -> Iterator[bytes]:
    for start in range(0, len(text), CHUNK):
        yield text[start : start + CHUNK]


def _megabytes_a_second(size: int, work: Callable[[], int]) -> float:
    seconds = []
    for _ in range(REPEATS):
        began = time.process_time()
        work()
        seconds.append(time.process_time() - began)
    return size / 1e6 / median(seconds)


def _files(text: bytes, inspect: Callable[..., object]) -> tuple[float, float]:
    """Wall and processor seconds of eight files, of this process and its children."""
    repeats = FILE_MEGABYTES // MEGABYTES
    size = len(text) * repeats
    item = RawObject("a.csv", size, "e", datetime.now(UTC))

    def body() -> Iterator[bytes]:
        for _ in range(repeats):
            # The header again is a row; what matters here is the time.
            yield from _chunks(text)

    def one(_: int) -> object:
        return inspect(item, body(), CsvDialect(), FileColumns(tuple(COLUMNS)))

    began, before = time.perf_counter(), os.times()
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(one, range(FILES)))
    wall, after = time.perf_counter() - began, os.times()
    return wall, sum(after[:4]) - sum(before[:4])


def _section(speeds: list[Speed], one: tuple[float, float], several: tuple[float, float]) -> str:
    total = FILES * FILE_MEGABYTES
    parts = [
        "## Counting records (`make bench BENCH=counting`)",
        report.circumstances(("pyarrow",)),
        f"Megabytes a second of one core, medians of {REPEATS} runs over {MEGABYTES} MB in memory. "
        "The csv module and pyarrow (one thread, rows of a wrong width skipped) read every value; "
        "neither gives the verdicts that raw_partition needs.",
        report.table(
            ("text", "ours", "csv module", "pyarrow"),
            [
                [each.name, f"{each.ours:.0f}", f"{each.module:.0f}", f"{each.arrow:.0f}"]
                for each in speeds
            ],
        ),
        f"{FILES} files of {FILE_MEGABYTES} MB, four at a time, from memory: in the threads of one "
        f"process {one[0]:.1f} s ({total / one[0]:.0f} MB/s, {one[1] / one[0]:.1f} cores busy); in "
        f"a process for each, as raw_partition does, {several[0]:.1f} s "
        f"({total / several[0]:.0f} MB/s, {several[1] / several[0]:.1f} cores busy).",
    ]
    return "\n\n".join(report.wrapped(part) for part in parts)
