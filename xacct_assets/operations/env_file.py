"""Reads the `.env` of the current directory as `dagster dev` does: it overrides the shell.

If the shell took precedence here, `xacct reconcile` could look at another installation than the UI
started in the same directory.
"""

from __future__ import annotations

import os
from collections.abc import MutableMapping
from pathlib import Path


class EnvFileError(Exception):
    """The `.env` file cannot be read."""


def load_env_file(
    path: Path | None = None, environ: MutableMapping[str, str] | None = None
) -> list[str]:
    """Set the variables of the file.

    Args:
        path: the file; by default `.env` in the current directory, which may be missing.
        environ: where they are set; by default the environment of the process.

    Returns:
        Names of the variables; none if there is no file.

    Raises:
        EnvFileError: the file was named and does not exist, or it is not text.
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
    # A line without "=" names a variable without a value; Dagster ignores those too.
    variables = {name: value for name, value in values.items() if value is not None}
    target.update(variables)
    return list(variables)
