"""The error of this package."""

from __future__ import annotations


class InvalidExpression(ValueError):
    """The expression cannot be parsed, or compares values of different types."""
