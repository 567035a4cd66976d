"""Settles which rows are loaded and which are rejected, and counts them.

A first look over all rows counts the good ones and those of each problem by file, and finds hashes
of keys that more than one row has. Keys are compared for the few rows with such a hash only.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from pyspark import StorageLevel
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from xacct_assets.contract.load_request import LoadRequest
from xacct_load.bad_files import count_bad_days
from xacct_load.counts import DayCounts, LoadCounts
from xacct_load.errors import LoadError
from xacct_load.records import SURPLUS_FIELDS, source_file, split_files, uri_of
from xacct_load.source_files import SourceFile
from xacct_load.sql_texts import sql_text
from xacct_load.validation import (
    HEADER_AGAIN,
    NO_TEXT,
    OTHER_HEADER,
    compared_key,
    kinds,
    shown_sql,
)

#: Rows that this process looks at by itself: another plan takes Spark longer.
FEW_ROWS = 10_000
#: Numbers that are put into a plan.
FEW_NUMBERS = 10_000
#: Numbers that every worker is sent.
BROADCAST_NUMBERS = 1_000_000
#: Where many rows are cached. Not in memory: reading back what did not fit takes the memory that
#: the plan needs.
KEPT = StorageLevel.DISK_ONLY
#: Characters of a record in an error message.
SHOWN_CHARACTERS = 200
#: Columns that say where a row is.
_PLACE = ("file_path", "block", "id", "day")


@dataclass(frozen=True)
class Verdicts:
    """The rows of a load.

    Attributes:
        good: to be loaded; columns file_path, block, id, day, and values (a struct of texts in the
            feed's order).
        rejected: columns file_path, block, id, day, raw_record and reason.
    """

    good: DataFrame
    rejected: DataFrame

    def without_days(self, days: Collection[date]) -> Verdicts:
        """The same without the rows of some days."""
        is_left = ~F.col("day").isin([str(day) for day in days])
        return Verdicts(self.good.where(is_left), self.rejected.where(is_left))


@dataclass
class FileRows:
    """Rows of a file by the number of their problem (None: good).

    Attributes:
        counts: of each problem.
        first: the least id of each problem in the first part of the file.
    """

    counts: Counter[int | None] = field(default_factory=Counter)
    first: dict[int | None, int] = field(default_factory=dict)

    def add(self, problem: int | None, count: int, first: int | None) -> None:
        """Count rows of a problem."""
        self.counts[problem] += count
        if first is not None:
            self.first[problem] = min(first, self.first.get(problem, first))


#: The rows of each file by its URI.
Found = Mapping[str, FileRows]
#: Numbers: themselves, if they are few, or a frame of one column.
Numbers = DataFrame | list[int]


@dataclass
class Duplicates:
    """The good rows that are not the first of their key within a day (by object key, then by row).

    Attributes:
        by_day: how many.
        ids: of all.
    """

    by_day: Mapping[str, int] = field(default_factory=dict)
    ids: Numbers = field(default_factory=list)


def settle(
    rows: DataFrame, request: LoadRequest, files: Sequence[SourceFile], expected: int
) -> tuple[Verdicts, LoadCounts]:
    """Decide over all rows, and count them by day and kind.

    A file of which rows follow a second header in another order, so that their fields cannot be
    told, or of which the text of a record is not known, is the problem of its day.

    Args:
        rows: as of `validate`. They are cached.
        request: of the load.
        files: of the requested days.
        expected: how many rows were counted.

    Raises:
        LoadError: rows come from a file outside the partitions' locations, or the first row of a
            file that was read split is not its header.
    """
    if expected <= FEW_ROWS:
        rows = rows.persist()
        found, duplicates = _look_at_few(rows, request)
    else:
        rows = rows.persist(KEPT)
        found, duplicates = _look_at_many(rows, request)
    headers = _take_headers(found, request, files)
    counts = _count(found, request, files)
    judged = _reject(duplicates, rows, request, counts) if duplicates.by_day else rows
    for day in counts.days.values():
        day.reasons = dict(sorted(day.reasons.items()))
    counts.days |= count_bad_days(files, _bad_files(found, rows, request, files))
    names = ", ".join(map(sql_text, kinds(request)))
    return (
        Verdicts(
            good=judged.where("problem IS NULL").select(*_PLACE, "values"),
            rejected=judged.where(
                f"problem IS NOT NULL AND NOT {_is_one_of('id', headers)}"
            ).selectExpr(*_PLACE, "raw_record", f"ARRAY({names})[problem] AS kind", "shown"),
        ),
        counts,
    )


def _look_at_few(rows: DataFrame, request: LoadRequest) -> tuple[Found, Duplicates]:
    """Count the rows and find duplicates in this process. Fills the cache of ``rows``."""
    found: defaultdict[str, FileRows] = defaultdict(FileRows)
    by_day: Counter[str] = Counter()
    ids, keys = [], set()
    looked_at = rows.select("file_path", "block", "id", "problem", "day", *compared_key(request))
    # As Spark does, the bytes of names are compared.
    located = [(uri_of(path).encode(), *row) for path, *row in looked_at.collect()]
    for uri, block, number, problem, day, *key in sorted(located, key=lambda row: row[:3]):
        found[uri.decode()].add(problem, 1, None if block else number)
        if key and problem is None:
            if (day, *key) in keys:
                by_day[day] += 1
                ids.append(number)
            keys.add((day, *key))
    return found, Duplicates(by_day, ids)


def _look_at_many(rows: DataFrame, request: LoadRequest) -> tuple[Found, Duplicates]:
    """Let Spark count the rows and find duplicates. Fills the cache of ``rows``."""
    found: defaultdict[str, FileRows] = defaultdict(FileRows)
    first = F.min(F.when(F.col("block") == 0, F.col("id")))
    for path, problem, count, number in (
        rows.groupBy("file_path", "problem").agg(F.count("*"), first).collect()
    ):
        found[uri_of(path)].add(problem, count, number)
    if not request.key:
        return found, Duplicates()
    hashes = rows.where("key_hash IS NOT NULL").groupBy("key_hash").count()
    repeated = hashes.where("count > 1").select("key_hash")
    few = repeated.limit(FEW_NUMBERS + 1).collect()
    if not few:
        return found, Duplicates()
    if len(few) <= FEW_NUMBERS:
        candidates = rows.where(_is_one_of("key_hash", [number for (number,) in few]))
    else:
        candidates = rows.join(_sent(repeated.persist(KEPT)), "key_hash", "left_semi")
    return found, _find_duplicates(candidates, request)


def _sent(frame: DataFrame) -> DataFrame:
    """The frame, sent to all workers when it is joined if it is not too large."""
    return F.broadcast(frame) if frame.count() <= BROADCAST_NUMBERS else frame


def _is_one_of(column: str, numbers: Sequence[int]) -> str:
    """SQL that is true if the column is one of the numbers."""
    return f"{column} IN ({', '.join(map(str, numbers))})" if numbers else "FALSE"


def _take_headers(found: Found, request: LoadRequest, files: Sequence[SourceFile]) -> list[int]:
    """The id of the first row of each file that was read split, which is not counted."""
    if not request.dialect.header_row:
        return []
    ids, header = [], kinds(request).index(HEADER_AGAIN) if len(request.columns) > 1 else None
    for file in split_files(request, [file for file in files if file.size]):
        rows = found.get(file.uri, FileRows())
        first = min(rows.first, key=lambda problem: rows.first[problem], default=None)
        if first is None or first != header:
            raise LoadError(
                f"{file.uri}: its first row is not its header any more: the file was replaced "
                "while it was read; materialize the day again"
            )
        ids.append(rows.first[first])
        rows.counts[first] -= 1
    return ids


def _count(found: Found, request: LoadRequest, files: Sequence[SourceFile]) -> LoadCounts:
    """Files and rows of each day and kind, but for duplicates."""
    counts = LoadCounts({item.day: DayCounts() for item in request.days})
    days = {file.uri: counts.days[file.day] for file in files}
    names = kinds(request)
    for file in files:
        days[file.uri].files += 1
    for uri, of_file in found.items():
        if uri not in days:
            raise LoadError(
                f"{of_file.counts.total()} rows were read from {uri}, outside the partitions' "
                "locations; an object key may be written in a way this script does not expect"
            )
        day = days[uri]
        for problem, count in of_file.counts.items():
            if problem is None:
                day.loaded += count
            elif count:
                day.reasons[names[problem]] = day.reasons.get(names[problem], 0) + count
    return counts


def _bad_files(
    found: Found, rows: DataFrame, request: LoadRequest, files: Sequence[SourceFile]
) -> dict[SourceFile, str]:
    """The files with a row of a kind that stops their load."""
    names, columns = kinds(request), len(request.columns)
    other, bad = dict[str, str](), dict[SourceFile, str]()
    stops = {number for number, kind in enumerate(names) if kind in (OTHER_HEADER, NO_TEXT)}
    for file in files:
        stopped = stops & found[file.uri].counts.keys() if file.uri in found else set()
        if not stopped:
            continue
        if names[min(stopped)] == NO_TEXT:
            bad[file] = (
                f"holds a record of {columns + SURPLUS_FIELDS} fields, and the feed has {columns} "
                "columns: remove the record"
            )
            continue
        other = other or _first_records(rows, min(stopped))
        bad[file] = (
            "holds a second header row, in another order than the first "
            f"({other[file.uri][:SHOWN_CHARACTERS]}): several files were put together; deliver "
            "them one by one"
        )
    return bad


def _first_records(rows: DataFrame, problem: int) -> dict[str, str]:
    """A record with this problem of each file that has one, by URI."""
    found = rows.where(f"problem = {problem}").select("raw_record", source_file())
    records = found.groupBy("source_file").agg(F.min("raw_record")).collect()
    return {uri: record for uri, record in records}  # noqa: C416 -- of rows


def _find_duplicates(candidates: DataFrame, request: LoadRequest) -> Duplicates:
    """The duplicates among good rows."""
    key = [f"k{number}" for number in range(len(request.key))]
    compared = [column.alias(k) for column, k in zip(compared_key(request), key, strict=True)]
    order = Window.partitionBy("day", *key).orderBy("source_file", "block", "id")
    found = (
        candidates.select("day", source_file(), "block", "id", *compared)
        .withColumn("occurrence", F.row_number().over(order))
        .where("occurrence > 1")
        .select("id", "day")
    )
    few = found.limit(FEW_NUMBERS + 1).collect()
    if len(few) <= FEW_NUMBERS:
        return Duplicates(Counter(day for _, day in few), [number for number, _ in few])
    found = found.persist(KEPT)
    by_day = {day: count for day, count in found.groupBy("day").count().collect()}  # noqa: C416
    return Duplicates(by_day, _sent(found.select("id")))


def _reject(
    duplicates: Duplicates, rows: DataFrame, request: LoadRequest, counts: LoadCounts
) -> DataFrame:
    """The rows with duplicates as a problem; they are counted as rejected."""
    if isinstance(duplicates.ids, list):
        marked = rows.withColumn("again", F.expr(_is_one_of("id", duplicates.ids)))
    else:
        marked = rows.join(duplicates.ids.withColumn("again", F.lit(True)), "id", "left")
    kind = kinds(request)[-1]
    for day, count in duplicates.by_day.items():
        of_day = counts.days[date.fromisoformat(day)]
        of_day.loaded -= count
        of_day.reasons[kind] = count
    columns = {column.name: column for column in request.columns}
    key = ", ".join(shown_sql(columns[name], f"values.`{name}`") for name in request.key)
    return marked.selectExpr(
        *(*_PLACE, "raw_record", "values"),
        f"CASE WHEN again THEN {len(kinds(request)) - 1} ELSE problem END AS problem",
        f"CASE WHEN again THEN CONCAT_WS(', ', {key}) ELSE shown END AS shown",
    )
