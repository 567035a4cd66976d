"""How long a connection is tried that the network does not let through."""

from __future__ import annotations

import os

from xacct_sandbox.daemon.config import SandboxError

SECONDS_VARIABLE = "XACCT_SANDBOX_UNREACHABLE_SECONDS"
DEFAULT_SECONDS = 1.0


def unreachable_seconds() -> float:
    """How long a connection is tried that is not possible; on AWS it is minutes.

    Raises:
        SandboxError: the variable is no number.
    """
    text = os.environ.get(SECONDS_VARIABLE, "")
    try:
        return float(text or DEFAULT_SECONDS)
    except ValueError:
        raise SandboxError(
            f"{SECONDS_VARIABLE}={text!r} is not a number of seconds, e.g. {DEFAULT_SECONDS}"
        ) from None
