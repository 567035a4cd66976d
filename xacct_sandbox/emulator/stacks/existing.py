"""A resource that exists is not made again, and one that is gone is not changed.

ministack writes over a resource of the same name, and makes one anew that was deleted behind the
stack's back. CloudFormation fails both, with the handler error codes AlreadyExists and NotFound
(CloudFormation CLI guide, "Resource type handler error codes"); what fails to be made is not in
the stack, so no rollback deletes it.
"""

from __future__ import annotations

import functools
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from xacct_sandbox.emulator.authorization.stack_resources import RESOURCE_TYPES
from xacct_sandbox.emulator.loader import Emulator, Response

Properties = Mapping[str, Any]


@dataclass(frozen=True)
class Kind:
    """How resources of a type are found.

    Attributes:
        find: whether there is one with this physical id and these properties.
        id_of: the physical id of one with this name; None: its name.
    """

    find: Callable[[Emulator, str, Properties], bool]
    id_of: Callable[[Emulator, str, Properties], str] | None = None


def _regional(emulator: Emulator, service: str, name: str) -> str:
    responses = emulator.responses
    return f"arn:aws:{service}:{responses.get_region()}:{responses.get_account_id()}:{name}"


def _policy_arn(emulator: Emulator, name: str, props: Properties) -> str:
    path = props.get("Path") or "/"
    return f"arn:aws:iam::{emulator.responses.get_account_id()}:policy{path}{name}"


def _role_exists(emulator: Emulator, name: str, _props: Properties) -> bool:
    # "Names are not distinguished by case" (IAM API reference, CreateRole).
    return name.lower() in {role.lower() for role in emulator.iam._roles}


def _secret_exists(emulator: Emulator, secret: str, _props: Properties) -> bool:
    return emulator.secrets._resolve(secret)[0] is not None


def _key_is_there(emulator: Emulator, key: str, _props: Properties) -> bool:
    found = emulator.kms._resolve_key(key)
    return found is not None and not found["KeyState"].startswith("Pending")


KINDS: Mapping[str, Kind] = {
    "AWS::CloudWatch::Alarm": Kind(lambda e, name, _: name in e.cloudwatch._alarms),
    "AWS::Glue::Connection": Kind(lambda e, name, _: name in e.glue._connections),
    "AWS::Glue::Crawler": Kind(lambda e, name, _: name in e.glue._crawlers),
    # Glue stores names of databases in lower case.
    "AWS::Glue::Database": Kind(
        lambda e, name, _: name.lower() in {known.lower() for known in e.glue._databases}
    ),
    "AWS::Glue::Job": Kind(lambda e, name, _: name in e.glue._jobs),
    "AWS::Glue::Table": Kind(
        lambda e, name, props: f"{props.get('DatabaseName', '')}/{name}" in e.glue._tables
    ),
    "AWS::IAM::ManagedPolicy": Kind(lambda e, arn, _: arn in e.iam._policies, _policy_arn),
    "AWS::IAM::Role": Kind(_role_exists),
    "AWS::KMS::Alias": Kind(lambda e, name, _: e.kms._alias_arn(name) in e.kms._aliases),
    "AWS::KMS::Key": Kind(_key_is_there),
    "AWS::Logs::LogGroup": Kind(lambda e, name, _: name in e.logs._log_groups),
    # Another account's bucket: its name is taken too.
    "AWS::S3::Bucket": Kind(lambda e, name, _: e.s3._bucket_owner_account(name) is not None),
    "AWS::S3::BucketPolicy": Kind(
        lambda e, _, props: props.get("Bucket", "") in e.s3._bucket_policies
    ),
    "AWS::SNS::Topic": Kind(
        lambda e, arn, _: arn in e.sns._topics, lambda e, name, _: _regional(e, "sns", name)
    ),
    "AWS::SQS::Queue": Kind(
        lambda e, url, _: url in e.sqs._queues,
        lambda e, name, _: e.sqs._queue_url_for_account(e.responses.get_account_id(), name),
    ),
    "AWS::SecretsManager::Secret": Kind(_secret_exists),
}
"""The types whose existence is checked here. Those of Redshift Serverless check it themselves."""


