"""The password of the pipeline's database user is rotated while the pipeline works.

Rotations change the database and the secret one after the other. Each test begins its work between
the two, and the rotation ends only after Redshift has refused a login.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from redshift_connector import Connection

from tests.support import warehouse
from tests.support.pipeline import Pipeline
from xacct_assets.aws.errors import LoginFailed
from xacct_assets.aws_clients import AwsClients
from xacct_assets.settings import Settings

GAP = 3.0
"""Seconds from the first refused login until the rotation ends."""
LONG_GAP = 10.0
PATIENCE = 120.0
"""Seconds in which the work must be as far as awaited."""
ORDERS = ["database first", "secret first"]


@dataclass(frozen=True)
class Rotation:
    """The two halves of a rotation of one user's password.

    Attributes:
        password: the new password.
        session: a session of the user, opened before. The other sessions are ended, so that a
            login follows.
    """

    pipeline: Pipeline
    password: str
    session: Connection

    def change_database(self) -> None:
        """Change the user's password, as the user."""
        user = str(document_of(self.pipeline)["username"])
        # The digest, as Redshift takes it: no statement holds the password.
        digest = hashlib.md5(f"{self.password}{user}".encode()).hexdigest()
        cursor = self.session.cursor()
        cursor.execute(f"ALTER USER {user} PASSWORD 'md5{digest}'")
        self.session.commit()
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE usename = current_user AND pid <> pg_backend_pid()"
        )
        self.session.commit()

    def change_secret(self) -> None:
        """Change the password in the secret."""
        document = {**document_of(self.pipeline), "password": self.password}
        secrets_of(self.pipeline).put_secret_value(
            SecretId=secret_of(self.pipeline), SecretString=json.dumps(document)
        )

    def halves(self, order: str) -> tuple[Callable[[], None], Callable[[], None]]:
        both = (self.change_database, self.change_secret)
        return both if order == "database first" else both[::-1]


def secrets_of(pipeline: Pipeline) -> Any:
    return pipeline.sandbox.client("account-b-admin", "secretsmanager")


def secret_of(pipeline: Pipeline) -> str:
    return pipeline.aws.settings.redshift_secret


def document_of(pipeline: Pipeline) -> dict[str, Any]:
    answer = secrets_of(pipeline).get_secret_value(SecretId=secret_of(pipeline))
    document: dict[str, Any] = json.loads(answer["SecretString"])
    return document


@pytest.fixture
def rotation(pipeline: Pipeline, request: pytest.FixtureRequest) -> Iterator[Rotation]:
    """A rotation to a new password; afterwards both places hold the old one again."""
    login = document_of(pipeline)
    new = f"Rotated1-{hashlib.sha256(request.node.name.encode()).hexdigest()[:16]}"
    pipeline.sandbox.canaries.add(new)
    session = warehouse.connect(pipeline.sandbox.config, login["username"], login["password"])
    yield Rotation(pipeline, new, session)
    restored = Rotation(pipeline, login["password"], session)
    restored.change_database()
    restored.change_secret()
    session.close()


def refused_logins(pipeline: Pipeline) -> int:
    """Logins that the database has refused so far."""
    log = pipeline.sandbox.config.postgres_dir / "postgres.log"
    return log.read_text(errors="replace").count("password authentication failed for user")


@contextmanager
def between(
    rotation: Rotation,
    order: str,
    *,
    gap: float = GAP,
    once: Callable[[], bool] | None = None,
) -> Iterator[None]:
    """In the middle of a rotation, which ends in another thread once a login was refused.

    Args:
        gap: seconds from the first refused login until the rotation ends.
        once: the rotation begins when this is true; by default, at once.
    """
    pipeline = rotation.pipeline
    begin, end = rotation.halves(order)
    before = refused_logins(pipeline)
    problems: list[str] = []

    def awaited(what: str, holds: Callable[[], bool]) -> bool:
        deadline = time.monotonic() + PATIENCE
        while not holds():
            if time.monotonic() > deadline:
                problems.append(f"{what} in vain")
                return False
            time.sleep(0.1)
        return True

    def rotate() -> None:
        if once is not None:
            if not awaited("waited for the beginning", once):
                return
            begin()
        awaited("waited for a refused login", lambda: refused_logins(pipeline) > before)
        time.sleep(gap)
        end()

    if once is None:
        begin()
    rotating = threading.Thread(target=rotate)
    rotating.start()
    try:
        yield
    finally:
        rotating.join()
    assert problems == []


def job_runs(pipeline: Pipeline) -> list[Any]:
    """The runs of the feed's load job, newest first."""
    glue = pipeline.sandbox.client("account-b-admin", "glue")
    name = pipeline.feed.job_name(pipeline.aws.settings.suffix)
    runs: list[Any] = glue.get_job_runs(JobName=name)["JobRuns"]
    return runs


def new_clients(pipeline: Pipeline, **options: float) -> AwsClients:
    """The clients of a process that starts now."""
    return AwsClients(Settings.load(pipeline.variables), pipeline.variables, **options)


@pytest.mark.parametrize("order", ORDERS)
def test_a_day_is_loaded_though_the_password_is_rotated_while_its_job_runs(
    pipeline: Pipeline, rotation: Rotation, order: str
) -> None:
    """The job logs in after it has read the files; orchestrator and Data API do so after it."""
    day = f"2026-11-0{1 + ORDERS.index(order)}"
    landed = pipeline.land(day, rows=60)
    earlier = len(job_runs(pipeline))

    def job_is_running() -> bool:
        runs = job_runs(pipeline)
        return len(runs) > earlier and runs[0]["JobRunState"] == "RUNNING"

    with between(rotation, order, gap=LONG_GAP, once=job_is_running):
        run = pipeline.run(day)
    assert run.success, run.why
    (job_run, *_) = job_runs(pipeline)
    assert (len(job_runs(pipeline)), job_run["JobRunState"]) == (earlier + 1, "SUCCEEDED")
    assert run.check_results() == {day: True}
    assert len(pipeline.fact_rows(day)) == landed.good_rows


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("way", ["wire", "Data API"])
def test_a_process_that_starts_in_the_gap_logs_in_at_its_end(
    pipeline: Pipeline, rotation: Rotation, order: str, way: str
) -> None:
    with between(rotation, order), pipeline.environment():
        aws = new_clients(pipeline)
        if way == "wire":
            assert aws.warehouse.query("SELECT 1 AS one") == [{"one": 1}]
        else:
            assert aws.data_api.execute("SELECT 1 AS one").rows == [{"one": 1}]


def test_a_password_that_stays_wrong_is_told_as_what_it_is(
    pipeline: Pipeline, rotation: Rotation
) -> None:
    rotation.change_secret()
    with pipeline.environment():
        aws = new_clients(pipeline, rotation_window=0)
        with pytest.raises(LoginFailed) as wire:
            aws.warehouse.query("SELECT 1")
        with pytest.raises(LoginFailed) as data_api:
            aws.data_api.execute("SELECT 1")
    user = aws.warehouse_credentials().user
    for failure in (wire.value, data_api.value):
        assert not failure.retryable
        for part in (user, secret_of(pipeline), "hold different passwords", "ALTER USER"):
            assert part in str(failure)
    answer = pipeline.sandbox.run("xacct_assets.operations.cli", "doctor", check=False)
    assert answer.returncode == 1
    assert f"refused the login of user {user}" in answer.stdout
    assert "hold different passwords" in answer.stdout
    rotation.change_database()
    assert pipeline.sandbox.run("xacct_assets.operations.cli", "doctor").returncode == 0
