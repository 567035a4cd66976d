"""Makes CloudFormation act with the rights of its caller, or of the role named by RoleARN.

CloudFormation user guide, "CloudFormation service role": "CloudFormation uses this role for all
operations that are performed on this stack"; without one, "a temporary session that is generated
from your user credentials".
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any

from xacct_sandbox.emulator.authorization.callers import Principal, principal_of_key
from xacct_sandbox.emulator.authorization.checks import Check
from xacct_sandbox.emulator.authorization.documents import MalformedPolicy
from xacct_sandbox.emulator.authorization.enforcement import judged_call
from xacct_sandbox.emulator.authorization.judgement import judge
from xacct_sandbox.emulator.authorization.key_checks import secret_uses
from xacct_sandbox.emulator.authorization.messages import denial
from xacct_sandbox.emulator.authorization.resources import (
    CLOUDFORMATION_SERVICE,
    secret_arn,
    secret_value_keys,
)
from xacct_sandbox.emulator.authorization.stack_reads import READS
from xacct_sandbox.emulator.authorization.stack_resources import RESOURCE_TYPES, documents_of
from xacct_sandbox.emulator.authorization.stack_targets import Properties, ResourceType, Target
from xacct_sandbox.emulator.authorization.stored_documents import check_document
from xacct_sandbox.emulator.loader import Emulator, as_service, caller_key
from xacct_sandbox.emulator.roles import assume_service_role
from xacct_sandbox.emulator.state import scoped_state
from xacct_sandbox.service_errors import ServiceError

_VIA_CLOUDFORMATION = {
    "aws:viaawsservice": "true",
    "aws:calledvia": [CLOUDFORMATION_SERVICE],
    "aws:calledviafirst": CLOUDFORMATION_SERVICE,
    "aws:calledvialast": CLOUDFORMATION_SERVICE,
}
_SECRET_REFERENCE = re.compile(r"\{\{resolve:([a-z-]+):(.+?)\}\}")


def patch_stack_rights(emulator: Emulator) -> None:
    """Judges every resource of a stack before it is made, changed or deleted."""
    _patch_service_roles(emulator)
    _patch_secret_references(emulator)
    handlers = emulator.provisioners._RESOURCE_HANDLERS
    for name in list(handlers):
        guard_resource_type(emulator, name)


def guard_resource_type(emulator: Emulator, type_name: str) -> None:
    """Puts the judgement in front of the handlers of a resource type."""
    handlers = emulator.provisioners._RESOURCE_HANDLERS[type_name]
    known = RESOURCE_TYPES.get(type_name)
    create, update, delete = (handlers.get(name) for name in ("create", "update", "delete"))

    def guarded_create(logical_id: str, props: Properties, stack: str) -> Any:
        _require_known(type_name)
        name = _name(emulator, known, props, stack, logical_id)
        _require(emulator, type_name, "create", name, props)
        return create(logical_id, props, stack)

    def guarded_update(physical_id: str, old: Properties, new: Properties, *rest: Any) -> Any:
        _require_known(type_name)
        _require(emulator, type_name, "update", _short_name(physical_id), new)
        return update(physical_id, old, new, *rest)

    def guarded_delete(physical_id: str, props: Properties, *rest: Any) -> Any:
        if known is not None:
            _require(emulator, type_name, "delete", _short_name(physical_id), props)
        return delete(physical_id, props, *rest)

    for name, handler, guarded in (
        ("create", create, guarded_create),
        ("update", update, guarded_update),
        ("delete", delete, guarded_delete),
    ):
        if handler is not None:
            handlers[name] = functools.wraps(handler)(guarded)


def require_reading(
    emulator: Emulator, type_name: str, physical_id: str, props: Properties
) -> None:
    """Checks that the caller may read a resource, as drift detection does.

    Raises:
        ServiceError: AccessDenied.
    """
    account, region = emulator.responses.get_account_id(), emulator.responses.get_region()
    for check in READS[type_name](Target(_short_name(physical_id), props, account, region)):
        _require_allowed(emulator, check)


def _require_known(type_name: str) -> None:
    if type_name not in RESOURCE_TYPES:
        raise ServiceError(
            "ValidationError",
            f"The sandbox does not know which permissions {type_name} needs, so no stack can have "
            f"one; it supports {', '.join(RESOURCE_TYPES)}.",
        )


def _name(
    emulator: Emulator,
    known: ResourceType | None,
    props: Properties,
    stack: str,
    logical_id: str,
) -> str:
    """The name that a resource will have; AWS generates one from stack and logical id."""
    value: Any = props
    for part in (known.name if known else "").split("."):
        value = value.get(part) if isinstance(value, dict) else None
    if isinstance(value, str) and value:
        return value
    lowercase = bool(known and known.lowercase)
    return str(emulator.provisioners._physical_name(stack, logical_id, lowercase=lowercase))


def _short_name(physical_id: str) -> str:
    """The name in a physical id, which is a name, an ARN or a URL."""
    name = physical_id.rpartition("/")[2]
    if ":secret:" in physical_id:
        return physical_id.partition(":secret:")[2]
    return name.rpartition(":")[2] if name.startswith("arn:") else name


def _require(emulator: Emulator, type_name: str, verb: str, name: str, props: Properties) -> None:
    known = RESOURCE_TYPES[type_name]
    account, region = emulator.responses.get_account_id(), emulator.responses.get_region()
    checks_of: Callable[[Target], list[Check]] = {
        "create": known.create,
        "update": known.update or known.create,
        "delete": known.delete,
    }[verb]
    for check in checks_of(Target(name, props, account, region)):
        _require_allowed(emulator, check)
    if verb == "delete":
        return
    for kind, document in documents_of(type_name, props):
        try:
            bucket = str(props.get("Bucket", "")) if type_name == "AWS::S3::BucketPolicy" else ""
            check_document(emulator, document, kind, bucket=bucket)
        except MalformedPolicy as problem:
            raise ServiceError("MalformedPolicyDocument", str(problem)) from problem


def _require_allowed(emulator: Emulator, check: Check) -> None:
    key = caller_key.get()
    if as_service.get() or not key:
        return
    principal = principal_of_key(emulator, key)
    if not isinstance(principal, Principal):
        raise ServiceError(principal.code, principal.message, 403)
    verdict = judge(emulator, principal, check, _VIA_CLOUDFORMATION)
    if not verdict.decision.allowed:
        message = denial("cloudformation", principal.caller.arn, verdict, foreign=False)
        raise ServiceError("AccessDenied", message, 403)


# -- service roles -----------------------------------------------------------------------------


def _patch_service_roles(emulator: Emulator) -> None:
    """Runs the operations of a stack with a role as that role."""
    handle = emulator.app.SERVICE_HANDLERS["cloudformation"]

    async def handle_as_role(
        method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]
    ) -> Any:
        call = judged_call()
        if call is None:
            return await handle(method, path, headers, body, query)
        try:
            role = _role_of(call.operation, call.parameters)
            key = _session_of(role, call.parameters) if role else ""
        except ServiceError as error:
            return emulator.actions.access_denied_response(
                "cloudformation", "", "", "", error_code=error.code, message=error.message
            )
        if not key:
            return await handle(method, path, headers, body, query)
        # Tasks that the handler starts in the background copy this context.
        token = caller_key.set(key)
        try:
            return await handle(method, path, headers, body, query)
        finally:
            caller_key.reset(token)

    emulator.app.SERVICE_HANDLERS["cloudformation"] = handle_as_role


def _role_of(operation: str, parameters: Any) -> str:
    """The role of the stack or change set that an operation is about; a new one is kept."""
    roles = scoped_state("stack-roles")
    stack = str(parameters.get("StackName", ""))
    stack = stack.split("/")[1] if stack.startswith("arn:") else stack
    change_set = str(parameters.get("ChangeSetName", "")).rpartition(":changeSet/")[2]
    change_set_key = f"{stack}/{change_set.partition('/')[0]}"
    given = str(parameters.get("RoleARN", ""))
    if operation == "CreateChangeSet":
        if given:
            roles[change_set_key] = given
        return ""
    if operation == "ExecuteChangeSet" and change_set_key in roles:
        given = str(roles[change_set_key])
    if operation == "CreateStack" and not given:
        roles.pop(stack, None)
    if given:
        roles[stack] = given
    if operation in _CHANGING:
        return given or str(roles.get(stack, ""))
    return ""


_CHANGING = frozenset(
    {
        "CancelUpdateStack",
        "ContinueUpdateRollback",
        "CreateStack",
        "DeleteStack",
        "ExecuteChangeSet",
        "RollbackStack",
        "UpdateStack",
    }
)


def _session_of(role: str, parameters: Any) -> str:
    """The access key of a session of the role.

    Raises:
        ServiceError: the role does not trust CloudFormation.
    """
    account = role.split(":")[4] if role.count(":") >= 5 else ""
    try:
        return assume_service_role(
            CLOUDFORMATION_SERVICE,
            role,
            source_arn=f"arn:aws:cloudformation:::stack/{parameters.get('StackName', '')}",
            session_name="AWSCloudFormation",
            source_account=account,
        ).access_key_id
    except ServiceError as refusal:
        raise ServiceError(
            "ValidationError", f"Role {role} is invalid or cannot be assumed"
        ) from refusal


def _patch_secret_references(emulator: Emulator) -> None:
    """A dynamic reference reads a secret with the rights of the stack's caller or role."""
    engine = emulator.cloudformation_engine
    resolve = engine._resolve_dynamic_reference

    def resolve_dynamic_reference(literal: str) -> Any:
        match = _SECRET_REFERENCE.fullmatch(literal)
        if match is None or match[1] != "secretsmanager":
            raise ServiceError(
                "ValidationError", f"The sandbox supports no dynamic reference like {literal}."
            )
        # secret-id:SecretString:json-key:version-stage:version-id ("Dynamic references").
        secret, *rest = re.split(r":(?:SecretString|SecretBinary)\b", match[2], maxsplit=1)
        _, _, stage, version, *_ = [*"".join(rest).split(":"), "", "", "", ""]
        arn = secret_arn(emulator, secret.rstrip(":"))
        keys = secret_value_keys(arn, stage, version)
        _require_allowed(emulator, Check("secretsmanager:GetSecretValue", arn, keys))
        account = emulator.responses.get_account_id()
        for use in secret_uses(emulator, "GetSecretValue", arn, account):
            _require_allowed(emulator, use)
        return resolve(literal)

    engine._resolve_dynamic_reference = resolve_dynamic_reference
