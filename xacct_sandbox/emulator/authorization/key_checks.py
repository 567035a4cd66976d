"""KMS: the keys that calls use, what their callers must be allowed on them, and AWS's refusals.

An object or a secret under a key of its own is read and written with the caller's rights on the
key: the service asks KMS in the caller's name (KMS developer guide, "How Amazon S3 uses AWS KMS",
"Secret encryption and decryption in AWS Secrets Manager"). Within the account of the key its policy
must allow the caller, or the account, whose IAM policies then count; across accounts both must
allow ("Allowing users in other accounts to use a KMS key"). Grants are not supported.

Not judged: S3 Bucket Keys save calls to KMS on AWS; here each use of a key is decided.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from xacct_sandbox.emulator.authorization.calls import Call, Refused
from xacct_sandbox.emulator.authorization.checks import Check, has_tags, text, unknown_operation
from xacct_sandbox.emulator.authorization.conditions import Values
from xacct_sandbox.emulator.loader import Emulator

KEY_HEADER = "x-amz-server-side-encryption-aws-kms-key-id"
_ALGORITHM_HEADER = "x-amz-server-side-encryption"
_ARN = re.compile(r"arn:aws:kms:([a-z0-9-]+):(\d{12}):(key|alias)/(.+)")

# -- keys --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class KeyProblem:
    """Why a key cannot be used, as KMS says it."""

    code: str
    message: str


def find_key(emulator: Emulator, reference: str, account: str) -> dict[str, Any] | None:
    """The stored key that a reference names, in any account; None if there is none.

    Args:
        emulator: of this process.
        reference: an id, an alias, or the ARN of a key or an alias.
        account: in which an id or an alias is looked for: the caller's.
    """
    found = _ARN.fullmatch(reference)
    region, owner = (found[1], found[2]) if found else (emulator.responses.get_region(), account)
    if not owner:
        return None
    with emulator.responses.request_scope(owner, region):
        key: dict[str, Any] | None = emulator.kms._resolve_key(reference)
    return key


def problem_of(key: dict[str, Any] | None, reference: str) -> KeyProblem | None:
    """Why a key that may be used cannot be ("Key states of AWS KMS keys"); None if it can be."""
    if key is None:
        named = "Alias" if ":alias/" in reference or reference.startswith("alias/") else "Key"
        return KeyProblem("NotFoundException", f"{named} '{reference}' does not exist")
    if key["KeyState"] == "Disabled":
        return KeyProblem("DisabledException", f"{key['Arn']} is disabled.")
    if key["KeyState"] != "Enabled":
        state = re.sub(r"(?<!^)(?=[A-Z])", " ", key["KeyState"]).lower()
        return KeyProblem("KMSInvalidStateException", f"{key['Arn']} is {state}.")
    return None


def key_policy(emulator: Emulator, arn: str) -> str | None:
    """The policy of the key with an ARN; None if there is none."""
    key = find_key(emulator, arn, "")
    return str(key["Policy"]) if key else None


def use_of(
    emulator: Emulator, action: str, key: dict[str, Any], service: str, account: str, **context: str
) -> Check:
    """The check of a use of a key by a service in the name of its caller.

    Args:
        emulator: of this process.
        action: as ``kms:Decrypt``.
        key: the stored key.
        service: that asks KMS, for ``kms:ViaService``; "" for the caller itself.
        account: of the caller.
        context: the encryption context.
    """
    return Check(action, key["Arn"], _keys(emulator, key, service, account, context))


def _keys(
    emulator: Emulator, key: dict[str, Any], service: str, account: str, context: dict[str, str]
) -> dict[str, Values]:
    region, owner = key["Arn"].split(":")[3:5]
    with emulator.responses.request_scope(owner, region):
        aliases = [
            arn.partition(":alias/")[2]
            for arn, target in emulator.kms._aliases.items()
            if target == key["KeyId"]
        ]
    keys: dict[str, Values] = {
        "kms:calleraccount": account,
        "kms:keyorigin": key["Origin"],
        "kms:keyspec": key["KeySpec"],
        "kms:keyusage": key["KeyUsage"],
        "kms:resourcealiases": [f"alias/{name}" for name in aliases],
    }
    if service:
        keys["kms:viaservice"] = f"{service}.{region}.amazonaws.com"
        keys["aws:viaawsservice"] = "true"
    if context:
        keys["kms:encryptioncontextkeys"] = list(context)
        keys.update({f"kms:encryptioncontext:{name}".lower(): v for name, v in context.items()})
    return keys


# -- S3 ----------------------------------------------------------------------------------------

_READS = frozenset({"GetObject"})
_WRITES = frozenset({"CopyObject", "CreateMultipartUpload", "PutObject"})
_COPIES = frozenset({"CopyObject", "UploadPartCopy"})
# "The requester needs permissions for the kms:Decrypt action on the UploadPart and UploadPartCopy
# APIs" (S3 API reference, CreateMultipartUpload).
_PARTS = frozenset({"UploadPart", "UploadPartCopy"})


def object_uses(
    emulator: Emulator,
    call: Call,
    account: str,
    target: tuple[str, str],
    source: tuple[str, str, str] | None,
) -> list[Check]:
    """The uses of keys that an S3 call makes.

    Args:
        emulator: of this process.
        call: of S3.
        account: of the caller.
        target: bucket and key of the call.
        source: bucket, key and version of a copy's source.

    Raises:
        Refused: there is no such key.
    """
    bucket, name = target
    uses = []
    if call.operation in _READS:
        version = call.http.query.get("versionId", [""])[0]
        uses.append(("kms:Decrypt", stored_key(emulator, bucket, name, version), bucket, name))
    if call.operation in _COPIES and source is not None:
        uses.append(("kms:Decrypt", stored_key(emulator, *source), source[0], source[1]))
    if call.operation in _PARTS:
        upload = emulator.s3._multipart_uploads.get(call.http.query.get("uploadId", [""])[0]) or {}
        uses.append(("kms:Decrypt", _key_in(emulator.s3._stored_sse_headers(upload)), *target))
    if call.operation in _WRITES:
        uses.append(("kms:GenerateDataKey", _key_of_write(emulator, call, bucket), *target))
    checks = []
    for action, reference, of_bucket, of_object in uses:
        if reference:
            key = find_key(emulator, reference, account)
            if key is None:
                raise refusal_by_s3(problem_of(None, reference))
            context = {"aws:s3:arn": f"arn:aws:s3:::{of_bucket}/{of_object}"}
            checks.append(use_of(emulator, action, key, "s3", account, **context))
    return checks


def _key_of_write(emulator: Emulator, call: Call, bucket: str) -> str:
    """The key that the object will be under: of the request, else the bucket's default."""
    owner = emulator.s3._bucket_owner_account(bucket)
    if owner is None:
        return ""
    with emulator.responses.request_scope(owner, emulator.responses.get_region()):
        headers, refused = emulator.s3._resolve_sse_write_headers(call.http.headers, bucket)
    if refused is not None:  # the handler refuses it by itself
        return ""
    if headers.get(_ALGORITHM_HEADER) == "aws:kms" and KEY_HEADER not in headers:
        raise Refused(
            "s3",
            "NotImplemented",
            "The sandbox has no AWS managed key aws/s3: name a key of your own.",
            501,
        )
    return _key_in(headers)


