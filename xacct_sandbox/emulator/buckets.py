"""Patches S3: access to another account's bucket, and large objects sent from disk."""

from __future__ import annotations

import contextvars
from typing import Any

from xacct_sandbox.daemon.file_response import FileBody
from xacct_sandbox.emulator.loader import Emulator, Response

STREAM_FROM_BYTES = 1024 * 1024
"""Objects of at least this size are sent from disk; smaller ones are read into memory."""

_batch_body: contextvars.ContextVar[bytes] = contextvars.ContextVar(
    "sandbox_batch_body", default=b""
)
"""The body of the current request; a batch delete names its keys there."""

_streaming: contextvars.ContextVar[bool] = contextvars.ContextVar(
    "sandbox_streaming", default=False
)
"""Whether the current request may be answered from disk."""


def patch_buckets(emulator: Emulator) -> None:
    """Installs the patches of this module."""
    _patch_access(emulator)
    _patch_reads(emulator)


def _patch_access(emulator: Emulator) -> None:
    s3 = emulator.s3
    apply_scope, acl_allows = s3._apply_bucket_scope, s3._foreign_bucket_allows

    def apply_bucket_scope(
        method: str,
        bucket: str,
        key: str,
        headers: dict[str, str],
        query: dict[str, Any],
        body: bytes = b"",
        internal: bool = False,
    ) -> Response | None:
        response: Response | None
        if not _owner_is_expected(emulator, bucket, headers):
            response = s3._error("AccessDenied", "Access Denied", 403, f"/{bucket}/{key}")
            return response
        token = _batch_body.set(body)
        try:
            response = apply_scope(method, bucket, key, headers, query, body, internal)
        finally:
            _batch_body.reset(token)
        return response

    def foreign_bucket_allows(
        owner: str,
        bucket: str,
        key: str,
        method: str,
        query: dict[str, Any],
        caller: str,
        headers: dict[str, str] | None = None,
    ) -> bool:
        policy = s3._bucket_policies.get_scoped(owner, None, bucket)
        if not policy:
            return bool(acl_allows(owner, bucket, key, method, query, caller, headers))
        return _policy_allows(
            emulator, policy, owner, bucket, key, method, query, caller, headers or {}
        )

    s3._apply_bucket_scope = apply_bucket_scope
    s3._foreign_bucket_allows = foreign_bucket_allows


def _patch_reads(emulator: Emulator) -> None:
    s3 = emulator.s3
    get_object, read_body = s3._get_object, s3._read_body

    def read_body_from_disk(bucket: str, key: str, record: dict[str, Any]) -> Any:
        if _streaming.get() and record.get("body") is None:
            size = record.get("size") or 0
            path = s3._object_disk_path(bucket, key) if size >= STREAM_FROM_BYTES else None
            if path is not None:
                return FileBody.open(path)
        return read_body(bucket, key, record)

    def stream_object(
        bucket: str, key: str, headers: dict[str, str], query: dict[str, Any] | None = None
    ) -> Any:
        token = _streaming.set(True)
        try:
            status, response_headers, body = get_object(bucket, key, headers, query)
        finally:
            _streaming.reset(token)
        if isinstance(body, FileBody):
            body = emulator.responses.StreamingResponse(body.send)
        return status, response_headers, body

    s3._read_body = read_body_from_disk
    s3._get_object = stream_object


def _owner_is_expected(emulator: Emulator, bucket: str, headers: dict[str, str]) -> bool:
    """Checks ExpectedBucketOwner: S3 responds 403 if another account owns the bucket."""
    expectations = [(bucket, headers.get("x-amz-expected-bucket-owner"))]
    source = headers.get("x-amz-copy-source", "").lstrip("/").partition("/")[0]
    expectations.append((source, headers.get("x-amz-source-expected-bucket-owner")))
    for name, expected in expectations:
        owner = emulator.s3._bucket_owner_account(name) if name and expected else None
        if owner is not None and owner != expected:
            return False
    return True


def _policy_allows(
    emulator: Emulator,
    policy: str,
    owner: str,
    bucket: str,
    key: str,
    method: str,
    query: dict[str, Any],
    caller: str,
    headers: dict[str, str],
) -> bool:
    """Whether the policy of a bucket allows a request of another account, or an anonymous one.

    The identity policy of the caller has been evaluated before. ``caller`` is the account; "" for
    an anonymous request.
    """
    s3, evaluator, actions = emulator.s3, emulator.evaluator, emulator.actions
    if s3._public_access_blocked(owner, bucket, "RestrictPublicBuckets") and s3._policy_is_public(
        policy
    ):
        return False
    path = f"/{bucket}/{key}" if key else f"/{bucket}"
    name = actions._s3_action(method, path, query)
    if name is None:
        return False
    action = f"s3:{name}"
    with emulator.responses.request_scope(owner, emulator.responses.get_region()):
        context = actions.s3_service_context(action, query, path, headers)
    bucket_arn = f"arn:aws:s3:::{bucket}"
    targets = [f"{bucket_arn}/{key}" if key else bucket_arn]
    if method == "POST" and not key and "delete" in query:
        targets = [arn for arn, _ in actions._s3_batch_delete_targets(bucket, _batch_body.get())]
    principal = _principal(emulator, caller, headers, query)
    return bool(targets) and all(
        evaluator.evaluate_resource_policy(
            policy,
            evaluator.EvalContext(
                **principal,
                action=action,
                resource_arn=target,
                region=emulator.responses.get_region(),
                service_context={name.lower(): value for name, value in context.items()},
            ),
        ).decision
        == "Allow"
        for target in targets
    )


def _principal(
    emulator: Emulator, caller: str, headers: dict[str, str], query: dict[str, Any]
) -> dict[str, Any]:
    """The principal of the request, as arguments of ministack's EvalContext."""
    anonymous = {
        "principal_arn": "*",
        "principal_type": "Anonymous",
        "principal_account": "",
        "principal_keys": {},
    }
    key = emulator.router.extract_access_key_id(headers, query)
    if not caller or not key:
        return anonymous
    principal = emulator.evaluator.resolve_principal(key, caller)
    if isinstance(principal, emulator.evaluator.AuthError):
        return anonymous
    return {
        "principal_arn": principal.arn,
        "principal_type": principal.type,
        "principal_account": principal.account,
        "principal_keys": principal.keys,
    }
