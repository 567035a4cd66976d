"""The production configuration in processes: what the image installs, as its tasks start it.

The image's installation steps in a clean environment, PostgreSQL as storage, and web server, daemon
and code location with the commands, environment and roles of the deployed task definitions. Instead
of `EcsRunLauncher`, which needs ECS, runs have Dagster's default launcher.
"""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from tests.support.clone import python_311_for
from tests.support.installation import Installation, Release, install
from tests.support.pipeline import FEED, Pipeline
from tests.support.production_dagster import TASKS, USER, ProductionDagster
from tests.support.project import ROOT
from tests.support.sandbox import RunningSandbox, sandbox_folder
from xacct_sandbox.daemon import latency
from xacct_sandbox.daemon.latency import FixedLatency

SECONDS = 600
# The load takes so long, until it is let go: meanwhile all three are restarted.
LOAD_SECONDS = 900.0
PINNED = Release("image", ("--constraint", str(ROOT / "constraints.txt")))
JOB = f"xacct-local-{FEED}"
IMAGE = "222222222222.dkr.ecr.us-east-1.amazonaws.com/xacct-local:0123456789ab"
#: What a process could hold of keys that do not expire by themselves.
KEY_VARIABLES = {
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_PROFILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_CONFIG_FILE",
}

pytestmark = pytest.mark.timeout(1800)


@pytest.fixture(scope="module")
def root() -> Iterator[Path]:
    """A folder that another user may read, without this checkout."""
    with sandbox_folder() as made:
        made.chmod(0o755)
        yield made


@pytest.fixture(scope="module")
def image(root: Path, wheel: Path) -> Installation:
    """Installed as the Dockerfile does: the wheel with the extra, at the pinned versions."""
    return install(root / "venv", python_311_for(USER), wheel, PINNED, "orchestrator")


@pytest.fixture(scope="module")
def deployed(bare_sandbox: RunningSandbox, image: Installation) -> str:
    """What `xacct deploy` of the image says."""
    command = ("xacct", "--no-env-file", "deploy", "--yes", "--image", IMAGE)
    return image.run(*command, variables=bare_sandbox.environment)


@pytest.fixture(scope="module")
def production(
    bare_sandbox: RunningSandbox, image: Installation, deployed: str, root: Path
) -> Iterator[ProductionDagster]:
    """All three, healthy."""
    stack = f"xacct-orchestrator-{bare_sandbox.config.suffix}"
    (root / "dagster").mkdir()
    processes = ProductionDagster(bare_sandbox, root / "dagster", image, stack)
    try:
        for name in TASKS:
            processes.start(name)
        yield processes
    finally:
        processes.kill()


@pytest.fixture
def pipeline(bare_sandbox: RunningSandbox) -> Pipeline:
    return Pipeline(bare_sandbox)


def test_what_is_installed_fits_together(image: Installation) -> None:
    assert "No broken requirements found" in image.run("pip", "check")


def test_the_instance_of_the_image_is_what_its_packages_take(image: Installation) -> None:
    """The launcher needs ECS when it is made: here its settings meet its own schema."""
    code = (
        "import os, sys, yaml\n"
        "from dagster._config import process_config, Shape\n"
        "from dagster_aws.ecs import EcsRunLauncher\n"
        "from dagster_aws.s3.compute_log_manager import S3ComputeLogManager\n"
        "from dagster._core.instance.config import dagster_instance_config\n"
        "settings = yaml.safe_load(open(sys.argv[1] + '/dagster.yaml'))\n"
        "kinds = {'run_launcher': EcsRunLauncher, 'compute_logs': S3ComputeLogManager}\n"
        "for key, kind in kinds.items():\n"
        "    result = process_config(Shape(kind.config_type()), settings[key]['config'])\n"
        "    assert result.success, result.errors\n"
        "dagster_instance_config(sys.argv[1])\n"
    )
    variables = {"DAGSTER_RUN_TASK_DEFINITION": "arn", "DAGSTER_COMPUTE_LOGS_BUCKET": "b"}
    image.run("python", "-c", code, str(ROOT / "orchestrator"), variables=variables)


def test_the_code_location_is_loaded_over_grpc(production: ProductionDagster) -> None:
    assert production.load_errors() == []


def test_a_day_runs_and_survives_a_restart_of_each(
    production: ProductionDagster, pipeline: Pipeline, bare_sandbox: RunningSandbox
) -> None:
    day = "2026-10-05"
    pipeline.land(day, 40)
    glue = bare_sandbox.client("account-b-admin", "glue")

    def is_loading() -> bool:
        runs = glue.get_job_runs(JobName=JOB, MaxResults=100)["JobRuns"]
        return any(run["JobRunState"] == "RUNNING" for run in runs)

    latency.write(bare_sandbox.config, FixedLatency(job=LOAD_SECONDS))
    try:
        run_id = production.launch(FEED, day)
        production.wait_for("the load to run", is_loading, SECONDS)
        require_nothing_of_root_or_keys(production, bare_sandbox)
        for name in TASKS:
            production.restart(name)
        assert production.status(run_id) == "STARTED"
    finally:
        latency.write(bare_sandbox.config, FixedLatency())
    assert production.ended(run_id, SECONDS) is dg.DagsterRunStatus.SUCCESS
    statuses = production.partition_statuses([FEED, "s3_export"], day, day)
    assert statuses == {day: "MATERIALIZED"}
    logs = bare_sandbox.client("account-b-admin", "s3").list_objects_v2(
        Bucket=f"xacct-dagster-logs-local-{bare_sandbox.config.account_b}", Prefix="compute-logs/"
    )
    assert logs["KeyCount"]


def require_nothing_of_root_or_keys(production: ProductionDagster, sandbox: RunningSandbox) -> None:
    """Of web server, daemon, code location and the run that is at work."""
    processes = production.process_ids()
    assert len(processes) > len(TASKS)  # the run's, too
    for pid in processes:
        folder = Path(f"/proc/{pid}")
        words = (folder / "cmdline").read_bytes().split(b"\0")
        command = b" ".join(words).decode(errors="replace")
        (uid,) = {
            line.split()[2]
            for line in (folder / "status").read_text().splitlines()
            if line.startswith("Uid:")
        }
        assert uid != "0", command
        variables = dict(
            entry.split("=", 1)
            for entry in (folder / "environ").read_bytes().decode(errors="replace").split("\0")
            if "=" in entry
        )
        assert not KEY_VARIABLES & set(variables), command
        secrets = {production.password}
        assert {name for name, value in variables.items() if value in secrets} <= {
            "DAGSTER_POSTGRES_PASSWORD"
        }
        assert not any(secret in command for secret in secrets)


def test_the_deployed_ui_takes_nothing_from_foreign_pages(production: ProductionDagster) -> None:
    foreign = {"Host": "evil.example", "Origin": "https://evil.example"}
    own = {"Host": "webserver.xacct-local.internal:3000"}
    for headers, path, status in (
        (foreign, "/graphql?query=mutation{setNuxSeen}", 403),
        (foreign, "/graphql?query={version}", 403),
        (own, "/graphql?query={version}", 405),
        ({"Host": "10.0.0.7:3000"}, "/server_info", 200),
        ({"Host": "10.0.0.7:3000"}, "/runs", 403),
        (own, "/runs", 200),
    ):
        connection = http.client.HTTPConnection("127.0.0.1", production.port, timeout=60)
        connection.request("GET", path, headers=headers)
        assert connection.getresponse().status == status, (headers, path)
        connection.close()
