"""Alerts of the real daemon: each kind of problem is told once, and once more when it is mended."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from tests.support.dagster_processes import DagsterProcesses
from tests.support.sandbox import RunningSandbox

#: Late days are looked for every five minutes.
SECONDS = 420
pytestmark = pytest.mark.timeout(1800)
GOOD_ORDERS = (
    b"order_id,line_no,sku,quantity,amount,gift,note,ordered_at\n"
    b"7,1,A-1,2,19.98,true,,2026-02-02 08:00:00\n"
)
BAD_ORDERS = b"order_id,line_no\n7,1\n"
GOOD_CUSTOMERS = b"customer_no;name;city;born;discount;active\nC1;Ann;Oslo;1980-02-29;0.125;true\n"
BAD_CUSTOMERS = b"customer_no;name;city;born;discount;active\nC1;Ann;Oslo;never;0.125;true\n"
ROLE, POLICY = "xacct-orchestrator-local", "alerts"


class World:
    """A sandbox, Dagster's daemon on it, and what was sent to the owners."""

    def __init__(self, sandbox: RunningSandbox, dagster: DagsterProcesses) -> None:
        self.sandbox = sandbox
        self.dagster = dagster
        now = datetime.now(UTC)
        self.today = now.date()
        #: The newest day whose deadlines (an hour after its end) are over.
        self.due = (now - timedelta(hours=1)).date() - timedelta(days=1)

    def sent(self) -> list[dict[str, Any]]:
        shown = self.sandbox.run("xacct_sandbox.cli", "alerts", "--json").stdout
        return list(json.loads(shown))

    def wait_for(self, text: str) -> dict[str, Any]:
        """The first message with this text in its subject, once it was sent."""

        def found() -> list[dict[str, Any]]:
            return [message for message in self.sent() if text in message["subject"]]

        return self.dagster.wait_for(f"the alert {text!r}", found, SECONDS)[0]

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


@pytest.fixture(scope="module")
def world(sandbox: RunningSandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    dagster = DagsterProcesses(sandbox, tmp_path_factory.mktemp("alerts") / "daemon")
    dagster.start_daemon()
    try:
        yield World(sandbox, dagster)
    finally:
        dagster.kill()


def test_a_late_day_and_a_stale_export_are_told_and_mended(world: World) -> None:
    late = world.wait_for(f"customers {world.due - timedelta(days=6)} to {world.due}: day late")
    assert late["attributes"]["owners"] == '["team:sales"]'
    assert "repair: ask the supplier" in late["message"]
    world.wait_for("orders s3_export: export stale")
    world.put("customers", world.due, GOOD_CUSTOMERS)
    world.put("orders", world.due, GOOD_ORDERS)
    world.wait_for(f"customers {world.due}: mended (day late)")
    world.wait_for("orders s3_export: mended (export stale)")


def test_a_failed_run_and_a_failed_check_are_told_and_mended(world: World) -> None:
    world.put("orders", world.today, BAD_ORDERS)
    world.put("customers", world.today, BAD_CUSTOMERS)
    failed = world.wait_for(f"orders {world.today}: run failed")
    assert "stage: raw_partition" in failed["message"]
    assert "1 of 1 files cannot be loaded" in failed["message"]
    check = world.wait_for(f"customers {world.today}: check failed")
    assert "stage: staging_table, check rejected_share_within_limit" in check["message"]
    world.put("orders", world.today, GOOD_ORDERS)
    world.put("customers", world.today, GOOD_CUSTOMERS)
    world.wait_for(f"orders {world.today}: mended (run failed)")
    world.wait_for(f"customers {world.today}: mended (check failed)")


def test_dead_letters_are_told_and_mended(world: World) -> None:
    sqs = world.sandbox.client("account-b-admin", "sqs")
    url = sqs.get_queue_url(QueueName="xacct-arrivals-dead-local")["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="no notification")
    message = world.wait_for("xacct-arrivals-dead-local: dead letters")
    assert "redrive them to xacct-arrivals-local" in message["message"]
    sqs.purge_queue(QueueUrl=url)
    world.wait_for("xacct-arrivals-dead-local: mended (dead letters)")


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


def test_every_message_was_sent_once(world: World) -> None:
    subjects = Counter(message["subject"] for message in world.sent())
    assert [subject for subject, times in subjects.items() if times > 1] == []
