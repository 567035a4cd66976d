"""Topics: who may publish and subscribe, in an account and across two; topics of stacks.

SNS developer guide, "Amazon SNS API permissions: Actions and resources reference"; service
authorization reference for Amazon SNS; API reference.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.credentials import Credentials

from tests.sandbox.unit.emulator.authorization.support import (
    Statement,
    allow,
    deny,
    session,
    trusting,
    when,
)
from tests.sandbox.unit.emulator.authorization.test_stack_rights import STACKS, create, delete
from tests.sandbox.unit.emulator.conftest import A, B, InProcess, policy
from tests.support.signed_requests import Answer
from xacct_sandbox.emulator import publications

TOPIC = f"arn:aws:sns:us-east-1:{B}:alerts"
QUEUE = f"arn:aws:sqs:us-east-1:{B}:alerts"


def sns(aws: InProcess, who: Credentials, action: str, **parameters: str) -> Answer:
    return aws.query_call(who, "sns", Action=action, Version="2010-03-31", **parameters)


def publish(aws: InProcess, who: Credentials, message: str = "it failed") -> Answer:
    return sns(aws, who, "Publish", TopicArn=TOPIC, Message=message)


def topic_policy(aws: InProcess, *statements: Statement, topic: str = TOPIC) -> Answer:
    return sns(
        aws,
        aws.keys[B],
        "SetTopicAttributes",
        TopicArn=topic,
        AttributeName="Policy",
        AttributeValue=policy(*statements),
    )


def received(aws: InProcess) -> list[str]:
    """The messages in the queue, which are deleted."""
    url = f"https://127.0.0.1:4566/{B}/alerts"
    answer = aws.json_call(
        aws.keys[B], "AmazonSQS.ReceiveMessage", QueueUrl=url, MaxNumberOfMessages=10
    )
    aws.json_call(aws.keys[B], "AmazonSQS.PurgeQueue", QueueUrl=url)
    bodies = [
        json.loads(message["Body"]) for message in json.loads(answer.body).get("Messages", [])
    ]
    return [body["Message"] for body in bodies]


@pytest.fixture(autouse=True)
def topic(aws: InProcess) -> Iterator[None]:
    """A topic of account B and a queue that lets it deliver."""
    admin = aws.keys[B]
    sns(aws, admin, "CreateTopic", Name="alerts")
    delivery = allow(
        "sqs:SendMessage",
        on=QUEUE,
        Principal={"Service": "sns.amazonaws.com"},
        **when("ArnEquals", "aws:SourceArn", TOPIC),
    )
    aws.json_call(
        admin,
        "AmazonSQS.CreateQueue",
        QueueName="alerts",
        Attributes={"Policy": policy(delivery)},
    )
    yield
    sns(aws, admin, "DeleteTopic", TopicArn=TOPIC)
    aws.json_call(admin, "AmazonSQS.DeleteQueue", QueueUrl=f"https://127.0.0.1:4566/{B}/alerts")


def subscribe(aws: InProcess, who: Credentials, **more: str) -> Answer:
    request = {"TopicArn": TOPIC, "Protocol": "sqs", "Endpoint": QUEUE, **more}
    return sns(aws, who, "Subscribe", **request)


# -- publishing ----------------------------------------------------------------------------------


def test_a_message_reaches_the_queue_if_everyone_agrees(aws: InProcess) -> None:
    publisher = session(aws, allow("sns:Publish", on=TOPIC))
    assert subscribe(aws, aws.keys[B]).status == 200
    assert publish(aws, publisher).status == 200
    assert received(aws) == ["it failed"]


def test_a_queue_that_does_not_let_the_topic_in_gets_nothing(aws: InProcess) -> None:
    subscribe(aws, aws.keys[B])
    aws.json_call(
        aws.keys[B],
        "AmazonSQS.SetQueueAttributes",
        QueueUrl=f"https://127.0.0.1:4566/{B}/alerts",
        Attributes={"Policy": ""},
    )
    assert publish(aws, aws.keys[B]).status == 200
    assert received(aws) == []


def test_what_was_published_is_kept_and_what_was_refused_is_not(aws: InProcess) -> None:
    assert publish(aws, aws.keys[B], "first").status == 200
    assert publish(aws, aws.keys[A], "second").status == 403
    assert [entry["message"] for entry in publications(TOPIC)][-1] == "first"
    assert publications(TOPIC + "-other") == []


def test_a_new_topic_is_open_to_nobody(aws: InProcess) -> None:
    refused = publish(aws, session(aws))
    assert (refused.status, b"AuthorizationError" in refused.body) == (403, True)
    assert b"not authorized to perform: SNS:Publish on resource: " + TOPIC.encode() in refused.body
    assert not publish(aws, session(aws, allow("sns:Publish", on=f"{TOPIC}-of-others"))).allowed
    assert not publish(aws, aws.keys[A]).allowed


def test_across_accounts_both_sides_are_needed(aws: InProcess) -> None:
    root = f"arn:aws:iam::{A}:root"
    name, trust = "publisher", trusting(root)
    may = aws.become(aws.role(name, allow("sns:Publish"), account=A, trust=trust), aws.keys[A])
    assert not publish(aws, may).allowed
    for principal in (A, root, f"arn:aws:iam::{A}:role/{name}"):
        topic_policy(aws, allow("SNS:Publish", on=TOPIC, Principal={"AWS": principal}))
        assert publish(aws, may).status == 200
    may_not = aws.become(aws.role(name, account=A, trust=trust), aws.keys[A])
    assert not publish(aws, may_not).allowed


def test_a_topic_policy_allows_and_denies(aws: InProcess) -> None:
    role = f"arn:aws:iam::{B}:role/judged"
    who = session(aws)
    topic_policy(aws, allow("sns:Publish", on=TOPIC, Principal={"AWS": role}))
    assert publish(aws, who).status == 200
    who = session(aws, allow("sns:*"))
    for denied in (
        deny("sns:Publish", on=TOPIC, Principal="*"),
        deny(
            "sns:Publish", on=TOPIC, Principal="*", **when("StringLike", "aws:PrincipalArn", role)
        ),
        deny("sns:Publish", on=TOPIC, NotPrincipal={"AWS": f"arn:aws:iam::{B}:root"}),
    ):
        topic_policy(aws, denied)
        assert not publish(aws, who).allowed
    topic_policy(aws, deny("sns:Subscribe", on=TOPIC, Principal="*"))
    assert publish(aws, who).status == 200


def test_a_batch_needs_the_right_to_publish(aws: InProcess) -> None:
    entry = "PublishBatchRequestEntries.member.1"
    batch = {"TopicArn": TOPIC, f"{entry}.Id": "1", f"{entry}.Message": "x"}
    assert not sns(aws, session(aws, allow("sns:PublishBatch")), "PublishBatch", **batch).allowed
    assert sns(aws, session(aws, allow("sns:Publish")), "PublishBatch", **batch).status == 200


@pytest.mark.parametrize(
    ("parameters", "problem"),
    [
        ({"PhoneNumber": "+15550100", "Message": "x"}, b"sends no SMS"),
        ({"TopicArn": TOPIC, "TargetArn": f"{TOPIC}2", "Message": "x"}, b"give TopicArn only"),
        ({"TopicArn": "arn:aws:sns:us-east-1::alerts", "Message": "x"}, b"not the ARN of a topic"),
        ({"Message": "x"}, b"not the ARN of a topic"),
        ({"TopicArn": TOPIC}, b"Empty message"),
    ],
)
def test_what_is_no_message_to_a_topic_is_refused_by_name(
    aws: InProcess, parameters: dict[str, str], problem: bytes
) -> None:
    answer = sns(aws, aws.keys[B], "Publish", **parameters)
    assert (answer.status, problem in answer.body) == (400, True), answer.body


# -- subscribing -----------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", ["email", "https", "http", "sms", "lambda", "firehose"])
def test_another_protocol_than_sqs_is_refused_by_name(aws: InProcess, protocol: str) -> None:
    answer = subscribe(aws, aws.keys[B], Protocol=protocol, Endpoint="https://example.com")
    assert (answer.status, protocol.encode() in answer.body) == (400, True)


@pytest.mark.parametrize(("key", "value"), [("sns:Protocol", "sqs"), ("sns:Endpoint", "*:alerts")])
def test_who_subscribes_what_can_be_denied(aws: InProcess, key: str, value: str) -> None:
    assert subscribe(aws, session(aws, allow("sns:Subscribe"))).status == 200
    denied = deny("sns:Subscribe", **when("StringLike", key, value))
    assert not subscribe(aws, session(aws, allow("sns:*"), denied)).allowed
    other = deny("sns:Subscribe", **when("StringLike", key, value + "x"))
    assert subscribe(aws, session(aws, allow("sns:*"), other)).status == 200


def test_a_queue_of_another_account_is_subscribed_by_that_account(aws: InProcess) -> None:
    aws.json_call(aws.keys[A], "AmazonSQS.CreateQueue", QueueName="alerts")
    foreign = QUEUE.replace(B, A)
    refused = subscribe(aws, aws.keys[B], Endpoint=foreign)
    assert b"subscribe it as that account" in refused.body
    topic_policy(aws, allow("sns:Subscribe", on=TOPIC, Principal={"AWS": A}))
    assert subscribe(aws, aws.keys[A], Endpoint=foreign).status == 200


def test_a_subscription_is_ended_by_its_owner_or_the_topics(aws: InProcess) -> None:
    topic_policy(aws, allow("sns:Subscribe", on=TOPIC, Principal={"AWS": A}))

    def subscribed(by: str) -> str:
        answer = subscribe(aws, aws.keys[by], Endpoint=QUEUE.replace(B, by)).body.decode()
        return answer.partition("<SubscriptionArn>")[2].partition("<")[0]

    def listed() -> bool:
        answer = sns(aws, aws.keys[B], "ListSubscriptionsByTopic", TopicArn=TOPIC)
        return b"<SubscriptionArn>" in answer.body

    own = subscribed(B)
    for action in ("Unsubscribe", "GetSubscriptionAttributes"):
        refused = sns(aws, aws.keys[A], action, SubscriptionArn=own)
        assert (refused.status, b"another account" in refused.body) == (403, True)
    assert sns(aws, aws.keys[B], "Unsubscribe", SubscriptionArn=own).status == 200
    assert not listed()
    foreign = subscribed(A)
    settings = {"AttributeName": "RawMessageDelivery", "AttributeValue": "true"}
    set_by_topic = sns(
        aws, aws.keys[B], "SetSubscriptionAttributes", SubscriptionArn=foreign, **settings
    )
    assert set_by_topic.status == 403
    assert sns(aws, aws.keys[B], "Unsubscribe", SubscriptionArn=foreign).status == 200
    assert not listed()


# -- topics ----------------------------------------------------------------------------------------


def test_a_topic_with_tags_takes_permission_to_tag(aws: InProcess) -> None:
    tags = {"Name": "tagged", "Tags.member.1.Key": "team", "Tags.member.1.Value": "data"}
    assert not sns(aws, session(aws, allow("sns:CreateTopic")), "CreateTopic", **tags).allowed
    who = session(aws, allow("sns:CreateTopic", "sns:TagResource"))
    assert sns(aws, who, "CreateTopic", **tags).status == 200
    tagged = f"arn:aws:sns:us-east-1:{B}:tagged"
    denied = deny("sns:Publish", **when("StringEquals", "aws:ResourceTag/team", "data"))
    refused = sns(
        aws, session(aws, allow("sns:*"), denied), "Publish", TopicArn=tagged, Message="x"
    )
    assert not refused.allowed
    sns(aws, aws.keys[B], "DeleteTopic", TopicArn=tagged)


@pytest.mark.parametrize("attribute", ["KmsMasterKeyId", "DeliveryPolicy", "TracingConfig"])
def test_an_attribute_without_effect_is_refused_by_name(aws: InProcess, attribute: str) -> None:
    changed = sns(
        aws,
        aws.keys[B],
        "SetTopicAttributes",
        TopicArn=TOPIC,
        AttributeName=attribute,
        AttributeValue="x",
    )
    entry = {"Attributes.entry.1.key": attribute, "Attributes.entry.1.value": "x"}
    made = sns(aws, aws.keys[B], "CreateTopic", Name="other", **entry)
    for answer in (changed, made):
        assert (answer.status, attribute.encode() in answer.body) == (400, True)


WRONG = {
    "without a principal": allow("sns:Publish", on=TOPIC),
    "of another topic": allow("sns:Publish", on=f"{TOPIC}2", Principal="*"),
    "with another service's action": allow("sqs:SendMessage", on=TOPIC, Principal="*"),
    "for a role that does not exist": allow(
        "sns:Publish", on=TOPIC, Principal={"AWS": f"arn:aws:iam::{B}:role/nobody"}
    ),
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_a_wrong_topic_policy_is_refused(aws: InProcess, wrong: Statement) -> None:
    answer = topic_policy(aws, wrong)
    assert (answer.status, b"InvalidParameter" in answer.body) == (400, True), answer.body


def test_a_role_made_anew_is_not_the_one_of_the_topics_policy(aws: InProcess) -> None:
    role = aws.role("again")
    topic_policy(aws, allow("sns:Publish", on=TOPIC, Principal={"AWS": role}))
    assert publish(aws, aws.become(role)).status == 200
    assert not publish(aws, aws.become(aws.role("again"))).allowed


# -- stacks ----------------------------------------------------------------------------------------


def template(**changes: dict[str, Any]) -> str:
    """A topic with a policy, and a queue subscribed to it."""
    made = {"Ref": "Made"}
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": A},
        "Action": "sns:Publish",
        "Resource": made,
    }
    resources: dict[str, dict[str, Any]] = {
        "Made": {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": "stacked"}},
        "Policy": {
            "Type": "AWS::SNS::TopicPolicy",
            "Properties": {
                "Topics": [made],
                "PolicyDocument": {"Version": "2012-10-17", "Statement": [statement]},
            },
        },
        "Subscription": {
            "Type": "AWS::SNS::Subscription",
            "Properties": {
                "TopicArn": made,
                "Protocol": "sqs",
                "Endpoint": QUEUE,
                "RawMessageDelivery": True,
            },
        },
    }
    for name, properties in changes.items():
        resources[name]["Properties"].update(properties)
    return json.dumps({"Resources": resources})


STACKED = f"arn:aws:sns:us-east-1:{B}:stacked"
MAKING = ["sns:CreateTopic", "sns:SetTopicAttributes", "sns:Subscribe"]
REMOVING = ["sns:DeleteTopic", "sns:SetTopicAttributes", "sns:Unsubscribe"]


def test_a_stack_makes_a_topic_with_its_policy_and_its_subscription(aws: InProcess) -> None:
    caller = aws.become(aws.role("stacks-sns", STACKS, allow(*MAKING, *REMOVING)))
    assert create(aws, caller, "topic", template()) == "CREATE_COMPLETE"
    listed = sns(aws, aws.keys[B], "ListSubscriptionsByTopic", TopicArn=STACKED)
    assert QUEUE.encode() in listed.body
    foreign = {"TopicArn": STACKED, "Message": "x"}
    assert sns(aws, aws.keys[A], "Publish", **foreign).status == 200
    delete(aws, caller, "topic")
    assert sns(aws, aws.keys[B], "GetTopicAttributes", TopicArn=STACKED).status == 404


@pytest.mark.parametrize("missing", MAKING)
def test_a_stack_needs_each_right_of_what_it_makes(aws: InProcess, missing: str) -> None:
    rights = allow(*({*MAKING, *REMOVING} - {missing}))
    caller = aws.become(aws.role("stacks-sns", STACKS, rights))
    assert create(aws, caller, "poor-topic", template()) != "CREATE_COMPLETE"
    delete(aws, aws.keys[B], "poor-topic")


def test_a_topic_of_a_stack_is_open_to_nobody_else(aws: InProcess) -> None:
    body = json.dumps({"Resources": {"Made": json.loads(template())["Resources"]["Made"]}})
    assert create(aws, aws.keys[B], "closed-topic", body) == "CREATE_COMPLETE"
    assert not sns(aws, aws.keys[A], "Publish", TopicArn=STACKED, Message="x").allowed
    delete(aws, aws.keys[B], "closed-topic")


@pytest.mark.parametrize(
    "changes",
    [
        {"Subscription": {"Protocol": "email", "Endpoint": "a@example.com"}},
        {"Subscription": {"TopicArn": f"{STACKED}-not-there"}},
        {"Subscription": {"RedrivePolicy": {"deadLetterTargetArn": QUEUE}}},
        {"Policy": {"Topics": [f"{STACKED}-not-there"]}},
        {"Made": {"KmsMasterKeyId": "alias/aws/sns"}},
        {"Made": {"Subscription": [{"Protocol": "sqs", "Endpoint": QUEUE}]}},
    ],
)
def test_what_a_stack_cannot_have_fails_the_stack(
    aws: InProcess, changes: dict[str, dict[str, Any]]
) -> None:
    assert create(aws, aws.keys[B], "wrong-topic", template(**changes)) == "ROLLBACK_COMPLETE"
    delete(aws, aws.keys[B], "wrong-topic")
