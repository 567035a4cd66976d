"""Removes an installation from both accounts: what its stacks created, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from xacct_assets.aws.cloudformation import StackEvent, Stacks
from xacct_assets.aws.errors import AccessDenied, AwsFailure, NotFound
from xacct_assets.aws.redshift.snapshots import take_snapshot
from xacct_assets.aws.s3.bucket import Bucket, BucketContents, ObjectVersion
from xacct_assets.aws.stack_reading import StackResource, describe_stack, stack_resources
from xacct_assets.operations.deployment.accounts import Accounts
from xacct_assets.operations.deployment.adoption import Adoption
from xacct_assets.operations.deployment.job_files import JobFiles
from xacct_assets.operations.deployment.ownership import INSTALLATION_TAG, PROBE, belongs
from xacct_assets.operations.deployment.plan import ACCOUNTS, Account
from xacct_assets.operations.deployment.retired import RetiredFeed, find_retired
from xacct_assets.operations.deployment.stack_contents import (
    BUCKET,
    NAMESPACE,
    describe_resources,
)
from xacct_assets.operations.deployment.stack_list import stack_names

if TYPE_CHECKING:
    from xacct_assets.feed.spec import FeedSpec
    from xacct_assets.settings import Settings

DELETE_FLAG = "--delete-data"


@dataclass(frozen=True)
class RemovedBucket:
    """A bucket that a stack created and that exists.

    Attributes:
        contents: how much is in it.
        goes: whether it is deleted: it has nothing but files of ours, or a flag names it.
        own: number of object versions that are files of ours.
    """

    name: str
    contents: BucketContents
    goes: bool
    own: int = 0


@dataclass(frozen=True)
class RemovedStack:
    """A stack that is deleted, and what it created."""

    account: Account
    name: str
    resources: tuple[StackResource, ...]
    buckets: tuple[RemovedBucket, ...]


@dataclass(frozen=True)
class RemovalPlan:
    """What a removal deletes, and what it leaves.

    Attributes:
        stacks: in the order in which they are deleted.
        namespace: of which a final snapshot is taken; None if there is none to be taken.
        left: what stays, with the reason.
    """

    stacks: list[RemovedStack] = field(default_factory=list)
    namespace: str | None = None
    left: list[str] = field(default_factory=list)


class Removal:
    """Removes one installation: its stacks in reverse order, each after its buckets.

    Feeds that left the settings are part of it. A bucket goes before its stack: afterwards nothing
    would tell that the stack created it. If a removal is interrupted, the next one goes on.

    Args:
        settings: names of the installation.
        feeds: the feeds in the settings.
        report: called with a line about each step.
        delete_data: names of buckets that are deleted with their objects.
        final_snapshot: whether a snapshot of the warehouse is taken before.
        accounts: whose part is removed. The other's needs no credentials.
    """

    def __init__(
        self,
        settings: Settings,
        feeds: Sequence[FeedSpec],
        report: Callable[[str], None],
        *,
        delete_data: Collection[str] = (),
        final_snapshot: bool = True,
        accounts: Sequence[Account] = ACCOUNTS,
    ) -> None:
        self._settings = settings
        self._feeds = feeds
        self._report = report
        self._delete_data = frozenset(delete_data)
        self._final_snapshot = final_snapshot
        self._of = accounts
        self._accounts = Accounts(settings)
        self._adoption = Adoption(settings, self._accounts, report)

    def plan(self) -> RemovalPlan:
        """What a removal would do now. Nothing is changed.

        Raises:
            CredentialsProblem: the credentials of an account are of another one.
            AccessDenied: the stacks cannot be listed, so those of retired feeds are not known.
        """
        for account in self._of:
            self._accounts.verify(account)
        settings = self._settings
        retired = self._retired_feeds() if "b" in self._of else []
        names: list[tuple[Account, str]] = [
            *(("b", feed.stack.name) for feed in retired),
            *reversed(stack_names(settings, self._feeds)),
        ]
        plan = RemovalPlan()
        for account, name in names:
            if account in self._of:
                self._plan_stack(account, name, plan)
        namespaces = [
            resource.id
            for stack in plan.stacks
            for resource in stack.resources
            if resource.type == NAMESPACE and resource.id
        ]
        if self._final_snapshot and namespaces:
            plan = RemovalPlan(plan.stacks, namespaces[0], plan.left)
        self._plan_foreign_buckets(plan)
        plan.left.extend(
            f"the {kind}: it is adopted; only what xacct added to it is taken away"
            for kind in sorted(settings.adopted)
            if not kind.endswith("-bucket") and "b" in self._of
        )
        return plan

    def _retired_feeds(self) -> list[RetiredFeed]:
        client = self._accounts.sessions["b"].client("cloudformation")
        return find_retired(client, self._settings.suffix, self._feeds)

    def _plan_stack(self, account: Account, name: str, plan: RemovalPlan) -> None:
        client = self._accounts.sessions[account].client("cloudformation")
        stack = describe_stack(client, name)
        if stack is None:
            return
        if not belongs(stack, self._settings.suffix):
            plan.left.append(
                f"stack {name}: it has no tag {INSTALLATION_TAG}={self._settings.suffix}, so "
                "somebody else made it"
            )
            return
        resources = tuple(stack_resources(client, name))
        buckets = []
        for resource in resources:
            bucket = self._bucket(account, resource.id)
            if resource.type != BUCKET or not resource.id or not bucket.exists():
                continue
            contents, own = bucket.contents(), len(self._own_files(account, resource.id))
            goes = contents.objects == own or resource.id in self._delete_data
            buckets.append(RemovedBucket(resource.id, contents, goes, own))
            if not goes:
                ours = f" ({own} of them written by xacct itself)" if own else ""
                plan.left.append(
                    f"bucket {resource.id}: it has {contents}{ours}. To delete them with it: "
                    f"{DELETE_FLAG} {resource.id}; afterwards nothing tells that it was made by "
                    "xacct, and `xacct deploy` must adopt it (docs/deploy.md)"
                )
        plan.stacks.append(RemovedStack(account, name, resources, tuple(buckets)))

    def _own_files(self, account: Account, bucket: str) -> list[ObjectVersion]:
        """What `xacct deploy` wrote into a bucket, and what is left of doctor's probes."""
        settings = self._settings
        if account == "b" and bucket == settings.processing_bucket:
            return JobFiles(self._bucket(account, bucket), settings.suffix).versions()
        # The export bucket keeps the versions of what doctor wrote and deleted.
        return list(self._bucket(account, bucket).versions(f"{PROBE}/"))

    def _plan_foreign_buckets(self, plan: RemovalPlan) -> None:
        """Name the buckets in the settings that no stack created."""
        settings = self._settings
        created = {bucket.name for stack in plan.stacks for bucket in stack.buckets}
        named: list[tuple[Account, str, str]] = [
            ("a", "input-bucket", settings.input_bucket),
            ("a", "export-bucket", settings.export_bucket),
            ("b", "processing-bucket", settings.processing_bucket),
        ]
        for account, kind, name in named:
            if account not in self._of:
                continue
            if kind in settings.adopted:
                ours = (
                    "the job's script and libraries are"
                    if account == "b"
                    else "what xacct added to its policy and notifications is"
                )
                plan.left.append(f"bucket {name}: it is adopted; only {ours} taken away")
            elif name not in created and self._bucket(account, name).exists():
                plan.left.append(f"bucket {name}: no stack of this installation created it")

    def describe(self, plan: RemovalPlan) -> list[str]:
        """The lines that tell what goes and what stays."""
        lines = []
        for stack in plan.stacks:
            lines.append(f"stack {stack.name} (account {stack.account.upper()}) is deleted, with:")
            glue = self._accounts.sessions[stack.account].client("glue")
            lines += [f"  - {line}" for line in describe_resources(glue, stack.resources)]
            for bucket in stack.buckets:
                if bucket.goes:
                    only = ", nothing but what xacct wrote itself"
                    is_ours = 0 < bucket.own == bucket.contents.objects
                    lines.append(
                        f"  - bucket {bucket.name}, with {bucket.contents}{only if is_ours else ''}"
                    )
        if plan.namespace:
            lines.append(f"before that, a snapshot of namespace {plan.namespace} is taken")
        lines.append("this stays:")
        lines += [f"  - {line}" for line in plan.left]
        lines.append(
            "  - logs of crawlers and of the warehouse in CloudWatch; Dagster's record of runs (a "
            "final snapshot of its database); snapshots of the warehouse"
        )
        return lines

    def foreign_buckets(self, plan: RemovalPlan) -> list[str]:
        """The buckets named for deletion that exist, and that no stack created."""
        created = {
            resource.id
            for stack in plan.stacks
            for resource in stack.resources
            if resource.type == BUCKET
        }
        return [name for name in sorted(self._delete_data - created) if self._is_there(name)]

    def _is_there(self, name: str) -> bool:
        try:
            return any(self._bucket(account, name).exists() for account in self._of)
        except AccessDenied:
            return True

    def run(self, plan: RemovalPlan) -> list[str]:
        """Remove what is planned; goes on with the other stacks after a failure.

        Returns:
            What could not be removed, with the reason; empty if everything was removed.
        """
        # Before the stacks: the warehouse's login is one of their resources.
        problems = [
            problem
            for account in self._of
            for problem in self._adoption.release(account, self._feeds)
        ]
        no_snapshot: str | None = None
        if plan.namespace:
            no_snapshot = self._attempt("final snapshot", lambda: self._snapshot(plan))
            problems += [no_snapshot] if no_snapshot else []
        stays: list[str] = []
        for stack in plan.stacks:
            has_namespace = any(resource.type == NAMESPACE for resource in stack.resources)
            if has_namespace and no_snapshot:
                found = [f"stack {stack.name}: left, since there is no final snapshot"]
            elif stack.name == self._settings.stack_network and stays:
                # Half of its network would be gone, and what is in it would work no more.
                found = [f"stack {stack.name}: left, since {', '.join(stays)} may be in it"]
            else:
                found = self._remove(stack)
            problems += found
            if found and stack.account == "b":
                stays.append(stack.name)
        return problems

    def _remove(self, stack: RemovedStack) -> list[str]:
        problems = [
            self._attempt(
                f"bucket {bucket.name}",
                lambda bucket=bucket: self._delete_bucket(stack.account, bucket),  # type: ignore[misc]
            )
            for bucket in stack.buckets
            if bucket.goes
        ]
        failed = [problem for problem in problems if problem is not None]
        if failed:
            return [*failed, f"stack {stack.name}: left, since it tells that the bucket is xacct's"]
        problem = self._attempt(
            f"stack {stack.name}", lambda: self._delete_stack(stack.account, stack.name)
        )
        return [] if problem is None else [problem]

    def _attempt(self, resource: str, step: Callable[[], str]) -> str | None:
        """Do a step and report it; the problem if that failed."""
        try:
            outcome = step()
        except AwsFailure as failure:
            self._report(f"{resource}: NOT done: {failure}")
            return f"{resource}: {failure}"
        self._report(f"{resource}: {outcome}")
        return None

    def _snapshot(self, plan: RemovalPlan) -> str:
        namespace = str(plan.namespace)
        name = f"{namespace}-final-{datetime.now(UTC):%Y%m%d-%H%M%S}"
        client = self._accounts.sessions["b"].client("redshift-serverless")
        try:
            take_snapshot(client, namespace, name)
        except NotFound:
            return f"not taken: namespace {namespace} is gone already"
        return f"{name} is taken"

    def _delete_stack(self, account: Account, name: str) -> str:
        client = self._accounts.sessions[account].client("cloudformation")
        removed = Stacks(client, on_event=self._report_event).delete(name)
        return "deleted" if removed else "is gone already"

    def _report_event(self, event: StackEvent) -> None:
        if event.status == "DELETE_FAILED":
            self._report(f"  {event.resource} {event.status}: {event.reason}")

    def _bucket(self, account: Account, name: str) -> Bucket:
        s3 = self._accounts.sessions[account].client("s3")
        return Bucket(s3, name, self._accounts.id_of(account))

    def _delete_bucket(self, account: Account, planned: RemovedBucket) -> str:
        bucket = self._bucket(account, planned.name)
        if planned.name in self._delete_data:
            count = bucket.empty()
        else:
            # S3 itself refuses to delete a bucket that has got other objects since.
            count = bucket.delete_versions(self._own_files(account, planned.name))
        bucket.delete()
        return f"deleted with {count:,} object versions"
