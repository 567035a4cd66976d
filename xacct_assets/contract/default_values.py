"""Whether a text is a value of a Redshift type as COPY reads it; for a column's default."""

from __future__ import annotations

import json
import re
from datetime import date, datetime, time
from decimal import Decimal

from xacct_assets.contract.column_types import ColumnType

_BITS = {"bigint": 63, "integer": 31, "smallint": 15}


def default_problem(column_type: ColumnType, text: str) -> str | None:
    """Why a text cannot be the default of a column of this type; None if it can."""
    name = column_type.name
    if name in ("varchar", "char"):
        if "\0" in text:
            return "holds a NUL character, which Redshift cannot"
        if name == "char" and not text.isascii():
            return "a char holds ASCII only; use varchar"
        return (
            f"is longer than {column_type.length} bytes"
            if len(text.encode()) > (column_type.length or 0)
            else None
        )
    return None if _is_value(column_type, text) else f"is not a {_EXAMPLES.get(name, column_type)}"


_EXAMPLES = {
    "boolean": "boolean: write 'true' or 'false'",
    "date": "date: write it as 2026-01-31, whatever the column's format is",
    "timestamp": "timestamp: write it as 2026-01-31 12:00:00, in UTC",
    "timestamptz": "timestamptz: write it as 2026-01-31 12:00:00, in UTC",
    "time": "time: write it as 12:00:00",
    "super": "JSON text",
}


def _is_value(column_type: ColumnType, text: str) -> bool:
    name = column_type.name
    try:
        if name in _BITS:
            bound = 1 << _BITS[name]
            return bool(re.fullmatch("-?[0-9]{1,19}", text)) and -bound <= int(text) < bound
        if name == "decimal":
            precision, scale = column_type.precision or 0, column_type.scale or 0
            whole = f"-?[0-9]{{1,{max(1, precision - scale)}}}"
            if not re.fullmatch(whole + (f"([.][0-9]{{1,{scale}}})?" if scale else ""), text):
                return False
            return abs(Decimal(text)) < Decimal(10) ** (precision - scale)
        if name in ("double precision", "real"):
            is_number = re.fullmatch(r"-?[0-9]+([.][0-9]+)?([eE][+-]?[0-9]{1,2})?", text)
            return bool(is_number) and abs(float(text)) < (3e38 if name == "real" else 1e99)
        if name == "boolean":
            return text in ("true", "false")
        if name == "date":
            return date.fromisoformat(text).isoformat() == text
        if name == "time":
            return bool(re.fullmatch(r"..:..:..([.].{1,6})?", text)) and bool(
                time.fromisoformat(text).isoformat()
            )
        if name == "super":
            json.loads(text, parse_constant=_refuse)
            return True
        pattern = r"....-..-..[ T]..:..(:..([.].{1,6})?)?"
        return bool(re.fullmatch(pattern, text)) and bool(datetime.fromisoformat(text).year)
    except ValueError:
        return False


def _refuse(constant: str) -> None:
    raise ValueError(constant)
