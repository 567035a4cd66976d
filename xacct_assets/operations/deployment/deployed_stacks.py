"""Plans and makes the changes of an installation's stacks, in both accounts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from xacct_assets.aws.botocore_errors import aws_call, ignore_codes
from xacct_assets.aws.cloudformation import StackEvent, Stacks
from xacct_assets.aws.polling import suppress_and_log
from xacct_assets.aws.stack_changes import StackChanges, StackResult
from xacct_assets.aws.stack_reading import describe_stack
from xacct_assets.operations.deployment import plan
from xacct_assets.operations.deployment.changes import UNREADABLE, PlannedStack, moves_crawler
from xacct_assets.operations.deployment.ownership import INSTALLATION_TAG, require_ours

if TYPE_CHECKING:
    from mypy_boto3_cloudformation.client import CloudFormationClient

    from xacct_assets.aws.change_sets import ChangeSet
    from xacct_assets.operations.deployment.accounts import Accounts
    from xacct_assets.operations.deployment.plan import Account, StackPlan
    from xacct_assets.operations.deployment.stack_list import StackEntry
    from xacct_assets.settings import Settings


class DeployedStacks:
    """The stacks of one installation.

    Args:
        settings: names of the installation.
        accounts: sessions with deployment rights.
        report: called with a line about each step.
        overrides: template parameters that take precedence over the settings.
    """

    def __init__(
        self,
        settings: Settings,
        accounts: Accounts,
        report: Callable[[str], None],
        overrides: Mapping[str, str],
    ) -> None:
        self._settings = settings
        self._accounts = accounts
        self._report = report
        self._overrides = overrides
        # What was planned and neither made nor discarded, by the stack's name.
        self._open: dict[str, PlannedStack] = {}

    def plan(self, stack: StackPlan) -> PlannedStack:
        """Make the change set of a stack.

        Raises:
            DeployFailed: a stack of this name is not of the installation, or cannot be changed so.
        """
        stack = plan.with_overrides(stack, self._overrides)
        there = describe_stack(self._client(stack.account), stack.name)
        if there is not None:
            require_ours(there, self._settings.suffix)
            self._name_unreadable(stack)
        planned = PlannedStack(stack, self._change_set(stack))
        self._open[stack.name] = planned
        return planned

    def outputs(self, entries: Sequence[StackEntry]) -> dict[str, Mapping[str, str]]:
        """The outputs of the stacks that others need and that are there, by the entry's key."""
        needed = {key for entry in entries for key in entry.needs}
        found = {}
        for entry in entries:
            if entry.key in needed:
                stack = describe_stack(self._client(entry.account), entry.name)
                found[entry.key] = stack.outputs if stack else {}
        return found

    def require_own(self, entries: Sequence[StackEntry]) -> None:
        """Raise before anything is changed if one of the stacks is there and somebody else's.

        Raises:
            DeployFailed: names the stack.
        """
        for entry in entries:
            stack = describe_stack(self._client(entry.account), entry.name)
            if stack is not None:
                require_ours(stack, self._settings.suffix)

    def execute(self, planned: PlannedStack) -> StackResult:
        """Make the changes of a stack, and wait until they are made."""
        name = planned.changes.stack
        crawlers = [change.id for change in planned.changes.changes if moves_crawler(change)]
        if crawlers:
            self._delete_crawlers(planned.account, crawlers)
            self.discard(planned)
            planned = self.plan(planned.plan)
        del self._open[name]
        result = self._changes(planned.account).execute(planned.changes)
        if planned.changes.id is not None:
            self._report(f"stack {name} (account {planned.account.upper()}): {result.change}")
        return result

    def discard(self, planned: PlannedStack) -> None:
        """Delete the change set of a stack that is not to be changed."""
        del self._open[planned.changes.stack]
        self._changes(planned.account).discard(planned.changes)

    def close(self) -> None:
        """Discard everything that was planned and not made."""
        for planned in list(self._open.values()):
            suppress_and_log(
                lambda planned=planned: self.discard(planned),  # type: ignore[misc]
                f"discarding the change set of stack {planned.changes.stack}",
            )

    def _name_unreadable(self, stack: StackPlan) -> None:
        names = [
            f"{logical_id} ({type_})"
            for logical_id, type_ in plan.resource_types(stack.template).items()
            if type_ in UNREADABLE
        ]
        if names:
            self._report(
                f"stack {stack.name}: not compared with reality, since CloudFormation cannot read "
                f"it: {', '.join(names)}"
            )

    def _change_set(self, stack: StackPlan) -> ChangeSet:
        return self._changes(stack.account).plan(
            stack.name,
            stack.template,
            stack.parameters,
            tags={INSTALLATION_TAG: self._settings.suffix},
        )

    def _delete_crawlers(self, account: Account, names: Sequence[str]) -> None:
        """Delete crawlers; the change set that is made afterwards makes them again."""
        glue = self._accounts.sessions[account].client("glue")
        for name in names:
            with (
                ignore_codes("EntityNotFoundException"),
                aws_call(
                    "glue:DeleteCrawler",
                    f"crawler {name}",
                    fix="if it is running, wait until the crawl has ended, then deploy again",
                ),
            ):
                glue.delete_crawler(Name=name)
            self._report(f"crawler {name}: deleted, to be made again for another folder")

    def _client(self, account: Account) -> CloudFormationClient:
        client: CloudFormationClient = self._accounts.sessions[account].client("cloudformation")
        return client

    def _stacks(self, account: Account) -> Stacks:
        return Stacks(self._client(account), on_event=self._report_event)

    def _changes(self, account: Account) -> StackChanges:
        return StackChanges(self._client(account), self._stacks(account))

    def _report_event(self, event: StackEvent) -> None:
        if event.status.endswith("_IN_PROGRESS") and "ROLLBACK" not in event.status:
            return
        reason = f": {event.reason}" if event.reason and "FAILED" in event.status else ""
        self._report(f"  {event.resource} {event.status}{reason}")
