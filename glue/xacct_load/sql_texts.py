"""Texts and patterns in Spark SQL."""

from __future__ import annotations


def sql_text(value: str) -> str:
    """A Spark SQL string literal."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def matches(text: str, pattern: str) -> str:
    """SQL that is true if the whole text matches (``$`` would accept a final newline)."""
    return f"{text} RLIKE {sql_text(f'^(?:{pattern})' + chr(92) + 'z')}"


def part(text: str, first: int, length: str) -> str:
    """SQL of so many bytes of a text from a byte on (the first one is 1).

    Spark looks at every character for a part of a text, for one of bytes it does not.
    """
    return f"CAST(SUBSTR(CAST({text} AS BINARY), {first}, {length}) AS STRING)"
