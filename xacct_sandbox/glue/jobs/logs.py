"""Writes the output of a job run to CloudWatch Logs while it runs."""

from __future__ import annotations

import queue
import time

from xacct_sandbox import emulator

FLUSH_SECONDS = 0.5
MAX_EVENTS = 1000
MAX_LINE_CHARACTERS = 60_000
"""Longer lines are cut off: CloudWatch Logs refuses events above 1 MB (formerly 256 KB)."""


class RunLog:
    """Collects lines from any thread and writes them in batches, in order.

    It must be created in a thread that has the run's account (`emulator.start_thread`), since
    the log group belongs to that account.

    Args:
        run_id: of the job run; the name of its log stream.
        group: prefix of the log groups.
    """

    def __init__(self, run_id: str, group: str) -> None:
        self._group = group
        self._run_id = run_id
        self._lines: queue.Queue[tuple[str, str] | None] = queue.Queue()
        self._thread = emulator.start_thread(self._write, name=f"log-{run_id[:12]}")

    def line(self, stream: str, text: str) -> None:
        """Add one line to a stream, ``output`` or ``error``."""
        self._lines.put((stream, text[:MAX_LINE_CHARACTERS]))

    def close(self) -> None:
        """Write the remaining lines, and return when all are written."""
        self._lines.put(None)
        self._thread.join()

    def _write(self) -> None:
        open_ = True
        while open_:
            batches: dict[str, list[str]] = {}
            deadline, count = time.monotonic() + FLUSH_SECONDS, 0
            while count < MAX_EVENTS and (left := deadline - time.monotonic()) > 0:
                try:
                    item = self._lines.get(timeout=left)
                except queue.Empty:
                    break
                if item is None:
                    open_ = False
                    break
                batches.setdefault(item[0], []).append(item[1])
                count += 1
            for stream, lines in batches.items():
                emulator.write_log(f"{self._group}/{stream}", self._run_id, lines)
