"""The `.env` file that points `dagster dev`, `dg` and `xacct` at the sandbox."""

from __future__ import annotations

from pathlib import Path

from xacct_sandbox.daemon.config import SandboxConfig

MARKER = "# Written by `xacct-sandbox up`; without this line it is yours and never touched again."


def variables(config: SandboxConfig) -> dict[str, str]:
    """The environment variables of a client of the sandbox."""
    return {
        "AWS_CONFIG_FILE": str(config.aws_config_file),
        "AWS_SHARED_CREDENTIALS_FILE": str(config.aws_credentials_file),
        "AWS_PROFILE": "orchestrator",
        "AWS_REGION": config.region,
        "AWS_DEFAULT_REGION": config.region,
        "AWS_ENDPOINT_URL": config.endpoint_url,
        "AWS_CA_BUNDLE": str(config.ca_bundle),
        "SSL_CERT_FILE": str(config.ca_bundle),
        "XACCT_ACCOUNT_A": config.account_a,
        "XACCT_ACCOUNT_B": config.account_b,
        "XACCT_SUFFIX": config.suffix,
        "XACCT_ACCOUNT_A_PROFILE": "account-a-admin",
        "XACCT_ACCOUNT_B_PROFILE": "account-b-admin",
        # `xacct deploy` lets this user assume the orchestrator role.
        "XACCT_ORCHESTRATOR_TRUSTED_ARNS": f"arn:aws:iam::{config.account_b}:user/developer",
        "XACCT_WAREHOUSE_HOST": config.host,
        "XACCT_WAREHOUSE_PORT": str(config.redshift_port),
        # Dagster requires an absolute path.
        "DAGSTER_HOME": str(dagster_home(config)),
    }


def dagster_home(config: SandboxConfig) -> Path:
    """The folder of Dagster's runs, events and logs, in the home of the sandbox."""
    return config.home / "dagster"


def _prepare_dagster_home(config: SandboxConfig, folder: Path) -> None:
    """Creates that folder, with the settings of the ``dagster.yaml`` in ``folder``."""
    home = dagster_home(config)
    home.mkdir(parents=True, exist_ok=True)
    settings, link = (folder / "dagster.yaml").absolute(), home / "dagster.yaml"
    if settings.exists() and (link.is_symlink() or not link.exists()):
        # A link, so that a change of the project's file takes effect at the next start.
        link.unlink(missing_ok=True)
        link.symlink_to(settings)


def write(config: SandboxConfig, folder: Path) -> Path | None:
    """Writes ``.env`` into a folder. Returns None if the folder has a user's own ``.env``."""
    _prepare_dagster_home(config, folder)
    path = folder / ".env"
    if path.exists() and not _is_ours(path):
        return None
    lines = [MARKER, *(f"{name}={value}" for name, value in variables(config).items())]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def remove(folder: Path) -> bool:
    """Removes the ``.env`` of a folder, unless it is a user's own. Returns whether it did."""
    path = folder / ".env"
    if not path.exists() or not _is_ours(path):
        return False
    path.unlink()
    return True


def _is_ours(path: Path) -> bool:
    return path.read_text(encoding="utf-8", errors="replace").startswith(MARKER)
