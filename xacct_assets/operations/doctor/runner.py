"""Runs the checks beside each other, each with a time-out, and reports one cause once.

Each check has a thread of its own. A thread that hangs cannot be stopped: it is left alone, and
ends with the process.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from xacct_assets.aws.errors import AwsFailure
from xacct_assets.operations.doctor.findings import Caution, Check, Finding, NotProven

#: Seconds for one check, and for all of them.
EACH, TOTAL = 10.0, 18.0
#: Checks at a time. On a busy machine more of them would take each other's time.
AT_ONCE = 6


class NoSuchCheck(Exception):
    """A name that no check has; the message lists those that there are."""


def select(checks: Sequence[Check], names: Collection[str]) -> list[Check]:
    """The named checks, and those that they need. A name may leave out the feed.

    Raises:
        NoSuchCheck: a name fits no check.
    """
    by_name = {check.name: check for check in checks}
    wanted: set[str] = set()
    for name in names:
        found = [known for known in by_name if known == name or known.endswith(f": {name}")]
        if not found:
            raise NoSuchCheck(f"there is no check {name!r}; there are: {', '.join(by_name)}")
        wanted.update(found)
    open_ = list(wanted)
    while open_:
        for need in by_name[open_.pop()].needs:
            if need not in wanted:
                wanted.add(need)
                open_.append(need)
    return [check for check in checks if check.name in wanted]


class Runner:
    """Runs checks.

    Args:
        checks: in the order of the chain: a check needs earlier ones only.
        report: called with each finding, in the order of the checks.
        each, total: seconds.
    """

    def __init__(
        self,
        checks: Sequence[Check],
        report: Callable[[Finding], None],
        *,
        each: float = EACH,
        total: float = TOTAL,
    ) -> None:
        self._checks = list(checks)
        self._known = {check.name for check in checks}
        self._report = report
        self._each = each
        self._total = total
        self._raw: dict[str, Finding] = {}
        self._final: list[Finding] = []
        self._outcomes: dict[str, Finding] = {}
        self._ended: queue.SimpleQueue[Finding] = queue.SimpleQueue()
        #: Whether a check did not end: its thread runs still.
        self.abandoned = False
        self._silent: set[str] = set()

    def run(self) -> list[Finding]:
        """Run all checks; their findings."""
        end = time.monotonic() + self._total
        # First those on which the longest chains of others depend.
        waiting = sorted(self._checks, key=self._chain_behind, reverse=True)
        running: dict[str, _Running] = {}
        while True:
            waiting = self._start_ready(waiting, running)
            self._report_what_is_known()
            if not running:
                return self._final
            now = time.monotonic()
            limit = min(end, *(one.deadline for one in running.values()))
            try:
                finding = self._ended.get(timeout=max(0.0, limit - now))
            except queue.Empty:
                self._give_up(running, time.monotonic())
                if time.monotonic() >= end:
                    self._end(waiting, running)
                    waiting = []
                continue
            if running.pop(finding.check, None) is not None:
                self._raw[finding.check] = finding

    def _chain_behind(self, check: Check) -> int:
        """Number of checks that follow one after the other once this one has passed."""
        behind = [other for other in self._checks if check.name in other.needs]
        return max((1 + self._chain_behind(other) for other in behind), default=0)

    def _start_ready(self, waiting: Iterable[Check], running: dict[str, _Running]) -> list[Check]:
        """Start or skip the checks whose prerequisites have ended; the others."""
        later = []
        for check in waiting:
            needs = [need for need in check.needs if need in self._known]
            if len(running) >= AT_ONCE or any(need not in self._raw for need in needs):
                later.append(check)
                continue
            cause = next((cause for need in needs if (cause := self._cause(need))), None)
            if cause is not None:
                self._raw[check.name] = Finding(
                    check.name, "skipped", f"needs {cause!r}, which failed", cause=cause
                )
                continue
            now = time.monotonic()
            running[check.name] = _Running(check, now, now + self._each)
            threading.Thread(
                target=lambda check=check: self._ended.put(examine(check)), daemon=True
            ).start()
        return later

    def _cause(self, name: str) -> str | None:
        """The failed check that a check's outcome goes back to; None if it stops nothing."""
        finding = self._raw[name]
        return name if finding.outcome == "FAIL" else finding.cause

    def _give_up(self, running: dict[str, _Running], now: float) -> None:
        for name, one in list(running.items()):
            if now >= one.deadline:
                del running[name]
                self.abandoned = True
                self._silent.add(name)
                self._raw[name] = one.silent(now)

    def _end(self, waiting: Iterable[Check], running: dict[str, _Running]) -> None:
        """The time is over: what has not ended is reported so."""
        over = f"not ended when the {self._total:.0f} s of all checks were over"
        failed = any(finding.outcome == "FAIL" for finding in self._raw.values())
        now = time.monotonic()
        for name, one in running.items():
            if failed:
                self._raw[name] = Finding(name, "skipped", over, one.check.if_silent)
            else:
                self._raw[name] = replace(one.silent(now), detail=over)
                failed = True
        self.abandoned = self.abandoned or bool(running)
        running.clear()
        for check in waiting:
            self._raw[check.name] = Finding(check.name, "skipped", over)

    def _report_what_is_known(self) -> None:
        for check in self._checks[len(self._final) :]:
            if check.name not in self._raw:
                return
            finding = self._explained(check)
            self._outcomes[check.name] = finding
            self._final.append(finding)
            self._report(finding)

    def _explained(self, check: Check) -> Finding:
        finding = self._raw[check.name]
        if finding.cause is not None:
            root = self._outcomes[finding.cause].cause or finding.cause
            return replace(finding, detail=f"needs {root!r}, which failed", cause=root)
        if finding.outcome != "FAIL":
            return finding
        if check.name in self._silent:
            first = next((one for one in self._final if one.check in self._silent), None)
            if first is not None:
                # What answers nobody is one thing: a network, a proxy, this machine.
                cause = first.cause or first.check
                return replace(finding, outcome="skipped", fix=None, cause=cause)
        for name in check.explained_by:
            known = self._outcomes.get(name)
            if known is not None and (known.outcome == "FAIL" or known.cause):
                cause = known.cause or name
                return replace(
                    finding,
                    outcome="skipped",
                    detail=f"fails too, as long as {cause!r} does: {finding.detail}",
                    fix=None,
                    cause=cause,
                )
        return finding


