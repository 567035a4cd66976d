"""The types of partition keys that an expression can compare."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from xacct_sandbox.glue.catalog.expressions.errors import InvalidExpression


@dataclass(frozen=True)
class KeyType:
    """A Hive type, and how its values are parsed."""

    name: str
    parse: Callable[[str], Any]
    is_text: bool = False

    def read(self, value: str) -> Any:
        """The typed value; None (SQL's unknown) if the text is not of the type."""
        try:
            return self.parse(value)
        except (ValueError, InvalidOperation):
            return None


def key_type(name: str, hive_type: str) -> KeyType:
    """The type of a partition key.

    Args:
        name: the key's name, for the error message.
        hive_type: its type in the catalog.

    Raises:
        InvalidExpression: keys of this type cannot be filtered.
    """
    base = hive_type.strip().lower().split("(")[0]
    if base in {"string", "varchar", "char"}:
        return KeyType(base, str, is_text=True)
    if base in {"int", "integer", "bigint", "long", "smallint", "tinyint"}:
        return KeyType(base, int)
    if base == "decimal":
        return KeyType(base, Decimal)
    if base == "date":
        return KeyType(base, lambda text: date.fromisoformat(text.strip()))
    if base == "timestamp":
        return KeyType(base, _parse_timestamp)
    raise InvalidExpression(
        f"partition key {name!r} has type {hive_type!r}, which cannot be filtered"
    )


def _parse_timestamp(text: str) -> datetime:
    return datetime.fromisoformat(text.strip()).replace(tzinfo=None)