def _key_in(headers: dict[str, str]) -> str:
    return headers.get(KEY_HEADER, "") if headers.get(_ALGORITHM_HEADER) == "aws:kms" else ""


def stored_key(emulator: Emulator, bucket: str, name: str, version: str = "") -> str:
    """The ARN of the key that an object is under; "" if it is under none, or is not there."""
    s3, owner = emulator.s3, emulator.s3._bucket_owner_account(bucket)
    if owner is None:
        return ""
    with emulator.responses.request_scope(owner, emulator.responses.get_region()):
        record = (s3._buckets.get(bucket) or {"objects": {}})["objects"].get(name)
        if version:
            versions = s3._object_versions.get((bucket, name), [])
            record = next((one for one in versions if one["version_id"] == version), record)
    return _key_in(s3._stored_sse_headers(record)) if record else ""


def refusal_by_s3(problem: KeyProblem | None) -> Refused:
    """How S3 passes on that KMS cannot use a key."""
    assert problem is not None
    return Refused("s3", f"KMS.{problem.code}", problem.message)


def patch_object_keys(emulator: Emulator, account_of_caller: Any) -> None:
    """Objects keep the ARN of their key, however the request or the bucket names it."""
    resolve = emulator.s3._resolve_sse_write_headers

    def resolve_to_arn(headers: dict[str, str], bucket_name: str) -> Any:
        found, refused = resolve(headers, bucket_name)
        reference = _key_in(found) if refused is None else ""
        if reference:
            key = find_key(emulator, reference, account_of_caller())
            if key is not None:
                found = {**found, KEY_HEADER: key["Arn"]}
        return found, refused

    emulator.s3._resolve_sse_write_headers = resolve_to_arn


# -- Secrets Manager ---------------------------------------------------------------------------

