"""Build hook: what a wheel and an editable install have besides the package itself.

A wheel gets job script, SQL and templates, so that `xacct deploy` works without a checkout. An
editable install finds these in the checkout. It gets the command `xacct-sandbox`, which a
production wheel must not have.
"""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class InstallationFiles(BuildHookInterface):
    """Adds these files to the build."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called by hatchling before it builds; ``version`` is "standard" or "editable"."""
        if version == "editable":
            build_data["shared_scripts"]["xacct_sandbox/bin/xacct-sandbox"] = "xacct-sandbox"
            return
        for folder in ("glue", "infra", "sql"):
            source = str(Path(self.root) / folder)
            build_data["force_include"][source] = f"xacct_assets/_resources/{folder}"
