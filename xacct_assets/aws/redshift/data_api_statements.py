"""Submits statements to the Redshift Data API, follows them to their end, and cancels them."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from xacct_assets.aws.botocore_errors import aws_call, ignore_codes
from xacct_assets.aws.errors import AwsFailure, NotFound, Throttled, WaitTimeout
from xacct_assets.aws.polling import Backoff, Waiter, suppress_and_log
from xacct_assets.aws.redshift.data_api_results import expired, statement_failure

if TYPE_CHECKING:
    from mypy_boto3_redshift_data.client import RedshiftDataAPIServiceClient

logger = logging.getLogger(__name__)

Operation = Literal["execute_statement", "batch_execute_statement"]

#: Seconds of a long poll (WaitTimeSeconds takes 1 to 30).
LONG_POLL = 10
BACKOFF = Backoff(first=0.2, factor=1.6, cap=10.0)
#: Seconds to wait while the workgroup has too many active statements.
SUBMIT_TIMEOUT = 900.0
CANCEL_TIMEOUT = 25.0
ENDED = frozenset({"FINISHED", "ABORTED", "FAILED"})
_BUSY = ("ActiveStatementsExceededException", "ActiveSessionsExceededException")
_NO_LONG_POLL = "ActiveWaitingRequestsExceededException"


@dataclass(frozen=True)
class Follow:
    """How a statement is followed.

    Attributes:
        name: shown in errors.
        timeout: seconds, after which the statement is cancelled.
        on_submit: called with the statement's id.
        on_tick: called while waiting with the seconds waited.
    """

    name: str | None
    timeout: float
    on_submit: Callable[[str], None] | None = None
    on_tick: Callable[[float], None] | None = None


class Statements:
    """Statements of one workgroup.

    Args:
        client: boto3's ``redshift-data`` client.
        workgroup: for messages.
        backoff, sleep, clock: for tests.
    """

    def __init__(
        self,
        client: RedshiftDataAPIServiceClient,
        workgroup: str,
        *,
        backoff: Backoff = BACKOFF,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._workgroup = workgroup
        self._backoff = backoff
        self._sleep = sleep
        self._clock = clock

    def run(
        self, operation: Operation, request: Mapping[str, Any], follow: Follow
    ) -> Mapping[str, Any]:
        """Submit a request and wait until it has finished; cancel it if the wait is interrupted.

        Returns:
            The answer of DescribeStatement (or that of the submit, if the statement finished during
            it).

        Raises:
            StatementFailed: it ended in another state than FINISHED.
            Throttled: the workgroup had no room for it.
            WaitTimeout: it did not end in time.
        """
        statement_id: str | None = None
        try:
            described = self._submit(operation, request, follow)
            statement_id = str(described["Id"])
            if follow.on_submit is not None:
                follow.on_submit(statement_id)
            # The answer to a submit that has finished is complete, unless rows of a batch's parts
            # are to be read. If it failed, the reason is missing.
            needs_parts = "Sqls" in request and described.get("HasResultSet")
            if described.get("Status") != "FINISHED" or needs_parts:
                described = self._wait(statement_id, follow)
        except BaseException as reason:
            if statement_id is not None:
                known = statement_id
                suppress_and_log(lambda: self.cancel(known), f"cancelling statement {known}")
            elif not isinstance(reason, Exception):
                # Interrupted during the request: the same token returns the id of what it started.
                suppress_and_log(lambda: self._cancel_submitted(operation, request), "cancelling")
            raise
        if described["Status"] == "FINISHED":
            return described
        raise statement_failure(described, follow.name)

    def cancel(self, statement_id: str) -> str:
        """Cancel a statement and wait until it has ended.

        Returns:
            The status in which it ended.

        Raises:
            WaitTimeout: it has not ended though it was cancelled repeatedly.
        """
        resource = f"statement {statement_id}"

        def ended() -> str | None:
            status = str(self._describe(statement_id)["Status"])
            if status in ENDED:
                return status
            # Repeated while it runs, because one request may be lost. A statement that has just
            # ended is a ValidationException; the next look sees how it ended.
            with (
                ignore_codes("ValidationException"),
                aws_call("redshift-data:CancelStatement", resource),
            ):
                self._client.cancel_statement(Id=statement_id)
            return None

        return self._waiter(None).until(
            ended, what=f"{resource} to be cancelled", timeout=CANCEL_TIMEOUT
        )

    def _submit(
        self, operation: Operation, request: Mapping[str, Any], follow: Follow
    ) -> Mapping[str, Any]:
        """Submit, and wait for the end for as long as one request may."""
        action = _action(operation)
        resource = f"workgroup {self._workgroup}"
        # Data API guide, "Reduce API calls with long polling": a submit can wait as well.
        long_poll = {"WaitTimeSeconds": LONG_POLL} if follow.timeout > LONG_POLL else {}

        def submit_once() -> Mapping[str, Any] | None:
            try:
                return self._send(operation, {**request, **long_poll})
            except AwsFailure as failure:
                if failure.code == _NO_LONG_POLL:
                    long_poll.clear()
                elif failure.code not in _BUSY:
                    raise
                logger.info("workgroup %s is busy (%s); waiting", self._workgroup, failure.code)
                return None

        try:
            return self._waiter(follow).until(
                submit_once, what="a place in the workgroup", timeout=SUBMIT_TIMEOUT
            )
        except WaitTimeout as full:
            raise Throttled(
                f"{action} on {resource} found no place for {SUBMIT_TIMEOUT:.0f} s",
                reason="too many active statements",
                action=action,
                resource=resource,
                fix="run fewer days at the same moment, or wait for other statements to end",
            ) from full

    def _send(self, operation: Operation, request: Mapping[str, Any]) -> Mapping[str, Any]:
        with aws_call(_action(operation), f"workgroup {self._workgroup}"):
            answer: Mapping[str, Any] = getattr(self._client, operation)(**request)
        return answer

    def _cancel_submitted(self, operation: Operation, request: Mapping[str, Any]) -> None:
        self.cancel(str(self._send(operation, request)["Id"]))

    def _wait(self, statement_id: str, follow: Follow) -> Mapping[str, Any]:
        long_poll: int | None = LONG_POLL

        def ended() -> Mapping[str, Any] | None:
            nonlocal long_poll
            try:
                described = self._describe(statement_id, long_poll)
            except AwsFailure as failure:
                if failure.code != _NO_LONG_POLL:
                    raise
                long_poll = None
                return None
            return described if described["Status"] in ENDED else None

        # A service that ignores WaitTimeSeconds answers at once. The pauses prevent a busy loop
        # then, and cost nothing if the answer comes at the end of the work.
        return self._waiter(follow).until(
            ended,
            what=f"the end of {follow.name or 'statement'} ({statement_id})",
            timeout=follow.timeout,
        )

    def _describe(self, statement_id: str, long_poll: int | None = None) -> Mapping[str, Any]:
        wait: Any = {"WaitTimeSeconds": long_poll} if long_poll else {}
        try:
            with aws_call("redshift-data:DescribeStatement", f"statement {statement_id}"):
                answer: Mapping[str, Any] = self._client.describe_statement(Id=statement_id, **wait)
        except NotFound as gone:
            raise expired(statement_id) from gone
        return answer

    def _waiter(self, follow: Follow | None) -> Waiter:
        on_tick = follow.on_tick if follow else None
        return Waiter(self._backoff, on_tick=on_tick, sleep=self._sleep, clock=self._clock)


def _action(operation: Operation) -> str:
    return "redshift-data:" + operation.title().replace("_", "")
