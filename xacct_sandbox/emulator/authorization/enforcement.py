"""Puts the judgement in front of ministack's services: every request passes through here.

ministack's own entry points beside its service router (custom domains, virtual hosts, S3 Control,
function URLs, token endpoints …) are closed: the sandbox uses none of them.
"""

from __future__ import annotations

import contextvars
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from xacct_sandbox.emulator.authorization.callers import (
    ANONYMOUS,
    Principal,
    principal_of_key,
    service_principal,
)
from xacct_sandbox.emulator.authorization.calls import Call, HttpRequest, Refused, read_call
from xacct_sandbox.emulator.authorization.checks import Check
from xacct_sandbox.emulator.authorization.conditions import Values
from xacct_sandbox.emulator.authorization.judgement import Verdict, judge, request_keys
from xacct_sandbox.emulator.authorization.key_checks import (
    account_to_serve,
    find_key,
    patch_object_keys,
    problem_of,
    refusal_by_s3,
    secret_uses,
)
from xacct_sandbox.emulator.authorization.messages import denial, not_authorized
from xacct_sandbox.emulator.authorization.resources import checks_of, secret_value_keys
from xacct_sandbox.emulator.authorization.s3_checks import key_uses, s3_checks
from xacct_sandbox.emulator.authorization.sessions import check_session_request
from xacct_sandbox.emulator.loader import Emulator, Response

_judged: contextvars.ContextVar[Call | None] = contextvars.ContextVar(
    "sandbox_judged", default=None
)
"""The call that has been judged, while its handler runs."""

_caller_arn: contextvars.ContextVar[str] = contextvars.ContextVar("sandbox_caller_arn", default="")

_caller_account: contextvars.ContextVar[str] = contextvars.ContextVar(
    "sandbox_caller_account", default=""
)

caller_userid: contextvars.ContextVar[str] = contextvars.ContextVar("sandbox_userid", default="")
"""``aws:userid`` of the principal of the current request; "" without one."""


def patch_enforcement(emulator: Emulator) -> None:
    """Judges every request before its handler, and switches off ministack's own checks."""
    _close_side_doors(emulator)
    _patch_dispatch(emulator)
    _patch_evaluator(emulator)
    _patch_services(emulator)
    patch_object_keys(emulator, _caller_account.get)


def judged_call() -> Call | None:
    """The call that is being served; None outside of one."""
    return _judged.get()


def _close_side_doors(emulator: Emulator) -> None:
    app = emulator.app

    async def before_body(
        method: str, path: str, headers: dict[str, str], query: dict[str, Any], request_id: str
    ) -> Any:
        target = app._s3_cors_target(headers.get("host", ""), path) if method == "OPTIONS" else None
        return emulator.s3.cors_preflight(*target, headers) if target else None

    async def closed(*_request: Any, **_more: Any) -> None:
        return None

    app._handle_pre_body_request = before_body
    app._handle_post_body_shortcuts = closed
    app._handle_special_data_plane_request = closed


def _patch_dispatch(emulator: Emulator) -> None:
    app, dispatch = emulator.app, emulator.app._dispatch_service_request

    async def judged_dispatch(
        method: str,
        path: str,
        headers: dict[str, str],
        body: bytes,
        query: dict[str, Any],
        request_id: str,
    ) -> Any:
        merged = emulator.s3._merge_hoisted_amz_headers(headers, query)
        http = HttpRequest(method, path, merged, query, body)
        try:
            call = read_call(http)
            _require_same_reading(emulator, call, headers)
            refusal, scope = _judge_call(emulator, call, headers)
        except Refused as refused:
            return _refusal(emulator, refused, request_id, headers)
        if refusal is not None:
            return refusal
        token = _judged.set(call)
        try:
            if not scope:
                return await dispatch(method, path, headers, body, query, request_id)
            with emulator.responses.request_scope(scope, emulator.responses.get_region()):
                return await dispatch(method, path, headers, body, query, request_id)
        finally:
            _judged.reset(token)

    app._dispatch_service_request = judged_dispatch
    app._authenticate_only = lambda *_request: None
    emulator.actions.extract_iam_action = lambda *_request: None


