"""Gives `xacct-sandbox` to a checkout and keeps it, like the sandbox itself, out of the wheel."""

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class SandboxCommand(BuildHookInterface):
    """An editable install gets the command; an entry point would be in every production wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable":
            build_data["shared_scripts"]["xacct_sandbox/bin/xacct-sandbox"] = "xacct-sandbox"
