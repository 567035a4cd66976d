"""Claims that take minutes: on a sandbox of their own, with Dagster as it is operated."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.support.dagster_processes import DagsterProcesses, dagster_dev
from tests.support.project import EXTRA_FEEDS_DIR
from tests.support.sandbox import RunningSandbox, running_sandbox


@pytest.fixture(scope="module")
def sandbox() -> Iterator[RunningSandbox]:
    """Both accounts, with all feeds deployed."""
    with running_sandbox() as running:
        settings = {**running.extra_settings, "XACCT_EXTRA_FEEDS_DIR": str(EXTRA_FEEDS_DIR)}
        with_feeds = replace(running, extra_settings=settings)
        with_feeds.run("xacct_assets.operations.cli", "--no-env-file", "deploy", "--yes")
        yield with_feeds


@pytest.fixture(scope="module")
def dagster(
    sandbox: RunningSandbox, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[DagsterProcesses]:
    with dagster_dev(sandbox, tmp_path_factory.mktemp("dagster") / "dev") as processes:
        yield processes
