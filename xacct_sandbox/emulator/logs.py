"""Writes to CloudWatch Logs as a service."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from xacct_sandbox.emulator.loader import booted
from xacct_sandbox.service_errors import ServiceError


def write_log(group: str, stream: str, messages: list[str]) -> None:
    """Appends events to a log stream of the current account; creates group and stream.

    Args:
        group: name of the log group.
        stream: name of the log stream.
        messages: one per event.

    Raises:
        ServiceError: a name is malformed.
    """
    if not messages:
        return
    emulator = booted()
    logs, now = emulator.logs, int(time.time() * 1000)
    with emulator.logs_lock:
        if group not in logs._log_groups:
            _call_logs(logs._create_log_group, {"logGroupName": group})
        if stream not in logs._log_groups[group]["streams"]:
            _call_logs(logs._create_log_stream, {"logGroupName": group, "logStreamName": stream})
        events = [{"timestamp": now, "message": message} for message in messages]
        _call_logs(
            logs._put_log_events,
            {"logGroupName": group, "logStreamName": stream, "logEvents": events},
        )
    emulator.snapshots.mark(["cloudwatch_logs"])


def _call_logs(operation: Callable[[dict[str, Any]], Any], request: dict[str, Any]) -> None:
    status, _, body = operation(request)
    if status >= 400:
        document = json.loads(body)
        raise ServiceError(document["__type"], document.get("message", ""), status)
