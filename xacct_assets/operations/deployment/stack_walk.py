"""Makes the stacks of a list in order: each is shown and agreed to before it is changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from xacct_assets.operations.deployment.stack_list import StackEntry

if TYPE_CHECKING:
    from xacct_assets.aws.stack_changes import StackResult
    from xacct_assets.operations.deployment.changes import PlannedStack
    from xacct_assets.operations.deployment.deployed_stacks import DeployedStacks
    from xacct_assets.operations.deployment.plan import StackPlan


class Agree(Protocol):
    """Shows the changes, and asks whether to make them."""

    def __call__(self, stacks: Sequence[PlannedStack], *, asked_for_new: bool) -> bool: ...


class StackWalk:
    """The stacks of a deployment on their way.

    Everything that can be planned is planned, shown and agreed to before the first change. A stack
    that needs what another one gives is planned once that is there, and again if it changed.

    Args:
        entries: in order.
        outputs: of the stacks that are there, by the key of their entry.
        stacks: plans and changes them.
        report: called with a line about each step.
        agree: asked before anything is changed.
    """

    def __init__(
        self,
        entries: Sequence[StackEntry],
        outputs: Mapping[str, Mapping[str, str]],
        stacks: DeployedStacks,
        report: Callable[[str], None],
        agree: Agree,
    ) -> None:
        self._entries = list(entries)
        self._outputs = dict(outputs)
        self._stacks = stacks
        self._report = report
        self._agree = agree
        # What was planned and not made yet, by the key of its entry.
        self._plans: dict[str, StackPlan] = {}
        self._planned: dict[str, PlannedStack] = {}

    def run(self, make: Callable[[StackEntry, PlannedStack], StackResult]) -> bool:
        """Make every stack with ``make``.

        Returns:
            Whether all changes were agreed to.
        """
        self._stacks.require_own(self._entries)
        if not self._plan(self._entries, asked_for_new=False):
            return False
        for number, entry in enumerate(self._entries, 1):
            if entry.key not in self._planned:
                entry.make(self._outputs)  # raises: what it needs is not there
            result = make(entry, self._planned.pop(entry.key))
            self._outputs[entry.key] = result.outputs
            if not self._plan(self._entries[number:], asked_for_new=True):
                return False
        return True

    def _plan(self, entries: Sequence[StackEntry], *, asked_for_new: bool) -> bool:
        """Plan those that can be and are not planned as they are wanted now; ask about them."""
        fresh = []
        for entry in entries:
            if not entry.can_be_planned(self._outputs):
                continue
            wanted = entry.make(self._outputs)
            if wanted == self._plans.get(entry.key):
                continue
            if entry.key in self._planned:
                self._stacks.discard(self._planned[entry.key])
            self._plans[entry.key] = wanted
            self._planned[entry.key] = self._stacks.plan(wanted)
            fresh.append(self._planned[entry.key])
        later = [entry.name for entry in entries if entry.key not in self._planned]
        if later and not asked_for_new:
            self._report(f"planned when what they need is there: {', '.join(later)}")
        return not fresh or self._agree(fresh, asked_for_new=asked_for_new)
