"""Glue in the sandbox: catalog, crawlers, jobs and their runs."""

from __future__ import annotations

from xacct_sandbox.daemon.config import SandboxConfig
from xacct_sandbox.glue.catalog import operations as catalog
from xacct_sandbox.glue.crawler import operations as crawler
from xacct_sandbox.glue.jobs import definitions, runs


def install(config: SandboxConfig) -> None:
    """Put all Glue operations in place."""
    catalog.install()
    crawler.install()
    definitions.install()
    runs.install(config)


def start(config: SandboxConfig) -> None:
    """End what an earlier process left open; Spark warms up in the background."""
    runs.start(config)


def stop() -> None:
    """Stop all job runs and Spark."""
    runs.stop()


def healthy() -> bool:
    """Whether jobs can run."""
    return runs.healthy()
