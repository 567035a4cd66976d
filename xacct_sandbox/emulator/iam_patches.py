"""Patches IAM: the principal that a policy sees, the resources of a request, the denial message.

Facts marked (d) are from the IAM user guide and the SQS developer guide.
"""

from __future__ import annotations

import contextvars
import functools
import json
import re
from typing import Any

from xacct_sandbox.emulator.glue_arns import glue_resource_arns
from xacct_sandbox.emulator.loader import Emulator, Response

_denied_arn: contextvars.ContextVar[str] = contextvars.ContextVar("sandbox_denied_arn", default="")
"""Of the resources of the current request, the one on which it was denied."""

# Separates the ARNs of a request for several resources. Half a surrogate pair, because no S3 key
# can contain it; a line break would split a key into two resources.
_ARN_SEPARATOR = "\ud800"

# SQS authorizes a batch call as the single call (d).
_ACTION_OF_BATCH = {
    "sqs:ChangeMessageVisibilityBatch": "sqs:ChangeMessageVisibility",
    "sqs:DeleteMessageBatch": "sqs:DeleteMessage",
    "sqs:SendMessageBatch": "sqs:SendMessage",
}


# -- principals and conditions -----------------------------------------------------------------


def patch_principals(emulator: Emulator) -> None:
    """Resolves ``aws:PrincipalArn`` and the like; matches Service principals to services only."""
    evaluator = emulator.evaluator
    resolve = evaluator._resolve_condition_key
    matches = evaluator._principal_matches

    def resolve_condition_key(key: str, ctx: Any) -> Any:
        name = key.lower()
        if name == "aws:principalarn":
            return _role_arn_of_session(emulator, ctx.principal_arn) or None
        if name in ("aws:resourceaccount", "s3:resourceaccount"):
            owner = _bucket_owner(emulator, ctx.resource_arn)
            if owner:
                return owner
        if name in ("aws:principalisawsservice", "aws:viaawsservice"):
            return ctx.service_context.get(name, "false")
        return resolve(key, ctx)

    def principal_matches(principal: Any, caller: str) -> bool:
        if isinstance(principal, dict):
            # ministack lets the root of an account match any Service principal.
            principal = {kind: names for kind, names in principal.items() if kind != "Service"}
        return bool(matches(principal, caller))

    evaluator._resolve_condition_key = resolve_condition_key
    evaluator._principal_matches = principal_matches


def _role_arn_of_session(emulator: Emulator, arn: str) -> str:
    """The ARN of the role, path included, for the ARN of a session; other ARNs unchanged."""
    session = re.fullmatch(r"arn:aws:sts::(\d{12}):assumed-role/([^/]+)/.+", arn)
    if session is None:
        return arn
    role = emulator.iam._roles.get_scoped(session[1], None, session[2])
    return str(role["Arn"]) if role else f"arn:aws:iam::{session[1]}:role/{session[2]}"


def _bucket_owner(emulator: Emulator, arn: str) -> str | None:
    """The account that owns the bucket of an S3 ARN; None for other ARNs."""
    if not arn.startswith("arn:aws:s3:::"):
        return None
    bucket = arn.removeprefix("arn:aws:s3:::").partition("/")[0]
    owner: str | None = emulator.s3._bucket_owner_account(bucket)
    return owner


def patch_wildcards(emulator: Emulator) -> None:
    """Makes ``*`` and ``?`` match any character (d); ministack's stop at a line break."""
    compile_pattern = emulator.evaluator._fnmatch_compile

    @functools.cache
    def compile_for_all_characters(pattern: str, ignore_case: bool) -> re.Pattern[str]:
        compiled = compile_pattern(pattern, ignore_case)
        return re.compile(f"{compiled.pattern.removesuffix('$')}\\Z", compiled.flags | re.DOTALL)

    emulator.evaluator._fnmatch_compile = compile_for_all_characters


