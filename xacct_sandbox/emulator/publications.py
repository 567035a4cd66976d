"""Keeps what was published to topics, so that a person can read it: `xacct-sandbox alerts`."""

from __future__ import annotations

import time
from typing import Any

from xacct_sandbox.emulator.loader import Emulator
from xacct_sandbox.emulator.requests import acting_in
from xacct_sandbox.emulator.state import scoped_state

CAPACITY = 500
"""Messages that are kept of each topic, the newest."""

_STATE = "publications"


def patch_publications(emulator: Emulator) -> None:
    """Installs the patch of this module."""
    fan_out = emulator.sns._fanout

    def kept(
        topic_arn: str,
        message_id: str,
        message: str,
        subject: str,
        structure: str = "",
        attributes: dict[str, Any] | None = None,
        *rest: Any,
        **named: Any,
    ) -> None:
        _, _, _, region, account, _ = topic_arn.split(":")
        publication = {
            "at": time.time(),
            "subject": subject,
            "message": message,
            "attributes": {
                name: value.get("StringValue", "") for name, value in (attributes or {}).items()
            },
        }
        with acting_in(account, region):
            state = scoped_state(_STATE)
            state[topic_arn] = [*(state.get(topic_arn) or []), publication][-CAPACITY:]
        fan_out(topic_arn, message_id, message, subject, structure, attributes, *rest, **named)

    emulator.sns._fanout = kept


def publications(topic_arn: str) -> list[dict[str, Any]]:
    """What was published to a topic, the oldest first.

    Returns:
        Each with ``at`` (seconds since the epoch), ``subject``, ``message`` and ``attributes``.
    """
    _, _, _, region, account, _ = topic_arn.split(":")
    with acting_in(account, region):
        return list(scoped_state(_STATE).get(topic_arn) or [])
