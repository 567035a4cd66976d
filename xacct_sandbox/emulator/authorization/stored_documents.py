"""Validates policy documents where services store them, and keeps their principals apart.

IAM stores a principal by its unique id: a policy that names a role or user that does not exist is
refused, and once the role is deleted the policy no longer names one that is made anew with its name
(IAM user guide, "AWS JSON policy elements: Principal", "IAM role principals").
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any
from xml.sax.saxutils import escape

from xacct_sandbox.emulator.authorization.conditions import matches_arn
from xacct_sandbox.emulator.authorization.documents import (
    Kind,
    MalformedPolicy,
    Policy,
    parse,
    principal_arns,
)
from xacct_sandbox.emulator.authorization.evaluation import matches_action
from xacct_sandbox.emulator.loader import Emulator, Response

_ENTITY = re.compile(r"arn:aws:iam::(\d{12}):(role|user)/(?:.*/)?([^/]+)")


def check_document(emulator: Emulator, document: str, kind: Kind, *, bucket: str = "") -> Policy:
    """Checks a document before it is stored.

    Args:
        emulator: of this process.
        document: its text.
        kind: of the document.
        bucket: for a bucket policy, the bucket.

    Raises:
        MalformedPolicy: AWS refuses it.
    """
    policy = parse(document, kind)
    for arn in principal_arns(policy):
        if not _exists(emulator, arn):
            raise MalformedPolicy(f"Invalid principal in policy: {arn} does not exist")
    if bucket:
        _require_own_resources(policy, bucket)
    return policy


def _exists(emulator: Emulator, arn: str) -> bool:
    match = _ENTITY.fullmatch(arn)
    if match is None:
        return False
    store = emulator.iam._roles if match[2] == "role" else emulator.iam._users
    entity = store.get_scoped(match[1], None, match[3])
    return entity is not None and entity.get("Arn") == arn


def _require_own_resources(policy: Policy, bucket: str) -> None:
    """ "Policy has invalid resource": each must be of the bucket that has the policy."""
    own = (f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/")
    for statement in policy:
        for resource in (*statement.resources, *statement.not_resources):
            name, _, _ = resource.removeprefix("arn:aws:s3:::").partition("/")
            if resource == "*" or not matches_arn(own[0], f"arn:aws:s3:::{name}"):
                raise MalformedPolicy(f"Policy has invalid resource {resource}")


# -- where documents are stored ----------------------------------------------------------------


def patch_documents(emulator: Emulator) -> None:
    """Validates the documents of IAM, S3, SQS and Secrets Manager; renames deleted principals."""
    _patch_iam(emulator)
    _patch_resource_policies(emulator)
    _patch_key_policies(emulator)
    _patch_deletions(emulator)


def _problem(emulator: Emulator, document: str, kind: Kind, bucket: str = "") -> str:
    try:
        check_document(emulator, document, kind, bucket=bucket)
    except MalformedPolicy as problem:
        return str(problem)
    return ""


def _patch_iam(emulator: Emulator) -> None:
    """IAM's operations and session policies."""

    def validate(document: Any) -> str | None:
        text = document if isinstance(document, str) else json.dumps(document)
        return _problem(emulator, text, "identity") or None

    emulator.evaluator.validate_policy_document = validate
    emulator.sts.validate_policy_document = validate
    handlers = emulator.iam._IAM_HANDLERS
    for operation, parameter in (
        ("CreateRole", "AssumeRolePolicyDocument"),
        ("UpdateAssumeRolePolicy", "PolicyDocument"),
    ):
        handlers[operation] = _checking_trust(emulator, handlers[operation], parameter)


def _checking_trust(
    emulator: Emulator, handler: Callable[[Any], Response], parameter: str
) -> Callable[[Any], Response]:
    def checked(parameters: Any) -> Response:
        problem = _problem(emulator, emulator.iam._p(parameters, parameter), "trust")
        if problem:
            response: Response = emulator.iam._error(
                400, "MalformedPolicyDocument", escape(problem), ns="iam"
            )
            return response
        return handler(parameters)

    return checked


def _patch_resource_policies(emulator: Emulator) -> None:
    s3, sqs, secrets = emulator.s3, emulator.sqs, emulator.secrets
    put_bucket_policy = s3._put_bucket_policy

    def put_checked_bucket_policy(name: str, body: bytes) -> Response:
        problem = _problem(emulator, body.decode("utf-8", "replace"), "resource", name)
        if problem and name in s3._buckets:
            refusal: Response = s3._error("MalformedPolicy", problem, 400, f"/{name}")
            return refusal
        response: Response = put_bucket_policy(name, body)
        return response

    s3._put_bucket_policy = put_checked_bucket_policy
    for operation in ("CreateQueue", "SetQueueAttributes"):
        sqs._HANDLERS[operation] = _checking_queue(emulator, sqs._HANDLERS[operation])
    put_secret_policy = secrets._put_resource_policy

    def put_checked_secret_policy(data: Mapping[str, Any]) -> Response:
        problem = _problem(emulator, str(data.get("ResourcePolicy") or ""), "resource")
        if problem:
            refusal: Response = emulator.responses.error_response_json(
                "MalformedPolicyDocumentException", problem, 400
            )
            return refusal
        response: Response = put_secret_policy(data)
        return response

    secrets._put_resource_policy = put_checked_secret_policy


