"""How the modules of a session are given to the workers of pytest-xdist.

A worker takes the next module when it has finished one. The longest come first, so that no worker
is still at a long one when the others have nothing left.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from xdist.scheduler import LoadFileScheduling

CONFORMANCE = "tests/conformance/"
# More than half a minute each, the longest first.
LONGEST = (
    "test_chaos",
    "test_termination",
    "test_deploy_and_destroy",
    "test_pipeline",
    "test_iam_removal",
    "test_new_feed",
    "test_doctor",
    "conformance",
    "test_run_queue",
    "test_malformed_files",
    "test_evolution",
    "test_adoption",
    "test_feeds",
    "test_rivals",
    "test_tampering",
    "test_arrival_live",
    "test_read_paths",
    "test_password_rotation",
)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest modules of the integration tests first; the others keep their order."""
    ranks = {name: rank for rank, name in enumerate(LONGEST)}

    def rank(item: pytest.Item) -> int:
        folder = item.path.parent.name
        return ranks.get(item.path.stem if folder == "integration" else folder, len(ranks))

    items.sort(key=rank)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadFileScheduling | None:
    """Give the files of ``tests/conformance`` to one worker: they share a sandbox of their own."""
    if config.getoption("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class ByFile(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            scope = super()._split_scope(nodeid)
            return CONFORMANCE if scope.startswith(CONFORMANCE) else scope

    return ByFile(config, log)
