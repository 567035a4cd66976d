"""The Glue service of the sandbox: catalog, crawlers and jobs."""

from __future__ import annotations

from xacct_sandbox.daemon.config import SandboxConfig
from xacct_sandbox.glue import quotas
from xacct_sandbox.glue.catalog import api as catalog
from xacct_sandbox.glue.crawler import api as crawler
from xacct_sandbox.glue.jobs import api as jobs


def install(config: SandboxConfig) -> None:
    """Add all Glue operations to the emulator."""
    catalog.install()
    crawler.install()
    jobs.install(config)
    quotas.install()


def start(_config: SandboxConfig) -> None:
    """Close job runs that an earlier process left open, and start Spark in the background."""
    jobs.start()


def stop() -> None:
    """Stop all job runs and Spark."""
    jobs.stop()


def healthy() -> bool:
    """Whether jobs can run."""
    return problem() is None


def problem() -> str | None:
    """Why no job can run, if that is so. Waiting does not help."""
    return jobs.problem()
