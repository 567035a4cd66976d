"""The built-in JSON classifier: one object per line, or one document, an object or an array.

Whole numbers are ``int``, larger ones ``bigint`` (Glue developer guide, "How to create a single
schema": ``A:int``). Objects are structs, lists are arrays. A document that is an array becomes one
column named ``array``, as in Glue without a custom classifier.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from xacct_sandbox.glue.crawler.infer.schema import Unclassified
from xacct_sandbox.glue.crawler.infer.types import (
    Array,
    HiveType,
    Struct,
    merge,
    merge_fields,
    whole_number,
)


@dataclass(frozen=True)
class JsonSchema:
    """Columns of a JSON sample, and the number of its records."""

    columns: dict[str, HiveType]
    rows: int


def looks_like_json(text: str) -> bool:
    """Whether the text begins as a JSON object or array does."""
    return text.lstrip()[:1] in {"{", "["}


def infer_json(text: str, *, complete: bool) -> JsonSchema:
    """Columns of JSON text.

    Args:
        text: the beginning of the file.
        complete: the text is the whole file; otherwise its last record may be cut off.

    Raises:
        Unclassified: its records are not JSON objects.
    """
    records = _records(text, complete=complete)
    columns: dict[str, HiveType] = {}
    for record in records:
        columns = merge_fields(
            columns, {name.lower(): type_of(value) for name, value in record.items()}
        )
    if not columns:
        raise Unclassified("its JSON objects have no members")
    return JsonSchema(columns=columns, rows=len(records))


def type_of(value: Any) -> HiveType:
    """The Hive type of one JSON value; None for null."""
    if value is None:
        return None
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return whole_number(value)
    if isinstance(value, float):
        return "double"
    if isinstance(value, dict):
        return Struct(tuple((name, type_of(inner)) for name, inner in value.items()))
    if isinstance(value, list):
        element: HiveType = None
        for inner in value:
            element = merge(element, type_of(inner))
        return Array(element)
    return "string"


def _records(text: str, *, complete: bool) -> list[dict[str, Any]]:
    decoder = json.JSONDecoder()
    records: list[dict[str, Any]] = []
    position = 0
    while True:
        while position < len(text) and text[position].isspace():
            position += 1
        if position >= len(text):
            break
        try:
            value, position = decoder.raw_decode(text, position)
        except json.JSONDecodeError as problem:
            if not complete and records:
                # The sample ends inside this record.
                break
            raise Unclassified(f"it is not JSON: {problem}") from problem
        if isinstance(value, list):
            value = {"array": value}
        if not isinstance(value, dict):
            raise Unclassified("its JSON records are not objects")
        records.append(value)
    if not records:
        raise Unclassified("it holds no JSON record")
    return records
