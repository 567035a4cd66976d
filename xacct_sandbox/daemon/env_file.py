"""The `.env` file that points `dg` and `xacct` at the sandbox."""

from __future__ import annotations

import io
import os
import re
from pathlib import Path

from dotenv import dotenv_values

from xacct_sandbox.daemon import proxies
from xacct_sandbox.daemon.config import HOME_VARIABLE, SandboxConfig, SandboxError

MARKER = "# Written by `xacct-sandbox up`; without this line it is yours and never touched again."
END_MARKER = "# --- your own lines go below; they are kept, and they win over the lines above"


DAGSTER_YAML = "xacct_assets/local_runtime/dagster.yaml"
"""In a checkout. Dagster warns of a ``dagster.yaml`` in the working directory that is not used."""

ARRIVAL = {
    "XACCT_ARRIVAL_START_RUNNING": "true",
    "XACCT_ARRIVAL_INTERVAL_SECONDS": "5",
    "XACCT_ARRIVAL_SETTLE_SECONDS": "2",
}
"""Dagster's UI on a sandbox runs a file that lands by itself, within seconds."""


def variables(config: SandboxConfig) -> dict[str, str]:
    """The environment variables of a client of the sandbox."""
    return {
        "AWS_CONFIG_FILE": str(config.aws_config_file),
        "AWS_SHARED_CREDENTIALS_FILE": str(config.aws_credentials_file),
        "AWS_PROFILE": "orchestrator",
        # Keys in the shell would win over the profile. An empty variable counts as unset.
        "AWS_ACCESS_KEY_ID": "",
        "AWS_SECRET_ACCESS_KEY": "",
        "AWS_SESSION_TOKEN": "",
        **connection(config),
        "XACCT_ACCOUNT_A": config.account_a,
        "XACCT_ACCOUNT_B": config.account_b,
        "XACCT_SUFFIX": config.suffix,
        # Without account ids: nobody else can have taken these names here.
        "XACCT_INPUT_BUCKET": config.input_bucket,
        "XACCT_EXPORT_BUCKET": config.export_bucket,
        "XACCT_PROCESSING_BUCKET": config.processing_bucket,
        "XACCT_ACCOUNT_A_PROFILE": "account-a-admin",
        "XACCT_ACCOUNT_B_PROFILE": "account-b-admin",
        # `xacct deploy` lets this user assume the orchestrator role.
        "XACCT_ORCHESTRATOR_TRUSTED_ARNS": f"arn:aws:iam::{config.account_b}:user/developer",
        "XACCT_WAREHOUSE_HOST": config.host,
        "XACCT_WAREHOUSE_PORT": str(config.redshift_port),
        # Links to the AWS Console lead to the sandbox's own pages.
        "XACCT_CONSOLE_URL": config.console_url,
        # Dagster requires an absolute path.
        "DAGSTER_HOME": str(dagster_home(config)),
    }


def connection(config: SandboxConfig) -> dict[str, str]:
    """The variables by which any client reaches and trusts the sandbox, whoever it is."""
    return {
        "AWS_REGION": config.region,
        "AWS_DEFAULT_REGION": config.region,
        "AWS_ENDPOINT_URL": config.endpoint_url,
        "AWS_CA_BUNDLE": str(config.ca_pem),
        # Of OpenSSL: `redshift_connector` loads the default certificates.
        "SSL_CERT_FILE": str(config.ca_bundle),
        **proxies.direct(os.environ),
    }


def dagster_home(config: SandboxConfig) -> Path:
    """The folder of Dagster's runs, events and logs, in the home of the sandbox."""
    return config.home / "dagster"


def _prepare_dagster_home(config: SandboxConfig, folder: Path) -> None:
    """Creates that folder, with the settings for one machine of the checkout in ``folder``."""
    home = dagster_home(config)
    home.mkdir(parents=True, exist_ok=True)
    settings, link = (folder / DAGSTER_YAML).absolute(), home / "dagster.yaml"
    if settings.exists() and (link.is_symlink() or not link.exists()):
        # A link, so that a change of the project's file takes effect at the next start.
        link.unlink(missing_ok=True)
        link.symlink_to(settings)


