"""The log lines of a Glue job run while it runs, within CloudWatch's rate limits.

Glue writes a run's output to the stream named by the run id in ``/aws-glue/jobs/output`` and
``/aws-glue/jobs/error``. GetLogEvents allows 25 requests a second per account and Region; a tail
asks twice every twenty seconds.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from xacct_assets.aws.botocore_errors import aws_call
from xacct_assets.aws.errors import AwsFailure, NotFound

logger = logging.getLogger(__name__)

GROUPS = ("/aws-glue/jobs/output", "/aws-glue/jobs/error")
#: Seconds between two looks, and before the first one.
INTERVAL = 20.0
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
    ) -> None:
        self._logs = logs
        self._run_id = run_id
        self._show = show
        self._tokens: dict[str, str | None] = dict.fromkeys(groups)
        self._interval = interval
        self._slept = 0.0
        self._shown = 0
        self._off = False

    @property
    def is_begun(self) -> bool:
        """Whether anything was asked for yet."""
        return self._slept >= self._interval

    def while_sleeping(self, sleep: Callable[[float], None]) -> Callable[[float], None]:
        """A sleep that shows what is new every interval, however long or short the sleeps are."""

        def sleep_and_show(seconds: float) -> None:
            left = seconds
            while left > 0:
                until_next = self._interval - self._slept % self._interval
                piece = min(left, until_next)
                sleep(piece)
                self._slept += piece
                left -= piece
                if piece == until_next:
                    self.poll()

        return sleep_and_show

    def poll(self) -> None:
        """Show what is new: a page of each group."""
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
