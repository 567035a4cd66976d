"""What a sample file must be proposed as, or what must be asked about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Case:
    """A sample and its right proposal. A field that a case does not name is not compared.

    Attributes:
        name: of the shape.
        files: the samples.
        csv: fields of ``source.csv``.
        columns: (type, format) of columns by their name.
        settings: further fields of columns by their name.
        key: of the feed.
        asks: the questions that must come up, and no others; the rest is as they are answered.
        answers: to these questions.
        doubts: parts of doubts that must be shown.
        problem: part of the refusal, if no feed can be proposed.
    """

    name: str
    files: Sequence[bytes]
    csv: Mapping[str, Any] = field(default_factory=dict)
    columns: Mapping[str, tuple[str, str | None]] = field(default_factory=dict)
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    key: Sequence[str] | None = None
    asks: frozenset[str] = frozenset()
    answers: Mapping[str, str] = field(default_factory=dict)
    doubts: Sequence[str] = ()
    problem: str | None = None


def many(row: Any, count: int = 60) -> list[Any]:
    return [row(number) for number in range(count)]