def _patch_key_policies(emulator: Emulator) -> None:
    """The policies of keys; ministack keeps them unread, and takes "" for a policy."""
    kms = emulator.kms
    create_key, put_key_policy = kms._create_key, kms._put_key_policy

    def refused(document: str) -> Response | None:
        problem = _problem(emulator, document, "resource")
        if not problem and not _administered(emulator, document):
            # "AWS KMS rejects the request if the policy would leave the key unmanageable" (Key
            # policies, "BypassPolicyLockoutSafetyCheck").
            problem = (
                "The new key policy will not allow you to update the key policy in the future."
            )
        if not problem:
            return None
        refusal: Response = emulator.responses.error_response_json(
            "MalformedPolicyDocumentException", problem, 400
        )
        return refusal

    def create_checked_key(data: Mapping[str, Any]) -> Response:
        given = data.get("Policy")
        refusal = refused(str(given)) if given is not None else None
        response: Response = refusal or create_key(data)
        return response

    def put_checked_key_policy(data: Mapping[str, Any]) -> Response:
        response: Response = refused(str(data.get("Policy", ""))) or put_key_policy(data)
        return response

    kms._create_key, kms._put_key_policy = create_checked_key, put_checked_key_policy


def _administered(emulator: Emulator, document: str) -> bool:
    """Whether somebody of the account may change a policy of a key."""
    account = emulator.responses.get_account_id()
    own = f"arn:aws:iam::{account}:"
    return any(
        statement.allows
        and any(matches_action("kms:PutKeyPolicy", action) for action in statement.actions)
        and any(name in (account, "*") or name.startswith(own) for _, name in statement.principals)
        for statement in parse(document, "resource")
    )


def _checking_queue(emulator: Emulator, handler: Callable[..., Any]) -> Callable[..., Any]:
    def checked(data: Mapping[str, Any], queue_url: str) -> Any:
        document = (data.get("Attributes") or {}).get("Policy")
        problem = _problem(emulator, str(document), "resource") if document else ""
        if problem:
            raise emulator.sqs._Err(
                "InvalidAttributeValue", f"Invalid value for the parameter Policy. {problem}", 400
            )
        return handler(data, queue_url)

    return checked


# -- deleted principals ------------------------------------------------------------------------


def _patch_deletions(emulator: Emulator) -> None:
    handlers = emulator.iam._IAM_HANDLERS
    for operation, parameter, kind in (
        ("DeleteRole", "RoleName", "role"),
        ("DeleteUser", "UserName", "user"),
    ):
        handlers[operation] = _renaming(emulator, handlers[operation], parameter, kind)
    types = emulator.provisioners._RESOURCE_HANDLERS["AWS::IAM::Role"]
    delete = types["delete"]

    def delete_role(physical_id: str, props: Mapping[str, Any]) -> Any:
        entity = dict(emulator.iam._roles.get(physical_id) or {})
        result = delete(physical_id, props)
        if entity and emulator.iam._roles.get(physical_id) is None:
            rename_principal(emulator, entity["Arn"], entity["RoleId"])
        return result

    types["delete"] = delete_role


def _renaming(
    emulator: Emulator, handler: Callable[[Any], Response], parameter: str, kind: str
) -> Callable[[Any], Response]:
    def deleted(parameters: Any) -> Response:
        store = emulator.iam._roles if kind == "role" else emulator.iam._users
        entity = dict(store.get(emulator.iam._p(parameters, parameter)) or {})
        response = handler(parameters)
        if response[0] < 300 and entity:
            rename_principal(emulator, entity["Arn"], entity[f"{kind.title()}Id"])
        return response

    return deleted


def rename_principal(emulator: Emulator, arn: str, unique_id: str) -> None:
    """Replaces the ARN of a deleted principal by its unique id in all policies that name it."""

    def renamed(document: Any) -> Any:
        text = document if isinstance(document, str) else json.dumps(document)
        if f'"{arn}"' not in text:
            return document
        try:
            decoded = json.loads(text)
        except ValueError:
            return document
        statements = decoded.get("Statement", [])
        for statement in [statements] if isinstance(statements, dict) else statements:
            for element in ("Principal", "NotPrincipal"):
                if isinstance(statement.get(element), dict):
                    statement[element] = {
                        kind: _replaced(names, arn, unique_id)
                        for kind, names in statement[element].items()
                    }
        return json.dumps(decoded)

    for policies in (emulator.s3._bucket_policies, emulator.secrets._resource_policies):
        for key, document in list(policies._data.items()):
            policies._data[key] = renamed(document)
    for key in list(emulator.kms._keys._data.values()):
        key["Policy"] = renamed(key["Policy"])
    for role in list(emulator.iam._roles._data.values()):
        role["AssumeRolePolicyDocument"] = renamed(role.get("AssumeRolePolicyDocument") or "{}")
    for store in (emulator.sqs._queues, emulator.sns._topics):
        for stored in list(store._data.values()):
            if stored["attributes"].get("Policy"):
                stored["attributes"]["Policy"] = renamed(stored["attributes"]["Policy"])
    emulator.snapshots.mark(["s3", "sns", "sqs", "iam", "kms", "secretsmanager"])


def _replaced(names: Any, arn: str, unique_id: str) -> Any:
    if isinstance(names, str):
        return unique_id if names == arn else names
    return [unique_id if name == arn else name for name in names]
