"""The sandbox keeps its state over down and up, and over a kill."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.support.sandbox import RunningSandbox, own_sandbox
from xacct_sandbox.daemon import ports
from xacct_sandbox.daemon.instance_lock import daemon_pid

SOON = 2.0
"""Seconds after which a change must have reached the disk."""


@pytest.fixture(scope="module")
def own() -> Iterator[RunningSandbox]:
    """A sandbox to be killed."""
    with own_sandbox() as running:
        yield running


ACCOUNT_B = {"AWS": "arn:aws:iam::222222222222:root"}


def allowing(action: str, **statement: Any) -> str:
    """A policy that allows an action."""
    allow = {"Effect": "Allow", "Action": action, **statement}
    return json.dumps({"Version": "2012-10-17", "Statement": allow})


def write_everything(sandbox: RunningSandbox, name: str) -> boto3.Session:
    """Create a resource in each service. Returns the session of a new role."""
    a = {service: sandbox.client("account-a-admin", service) for service in ("s3", "iam")}
    b = {
        service: sandbox.client("account-b-admin", service)
        for service in ("glue", "secretsmanager", "sqs", "cloudformation", "logs", "sts", "iam")
    }
    a["s3"].create_bucket(Bucket=name)
    a["s3"].put_bucket_policy(
        Bucket=name,
        Policy=allowing("s3:GetObject", Principal=ACCOUNT_B, Resource=f"arn:aws:s3:::{name}/*"),
    )
    a["s3"].put_object(Bucket=name, Key="a/ö 1+2%.csv", Body=b"body", Metadata={"by": "test"})
    b["glue"].create_database(DatabaseInput={"Name": name})
    b["glue"].create_table(DatabaseName=name, TableInput={"Name": "t", "PartitionKeys": []})
    b["secretsmanager"].create_secret(Name=name, SecretString="kept")
    b["sqs"].send_message(
        QueueUrl=b["sqs"].create_queue(QueueName=name)["QueueUrl"], MessageBody="kept"
    )
    b["logs"].create_log_group(logGroupName=f"/{name}")
    b["cloudformation"].create_stack(
        StackName=name,
        TemplateBody=json.dumps(
            {
                "Resources": {
                    "D": {
                        "Type": "AWS::Glue::Database",
                        "Properties": {
                            "CatalogId": "222222222222",
                            "DatabaseInput": {"Name": f"{name}-stack"},
                        },
                    },
                    "Q": {
                        "Type": "AWS::SQS::Queue",
                        "Properties": {"QueueName": f"{name}-stack"},
                    },
                }
            }
        ),
    )
    b["cloudformation"].get_waiter("stack_create_complete").wait(
        StackName=name, WaiterConfig={"Delay": 1}
    )
    b["iam"].create_role(
        RoleName=name,
        AssumeRolePolicyDocument=allowing("sts:AssumeRole", Principal=ACCOUNT_B),
    )
    b["iam"].put_role_policy(
        RoleName=name,
        PolicyName="read",
        PolicyDocument=allowing("s3:GetObject", Resource="*"),
    )
    given = b["sts"].assume_role(
        RoleArn=f"arn:aws:iam::222222222222:role/{name}", RoleSessionName="kept"
    )["Credentials"]
    return boto3.Session(
        given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"], "us-east-1"
    )


def read_everything(sandbox: RunningSandbox, name: str, session: boto3.Session) -> dict[str, Any]:
    b = {
        service: sandbox.client("account-b-admin", service)
        for service in ("glue", "secretsmanager", "sqs", "cloudformation", "logs")
    }
    stored = sandbox.client_of(session, "s3").get_object(Bucket=name, Key="a/ö 1+2%.csv")
    stack = b["cloudformation"].describe_stacks(StackName=name)["Stacks"][0]
    queue = b["sqs"].get_queue_url(QueueName=name)["QueueUrl"]
    messages = b["sqs"].receive_message(QueueUrl=queue, WaitTimeSeconds=1).get("Messages", [])
    for message in messages:
        b["sqs"].change_message_visibility(
            QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0
        )
    return {
        "object": stored["Body"].read(),
        "metadata": stored["Metadata"],
        "table": b["glue"].get_table(DatabaseName=name, Name="t")["Table"]["Name"],
        "secret": b["secretsmanager"].get_secret_value(SecretId=name)["SecretString"],
        "messages": [message["Body"] for message in messages],
        "stack": stack["StackStatus"],
        "made by the stack": b["glue"].get_database(Name=f"{name}-stack")["Database"]["Name"],
        "queues": [
            url.rpartition("/")[2]
            for url in b["sqs"].list_queues(QueueNamePrefix=f"{name}-stack").get("QueueUrls", [])
        ],
        "groups": [
            group["logGroupName"]
            for group in b["logs"].describe_log_groups(logGroupNamePrefix=f"/{name}")["logGroups"]
        ],
    }


def everything(name: str) -> dict[str, Any]:
    return {
        "object": b"body",
        "metadata": {"by": "test"},
        "table": "t",
        "secret": "kept",
        "messages": ["kept"],
        "stack": "CREATE_COMPLETE",
        "made by the stack": f"{name}-stack",
        "queues": [f"{name}-stack"],
        "groups": [f"/{name}"],
    }


def kill(sandbox: RunningSandbox) -> None:
    pid = daemon_pid(sandbox.config)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    while daemon_pid(sandbox.config) is not None:
        time.sleep(0.02)


def test_everything_survives_a_kill(own: RunningSandbox) -> None:
    session = write_everything(own, "killed")
    time.sleep(SOON)
    kill(own)
    own.run("xacct_sandbox.cli", "up", "--no-deploy")
    assert read_everything(own, "killed", session) == everything("killed")


def test_everything_survives_down_and_up(own: RunningSandbox) -> None:
    session = write_everything(own, "stopped")
    own.run("xacct_sandbox.cli", "down")
    own.run("xacct_sandbox.cli", "up", "--no-deploy")
    assert read_everything(own, "stopped", session) == everything("stopped")


def test_what_was_deleted_stays_deleted_after_a_kill(own: RunningSandbox) -> None:
    s3 = own.client("account-a-admin", "s3")
    glue = own.client("account-b-admin", "glue")
    s3.create_bucket(Bucket="deleted")
    s3.put_object(Bucket="deleted", Key="gone", Body=b"1")
    glue.create_database(DatabaseInput={"Name": "gone"})
    time.sleep(SOON)
    s3.delete_object(Bucket="deleted", Key="gone")
    glue.delete_database(Name="gone")
    time.sleep(SOON)
    kill(own)
    own.run("xacct_sandbox.cli", "up", "--no-deploy")
    assert s3.list_objects_v2(Bucket="deleted")["KeyCount"] == 0
    with pytest.raises(ClientError, match="EntityNotFoundException"):
        glue.get_database(Name="gone")


def test_up_is_idempotent_and_keeps_the_keys(own: RunningSandbox) -> None:
    before = own.config.aws_credentials_file.read_text()
    pid = daemon_pid(own.config)
    answer = own.run("xacct_sandbox.cli", "up", "--no-deploy").stdout
    assert "is running" in answer
    assert daemon_pid(own.config) == pid
    assert own.config.aws_credentials_file.read_text() == before


def test_down_ends_everything_and_frees_the_ports(own: RunningSandbox) -> None:
    pid = daemon_pid(own.config)
    own.run("xacct_sandbox.cli", "down")
    # A process that was not waited for is still listed, without a command.
    command = Path(f"/proc/{pid}/cmdline")
    assert not command.exists() or command.read_bytes() == b""
    assert ports.is_free(own.config.aws_port)
    assert ports.is_free(own.config.redshift_port)
    assert own.run("xacct_sandbox.cli", "status", check=False).returncode == 3
    own.run("xacct_sandbox.cli", "down")


def test_a_taken_port_is_named_with_its_owner_and_the_way_out(own: RunningSandbox) -> None:
    own.run("xacct_sandbox.cli", "down")
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", own.config.aws_port))
        taken.listen()
        refused = own.run("xacct_sandbox.cli", "up", "--no-deploy", check=False)
    assert refused.returncode == 1
    assert f"port {own.config.aws_port}" in refused.stderr
    assert f"(pid {os.getpid()})" in refused.stderr
    assert "XACCT_SANDBOX_PORT=" in refused.stderr


def test_reset_forgets_everything_and_begins_anew(own: RunningSandbox) -> None:
    own.run("xacct_sandbox.cli", "up", "--no-deploy")
    own.client("account-a-admin", "s3").create_bucket(Bucket="forgotten")
    asked = own.run("xacct_sandbox.cli", "reset", check=False)
    assert asked.returncode == 1
    assert "--yes" in asked.stderr
    own.run("xacct_sandbox.cli", "reset", "--yes")
    assert not own.config.home.exists()
    assert not (own.folder / ".env").exists()
    own.clients.clear()
    own.run("xacct_sandbox.cli", "up", "--no-deploy")
    assert own.client("account-a-admin", "s3").list_buckets()["Buckets"] == []
