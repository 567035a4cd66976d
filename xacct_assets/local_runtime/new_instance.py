"""Prepares a new Dagster instance before its processes start.

``python -m xacct_assets.local_runtime.new_instance`` does it in the folder that DAGSTER_HOME names.

It creates the databases, which the processes of `dg dev` would otherwise all create at once. It
also sets where run retries begin to read the event log: at its start, which is the present. Without
that, the daemon warns twice that it has no cursor.
"""

from __future__ import annotations

import dagster as dg
from dagster._daemon.auto_run_reexecution.event_log_consumer import (
    DAGSTER_EVENT_TYPES,
    _create_cursor_key,
)


def prepare(instance: dg.DagsterInstance) -> None:
    """Prepares the instance; one that has events or cursors is left as it is."""
    if instance.event_log_storage.get_maximum_record_id():
        return
    keys = {_create_cursor_key(event_type) for event_type in DAGSTER_EVENT_TYPES}
    cursors = instance.daemon_cursor_storage
    if not cursors.get_cursor_values(keys):
        cursors.set_cursor_values(dict.fromkeys(keys, "0"))


if __name__ == "__main__":
    with dg.DagsterInstance.get() as _instance:
        prepare(_instance)
