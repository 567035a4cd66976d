"""The Dagster instance of one machine: whatever starts its web server, the UI is guarded.

``dg dev`` and ``dagster dev`` start the stock web server in a process of their own. It loads the
instance before it builds its application; there the guard is put in front of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dagster as dg
from dagster._core.instance.ref import InstanceRef

from xacct_assets.web_ui.serve import install_guard


class GuardedInstance(dg.DagsterInstance):
    """`DagsterInstance` that guards the web server of its process."""

    @classmethod
    def config_schema(cls) -> dict[str, Any]:
        """No keys besides those of every ``dagster.yaml``."""
        return {}

    @classmethod
    def config_defaults(cls, base_dir: str) -> Mapping[str, Any]:
        """Dagster's own."""
        return InstanceRef.config_defaults(base_dir)

    def optimize_for_webserver(
        self, statement_timeout: int, pool_recycle: int, max_overflow: int
    ) -> None:
        """Called by the web server, and by nothing else, when it starts."""
        install_guard()
        super().optimize_for_webserver(statement_timeout, pool_recycle, max_overflow)
