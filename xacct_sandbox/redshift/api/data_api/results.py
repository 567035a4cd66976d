"""Result sets: typed fields, column metadata, and pages on disk for 24 hours.

Types (Data API guide, "Mapping JDBC data types"): whole numbers are longValue, floating point is
doubleValue, boolean is booleanValue, everything else (decimals, dates, times) is stringValue.
"""

from __future__ import annotations

import base64
import json
import shutil
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from datetime import time as time_of_day
from decimal import Decimal
from pathlib import Path
from typing import Any

# "The Data API size limit is 64 KB per row", "100 MB in the result set" (guide, troubleshooting).
MAX_ROW_BYTES = 64 * 1024
MAX_RESULT_BYTES = 100 * 1024 * 1024
PAGE_ROWS = 1000
PAGE_BYTES = 1024 * 1024

_TYPE_NAMES = {
    16: "bool",
    17: "varbyte",
    18: "char",
    19: "name",
    20: "int8",
    21: "int2",
    23: "int4",
    25: "text",
    26: "oid",
    114: "super",
    3802: "super",
    700: "float4",
    701: "float8",
    1042: "bpchar",
    1043: "varchar",
    1082: "date",
    1083: "time",
    1114: "timestamp",
    1184: "timestamptz",
    1266: "timetz",
    1700: "numeric",
    4000: "super",
    6551: "varbyte",
}
_PRECISION = {"int8": 19, "int4": 10, "int2": 5, "float8": 17, "float4": 8, "oid": 10, "bool": 1}
_SIGNED = {"int8", "int4", "int2", "float8", "float4", "numeric"}
_TEXT = {"varchar", "bpchar", "text", "name", "char", "super"}


class ResultTooLarge(Exception):
    """A row or a result exceeds the limits of the Data API. The text is the API's."""


@dataclass(frozen=True)
class Column:
    """One column, as the wire protocol describes it."""

    label: str
    type_oid: int
    type_modifier: int = -1
    schema: str = ""
    table: str = ""
    nullable: int = 1

    @property
    def type_name(self) -> str:
        return _TYPE_NAMES.get(self.type_oid, "varchar")

    def metadata(self) -> dict[str, Any]:
        """ColumnMetadata of GetStatementResult."""
        kind = self.type_name
        precision, scale, length = _PRECISION.get(kind, 0), 0, 0
        if kind == "numeric" and self.type_modifier >= 4:
            precision = ((self.type_modifier - 4) >> 16) & 0xFFFF
            scale = (self.type_modifier - 4) & 0xFFFF
        elif kind in _TEXT:
            precision = self.type_modifier - 4 if self.type_modifier >= 4 else 2147483647
            length = precision
        return {
            "isCaseSensitive": kind in _TEXT,
            "isCurrency": False,
            "isSigned": kind in _SIGNED,
            "label": self.label,
            "length": length,
            "name": self.label,
            "nullable": self.nullable,
            "precision": precision,
            "scale": scale,
            "schemaName": self.schema,
            "tableName": self.table,
            "typeName": kind,
        }


def field(value: Any) -> dict[str, Any]:
    """One value as a Field of the Data API."""
    if value is None:
        return {"isNull": True}
    if isinstance(value, bool):
        return {"booleanValue": value}
    if isinstance(value, int):
        return {"longValue": value}
    if isinstance(value, float):
        return {"doubleValue": value}
    return {"stringValue": _text(value)}


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, datetime):
        # As JDBC prints a Timestamp: the fraction without trailing zeros, at least one digit.
        text = value.replace(tzinfo=None).isoformat(sep=" ", timespec="microseconds")
        whole, fraction = text.split(".")
        offset = value.strftime("%z")
        shown = f"{whole}.{fraction.rstrip('0') or '0'}"
        return f"{shown}{offset[:3]}" if offset else shown
    if isinstance(value, date | time_of_day):
        return value.isoformat()
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).hex()
    if isinstance(value, dict | list):
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return str(value)


