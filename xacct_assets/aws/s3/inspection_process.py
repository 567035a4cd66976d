"""Inspects large files in processes of their own, so that several files use all cores.

Counting is work of Python's interpreter, of which a process uses one core at a time. Here the bytes
are fetched, and a child process counts them. A child holds a few chunks in memory, and ends with
its standard input, so that a process that was killed leaves none behind.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, fields
from datetime import UTC, datetime
from threading import BoundedSemaphore
from typing import Any

from xacct_assets.aws.errors import Unavailable
from xacct_assets.aws.s3.file_inspection import FileVerdict, RawObject, inspect_content
from xacct_assets.contract.csv_dialect import CsvDialect
from xacct_assets.contract.gzip_stream import CHUNK
from xacct_assets.contract.headers import FileColumns

#: Starting a process takes a fraction of the time that this many bytes take to be counted.
WORTH_A_PROCESS_BYTES = 128 * 1024 * 1024

_CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
_SLOTS = BoundedSemaphore(_CORES)
# The child finds the packages where this process does.
_CODE = (
    f"import json, sys; sys.path[:] = json.loads(sys.argv[1]); from {__name__} import main; main()"
)


def inspect_in_process(
    item: RawObject, body: Iterable[bytes], dialect: CsvDialect, columns: FileColumns
) -> FileVerdict:
    """`inspect_content` in a child process; in this one if the machine has only one core.

    At most as many files as the machine has cores are read at the same time; the body of another
    one is not asked for before.

    Raises:
        Unavailable: the child process was killed.
    """
    if _CORES == 1:
        return inspect_content(item, body, dialect, columns)
    with (
        _SLOTS,
        subprocess.Popen(
            [sys.executable, "-c", _CODE, json.dumps(sys.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as child,
    ):
        try:
            answer = _inspect(child, item, body, dialect, columns)
        except BaseException:
            child.kill()
            raise
    if child.returncode != 0:
        raise Unavailable(
            f"counting {item.key} was interrupted",
            reason=f"the process that counted it ended with code {child.returncode}",
            fix="materialize the day again; if it was killed for memory (code -9), give the run's "
            "machine more, or lower source.count_until_mb",
        )
    found: dict[str, Any] = json.loads(answer)
    return FileVerdict(**{**found, "object": item, "header": tuple(found["header"])})


def _inspect(
    child: subprocess.Popen[bytes],
    item: RawObject,
    body: Iterable[bytes],
    dialect: CsvDialect,
    columns: FileColumns,
) -> bytes:
    assert child.stdin is not None
    assert child.stdout is not None
    if sys.platform == "linux":
        import fcntl

        # Fewer changes between the processes than with 64 kB.
        with suppress(PermissionError):
            fcntl.fcntl(child.stdin, fcntl.F_SETPIPE_SZ, 4 * CHUNK)
    order = {
        "key": item.key,
        "size": item.size,
        "dialect": asdict(dialect),
        "columns": asdict(columns),
    }
    try:
        child.stdin.write(json.dumps(order).encode() + b"\n")
        for chunk in body:
            child.stdin.write(chunk)
    except BrokenPipeError:
        pass  # a file with a problem is not read to its end
    finally:
        with suppress(BrokenPipeError):
            child.stdin.close()
    return child.stdout.read()


def main() -> None:
    """The child: an order and the file's bytes from standard input, the verdict to the output."""
    stdin = sys.stdin.buffer
    order = json.loads(stdin.readline())
    item = RawObject(order["key"], order["size"], "", datetime.now(UTC))
    body = iter(lambda: stdin.read(CHUNK), b"")
    columns = FileColumns(**order["columns"])
    verdict = inspect_content(item, body, CsvDialect(**order["dialect"]), columns)
    # The parent may still be writing. It must not wait for this process, nor this one for it.
    os.close(stdin.fileno())
    names = {field.name for field in fields(verdict)} - {"object"}
    sys.stdout.write(json.dumps({name: getattr(verdict, name) for name in names}))
