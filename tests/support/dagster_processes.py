"""Dagster in its own processes, as in operation: the daemon, or `dagster dev` with its UI."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import dagster as dg

from tests.support.pipeline import tags
from tests.support.project import DAGSTER_YAML, ROOT
from tests.support.sandbox import free_port

if TYPE_CHECKING:
    from tests.support.sandbox import RunningSandbox

T = TypeVar("T")


@contextlib.contextmanager
def dagster_dev(sandbox: RunningSandbox, folder: Path) -> Iterator[DagsterProcesses]:
    """`dagster dev` on the sandbox, killed with all of its processes at the end."""
    processes = DagsterProcesses(sandbox, folder)
    try:
        processes.start_dev()
        yield processes
    finally:
        processes.kill()


class DagsterProcesses:
    """Dagster with the project's ``dagster.yaml`` and ``workspace.yaml``, in a folder.

    Web server, daemon, code servers and runs are one process group, so that all can be killed.
    """

    def __init__(self, sandbox: RunningSandbox, folder: Path) -> None:
        self._sandbox = sandbox
        # Not the sandbox's folder: its .env would override this environment.
        self._folder = folder
        sandbox.folders.append(folder)
        self.home = folder / "home"
        self.home.mkdir(parents=True)
        self._prepare_home()
        self._log = folder / "log"
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0

    def _prepare_home(self) -> None:
        shutil.copy(DAGSTER_YAML, self.home)
        # Processes that start together must not all make the database of a new home.
        self.instance.get_runs(limit=1)

    @property
    def environment(self) -> dict[str, str]:
        """The environment of every process."""
        return {**self._sandbox.environment, "DAGSTER_HOME": str(self.home)}

    @cached_property
    def instance(self) -> dg.DagsterInstance:
        """The instance that the processes use."""
        return dg.DagsterInstance.from_config(str(self.home))

    def start_daemon(self) -> None:
        """Start the daemon: sensors, schedules, run queue and backfills, without the UI."""
        self._start("dagster-daemon", "run", "-w", str(self._workspace))

    def start_dev(self, seconds: float = 240) -> None:
        """Start `dagster dev` and wait until it answers.

        Args:
            seconds: time after which the test fails.
        """
        self.port = free_port()
        self._start(
            *("dagster", "dev", "-w", str(self._workspace)),
            *("--host", "127.0.0.1", "--port", str(self.port)),
        )
        self.wait_for("`dagster dev` to answer", self._answers, seconds)

    def kill(self) -> None:
        """Kill all processes with SIGKILL."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def graphql(self, query: str, variables: Mapping[str, Any]) -> Any:
        """Send a query to the UI's GraphQL API. Returns its data."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/graphql",
            json.dumps({"query": query, "variables": variables}).encode(),
            {"content-type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=120) as answer:
            result = json.load(answer)
        assert "errors" not in result, result
        return result["data"]

    def backfill(self, feed: str, assets: list[str], days: list[str]) -> str:
        """Launch a backfill as the UI's dialog does. Returns its id."""
        answer = self.graphql(
            "mutation($p: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $p) "
            "{ __typename ... on LaunchBackfillSuccess { backfillId } "
            "... on PythonError { message } } }",
            {
                "p": {
                    "assetSelection": [{"path": [feed, name]} for name in assets],
                    "partitionNames": days,
                }
            },
        )["launchPartitionBackfill"]
        assert answer["__typename"] == "LaunchBackfillSuccess", answer
        return str(answer["backfillId"])

    def launch(
        self, feed: str, first: str, last: str | None = None, assets: Sequence[str] = ()
    ) -> str:
        """Launch a day or a range, all assets or some, as the UI does. Returns the run's id."""
        selector: dict[str, Any] = {
            "repositoryLocationName": "xacct_assets",
            "repositoryName": "__repository__",
            "jobName": f"{feed}_day",
        }
        if assets:
            selector["assetSelection"] = [{"path": [feed, name]} for name in assets]
            selector["assetCheckSelection"] = []
        answer = self.graphql(
            "mutation($p: ExecutionParams!) { launchRun(executionParams: $p) { __typename "
            "... on LaunchRunSuccess { run { runId } } ... on PythonError { message } "
            "... on RunConfigValidationInvalid { errors { message } } } }",
            {
                "p": {
                    "selector": selector,
                    "runConfigData": {},
                    "executionMetadata": {
                        "tags": [
                            {"key": key, "value": value} for key, value in tags(first, last).items()
                        ]
                    },
                }
            },
        )["launchRun"]
        assert answer["__typename"] == "LaunchRunSuccess", answer
        return str(answer["run"]["runId"])

    def terminate(self, run_id: str) -> None:
        """Terminate a run as the UI's button does."""
        answer = self.graphql(
            "mutation($ids: [String!]!) { terminateRuns(runIds: $ids, "
            "terminatePolicy: SAFE_TERMINATE) { __typename ... on TerminateRunsResult "
            "{ terminateRunResults { __typename ... on TerminateRunFailure { message } } } } }",
            {"ids": [run_id]},
        )["terminateRuns"]
        (result,) = answer["terminateRunResults"]
        assert result["__typename"] == "TerminateRunSuccess", answer

    def run(self, run_id: str) -> dg.DagsterRun:
        """The current state of a run."""
        known = self.instance.get_run_by_id(run_id)
        assert known is not None, run_id
        return known

    def ended(self, run_id: str, seconds: float) -> dg.DagsterRunStatus:
        """Wait for the end of a run. Returns its status."""
        return self.wait_for(
            f"run {run_id} to end",
            lambda: self.run(run_id).status if self.run(run_id).is_finished else None,
            seconds,
        )

    def execute(self, feed: str, first: str, last: str | None = None) -> subprocess.Popen[str]:
        """Execute a day or a range of a feed in a process. Its log is written to ``stdout``."""
        return subprocess.Popen(
            [
                *(self._command("dagster"), "job", "execute", "-m", "xacct_assets.definitions"),
                *("--job", f"{feed}_day", "--tags", json.dumps(tags(first, last))),
            ],
            cwd=self._folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def runs(self, tags: Mapping[str, str | list[str]]) -> list[dg.RunRecord]:
        """All runs with these tags, oldest first."""
        found = self.instance.get_run_records(dg.RunsFilter(tags=dict(tags)))
        return sorted(found, key=lambda record: record.storage_id)

    def wait_for(self, event: str, poll: Callable[[], T | None], seconds: float) -> T:
        """Poll twice a second until the result is true. Returns it.

        Args:
            event: description of the event, for the message.
            poll: function that returns a false value while the event has not happened.
            seconds: time after which the test fails.
        """
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            assert self._process is None or self._process.poll() is None, self._tail()
            if found := poll():
                return found
            time.sleep(0.5)
        raise AssertionError(f"waited {seconds:.0f} s for {event}\n{self._tail()}")

    def _start(self, command: str, *arguments: str) -> None:
        assert self._process is None
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [self._command(command), *arguments],
                cwd=self._folder,
                env=self.environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/server_info", timeout=5):
                return True
        except (urllib.error.URLError, OSError):
            return False

    def _tail(self) -> str:
        return "\n".join(self._log.read_text(encoding="utf-8", errors="replace").splitlines()[-40:])

    def _command(self, name: str) -> str:
        return str(Path(sys.executable).with_name(name))

    @property
    def _workspace(self) -> Path:
        return ROOT / "workspace.yaml"
