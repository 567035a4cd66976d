"""Which type holds a column's values."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal

from xacct_assets.contract.column_types import ColumnType
from xacct_assets.feed.spec import Column

#: Lengths of texts that a column grows to.
_LENGTHS = (16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768, 65535)
_INTEGERS = {"smallint": 15, "integer": 31, "bigint": 63}
_NUMBER = re.compile(r"[+-]?\d+(?:\.(\d*?)0*)?", re.ASCII)
_WORDS = frozenset({"true", "false", "t", "f", "yes", "no", "y", "n", "1", "0"})


def type_that_fits(column: Column, values: Sequence[str]) -> tuple[str, str] | None:
    """The type that holds the values, and one that the column's type does not hold.

    Values of a column with a format are not looked at: what does not have it is rejected.

    Args:
        column: of the feed.
        values: in the samples, without NULLs.

    Returns:
        None if the column's type holds all of them.
    """
    type_ = ColumnType.parse(column.type)
    if column.format is not None or type_.name in ("super", "time", "timestamptz"):
        return None
    misfits = [value for value in values if not _fits(type_, value)]
    if not misfits:
        return None
    return _wider(type_, values), misfits[0]


def _fits(type_: ColumnType, value: str) -> bool:
    name, text = type_.name, value.strip()
    if type_.length is not None:
        return len(value.encode()) <= type_.length and (name == "varchar" or value.isascii())
    if name == "boolean":
        return text.lower() in _WORDS
    if name in ("date", "timestamp"):
        return _is_moment(text, with_time=name == "timestamp")
    if name in ("double precision", "real"):
        return _is_float(text)
    match = _NUMBER.fullmatch(text)
    if match is None:
        return False
    if name in _INTEGERS:
        bound = 1 << _INTEGERS[name]
        return not match[1] and -bound <= int(Decimal(text)) < bound
    whole, scale = _digits([text])
    return whole <= (type_.precision or 0) - (type_.scale or 0) and scale <= (type_.scale or 0)


def _wider(type_: ColumnType, values: Sequence[str]) -> str:
    """The next type of the kind that holds all values; of another kind, a text."""
    texts = [value.strip() for value in values]
    if all(_NUMBER.fullmatch(text) for text in texts) and type_.length is None:
        whole, scale = _digits(texts)
        if (
            type_.name in _INTEGERS
            and scale == 0
            and all(_fits(ColumnType("bigint"), text) for text in texts)
        ):
            return "bigint"
        whole = max(whole, (type_.precision or 0) - (type_.scale or 0), 1)
        whole = max(whole, 19 if type_.name == "bigint" else 10 if type_.name in _INTEGERS else 1)
        scale = max(scale, type_.scale or 0)
        if whole + scale <= 38 and type_.name in (*_INTEGERS, "decimal"):
            return f"decimal({whole + scale},{scale})"
    if type_.name == "date" and all(_is_moment(text, with_time=True) for text in texts):
        return "timestamp"
    longest = max(len(value.encode()) for value in values)
    need = max(longest, type_.length or 0)
    return f"varchar({next((n for n in _LENGTHS if n >= need), _LENGTHS[-1])})"


def _digits(texts: Sequence[str]) -> tuple[int, int]:
    """The most digits before and behind the point."""
    whole = scale = 0
    for text in texts:
        match = _NUMBER.fullmatch(text)
        whole = max(whole, len(text.lstrip("+-").partition(".")[0].lstrip("0")))
        scale = max(scale, len(match[1] or "") if match else 0)
    return whole, scale


def _is_moment(text: str, *, with_time: bool) -> bool:
    try:
        moment = datetime.fromisoformat(text) if with_time else date.fromisoformat(text)
    except ValueError:
        return False
    return moment.year > 0


def _is_float(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
