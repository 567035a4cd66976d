"""SQS: a redrive of dead letters, its rights on both queues, and the limits of visibility.

SQS API reference, StartMessageMoveTask and ChangeMessageVisibility; developer guide, "Configuring
queue permissions for dead-letter queue redrive".
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.sandbox.unit.emulator.authorization.support import allow, session
from tests.sandbox.unit.emulator.conftest import B, InProcess
from tests.support.signed_requests import Answer

LIVE, DEAD, OTHER = (f"arn:aws:sqs:us-east-1:{B}:{name}" for name in ("live", "dead", "other"))
ON_LETTERS = ("StartMessageMoveTask", "ReceiveMessage", "DeleteMessage", "GetQueueAttributes")


def url(name: str) -> str:
    return f"https://127.0.0.1:4566/{B}/{name}"


def call(aws: InProcess, operation: str, **parameters: object) -> Answer:
    return aws.json_call(aws.keys[B], f"AmazonSQS.{operation}", **parameters)


def bodies(aws: InProcess, name: str) -> list[str]:
    """The messages of a queue; they stay visible."""
    answer = call(
        aws, "ReceiveMessage", QueueUrl=url(name), MaxNumberOfMessages=10, VisibilityTimeout=0
    )
    return [message["Body"] for message in json.loads(answer.body).get("Messages", [])]


@pytest.fixture
def queues(aws: InProcess) -> Iterator[None]:
    """A queue with a dead letter, and a third queue."""
    for name in ("dead", "other"):
        call(aws, "CreateQueue", QueueName=name, Attributes={"VisibilityTimeout": "0"})
    redrive = json.dumps({"deadLetterTargetArn": DEAD, "maxReceiveCount": 1})
    attributes = {"RedrivePolicy": redrive, "VisibilityTimeout": "0"}
    call(aws, "CreateQueue", QueueName="live", Attributes=attributes)
    call(aws, "SendMessage", QueueUrl=url("live"), MessageBody="letter")
    call(aws, "ReceiveMessage", QueueUrl=url("live"))
    assert bodies(aws, "live") == []
    assert bodies(aws, "dead") == ["letter"]
    yield
    for name in ("live", "dead", "other"):
        call(aws, "DeleteQueue", QueueUrl=url(name))


@pytest.mark.usefixtures("queues")
def test_a_dead_letter_goes_back_to_the_queue_that_it_comes_from(aws: InProcess) -> None:
    assert call(aws, "StartMessageMoveTask", SourceArn=DEAD).status == 200
    assert bodies(aws, "dead") == []
    assert bodies(aws, "live") == ["letter"]


@pytest.mark.usefixtures("queues")
def test_a_dead_letter_goes_to_another_queue_if_that_is_given(aws: InProcess) -> None:
    call(aws, "StartMessageMoveTask", SourceArn=DEAD, DestinationArn=OTHER)
    assert (bodies(aws, "dead"), bodies(aws, "other")) == ([], ["letter"])


@pytest.mark.usefixtures("queues")
def test_a_queue_that_is_nobodys_dead_letter_queue_is_not_redriven(aws: InProcess) -> None:
    answer = call(aws, "StartMessageMoveTask", SourceArn=OTHER)
    assert answer.status == 400
    assert b"Dead Letter Queue" in answer.body
    gone = call(aws, "StartMessageMoveTask", SourceArn=f"{DEAD}-gone")
    assert b"ResourceNotFoundException" in gone.body


@pytest.mark.usefixtures("queues")
@pytest.mark.parametrize("missing", [*ON_LETTERS, "SendMessage"])
def test_a_redrive_needs_its_rights_on_both_queues(aws: InProcess, missing: str) -> None:
    rights = [allow(f"sqs:{name}", on=DEAD) for name in ON_LETTERS if name != missing]
    if missing != "SendMessage":
        rights.append(allow("sqs:SendMessage", on=LIVE))
    who = session(aws, *rights, name="redriving")
    refused = aws.json_call(who, "AmazonSQS.StartMessageMoveTask", SourceArn=DEAD)
    assert not refused.allowed
    assert f"sqs:{missing}".encode() in refused.body
    assert bodies(aws, "dead") == ["letter"]


@pytest.mark.usefixtures("queues")
@pytest.mark.parametrize(("seconds", "status"), [(0, 200), (43200, 200), (43201, 400), (-1, 400)])
def test_a_visibility_timeout_is_twelve_hours_at_most(
    aws: InProcess, seconds: int, status: int
) -> None:
    answer = call(aws, "ReceiveMessage", QueueUrl=url("dead"))
    (message,) = json.loads(answer.body)["Messages"]
    changed = call(
        aws,
        "ChangeMessageVisibility",
        QueueUrl=url("dead"),
        ReceiptHandle=message["ReceiptHandle"],
        VisibilityTimeout=seconds,
    )
    assert changed.status == status