def write(config: SandboxConfig, folder: Path) -> Path | None:
    """Writes ``.env`` into a folder, and keeps the lines that the user added to it.

    Returns:
        None if the folder has a user's own ``.env``.

    Raises:
        SandboxError: the file cannot be read or written, or cannot hold a value.
    """
    _prepare_dagster_home(config, folder)
    path = folder / ".env"
    if path.exists() and not _is_ours(path):
        return None
    added = _users_lines(path)
    direct = proxies.direct(os.environ, _hosts_without_proxy(added))
    merged = {**variables(config), **ARRIVAL, **direct}
    ours = [f"{name}={_quoted(value)}" for name, value in merged.items()]
    _replace(path, [MARKER, *ours, END_MARKER, *map(_with_our_host, added)])
    return path


def remove(folder: Path) -> bool:
    """Removes our lines from the ``.env`` of a folder, and the file if it has no others.

    Returns:
        Whether it did: a user's own file is not changed.
    """
    path = folder / ".env"
    if not path.exists() or not _is_ours(path):
        return False
    added = _users_lines(path)
    if added:
        _replace(path, [MARKER, END_MARKER, *added])
    else:
        path.unlink()
    return True


def _is_ours(path: Path) -> bool:
    return path.read_text(encoding="utf-8", errors="replace").startswith(MARKER)


def _users_lines(path: Path) -> list[str]:
    """The lines of our ``.env`` that we did not write, in their order."""
    if not path.exists():
        return []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as problem:
        raise SandboxError(
            f"{path} is not UTF-8 text ({problem.reason}), so your lines in it cannot be kept; "
            "save it as UTF-8"
        ) from problem
    end = lines.index(END_MARKER) if END_MARKER in lines else len(lines)
    # The file of an earlier version has no end marker: the first line of a name is ours.
    names = {*variables(SandboxConfig(home=path.parent)), *ARRIVAL}
    added = []
    for line in lines[1:end]:
        name = line.partition("=")[0]
        if name in names:
            names.remove(name)
        else:
            added.append(line)
    return [*added, *lines[end + 1 :]]


def _hosts_without_proxy(lines: list[str]) -> str:
    """What the user's own lines add to ``NO_PROXY``."""
    values = dotenv_values(stream=io.StringIO("\n".join(lines)))
    return ",".join(values.get(name) or "" for name in proxies.VARIABLES)


def _with_our_host(line: str) -> str:
    """The user's line; if it sets ``NO_PROXY``, which would win over ours, with our host too."""
    name = line.strip().removeprefix("export ").partition("=")[0].strip()
    if name not in proxies.VARIABLES:
        return line
    return f"{name}={_quoted(proxies.direct({}, _hosts_without_proxy([line]))[name])}"


def _replace(path: Path, lines: list[str]) -> None:
    """Writes the whole file at once, so that a failure leaves the earlier one."""
    target = path.resolve()
    partial = target.with_name(f"{target.name}.new")
    try:
        partial.write_text("\n".join(lines) + "\n", encoding="utf-8")
        if target.exists():
            partial.chmod(target.stat().st_mode & 0o777)
        partial.replace(target)
    except OSError as problem:
        raise SandboxError(
            f"{path} cannot be written ({problem.strerror}); run this in a folder that is yours"
        ) from problem


def _quoted(value: str) -> str:
    """The value as python-dotenv, and a POSIX shell, read it.

    Raises:
        SandboxError: there is no way to write it.
    """
    if re.fullmatch(r"[\w@%+=:,./*-]*", value, re.ASCII):
        return value
    if "${" in value or "\n" in value or not _is_text(value):
        raise SandboxError(
            f"{value!r} cannot be written into .env: a line break, `${{` or bytes that are not "
            f"UTF-8 are in it; use a folder with another name, or set {HOME_VARIABLE}"
        )
    if "'" not in value and "\\" not in value:
        return f"'{value}'"
    escaped = re.sub(r'(["\\])', r"\\\1", value)
    return f'"{escaped}"'


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:  # bytes that are not UTF-8 are surrogates in a path
        return False
    return True
