"""Executes a run of a feed's job in its own process, started by a fork server.

It does what `dagster job execute` does, without four seconds of imports. The process can be killed
with SIGKILL, and is interrupted by SIGINT, as Dagster's launcher does.
"""

from __future__ import annotations

import faulthandler
import functools
import os
import signal
import sys
from collections.abc import Mapping

import dagster as dg
from dagster._core.definitions.reconstruct import ReconstructableJob, ReconstructableRepository
from dagster._utils.interrupts import capture_interrupts

from tests.support.project import ROOT
from tools.chaos.schedule import FEEDS

NUMBER_TAG = "xacct-chaos/run"


@functools.cache
def jobs() -> dict[str, ReconstructableJob]:
    """The jobs of the feeds, loaded once by the fork server (`preload`)."""
    repository = ReconstructableRepository.for_module("xacct_assets.definitions", "defs", str(ROOT))
    feed_jobs = {feed: repository.get_reconstructable_job(f"{feed}_day") for feed in FEEDS}
    for job in feed_jobs.values():
        job.get_definition()
    return feed_jobs


def execute(
    environment: Mapping[str, str], feed: str, tags: Mapping[str, str], parent: str | None, log: str
) -> None:
    """Execute a run; the process ends with exit code 0 if it succeeded.

    Args:
        environment: environment variables, with DAGSTER_HOME. The fork server may have been
            started for an earlier sandbox.
        feed: name of the feed.
        tags: tags of the run, with its days.
        parent: id of the run to re-execute from failure, if any.
        log: file for the output of the process, and for its stacks on SIGUSR1.
    """
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(descriptor, stream.fileno())
    faulthandler.register(signal.SIGUSR1, file=sys.stderr, all_threads=True)
    os.environ.update(environment)
    with capture_interrupts(), dg.DagsterInstance.get() as instance:
        resume = None
        if parent is not None:
            resume = dg.ReexecutionOptions.from_failure(run_id=parent, instance=instance)
        done = dg.execute_job(jobs()[feed], instance, tags=tags, reexecution_options=resume)
        success = done.success
    sys.stdout.flush()
    os._exit(0 if success else 1)
