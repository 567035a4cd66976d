"""`xacct destroy`: takes everything out of both accounts again, data included."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from xacct_assets.aws.cloudformation import StackEvent, Stacks
from xacct_assets.aws.errors import AwsFailure
from xacct_assets.aws.s3.bucket import Bucket
from xacct_assets.operations.deployment.accounts import Accounts
from xacct_assets.operations.deployment.plan import Account

if TYPE_CHECKING:
    from xacct_assets.feed.spec import FeedSpec
    from xacct_assets.settings import Settings


class Removal:
    """Removes one installation: stacks in reverse order, then the buckets with all they hold.

    The buckets are retained by their stacks, so that a deleted stack never takes data along; here
    they are emptied and deleted by name.
    """

    def __init__(
        self, settings: Settings, feeds: Sequence[FeedSpec], say: Callable[[str], None]
    ) -> None:
        self._settings = settings
        self._feeds = feeds
        self._say = say
        self._accounts = Accounts(settings)

    def run(self) -> list[str]:
        """Remove everything; what could not be removed, and why. Goes on after a failure."""
        for account in ("a", "b"):
            self._accounts.prove(account)  # type: ignore[arg-type]
        left: list[str] = []
        suffix = self._settings.suffix
        stacks: list[tuple[Account, str]] = [
            *(("b", feed.stack_name(suffix)) for feed in reversed(self._feeds)),
            ("a", self._settings.stack_a),
            ("b", self._settings.stack_b),
        ]
        for account, name in stacks:
            self._attempt(lambda a=account, n=name: self._stack(a, n), f"stack {name}", left)
        for account, bucket in (
            ("b", self._settings.processing_bucket),
            ("a", self._settings.export_bucket),
            ("a", self._settings.input_bucket),
        ):
            self._attempt(
                lambda a=account, b=bucket: self._bucket(a, b),  # type: ignore[misc]
                f"bucket {bucket}",
                left,
            )
        return left

    def _attempt(self, work: Callable[[], None], what: str, left: list[str]) -> None:
        try:
            work()
        except AwsFailure as failure:
            left.append(f"{what}: {failure}")
            self._say(f"{what}: NOT removed: {failure}")

    def _stack(self, account: Account, name: str) -> None:
        client = self._accounts.sessions[account].client("cloudformation")
        removed = Stacks(client, on_event=self._show).delete(name)
        self._say(f"stack {name}: {'deleted' if removed else 'not there'}")

    def _show(self, event: StackEvent) -> None:
        if event.status == "DELETE_FAILED":
            self._say(f"  {event.resource} {event.status}: {event.reason}")

    def _bucket(self, account: Account, name: str) -> None:
        s3 = self._accounts.sessions[account].client("s3")
        bucket = Bucket(s3, name, self._accounts.id_of(account))
        if not bucket.exists():
            self._say(f"bucket {name}: not there")
            return
        count = bucket.empty()
        bucket.delete()
        self._say(f"bucket {name}: deleted with {count} object versions")
