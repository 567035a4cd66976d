"""Keeps requests to the sandbox away from the user's proxy, which cannot reach this machine."""

from __future__ import annotations

from collections.abc import Mapping

from xacct_sandbox.daemon.config import HOST

DIRECT_HOSTS = (HOST, "localhost")
VARIABLES = ("no_proxy", "NO_PROXY")


def direct(environment: Mapping[str, str], others: str = "") -> dict[str, str]:
    """``NO_PROXY`` in both cases: the hosts that the user names, and this machine.

    Clients read either case, and most prefer the lower one; so both have the same value.

    Args:
        environment: with the user's values.
        others: further hosts, separated by commas.
    """
    named = ",".join([*(environment.get(name, "") for name in VARIABLES), others])
    hosts = [host.strip() for host in (*named.split(","), *DIRECT_HOSTS)]
    value = ",".join(dict.fromkeys(host for host in hosts if host))
    return dict.fromkeys(VARIABLES, value)
