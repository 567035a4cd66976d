"""Writes an evolved feed: its ``defs.yaml``, SQL and migration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from xacct_assets.feed.proposal import SampleProblem
from xacct_assets.feed.spec import FeedSpec
from xacct_assets.feed.sql_files.column_changes import ColumnChange, column_changes
from xacct_assets.feed.sql_files.generator import GENERATED
from xacct_assets.feed.sql_files.migration_sql import migration_sql, rebuilds_fact
from xacct_assets.feed.sql_files.migrations import FOLDER, next_name
from xacct_assets.feed.sql_files.writing import write_files


@dataclass(frozen=True)
class EvolvedFeed:
    """A feed before and after a change.

    Attributes:
        before, after: its versions.
        text: of the changed ``defs.yaml``.
        renames: new name of a column -> its old name.
    """

    before: FeedSpec
    after: FeedSpec
    text: str
    renames: Mapping[str, str]

    @property
    def changes(self) -> list[ColumnChange]:
        """What changes in the tables; nothing if only the files are read otherwise."""
        return column_changes(self.before, self.after, self.renames)

    def check(self, sql: Path) -> None:
        """Check that the migration can be written.

        Args:
            sql: the folder of the feed's SQL.

        Raises:
            SampleProblem: the fact table has to be made anew, and is of the feed's own.
        """
        fact = sql / "fact.sql"
        is_own = fact.is_file() and not fact.read_text(encoding="utf-8").startswith(GENERATED)
        if is_own and rebuilds_fact(self.before, self.changes):
            raise SampleProblem(
                f"a column of the key changes, so that {self.before.warehouse.fact} has to be made "
                f"anew, and {fact} is the feed's own: write the migration by hand"
            )

    def write(self, defs_yaml: Path, sql: Path) -> list[str]:
        """Write the files.

        Args:
            defs_yaml: the feed's file.
            sql: the folder of the feed's SQL.

        Returns:
            A line about each file.
        """
        changes = self.changes
        lines = []
        if changes:
            first = changes[0].describe().partition(" varchar")[0]
            more = f" and {len(changes) - 1} more" if len(changes) > 1 else ""
            name = next_name(sql, f"{first}{more}")
            path = sql / FOLDER / f"{name}.sql"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(migration_sql(self.before, self.after, changes, name), encoding="utf-8")
            lines.append(f"{path}: written")
        defs_yaml.write_text(self.text, encoding="utf-8")
        return [f"{defs_yaml}: changed", *write_files(self.after, sql), *lines]
