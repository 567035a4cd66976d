"""Services of AWS that a job's network does not reach: a client's calls time out there."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import botocore.session
from botocore.exceptions import ConnectTimeoutError


def cut_off(session: botocore.session.Session, services: Sequence[str], seconds: float) -> None:
    """Have calls to these services end as botocore shows a connection that nobody answers.

    Args:
        session: whose clients are cut off.
        services: botocore's names, e.g. ``secrets-manager``.
        seconds: how long each attempt takes; on AWS a minute.
    """
    for service in services:
        host = f"{service.replace('-', '')}.{session.get_config_variable('region')}"
        address = f"https://{host}.amazonaws.com/"

        def time_out(*, address: str = address, **_request: Any) -> None:
            time.sleep(seconds)
            raise ConnectTimeoutError(endpoint_url=address)

        session.register(f"before-send.{service}", time_out)
