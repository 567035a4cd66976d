"""The packages that the job script imports, as a zip for Glue (``--extra-py-files``)."""

from __future__ import annotations

import importlib.util
import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

import xacct_assets
from xacct_assets.aws.errors import DeployFailed

_SUFFIXES = {".py", ".typed"}
#: A fixed date: the time of installation is not content.
_DATE = (2020, 1, 1, 0, 0, 0)


def libraries_zip(glue: Path) -> bytes:
    """`dagster_pipes`, `xacct_assets.contract` and `xacct_load` in one zip.

    The zip has the same bytes for the same content, so that an unchanged one is not uploaded.

    Args:
        glue: the folder with ``load.py`` and ``xacct_load``.

    Raises:
        DeployFailed: a package is not there.
    """
    files = dict(_files())
    files |= _package(glue / "xacct_load", glue)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, path in sorted(files.items()):
            entry = zipfile.ZipInfo(name, date_time=_DATE)
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, path.read_bytes())
    return buffer.getvalue()


def _files() -> Iterator[tuple[str, Path]]:
    """Name in the zip and path of the installed files."""
    spec = importlib.util.find_spec("dagster_pipes")
    if spec is None or not spec.submodule_search_locations:
        raise DeployFailed(
            "the package dagster_pipes is not installed",
            fix="install this project with its dependencies (make setup)",
        )
    pipes = Path(next(iter(spec.submodule_search_locations)))
    yield from _package(pipes, pipes.parent).items()
    # Of xacct_assets only what makes `xacct_assets.contract` importable.
    package = Path(xacct_assets.__path__[0])
    yield "xacct_assets/__init__.py", package / "__init__.py"
    yield from _package(package / "contract", package.parent).items()


def _package(folder: Path, root: Path) -> dict[str, Path]:
    if not (folder / "__init__.py").is_file():
        raise DeployFailed(f"{folder} is not a package", fix="install this project again")
    return {
        path.relative_to(root).as_posix(): path
        for path in folder.rglob("*")
        if path.is_file() and path.suffix in _SUFFIXES
    }
