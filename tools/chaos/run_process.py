"""A run of a feed's job in a process of its own, forked from one that has everything imported.

What `dagster job execute` does, less the four seconds of starting an interpreter: the process can
be killed with ``kill -9`` and is interrupted as Dagster's launcher interrupts it, with SIGINT.
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
    """The feeds' jobs, loaded. `preload` does that once, in the process that the runs fork from."""
    repository = ReconstructableRepository.for_module("xacct_assets.definitions", "defs", str(ROOT))
    found = {feed: repository.get_reconstructable_job(f"{feed}_day") for feed in FEEDS}
    for job in found.values():
        job.get_definition()
    return found


def execute(
    environment: Mapping[str, str], feed: str, tags: Mapping[str, str], parent: str | None, log: str
) -> None:
    """Body of the process; it ends with 0 if the run succeeded.

    Args:
        environment: of the process, DAGSTER_HOME in it. The one it was forked from may have been
            started for an earlier sandbox.
        tags: of the run; they say which days.
        parent: run that is taken up from failure.
        log: file for everything the process says, and for its stacks on SIGUSR1.
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
