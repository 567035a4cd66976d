"""Files that cannot be loaded as a whole: their days are left as they were, others are loaded."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import date

from xacct_load.counts import DayCounts
from xacct_load.source_files import SourceFile

#: Why each of these files cannot be loaded.
BadFiles = Mapping[SourceFile, str]
#: Files of a day that its verdict names.
LISTED = 10


def count_bad_days(files: Sequence[SourceFile], bad: BadFiles) -> dict[date, DayCounts]:
    """The days that have bad files, which they name in the words of raw_partition."""
    of_day = Counter(file.day for file in files)
    lines: dict[date, list[str]] = defaultdict(list)
    for file, problem in bad.items():
        lines[file.day].append(f"- {file.uri}: {problem}")
    return {day: DayCounts(of_day[day], problem=_text(lines[day], of_day[day])) for day in lines}


def _text(lines: Sequence[str], files: int) -> str:
    more = [f"- {len(lines) - LISTED} more files"] if len(lines) > LISTED else []
    head = f"{len(lines)} of {files} files cannot be loaded:"
    return "\n".join([head, *lines[:LISTED], *more])
