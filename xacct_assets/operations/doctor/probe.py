"""Both directions across the accounts, by doing: an UNLOAD into account A, a COPY in account B.

Everything is written under `_xacct_probe/<random id>/`, which no feed's folder can be, and deleted
by the check that wrote it, also after a failure.
"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from xacct_assets.aws.errors import AwsFailure, InvalidRequest
from xacct_assets.aws.redshift.sql import literal
from xacct_assets.aws.s3.bucket import Bucket
from xacct_assets.operations.deployment.ownership import PROBE
from xacct_assets.operations.doctor.findings import Caution, NotProven

if TYPE_CHECKING:
    from xacct_assets.operations.doctor.installation import Installation

#: Seconds for one statement, so that a cancelled one ends within the time of the check.
_STATEMENT = 4.0
#: Age of a probe that its doctor has given up.
_OLD = timedelta(minutes=10)


def unload(here: Installation) -> str | Caution:
    """The warehouse writes to the export bucket, replaces and deletes; the orchestrator reads it.

    The Data API runs it, as it runs exports: as RoleB, then RoleA, with the database user as
    ExternalId.
    """
    settings = here.settings
    bucket = Bucket(here.aws.client("s3"), settings.export_bucket, settings.account_a)
    folder = f"{PROBE}/{uuid.uuid4().hex}/"
    written = False
    problem: AwsFailure | None = None
    try:
        here.aws.data_api.execute(
            _unload(here, folder, "SELECT 1 AS probe"), name="xacct doctor", timeout=_STATEMENT
        )
        written = True
        keys = _keys(bucket, folder)
        if not keys:
            raise InvalidRequest(f"UNLOAD to {bucket.url(folder)} succeeded and left no file")
        bucket.read(keys[0])
    except AwsFailure as failure:
        problem = failure
    left = _delete(here, bucket, folder, written=written)
    if problem is not None:
        raise problem
    if isinstance(left, AwsFailure):
        raise left
    if left:
        return Caution(
            f"UNLOAD through {settings.role_a_arn} works; {len(left)} probe files are left",
            f"as account A: `aws s3 rm --recursive {bucket.url(PROBE)}/`",
        )
    return (
        f"UNLOAD by {settings.role_b_arn}, then {settings.role_a_arn}, writes, replaces and "
        f"deletes in {bucket.name}"
    )


def _unload(here: Installation, folder: str, query: str) -> str:
    settings = here.settings
    key = here.aws.export_key()
    encrypted = "" if key is None else f" KMS_KEY_ID {literal(key)} ENCRYPTED"
    return (
        f"UNLOAD ({literal(query)}) TO {literal(f's3://{settings.export_bucket}/{folder}')} "
        f"IAM_ROLE {literal(f'{settings.role_b_arn},{settings.role_a_arn}')} "
        f"FORMAT AS PARQUET PARALLEL OFF CLEANPATH{encrypted}"
    )


def _delete(
    here: Installation, bucket: Bucket, folder: str, *, written: bool
) -> list[str] | AwsFailure:
    """Delete the probe, and those of an earlier doctor that could not; what is left, or why.

    The orchestrator has no right to delete exports. CLEANPATH deletes what is under the prefix, and
    a query without rows writes no Parquet file.
    """
    try:
        if not written and not _keys(bucket, folder):
            return []
        for one in (folder, *_old_folders(bucket)):
            here.aws.data_api.execute(
                _unload(here, one, "SELECT 1 AS probe WHERE 1 = 0"),
                name="xacct doctor",
                timeout=_STATEMENT,
            )
        return _keys(bucket, folder)
    except AwsFailure as failure:
        if not _deleted_as_admin(here, folder):
            failure.reason = (
                f"{failure.reason}; {bucket.url(folder)} is left, and deleted by a later doctor"
            )
        return failure


def _old_folders(bucket: Bucket) -> list[str]:
    """Folders of probes that were left; not those of a doctor that runs at this moment."""
    before = datetime.now(UTC) - _OLD
    with bucket.call("s3:ListBucket"):
        answer = bucket.s3.list_objects_v2(
            Bucket=bucket.name, Prefix=f"{PROBE}/", ExpectedBucketOwner=bucket.owner, MaxKeys=20
        )
    old = [item["Key"] for item in answer.get("Contents", []) if item["LastModified"] < before]
    return sorted({key.rpartition("/")[0] + "/" for key in old})[:3]


def _deleted_as_admin(here: Installation, folder: str) -> bool:
    """Where RoleA may not delete, account A's profile does, if there is one."""
    settings = here.settings
    try:
        s3 = here.admin_of_a().client("s3")
        bucket = Bucket(s3, settings.export_bucket, settings.account_a)
        for key in _keys(bucket, folder):
            _remove(bucket, key)
    except (NotProven, AwsFailure):
        return False
    return True


def copy(here: Installation) -> str:
    """The warehouse reads the job's temporary files: a COPY of one row into a temporary table."""
    settings = here.settings
    bucket = Bucket(here.aws.client("s3"), settings.processing_bucket, settings.account_b)
    key = f"glue-tmp/{PROBE}/{uuid.uuid4().hex}/row.csv"
    bucket.put(key, b"1,probe\n")
    try:
        rows = here.aws.warehouse.transaction(lambda connection: _copy(here, connection, key))
    finally:
        _remove(bucket, key)
    if rows != 1:
        raise InvalidRequest(f"COPY of one row from {bucket.url(key)} loaded {rows}")
    return f"COPY by {settings.role_b_arn} reads {bucket.name}"


def _copy(here: Installation, connection: Any, key: str) -> int:
    url = f"s3://{here.settings.processing_bucket}/{key}"
    with connection.cursor() as cursor:
        cursor.execute("CREATE TEMPORARY TABLE xacct_probe (probe INTEGER, word VARCHAR(9))")
        cursor.execute(
            f"COPY xacct_probe FROM {literal(url)} "
            f"IAM_ROLE {literal(here.settings.role_b_arn)} FORMAT AS CSV"
        )
        cursor.execute("SELECT COUNT(*) FROM xacct_probe")
        ((rows,),) = cursor.fetchall()
        cursor.execute("DROP TABLE xacct_probe")
    return int(rows)


def _keys(bucket: Bucket, prefix: str) -> list[str]:
    with bucket.call("s3:ListBucket"):
        answer = bucket.s3.list_objects_v2(
            Bucket=bucket.name, Prefix=prefix, ExpectedBucketOwner=bucket.owner
        )
    return [str(item["Key"]) for item in answer.get("Contents", [])]


def _remove(bucket: Bucket, key: str) -> None:
    with bucket.call("s3:DeleteObject", bucket.arn(key)):
        bucket.s3.delete_object(Bucket=bucket.name, Key=key, ExpectedBucketOwner=bucket.owner)
