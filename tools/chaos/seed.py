"""One seed from its first file to the judge's verdict."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg

from tests.support.project import ROOT
from tests.support.sandbox import RunningSandbox
from tools.chaos.absorbed import absorbed, attempts_of
from tools.chaos.driver import Driver, Timeline
from tools.chaos.leaks import leaks
from tools.chaos.leftovers import leftovers
from tools.chaos.oracle import Problem, judge_days
from tools.chaos.runs import Hung, Runs
from tools.chaos.schedule import FAULTS, Schedule
from tools.chaos.world import Beside, World
from xacct_assets.aws_clients import AwsClients
from xacct_assets.settings import Settings
from xacct_sandbox import faults

# What nobody waits for any more must have ended by then.
REST_SECONDS = 30.0


@dataclass
class Result:
    """What came of a seed. Everything in it is plain, for JSON."""

    seed: int
    code: str = ""
    """The commit that was tested; a + behind it if the checkout held more."""
    seconds: float = 0.0
    runs: int = 0
    faults: list[dict[str, str]] = field(default_factory=list)
    problems: list[dict[str, str]] = field(default_factory=list)
    timeline: list[tuple[str, str]] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether everything held."""
        return not self.problems

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "ok": self.ok}


def world_of(sandbox: RunningSandbox, schedule: Schedule) -> World:
    """The schedule's days are the last ones up to yesterday."""
    today = datetime.now(UTC).date()
    days = (today - timedelta(days=back) for back in range(schedule.days, 0, -1))
    return World(sandbox, tuple(days))


def run_seed(
    sandbox: RunningSandbox,
    schedule: Schedule,
    folder: Path,
    *,
    at_least: int = FAULTS,
    echo: Callable[[str], None] | None = None,
) -> Result:
    """Do a schedule and judge what is left. Never raises for what the pipeline did wrong.

    Args:
        sandbox: with both feeds deployed, and nothing else going on in it.
        folder: for the seed's Dagster instance; emptied first.
        at_least: faults that must strike.
        echo: told everything as it happens.
    """
    world = world_of(sandbox, schedule)
    timeline = Timeline(echo=echo)
    result = Result(schedule.seed, _commit())
    began, since = time.monotonic(), datetime.now(UTC)
    faults.clear(sandbox.config)
    faults.forget(sandbox.config)
    world.empty()
    beside = world.beside()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    shutil.copy(ROOT / "dagster.yaml", folder)
    with _environment({**world.variables, "DAGSTER_HOME": str(folder)}):
        instance = dg.DagsterInstance.from_config(str(folder))
        with instance:
            runs = Runs(folder, instance, timeline.say)
            try:
                for problem in _judged(
                    world, schedule, runs, timeline, beside, at_least=at_least, since=since
                ):
                    result.problems.append(problem.as_dict())
            except Exception:  # noqa: BLE001 -- the suite goes on with the next seed, and says so
                problem = Problem("suite", "the suite itself", traceback.format_exc())
                result.problems.append(problem.as_dict())
            finally:
                runs.end()
                faults.clear(sandbox.config)
            struck = faults.log(sandbox.config)
            result.faults = absorbed(struck, attempts_of(instance))
            result.runs = len(runs.all)
    result.seconds = round(time.monotonic() - began, 1)
    result.timeline = sorted(
        timeline.entries + [(entry["at"], f"    FAULT {_of(entry)}") for entry in struck]
    )
    return result


def _commit() -> str:
    told = subprocess.run(
        ["git", "describe", "--always", "--dirty=+"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return told.stdout.strip() or "unknown"


def _of(entry: dict[str, Any]) -> str:
    return f"{entry['kind']} {entry['service']}:{entry['operation']} {entry['resource'][:120]}"


def _judged(
    world: World,
    schedule: Schedule,
    runs: Runs,
    timeline: Timeline,
    beside: Beside,
    *,
    at_least: int,
    since: datetime,
) -> Iterator[Problem]:
    from xacct_assets.definitions import defs

    aws = AwsClients(Settings.load(world.variables), world.variables)
    driver = Driver(world, schedule, runs, defs(), aws, timeline)
    try:
        driver.storm(at_least)
        for text in driver.quiet():
            yield Problem("unsettled", "after all", text)
    except Hung as hung:
        timeline.say(f"hung: {hung}")
        yield Problem("hung", "a run", str(hung))
        return
    struck = len(faults.log(world.sandbox.config))
    if struck < at_least:
        yield Problem("suite", "faults", f"{struck} of {at_least} have struck")
    yield from judge_days(world, beside)
    yield from _at_rest(world, runs.instance, since)
    yield from leaks(world, runs.home, since)


def _at_rest(world: World, instance: dg.DagsterInstance, since: datetime) -> list[Problem]:
    """What is left over once it had time to end."""
    until = time.monotonic() + REST_SECONDS
    while True:
        found = list(leftovers(world, instance, since))
        waiting = any(problem.kind == "orphaned" for problem in found)
        if not waiting or time.monotonic() > until:
            return found
        time.sleep(1)


@contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    """This process, and those it starts, as ones that were started with a sandbox's ``.env``."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
