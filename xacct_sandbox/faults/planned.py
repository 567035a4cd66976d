"""The fault plan of the daemon. It alone decides which call gets which fault.

A call gets at most one fault: the first planned one that matches the call, has let enough calls
pass, is not used up, and wins its draw. Faults that were planned after it do not count the call.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from xacct_sandbox.faults import Fault
from xacct_sandbox.faults.injection_log import InjectionLog
from xacct_sandbox.faults.kinds import ANY, DATABASE, DATABASE_OPERATIONS, KINDS, check
from xacct_sandbox.faults.signal_file import SignalFile


@dataclass
class PlannedFault:
    """A fault of the plan, with its counts.

    Attributes:
        id: given by the plan.
        fault: what was planned.
        matched: number of calls that matched.
        injected: number of calls that got the fault.
    """

    id: str
    fault: Fault
    matched: int = 0
    injected: int = 0
    random: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.random = random.Random(self.fault.seed)  # noqa: S311 -- must be repeatable

    @property
    def used_up(self) -> bool:
        return self.fault.count is not None and self.injected >= self.fault.count

    def draw(self) -> bool:
        """Counts a matching call. Returns whether the fault is injected into it."""
        self.matched += 1
        if self.used_up or self.matched <= self.fault.after:
            return False
        if self.fault.probability < 1 and self.random.random() >= self.fault.probability:
            return False
        self.injected += 1
        return True

    def document(self) -> dict[str, Any]:
        """The fault and its counts as a JSON object."""
        return {
            "id": self.id,
            **asdict(self.fault),
            "matched": self.matched,
            "injected": self.injected,
        }


@dataclass(frozen=True)
class Injection:
    """The fault that a call gets; see the attributes of ``Fault``."""

    id: str
    kind: str
    seconds: float
    body: str


class FaultPlan:
    """All planned faults, and the log of their injections. Threads may share it.

    Args:
        log_path: the file of the log.
        signal: keeps the Redshift process informed about which operations may get a fault.
        clock: a monotonic clock, in seconds.
    """

    def __init__(
        self,
        log_path: Path,
        signal: SignalFile | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._log = InjectionLog(log_path)
        self._signal = signal
        self._clock = clock
        self._lock = threading.RLock()
        self._planned: list[PlannedFault] = []
        self._kinds: frozenset[str] = frozenset()
        self._count = 0
        self._paused_until = 0.0
        self._signal_database()

    # -- planning ------------------------------------------------------------------------------

    def add(self, faults: Iterable[Fault]) -> list[str]:
        """Plans all of them or, if one is refused, none. Returns their ids.

        Raises:
            FaultRefused: one of them could never be injected.
        """
        faults = list(faults)
        for fault in faults:
            check(fault)
        with self._lock:
            ids = []
            for fault in faults:
                self._count += 1
                ids.append(f"f{self._count}")
                self._planned.append(PlannedFault(ids[-1], fault))
            self._rearm()
        return ids

    def clear(self) -> None:
        """Removes all faults and ends a pause of the workgroup."""
        with self._lock:
            self._planned.clear()
            self._paused_until = 0.0
            self._rearm()

    def document(self) -> list[dict[str, Any]]:
        """All planned faults as JSON objects, used up ones too."""
        with self._lock:
            return [planned.document() for planned in self._planned]

    def summary(self) -> dict[str, int]:
        """``planned``: faults that are not used up. ``injected``: entries of the log."""
        with self._lock:
            active = sum(not planned.used_up for planned in self._planned)
            return {"planned": active, "injected": self._log.count}

    def log(self) -> list[dict[str, Any]]:
        """All injections, oldest first."""
        with self._lock:
            return self._log.entries()

    def forget(self) -> None:
        """Empties the log."""
        with self._lock:
            self._log.remove()

    # -- deciding ------------------------------------------------------------------------------

    def armed(self, kinds: Collection[str]) -> bool:
        """Whether a fault of these kinds may still be injected. Cheap enough for every call."""
        return not self._kinds.isdisjoint(kinds)

    def inject(
        self,
        service: str,
        operations: Collection[str],
        resource: str,
        *,
        kinds: Collection[str],
        principal: Callable[[], str] = str,
    ) -> Injection | None:
        """Decides whether a call gets a fault, and logs the injection.

        Args:
            service: botocore's name of the service, or ``redshift``.
            operations: of the call. A statement outside a transaction is also a commit.
            resource: of the call; faults look for their ``match`` in it.
            kinds: the kinds of faults that the caller can inject into this call.
            principal: returns the ARN of the call's principal; only called if a fault needs it.
        """
        with self._lock:
            for planned in self._planned:
                fault = planned.fault
                if fault.kind not in kinds:
                    continue
                operation = _matching_operation(fault, service, operations)
                if operation is None or fault.match not in resource:
                    continue
                if fault.principal and fault.principal not in principal():
                    continue
                if not planned.draw():
                    continue
                self._log.append(planned.id, fault.kind, service, operation, resource)
                if fault.kind == "workgroup_paused":
                    self._paused_until = self._clock() + fault.seconds
                self._rearm()
                return Injection(planned.id, fault.kind, fault.seconds, fault.body)
        return None

    def paused(self) -> bool:
        """Whether the workgroup is paused."""
        with self._lock:
            if not self._paused_until:
                return False
            if self._clock() < self._paused_until:
                return True
            self._paused_until = 0.0
            self._signal_database()
            return False

    def _rearm(self) -> None:
        self._kinds = frozenset(p.fault.kind for p in self._planned if not p.used_up)
        self._signal_database()

    def _signal_database(self) -> None:
        if self._signal is None:
            return
        operations: set[str] = set()
        for planned in self._planned:
            if planned.used_up:
                continue
            kind, operation = KINDS[planned.fault.kind], planned.fault.operation
            if planned.fault.kind == "job_killed_in_copy":
                operations.add("Copy")
            elif DATABASE in kind.usual:
                operations |= set(kind.usual[DATABASE] if operation == ANY else (operation,))
        if self._paused_until:
            operations |= set(DATABASE_OPERATIONS)
        self._signal.set(operations)


def _matching_operation(fault: Fault, service: str, operations: Collection[str]) -> str | None:
    """The operation of the call that the fault matches, or None."""
    if fault.service not in (ANY, service):
        return None
    kind = KINDS[fault.kind]
    for operation in operations:
        if fault.operation == operation:
            return operation
        if fault.operation == ANY and (kind.is_http or operation in kind.usual.get(service, ())):
            return operation
    return None
