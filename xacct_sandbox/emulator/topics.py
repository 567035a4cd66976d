"""Makes SNS do what it accepts: deliver to queues; and keeps subscriptions to their owners.

SNS API reference and developer guide, "Amazon SNS API permissions: Actions and resources
reference", "Sending Amazon SNS messages to an Amazon SQS queue in a different account". What is
left out (other protocols, KMS, delivery policies) is refused by its name.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from xacct_sandbox.emulator.authorization.conditions import matches_arn
from xacct_sandbox.emulator.authorization.documents import MalformedPolicy
from xacct_sandbox.emulator.authorization.stored_documents import check_document
from xacct_sandbox.emulator.loader import Emulator, Response
from xacct_sandbox.emulator.property_checks import check_properties, refuse_properties
from xacct_sandbox.service_errors import ServiceError

Parameters = Mapping[str, Any]
Properties = dict[str, Any]

#: Publish: in one line, without control characters. aws-claims: sns-subject-limits
SUBJECT_CHARACTERS = 100
_TOPIC_ATTRIBUTES = frozenset({"ContentBasedDeduplication", "DisplayName", "FifoTopic", "Policy"})
_SUBSCRIPTION_ATTRIBUTES = frozenset({"FilterPolicy", "FilterPolicyScope", "RawMessageDelivery"})
_TOPIC_PROPERTIES = frozenset({"DisplayName", "Tags", "TopicName"})
_IDENTITY = ("TopicArn", "Protocol", "Endpoint")


def patch_topics(emulator: Emulator) -> None:
    """Installs the patches of this module."""
    _patch_topic_attributes(emulator)
    _patch_subscriptions(emulator)
    _patch_delivery(emulator)
    _patch_types(emulator)


# -- topics ------------------------------------------------------------------------------------


def _patch_topic_attributes(emulator: Emulator) -> None:
    """Checks a topic's attributes before they are stored."""
    sns = emulator.sns
    create, change = sns._create_topic, sns._set_topic_attributes

    def create_topic(params: Parameters) -> Response:
        account, region = emulator.responses.get_account_id(), emulator.responses.get_region()
        arn = f"arn:aws:sns:{region}:{account}:{sns._p(params, 'Name')}"
        problem = _topic_problem(emulator, arn, _entries(emulator, params))
        response: Response = _refusal(emulator, problem) if problem else create(params)
        return response

    def set_topic_attributes(params: Parameters) -> Response:
        given = {sns._p(params, "AttributeName"): sns._p(params, "AttributeValue")}
        problem = _topic_problem(emulator, sns._p(params, "TopicArn"), given)
        response: Response = _refusal(emulator, problem) if problem else change(params)
        return response

    sns._create_topic, sns._set_topic_attributes = create_topic, set_topic_attributes


def _entries(emulator: Emulator, params: Parameters) -> dict[str, str]:
    """The ``Attributes`` of a request."""
    found, p = {}, emulator.sns._p
    number = 1
    while p(params, f"Attributes.entry.{number}.key"):
        name = p(params, f"Attributes.entry.{number}.key")
        found[name] = p(params, f"Attributes.entry.{number}.value")
        number += 1
    return found


def _topic_problem(emulator: Emulator, arn: str, attributes: Mapping[str, str]) -> str:
    """Why a topic cannot have these attributes; "" if it can."""
    unknown = sorted(set(attributes) - _TOPIC_ATTRIBUTES)
    if unknown:
        return f"The sandbox does not support the attribute {', '.join(unknown)} of a topic"
    document = attributes.get("Policy")
    if document is None:
        return ""
    try:
        check_topic_policy(emulator, document, arn)
    except MalformedPolicy as problem:
        return f"Invalid parameter: Policy Error: {problem}"
    return ""


def check_topic_policy(emulator: Emulator, document: str, arn: str) -> None:
    """Checks the policy of a topic: "the value must match the ARN of the policy's topic".

    Raises:
        MalformedPolicy: SNS refuses it.
    """
    for statement in check_document(emulator, document, "resource"):
        for resource in statement.resources:
            if resource != "*" and not matches_arn(arn, resource):
                raise MalformedPolicy(f"the resource {resource} is not the topic {arn}")
        for action in (*statement.actions, *statement.not_actions):
            if not action.lower().startswith("sns:"):
                raise MalformedPolicy(f"the action {action} is out of service scope")


