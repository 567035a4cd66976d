"""Texts and patterns in Spark SQL."""

from __future__ import annotations


def sql_text(value: str) -> str:
    """A Spark SQL string literal."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def matches(text: str, pattern: str) -> str:
    """SQL that is true if the whole text matches (``$`` would accept a final newline)."""
    return f"{text} RLIKE {sql_text(f'^(?:{pattern})' + chr(92) + 'z')}"