@dataclass(frozen=True)
class _Running:
    check: Check
    started: float
    deadline: float

    def silent(self, now: float) -> Finding:
        seconds = now - self.started
        detail = f"no answer within {seconds:.0f} s"
        return Finding(self.check.name, "FAIL", detail, self.check.if_silent, seconds)


def examine(check: Check) -> Finding:
    """Run one check in this thread."""
    started = time.monotonic()
    finding = _examined(check)
    return replace(finding, seconds=time.monotonic() - started)


def _examined(check: Check) -> Finding:
    try:
        found = check.run()
    except NotProven as unknown:
        return Finding(check.name, "skipped", f"not proven here: {unknown}", unknown.fix)
    except AwsFailure as failure:
        detail = failure.what + (f": {failure.reason}" if failure.reason else "")
        if failure.principal and failure.principal not in detail:
            detail += f" (principal: {failure.principal})"
        return Finding(check.name, "FAIL", detail, failure.fix)
    except Exception as error:  # noqa: BLE001 -- the other checks go on
        return Finding(
            check.name,
            "FAIL",
            f"the check ended with {type(error).__name__}: {error}",
            "this is an error of the check: report it with this line",
        )
    if isinstance(found, Caution):
        return Finding(check.name, "warn", found.detail, found.fix)
    return Finding(check.name, "ok", found)
