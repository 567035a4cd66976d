"""Build hook: what a wheel and an editable install have besides the package itself.

A wheel gets job script, SQL and templates, so that `xacct deploy` works without a checkout, and a
`dg.toml`, so that Dagster finds the project's definitions. An editable install finds these in the
checkout; it gets the command `xacct-sandbox`, which a production wheel must not have.
"""

import tempfile
import tomllib
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

DEPLOYED_FOLDERS = ("glue", "infra", "sql")


class InstallationFiles(BuildHookInterface):
    """Adds these files to the build."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called by hatchling before it builds; ``version`` is "standard" or "editable"."""
        if version == "editable":
            build_data["shared_scripts"]["xacct_sandbox/bin/xacct-sandbox"] = "xacct-sandbox"
            return
        for folder in DEPLOYED_FOLDERS:
            source = str(Path(self.root) / folder)
            build_data["force_include"][source] = f"xacct_assets/_resources/{folder}"
        self._folder = tempfile.TemporaryDirectory()
        dg_toml = Path(self._folder.name) / "dg.toml"
        dg_toml.write_text(_dg_toml(Path(self.root) / "pyproject.toml"), encoding="utf-8")
        build_data["force_include"][str(dg_toml)] = "xacct_assets/dg.toml"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Called by hatchling when the artifact is written."""
        if version != "editable":
            self._folder.cleanup()


def _dg_toml(pyproject: Path) -> str:
    """The project's settings for Dagster, as a file of their own."""
    project = tomllib.loads(pyproject.read_text(encoding="utf-8"))["tool"]["dg"]["project"]
    names = ("root_module", "code_location_name")
    lines = [f'{name} = "{project[name]}"' for name in names]
    return "\n".join(['directory_type = "project"', "", "[project]", *lines, ""])
