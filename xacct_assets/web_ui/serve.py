"""Puts the guard in front of the application that Dagster's web server serves."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from xacct_assets.web_ui.guard import Application, Guard
from xacct_assets.web_ui.hosts import UiHosts

_FACTORY = "create_app_from_workspace_process_context"


def install_guard() -> None:
    """Has this process's web server serve its application behind the guard only.

    ``dagster_webserver.cli`` builds the application with a function of ``dagster_webserver.app``
    and hands it to uvicorn. The name of that function in ``cli`` is replaced: so the command keeps
    its options, and each start of it is guarded.

    Raises:
        RuntimeError: this version of Dagster builds its application in another way.
        UiHostsError: ``XACCT_UI_HOSTS`` is not usable.
    """
    from dagster_webserver import app, cli

    hosts = UiHosts.from_environment(os.environ)
    build: Callable[..., Application] | None = vars(cli).get(_FACTORY)
    if getattr(build, "is_guarded", False):
        return
    if build is None or build != vars(app).get(_FACTORY):
        raise RuntimeError(
            "the web UI is not served, since it would be unguarded: this version of "
            f"dagster-webserver does not build its application with {_FACTORY}; install the "
            "version in constraints.txt"
        )

    def build_guarded(*args: Any, **kwargs: Any) -> Guard:
        return Guard(build(*args, **kwargs), hosts)

    build_guarded.is_guarded = True  # type: ignore[attr-defined]
    setattr(cli, _FACTORY, build_guarded)
