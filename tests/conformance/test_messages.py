"""SQS and SNS: redelivery, dead letters, redrive, and messages of a topic in a queue."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.conformance.target import ALLOWED, Target, document, outcome, refusal


@pytest.fixture(scope="module")
def sqs(target: Target) -> Any:
    return target.b.client("sqs")


def make_queue(target: Target, part: str, **attributes: str) -> tuple[str, str]:
    """A new queue; returns its URL and its ARN."""
    sqs = target.b.client("sqs")
    url = sqs.create_queue(QueueName=target.name(part), Attributes=attributes)["QueueUrl"]
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    return url, found["Attributes"]["QueueArn"]


def receive(sqs: Any, url: str, **options: Any) -> list[dict[str, Any]]:
    answer = sqs.receive_message(
        QueueUrl=url, WaitTimeSeconds=1, MessageSystemAttributeNames=["All"], **options
    )
    found: list[dict[str, Any]] = answer.get("Messages", [])
    return found


@pytest.mark.claim("sqs-invisible-until-timeout")
def test_a_message_that_was_received_comes_back_unless_it_is_deleted(
    target: Target, sqs: Any
) -> None:
    url, _ = make_queue(target, "again", VisibilityTimeout="1")
    sqs.send_message(QueueUrl=url, MessageBody="one")
    seen: list[dict[str, Any]] = []

    def times() -> int:
        seen.extend(receive(sqs, url))
        return len(seen)

    target.becomes(lambda count: count >= 2, times, patience=30)
    assert {message["MessageId"] for message in seen} == {seen[0]["MessageId"]}
    counts = [int(message["Attributes"]["ApproximateReceiveCount"]) for message in seen]
    assert counts == list(range(1, len(seen) + 1))
    sqs.delete_message(QueueUrl=url, ReceiptHandle=seen[-1]["ReceiptHandle"])
    assert receive(sqs, url) == []


@pytest.mark.claim("sqs-visibility-can-be-changed")
def test_the_time_until_a_message_comes_back_can_be_changed(target: Target, sqs: Any) -> None:
    url, _ = make_queue(target, "visible", VisibilityTimeout="600")
    sqs.send_message(QueueUrl=url, MessageBody="one")
    found: list[dict[str, Any]] = []

    def is_here() -> bool:
        found.extend(receive(sqs, url))
        return bool(found)

    target.becomes(True, is_here)
    handle = found[0]["ReceiptHandle"]
    assert receive(sqs, url) == []
    long = {"QueueUrl": url, "ReceiptHandle": handle, "VisibilityTimeout": 43201}
    assert outcome(sqs.change_message_visibility, **long) == "InvalidParameterValue"
    sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=0)
    target.becomes(1, lambda: len(receive(sqs, url)), patience=30)


@pytest.mark.claim("sqs-dead-letters")
@pytest.mark.claim("sqs-redrive")
def test_a_message_that_is_received_too_often_is_a_dead_letter_and_can_go_back(
    target: Target, sqs: Any
) -> None:
    dead, dead_arn = make_queue(target, "dead")
    redrive = json.dumps({"deadLetterTargetArn": dead_arn, "maxReceiveCount": 2})
    url, _ = make_queue(target, "live", RedrivePolicy=redrive, VisibilityTimeout="0")
    sqs.send_message(QueueUrl=url, MessageBody="one")
    received: list[dict[str, Any]] = []

    def is_dead() -> list[str]:
        received.extend(receive(sqs, url))
        letters = receive(sqs, dead, VisibilityTimeout=0)
        return [letter["Body"] for letter in letters]

    target.becomes(["one"], is_dead, patience=60)
    assert len(received) == 2
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "600"})
    sqs.start_message_move_task(SourceArn=dead_arn)
    target.becomes(["one"], lambda: [message["Body"] for message in receive(sqs, url)], patience=60)
    assert receive(sqs, dead) == []


@pytest.mark.claim("sqs-same-name-other-attributes")
def test_a_queue_made_again_with_other_attributes_is_refused(target: Target, sqs: Any) -> None:
    url, _ = make_queue(target, "named", VisibilityTimeout="7")
    same = {"QueueName": target.name("named"), "Attributes": {"VisibilityTimeout": "7"}}
    assert sqs.create_queue(**same)["QueueUrl"] == url
    other = {**same, "Attributes": {"VisibilityTimeout": "8"}}
    assert outcome(sqs.create_queue, **other) in ("QueueAlreadyExists", "QueueNameExists")


@pytest.mark.claim("sqs-ten-at-once")
def test_at_most_ten_messages_are_received_at_once(target: Target, sqs: Any) -> None:
    url, _ = make_queue(target, "ten")
    code, _ = refusal(sqs.receive_message, QueueUrl=url, MaxNumberOfMessages=11)
    assert code == "InvalidParameterValue"


@pytest.mark.claim("sns-to-queue")
def test_a_queue_gets_what_is_published_in_an_envelope(target: Target, sqs: Any) -> None:
    sns = target.b.client("sns")
    topic = sns.create_topic(Name=target.name("alerts"))["TopicArn"]
    assert sns.create_topic(Name=target.name("alerts"))["TopicArn"] == topic
    url, arn = make_queue(target, "alerts")
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
        "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
    }
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": document(statement)})
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    found: list[dict[str, Any]] = []

    def told() -> bool:
        # Published again until it arrives: the policy takes up to a minute on AWS.
        sns.publish(TopicArn=topic, Subject="late day", Message="products 2026-01-31")
        found.extend(receive(sqs, url))
        return bool(found)

    target.becomes(True, told, patience=120)
    envelope = json.loads(found[0]["Body"])
    assert (envelope["Type"], envelope["TopicArn"]) == ("Notification", topic)
    assert (envelope["Subject"], envelope["Message"]) == ("late day", "products 2026-01-31")


@pytest.mark.claim("sns-subject-limits")
def test_a_subject_has_at_most_100_characters_in_one_line(target: Target) -> None:
    sns = target.b.client("sns")
    topic = sns.create_topic(Name=target.name("subjects"))["TopicArn"]
    assert outcome(sns.publish, TopicArn=topic, Subject="x" * 99, Message="m") == ALLOWED
    for wrong in ("x" * 101, "two\nlines"):
        code = outcome(sns.publish, TopicArn=topic, Subject=wrong, Message="m")
        assert code == "InvalidParameter", wrong
