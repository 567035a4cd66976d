"""Faster commits to Dagster's SQLite databases while a run is executed.

Dagster opens a connection for every event and closes it again. SQLite checkpoints the write-ahead
log, and waits for the disk, whenever the last connection to a database is closed: two or three
times an event. Another open connection prevents that (SQLite documentation, "Write-Ahead Logging",
"Automatic Checkpoint").

Commits themselves do not wait for the disk either: ``synchronous=NORMAL``. The databases stay
consistent; a machine that loses power may lose the last events (SQLite documentation, "PRAGMA
synchronous"). A run that is retried finds its remote work through AWS, not through these events.

Storages other than SQLite are left unchanged.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import dagster as dg

#: Dagster's name for the database of all events. Each run has a database of its own beside it.
_INDEX_SHARD = "index"


def event_databases(instance: dg.DagsterInstance, run_id: str | None = None) -> list[Path]:
    """The SQLite files that the events of the instance, and of the run, are written to.

    Empty if the instance's event log is not in SQLite.
    """
    # Imported late: the code location itself uses no database.
    from dagster._core.storage.event_log import SqliteEventLogStorage

    storage = instance.event_log_storage
    if not isinstance(storage, SqliteEventLogStorage):
        return []
    paths = [Path(storage.path_for_shard(shard)) for shard in (_INDEX_SHARD, run_id) if shard]
    # sqlite3.connect would create a missing file, without Dagster's tables.
    return [path for path in paths if path.exists()]


def keep_databases_open(paths: Sequence[Path]) -> contextlib.ExitStack:
    """Holds a connection to each database until the returned stack is closed."""
    connections = contextlib.ExitStack()
    for path in paths:
        connection = sqlite3.connect(path, check_same_thread=False)
        connections.callback(connection.close)
        # A connection counts as a user of the write-ahead log only after its first read.
        connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchall()
    return connections


@contextlib.contextmanager
def relaxed_durability(paths: Sequence[Path]) -> Iterator[None]:
    """Within the context, commits of this process to SQLite do not wait for the disk.

    Args:
        paths: the databases that are kept open meanwhile. If empty, nothing is changed.
    """
    if not paths:
        yield
        return
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    event.listen(Engine, "connect", _set_synchronous_normal)
    try:
        with keep_databases_open(paths):
            yield
    finally:
        event.remove(Engine, "connect", _set_synchronous_normal)


def _set_synchronous_normal(connection: Any, record: object) -> None:
    if isinstance(connection, sqlite3.Connection):
        connection.execute("PRAGMA synchronous=NORMAL")
