"""The actions and resources of SNS calls.

From the service authorization reference for Amazon SNS, and the API reference. What the sandbox
does not do (SMS, mobile push, permissions by label) stands in no table: it is refused by name.
"""

from __future__ import annotations

import re

from xacct_sandbox.emulator.authorization.calls import Call, Refused
from xacct_sandbox.emulator.authorization.checks import Check, has_tags, text, unknown_operation
from xacct_sandbox.emulator.authorization.conditions import Values
from xacct_sandbox.emulator.loader import Emulator

_ON_A_TOPIC = frozenset(
    {
        "DeleteTopic",
        "GetTopicAttributes",
        "ListSubscriptionsByTopic",
        "Publish",
        "PublishBatch",
        "SetTopicAttributes",
        "Subscribe",
    }
)
_ON_A_TAGGED_TOPIC = frozenset({"ListTagsForResource", "TagResource", "UntagResource"})
_ON_A_SUBSCRIPTION = frozenset(
    {"GetSubscriptionAttributes", "SetSubscriptionAttributes", "Unsubscribe"}
)
_WITHOUT_RESOURCE = frozenset({"ListSubscriptions", "ListTopics"})
TOPIC_ARN = re.compile(r"arn:aws:sns:[a-z0-9-]+:\d{12}:[A-Za-z0-9_-]+(\.fifo)?")


def topic_checks(emulator: Emulator, call: Call) -> list[Check]:
    """What the caller of an SNS operation must be allowed.

    Raises:
        Refused: the operation, or what it is about, is none of a topic.
    """
    operation = call.operation
    if operation in _WITHOUT_RESOURCE:
        return [Check(f"sns:{operation}", "*")]
    account = emulator.responses.get_account_id()
    if operation in _ON_A_SUBSCRIPTION:
        # Another account's topic has no say in what its subscribers do with their subscriptions.
        topic = text(call, "SubscriptionArn").rpartition(":")[0]
        own = TOPIC_ARN.fullmatch(topic) and topic.split(":")[4] == account
        return [Check(f"sns:{operation}", topic if own else "*")]
    if operation == "CreateTopic":
        region = emulator.responses.get_region()
        arn = f"arn:aws:sns:{region}:{account}:{text(call, 'Name')}"
        actions = ["CreateTopic", *(["TagResource"] if has_tags(call) else [])]
        return [Check(f"sns:{action}", arn) for action in actions]
    if operation in _ON_A_TAGGED_TOPIC:
        return [Check(f"sns:{operation}", _topic(call, "ResourceArn"))]
    if operation not in _ON_A_TOPIC:
        raise unknown_operation(call)
    # "sns:Publish grants permission to both publish and publish batch" (developer guide, "Amazon
    # SNS API permissions").
    action = "Publish" if operation == "PublishBatch" else operation
    keys: dict[str, Values] = {}
    if operation == "Subscribe":
        keys = {"sns:protocol": text(call, "Protocol"), "sns:endpoint": text(call, "Endpoint")}
    return [Check(f"sns:{action}", _topic(call, *_targets(call)), keys)]


def _targets(call: Call) -> list[str]:
    if call.operation != "Publish":
        return ["TopicArn"]
    given = [name for name in ("TopicArn", "TargetArn", "PhoneNumber") if text(call, name)]
    if given == ["PhoneNumber"]:
        raise _invalid("The sandbox sends no SMS: PhoneNumber is not supported, publish to a topic")
    if len(given) > 1:
        raise _invalid(f"Invalid parameter: {' and '.join(given)} are given; give TopicArn only")
    return given or ["TopicArn"]


def _topic(call: Call, parameter: str) -> str:
    arn = text(call, parameter)
    if not TOPIC_ARN.fullmatch(arn):
        raise _invalid(f"Invalid parameter: {parameter} Reason: {arn!r} is not the ARN of a topic")
    return arn


def _invalid(message: str) -> Refused:
    return Refused("sns", "InvalidParameter", message)
