"""Saves changed state in the background, so that a killed sandbox restarts with it.

A change marks a key; a thread saves the marked keys a moment later, many changes at once. The
longer a save takes, the longer the pause before the next one, so that saving takes a bounded share
of the machine.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable

logger = logging.getLogger(__name__)

SETTLE_SECONDS = 0.05
"""Delay between a mark and its save, to collect more marks."""

SAVING_SHARE = 0.2
"""The largest share of wall time that saving may take."""

FAILURE_PAUSE_SECONDS = 1.0


class SnapshotWriter:
    """Calls ``save(key)`` once for each burst of ``mark(key)``.

    A key whose save fails stays marked and is retried.

    Attributes:
        problem: the text of the last failure, until every marked key has been saved.
    """

    def __init__(self, save: Callable[[str], None]) -> None:
        self._save = save
        self._marked: set[str] = set()
        self._wake = threading.Condition()
        self._closing = False
        self._thread: threading.Thread | None = None
        self.problem: str | None = None

    def start(self) -> None:
        """Starts the background thread."""
        self._thread = threading.Thread(target=self._run, name="state-snapshots", daemon=True)
        self._thread.start()

    def mark(self, keys: Iterable[str]) -> None:
        """Schedules the state of these keys to be saved. Returns at once."""
        with self._wake:
            before = len(self._marked)
            self._marked.update(keys)
            if len(self._marked) != before:
                self._wake.notify()

    def close(self) -> None:
        """Saves what is marked, then stops the thread."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        while True:
            with self._wake:
                while not self._marked and not self._closing:
                    self._wake.wait()
                if self._closing and not self._marked:
                    return
                closing = self._closing
            if not closing:
                time.sleep(SETTLE_SECONDS)
            with self._wake:
                keys, self._marked = self._marked, set()
            started = time.monotonic()
            failed = self._save_all(keys)
            if failed:
                if closing:
                    return
                self.mark(failed)
                time.sleep(FAILURE_PAUSE_SECONDS)
            elif not closing:
                time.sleep((time.monotonic() - started) * (1 / SAVING_SHARE - 1))

    def _save_all(self, keys: Iterable[str]) -> set[str]:
        failed: set[str] = set()
        for key in sorted(keys):
            try:
                self._save(key)
            except Exception as problem:
                logger.exception("state %r could not be saved; retrying", key)
                self.problem = f"state {key!r} could not be saved: {problem}"
                failed.add(key)
        if not failed:
            self.problem = None
        return failed
