"""How long crawls, job runs and statements take: their real time, or a fixed latency.

Fixed latencies make comparisons independent of how busy the machine is. The work is still done;
its end is reported when the fixed time since the request is over. Work that takes longer ends when
it ends, and is written to the daemon's log and to ``home/service-overruns.jsonl``.

The setting is a file in the sandbox's home, because the daemon and the Redshift process both read
it. ``XACCT_SANDBOX_SERVICE_TIMES`` sets it when the daemon starts, ``xacct-sandbox times`` at any
time.
"""

from __future__ import annotations

import json
import logging
import math
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from xacct_sandbox.daemon.config import SandboxConfig, SandboxError

logger = logging.getLogger(__name__)

VARIABLE = "XACCT_SANDBOX_SERVICE_TIMES"
REAL_TIME = "true"
MAX_SECONDS = 3600.0
_POLL_SECONDS = 0.05
"""How soon a delayed crawl or job run notices that it was stopped, or its latency lifted."""


@dataclass(frozen=True)
class FixedLatency:
    """Seconds from the request to the end of the work; None: as long as it takes.

    Attributes:
        crawl: of a crawl.
        job: of a job run.
        statement: of a statement of the Data API, and of a COPY or UNLOAD.
    """

    crawl: float | None = None
    job: float | None = None
    statement: float | None = None

    def __str__(self) -> str:
        fixed = {name: value for name, value in asdict(self).items() if value is not None}
        return ",".join(f"{name}={value:g}" for name, value in fixed.items()) or REAL_TIME


def parse(text: str) -> FixedLatency:
    """Reads ``crawl=5,job=5,statement=0.2`` (any of them, by comma or space), or ``true``.

    Raises:
        SandboxError: the text is anything else.
    """
    if text.strip() == REAL_TIME:
        return FixedLatency()
    names = [field.name for field in fields(FixedLatency)]
    latencies: dict[str, float] = {}
    for part in text.replace(",", " ").split():
        name, _, value = part.partition("=")
        try:
            seconds = float(value)
        except ValueError:
            seconds = math.nan
        if name not in names or name in latencies or not 0 <= seconds <= MAX_SECONDS:
            raise SandboxError(
                f"service times {text!r}: {part!r} is not one of "
                f"{', '.join(f'{each}=SECONDS' for each in names)} with 0 to {MAX_SECONDS:g} "
                f"seconds, each at most once; {REAL_TIME!r} stands for real times"
            )
        latencies[name] = seconds
    if not latencies:
        raise SandboxError(
            f"service times {text!r} fix nothing; give e.g. crawl=5,job=5,statement=0.2, "
            f"or {REAL_TIME!r} for real times"
        )
    return FixedLatency(**latencies)


def reset(config: SandboxConfig) -> FixedLatency:
    """Sets the latencies of the environment when the daemon starts; real times by default.

    Raises:
        SandboxError: the variable cannot be read.
    """
    text = os.environ.get(VARIABLE)
    try:
        latency = parse(text) if text else FixedLatency()
    except SandboxError as problem:
        raise SandboxError(f"{VARIABLE}: {problem}") from problem
    overruns_path(config).unlink(missing_ok=True)
    write(config, latency)
    return latency


def write(config: SandboxConfig, latency: FixedLatency) -> None:
    """Sets the latencies, for work under way too: what is lifted ends at once."""
    path = _path(config)
    new = path.with_suffix(".new")
    new.write_text(json.dumps(asdict(latency)), encoding="utf-8")
    os.replace(new, path)


def read(config: SandboxConfig) -> FixedLatency:
    """The latencies that are set now."""
    path = _path(config)
    if not path.exists():
        return FixedLatency()
    return FixedLatency(**json.loads(path.read_text(encoding="utf-8")))


def remaining(config: SandboxConfig, kind: str, name: str, started: float) -> float:
    """Seconds until the end of finished work may be reported. Records an overrun.

    Args:
        config: of the sandbox.
        kind: ``crawl``, ``job`` or ``statement``.
        name: of the crawler, run or statement, for the record of an overrun.
        started: when the work was requested, by ``time.monotonic()``.
    """
    fixed: float | None = getattr(read(config), kind)
    if fixed is None:
        return 0.0
    elapsed = time.monotonic() - started
    if elapsed > fixed:
        logger.warning("%s %s took %.2f s, its fixed time is %g s", kind, name, elapsed, fixed)
        overrun = {"kind": kind, "name": name, "seconds": round(elapsed, 3), "fixed": fixed}
        with overruns_path(config).open("a", encoding="utf-8") as file:
            file.write(json.dumps(overrun) + "\n")
    return max(0.0, fixed - elapsed)


def wait(
    config: SandboxConfig, kind: str, name: str, started: float, stopped: Callable[[], object]
) -> None:
    """Waits until the end of finished work may be reported, or until ``stopped()`` is true."""
    left = remaining(config, kind, name, started)
    while left > 0 and not stopped():
        time.sleep(min(left, _POLL_SECONDS))
        # Read again: the latency may be lifted meanwhile.
        fixed: float | None = getattr(read(config), kind)
        left = 0.0 if fixed is None else started + fixed - time.monotonic()


def overruns_path(config: SandboxConfig) -> Path:
    """The JSON lines file of the work that took longer than its fixed latency."""
    return config.home / "service-overruns.jsonl"


def _path(config: SandboxConfig) -> Path:
    return config.home / "service-times.json"