_SECRET_USES = {
    "CreateSecret": ("kms:GenerateDataKey", "kms:Decrypt"),
    "GetSecretValue": ("kms:Decrypt",),
    "PutSecretValue": ("kms:GenerateDataKey", "kms:Decrypt"),
    "UpdateSecret": ("kms:GenerateDataKey", "kms:Decrypt"),
}


def secret_uses(
    emulator: Emulator, operation: str, secret: str, account: str, new_key: str = ""
) -> list[Check]:
    """The uses of the key of a secret ("Secret encryption and decryption", "Permissions").

    Args:
        emulator: of this process.
        operation: of Secrets Manager.
        secret: its ARN.
        account: of the caller.
        new_key: the key that the operation gives the secret.

    Raises:
        Refused: the key is not there, or cannot be used.
    """
    actions = _SECRET_USES.get(operation, ())
    reference = new_key or _key_of_secret(emulator, secret)
    if not actions or not reference:
        return []
    key = find_key(emulator, reference, account)
    if problem_of(key, reference) is not None or key is None:
        verb = "decrypt" if operation == "GetSecretValue" else "encrypt"
        raise Refused(
            "secretsmanager",
            "DecryptionFailure" if verb == "decrypt" else "EncryptionFailure",
            f"Secrets Manager can't {verb} the protected secret text using the provided KMS key.",
        )
    return [
        use_of(emulator, action, key, "secretsmanager", account, SecretARN=secret)
        for action in actions
    ]


def _key_of_secret(emulator: Emulator, secret: str) -> str:
    parts = secret.split(":")
    if len(parts) != 7:
        return ""
    with emulator.responses.request_scope(parts[4], parts[3]):
        _, stored = emulator.secrets._resolve(secret)
    return str((stored or {}).get("KmsKeyId") or "")


# -- KMS itself --------------------------------------------------------------------------------

_WITHOUT_KEY = frozenset({"CreateKey", "ListAliases", "ListKeys"})
_ON_KEY = frozenset(
    {
        "CancelKeyDeletion",
        "DescribeKey",
        "DisableKey",
        "DisableKeyRotation",
        "EnableKey",
        "EnableKeyRotation",
        "GetKeyPolicy",
        "GetKeyRotationStatus",
        "ListKeyPolicies",
        "ListResourceTags",
        "PutKeyPolicy",
        "ScheduleKeyDeletion",
        "TagResource",
        "UntagResource",
        "UpdateKeyDescription",
    }
)
_BY_ANY_ACCOUNT = frozenset(
    {"Decrypt", "DescribeKey", "Encrypt", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext"}
)
_ON_ALIAS = frozenset({"CreateAlias", "DeleteAlias", "UpdateAlias"})


def kms_checks(emulator: Emulator, call: Call) -> list[Check]:
    """What the caller of a KMS operation must be allowed ("AWS KMS permissions").

    Raises:
        Refused: the sandbox does not serve the operation, or there is no such key.
    """
    action, operation = f"kms:{call.operation}", call.operation
    account, region = emulator.responses.get_account_id(), emulator.responses.get_region()
    if operation in _WITHOUT_KEY:
        tagged = operation == "CreateKey" and has_tags(call)
        return [Check(name, "*") for name in (action, *(["kms:TagResource"] if tagged else []))]
    if operation in _ON_ALIAS:
        alias = f"arn:aws:kms:{region}:{account}:{text(call, 'AliasName')}"
        references = [text(call, "TargetKeyId")] if operation != "DeleteAlias" else []
        if emulator.kms._aliases.get(alias):
            references.append(text(call, "AliasName"))
        keys = [_required_key(emulator, one, account) for one in references]
        return [
            Check(action, alias),
            *(use_of(emulator, action, key, "", account) for key in keys),
        ]
    if operation not in _ON_KEY | _BY_ANY_ACCOUNT:
        raise unknown_operation(call)
    key = _required_key(emulator, text(call, "KeyId"), account)
    context = call.parameters.get("EncryptionContext") or {}
    return [use_of(emulator, action, key, "", account, **context)]


def _required_key(emulator: Emulator, reference: str, account: str) -> dict[str, Any]:
    key = find_key(emulator, reference, account)
    if key is None:
        problem = problem_of(None, reference)
        assert problem is not None
        raise Refused("kms", problem.code, problem.message)
    return key


def account_to_serve(call: Call, checks: Iterable[Check], caller: str) -> str:
    """The account of the key of another account, if the operation works across accounts."""
    for check in checks:
        owner = check.resource.split(":")[4] if check.resource.startswith("arn:aws:kms:") else ""
        if owner not in ("", caller) and call.operation in _BY_ANY_ACCOUNT:
            return owner
    return ""
