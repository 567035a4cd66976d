"""Shows the log lines of a Glue job run while it runs, within CloudWatch's rate limits.

Glue writes a run's output to the stream named by the run id in two log groups, ``<prefix>/output``
and ``<prefix>/error``. GetLogEvents allows 25 requests a second per account and Region; a tail
makes two every twenty seconds.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from xacct_assets.aws.botocore_errors import aws_call
from xacct_assets.aws.errors import AwsFailure, NotFound

if TYPE_CHECKING:
    from mypy_boto3_logs.client import CloudWatchLogsClient

logger = logging.getLogger(__name__)

#: Prefix of the log groups of a job that names no other (``--custom-logGroup-prefix``).
LOG_GROUP = "/aws-glue/jobs"
#: The log groups of a run, below the prefix of its job.
GROUPS = ("output", "error")
#: Seconds between two requests for new lines, and before the first one.
INTERVAL = 20.0
#: Lines shown at most; a link leads to the rest.
MAX_LINES = 2000
_LAST_PAGES = 20


class LogTail:
    """Shows a run's log lines.

    Args:
        logs: boto3's ``logs`` client.
        run_id: the job run.
        show: called with each line.
        group: prefix of the run's log groups.
        interval: seconds between two requests for new lines; for tests.
    """

    def __init__(
        self,
        logs: CloudWatchLogsClient,
        run_id: str,
        show: Callable[[str], None],
        *,
        group: str = LOG_GROUP,
        interval: float = INTERVAL,
    ) -> None:
        self._logs = logs
        self._run_id = run_id
        self._show = show
        self._tokens: dict[str, str | None] = dict.fromkeys(f"{group}/{name}" for name in GROUPS)
        self._interval = interval
        self._slept = 0.0
        self._shown = 0
        self._off = False

    @property
    def is_begun(self) -> bool:
        """True once lines were requested."""
        return self._slept >= self._interval

    def while_sleeping(self, sleep: Callable[[float], None]) -> Callable[[float], None]:
        """Wrap a sleep function: it shows new lines every interval of slept time."""

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
        """Show new lines: a page of each group."""
        for group in self._tokens:
            self._page(group)

    def finish(self) -> None:
        """Show the remaining lines, up to a limit of pages."""
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
            return False  # the stream is created with its first line
        except AwsFailure as failure:
            # The log is a convenience: its loss is logged once and does not fail the work.
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