def _refusal(emulator: Emulator, message: str) -> Response:
    response: Response = emulator.sns._error("InvalidParameter", message, 400)
    return response


def default_policy(arn: str) -> str:
    """The policy of a topic that was given none; it lets services act for its owner."""
    statement = {
        "Sid": "__default_statement_ID",
        "Effect": "Allow",
        "Principal": {"AWS": "*"},
        "Action": ["SNS:Publish", "SNS:Subscribe", "SNS:Receive"],
        "Resource": arn,
        "Condition": {"StringEquals": {"AWS:SourceOwner": arn.split(":")[4]}},
    }
    document = {"Version": "2008-10-17", "Id": "__default_policy_ID", "Statement": [statement]}
    return json.dumps(document)


# -- subscriptions -----------------------------------------------------------------------------


def _patch_subscriptions(emulator: Emulator) -> None:
    sns = emulator.sns
    subscribe = sns._subscribe

    def subscribe_queue(params: Parameters) -> Response:
        problem = _subscription_problem(emulator, params)
        response: Response = _refusal(emulator, problem) if problem else subscribe(params)
        return response

    sns._subscribe = subscribe_queue
    # "Only the owner of the subscription or the topic's owner can unsubscribe" (Unsubscribe).
    for name, topic_owner_too in (
        ("_unsubscribe", True),
        ("_get_subscription_attributes", True),
        ("_set_subscription_attributes", False),
    ):
        setattr(sns, name, _for_owner(emulator, getattr(sns, name), topic_owner_too))


def _subscription_problem(emulator: Emulator, params: Parameters) -> str:
    p = emulator.sns._p
    protocol, endpoint = p(params, "Protocol"), str(p(params, "Endpoint"))
    if protocol != "sqs":
        return f"The sandbox delivers to queues only: Protocol is {protocol!r}, use sqs"
    unknown = sorted(set(_entries(emulator, params)) - _SUBSCRIPTION_ATTRIBUTES)
    if unknown:
        return f"The sandbox does not support the attribute {', '.join(unknown)} of a subscription"
    parts = endpoint.split(":")
    if parts[:3] == ["arn", "aws", "sqs"] and parts[4:5] != [emulator.responses.get_account_id()]:
        # SNS would ask the queue's owner to confirm.
        return (
            f"The sandbox has no confirmations: {endpoint} is of another account; subscribe it as "
            "that account"
        )
    return ""


def _for_owner(
    emulator: Emulator, handler: Callable[[Parameters], Response], topic_owner_too: bool
) -> Callable[[Parameters], Response]:
    """Serves a request about a subscription in the scope of its owner, and to owners only."""
    sns, responses = emulator.sns, emulator.responses

    def handled(params: Parameters) -> Response:
        arn = str(sns._p(params, "SubscriptionArn"))
        topic_arn = arn.rpartition(":")[0]
        subscription = sns._find_subscription(topic_arn, arn)
        if subscription is None:
            return handler(params)
        owners = [subscription["owner"], *([topic_arn.split(":")[4]] if topic_owner_too else [])]
        if responses.get_account_id() not in owners:
            refusal: Response = sns._error(
                "AuthorizationError", f"The subscription {arn} belongs to another account", 403
            )
            return refusal
        with responses.request_scope(subscription["owner"], responses.get_region()):
            return handler(params)

    return handled


# -- deliveries --------------------------------------------------------------------------------


def _patch_delivery(emulator: Emulator) -> None:
    """Saves the queues that get a message; refuses an empty one, as SNS does."""
    sns = emulator.sns
    deliver, publish = sns._deliver_to_sqs, sns._publish

    def deliver_and_save(*args: Any, **kwargs: Any) -> None:
        deliver(*args, **kwargs)
        emulator.snapshots.mark(["sqs"])

    def publish_text(params: Parameters) -> Response:
        if not sns._p(params, "Message"):
            return _refusal(emulator, "Invalid parameter: Empty message")
        subject = str(sns._p(params, "Subject"))
        if len(subject) > SUBJECT_CHARACTERS or not subject.isprintable():
            return _refusal(emulator, "Invalid parameter: Subject")
        response: Response = publish(params)
        return response

    sns._deliver_to_sqs, sns._publish = deliver_and_save, publish_text


# -- CloudFormation ----------------------------------------------------------------------------


