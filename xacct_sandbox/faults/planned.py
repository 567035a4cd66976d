"""The plan of the daemon: which call is struck by what. The only place where that is decided.

A call is struck by at most one fault: the first planned one that matches, has let enough calls
pass, has some left, and draws so. Faults planned after it do not see the call.
"""

from __future__ import annotations

import json
import os
import random
import threading
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from xacct_sandbox.faults import Fault, FaultRefused
from xacct_sandbox.faults.kinds import ANYWHERE, DATABASE, DATABASE_OPERATIONS, KINDS, check
from xacct_sandbox.faults.signal_file import SignalFile
from xacct_sandbox.service_errors import ServiceError

LOGGED_CHARACTERS = 300
"""Of a resource: SQL texts are long."""


@dataclass
class Planned:
    """A fault, and what became of it so far."""

    id: str
    fault: Fault
    matched: int = 0
    injected: int = 0
    random: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.random = random.Random(self.fault.seed)  # noqa: S311 -- to be repeatable

    @property
    def spent(self) -> bool:
        return self.fault.count is not None and self.injected >= self.fault.count

    def strikes(self) -> bool:
        """Whether this matching call is struck; counts it."""
        self.matched += 1
        if self.spent or self.matched <= self.fault.after:
            return False
        if self.fault.probability < 1 and self.random.random() >= self.fault.probability:
            return False
        self.injected += 1
        return True

    def document(self) -> dict[str, Any]:
        return {
            "id": self.id,
            **asdict(self.fault),
            "matched": self.matched,
            "injected": self.injected,
        }


@dataclass(frozen=True)
class Struck:
    """What the struck call is to suffer."""

    id: str
    kind: str
    seconds: float
    body: str


