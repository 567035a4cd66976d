"""Alerts of the real daemon: each kind of problem is told once, and once more when it is mended.

One sandbox and one daemon: the problems are made together, and mended together.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from tests.support.dagster_processes import DagsterProcesses
from tests.support.sandbox import RunningSandbox
from xacct_sandbox import faults
from xacct_sandbox.faults import Fault

#: Late days are looked for every five minutes.
SECONDS = 420
#: Of the disk of the instance; the files of the runs take a few of them.
DISK_BYTES = 256 * 1024**2
pytestmark = pytest.mark.timeout(1800)
GOOD_ORDERS = (
    b"order_id,line_no,sku,quantity,amount,gift,note,ordered_at\n"
    b"7,1,A-1,2,19.98,true,,2026-02-02 08:00:00\n"
)
BAD_ORDERS = b"order_id,line_no\n7,1\n"
GOOD_CUSTOMERS = b"customer_no;name;city;born;discount;active\nC1;Ann;Oslo;1980-02-29;0.125;true\n"
BAD_CUSTOMERS = b"customer_no;name;city;born;discount;active\nC1;Ann;Oslo;never;0.125;true\n"
ROLE, POLICY = "xacct-orchestrator-local", "alerts"
DEAD = "xacct-arrivals-dead-local"


class World:
    """A sandbox, Dagster's daemon on it, and what was sent to the owners."""

    def __init__(self, sandbox: RunningSandbox, dagster: DagsterProcesses) -> None:
        self.sandbox = sandbox
        self.dagster = dagster
        now = datetime.now(UTC)
        self.today = now.date()
        #: The newest day whose deadlines (an hour after its end) are over.
        self.due = (now - timedelta(hours=1)).date() - timedelta(days=1)
        #: A day whose job run fails as often as it is tried.
        self.retried = self.today - timedelta(days=3)

    def sent(self) -> list[dict[str, Any]]:
        shown = self.sandbox.run("xacct_sandbox.cli", "alerts", "--json").stdout
        return list(json.loads(shown))

    def wait_for(self, *texts: str) -> dict[str, Any]:
        """The first message with these texts in its subject, once it was sent."""

        def found() -> list[dict[str, Any]]:
            return [
                message
                for message in self.sent()
                if all(text in message["subject"] for text in texts)
            ]

        return self.dagster.wait_for(f"the alert {texts}", found, SECONDS)[0]

    def put(self, feed: str, day: date, body: bytes) -> None:
        folders = {
            "orders": f"shop/orders/year={day:%Y}/month={day:%m}/day={day:%d}/a.csv",
            "customers": f"customers/{day:%Y/%m/%d}/a.csv.gz",
        }
        s3 = self.sandbox.client("account-a-admin", "s3")
        key = folders[feed]
        body = gzip.compress(body) if key.endswith(".gz") else body
        s3.put_object(Bucket=self.sandbox.config.input_bucket, Key=key, Body=body)

    def last_alerts_tick(self) -> str:
        instance = self.dagster.instance
        (state,) = [state for state in instance.all_instigator_state() if state.name == "alerts"]
        ticks = instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=2)
        return next(tick.status.value for tick in ticks if tick.status.value != "STARTED")


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A file system of its own at the folder, in memory; only root may mount one."""
    folder.mkdir()
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(folder)], check=True
    )
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture(scope="module")
def world(sandbox: RunningSandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("alerts") / "daemon"
    with contextlib.ExitStack() as stack:
        if os.geteuid() == 0 and shutil.which("mount"):
            stack.enter_context(small_disk(folder))
        dagster = DagsterProcesses(sandbox, folder)
        dagster.start_daemon()
        stack.callback(dagster.kill)
        yield World(sandbox, dagster)


@pytest.fixture(scope="module")
def full_disk(world: World) -> Path | None:
    """Fills the disk of the instance, if it has one of its own; the file that does."""
    home = world.dagster.home
    usage = shutil.disk_usage(home)
    if usage.total > DISK_BYTES:
        return None
    file = home / "filling"
    with file.open("wb") as opened:
        os.posix_fallocate(opened.fileno(), 0, usage.free - DISK_BYTES // 12)
    return file


def test_each_problem_is_told(world: World, full_disk: Path | None) -> None:
    faults.add(
        world.sandbox.config,
        Fault("job_error", service="glue", operation="JobRun", match="local-orders", count=3),
    )
    world.put("orders", world.retried, GOOD_ORDERS)
    world.put("orders", world.today, BAD_ORDERS)
    world.put("customers", world.today, BAD_CUSTOMERS)
    sqs = world.sandbox.client("account-b-admin", "sqs")
    url = sqs.get_queue_url(QueueName=DEAD)["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="no notification")

    late = world.wait_for(f"customers {world.due - timedelta(days=6)} to {world.due}: day late")
    assert late["attributes"]["owners"] == '["team:sales"]'
    assert "repair: ask the supplier" in late["message"]
    world.wait_for("orders s3_export: export stale")
    failed = world.wait_for(f"orders {world.today}: run failed")
    assert "stage: raw_partition" in failed["message"]
    assert "1 of 1 files cannot be loaded" in failed["message"]
    check = world.wait_for(f"customers {world.today}: check failed")
    assert "stage: staging_table, check rejected_share_within_limit" in check["message"]
    dead = world.wait_for(f"{DEAD}: dead letters")
    assert "redrive them to xacct-arrivals-local" in dead["message"]
    if full_disk is not None:
        full = world.wait_for(f"{world.dagster.home}: disk nearly full")
        assert "make room" in full["message"]


def test_a_day_that_failed_at_each_of_its_retries_is_told_once(world: World) -> None:
    failed = world.wait_for(f"orders {world.retried}: run failed")
    assert "stage: staging_table" in failed["message"]
    assert "ended as ERROR" in failed["message"]
    tags = {"dagster/partition": world.retried.isoformat()}
    (run,) = world.dagster.runs(tags)
    retries = world.dagster.instance.all_logs(
        run.dagster_run.run_id, of_type=dg.DagsterEventType.STEP_UP_FOR_RETRY
    )
    assert len(retries) == 2
    told = [sent["subject"] for sent in world.sent() if str(world.retried) in sent["subject"]]
    assert len(told) == 1


def test_each_is_told_once_more_when_it_is_mended(world: World, full_disk: Path | None) -> None:
    sqs = world.sandbox.client("account-b-admin", "sqs")
    sqs.purge_queue(QueueUrl=sqs.get_queue_url(QueueName=DEAD)["QueueUrl"])
    if full_disk is not None:
        full_disk.unlink()
    for day in (world.today, world.due):
        world.put("customers", day, GOOD_CUSTOMERS)
    for day in (world.today, world.due):
        world.put("orders", day, GOOD_ORDERS)
    # The same bytes again would be no new file.
    world.put("orders", world.retried, GOOD_ORDERS.replace(b"19.98", b"20.00"))
    world.wait_for(f"{DEAD}: mended (dead letters)")
    world.wait_for(f"customers {world.today}: mended (check failed)")
    world.wait_for("orders s3_export: mended (export stale)")
    for day in (world.today, world.retried):
        # Days that are mended at the same time are told in one message.
        world.wait_for(f"{day}", "orders", "mended (run failed)")
    if full_disk is not None:
        world.wait_for(f"{world.dagster.home}: mended (disk nearly full)")


def test_a_failing_sensor_is_told_and_mended(world: World) -> None:
    s3 = world.sandbox.client("account-a-admin", "s3")
    bucket = world.sandbox.config.input_bucket
    before = s3.get_bucket_policy(Bucket=bucket)["Policy"]
    document = json.loads(before)
    document["Statement"].append(
        {
            "Sid": "NoOrders",
            "Effect": "Deny",
            "Principal": {"AWS": f"arn:aws:iam::{world.sandbox.config.account_b}:role/{ROLE}"},
            "Action": "s3:ListBucket",
            "Resource": f"arn:aws:s3:::{bucket}",
            "Condition": {"StringLike": {"s3:prefix": "shop/orders/*"}},
        }
    )
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(document))
    message = world.wait_for("orders_arrivals: tick failed")
    assert "s3:ListBucket" in message["message"]
    s3.put_bucket_policy(Bucket=bucket, Policy=before)
    world.wait_for("orders_arrivals: mended (tick failed)")


def test_without_the_topic_the_pipeline_goes_on_and_the_message_follows(world: World) -> None:
    iam = world.sandbox.client("account-b-admin", "iam")
    kept = iam.get_role_policy(RoleName=ROLE, PolicyName=POLICY)["PolicyDocument"]
    iam.delete_role_policy(RoleName=ROLE, PolicyName=POLICY)
    earlier = world.today - timedelta(days=1)
    world.put("customers", earlier, BAD_CUSTOMERS)
    world.dagster.wait_for(
        "the alerts sensor to fail", lambda: world.last_alerts_tick() == "FAILURE", SECONDS
    )
    world.put("orders", earlier, GOOD_ORDERS)
    tags = {"xacct/arrival": "orders", "dagster/partition": earlier.isoformat()}
    world.dagster.wait_for(
        "a run of orders meanwhile",
        lambda: [run for run in world.dagster.runs(tags) if run.dagster_run.is_success],
        SECONDS,
    )
    assert not [sent for sent in world.sent() if f"{earlier}: check failed" in sent["subject"]]
    iam.put_role_policy(RoleName=ROLE, PolicyName=POLICY, PolicyDocument=json.dumps(kept))
    world.wait_for(f"customers {earlier}: check failed")


def test_a_late_day_that_has_come_is_told(world: World) -> None:
    # Its file has been there since the others were mended: here, so that the five minutes overlap.
    world.wait_for(f"customers {world.due}: mended (day late)")


def test_every_message_was_sent_once(world: World) -> None:
    subjects = Counter(message["subject"] for message in world.sent())
    assert [subject for subject, times in subjects.items() if times > 1] == []
