"""Glue in the sandbox: catalog, crawlers, jobs and their runs."""

from __future__ import annotations

from xacct_sandbox.config import SandboxConfig
from xacct_sandbox.glue import catalog, crawler, job_definitions, jobs


def install(config: SandboxConfig) -> None:
    """Put all Glue operations in place."""
    catalog.install()
    crawler.install()
    job_definitions.install()
    jobs.install(config)


def start(config: SandboxConfig) -> None:
    """End what an earlier process left open; Spark warms up in the background."""
    jobs.start(config)


def stop() -> None:
    """Stop all job runs and Spark."""
    jobs.stop()


def healthy() -> bool:
    """Whether jobs can run."""
    return jobs.healthy()
