"""Polling of remote work: frequent at first, then slower up to a cap, with a timeout.

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
    """Delays that grow from `first` by `factor` to `cap`, each varied by up to `jitter` of itself.

    The jitter keeps several waiters from polling at the same moments.
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
    """Poll intervals derived from the durations of earlier, similar work.

    The first poll comes when a quarter of the earlier durations is over. Later intervals are `lag`
    times the time waited so far, so the end is noticed late by half of that on average. Work that
    always takes the same time needs one poll.

    Attributes:
        past: durations of similar work, in seconds; without any, `unknown` is used.
        unknown: intervals if there is no similar work.
        silence: longest time before the first poll, in seconds. If the work is expected to take
            longer, later intervals are a third of the remaining time.
        lag: interval as a share of the time waited.
        least, cap: bounds of the interval, in seconds.
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
        # A little more than the past duration: a poll too early costs another one.
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


#: Seconds for which polls may go on failing for transient reasons (lost network, throttling) before
#: the wait fails. The remote work goes on meanwhile; most networks fail over within five minutes.
TOLERATED_OUTAGE = 300.0


class Waiter:
    """Polls until there is an answer.

    Args:
        backoff: the delays between polls.
        on_tick: called before each sleep with the seconds waited so far.
        tolerated_outage: seconds for which polls may go on failing for transient reasons.
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
        pause_first: bool = False,
    ) -> T:
        """The first answer of `poll` that is not None.

        A poll that fails with a retryable `AwsFailure` counts as "not yet", until polls have failed
        for `tolerated_outage` seconds.

        Args:
            poll: returns the answer, or None for "not yet".
            what: what is waited for, for messages.
            timeout: seconds after which `WaitTimeout` is raised.
            fix: what to do after a timeout, for the message.
            pause_first: True if the first poll is to wait for the first delay.

        Raises:
            WaitTimeout: no answer in time.
            AwsFailure: a poll failed permanently.
        """
        started = self.clock()
        failing_since: float | None = None
        delays = self.backoff.delays()
        if pause_first:
            self.sleep(min(next(delays), timeout))
        while True:
            try:
                answer = poll()
            except AwsFailure as failure:
                if not failure.retryable:
                    raise
                now = self.clock()
                failing_since = now if failing_since is None else failing_since
                if now - failing_since >= self.tolerated_outage:
                    raise
                logger.warning("still waiting for %s, though a poll failed: %s", what, failure)
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
            self.sleep(min(next(delays), max(0.0, timeout - waited)))

    def retry_transient(self, call: Callable[[], T], *, what: str) -> T:
        """The answer of `call`, repeated while it fails for transient reasons.

        For requests at the start of a piece of work, which a short outage should not end.

        Args:
            call: makes the request; any answer counts.
            what: what is requested, for messages.

        Raises:
            AwsFailure: it failed permanently, or for longer than the tolerated outage.
        """
        return self.until(lambda: (call(),), what=what, timeout=math.inf)[0]


def suppress_and_log(cleanup: Callable[[], object], what: str) -> None:
    """Run a clean-up while another exception propagates; log its own failure instead of raising it.

    A failed clean-up must not hide the exception that the user has to see.

    Args:
        cleanup: the clean-up.
        what: what it does, for the log.
    """
    try:
        cleanup()
    except Exception as failure:
        logger.error("%s failed: %s", what, failure, exc_info=True)