def _require_same_reading(emulator: Emulator, call: Call, headers: dict[str, str]) -> None:
    """Refuses a request that ministack would hand to another service, or to a virtual host."""
    http = call.http
    if call.service not in emulator.app.SERVICE_HANDLERS:  # while the sandbox starts
        raise Refused(
            call.service,
            "ServiceUnavailable",
            f"The sandbox does not serve {call.service} yet; call again in a second.",
            503,
        )
    routing = emulator.app._routing_params(http.method, http.path, headers, http.body, http.query)
    served = emulator.router.detect_service(http.method, http.path, headers, routing)
    if served != call.service:
        raise Refused(
            call.service,
            "InvalidAction",
            f"The request is signed for {call.service or 'nobody'} and written for {served}.",
        )
    if call.service == "s3" and emulator.app._extract_s3_vhost_bucket(headers.get("host", "")):
        raise Refused(
            "s3",
            "InvalidRequest",
            "The sandbox serves path-style S3 requests only, not buckets in the host name.",
        )


def _judge_call(
    emulator: Emulator, call: Call, headers: dict[str, str]
) -> tuple[Response | None, str]:
    """Authenticates the caller and judges each check.

    Returns:
        The refusal, or None; and the account to serve the call in, "" for the caller's.
    """
    http = call.http
    if call.service == "s3":
        invalid = emulator.s3.validate_object_request(
            http.method, http.path, headers, dict(http.query)
        )
        if invalid is not None:
            return invalid, ""
    request_keys.set(_http_keys(emulator, call, headers))
    principal = _authenticated(emulator, call, headers)
    if not isinstance(principal, Principal):
        refusal: Response = emulator.app._credential_failure(
            call.service, "", str(uuid.uuid4()), principal, headers
        )
        return refusal, ""
    _caller_arn.set(principal.caller.arn)
    caller_userid.set(str(principal.keys.get("aws:userid", "")))
    emulator.evaluator._request_caller_arn.set(principal.caller.arn)
    _caller_account.set(principal.caller.account)
    checks = s3_checks(emulator, call) if call.service == "s3" else checks_of(emulator, call)
    scope = ""
    for check in checks:
        verdict = judge(emulator, principal, check)
        if not verdict.decision.allowed:
            return _denied(emulator, call, principal, verdict, headers), ""
        is_secret = check.action.startswith("secretsmanager:")
        if is_secret and verdict.owner != principal.caller.account:
            scope = verdict.owner
    if call.service == "s3":
        for check in key_uses(emulator, call, principal.caller.account):
            verdict = judge(emulator, principal, check)
            if not verdict.decision.allowed:
                return _denied(emulator, call, principal, verdict, headers), ""
            problem = problem_of(find_key(emulator, check.resource, ""), check.resource)
            if problem is not None:
                raise refusal_by_s3(problem)
    if call.service == "kms":
        scope = account_to_serve(call, checks, principal.caller.account)
    if call.service == "sts":
        check_session_request(emulator, call, principal)
    return None, scope


def _http_keys(emulator: Emulator, call: Call, headers: Mapping[str, str]) -> dict[str, Values]:
    keys: dict[str, Values] = {}
    for header, key in (("user-agent", "aws:useragent"), ("referer", "aws:referer")):
        if header in headers:
            keys[key] = headers[header]
    if call.service != "s3":
        query = {name: [v] for name, v in call.parameters.items() if isinstance(v, str)}
        tags = emulator.actions.request_tag_context(
            call.service, f"{call.service}:{call.operation}", call.http.body, query
        )
        keys.update({name.lower(): value for name, value in tags.items()})
    version = tls_version.get()
    if version:
        keys["s3:tlsversion"] = version
    return keys


tls_version: contextvars.ContextVar[str] = contextvars.ContextVar("sandbox_tls", default="")
"""The TLS version of the current connection, e.g. ``1.3``."""


def _authenticated(emulator: Emulator, call: Call, headers: dict[str, str]) -> Any:
    """The principal that signed a call, or the failure of its signature."""
    evaluator, query = emulator.evaluator, dict(call.http.query)
    if not call.signature:
        return ANONYMOUS
    key = emulator.router.extract_access_key_id(headers, query)
    failure = evaluator._s3_scope_failure(call.service)
    if failure is not None:
        return failure
    missing = evaluator.AuthError(
        "MissingAuthenticationToken", "Request is missing Authentication Token"
    )
    if not key:
        return missing
    if evaluator._verified_key.get() != key:
        checked = evaluator.authenticate(key, emulator.responses.get_account_id())
        if isinstance(checked, evaluator.AuthError):
            return checked
        # The S3 handler itself verifies a presigned URL of version 4, and refuses a wrong one.
        verified_later = call.service == "s3" and call.presigned and call.signature != "AWS"
        if checked is None and not verified_later:
            return missing
    found = principal_of_key(emulator, key)
    if isinstance(found, (Principal, evaluator.AuthError)):
        return found
    return evaluator.AuthError(found.code, found.message)


