"""What processes cost: processor seconds and memory, from /proc."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def tree(pid: int) -> list[int]:
    """A process and everything below it."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        stat = _stat(int(entry.name))
        if stat:
            children.setdefault(int(stat[1]), []).append(int(entry.name))
    found, waiting = [], [pid]
    while waiting:
        one = waiting.pop()
        found.append(one)
        waiting += children.get(one, [])
    return found


def processor_seconds(pids: Iterable[int]) -> float:
    """User and system time of these processes, and of children they have waited for."""
    return sum(sum(int(value) for value in stat[11:15]) for pid in pids if (stat := _stat(pid))) / (
        _TICKS
    )


def name(pid: int) -> str:
    """What a process is, in a word or two: its module, or its program."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return ""
    words = [word.decode("utf-8", "replace") for word in words if word]
    if "-m" in words:
        return words[words.index("-m") + 1]
    if not words:
        return ""
    # PostgreSQL writes what a process does over its command line: "postgres: rdsdb dev [local] …".
    return "postgres" if words[0].startswith("postgres") else Path(words[0]).name


def _stat(pid: int) -> list[str]:
    """Fields of /proc/<pid>/stat from the state on; empty if the process is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return []


def _memory(pid: int) -> tuple[int, int]:
    """(PSS, RSS) in bytes."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0, 0
    sizes = {line.split(":")[0]: line.split()[1] for line in lines[1:] if ":" in line}
    return int(sizes.get("Pss", 0)) * 1024, int(sizes.get("Rss", 0)) * 1024


@dataclass
class Peaks:
    """The most memory each kind of process had, and all of them together."""

    pss: dict[str, int] = field(default_factory=dict)
    rss: dict[str, int] = field(default_factory=dict)
    together: int = 0

    def look(self, roots: Iterable[int]) -> None:
        total = 0
        seen = {pid for root in roots for pid in tree(root)}
        for pid in seen:
            kind = name(pid)
            if not kind:
                continue
            pss, rss = _memory(pid)
            total += pss
            self.pss[kind] = max(self.pss.get(kind, 0), pss)
            self.rss[kind] = max(self.rss.get(kind, 0), rss)
        self.together = max(self.together, total)


@contextmanager
def watched(roots: Callable[[], Iterable[int]], every: float = 0.5) -> Iterator[Peaks]:
    """Look at these processes and their children, again and again, while inside."""
    peaks, stop = Peaks(), threading.Event()

    def work() -> None:
        while not stop.wait(every):
            peaks.look(roots())

    thread = threading.Thread(target=work, name="memory", daemon=True)
    thread.start()
    began = time.monotonic()
    try:
        yield peaks
    finally:
        stop.set()
        thread.join()
        if time.monotonic() - began < every:
            peaks.look(roots())