def patch_existing(emulator: Emulator) -> None:
    """Puts the checks of this module in front of the handlers of each type."""
    for type_name, kind in KINDS.items():
        check_existence(emulator, type_name, kind)
    _patch_queue_policies(emulator)
    _patch_connections(emulator)


def check_existence(emulator: Emulator, type_name: str, kind: Kind) -> None:
    """Puts the checks in front of the handlers that a type has now."""
    handlers = emulator.provisioners._RESOURCE_HANDLERS[type_name]
    create, update = handlers["create"], handlers["update"]

    def create_new(logical_id: str, props: Properties, stack: str) -> Any:
        name = given_name(type_name, props)
        if name or type_name == "AWS::S3::BucketPolicy":
            identifier = kind.id_of(emulator, name, props) if kind.id_of else name
            if kind.find(emulator, identifier, props):
                raise ValueError(already_exists(emulator, type_name, name, props))
        return create(logical_id, props, stack)

    def update_existing(physical_id: str, old: Properties, new: Properties, *rest: Any) -> Any:
        if not kind.find(emulator, physical_id, old):
            raise ValueError(
                _handler_message(
                    f"Resource of type '{type_name}' with identifier '{physical_id}' was not "
                    "found.",
                    "NotFound",
                )
            )
        return update(physical_id, old, new, *rest)

    handlers["create"] = functools.wraps(create)(create_new)
    handlers["update"] = functools.wraps(update)(update_existing)


def given_name(type_name: str, props: Properties) -> str:
    """The name that a template gives to a resource; "" if CloudFormation makes one."""
    value: Any = props
    for part in RESOURCE_TYPES[type_name].name.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value if isinstance(value, str) else ""


def already_exists(emulator: Emulator, type_name: str, name: str, props: Properties) -> str:
    """What a handler says of a name that is taken."""
    if type_name == "AWS::S3::BucketPolicy":
        text = f"The bucket policy already exists on bucket {props.get('Bucket')}."
    elif type_name == "AWS::SecretsManager::Secret":
        text = f"The operation failed because the secret {name} already exists."
        if emulator.secrets._secrets[name].get("DeletedDate"):
            return _handler_message(
                "You can't create this secret because a secret with this name is already "
                "scheduled for deletion.",
                "InvalidRequest",
            )
    else:
        text = f"Resource of type '{type_name}' with identifier '{name}' already exists."
    return _handler_message(text, "AlreadyExists")


def _handler_message(text: str, code: str) -> str:
    return (
        f'Resource handler returned message: "{text}" (RequestToken: {uuid.uuid4()}, '
        f"HandlerErrorCode: {code})"
    )


def _patch_queue_policies(emulator: Emulator) -> None:
    """A policy for a queue that is not there fails; ministack leaves the queue out."""
    handlers = emulator.provisioners._RESOURCE_HANDLERS["AWS::SQS::QueuePolicy"]
    create, update = handlers["create"], handlers["update"]

    def check(props: Properties) -> None:
        for url in props.get("Queues") or ():
            if url not in emulator.sqs._queues:
                raise ValueError(f"The specified queue does not exist: {url}")

    def create_policy(logical_id: str, props: Properties, stack: str) -> Any:
        check(props)
        return create(logical_id, props, stack)

    def update_policy(physical_id: str, old: Properties, new: Properties, *rest: Any) -> Any:
        check(new)
        return update(physical_id, old, new, *rest)

    handlers.update(create=create_policy, update=update_policy)


def _patch_connections(emulator: Emulator) -> None:
    """CreateConnection refuses a name that is taken; ministack writes over the connection."""
    create = emulator.glue._create_connection

    def create_connection(request: dict[str, Any]) -> Response:
        name = (request.get("ConnectionInput") or {}).get("Name")
        if name in emulator.glue._connections:
            response: Response = emulator.responses.error_response_json(
                "AlreadyExistsException", f"Connection {name} already exists.", 400
            )
            return response
        answered: Response = create(request)
        return answered

    emulator.glue._create_connection = create_connection