# Where a denial has another code than ministack gives it.
_DENIAL_CODES = {"kms": "AccessDeniedException", "logs": "AccessDenied"}

# -- refusals ----------------------------------------------------------------------------------


def _refusal(
    emulator: Emulator, refused: Refused, request_id: str, headers: dict[str, str]
) -> Response:
    _, response_headers, body = emulator.actions.access_denied_response(
        refused.service,
        "",
        "",
        request_id,
        error_code=refused.code,
        message=refused.message,
        headers=headers,
    )
    return refused.status, response_headers, body


def _denied(
    emulator: Emulator,
    call: Call,
    principal: Principal,
    verdict: Verdict,
    headers: dict[str, str],
) -> Response:
    foreign = verdict.owner not in ("", principal.caller.account)
    response: Response = emulator.actions.access_denied_response(
        call.service,
        verdict.check.action,
        principal.caller.arn,
        str(uuid.uuid4()),
        headers=headers,
        error_code=_DENIAL_CODES.get(call.service, ""),
        message=denial(call.service, principal.caller.arn, verdict, foreign=foreign),
    )
    return response


# -- ministack's own checks --------------------------------------------------------------------


def _patch_evaluator(emulator: Emulator) -> None:
    """Replaces ministack's evaluator where its services call it."""
    evaluator = emulator.evaluator

    def enforce(
        access_key: str,
        action: str,
        _service: str,
        _region: str,
        resource_arn: str = "*",
        service_context: Mapping[str, Any] | None = None,
    ) -> Any:
        principal = principal_of_key(emulator, access_key)
        if not isinstance(principal, Principal):
            return evaluator.AuthError(principal.code, principal.message)
        keys = {name.lower(): value for name, value in (service_context or {}).items()}
        checks = [Check(action, resource_arn, keys)]
        if action == "secretsmanager:GetSecretValue":  # of BatchGetSecretValue
            keys.update(secret_value_keys(resource_arn))
            account = principal.caller.account
            checks += secret_uses(emulator, "GetSecretValue", resource_arn, account)
        for check in checks:
            verdict = judge(emulator, principal, check)
            if not verdict.decision.allowed:
                break
        else:
            return None
        explicit = verdict.decision.explicit
        return evaluator.EvalResult(
            "Deny" if explicit else "ImplicitDeny",
            principal.caller.arn,
            resource_policy_arn=resource_arn if verdict.decision.by == "resource" else "",
        )

    evaluator.enforce = enforce
    evaluator.request_caller_arn = lambda *_request: (
        _caller_arn.get() or (f"arn:aws:iam::{emulator.responses.get_account_id()}:root")
    )
    # The judgement has evaluated the trust policy already.
    evaluator.evaluate_trust_policy = lambda *_request: _judged.get() is not None


def _patch_services(emulator: Emulator) -> None:
    """Switches off the checks inside services; deliveries by a service are judged here."""
    s3, sns, sqs = emulator.s3, emulator.sns, emulator.sqs
    emulator.acl_allows = s3._foreign_bucket_allows
    s3._foreign_bucket_allows = lambda *_request: _judged.get() is not None
    s3._copy_source_denied = lambda *_request: None
    sqs._enforce_queue_policy = lambda *_request: None
    sns._enforce_topic_policy = lambda *_request: None

    def delivering(action: str) -> Callable[[str, str, str, str], bool]:
        def allowed(arn: str, service: str, source_arn: str, source_account: str) -> bool:
            keys = {
                "aws:sourcearn": source_arn,
                "aws:sourceaccount": source_account,
                "aws:sourceowner": source_account,
            }
            principal = service_principal(service)
            return judge(emulator, principal, Check(action, arn), keys).decision.allowed

        return allowed

    sqs.queue_policy_allows = delivering("sqs:SendMessage")
    sns.topic_policy_allows = delivering("sns:Publish")


__all__ = ["caller_userid", "judged_call", "not_authorized", "patch_enforcement", "tls_version"]
