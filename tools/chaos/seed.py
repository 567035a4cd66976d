"""Runs one seed, from its first file to the checks of its outcome."""

from __future__ import annotations

import shutil
import subprocess
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg

from tests.support.environment import environment
from tests.support.project import DAGSTER_YAML, ROOT
from tests.support.sandbox import RunningSandbox
from tools.chaos.absorbed import absorbed, attempts_of
from tools.chaos.accounts import Accounts, OtherDays
from tools.chaos.driver import Driver, Timeline
from tools.chaos.leaks import leaks
from tools.chaos.leftovers import leftovers
from tools.chaos.oracle import Problem, check_days
from tools.chaos.runs import Hung, Runs
from tools.chaos.schedule import FAULTS, Schedule
from xacct_assets.aws_clients import AwsClients
from xacct_assets.settings import Settings
from xacct_sandbox import faults

# Work that is stopped must have ended after this time.
REST_SECONDS = 30.0


@dataclass
class Result:
    """The result of a seed, in types that JSON has.

    Attributes:
        code: the tested commit, with a + if the working tree had changes.
    """

    seed: int
    code: str = ""
    seconds: float = 0.0
    runs: int = 0
    faults: list[dict[str, str]] = field(default_factory=list)
    problems: list[dict[str, str]] = field(default_factory=list)
    timeline: list[tuple[str, str]] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether there is no problem."""
        return not self.problems

    def as_dict(self) -> dict[str, Any]:
        """The fields, for JSON."""
        return {**asdict(self), "ok": self.ok}


def accounts_for(sandbox: RunningSandbox, schedule: Schedule) -> Accounts:
    """The accounts of a seed, whose days are the last ones up to yesterday."""
    today = datetime.now(UTC).date()
    days = (today - timedelta(days=back) for back in range(schedule.days, 0, -1))
    return Accounts(sandbox, tuple(days))


def run_seed(
    sandbox: RunningSandbox,
    schedule: Schedule,
    folder: Path,
    *,
    at_least: int = FAULTS,
    echo: Callable[[str], None] | None = None,
) -> Result:
    """Execute a schedule and check the outcome. Failures of the pipeline are in the result.

    Args:
        sandbox: with both feeds deployed, not used by anything else.
        schedule: of the seed.
        folder: for the seed's Dagster instance; emptied first.
        at_least: least number of faults to inject.
        echo: called with each entry of the timeline.
    """
    accounts = accounts_for(sandbox, schedule)
    timeline = Timeline(echo=echo)
    result = Result(schedule.seed, _commit())
    began, since = time.monotonic(), datetime.now(UTC)
    faults.clear(sandbox.config)
    faults.forget(sandbox.config)
    accounts.empty()
    other_days = accounts.other_days()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    shutil.copy(DAGSTER_YAML, folder)
    with environment({**accounts.variables, "DAGSTER_HOME": str(folder)}):
        instance = dg.DagsterInstance.from_config(str(folder))
        with instance:
            runs = Runs(folder, instance, timeline.say)
            try:
                for problem in _problems(
                    accounts, schedule, runs, timeline, other_days, at_least=at_least, since=since
                ):
                    result.problems.append(problem.as_dict())
            except Exception:  # noqa: BLE001 -- the suite continues with the next seed
                problem = Problem("suite", "the suite itself", traceback.format_exc())
                result.problems.append(problem.as_dict())
            finally:
                runs.end()
                faults.clear(sandbox.config)
            injected = faults.log(sandbox.config)
            result.faults = absorbed(injected, attempts_of(instance))
            result.runs = len(runs.all)
    result.seconds = round(time.monotonic() - began, 1)
    result.timeline = sorted(
        timeline.entries + [(entry["at"], f"    FAULT {_describe(entry)}") for entry in injected]
    )
    return result


def _commit() -> str:
    completed = subprocess.run(
        ["git", "describe", "--always", "--dirty=+"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return completed.stdout.strip() or "unknown"


def _describe(entry: dict[str, Any]) -> str:
    return f"{entry['kind']} {entry['service']}:{entry['operation']} {entry['resource'][:120]}"


def _problems(
    accounts: Accounts,
    schedule: Schedule,
    runs: Runs,
    timeline: Timeline,
    other_days: OtherDays,
    *,
    at_least: int,
    since: datetime,
) -> Iterator[Problem]:
    from xacct_assets.definitions import defs

    aws = AwsClients(Settings.load(accounts.variables), accounts.variables)
    driver = Driver(accounts, schedule, runs, defs(), aws, timeline)
    try:
        driver.execute(at_least)
        for text in driver.recover():
            yield Problem("unsettled", "recovery", text)
    except Hung as hung:
        timeline.say(f"hung: {hung}")
        yield Problem("hung", "a run", str(hung))
        return
    injected = len(faults.log(accounts.sandbox.config))
    if injected < at_least:
        yield Problem("suite", "faults", f"{injected} of {at_least} were injected")
    yield from check_days(accounts, other_days)
    yield from _leftovers_after_rest(accounts, runs.instance, since)
    yield from leaks(accounts, runs.home, since)


def _leftovers_after_rest(
    accounts: Accounts, instance: dg.DagsterInstance, since: datetime
) -> list[Problem]:
    """What is left over after stopped work had time to end."""
    until = time.monotonic() + REST_SECONDS
    while True:
        found = list(leftovers(accounts, instance, since))
        waiting = any(problem.kind == "orphaned" for problem in found)
        if not waiting or time.monotonic() > until:
            return found
        time.sleep(1)
