"""Predicates over a row of partition values, in SQL's three-valued logic.

True, False, or None for unknown: a comparison with a missing value is unknown.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Ternary = bool | None
Row = Mapping[str, Any]
Predicate = Callable[[Row], Ternary]

COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda a, b: a == b,
    "<>": lambda a, b: a != b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    ">": lambda a, b: a > b,
    "<=": lambda a, b: a <= b,
    ">=": lambda a, b: a >= b,
}
MIRRORED = {"=": "=", "<>": "<>", "!=": "!=", "<": ">", ">": "<", "<=": ">=", ">=": "<="}
"""The operator after its two sides are swapped."""


def when_known(column: str, test: Callable[[Any], bool]) -> Predicate:
    """The test of a column's value; unknown if the value is missing."""

    def predicate(row: Row) -> Ternary:
        value = row[column]
        return None if value is None else test(value)

    return predicate


def compare_columns(left: str, operator: str, right: str) -> Predicate:
    """A comparison of two columns; unknown if either value is missing."""
    compare = COMPARISONS[operator]

    def predicate(row: Row) -> Ternary:
        one, other = row[left], row[right]
        return None if one is None or other is None else compare(one, other)

    return predicate


def is_null(column: str) -> Predicate:
    """``column IS NULL``, which is never unknown."""
    return lambda row: row[column] is None


def negate(inner: Predicate) -> Predicate:
    """NOT."""

    def predicate(row: Row) -> Ternary:
        value = inner(row)
        return None if value is None else not value

    return predicate


def every(terms: Sequence[Predicate]) -> Predicate:
    """AND: False if one term is false, otherwise unknown if one is unknown."""
    return terms[0] if len(terms) == 1 else _until(terms, decisive=False)


def some(terms: Sequence[Predicate]) -> Predicate:
    """OR: True if one term is true, otherwise unknown if one is unknown."""
    return terms[0] if len(terms) == 1 else _until(terms, decisive=True)


def _until(terms: Sequence[Predicate], *, decisive: bool) -> Predicate:
    def predicate(row: Row) -> Ternary:
        unknown = False
        for term in terms:
            value = term(row)
            if value is decisive:
                return decisive
            unknown = unknown or value is None
        return None if unknown else not decisive

    return predicate


def like_pattern(pattern: str) -> re.Pattern[str]:
    """The regular expression of a LIKE pattern."""
    parts = {"%": ".*", "_": "."}
    return re.compile("".join(parts.get(char, re.escape(char)) for char in pattern), re.DOTALL)
