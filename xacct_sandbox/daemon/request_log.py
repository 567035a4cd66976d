"""The log of the AWS requests that the sandbox answered: by whom, for what, when, how long.

It is kept in memory, the newest ``CAPACITY`` requests, until the daemon ends. ``origin`` separates
the requests of callers from those that AWS services make on their behalf: a crawler lists S3,
Redshift reads and writes S3 for COPY and UNLOAD, the script of a Glue job calls the catalog.
"""

from __future__ import annotations

import itertools
import threading
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from xacct_sandbox.daemon.config import SandboxConfig
from xacct_sandbox.daemon.control_client import CALLS_PATH, call_daemon

CAPACITY = 100_000

CALLER = "caller"
"""``origin`` of a request that no AWS service made."""


@dataclass(frozen=True, slots=True)
class Call:
    """One answered request.

    Attributes:
        number: counts up from 1 while the daemon runs.
        at: when the request arrived, in seconds since the epoch.
        seconds: until the last byte of the response, the waiting of a long poll included.
        origin: ``caller``, or the service that made the request: ``glue``, ``redshift``.
        principal: ARN of the caller; "" for an unknown access key.
        service: as botocore names it.
        operation: as botocore names it.
        resource: a key, a name, or SQL text.
        status: HTTP status of the response; 0 if the client disconnected before it.
    """

    number: int
    at: float
    seconds: float
    origin: str
    principal: str
    service: str
    operation: str
    resource: str
    status: int

    @property
    def until(self) -> float:
        """When the response ended, in seconds since the epoch."""
        return self.at + self.seconds

    def document(self) -> dict[str, Any]:
        """The request as a JSON object."""
        return asdict(self)


class RequestLog:
    """The answered requests, in the order of their responses. Threads may share it."""

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
        """Appends a request. The arguments are the attributes of ``Call``."""
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
        """The requests that arrived at ``at`` or later and have a number above ``number``."""
        with self._lock:
            calls = list(self._calls)
        return [call for call in calls if call.at >= at and call.number > number]


def fetch(config: SandboxConfig, since: float = 0.0, after: int = 0) -> list[Call]:
    """Reads the request log of the running sandbox.

    Args:
        config: of the sandbox.
        since: only requests that arrived then or later, in seconds since the epoch.
        after: only requests with a higher number.

    Raises:
        SandboxError: the daemon does not respond.
    """
    response = call_daemon(config, f"{CALLS_PATH}?since={since!r}&after={after}")
    return [Call(**document) for document in response["calls"]]


def count_by_operation(calls: Iterable[Call]) -> list[tuple[str, str, str, int, int]]:
    """(origin, service, operation, requests, errors) for each operation, callers first."""
    total: Counter[tuple[str, str, str]] = Counter()
    errors: Counter[tuple[str, str, str]] = Counter()
    for call in calls:
        operation = (call.origin, call.service, call.operation)
        total[operation] += 1
        errors[operation] += call.status >= 400
    return [
        (*operation, total[operation], errors[operation])
        for operation in sorted(total, key=lambda each: (each[0] != CALLER, each))
    ]
