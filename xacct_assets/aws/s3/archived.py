"""Archived objects: S3 lists them and refuses to read them until they have been restored.

Facts about AWS (S3 User Guide, "Working with archived objects" and "Restoring an archived object";
S3 API reference, RestoreStatus and InvalidObjectState):

- GLACIER and DEEP_ARCHIVE are archives. GLACIER_IR, STANDARD_IA, ONEZONE_IA and
  REDUCED_REDUNDANCY are read like STANDARD.
- A listing shows the storage class, and whether a temporary copy is there if RestoreStatus is asked
  for. The storage class stays as it is while the copy is there.
- INTELLIGENT_TIERING has two archive tiers. A listing does not show the tier; only reading tells
  (InvalidObjectState, with AccessTier). A restore moves the object to the tier for frequent access,
  so it takes no number of days.

aws-claims: s3-archived-object
"""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import ObjectTypeDef

ARCHIVE_CLASSES = frozenset({"GLACIER", "DEEP_ARCHIVE"})
#: Days for which the advised command keeps the restored copy: time enough to load it.
RESTORE_DAYS = 7


def archive_of(item: ObjectTypeDef) -> str | None:
    """The storage class in which a listed object is archived; None if it can be read.

    The listing must have asked for RestoreStatus.
    """
    storage_class = item.get("StorageClass")
    if storage_class not in ARCHIVE_CLASSES:
        return None
    status = item.get("RestoreStatus", {})
    has_copy = "RestoreExpiryDate" in status and not status.get("IsRestoreInProgress")
    return None if has_copy else storage_class


def is_being_restored(item: ObjectTypeDef) -> bool:
    """Whether the restore of a listed object is under way."""
    return bool(item.get("RestoreStatus", {}).get("IsRestoreInProgress"))


def describe_archived(
    bucket: str, key: str, archive: str, account: str, *, is_being_restored: bool = False
) -> str:
    """Why an archived file cannot be loaded, and the command that restores it.

    Args:
        bucket: of the file.
        key: of the file.
        archive: storage class, or ``INTELLIGENT_TIERING, …`` with the tier.
        account: the account that owns the bucket and may restore the file.
        is_being_restored: whether the restore is under way.
    """
    subject = f"--bucket {shlex.quote(bucket)} --key {shlex.quote(key)}"
    if is_being_restored:
        return (
            f"archived in {archive}, and being restored: materialize the day again once `aws s3api "
            f'head-object {subject}` shows ongoing-request="false"'
        )
    request: dict[str, Any] = {"GlacierJobParameters": {"Tier": "Standard"}}
    if archive in ARCHIVE_CLASSES:
        request = {"Days": RESTORE_DAYS, **request}
    return (
        f"archived in {archive}: restore it as account {account}, `aws s3api restore-object "
        f"{subject} --restore-request '{json.dumps(request, separators=(',', ':'))}'`, then "
        "materialize the day again once it can be read (hours later)"
    )
