"""``python -m xacct_assets.web_ui``: the command ``dagster-webserver``, guarded."""

from __future__ import annotations

import sys
from collections.abc import Callable

from xacct_assets.web_ui.hosts import UiHostsError
from xacct_assets.web_ui.serve import install_guard


def main() -> None:
    """Serve the UI; the arguments are those of ``dagster-webserver``."""
    try:
        install_guard()
    except UiHostsError as error:
        sys.exit(str(error))
    from dagster_webserver import cli

    serve: Callable[[], None] = cli.main
    serve()


if __name__ == "__main__":
    main()
