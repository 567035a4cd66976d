"""Hive types as the crawler finds them, and how two findings become one.

Rules (i, from tables crawled by Glue): whole numbers widen ``int`` < ``bigint`` < ``double``; two
types that have no number in common become ``string``; a column that was empty everywhere is
``string`` once it is written down.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

_NUMERIC_ORDER = ("tinyint", "smallint", "int", "bigint", "float", "double")


@dataclass(frozen=True)
class Struct:
    fields: tuple[tuple[str, HiveType], ...]


@dataclass(frozen=True)
class Array:
    element: HiveType


@dataclass(frozen=True)
class Map:
    key: HiveType
    value: HiveType


# A primitive by its Hive name, a nested type, or None: nothing but nulls seen so far.
HiveType = str | Struct | Array | Map | None


def render(hive_type: HiveType) -> str:
    """The type as it stands in a catalog column."""
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
    """Both sets of fields; those of ``one`` keep their order, new ones follow."""
    merged = dict(one)
    for name, kind in other.items():
        merged[name] = merge(merged[name], kind) if name in merged else kind
    return merged


def whole_number(value: int) -> str:
    """int or bigint, by size."""
    return "int" if -(2**31) <= value < 2**31 else "bigint"
