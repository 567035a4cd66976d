"""The `dagster_pipes` package as a zip that a Glue job can import (``--extra-py-files``)."""

from __future__ import annotations

import importlib.util
import io
import zipfile
from pathlib import Path

from xacct_assets.aws.errors import DeployFailed

_SUFFIXES = {".py", ".typed"}


def pipes_zip() -> bytes:
    """Zip the installed package; the same content gives the same bytes."""
    spec = importlib.util.find_spec("dagster_pipes")
    if spec is None or not spec.submodule_search_locations:
        raise DeployFailed(
            "the package dagster_pipes is not installed",
            fix="install this project with its dependencies (make setup)",
        )
    package = Path(next(iter(spec.submodule_search_locations)))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(package.rglob("*")):
            if path.is_file() and path.suffix in _SUFFIXES:
                # A fixed date: files differ in modification time between installations.
                name = path.relative_to(package.parent).as_posix()
                entry = zipfile.ZipInfo(name, date_time=(2020, 1, 1, 0, 0, 0))
                entry.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(entry, path.read_bytes())
    return buffer.getvalue()