class ResultStore:
    """Pages of results on disk, one folder per result."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(
        self, identifier: str, columns: Sequence[Column], rows: Iterable[Sequence[Any]]
    ) -> tuple[int, int]:
        """Write a result.

        Returns:
            The number of its rows and of its bytes.

        Raises:
            ResultTooLarge: It exceeds the limits.
        """
        folder = self._of(identifier)
        folder.mkdir(parents=True, mode=0o700)
        count = size = page_size = 0
        page: list[str] = []
        pages = 0
        for row in rows:
            text = json.dumps([field(value) for value in row], ensure_ascii=False)
            width = len(text.encode())
            if width > MAX_ROW_BYTES:
                raise ResultTooLarge(
                    f"Packet for query is too large: a row has {width} bytes, the limit is "
                    f"{MAX_ROW_BYTES}"
                )
            size += width
            if size > MAX_RESULT_BYTES:
                raise ResultTooLarge(
                    f"Database response exceeded size limit of {MAX_RESULT_BYTES} bytes"
                )
            if page and (len(page) == PAGE_ROWS or page_size + width > PAGE_BYTES):
                _write_page(folder, pages, page)
                pages, page, page_size = pages + 1, [], 0
            page.append(text)
            page_size += width
            count += 1
        _write_page(folder, pages, page)
        (folder / "result.json").write_text(
            json.dumps(
                {
                    "columns": [column.metadata() for column in columns],
                    "pages": pages + 1,
                    "rows": count,
                }
            ),
            encoding="utf-8",
        )
        return count, size

    def page(self, identifier: str, token: str | None) -> dict[str, Any] | None:
        """One page, as GetStatementResult returns it; None if there is no such result.

        Raises:
            ValueError: The token is not one of this result.
        """
        folder = self._of(identifier)
        description = folder / "result.json"
        if not description.exists():
            return None
        result = json.loads(description.read_text(encoding="utf-8"))
        number = _read_token(token, identifier) if token else 0
        if number >= result["pages"]:
            raise ValueError("there is no such page")
        records = json.loads((folder / f"{number}.json").read_text(encoding="utf-8"))
        answer: dict[str, Any] = {
            "Records": records,
            "ColumnMetadata": result["columns"],
            "TotalNumRows": result["rows"],
        }
        if number + 1 < result["pages"]:
            answer["NextToken"] = _make_token(number + 1, identifier)
        return answer

    def drop(self, identifier: str) -> None:
        """Delete a result, if there is one."""
        shutil.rmtree(self._of(identifier), ignore_errors=True)

    def drop_older(self, seconds: float) -> None:
        """Delete results older than this many seconds."""
        if not self._folder.exists():
            return
        limit = time.time() - seconds
        for folder in self._folder.iterdir():
            if folder.stat().st_mtime < limit:
                shutil.rmtree(folder, ignore_errors=True)

    def _of(self, identifier: str) -> Path:
        return self._folder / identifier.replace(":", "_")


def _write_page(folder: Path, number: int, rows: Sequence[str]) -> None:
    (folder / f"{number}.json").write_text(f"[{','.join(rows)}]", encoding="utf-8")


def _make_token(number: int, identifier: str) -> str:
    return base64.urlsafe_b64encode(f"{identifier}#{number}".encode()).decode()


def _read_token(token: str, identifier: str) -> int:
    owner, _, number = base64.urlsafe_b64decode(token.encode()).decode().partition("#")
    if owner != identifier:
        raise ValueError("the token belongs to another result")
    return int(number)


def columns_of(descriptions: Sequence[Mapping[str, Any]]) -> list[Column]:
    """Columns from the driver's row description."""
    return [
        Column(
            label=_decoded(description["label"]),
            type_oid=description["type_oid"],
            type_modifier=description["type_modifier"],
            schema=_decoded(description.get("schema_name", b"")),
            table=_decoded(description.get("table_name", b"")),
            nullable=description.get("nullable", 1),
        )
        for description in descriptions
    ]


def _decoded(text: bytes | str) -> str:
    return text.decode() if isinstance(text, bytes | bytearray) else text
