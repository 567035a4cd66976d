"""The folders with a namespace's data: kept for a snapshot, set aside for a replacement.

A snapshot is PostgreSQL's whole data folder: tables, users, grants and procedures. The database is
stopped while its folder is copied or moved, so open sessions end.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from xacct_sandbox.daemon.config import SandboxConfig
from xacct_sandbox.redshift import process


class DataFolders:
    """The data folder in use, and those that are kept beside it.

    Args:
        config: of the sandbox.
        disconnect: ends the daemon's own sessions before the database stops.
    """

    def __init__(self, config: SandboxConfig, disconnect: Callable[[], None]) -> None:
        self._config = config
        self._disconnect = disconnect
        self._data = config.postgres_dir / "data"
        self._kept = config.postgres_dir / "kept"

    def copy_to(self, name: str) -> int:
        """Keep a copy of the data in use under a name. Returns its size in bytes."""
        with self._stopped():
            _copy(self._data, self._kept / name)
        return self.size(name)

    def move_to(self, name: str) -> int:
        """Keep the data in use under a name, and go on with an empty database.

        Returns:
            The size of what is kept, in bytes.
        """
        with self._stopped():
            self._kept.mkdir(exist_ok=True)
            self._data.rename(self._kept / name)
        return self.size(name)

    def size(self, name: str) -> int:
        """The size of what is kept, in bytes."""
        return _size(self._kept / name)

    def undo_move(self, name: str) -> None:
        """Use what is kept again, if the sandbox was killed before the move was recorded.

        Called while the database is stopped.
        """
        if (self._kept / name).exists():
            if self._data.exists():
                shutil.rmtree(self._data)
            (self._kept / name).rename(self._data)

    def use(self, name: str, *, keep: bool) -> None:
        """Replace the data in use by what is kept.

        Args:
            name: of what is kept.
            keep: whether it stays there as well.
        """
        with self._stopped():
            source = self._kept / name
            if keep:
                source = self._kept / "restored"
                _copy(self._kept / name, source)
            shutil.rmtree(self._data)
            source.rename(self._data)

    def drop(self, name: str) -> None:
        """Delete what is kept."""
        shutil.rmtree(self._kept / name)

    @contextmanager
    def _stopped(self) -> Iterator[None]:
        self._disconnect()
        process.stop()
        try:
            yield
        finally:
            process.start(self._config)


def _copy(source: Path, target: Path) -> None:
    """Copy a data folder with its owner, which PostgreSQL checks."""
    partial = target.with_name(f"{target.name}.new")
    if partial.exists():
        shutil.rmtree(partial)
    partial.parent.mkdir(exist_ok=True)
    shutil.copytree(source, partial, symlinks=True)
    owner = source.stat()
    for path in (partial, *partial.rglob("*")):
        os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)
    partial.rename(target)


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
