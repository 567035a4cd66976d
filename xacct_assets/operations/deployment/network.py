"""Refuses a deployment that would take the warehouse out of the network that it is in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from xacct_assets.aws.errors import DeployFailed
from xacct_assets.aws.stack_reading import describe_stack
from xacct_assets.operations.deployment.plan import NETWORK_OF_B

if TYPE_CHECKING:
    from xacct_assets.aws.sessions import Sessions
    from xacct_assets.settings import Settings


def require_one_network(
    settings: Settings, sessions: Sessions, overrides: Mapping[str, str]
) -> None:
    """Raise if a network is to be made, and ids of another one are given or deployed.

    Args:
        settings: of the installation.
        sessions: with deployment rights in account B.
        overrides: the template parameters of the command.

    Raises:
        DeployFailed: names the ids, and the setting.
    """
    if settings.network != "create":
        return
    given = [name for name in NETWORK_OF_B if overrides.get(name)]
    if given:
        raise DeployFailed(
            f"{', '.join(given)} would place the warehouse elsewhere than in the network that is "
            "made",
            reason="XACCT_NETWORK is create, its default",
            fix="set XACCT_NETWORK=own in .env, to use a network of your own; or leave out the "
            "parameters",
        )
    client = sessions.client("cloudformation")
    if describe_stack(client, settings.stack_network) is not None:
        return
    stack = describe_stack(client, settings.stack_b)
    kept = {name: stack.parameters.get(name) for name in NETWORK_OF_B} if stack else {}
    if any(kept.values()):
        ids = ", ".join(f"{name}={value}" for name, value in kept.items() if value)
        raise DeployFailed(
            "this installation is in a network of your own",
            reason=f"stack {settings.stack_b} has {ids}; with XACCT_NETWORK=create, its default, "
            "the warehouse would move into a network that is made",
            fix="set XACCT_NETWORK=own in .env",
        )
