"""Candidate keys: columns whose values tell every row of the samples from the others."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from xacct_assets.feed.proposal.records import Record

_IDENTIFIES = re.compile(
    r"(?:^|_)(?:id|uuid|guid|key|code|sku|ean|gtin|upc|isbn|number|no|num|numero|\w*nummer|\w*nr"
    r"|handle|ref|reference|referencia|codigo|kod|barcode|asin|mpn)(?:$|_)"
)
_KEY_TYPES = ("varchar", "bigint", "integer", "smallint", "date", "timestamp")
#: Longer texts are descriptions.
_LONGEST_TEXT = 128
#: Columns of a compound key that are tried, the likeliest first.
_TRIED = 8


@dataclass(frozen=True)
class KeyColumn:
    """A column that may be part of a key.

    Attributes:
        name: in the feed.
        type: Redshift type.
        position: in the rows.
    """

    name: str
    type: str
    position: int

    @property
    def rank(self) -> tuple[bool, bool, int]:
        """Order in which columns are preferred."""
        is_text_or_integer = self.type.partition("(")[0] in _KEY_TYPES[:4]
        return (not _IDENTIFIES.search(self.name), not is_text_or_integer, self.position)


def is_identifier(name: str) -> bool:
    """Whether a column is named as one that identifies something."""
    return bool(_IDENTIFIES.search(name))


def may_be_key(type_: str, longest: int) -> bool:
    """Whether a column of this type, with texts up to this length, may identify rows."""
    return type_.partition("(")[0] in _KEY_TYPES and longest <= _LONGEST_TEXT


def candidate_keys(
    columns: Sequence[KeyColumn], files: Sequence[Sequence[Record]]
) -> list[tuple[str, ...]]:
    """The smallest sets of columns that tell all rows of each file apart, the likeliest first.

    Args:
        columns: those that may be in a key and have a value in every row.
        files: the rows of each sample. (A key identifies a row within a day.)
    """
    if max(map(len, files)) < 2:
        return []
    ranked = sorted(columns, key=lambda column: column.rank)
    single: list[tuple[str, ...]] = [
        (column.name,) for column in ranked if not repeats(files, [column.position])
    ]
    if single:
        return single
    for size in (2, 3):
        found = [
            tuple(column.name for column in chosen)
            for chosen in combinations(ranked[:_TRIED], size)
            if any(is_identifier(column.name) for column in chosen)
            and not repeats(files, [column.position for column in chosen])
        ]
        if found:
            return found
    return []


def repeats(files: Sequence[Sequence[Record]], positions: Sequence[int]) -> int:
    """How many rows have the same values in these columns as an earlier one of their file.

    Trailing blanks do not count: Redshift ignores them when it compares texts.
    """
    count = 0
    for rows in files:
        keys = {tuple((row[at] or "").rstrip(" ") for at in positions) for row in rows}
        count += len(rows) - len(keys)
    return count
