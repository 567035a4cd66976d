"""The rows of an UNLOAD, dealt out to slices. A thread per slice encodes and uploads its files."""

from __future__ import annotations

import functools
import queue
import threading
from collections.abc import Callable

from xacct_sandbox.redshift.unload.files import Slice, WrittenFile

BATCH_BYTES = 1 << 20  # of rows that a slice's thread gets at once
BATCHES_WAITING = 3
TURN_BYTES = 64 << 10  # of rows that one slice gets before the next


class Dealer:
    """Gives rows to slices in turn. All methods block: call them in a thread.

    Attributes:
        rows: The number of rows so far.
    """

    def __init__(self, slices: list[Slice], strip: bytes | None) -> None:
        """``strip``: bytes to remove from the rows."""
        self._workers = [_Worker(item) for item in slices]
        self._strip = strip
        self._turn = self._dealt = 0
        self.rows = 0

    def take(self, data: bytes, rows: int) -> None:
        """Add whole rows. Waits while the upload is behind.

        Raises:
            RedshiftError: An upload failed.
        """
        self.rows += rows
        if self._strip is not None:
            data = data.replace(self._strip, b"")
        self._workers[self._turn].add(data, rows)
        self._dealt += len(data)
        if self._dealt >= TURN_BYTES:
            self._turn, self._dealt = (self._turn + 1) % len(self._workers), 0

    def finish(self, slices: int | None = None) -> list[WrittenFile]:
        """Write the rest and make the files visible.

        Args:
            slices: Finish only this many slices.

        Returns:
            The files, slice by slice.

        Raises:
            RedshiftError: An upload failed.
        """
        for worker in self._workers[:slices]:
            worker.end()
        return [file for worker in self._workers[:slices] for file in worker.files()]

    def abandon(self) -> None:
        """End the threads, and drop the files that are not complete."""
        for worker in self._workers:
            worker.abandon()


class _Worker:
    """One slice's thread, fed from a short queue."""

    def __init__(self, item: Slice) -> None:
        self._slice = item
        self._parts: list[bytes] = []
        self._bytes = 0
        self._records = 0
        self._queue: queue.Queue[tuple[list[bytes], int] | None] = queue.Queue(BATCHES_WAITING)
        self._problem: Exception | None = None
        self._ended = self._abandoned = False
        self._thread = threading.Thread(target=self._work, name="unload-slice", daemon=True)
        self._thread.start()

    def add(self, data: bytes, records: int) -> None:
        if self._problem is not None:
            raise self._problem
        self._parts.append(data)
        self._bytes += len(data)
        self._records += records
        if self._bytes >= BATCH_BYTES:
            self._hand_over()

    def end(self) -> None:
        """Hand over the last rows. Nothing may be added afterwards."""
        if self._ended:
            return
        self._ended = True
        if self._parts:
            self._hand_over()
        self._queue.put(None)

    def files(self) -> list[WrittenFile]:
        """Wait for the thread; the files it wrote.

        Raises:
            RedshiftError: It failed.
        """
        self._thread.join()
        if self._problem is not None:
            raise self._problem
        return self._slice.files

    def abandon(self) -> None:
        self._abandoned = True
        if self._thread.is_alive():
            self._queue.put(None)
            self._thread.join()
        self._slice.abort()

    def _hand_over(self) -> None:
        self._queue.put((self._parts, self._records))
        self._parts, self._bytes, self._records = [], 0, 0

    def _work(self) -> None:
        while (item := self._queue.get()) is not None:
            # After a problem the rows are dropped, until ``add`` raises it.
            if self._problem is None and not self._abandoned:
                self._try(functools.partial(self._slice.write, *item))
        if self._problem is None and not self._abandoned:
            self._try(self._slice.close)

    def _try(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as problem:  # noqa: BLE001 -- raised by add and files
            self._problem = problem
