"""Dates and times in texts: which formats fit all texts of a column.

``03/04/2026`` fits two. All formats are kept until a value of the column, or of another column of
the file, leaves one; if none does, a person is asked.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from xacct_assets.contract.column_types import ColumnType
from xacct_assets.contract.value_formats import MomentFormat

_DATE = re.compile(
    r"(?P<a>\d{1,4}|[A-Za-z]{3})(?P<s1>[-/. ]|年)(?P<b>\d{1,2}|[A-Za-z]{3})(?P<s2>[-/.]|, | |月)"
    r"(?P<c>\d{1,4})(?P<s3>日?)(?P<rest>.*)",
    re.ASCII,
)
_COMPACT = re.compile(r"\d{8}", re.ASCII)
_TIME = re.compile(
    r"(?P<lead>[T ]|, |)(?P<hour>\d{1,2})(?P<s1>[:.])\d{2}(?:(?P<s2>[:.])\d{2}"
    r"(?:(?P<s3>[.,])\d{1,6})?)?(?P<am> ?[AaPp][Mm])?(?P<tz> ?(?:Z|[+-]\d{2}:?\d{2}))?",
    re.ASCII,
)
#: As the load job accepts them without a format (`glue/xacct_load/column_sql.py`).
_ISO_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_ISO_TIMESTAMP = re.compile(
    r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(?::\d{2}(?:[.]\d{1,6})?)?(?P<zone>Z|[+-]\d{2}:\d{2})?",
    re.ASCII,
)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_ORDERS: Mapping[tuple[str, ...], str] = {
    ("YYYY", "MM", "DD"): "ymd",
    ("YY", "MM", "DD"): "ymd",
    ("DD", "MM", "YYYY"): "dmy",
    ("DD", "MM", "YY"): "dmy",
    ("MM", "DD", "YYYY"): "mdy",
    ("MM", "DD", "YY"): "mdy",
}


@dataclass(frozen=True)
class MomentReading:
    """One way to read all texts of a column as dates or times.

    Attributes:
        type: date, time, timestamp or timestamptz.
        format: of the column; None if the texts are written as SQL writes them.
        order: ``dmy``, ``mdy`` or ``ymd``, if the month is a number; else None.
        separator: between the parts of the date.
        values: the moments, in the order of the texts.
    """

    type: str
    format: str | None
    order: str | None
    separator: str
    values: tuple[datetime, ...]

    @property
    def years(self) -> tuple[int, int]:
        """The first and the last year."""
        years = [value.year for value in self.values]
        return min(years), max(years)


def readings(texts: Sequence[str]) -> list[MomentReading]:
    """All ways to read the texts; none if a text is no date or time.

    Two orders of day and month are two ways even if the texts are the same days in both
    (``01/01/2026``): tomorrow's will not be.

    Args:
        texts: of a column, each once, without outer blanks.
    """
    if iso := _iso(texts):
        return [iso]
    found = []
    for kind, pattern, order, separator in _formats(texts[0]):
        values = _values(texts, kind, pattern)
        if values is not None:
            found.append(MomentReading(kind, pattern, order, separator, values))
    return found


def _iso(texts: Sequence[str]) -> MomentReading | None:
    if not _ISO_DATE.match(texts[0]):
        return None
    matches = [_ISO_TIMESTAMP.fullmatch(text) for text in texts]
    kind = "date" if all(_ISO_DATE.fullmatch(text) for text in texts) else "timestamp"
    if kind == "timestamp":
        zones = {bool(match and match["zone"]) for match in matches}
        if not all(matches) or len(zones) > 1:
            return None
        if True in zones:
            kind = "timestamptz"
    try:
        values = tuple(datetime.fromisoformat(text).replace(tzinfo=None) for text in texts)
    except ValueError:
        return None
    return MomentReading(kind, None, "ymd", "-", values)


def _formats(text: str) -> Iterator[tuple[str, str, str | None, str]]:
    """Formats that may fit a text: type, format, order of the date, separator."""
    if _COMPACT.fullmatch(text):
        for compact, order in (("YYYYMMDD", "ymd"), ("DDMMYYYY", "dmy"), ("MMDDYYYY", "mdy")):
            yield "date", compact, order, ""
        return
    match = _TIME.fullmatch(text)
    if match and match["lead"] == "" and match["s1"] == ":":  # 31.12.26 is no time
        if not match["tz"]:
            yield "time", _time_format(match), None, ""
        return
    date = _DATE.fullmatch(text)
    if date is None:
        return
    time = _TIME.fullmatch(date["rest"])
    if date["rest"] and (time is None or not time["lead"]):
        return
    kind = "date" if time is None else "timestamptz" if time["tz"] else "timestamp"
    for tokens in _tokens(date["a"], date["b"], date["c"]):
        a, b, c = tokens
        text = f"{a}{date['s1']}{b}{date['s2']}{c}{date['s3']}"
        if time is not None:
            text += _time_format(time)
        yield kind, text, _ORDERS.get(tokens), date["s1"]


def _tokens(a: str, b: str, c: str) -> Iterator[tuple[str, str, str]]:
    year = "YYYY" if len(c) == 4 else "YY"
    if a.isalpha():
        yield "MON", "DD", year
    elif b.isalpha():
        yield "DD", "MON", year
    elif len(a) == 4:
        yield "YYYY", "MM", "DD"
    elif len(a) <= 2 and len(c) in (2, 4):
        yield "DD", "MM", year
        yield "MM", "DD", year
        if len(a) == len(c) == 2:
            yield "YY", "MM", "DD"


def _time_format(match: re.Match[str]) -> str:
    text = f"{match['lead']}HH{match['s1']}MI"
    if match["s2"]:
        text += f"{match['s2']}SS"
    if match["s3"]:
        text += f"{match['s3']}FF"
    if match["am"]:
        text += match["am"].replace(match["am"].strip(), "AM")
    if match["tz"]:
        text += " TZ" if match["tz"].startswith(" ") else "TZ"
    return text


def _values(texts: Sequence[str], kind: str, text: str) -> tuple[datetime, ...] | None:
    """The moments of the texts in a format; None if one does not fit."""
    try:
        moment_format = MomentFormat.parse(text, ColumnType(kind))
    except ValueError:
        return None
    pattern, tokens = re.compile(moment_format.pattern), moment_format.tokens
    values = []
    for one in texts:
        match = pattern.fullmatch(one)
        moment = match and _moment(dict(zip(tokens, match.groups(), strict=True)))
        if not moment:
            return None
        values.append(moment)
    return tuple(values)


def _moment(parts: Mapping[str, str]) -> datetime | None:
    year = int(parts.get("YYYY") or 2000)
    if "YY" in parts:
        year = int(parts["YY"]) + (2000 if int(parts["YY"]) < 70 else 1900)
    month = _MONTHS.index(parts["MON"].lower()) + 1 if "MON" in parts else int(parts.get("MM", 1))
    hour = int(parts.get("HH", 0))
    if "AM" in parts:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + 12 * (parts["AM"].lower() == "pm")
    try:
        return datetime(  # noqa: DTZ001  # as it stands; the zone, if any, is the job's concern
            year,
            month,
            int(parts.get("DD", 1)),
            hour,
            int(parts.get("MI", 0)),
            int(parts.get("SS", 0)),
            int((parts.get("FF") or "0").ljust(6, "0")[:6]),
        )
    except ValueError:
        return None
