# ruff: noqa: SLF001 -- reaching into the emulator is what this package is for
"""IAM's decisions: who a caller is to a policy, what a request touches, what a refusal says."""

from __future__ import annotations

import contextvars
import functools
import json
import re
import uuid
from typing import Any

from xacct_sandbox.emulator.glue_arns import glue_resource_arns
from xacct_sandbox.emulator.loader import Emulator, Response, as_service, booted, caller_key
from xacct_sandbox.emulator.requests import account_id, caller_arn, region
from xacct_sandbox.service_errors import ServiceError

_refused_arn: contextvars.ContextVar[str] = contextvars.ContextVar(
    "sandbox_refused_arn", default=""
)

# Joins the ARNs of a call that touches several resources. Half a surrogate pair is the one
# character that no S3 key holds: a key with a line break was judged as two resources.
_ARN_SEPARATOR = "\ud800"

# SQS has no permissions for its batch calls; it asks for those of the single ones (d).
_ACTION_OF_BATCH = {
    "sqs:ChangeMessageVisibilityBatch": "sqs:ChangeMessageVisibility",
    "sqs:DeleteMessageBatch": "sqs:DeleteMessage",
    "sqs:SendMessageBatch": "sqs:SendMessage",
}


def patch_principals(emulator: Emulator) -> None:
    evaluator = emulator.evaluator
    resolve = evaluator._resolve_condition_key
    matches = evaluator._principal_matches

    def resolve_condition_key(key: str, ctx: Any) -> Any:
        name = key.lower()
        if name == "aws:principalarn":
            return _role_arn_of_session(emulator, ctx.principal_arn) or None
        if name in ("aws:resourceaccount", "s3:resourceaccount"):
            owner = bucket_owner(emulator, ctx.resource_arn)
            if owner:
                return owner
        if name in ("aws:principalisawsservice", "aws:viaawsservice"):
            return ctx.service_context.get(name, "false")
        return resolve(key, ctx)

    def principal_matches(principal: Any, caller: str) -> bool:
        if isinstance(principal, dict):
            # The emulator lets an account's root pass for any service.
            principal = {kind: names for kind, names in principal.items() if kind != "Service"}
        return matches(principal, caller)

    evaluator._resolve_condition_key = resolve_condition_key
    evaluator._principal_matches = principal_matches


def _role_arn_of_session(emulator: Emulator, arn: str) -> str:
    """The role's ARN, path included, for the ARN of one of its sessions; others unchanged."""
    session = re.fullmatch(r"arn:aws:sts::(\d{12}):assumed-role/([^/]+)/.+", arn)
    if session is None:
        return arn
    role = emulator.iam._roles.get_scoped(session[1], None, session[2])
    return role["Arn"] if role else f"arn:aws:iam::{session[1]}:role/{session[2]}"


def bucket_owner(emulator: Emulator, arn: str) -> str | None:
    if not arn.startswith("arn:aws:s3:::"):
        return None
    bucket = arn.removeprefix("arn:aws:s3:::").partition("/")[0]
    return emulator.s3._bucket_owner_account(bucket)


def patch_wildcards(emulator: Emulator) -> None:
    """``*`` and ``?`` stand for any character (d); the emulator's stop at a line break."""
    compile_pattern = emulator.evaluator._fnmatch_compile

    @functools.cache
    def of_every_character(pattern: str, ignore_case: bool) -> re.Pattern[str]:
        found = compile_pattern(pattern, ignore_case)
        return re.compile(f"{found.pattern.removesuffix('$')}\\Z", found.flags | re.DOTALL)

    emulator.evaluator._fnmatch_compile = of_every_character


def patch_denials(emulator: Emulator) -> None:
    """Authorize on the right resources, and name the one that was refused as AWS does."""
    actions, evaluator = emulator.actions, emulator.evaluator
    extract, enforce = actions.extract_resource_arn, evaluator.enforce
    deny = actions.access_denied_response
    extract_action = actions.extract_iam_action

    def extract_iam_action(*request: Any) -> str | None:
        action = extract_action(*request)
        return _ACTION_OF_BATCH.get(action, action)

    def extract_resource_arn(
        service: str,
        method: str,
        path: str,
        headers: dict[str, str],
        body: bytes,
        query: dict[str, Any],
        region_name: str,
        account: str,
    ) -> str:
        _refused_arn.set("")
        if service in emulator.resource_arns:
            operation = headers.get("x-amz-target", "").rpartition(".")[2]
            return emulator.resource_arns[service](operation, json_object(body))
        if service == "glue":
            operation = headers.get("x-amz-target", "").rpartition(".")[2]
            arns = glue_resource_arns(operation, json_object(body), region_name, account)
            return _ARN_SEPARATOR.join(arns)
        bucket, _, key = path.lstrip("/").partition("/")
        if service == "s3" and key:
            # The emulator drops empty parts of a key: "a/" would be judged as "a".
            return f"arn:aws:s3:::{bucket}/{key}"
        return extract(service, method, path, headers, body, query, region_name, account)

    def enforce_each(
        access_key: str,
        action: str,
        service: str,
        region_name: str,
        resource_arn: str = "*",
        service_context: dict[str, Any] | None = None,
    ) -> Any:
        for arn in resource_arn.split(_ARN_SEPARATOR):
            denied = enforce(
                access_key, action, service, region_name, arn, service_context=service_context
            )
            if denied:
                _refused_arn.set(arn)
                return denied
        return None

    def access_denied_response(
        service: str,
        action: str,
        principal_arn: str,
        request_id: str,
        *,
        message: str = "",
        error_code: str = "",
        resource_arn: str = "*",
        explicit_deny: bool = False,
        resource_policy_arn: str = "",
        **more: Any,
    ) -> Response:
        arn = _refused_arn.get() or resource_arn
        if not message and not error_code:
            message = _denial_message(
                emulator, service, action, principal_arn, arn, explicit_deny, resource_policy_arn
            )
        return deny(
            service,
            action,
            principal_arn,
            request_id,
            message=message,
            error_code=error_code,
            resource_arn=arn,
            explicit_deny=explicit_deny,
            resource_policy_arn=resource_policy_arn,
            **more,
        )

    actions.extract_iam_action = extract_iam_action
    actions.extract_resource_arn = extract_resource_arn
    actions.access_denied_response = access_denied_response
    evaluator.enforce = enforce_each


