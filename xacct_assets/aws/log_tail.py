"""The log lines of a Glue job run while it runs, within CloudWatch's rate limits.

Glue writes a run's output to the stream named by the run id in ``/aws-glue/jobs/output`` and
``/aws-glue/jobs/error``. GetLogEvents allows 25 requests a second per account and Region; a tail
asks at most twice every few seconds.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

from xacct_assets.aws.errors import AwsFailure, NotFound, aws_call

logger = logging.getLogger(__name__)

GROUPS = ("/aws-glue/jobs/output", "/aws-glue/jobs/error")
INTERVAL = 5.0
#: Lines shown at most; the rest is one click away.
MAX_LINES = 2000
_LAST_PAGES = 20


class LogTail:
    """Shows a run's log lines.

    Args:
        logs: boto3's ``logs`` client.
        run_id: the job run.
        show: called with each line.
    """

    def __init__(
        self,
        logs: Any,
        run_id: str,
        show: Callable[[str], None],
        *,
        groups: tuple[str, ...] = GROUPS,
        interval: float = INTERVAL,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._logs = logs
        self._run_id = run_id
        self._show = show
        self._tokens: dict[str, str | None] = dict.fromkeys(groups)
        self._interval = interval
        self._clock = clock
        self._next = 0.0
        self._shown = 0
        self._off = False

    def poll(self) -> None:
        """Show what is new, unless it was asked for a moment ago."""
        if self._clock() >= self._next:
            self._next = self._clock() + self._interval
            for group in self._tokens:
                self._page(group)

    def finish(self) -> None:
        """Show the rest."""
        for group in self._tokens:
            for _ in range(_LAST_PAGES):
                if not self._page(group):
                    break

    def _page(self, group: str) -> bool:
        """Show one page of a group's lines; False if there was nothing new."""
        if self._off or self._shown >= MAX_LINES:
            return False
        request: dict[str, Any] = {
            "logGroupName": group,
            "logStreamName": self._run_id,
            "startFromHead": True,
        }
        token = self._tokens[group]
        if token:
            request["nextToken"] = token
        try:
            with aws_call("logs:GetLogEvents", f"log group {group}"):
                answer = self._logs.get_log_events(**request)
        except NotFound:
            return False  # the stream appears with its first line
        except AwsFailure as failure:
            # The log is a convenience: its loss is told once and does not fail the work.
            if not failure.retryable:
                self._off = True
                logger.warning("the job's log cannot be shown here: %s", failure)
            return False
        events = answer.get("events", [])
        for event in events:
            if self._shown >= MAX_LINES:
                self._show(f"… more than {MAX_LINES} lines; see the rest in {group}")
                break
            self._show(str(event["message"]).rstrip("\n"))
            self._shown += 1
        moved = answer.get("nextForwardToken") != token
        self._tokens[group] = answer.get("nextForwardToken")
        return bool(events) and moved
