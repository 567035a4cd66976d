"""The results of the seeds in files, so that a long run can be stopped and continued.

``seeds/<n>.json`` is a seed's result; ``claims/<n>`` holds the process id of the worker that runs
it. Both survive a kill: a claim of a process that is gone is ignored, and a seed without a result
is run from its start.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any


class State:
    """The files of a long run.

    Args:
        folder: created if it does not exist.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._seeds = folder / "seeds"
        self._claims = folder / "claims"
        for subfolder in (self._seeds, self._claims):
            subfolder.mkdir(parents=True, exist_ok=True)

    def results(self) -> dict[int, dict[str, Any]]:
        """All results there are, by seed."""
        found = {}
        for path in self._seeds.glob("*.json"):
            found[int(path.stem)] = json.loads(path.read_text(encoding="utf-8"))
        return dict(sorted(found.items()))

    def keep(self, seed: int, result: dict[str, Any]) -> None:
        """Store a result and remove the claim."""
        path = self._seeds / f"{seed}.json"
        # Whole or not at all: a result that is half there could not be gone on with.
        temporary = path.with_suffix(".new")
        temporary.write_text(json.dumps(result, indent=1), encoding="utf-8")
        temporary.replace(path)
        (self._claims / str(seed)).unlink(missing_ok=True)

    def forget(self, seed: int) -> None:
        """Delete the result of a seed."""
        (self._seeds / f"{seed}.json").unlink(missing_ok=True)

    def claim(self, seeds: Iterable[int]) -> int | None:
        """Claim the next seed that has no result and no live claim; None if there is none."""
        for seed in seeds:
            if (self._seeds / f"{seed}.json").exists():
                continue
            path = self._claims / str(seed)
            if path.exists() and not _is_alive(path.read_text(encoding="ascii")):
                path.unlink(missing_ok=True)
            try:
                descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            except FileExistsError:
                continue
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write(str(os.getpid()))
            return seed
        return None


def _is_alive(pid: str) -> bool:
    """Whether the process of a claim still runs; an empty claim is just being written."""
    return not pid or Path(f"/proc/{pid}").exists()
