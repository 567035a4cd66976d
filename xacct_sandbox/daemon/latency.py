"""How long crawls, job runs and statements take: their true time, or a fixed one.

For comparisons, in which what is compared must not depend on how busy this machine is. The work is
still done; its end is told only when the fixed time since the service was asked is over. Work that
takes longer than that ends when it ends, and is named in the daemon's log and in
``home/service-overruns.jsonl``.

The setting is a file in the sandbox's home, since the daemon and the Redshift process both heed it;
``XACCT_SANDBOX_SERVICE_TIMES`` sets it at the start of the daemon, ``xacct-sandbox times`` at any
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
TRUE_TIMES = "true"
MAX_SECONDS = 3600.0
_SLICE_SECONDS = 0.05
"""How soon a padded crawl or run notices that it is stopped."""


@dataclass(frozen=True)
class ServiceTimes:
    """Seconds from being asked to having ended; None: as long as it takes."""

    crawl: float | None = None
    job: float | None = None
    statement: float | None = None
    """Each statement of the Data API, and each COPY and UNLOAD."""

    def __str__(self) -> str:
        fixed = {name: value for name, value in asdict(self).items() if value is not None}
        return ",".join(f"{name}={value:g}" for name, value in fixed.items()) or TRUE_TIMES


def parse(text: str) -> ServiceTimes:
    """``crawl=5,job=5,statement=0.2`` (any of them, commas or spaces between), or ``true``.

    Raises:
        SandboxError: it is anything else.
    """
    if text.strip() == TRUE_TIMES:
        return ServiceTimes()
    known = [field.name for field in fields(ServiceTimes)]
    found: dict[str, float] = {}
    for part in text.replace(",", " ").split():
        name, _, value = part.partition("=")
        try:
            seconds = float(value)
        except ValueError:
            seconds = math.nan
        if name not in known or name in found or not 0 <= seconds <= MAX_SECONDS:
            raise SandboxError(
                f"service times {text!r}: {part!r} is not one of "
                f"{', '.join(f'{each}=SECONDS' for each in known)} with 0 to {MAX_SECONDS:g} "
                f"seconds, each at most once; or say {TRUE_TIMES!r} for true times"
            )
        found[name] = seconds
    if not found:
        raise SandboxError(
            f"service times {text!r} name nothing; say e.g. crawl=5,job=5,statement=0.2, "
            f"or {TRUE_TIMES!r} for true times"
        )
    return ServiceTimes(**found)


def begin(config: SandboxConfig) -> ServiceTimes:
    """At the daemon's start: what the environment says, true times if it says nothing.

    Raises:
        SandboxError: the variable cannot be read.
    """
    text = os.environ.get(VARIABLE)
    try:
        times = parse(text) if text else ServiceTimes()
    except SandboxError as problem:
        raise SandboxError(f"{VARIABLE}: {problem}") from problem
    overruns_path(config).unlink(missing_ok=True)
    write(config, times)
    return times


def write(config: SandboxConfig, times: ServiceTimes) -> None:
    """Have it so from now on; what is under way keeps to what was said when it ends."""
    path = _path(config)
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(asdict(times)), encoding="utf-8")
    os.replace(fresh, path)


def read(config: SandboxConfig) -> ServiceTimes:
    """What holds now."""
    path = _path(config)
    if not path.exists():
        return ServiceTimes()
    return ServiceTimes(**json.loads(path.read_text(encoding="utf-8")))


def remaining(config: SandboxConfig, kind: str, name: str, began: float) -> float:
    """Seconds until work that began then (``time.monotonic()``) may be told to have ended.

    Args:
        kind: ``crawl``, ``job`` or ``statement``.
        name: of what is done, for the note if it took too long.
    """
    fixed: float | None = getattr(read(config), kind)
    if fixed is None:
        return 0.0
    took = time.monotonic() - began
    if took > fixed:
        logger.warning("%s %s took %.2f s, its fixed time is %g s", kind, name, took, fixed)
        note = {"kind": kind, "name": name, "seconds": round(took, 3), "fixed": fixed}
        with overruns_path(config).open("a", encoding="utf-8") as file:
            file.write(json.dumps(note) + "\n")
    return max(0.0, fixed - took)


def wait(
    config: SandboxConfig, kind: str, name: str, began: float, stopped: Callable[[], object]
) -> None:
    """Wait until work that is done may be told to have ended, or until it is stopped."""
    end = time.monotonic() + remaining(config, kind, name, began)
    while not stopped() and (left := end - time.monotonic()) > 0:
        time.sleep(min(left, _SLICE_SECONDS))


def overruns_path(config: SandboxConfig) -> Path:
    """A line of JSON for each piece of work that its fixed time did not suffice for."""
    return config.home / "service-overruns.jsonl"


def _path(config: SandboxConfig) -> Path:
    return config.home / "service-times.json"
