"""The `.env` of the current directory, read as `dagster dev` reads it: it wins over the shell.

Both must see the same settings; if the shell won here, `xacct reconcile` could look at another
installation than the UI beside it.
"""

from __future__ import annotations

import os
from collections.abc import MutableMapping
from pathlib import Path


class EnvFileError(Exception):
    """The `.env` cannot be read."""


def load_env_file(
    path: Path | None = None, environ: MutableMapping[str, str] | None = None
) -> list[str]:
    """Set the variables of the file; their names, empty if there is no file.

    Args:
        path: the file; by default `.env` in the current directory, which need not exist.
        environ: set there; by default the process's environment.

    Raises:
        EnvFileError: a file that was named does not exist, or the file is not text.
    """
    from dotenv import dotenv_values

    target = os.environ if environ is None else environ
    source = path or Path.cwd() / ".env"
    if not source.is_file():
        if path is not None:
            raise EnvFileError(f"{path} does not exist; name another --env-file")
        return []
    try:
        values = dotenv_values(source)
    except UnicodeDecodeError as error:
        raise EnvFileError(f"{source} is not UTF-8 text ({error.reason}): save it as UTF-8") from (
            error
        )
    # Without an "=" a line names a variable and gives it no value: Dagster leaves those out too.
    given = {name: value for name, value in values.items() if value is not None}
    target.update(given)
    return list(given)
