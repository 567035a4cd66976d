"""Removes what `xacct deploy` made for a feed that left the settings."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from xacct_assets.aws.cloudformation import StackEvent, Stacks
from xacct_assets.aws.stack_reading import stack_resources
from xacct_assets.contract.reject_manifest import feed_prefix
from xacct_assets.operations.deployment.stack_contents import describe_resources

if TYPE_CHECKING:
    from xacct_assets.aws.sessions import Sessions
    from xacct_assets.operations.deployment.retired import RetiredFeed


class Retirement:
    """Removes the stack of one retired feed.

    Args:
        feed: found by `find_retired`.
        sessions: with deployment rights in account B.
    """

    def __init__(self, feed: RetiredFeed, sessions: Sessions) -> None:
        self._feed = feed
        self._cloudformation = sessions.client("cloudformation")
        self._glue = sessions.client("glue")

    def goes(self) -> list[str]:
        """What the stack has, and what will be deleted with it."""
        resources = stack_resources(self._cloudformation, self._feed.stack.name)
        return [*describe_resources(self._glue, resources), f"stack {self._feed.stack.name}"]

    def stays(self) -> list[str]:
        """What the feed has left elsewhere."""
        name, stack = self._feed.name, self._feed.stack
        bucket, prefix = (stack.parameters.get(key) for key in ("InputBucket", "InputPrefix"))
        working_bucket = stack.parameters.get("ProcessingBucket")
        # A stack that an older version deployed has no such output.
        exports = stack.outputs.get("ExportLocation", "in the export bucket of account A")
        tables = stack.outputs.get("WarehouseObjects", "the feed's tables and procedure")
        return [
            f"raw files: s3://{bucket}/{prefix}/",
            f"exports: {exports}",
            f"in Redshift, with all rows: {tables}, and the feed's rows in the load audit table",
            f"rejected rows: s3://{working_bucket}/{feed_prefix(name)}",
            f"temporary files, until they expire: s3://{working_bucket}/glue-tmp/{name}/",
            "Dagster's record of the feed's runs; the logs of its crawls in CloudWatch",
        ]

    def run(self, report: Callable[[str], None]) -> None:
        """Delete the stack and wait; continues what an earlier attempt left.

        Raises:
            DeployFailed: naming what could not be deleted, and why.
        """

        def show(event: StackEvent) -> None:
            if event.status in ("DELETE_COMPLETE", "DELETE_FAILED"):
                reason = f": {event.reason}" if event.reason else ""
                report(f"  {event.resource} {event.status}{reason}")

        name = self._feed.stack.name
        removed = Stacks(self._cloudformation, on_event=show).delete(name)
        report(f"stack {name}: {'deleted' if removed else 'is gone already'}")
