"""Dagster's SQLite databases, held open while they are written to.

Dagster opens a connection for every event and closes it again. Whoever closes the last connection
to a database has SQLite move its write-ahead log into it and wait for the disk: two or three times
an event, and most of what one costs. A connection that is merely open spares that (SQLite
documentation, "Write-Ahead Logging", "Automatic Checkpoint").

While a run is executed its commits do not wait for the disk either: ``synchronous=NORMAL``, which
that documentation recommends with a write-ahead log, leaves the databases whole whatever happens. A
machine that loses power may forget the last events. A run that is taken up finds its work by asking
AWS, not them.

Other storages, such as PostgreSQL, are left as they are.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg

#: Dagster's name of the database of all events; each run has one of its own beside it.
_ALL_EVENTS = "index"


def keep_databases_open(
    instance: dg.DagsterInstance, run_id: str | None = None
) -> contextlib.ExitStack:
    """Connections to the database of all events and to that of a run's; close what is returned."""
    held = contextlib.ExitStack()
    if _is_sqlite(instance):
        for shard in filter(None, (_ALL_EVENTS, run_id)):
            path = Path(instance.event_log_storage.path_for_shard(shard))  # type: ignore[attr-defined]
            # A file that is made here would be no database of Dagster's.
            if path.exists():
                connection = sqlite3.connect(path, check_same_thread=False)
                held.callback(connection.close)
                # It counts as a user of the write-ahead log only once it has read.
                connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchall()
    return held


@contextlib.contextmanager
def relaxed_durability(instance: dg.DagsterInstance, run_id: str) -> Iterator[None]:
    """What this process writes of a run is written without waiting for the disk."""
    if not _is_sqlite(instance):
        yield
        return
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    event.listen(Engine, "connect", _do_not_wait)
    try:
        with keep_databases_open(instance, run_id):
            yield
    finally:
        event.remove(Engine, "connect", _do_not_wait)


def _is_sqlite(instance: dg.DagsterInstance) -> bool:
    # Imported late: a code location has no use for a database.
    from dagster._core.storage.event_log import SqliteEventLogStorage

    return isinstance(instance.event_log_storage, SqliteEventLogStorage)


def _do_not_wait(connection: Any, record: object) -> None:
    if isinstance(connection, sqlite3.Connection):
        connection.execute("PRAGMA synchronous=NORMAL")
