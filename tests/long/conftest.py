"""Claims that take minutes: on a sandbox of their own, with Dagster as it is operated."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.support.dagster_processes import DagsterProcesses
from tests.support.sandbox import EXTRA_FEEDS_DIR, RunningSandbox, running_sandbox


@pytest.fixture(scope="module")
def sandbox() -> Iterator[RunningSandbox]:
    """Both accounts, with all feeds deployed."""
    with running_sandbox() as running:
        more = replace(
            running, more={**running.more, "XACCT_EXTRA_FEEDS_DIR": str(EXTRA_FEEDS_DIR)}
        )
        more.run("xacct_assets.operations.cli", "--no-env-file", "deploy")
        yield more


@pytest.fixture(scope="module")
def dagster(
    sandbox: RunningSandbox, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[DagsterProcesses]:
    """`dagster dev`, answering; all of its processes are gone afterwards."""
    processes = DagsterProcesses(sandbox, tmp_path_factory.mktemp("dagster") / "dev")
    try:
        processes.start_dev()
        yield processes
    finally:
        processes.kill()
