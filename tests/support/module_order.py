"""The order in which the modules of a session are given to the workers of pytest-xdist.

A worker takes the next module when it has finished one. The longest come first, so that no worker
is still at a long one when the others have nothing left.
"""

from __future__ import annotations

import pytest

# More than half a minute each, the longest first.
LONGEST = (
    "test_chaos",
    "test_termination",
    "test_large_loads",
    "test_deploy_and_destroy",
    "test_pipeline",
    "test_iam_removal",
    "test_new_feed",
    "test_doctor",
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
        long = item.path.parent.name == "integration"
        return ranks.get(item.path.stem, len(ranks)) if long else len(ranks)

    items.sort(key=rank)
