"""Conflicts between transactions in Redshift: how to recognise one, and how often to try again.

The job script, the Data API client and the wire client all write to Redshift.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

#: How often a transaction is run in all.
ATTEMPTS = 6
#: Longest pause between two attempts, in seconds, if the caller names no other.
LONGEST_PAUSE = 10.0

# Redshift's error 1023, and PostgreSQL's 40001 (serialization failure) and 40P01 (deadlock).
_CONFLICT = re.compile(
    r"(?:^|\berror:?\s*|\bcode:?\s*)1023\b|\b40001\b|\b40P01\b|could not serialize|"
    r"serializable isolation|deadlock detected",
    re.IGNORECASE,
)


def is_conflict(text: str | None) -> bool:
    """True if the error message says that another transaction prevented this one."""
    return bool(_CONFLICT.search(text or ""))


def retry_transaction(
    run: Callable[[int], T],
    is_retryable: Callable[[Exception], bool],
    *,
    attempts: int = ATTEMPTS,
    first_pause: float = 0.4,
    longest_pause: float = LONGEST_PAUSE,
    sleep: Callable[[float], None] = time.sleep,
) -> T:
    """Run a transaction, and run it again from its start while its failure allows that.

    Args:
        run: called with the number of the attempt, from 1.
        is_retryable: whether nothing of a failed attempt was kept, so that another may succeed.
        attempts: how often to run it in all.
        first_pause: longest first pause in seconds; doubled after every attempt.
        longest_pause: bound of the pauses, in seconds.
        sleep: for tests.

    Raises:
        Exception: the failure that is not retryable, or that of the last attempt.
    """
    number = 1
    while True:
        try:
            return run(number)
        except Exception as failure:
            if number >= attempts or not is_retryable(failure):
                raise
        # Full jitter: two transactions that collided must not collide again.
        pause = min(longest_pause, first_pause * 2 ** (number - 1))
        sleep(random.uniform(0.05, pause))  # noqa: S311 -- not a secret
        number += 1
