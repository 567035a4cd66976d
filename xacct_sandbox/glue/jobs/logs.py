"""A job run's output in CloudWatch Logs, while it runs."""

from __future__ import annotations

import queue
import time

from xacct_sandbox import emulator

LOG_GROUP = "/aws-glue/jobs"
FLUSH_SECONDS = 0.5
MAX_EVENTS = 1000
# CloudWatch refuses events above 1 MB (256 KB in its older form); a longer line is cut.
MAX_LINE_CHARACTERS = 60_000


class RunLog:
    """Collects lines from any thread and writes them in batches, in order.

    Made in a thread that has the run's account (`ministack.start_thread`), since the log group
    belongs to it.
    """

    def __init__(self, run_id: str) -> None:
        self._run_id = run_id
        self._lines: queue.Queue[tuple[str, str] | None] = queue.Queue()
        self._thread = emulator.start_thread(self._write, name=f"log-{run_id[:12]}")

    def line(self, stream: str, text: str) -> None:
        """Take one line of ``output`` or ``error``."""
        self._lines.put((stream, text[:MAX_LINE_CHARACTERS]))

    def close(self) -> None:
        """Return when all lines are in CloudWatch Logs."""
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
                emulator.write_log(f"{LOG_GROUP}/{stream}", self._run_id, lines)
