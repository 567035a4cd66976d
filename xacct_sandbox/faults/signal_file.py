"""A byte of shared memory: it tells the Redshift process whether to ask the daemon about faults.

The daemon writes it; a database session reads it before every statement, at no cost, and sees a
change at once.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterable
from pathlib import Path

from xacct_sandbox.faults.kinds import DATABASE_OPERATIONS

_BITS = {operation: 1 << position for position, operation in enumerate(DATABASE_OPERATIONS)}


class SignalFile:
    """The set of database operations for which a fault may be planned."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.truncate(descriptor, 1)
            self._memory = mmap.mmap(descriptor, 1)
        finally:
            os.close(descriptor)

    def set(self, operations: Iterable[str]) -> None:
        """Replaces the set."""
        self._memory[0] = sum(_BITS[operation] for operation in set(operations))

    def has(self, *operations: str) -> bool:
        """Whether one of these operations is in the set."""
        byte = self._memory[0]
        return bool(byte) and any(byte & _BITS[operation] for operation in operations)