def _denial_message(
    emulator: Emulator,
    service: str,
    action: str,
    principal_arn: str,
    arn: str,
    explicit_deny: bool,
    resource_policy_arn: str,
) -> str:
    """The words AWS uses. S3 says no more than "Access Denied" about another account's bucket."""
    owner = bucket_owner(emulator, arn)
    if service == "s3" and owner not in (None, emulator.responses.get_account_id()):
        return "Access Denied"
    if explicit_deny:
        kind = "a resource-based policy" if resource_policy_arn else "an identity-based policy"
        reason = f"with an explicit deny in {kind}"
    else:
        reason = f"because no identity-based policy allows the {action} action"
    shown = f'"{arn}"' if service == "s3" else arn
    who = f"User: {principal_arn} is not authorized to perform: {action}"
    return f"{who} on resource: {shown} {reason}"


def json_object(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body) if body else {}
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def require_pass_role(role_arn: str, service: str) -> None:
    """Check iam:PassRole of the caller for the role, with iam:PassedToService.

    Inside the service itself (no caller) nothing is asked.

    Raises:
        ServiceError: AccessDeniedException naming principal, action and resource.
    """
    require_permission("iam:PassRole", role_arn, {"iam:PassedToService": service})


def require_permission(
    action: str, resource_arn: str, context: dict[str, str] | None = None
) -> None:
    """Check that the caller may also do this, for an operation that needs more than its own action.

    Inside the service itself (no caller) nothing is asked.

    Raises:
        ServiceError: AccessDeniedException naming principal, action and resource.
    """
    emulator = booted()
    key = caller_key.get()
    if as_service.get() or not key:
        return
    denied = emulator.evaluator.enforce(
        key,
        action,
        action.partition(":")[0],
        region(),
        resource_arn=resource_arn,
        service_context=context,
    )
    if denied:
        explicit = getattr(denied, "decision", "") == "Deny"
        reason = (
            "with an explicit deny in an identity-based policy"
            if explicit
            else f"because no identity-based policy allows the {action} action"
        )
        raise ServiceError(
            "AccessDeniedException",
            f"User: {caller_arn()} is not authorized to perform: {action} on resource: "
            f"{resource_arn} {reason}",
        )


def secret_of_caller(secret_id: str) -> tuple[str, str]:
    """(ARN, current SecretString) of a secret, if the caller may read it.

    Raises:
        ServiceError: AccessDeniedException, or ResourceNotFoundException for a secret that is not
            there (ministack's account and region of the request are where it is looked for).
    """
    emulator = booted()
    _, secret = emulator.secrets._resolve(secret_id)
    arn = secret["ARN"] if secret else _secret_arn(secret_id)
    require_permission("secretsmanager:GetSecretValue", arn)
    text = emulator.secrets.resolve_secret_string(secret_id) if secret else None
    if text is None:
        raise ServiceError(
            "ResourceNotFoundException", "Secrets Manager can't find the specified secret."
        )
    return arn, text


def _secret_arn(secret_id: str) -> str:
    if secret_id.startswith("arn:"):
        return secret_id
    return f"arn:aws:secretsmanager:{region()}:{account_id()}:secret:{secret_id}"


def refuse_root_key(
    method: str, path: str, headers: dict[str, str], query: dict[str, list[str]]
) -> Response | None:
    """The refusal of a request with a key the emulator would take for an account's root.

    Such keys (an account's number, "test") are never checked for a signature, so that any
    leftover setting would pass every policy. None for all other requests.
    """
    emulator = booted()
    key = emulator.router.extract_access_key_id(headers, query)
    if not key or not emulator.evaluator.is_root_access_key(key):
        return None
    service = emulator.router.detect_service(method, path, headers, query)
    return emulator.actions.access_denied_response(
        service,
        "",
        "",
        str(uuid.uuid4()),
        error_code="UnrecognizedClientException",
        headers=headers,
        message="The security token included in the request is invalid.",
    )
