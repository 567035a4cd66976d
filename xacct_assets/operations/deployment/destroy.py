"""Removes an installation from both accounts, with its data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from xacct_assets.aws.cloudformation import StackEvent, Stacks
from xacct_assets.aws.errors import AwsFailure
from xacct_assets.aws.s3.bucket import Bucket
from xacct_assets.operations.deployment.accounts import Accounts
from xacct_assets.operations.deployment.plan import ACCOUNTS, Account
from xacct_assets.operations.deployment.retired import find_retired

if TYPE_CHECKING:
    from xacct_assets.feed.spec import FeedSpec
    from xacct_assets.settings import Settings


class Removal:
    """Removes one installation: its stacks in reverse order, then its buckets.

    Feeds that left the settings are part of it.

    Deleting a stack retains its buckets, so that data is never lost with a stack. Here the buckets
    are emptied and deleted by name.

    Args:
        report: called with a line about each step.
    """

    def __init__(
        self, settings: Settings, feeds: Sequence[FeedSpec], report: Callable[[str], None]
    ) -> None:
        self._settings = settings
        self._feeds = feeds
        self._report = report
        self._accounts = Accounts(settings)

    def run(self) -> list[str]:
        """Remove everything; goes on after a failure.

        Returns:
            What could not be removed, with the reason; empty if everything was removed.

        Raises:
            CredentialsProblem: the credentials of an account are of another one.
            AccessDenied: the stacks cannot be listed, so those of retired feeds are not known.
        """
        for account in ACCOUNTS:
            self._accounts.verify(account)
        settings = self._settings
        client = self._accounts.sessions["b"].client("cloudformation")
        retired = find_retired(client, settings.suffix, self._feeds)
        stacks: list[tuple[Account, str]] = [
            *(("b", feed.stack.name) for feed in retired),
            *(("b", feed.stack_name(settings.suffix)) for feed in reversed(self._feeds)),
            ("a", settings.stack_a),
            ("b", settings.stack_b),
        ]
        bucket_names: list[tuple[Account, str]] = [
            ("b", settings.processing_bucket),
            ("a", settings.export_bucket),
            ("a", settings.input_bucket),
        ]
        problems = [
            self._attempt(f"stack {name}", self._delete_stack, account, name)
            for account, name in stacks
        ]
        problems += [
            self._attempt(f"bucket {name}", self._delete_bucket, account, name)
            for account, name in bucket_names
        ]
        return [problem for problem in problems if problem is not None]

    def _attempt(
        self, resource: str, delete: Callable[[Account, str], str], account: Account, name: str
    ) -> str | None:
        """Delete a resource and report it; the problem if that failed."""
        try:
            outcome = delete(account, name)
        except AwsFailure as failure:
            self._report(f"{resource}: NOT removed: {failure}")
            return f"{resource}: {failure}"
        self._report(f"{resource}: {outcome}")
        return None

    def _delete_stack(self, account: Account, name: str) -> str:
        client = self._accounts.sessions[account].client("cloudformation")
        removed = Stacks(client, on_event=self._report_event).delete(name)
        return "deleted" if removed else "does not exist"

    def _report_event(self, event: StackEvent) -> None:
        if event.status == "DELETE_FAILED":
            self._report(f"  {event.resource} {event.status}: {event.reason}")

    def _delete_bucket(self, account: Account, name: str) -> str:
        s3 = self._accounts.sessions[account].client("s3")
        bucket = Bucket(s3, name, self._accounts.id_of(account))
        if not bucket.exists():
            return "does not exist"
        count = bucket.empty()
        bucket.delete()
        return f"deleted with {count} object versions"
