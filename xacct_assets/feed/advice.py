"""What to do about a day, in the same words in runs, checks and `xacct reconcile`.

Each is the end of a message: a clause without a full stop.
"""

from __future__ import annotations

LOAD = "materialize the day from raw_partition on"
#: The files changed, so that the sensor requests the day too.
LOAD_CHANGED_FILES = f"{LOAD} (the arrival sensor does so by itself)"
#: Without its raw files a day can be transformed and exported, but not loaded.
LAND_AND_LOAD = (
    "land all of its files again (the supplier, a backup or an older S3 version may have them), "
    f"then {LOAD}"
)
TRANSFORM = "materialize the day from fact_table on"
EXPORT = "materialize s3_export of the day again"


def load_again(*, has_files: bool) -> str:
    """How to load a day again.

    Args:
        has_files: whether its raw files are there.
    """
    return LOAD if has_files else f"its raw files are not there: {LAND_AND_LOAD}"


def mend_fact(*, has_files: bool) -> str:
    """What to do if the fact table does not hold the rows that were loaded."""
    return (
        "rows were changed by hand, or the procedure loses or doubles some; "
        f"{load_again(has_files=has_files)}. If that does not help, correct the procedure"
    )


def files_changed(when: str) -> str:
    """The message about a day whose raw files changed.

    Args:
        when: e.g. "since they were loaded".
    """
    return f"the raw files changed {when}; {LOAD_CHANGED_FILES}"


def files_deleted(when: str) -> str:
    """The message about a day all of whose raw files were deleted.

    Args:
        when: e.g. "since raw_partition listed them".
    """
    return (
        f"all raw files were deleted {when}. What was loaded earlier can still be transformed and "
        f"exported; to load the day again, {LAND_AND_LOAD}"
    )
