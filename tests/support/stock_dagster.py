"""Dagster as somebody has it who brings an instance: stock components, PostgreSQL storage."""

from __future__ import annotations

import secrets
from datetime import date, timedelta
from pathlib import Path

import dagster as dg

from tests.support.dagster_processes import DagsterProcesses
from tests.support.installation import Installation
from tests.support.sandbox import RunningSandbox
from xacct_sandbox.redshift.storage.postgres import SUPERUSER, PostgresCluster

DAGSTER_YAML = """\
storage:
  postgres:
    postgres_url: {env: COMPAT_POSTGRES_URL}
telemetry: {enabled: false}
nux: {enabled: false}
"""
WORKSPACE_YAML = """\
load_from:
  - python_module: {module_name: xacct_assets.definitions, location_name: xacct_assets}
"""
# The sandbox sets its PostgreSQL up as Redshift behaves. These are PostgreSQL's own defaults.
POSTGRES_OPTIONS = (
    r"-c default_transaction_isolation=read\ committed -c standard_conforming_strings=on"
)


class StockDagster(DagsterProcesses):
    """`dagster dev` of an installation, on a PostgreSQL server of its own.

    The test process does not read the storage: everything is asked over GraphQL.
    """

    def __init__(self, sandbox: RunningSandbox, folder: Path, installation: Installation) -> None:
        self._installation = installation
        self.password = secrets.token_hex(16)
        sandbox.canaries.add(self.password)
        self._postgres = PostgresCluster(folder / "postgres", self.password)
        self._postgres.start()
        super().__init__(sandbox, folder)

    @property
    def environment(self) -> dict[str, str]:
        """Of every process of it."""
        return {
            **self._installation.environment(super().environment),
            "COMPAT_POSTGRES_URL": f"postgresql://{SUPERUSER}:{self.password}@/postgres"
            f"?host={self._postgres.socket_folder}",
            "PGOPTIONS": POSTGRES_OPTIONS,
        }

    def kill(self) -> None:
        """``kill -9`` of all processes at once; PostgreSQL is stopped."""
        super().kill()
        self._postgres.stop()

    def ended(self, run_id: str, seconds: float) -> dg.DagsterRunStatus:
        """How a run ended, once it has."""
        finished = {"SUCCESS", "FAILURE", "CANCELED"}

        def end() -> dg.DagsterRunStatus | None:
            status = self.status(run_id)
            return dg.DagsterRunStatus(status) if status in finished else None

        return self.wait_for(f"run {run_id} to end", end, seconds)

    def status(self, run_id: str) -> str:
        """What a run is doing."""
        run = self.graphql(
            "query($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }", {"id": run_id}
        )["runOrError"]
        return str(run["status"])

    def load_errors(self) -> list[str]:
        """Why code locations did not load."""
        workspace = self.graphql(
            "{ workspaceOrError { ... on Workspace { locationEntries { name "
            "locationOrLoadError { __typename ... on PythonError { message } } } } } }",
            {},
        )["workspaceOrError"]
        entries = workspace["locationEntries"]
        assert [entry["name"] for entry in entries] == ["xacct_assets"]
        return [
            entry["locationOrLoadError"]["message"]
            for entry in entries
            if entry["locationOrLoadError"]["__typename"] == "PythonError"
        ]

    def partition_statuses(self, key: list[str], first: str, last: str) -> dict[str, str]:
        """MATERIALIZED, FAILED or MISSING, as the UI shows it, for each day of a range."""
        (node,) = self.graphql(
            "query($keys: [AssetKeyInput!]) { assetNodes(assetKeys: $keys) "
            "{ assetPartitionStatuses { ... on TimePartitionStatuses "
            "{ ranges { startKey endKey status } } } } }",
            {"keys": [{"path": key}]},
        )["assetNodes"]
        statuses = dict.fromkeys(days(first, last), "MISSING")
        for found in node["assetPartitionStatuses"]["ranges"]:
            covered = days(found["startKey"], found["endKey"])
            statuses |= {day: found["status"] for day in covered if day in statuses}
        return statuses

    def observations(self, key: list[str], day: str) -> list[str]:
        """The descriptions of a day's observations."""
        (node,) = self.graphql(
            "query($keys: [AssetKeyInput!], $days: [String!]) { assetNodes(assetKeys: $keys) "
            "{ assetObservations(partitions: $days) { description } } }",
            {"keys": [{"path": key}], "days": [day]},
        )["assetNodes"]
        return [str(found["description"]) for found in node["assetObservations"]]

    def _prepare_home(self) -> None:
        (self.home / "dagster.yaml").write_text(DAGSTER_YAML, encoding="utf-8")
        self._workspace.write_text(WORKSPACE_YAML, encoding="utf-8")

    @property
    def _workspace(self) -> Path:
        return self._folder / "workspace.yaml"

    def _command(self, name: str) -> str:
        return str(self._installation.commands / name)


def days(first: str, last: str) -> list[str]:
    """Every day from the first to the last."""
    begin, end = date.fromisoformat(first), date.fromisoformat(last)
    return [(begin + timedelta(n)).isoformat() for n in range((end - begin).days + 1)]
