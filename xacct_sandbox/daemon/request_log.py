"""The AWS requests that the sandbox answered: who asked for what, when, how long it took.

Kept in memory, the newest ``CAPACITY``; forgotten when the daemon ends. What AWS services ask for
on somebody's behalf (a crawler lists S3, Redshift reads and writes it for COPY and UNLOAD, the Glue
job's script calls the catalog) is told apart from what the caller asked for by ``origin``.
"""

from __future__ import annotations

import itertools
import threading
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from xacct_sandbox.clients import ask_daemon
from xacct_sandbox.daemon.config import SandboxConfig

CAPACITY = 100_000

CALLER = "caller"
"""``origin`` of a request that no AWS service made."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request that was answered."""

    number: int
    """Counts up from 1 for as long as the daemon runs."""
    at: float
    """When the request came, in seconds since the epoch."""
    seconds: float
    """Until the last byte of the answer; a long poll's waiting included."""
    origin: str
    """``caller``, or the service at whose hand it was made: ``glue``, ``redshift``."""
    principal: str
    """ARN of the caller; "" for a key that nobody has."""
    service: str
    operation: str
    resource: str
    status: int
    """HTTP status of the answer; 0 when the client left before there was one."""

    @property
    def until(self) -> float:
        """When it was answered, in seconds since the epoch."""
        return self.at + self.seconds

    def document(self) -> dict[str, Any]:
        """As the daemon's door gives it."""
        return asdict(self)


class Journal:
    """What was answered, in the order in which it was answered."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._calls: deque[Call] = deque(maxlen=capacity)
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()

    def add(
        self,
        *,
        at: float,
        seconds: float,
        origin: str,
        principal: str,
        service: str,
        operation: str,
        resource: str,
        status: int,
    ) -> None:
        """Write a request down."""
        with self._lock:
            self._calls.append(
                Call(
                    next(self._numbers),
                    at,
                    seconds,
                    origin,
                    principal,
                    service,
                    operation,
                    resource,
                    status,
                )
            )

    def since(self, at: float = 0.0, number: int = 0) -> list[Call]:
        """Those that came at that time or later, and have a higher number."""
        with self._lock:
            calls = list(self._calls)
        return [call for call in calls if call.at >= at and call.number > number]


def fetch(config: SandboxConfig, since: float = 0.0, after: int = 0) -> list[Call]:
    """The journal of the running sandbox.

    Raises:
        SandboxError: it does not answer.
    """
    answer = ask_daemon(f"/_sandbox/calls?since={since!r}&after={after}", config=config)
    return [Call(**document) for document in answer["calls"]]


def counted(calls: Iterable[Call]) -> list[tuple[str, str, str, int, int]]:
    """(origin, service, operation, how many, how many of them refused), the caller's first."""
    total: Counter[tuple[str, str, str]] = Counter()
    refused: Counter[tuple[str, str, str]] = Counter()
    for call in calls:
        kind = (call.origin, call.service, call.operation)
        total[kind] += 1
        refused[kind] += call.status >= 400
    return [
        (*kind, total[kind], refused[kind])
        for kind in sorted(total, key=lambda kind: (kind[0] != CALLER, kind))
    ]
