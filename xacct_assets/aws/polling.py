"""Waiting for remote work: quick at first, then slower to a cap; never longer than told.

All durations are seconds.
"""

from __future__ import annotations

import logging
import math
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from xacct_assets.aws.errors import AwsFailure, WaitTimeout

logger = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass(frozen=True)
class Backoff:
    """Delays that grow from `first` by `factor` to `cap`, each moved by up to `jitter` of itself.

    The jitter keeps many waiters from asking in step.
    """

    first: float = 0.5
    factor: float = 1.5
    cap: float = 10.0
    jitter: float = 0.1

    def delays(self) -> Iterator[float]:
        """Endless delays, in seconds."""
        delay = self.first
        while True:
            spread = delay * self.jitter
            yield max(0.0, delay + random.uniform(-spread, spread))  # noqa: S311 -- not a secret
            delay = min(self.cap, delay * self.factor)


@dataclass(frozen=True)
class AdaptivePolling:
    """Delays for work whose like has been seen: few looks, and little time lost at its end.

    Nothing is asked until the quicker ones of its like (a quarter of them) were over; then the time
    between two looks stays within `lag` of what has been waited (or `least`). So the end is seen
    late by half of that on the average, and a wait of steady length takes one look.

    Attributes:
        past: how long its like took, in seconds; if there are none, `unknown` is used.
        silence: the longest wait without a look. Beyond it the looks close in on what is expected.
        lag: share of the time waited.
        least, cap: bounds of the delay between looks, in seconds.
    """

    past: tuple[float, ...]
    unknown: Backoff
    silence: float = 60.0
    lag: float = 0.1
    least: float = 0.5
    cap: float = 60.0

    def delays(self) -> Iterator[float]:
        """Endless delays, in seconds."""
        if not self.past:
            yield from self.unknown.delays()
        # A little more than it took, as one look too early costs another.
        expected = sorted(self.past)[(len(self.past) - 1) // 4] * 1.02 + 0.15
        waited = 0.0
        while True:
            remaining = expected - waited
            if waited == 0.0:
                delay = min(expected, self.silence)
            else:
                delay = max(self.least, min(self.cap, max(self.lag * waited, remaining / 3)))
            waited += delay
            yield delay


#: How long a poll may go on failing for passing reasons (network lost, throttling) before the wait
#: gives up. The remote work goes on meanwhile; five minutes outlast a fail-over of most networks.
TOLERATED_OUTAGE = 300.0


class Waiter:
    """Polls until something is there.

    Args:
        backoff: the delays between polls.
        on_tick: called before each sleep with the seconds waited so far.
        clock, sleep: for tests.
    """

    def __init__(
        self,
        backoff: Backoff | AdaptivePolling | None = None,
        *,
        on_tick: Callable[[float], None] | None = None,
        tolerated_outage: float = TOLERATED_OUTAGE,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.backoff = backoff or Backoff()
        self.on_tick = on_tick
        self.tolerated_outage = tolerated_outage
        self.clock = clock
        self.sleep = sleep

    def until(
        self,
        poll: Callable[[], T | None],
        *,
        what: str,
        timeout: float,
        fix: str | None = None,
        pause_between: bool = True,
        pause_first: bool = False,
    ) -> T:
        """The first answer of `poll` that is not None.

        A poll that fails with a retryable `AwsFailure` counts as "not yet", unless it has gone on
        failing for the tolerated outage.

        Args:
            poll: asks once; None means "not yet".
            what: the thing waited for, for messages.
            timeout: seconds after which `WaitTimeout` is raised.
            fix: what to do if it does not come.
            pause_between: False where `poll` itself is a long poll: then sleep only after errors.
            pause_first: True where it cannot be there yet.

        Raises:
            WaitTimeout: not there in time.
            AwsFailure: the poll failed for a reason that waiting does not mend.
        """
        started = self.clock()
        failing_since: float | None = None
        delays = self.backoff.delays()
        if pause_first:
            self.sleep(min(next(delays), timeout))
        while True:
            failed = False
            try:
                answer = poll()
            except AwsFailure as failure:
                if not failure.retryable:
                    raise
                now = self.clock()
                failing_since = now if failing_since is None else failing_since
                if now - failing_since >= self.tolerated_outage:
                    raise
                logger.warning("still waiting for %s, though asking failed: %s", what, failure)
                failed = True
                answer = None
            else:
                failing_since = None
            if answer is not None:
                return answer
            waited = self.clock() - started
            if waited >= timeout:
                raise WaitTimeout(
                    f"{what} did not happen within {timeout:.0f} s",
                    fix=fix or "look at it in the AWS console, then try again",
                )
            if self.on_tick is not None:
                self.on_tick(waited)
            if pause_between or failed:
                self.sleep(min(next(delays), max(0.0, timeout - waited)))

    def retry_transient(self, call: Callable[[], T], *, what: str) -> T:
        """The answer of `call`, asked again while it fails for reasons that pass.

        For questions at the start of a piece of work, which a short outage should not end.

        Args:
            call: asks once; any answer is the answer.
            what: the thing asked about, for messages.

        Raises:
            AwsFailure: it failed for a reason that waiting does not mend, or all the while of the
                tolerated outage.
        """
        return self.until(lambda: (call(),), what=what, timeout=math.inf)[0]


def suppress_and_log(cleanup: Callable[[], object], what: str) -> None:
    """Run a clean-up while another exception is on its way: its own failure is logged, not raised.

    The exception on its way is what the user must see; losing it to a failed clean-up is the
    defect of published clients that this avoids.
    """
    try:
        cleanup()
    except Exception as failure:
        logger.error("%s failed: %s", what, failure, exc_info=True)
