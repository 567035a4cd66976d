"""Reads the migrations of a feed: ``migrations/NNNN-what.sql`` in the folder of its SQL."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from xacct_assets.aws.errors import DeployFailed
from xacct_assets.aws.redshift.sql import literal, split_statements
from xacct_assets.feed.sql_files.migration_sql import MIGRATIONS_TABLE, record_sql

FOLDER = "migrations"
_NAME = re.compile(r"(\d{4})-[a-z0-9-]+\.sql")
_DESCRIPTION = re.compile(r"(?m)^-- ((?:new|gone|renamed|widened|retyped|nullable): .+)$")


@dataclass(frozen=True)
class Migration:
    """One migration of one feed.

    Attributes:
        feed: name of the feed.
        name: of the file, without ``.sql``.
        alone: statements that Redshift runs outside of a transaction only; harmless if run again.
        together: the others, which are one transaction with the record of the migration.
        changes: what it changes, for people.
    """

    feed: str
    name: str
    path: Path
    alone: tuple[str, ...]
    together: tuple[str, ...]
    changes: tuple[str, ...]

    @classmethod
    def read(cls, feed: str, path: Path) -> Migration:
        """Read a file.

        Raises:
            DeployFailed: it is not statements, then BEGIN, statements with the record, COMMIT.
        """
        text = path.read_text(encoding="utf-8")
        try:
            statements = split_statements(text)
        except ValueError as error:
            raise DeployFailed(f"{path} cannot be read as SQL", reason=str(error)) from error
        words = [statement.upper() for statement in statements]
        if words.count("BEGIN") != 1 or words[-1:] != ["COMMIT"]:
            raise DeployFailed(
                f"{path} is no migration",
                reason="it needs one BEGIN, and COMMIT as its last statement: what is between them "
                "is one transaction",
                fix="see `xacct feed evolve`, which writes migrations",
            )
        begin = words.index("BEGIN")
        together = statements[begin + 1 : -1]
        if not any(MIGRATIONS_TABLE in sql and literal(path.stem) in sql for sql in together):
            raise DeployFailed(
                f"{path} does not record itself",
                fix=f"add before COMMIT: {record_sql(feed, path.stem, 'what changes')}",
            )
        changes = tuple(_DESCRIPTION.findall(text)) or (path.stem,)
        return cls(feed, path.stem, path, tuple(statements[:begin]), tuple(together), changes)


def read_migrations(feed: str, folder: Path) -> list[Migration]:
    """The migrations of a feed, in order.

    Args:
        folder: of the feed's SQL.

    Raises:
        DeployFailed: a file is no migration, or two have the same number.
    """
    found: list[Migration] = []
    for path in sorted((folder / FOLDER).glob("*.sql")):
        if not _NAME.fullmatch(path.name):
            raise DeployFailed(
                f"{path} is no name of a migration",
                fix="name it 0001-what-changes.sql: four digits, lower-case letters and -",
            )
        if found and found[-1].name[:4] == path.name[:4]:
            raise DeployFailed(
                f"{path} has the number of {found[-1].path.name}",
                fix="give the newer one the next number, also in its INSERT",
            )
        found.append(Migration.read(feed, path))
    return found


def next_name(folder: Path, what: str) -> str:
    """The name of the next migration, without ``.sql``.

    Args:
        folder: of the feed's SQL.
        what: what it changes, in a few words.
    """
    numbers = [int(path.name[:4]) for path in (folder / FOLDER).glob("[0-9][0-9][0-9][0-9]-*.sql")]
    slug = re.sub(r"[^a-z0-9]+", "-", what.lower()).strip("-")[:60].rstrip("-")
    return f"{max(numbers, default=0) + 1:04d}-{slug or 'change'}"
