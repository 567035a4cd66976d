"""The log of injected faults: a JSON lines file that survives the daemon."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

LOGGED_CHARACTERS = 300
"""Longer resources (SQL texts) are cut off in the log."""


class InjectionLog:
    """The log at ``path``. Not locked: the fault plan calls it under its own lock.

    Attributes:
        count: number of entries.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.count = _complete_lines(path)

    def append(self, fault_id: str, kind: str, service: str, operation: str, resource: str) -> None:
        """Adds an injection, with the current time."""
        line = json.dumps(
            {
                "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
                "id": fault_id,
                "kind": kind,
                "service": service,
                "operation": operation,
                "resource": resource[:LOGGED_CHARACTERS],
            }
        )
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(line + "\n")
        self.count += 1

    def entries(self) -> list[dict[str, Any]]:
        """All entries, oldest first."""
        if not self._path.exists():
            return []
        text = self._path.read_text(encoding="utf-8")
        # Not splitlines(): a resource may contain other line separators than "\n".
        return [json.loads(line) for line in text.split("\n") if line]

    def remove(self) -> None:
        """Removes the file."""
        self._path.unlink(missing_ok=True)
        self.count = 0


def _complete_lines(path: Path) -> int:
    """The number of lines. A last line that a kill cut short is removed."""
    if not path.exists():
        return 0
    content = path.read_bytes()
    os.truncate(path, content.rfind(b"\n") + 1)
    return content.count(b"\n")