# -- requests ----------------------------------------------------------------------------------


def patch_denials(emulator: Emulator) -> None:
    """Authorizes requests on the actions and resources of AWS, with the messages of AWS."""
    _patch_actions(emulator)
    _patch_resources(emulator)
    _patch_enforcement(emulator)
    _patch_denial_response(emulator)


def _patch_actions(emulator: Emulator) -> None:
    extract = emulator.actions.extract_iam_action

    def extract_iam_action(*request: Any) -> str | None:
        action: str | None = extract(*request)
        return _ACTION_OF_BATCH.get(action, action) if action else action

    emulator.actions.extract_iam_action = extract_iam_action


def _patch_resources(emulator: Emulator) -> None:
    extract = emulator.actions.extract_resource_arn

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
        _denied_arn.set("")
        if service in emulator.resource_arns:
            operation = headers.get("x-amz-target", "").rpartition(".")[2]
            return emulator.resource_arns[service](operation, _json_object(body))
        if service == "glue":
            operation = headers.get("x-amz-target", "").rpartition(".")[2]
            arns = glue_resource_arns(operation, _json_object(body), region_name, account)
            return _ARN_SEPARATOR.join(arns)
        bucket, _, key = path.lstrip("/").partition("/")
        if service == "s3" and key:
            # ministack drops empty parts of a key: it would authorize "a/" as "a".
            return f"arn:aws:s3:::{bucket}/{key}"
        return str(extract(service, method, path, headers, body, query, region_name, account))

    emulator.actions.extract_resource_arn = extract_resource_arn


def _patch_enforcement(emulator: Emulator) -> None:
    enforce = emulator.evaluator.enforce

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
                _denied_arn.set(arn)
                return denied
        return None

    emulator.evaluator.enforce = enforce_each


def _patch_denial_response(emulator: Emulator) -> None:
    deny = emulator.actions.access_denied_response

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
        **arguments: Any,
    ) -> Response:
        arn = _denied_arn.get() or resource_arn
        if not message and not error_code:
            message = _denial_message(
                emulator, service, action, principal_arn, arn, explicit_deny, resource_policy_arn
            )
        response: Response = deny(
            service,
            action,
            principal_arn,
            request_id,
            message=message,
            error_code=error_code,
            resource_arn=arn,
            explicit_deny=explicit_deny,
            resource_policy_arn=resource_policy_arn,
            **arguments,
        )
        return response

    emulator.actions.access_denied_response = access_denied_response


def _denial_message(
    emulator: Emulator,
    service: str,
    action: str,
    principal_arn: str,
    arn: str,
    explicit_deny: bool,
    resource_policy_arn: str,
) -> str:
    """The message of AWS. For another account's bucket, S3 says "Access Denied" only."""
    owner = _bucket_owner(emulator, arn)
    if service == "s3" and owner not in (None, emulator.responses.get_account_id()):
        return "Access Denied"
    policy = "a resource-based policy" if resource_policy_arn else "an identity-based policy"
    return not_authorized(
        principal_arn,
        action,
        f'"{arn}"' if service == "s3" else arn,
        explicit_deny=explicit_deny,
        policy=policy,
    )


def not_authorized(
    principal_arn: str,
    action: str,
    resource: str,
    *,
    explicit_deny: bool,
    policy: str = "an identity-based policy",
) -> str:
    """The message of AWS (IAM user guide, "Troubleshoot access denied error messages").

    Args:
        principal_arn: who is denied.
        action: what is denied.
        resource: where it is denied.
        explicit_deny: whether a Deny statement applies.
        policy: the kind of policy with that statement.
    """
    if explicit_deny:
        reason = f"with an explicit deny in {policy}"
    else:
        reason = f"because no identity-based policy allows the {action} action"
    return (
        f"User: {principal_arn} is not authorized to perform: {action} "
        f"on resource: {resource} {reason}"
    )


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body) if body else {}
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}
