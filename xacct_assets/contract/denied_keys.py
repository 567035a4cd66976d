"""Denials of KMS that do not say which key: S3 is asked what the object is under.

To who may not use a key of another account, KMS says only "the resource associated with this
ciphertext" (IAM user guide, "Troubleshoot access denied error messages"). HeadObject names the key
and needs no right on it (S3 API reference, HeadObject).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

_UNNAMED = "on the resource associated with this ciphertext"
_REQUEST = "xacct_object"
_LOCATION = ("Bucket", "Key", "VersionId", "ExpectedBucketOwner")

#: Secrets Manager's words for the same of a secret's key; they name nothing (API reference,
#: GetSecretValue).
SECRET_KEY_DENIED = "Access to KMS is not allowed"  # noqa: S105 -- a message


def name_denied_keys(s3: Any) -> None:
    """Have denials of GetObject name the key, for a client.

    Args:
        s3: boto3's client.
    """

    def keep(params: Mapping[str, Any], context: dict[str, Any], **_: Any) -> None:
        context[_REQUEST] = {name: params[name] for name in _LOCATION if name in params}

    def name(parsed: dict[str, Any], context: Mapping[str, Any], **_: Any) -> None:
        error = parsed.get("Error", {})
        message = str(error.get("Message", ""))
        if _UNNAMED in message and _REQUEST in context:
            key = _key_of(s3, context[_REQUEST])
            if key:
                error["Message"] = message.replace(_UNNAMED, f"on resource: {key}")

    s3.meta.events.register("before-parameter-build.s3.GetObject", keep)
    s3.meta.events.register("after-call.s3.GetObject", name)


def _key_of(s3: Any, location: Mapping[str, Any]) -> str:
    try:
        return str(s3.head_object(**location).get("SSEKMSKeyId", ""))
    except Exception:  # noqa: BLE001 -- the denial itself is what is reported
        return ""


# Operations that read a secret, and the parameter that names it.
_READS_SECRET = {
    "redshift-data": {"BatchExecuteStatement": "SecretArn", "ExecuteStatement": "SecretArn"},
    "secretsmanager": {"GetSecretValue": "SecretId"},
}


def name_denied_secret_keys(
    client: Any, service: str, secrets: Callable[[], Any], principal: Callable[[], str]
) -> None:
    """Have denials of a secret's key name the key, for a client.

    Args:
        client: boto3's client.
        service: of the client.
        secrets: gives boto3's client of Secrets Manager, which is used only after a denial.
        principal: gives the ARN of the caller.
    """
    for operation, parameter in _READS_SECRET.get(service, {}).items():

        def keep(
            params: Mapping[str, Any],
            context: dict[str, Any],
            parameter: str = parameter,
            **_: Any,
        ) -> None:
            context[_REQUEST] = params.get(parameter)

        def name(parsed: dict[str, Any], context: Mapping[str, Any], **_: Any) -> None:
            error = parsed.get("Error", {})
            message, secret = str(error.get("Message", "")), context.get(_REQUEST)
            if SECRET_KEY_DENIED in message and secret:
                error["Message"] = name_secrets_key(secrets(), secret, principal, message)

        client.meta.events.register(f"before-parameter-build.{service}.{operation}", keep)
        client.meta.events.register(f"after-call.{service}.{operation}", name)


def name_secrets_key(
    secrets: Any, secret: str, principal: Callable[[], str], message: str
) -> str | None:
    """The denial of a secret's key, in IAM's words; None if the message is of something else.

    Args:
        secrets: boto3's client of Secrets Manager.
        secret: name or ARN.
        principal: the ARN of the caller.
        message: of the error.
    """
    if SECRET_KEY_DENIED not in message:
        return None
    try:
        key = str(secrets.describe_secret(SecretId=secret).get("KmsKeyId", ""))
    except Exception:  # noqa: BLE001 -- as above
        key = ""
    return (
        f"User: {principal()} is not authorized to perform: kms:Decrypt on resource: "
        f"{key or f'the KMS key of secret {secret}'} ({SECRET_KEY_DENIED})"
    )
