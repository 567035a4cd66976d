"""Whether a feed is deployed: its stack, and its tables and procedure in Redshift."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from xacct_assets.aws.errors import AwsFailure, NotFound

if TYPE_CHECKING:
    from xacct_assets.aws_clients import AwsClients
    from xacct_assets.feed.spec import FeedSpec

DEPLOY = "xacct deploy"


class FeedNotDeployed(NotFound):
    """A feed is not deployed, or in part. The message is one line, with the fix."""

    def __init__(self, feed: FeedSpec, state: str, fix: str = DEPLOY) -> None:
        super().__init__(f"feed {feed.name} is {state}: {fix}", fix=fix)

    def describe(self) -> str:
        """The line."""
        return self.what


def require_stack(feed: FeedSpec, aws: AwsClients) -> str:
    """Require that the feed's stack is there.

    Returns:
        Its status: one of a stack that has its resources.

    Raises:
        FeedNotDeployed: there is no stack, or it is none to work with.
    """
    from xacct_assets.aws.stack_reading import DEAD, describe_stack, is_in_progress

    name = feed.stack_name(aws.settings.suffix)
    stack = describe_stack(aws.client("cloudformation"), name)
    if stack is None:
        raise FeedNotDeployed(feed, "not deployed")
    its_stack = f"its stack {name} is {stack.status}"
    if stack.status in DEAD:
        raise FeedNotDeployed(feed, f"not deployed ({its_stack})")
    if is_in_progress(stack.status) and not stack.status.startswith("UPDATE_"):
        raise FeedNotDeployed(
            feed, f"not deployed ({its_stack})", f"wait for its end, then {DEPLOY}"
        )
    if stack.status == "DELETE_FAILED":
        delete = f"aws cloudformation delete-stack --stack-name {name}"
        raise FeedNotDeployed(feed, f"deployed in part ({its_stack})", f"{delete}, then {DEPLOY}")
    return stack.status


def require_tables(feed: FeedSpec, aws: AwsClients) -> None:
    """Require the feed's tables and procedure in Redshift.

    Raises:
        FeedNotDeployed: naming those that are not there.
    """
    from xacct_assets.aws.redshift.sql import load_statement

    tables = feed.warehouse
    wanted = [
        *(("table", name) for name in (tables.staging, tables.fact, tables.load_audit)),
        ("procedure", tables.procedure),
    ]
    parameters = [part for _, name in wanted for part in name.split(".")]
    sql = load_statement("xacct_assets.feed", "warehouse_objects")
    rows = aws.warehouse.query(sql, parameters)
    found = {(row["kind"], f"{row['schema_name']}.{row['name']}") for row in rows}
    missing = [f"{kind} {name}" for kind, name in wanted if (kind, name) not in found]
    if missing:
        raise FeedNotDeployed(feed, f"deployed in part (there is no {', no '.join(missing)})")


@contextmanager
def naming_what_is_not_deployed(feed: FeedSpec, aws: AwsClients) -> Iterator[None]:
    """Context manager: a failure because the feed is not deployed leaves it as `FeedNotDeployed`.

    The deployment is looked at only after something was not found.
    """
    try:
        yield
    except FeedNotDeployed:
        raise
    except AwsFailure as failure:
        cause = _cause(feed, aws, failure)
        if cause is None:
            raise
        raise cause from failure


def _cause(feed: FeedSpec, aws: AwsClients, failure: AwsFailure) -> FeedNotDeployed | None:
    if not isinstance(failure, NotFound) and "does not exist" not in (failure.reason or ""):
        return None
    for require in (require_stack, require_tables):
        try:
            require(feed, aws)
        except FeedNotDeployed as cause:
            return cause
        except AwsFailure:
            # What cannot be looked at explains nothing; the failure itself is reported.
            continue
    suffix = aws.settings.suffix
    for resource in (f"crawler {feed.crawler_name(suffix)}", f"job {feed.job_name(suffix)}"):
        if isinstance(failure, NotFound) and failure.resource == resource:
            stack = feed.stack_name(suffix)
            return FeedNotDeployed(
                feed,
                f"deployed in part (its stack {stack} is there, its {resource} is not)",
                f"aws cloudformation delete-stack --stack-name {stack}, then {DEPLOY}",
            )
    return None