class FaultPlan:
    """All planned faults and the log of injections; for any thread.

    Args:
        log_path: the log, JSON lines.
        signal: told which operations of the database are worth asking about.
        clock: seconds that only grow.
    """

    def __init__(
        self,
        log_path: Path,
        signal: SignalFile | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._log_path = log_path
        self._signal = signal
        self._clock = clock
        self._lock = threading.RLock()
        self._planned: list[Planned] = []
        self._kinds: frozenset[str] = frozenset()
        self._count = 0
        self._paused_until = 0.0
        self._injected = _whole_lines(log_path)
        self._signal_database()

    # -- planning ------------------------------------------------------------------------------

    def add(self, faults: Iterable[Fault]) -> list[str]:
        """Plan all of them or, if one is refused, none; their ids.

        Raises:
            FaultRefused
        """
        faults = list(faults)
        for fault in faults:
            check(fault)
        with self._lock:
            ids = []
            for fault in faults:
                self._count += 1
                ids.append(f"f{self._count}")
                self._planned.append(Planned(ids[-1], fault))
            self._rearm()
        return ids

    def clear(self) -> None:
        with self._lock:
            self._planned.clear()
            self._paused_until = 0.0
            self._rearm()

    def document(self) -> list[dict[str, Any]]:
        with self._lock:
            return [planned.document() for planned in self._planned]

    def summary(self) -> dict[str, int]:
        """How many faults are still to come, and how many injections the log has."""
        with self._lock:
            left = sum(not planned.spent for planned in self._planned)
            return {"planned": left, "injected": self._injected}

    # -- deciding ------------------------------------------------------------------------------

    def armed(self, kinds: Collection[str]) -> bool:
        """Whether any of these kinds may still strike. Cheap: for every call there is."""
        return not self._kinds.isdisjoint(kinds)

    def strike(
        self,
        service: str,
        operations: Collection[str],
        resource: str,
        *,
        kinds: Collection[str],
        principal: Callable[[], str] = str,
    ) -> Struck | None:
        """Decide about one call; an injection is logged.

        Args:
            operations: what the call is; a statement of its own transaction is a commit too.
            kinds: what the asker can do to the call.
            principal: gives the caller's ARN; called only if a fault wants to know.
        """
        with self._lock:
            for planned in self._planned:
                fault = planned.fault
                if fault.kind not in kinds:
                    continue
                operation = _matching(fault, service, operations)
                if operation is None or fault.match not in resource:
                    continue
                if fault.principal and fault.principal not in principal():
                    continue
                if not planned.strikes():
                    continue
                self._record(planned, service, operation, resource)
                if fault.kind == "workgroup_paused":
                    self._paused_until = self._clock() + fault.seconds
                self._rearm()
                return Struck(planned.id, fault.kind, fault.seconds, fault.body)
        return None

    def paused(self) -> bool:
        """Whether the workgroup pauses."""
        with self._lock:
            if not self._paused_until:
                return False
            if self._clock() < self._paused_until:
                return True
            self._paused_until = 0.0
            self._signal_database()
            return False

    def _rearm(self) -> None:
        self._kinds = frozenset(p.fault.kind for p in self._planned if not p.spent)
        self._signal_database()

    def _signal_database(self) -> None:
        if self._signal is None:
            return
        wanted: set[str] = set()
        for planned in self._planned:
            if planned.spent:
                continue
            kind, operation = KINDS[planned.fault.kind], planned.fault.operation
            if planned.fault.kind == "job_killed_in_copy":
                wanted.add("Copy")
            elif DATABASE in kind.usual:
                wanted |= set(kind.usual[DATABASE] if operation == ANYWHERE else (operation,))
        if self._paused_until:
            wanted |= set(DATABASE_OPERATIONS)
        self._signal.set(wanted)

    # -- the log -------------------------------------------------------------------------------

    def log(self) -> list[dict[str, Any]]:
        with self._lock:
            if not self._log_path.exists():
                return []
            text = self._log_path.read_text(encoding="utf-8")
        # Resources may hold any character: only line feeds part the lines.
        return [json.loads(line) for line in text.split("\n") if line]

    def forget(self) -> None:
        with self._lock:
            self._log_path.unlink(missing_ok=True)
            self._injected = 0

    def _record(self, planned: Planned, service: str, operation: str, resource: str) -> None:
        line = json.dumps(
            {
                "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
                "id": planned.id,
                "kind": planned.fault.kind,
                "service": service,
                "operation": operation,
                "resource": resource[:LOGGED_CHARACTERS],
            }
        )
        self._log_path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self._log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(line + "\n")
        self._injected += 1

    # -- the daemon's door ---------------------------------------------------------------------

    def serve(self, request: dict[str, Any]) -> dict[str, Any]:
        """What ``xacct_sandbox.faults`` asks.

        Raises:
            ServiceError: FaultRefused, with what is wrong.
        """
        action = request.get("action")
        try:
            if action == "add":
                return {"ids": self.add(_fault(given) for given in request["faults"])}
        except FaultRefused as refusal:
            raise ServiceError(FaultRefused.__name__, str(refusal)) from refusal
        if action == "plan":
            return {"plan": self.document()}
        if action == "log":
            return {"log": self.log()}
        if action == "clear":
            self.clear()
            return {}
        if action == "forget":
            self.forget()
            return {}
        raise ServiceError("NotFound", f"faults have no action {action!r}", 404)


def _fault(given: dict[str, Any]) -> Fault:
    known = {item.name for item in fields(Fault)}
    if unknown := set(given) - known:
        raise FaultRefused(
            f"a fault has no {', '.join(sorted(unknown))}; it has: {', '.join(sorted(known))}"
        )
    if "kind" not in given:
        raise FaultRefused(f"a fault needs a kind: {', '.join(KINDS)}")
    return Fault(**given)


def _matching(fault: Fault, service: str, operations: Collection[str]) -> str | None:
    """The operation under which the fault matches the call, if it does."""
    if fault.service not in (ANYWHERE, service):
        return None
    kind = KINDS[fault.kind]
    for operation in operations:
        if fault.operation == operation:
            return operation
        if fault.operation == ANYWHERE and (
            kind.is_http or operation in kind.usual.get(service, ())
        ):
            return operation
    return None


def _whole_lines(path: Path) -> int:
    """How many lines the log has; one that a kill cut short is taken off."""
    if not path.exists():
        return 0
    content = path.read_bytes()
    os.truncate(path, content.rfind(b"\n") + 1)
    return content.count(b"\n")
