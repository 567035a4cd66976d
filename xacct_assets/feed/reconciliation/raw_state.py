"""Whether the raw files that a day was loaded from are still there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from xacct_assets.feed.advice import LAND_AND_LOAD

if TYPE_CHECKING:
    from xacct_assets.feed.reconciliation.load_audit import LoadAuditEntry
    from xacct_assets.feed.retention import Retention

#: "none": nothing has landed, as far as is known. "gone": the day was loaded, and no file is left.
#: "partly gone": the retention is over, and fewer rows are left than were loaded.
RawState = Literal["there", "none", "gone", "partly gone"]


def raw_state(
    files: int, rows: int, load_audit: LoadAuditEntry | None, retention: Retention
) -> RawState:
    """The state of a day's raw files.

    Args:
        files: the day's files.
        rows: rows in them.
        load_audit: the day's last load; it tells files that are gone from files that never landed.
    """
    if load_audit is None:
        return "there" if files else "none"
    if not files:
        return "gone"
    if retention.is_over and rows < load_audit.rows_loaded:
        return "partly gone"
    return "there"


def refusal(
    files: int, rows: int, load_audit: LoadAuditEntry | None, retention: Retention
) -> str | None:
    """Why the day must not be loaded from the files that are there; None if nothing is gone."""
    state = raw_state(files, rows, load_audit, retention)
    if load_audit is None or state in ("there", "none"):
        return None
    loaded = f"{load_audit.rows_loaded} rows were loaded from them"
    if load_audit.loaded_at is not None:
        loaded += f" on {load_audit.loaded_at:%Y-%m-%d at %H:%M:%S} UTC"
    if state == "gone":
        left = "none of them is there any more"
        choice = ""
    else:
        left = f"source.retention_days ({retention.days}) is over, and those left hold {rows} rows"
        choice = "; to load only what is left, raise source.retention_days"
    return (
        f"the day's raw files are gone: {loaded}, and {left}. What was loaded and exported stays "
        f"as it is. To load the day again, {LAND_AND_LOAD}{choice}."
    )
