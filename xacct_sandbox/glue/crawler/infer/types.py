"""Hive types of inferred columns, and how two types are merged.

Rules (observed on tables crawled by Glue): whole numbers widen ``int`` < ``bigint`` < ``double``;
types that are not both numeric become ``string``; a column without any value is ``string`` in the
catalog.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

_NUMERIC_ORDER = ("tinyint", "smallint", "int", "bigint", "float", "double")


@dataclass(frozen=True)
class Struct:
    """``struct<name:type,...>``."""

    fields: tuple[tuple[str, HiveType], ...]


@dataclass(frozen=True)
class Array:
    """``array<element>``."""

    element: HiveType


@dataclass(frozen=True)
class Map:
    """``map<key,value>``."""

    key: HiveType
    value: HiveType


HiveType = str | Struct | Array | Map | None
"""A primitive type by its Hive name, a nested type, or None if only nulls were seen."""


def render(hive_type: HiveType) -> str:
    """The type as text, as in a catalog column."""
    if hive_type is None:
        return "string"
    if isinstance(hive_type, Struct):
        return f"struct<{','.join(f'{name}:{render(kind)}' for name, kind in hive_type.fields)}>"
    if isinstance(hive_type, Array):
        return f"array<{render(hive_type.element)}>"
    if isinstance(hive_type, Map):
        return f"map<{render(hive_type.key)},{render(hive_type.value)}>"
    return hive_type


def merge(one: HiveType, other: HiveType) -> HiveType:
    """The type that holds values of both; commutative and associative for primitives."""
    if one is None or one == other:
        return other
    if other is None:
        return one
    if isinstance(one, Struct) and isinstance(other, Struct):
        return Struct(tuple(merge_fields(dict(one.fields), dict(other.fields)).items()))
    if isinstance(one, Array) and isinstance(other, Array):
        return Array(merge(one.element, other.element))
    if isinstance(one, Map) and isinstance(other, Map):
        return Map(merge(one.key, other.key), merge(one.value, other.value))
    if one in _NUMERIC_ORDER and other in _NUMERIC_ORDER:
        wider = max(one, other, key=lambda kind: _NUMERIC_ORDER.index(str(kind)))
        # A float holds no bigint exactly; Hive widens both to double.
        return "double" if "float" in (one, other) and wider == "float" else wider
    return "string"


def merge_fields(one: Mapping[str, HiveType], other: Mapping[str, HiveType]) -> dict[str, HiveType]:
    """The fields of both: those of ``one`` in their order, then new ones of ``other``."""
    merged = dict(one)
    for name, kind in other.items():
        merged[name] = merge(merged[name], kind) if name in merged else kind
    return merged


def whole_number(value: int) -> str:
    """int or bigint, by size."""
    return "int" if -(2**31) <= value < 2**31 else "bigint"
