"""What changed between two versions of a feed's columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from xacct_assets.contract.column_types import ColumnType
from xacct_assets.feed.spec import Column, FeedSpec

Kind = Literal["new", "gone", "renamed", "retyped", "nullable"]


@dataclass(frozen=True)
class ColumnChange:
    """One change of one column of the tables.

    Attributes:
        before: the column as it was; None if it is new.
        after: the column as it is; None if it is gone.
    """

    kind: Kind
    before: Column | None
    after: Column | None

    @property
    def name(self) -> str:
        """The column's name, before the change if it had one."""
        column = self.before or self.after
        assert column is not None
        return column.name

    @property
    def is_widened(self) -> bool:
        """Whether only the length of a varchar grows, which Redshift does without a copy."""
        if self.kind != "retyped" or self.before is None or self.after is None:
            return False
        types = ColumnType.parse(self.before.type), ColumnType.parse(self.after.type)
        same = self.before.nullable or not self.after.nullable
        lengths = [type_.length or 0 for type_ in types]
        return same and {type_.name for type_ in types} == {"varchar"} and lengths[0] < lengths[1]

    def describe(self) -> str:
        """The change for people: ``new: colour varchar(20)``."""
        before, after = self.before, self.after
        if before is None and after is not None:
            return f"new: {after.name} {after.type}"
        if before is not None and after is None:
            return f"gone: {before.name} {before.type}"
        assert before is not None
        assert after is not None
        if self.kind == "renamed":
            return f"renamed: {before.name} -> {after.name}"
        if self.kind == "nullable":
            return f"nullable: {after.name} may be NULL"
        verb = "widened" if self.is_widened else "retyped"
        return f"{verb}: {after.name} {before.type} -> {after.type}"


def column_changes(
    before: FeedSpec, after: FeedSpec, renamed: Mapping[str, str] | None = None
) -> list[ColumnChange]:
    """The changes that turn one version's tables into the other's. Renames come first.

    Args:
        before: the feed whose tables exist.
        after: the feed as it shall be.
        renamed: new name of a column -> its old name.
    """
    renamed = renamed or {}
    old = {column.name: column for column in before.columns}
    changes = []
    kept = set()
    for column in after.columns:
        was = old.get(renamed.get(column.name, column.name))
        if was is None:
            changes.append(ColumnChange("new", None, column))
            continue
        kept.add(was.name)
        if was.name != column.name:
            changes.append(ColumnChange("renamed", was, column))
        if was.type != column.type:
            changes.append(ColumnChange("retyped", was, column))
        elif column.nullable and not was.nullable:
            changes.append(ColumnChange("nullable", was, column))
    changes += [
        ColumnChange("gone", column, None) for name, column in old.items() if name not in kept
    ]
    order: list[Kind] = ["renamed", "gone", "new", "retyped", "nullable"]
    return sorted(changes, key=lambda change: order.index(change.kind))
