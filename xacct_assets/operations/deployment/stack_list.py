"""The stacks of an installation, in the order in which they are made.

`xacct deploy` walks the list, and `xacct destroy` walks it backwards. A stack is planned from what
the stacks before it give (their outputs).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from xacct_assets.operations.deployment import plan
from xacct_assets.operations.deployment.plan import NOTHING_ADOPTED, Account, StackPlan

if TYPE_CHECKING:
    from xacct_assets.feed.spec import FeedSpec
    from xacct_assets.operations.deployment.adopted import Adopted
    from xacct_assets.settings import Settings

Outputs = Mapping[str, Mapping[str, str]]
"""The outputs of stacks, by the key of their entry."""

NETWORK, ACCOUNT_B, ACCOUNT_A = "network", "account-b", "account-a"
ORCHESTRATOR = "orchestrator"


@dataclass(frozen=True)
class StackEntry:
    """A stack that an installation has.

    Attributes:
        key: names the entry.
        account: of the stack.
        name: of the stack.
        make: plans it from the outputs of the stacks before it.
        needs: the outputs that ``make`` reads, by the key of their entry.
    """

    key: str
    account: Account
    name: str
    make: Callable[[Outputs], StackPlan]
    needs: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def can_be_planned(self, outputs: Outputs) -> bool:
        """Whether everything that it needs is there."""
        return all(
            name in outputs.get(key, {}) for key, names in self.needs.items() for name in names
        )


def entries(
    settings: Settings,
    root: Path,
    feeds: Sequence[FeedSpec],
    adopted: Adopted = NOTHING_ADOPTED,
) -> list[StackEntry]:
    """The stacks that are deployed, in order.

    Args:
        settings: of the installation.
        root: the folder with ``infra/``.
        feeds: of the installation.
        adopted: what exists in account B and is adopted.
    """
    stacks = []
    network: dict[str, Sequence[str]] = {}
    if settings.network == "create":
        network = {NETWORK: plan.OUTPUTS_NETWORK}
        stacks.append(
            StackEntry(NETWORK, "b", settings.stack_network, lambda _: plan.network(settings, root))
        )
    stacks += [
        StackEntry(
            ACCOUNT_B,
            "b",
            settings.stack_b,
            lambda outputs: plan.account_b(
                settings, root, adopted, outputs.get(NETWORK, {}), feeds
            ),
            network,
        ),
        StackEntry(
            ACCOUNT_A,
            "a",
            settings.stack_a,
            lambda outputs: plan.account_a(settings, root, outputs.get(ACCOUNT_B, {}), feeds),
            {ACCOUNT_B: plan.OUTPUTS_B},
        ),
    ]
    stacks += [
        StackEntry(
            f"feed-{feed.name}",
            "b",
            feed.stack_name(settings.suffix),
            partial(_feed_stack, settings, root, feed),
            {ACCOUNT_B: plan.OUTPUTS_B},
        )
        for feed in feeds
    ]
    if settings.orchestrator == "create":
        # Last: it runs what the others made.
        needs = {ACCOUNT_B: tuple(plan.B_OF_ORCHESTRATOR.values())}
        placed = tuple(plan.NETWORK_OF_ORCHESTRATOR.values())
        stacks.append(
            StackEntry(
                ORCHESTRATOR,
                "b",
                settings.stack_orchestrator,
                lambda outputs: plan.orchestrator(
                    settings, root, outputs[ACCOUNT_B], outputs.get(NETWORK, {})
                ),
                {**needs, NETWORK: placed} if network else needs,
            )
        )
    return stacks


def _feed_stack(settings: Settings, root: Path, feed: FeedSpec, outputs: Outputs) -> StackPlan:
    return plan.feed_stack(settings, root, feed, outputs[ACCOUNT_B])


def stack_names(settings: Settings, feeds: Sequence[FeedSpec]) -> list[tuple[Account, str]]:
    """Account and name of every stack that an installation may have, in order.

    Also of those that the settings do not ask for now: they may be there from before.
    """
    return [
        ("b", settings.stack_network),
        ("b", settings.stack_b),
        ("a", settings.stack_a),
        *(("b", feed.stack_name(settings.suffix)) for feed in feeds),
        ("b", settings.stack_orchestrator),
    ]
