"""Our pipeline as it is operated: `dagster dev` with the project's settings, asked by GraphQL.

What is launched here is launched with the calls that the UI makes.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from benchmarks.own_sandbox import free_port
from xacct_sandbox.daemon.config import HOST

PROJECT = Path(__file__).parent.parent
DAGSTER_YAML = PROJECT / "xacct_assets" / "local_runtime" / "dagster.yaml"
START_SECONDS = 120.0
ASSETS = ("raw_partition", "catalog_table", "staging_table", "fact_table", "s3_export")
_POLL_SECONDS = 0.25
_ENDED = {"SUCCESS", "FAILURE", "CANCELED"}

_LAUNCH = """mutation($p: ExecutionParams!) { launchRun(executionParams: $p) { __typename
  ... on LaunchRunSuccess { run { runId } } ... on PythonError { message }
  ... on RunConfigValidationInvalid { errors { message } } } }"""
_BACKFILL = """mutation($p: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $p) {
  __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } } }"""
_RUN = """query($id: ID!) { runOrError(runId: $id) { ... on Run {
  status creationTime startTime endTime } } }"""
_STEPS = """query($id: ID!) { runOrError(runId: $id) { ... on Run {
  stepStats { stepKey startTime endTime } } } }"""
_BACKFILL_STATE = """query($id: String!) { partitionBackfillOrError(backfillId: $id) {
  ... on PartitionBackfill { status endTimestamp numPartitions error { message } } } }"""


class DagsterFailed(Exception):
    """It did not start, or a run did not succeed."""


@dataclass(frozen=True)
class Run:
    """A run that succeeded; seconds since the epoch."""

    started: float
    """When its process started."""
    ended: float


class Dagster:
    """The GraphQL API of one instance."""

    def __init__(self, port: int, process: subprocess.Popen[bytes], folder: Path) -> None:
        self._url = f"http://{HOST}:{port}/graphql"
        self._process = process
        self.folder = folder

    @property
    def pids(self) -> list[int]:
        """`dagster dev`; all others are below it."""
        return [self._process.pid]

    def launch(self, feed: str, first: date, last: date | None = None) -> str:
        """A run of all five assets for a day, or for a range of days; its id."""
        days = (
            {"dagster/partition": str(first)}
            if last is None
            else {
                "dagster/asset_partition_range_start": str(first),
                "dagster/asset_partition_range_end": str(last),
            }
        )
        answer = self.ask(
            _LAUNCH,
            {
                "p": {
                    "selector": {
                        "repositoryLocationName": "xacct_assets",
                        "repositoryName": "__repository__",
                        "jobName": f"{feed}_day",
                    },
                    "mode": "default",
                    "executionMetadata": {
                        "tags": [{"key": key, "value": value} for key, value in days.items()]
                    },
                }
            },
        )["launchRun"]
        if answer["__typename"] != "LaunchRunSuccess":
            raise DagsterFailed(f"the run was not launched: {answer}")
        return str(answer["run"]["runId"])

    def wait(self, run_id: str, timeout: float) -> Run:
        """Wait until a run has ended.

        Raises:
            DagsterFailed: it failed, or the time is over.
        """

        def look() -> Run | None:
            run = self.ask(_RUN, {"id": run_id})["runOrError"]
            if run["status"] not in _ENDED:
                return None
            if run["status"] != "SUCCESS":
                raise DagsterFailed(f"run {run_id} ended with {run['status']}; see {self.folder}")
            return Run(run["startTime"], run["endTime"])

        return self._wait_for(f"run {run_id}", look, timeout)

    def steps(self, run_id: str) -> dict[str, float]:
        """Seconds of each step of a run, in the order in which they began."""
        stats = self.ask(_STEPS, {"id": run_id})["runOrError"]["stepStats"]
        begun = sorted((step for step in stats if step["startTime"]), key=lambda s: s["startTime"])
        return {
            step["stepKey"]: (step["endTime"] or time.time()) - step["startTime"] for step in begun
        }

    def backfill(self, feed: str, days: list[date]) -> str:
        """A backfill of all five assets, as the UI's dialog asks for it; its id."""
        answer = self.ask(
            _BACKFILL,
            {
                "p": {
                    "assetSelection": [{"path": [feed, name]} for name in ASSETS],
                    "partitionNames": [str(day) for day in days],
                }
            },
        )["launchPartitionBackfill"]
        if answer["__typename"] != "LaunchBackfillSuccess":
            raise DagsterFailed(f"the backfill was not launched: {answer}")
        return str(answer["backfillId"])

    def wait_for_backfill(self, backfill_id: str, timeout: float) -> float:
        """When it ended, in seconds since the epoch.

        Raises:
            DagsterFailed: it failed, or the time is over.
        """

        def look() -> float | None:
            found = self.ask(_BACKFILL_STATE, {"id": backfill_id})["partitionBackfillOrError"]
            if found["status"] == "COMPLETED_SUCCESS":
                return float(found["endTimestamp"])
            if found["status"] not in ("REQUESTED", "STARTED"):
                raise DagsterFailed(f"backfill {backfill_id}: {found}; see {self.folder}")
            return None

        return self._wait_for(f"backfill {backfill_id}", look, timeout)

    def _wait_for(self, what: str, look: Callable[[], Any], timeout: float) -> Any:
        deadline = time.monotonic() + timeout
        while (found := look()) is None:
            if time.monotonic() > deadline:
                raise DagsterFailed(f"{what} has not ended after {timeout:.0f} s")
            time.sleep(_POLL_SECONDS)
        return found

    def answers(self) -> bool:
        """Whether the code location is loaded."""
        try:
            data = self.ask(
                "{ workspaceOrError { ... on Workspace { locationEntries { loadStatus "
                "locationOrLoadError { __typename } } } } }",
                {},
            )
        except (OSError, DagsterFailed):
            return False
        entries = data["workspaceOrError"]["locationEntries"]
        return bool(entries) and all(
            entry["loadStatus"] == "LOADED"
            and (entry["locationOrLoadError"] or {}).get("__typename") == "RepositoryLocation"
            for entry in entries
        )

    def ask(self, query: str, variables: Mapping[str, Any]) -> Any:
        """The data that a GraphQL query or mutation answers.

        Raises:
            DagsterFailed: GraphQL says that something is wrong with it.
        """
        request = urllib.request.Request(  # noqa: S310 -- to our own process
            self._url,
            json.dumps({"query": query, "variables": variables}).encode(),
            {"content-type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:  # noqa: S310
                document = json.load(answer)
        except urllib.error.HTTPError as refusal:  # what GraphQL says is in its body
            raise DagsterFailed(refusal.read().decode("utf-8", "replace")[:2000]) from refusal
        if "errors" in document:
            raise DagsterFailed(str(document["errors"])[:2000])
        return document["data"]


@contextmanager
def running(
    folder: Path,
    variables: Mapping[str, str],
    say: Callable[[str], None],
    *,
    settings: str | None = None,
) -> Iterator[Dagster]:
    """`dagster dev` on the project, ended afterwards.

    Args:
        folder: a fresh one, for its instance and its output.
        variables: AWS and pipeline settings of all its processes.
        say: called with progress messages.
        settings: the text of its ``dagster.yaml``; by default the repository's file.

    Raises:
        DagsterFailed: it did not come up.
    """
    home, port = folder / "home", free_port()
    home.mkdir(parents=True)
    if settings is None:
        settings = DAGSTER_YAML.read_text(encoding="utf-8")
    (home / "dagster.yaml").write_text(settings, encoding="utf-8")
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
        **variables,
        "DAGSTER_HOME": str(home),
        "PYTHONWARNINGS": "ignore",
    }
    log = folder / "output.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [
                *(str(Path(sys.executable).with_name("dagster")), "dev"),
                *("--workspace", str(PROJECT / "workspace.yaml")),
                *("--host", HOST, "--port", str(port), "--log-level", "warning"),
            ],
            # Not the project's folder: an .env there would win over these variables.
            cwd=folder,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        dagster = Dagster(port, process, folder)
        deadline = time.monotonic() + START_SECONDS
        while not dagster.answers():
            if time.monotonic() > deadline or process.poll() is not None:
                raise DagsterFailed(f"`dagster dev` did not come up; see {log}")
            time.sleep(_POLL_SECONDS)
        say("`dagster dev` is up")
        yield dagster
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(20)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