def _patch_types(emulator: Emulator) -> None:
    """Completes ``AWS::SNS::Topic``, ``::TopicPolicy`` and ``::Subscription``."""
    types = emulator.provisioners._RESOURCE_HANDLERS
    _patch_topic_type(emulator, types["AWS::SNS::Topic"])
    _patch_policy_type(emulator, types["AWS::SNS::TopicPolicy"])
    _patch_subscription_type(emulator, types["AWS::SNS::Subscription"])


def _patch_topic_type(emulator: Emulator, handlers: dict[str, Any]) -> None:
    create = handlers["create"]

    def check(props: Properties) -> None:
        unknown = props.keys() - _TOPIC_PROPERTIES
        advice = "leave it out (a subscription is an AWS::SNS::Subscription)"
        refuse_properties("AWS::SNS::Topic", unknown, advice)

    def create_topic(logical_id: str, props: Properties, stack: str) -> Any:
        arn, attributes = create(logical_id, props, stack)
        emulator.sns._topics[arn]["attributes"]["Policy"] = default_policy(arn)
        return arn, attributes

    handlers["create"] = create_topic
    check_properties(handlers, check)


def _patch_policy_type(emulator: Emulator, handlers: dict[str, Any]) -> None:
    sns = emulator.sns

    def store(props: Properties) -> None:
        document = props.get("PolicyDocument", {})
        text = document if isinstance(document, str) else json.dumps(document)
        for arn in props.get("Topics") or ():
            _require_done(
                sns._set_topic_attributes(
                    {"TopicArn": arn, "AttributeName": "Policy", "AttributeValue": text}
                )
            )

    def reset(arns: set[str]) -> None:
        for arn in arns:
            topic = sns._topics.get(arn)
            if topic:
                topic["attributes"]["Policy"] = default_policy(arn)

    def create_policy(logical_id: str, props: Properties, stack: str) -> Any:
        store(props)
        return f"{stack}-{logical_id}", {"Id": f"{stack}-{logical_id}"}

    def update_policy(physical_id: str, old: Properties, new: Properties, *_rest: Any) -> Any:
        store(new)
        reset(set(old.get("Topics") or ()) - set(new.get("Topics") or ()))
        return physical_id, {"Id": physical_id}

    def delete_policy(_physical_id: str, props: Properties) -> None:
        reset(set(props.get("Topics") or ()))

    handlers.update(create=create_policy, update=update_policy, delete=delete_policy)


def _patch_subscription_type(emulator: Emulator, handlers: dict[str, Any]) -> None:
    sns = emulator.sns
    update = handlers["update"]

    def create_subscription(_logical_id: str, props: Properties, _stack: str) -> Any:
        params = {name: str(props.get(name, "")) for name in _IDENTITY}
        settings = {name: value for name, value in props.items() if name not in _IDENTITY}
        for number, (name, value) in enumerate(settings.items(), start=1):
            params[f"Attributes.entry.{number}.key"] = name
            params[f"Attributes.entry.{number}.value"] = _as_text(value)
        body = _require_done(sns._subscribe(params))
        arn = body.partition("<SubscriptionArn>")[2].partition("<")[0]
        return arn, {"Arn": arn}

    def delete_subscription(physical_id: str, _props: Properties) -> None:
        _require_done(sns._unsubscribe({"SubscriptionArn": physical_id}))

    def update_subscription(
        physical_id: str,
        old: Properties,
        new: Properties,
        stack: str,
        logical_id: str | None = None,
    ) -> Any:
        if any(old.get(name) != new.get(name) for name in _IDENTITY):  # a replacement
            created = create_subscription(logical_id or "", new, stack)
            delete_subscription(physical_id, old)
            return created
        unknown = new.keys() - {*_IDENTITY, *_SUBSCRIPTION_ATTRIBUTES}
        refuse_properties("AWS::SNS::Subscription", unknown)
        return update(physical_id, old, new, stack, logical_id)

    handlers.update(
        create=create_subscription, update=update_subscription, delete=delete_subscription
    )


def _as_text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return value if isinstance(value, str) else json.dumps(value)


def _require_done(response: Response) -> str:
    """The body of a response.

    Raises:
        ServiceError: it is an error.
    """
    status, _, body = response
    text = body.decode()
    if status >= 300:
        code = text.partition("<Code>")[2].partition("<")[0]
        raise ServiceError(code, text.partition("<Message>")[2].partition("</Message>")[0])
    return text
