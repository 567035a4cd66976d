"""Snapshots of Redshift Serverless namespaces."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from xacct_assets.aws.botocore_errors import aws_call
from xacct_assets.aws.errors import DeployFailed
from xacct_assets.aws.polling import Backoff, Waiter

if TYPE_CHECKING:
    from mypy_boto3_redshift_serverless.client import RedshiftServerlessClient

TIMEOUT = 4 * 3600.0
BACKOFF = Backoff(first=0.2, factor=1.5, cap=30.0)


def take_snapshot(
    client: RedshiftServerlessClient,
    namespace: str,
    name: str,
    *,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Take a snapshot of a namespace, and wait until it can be restored.

    A snapshot stays when its namespace is deleted (Redshift management guide, "Snapshots and
    recovery points").

    Args:
        client: boto3's ``redshift-serverless`` client.
        namespace: what to take a snapshot of.
        name: of the snapshot.
        sleep, clock: for tests.

    Raises:
        NotFound: there is no such namespace.
        DeployFailed: the snapshot failed.
    """
    with aws_call("redshift-serverless:CreateSnapshot", f"namespace {namespace}"):
        client.create_snapshot(namespaceName=namespace, snapshotName=name)

    def ended() -> str | None:
        with aws_call("redshift-serverless:GetSnapshot", f"snapshot {name}"):
            status = str(client.get_snapshot(snapshotName=name)["snapshot"].get("status", ""))
        return None if status == "CREATING" else status

    status = Waiter(BACKOFF, sleep=sleep, clock=clock).until(
        ended, what=f"snapshot {name} to be available", timeout=TIMEOUT
    )
    if status != "AVAILABLE":
        raise DeployFailed(
            f"the snapshot {name} of namespace {namespace} was not taken",
            reason=f"its status is {status}",
            fix="try again; without a snapshot: xacct destroy --no-final-snapshot",
        )
