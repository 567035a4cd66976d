"""The actions that an S3 call needs, the objects they are on, and S3's condition keys.

From the Amazon S3 user guide, "Required permissions for Amazon S3 API operations", the pages of
PutObject, CopyObject, GetObjectAttributes and DeleteObjects in the API reference, and the condition
keys of the service authorization reference.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import parse_qs, unquote
from xml.etree.ElementTree import ParseError

from xacct_sandbox.emulator.authorization.calls import Call, Refused
from xacct_sandbox.emulator.authorization.checks import Check
from xacct_sandbox.emulator.authorization.conditions import Values
from xacct_sandbox.emulator.authorization.key_checks import object_uses
from xacct_sandbox.emulator.authorization.s3_calls import VERSION_ACTIONS, bucket_and_key
from xacct_sandbox.emulator.loader import Emulator

_GRANTS = tuple(
    f"x-amz-grant-{name}" for name in ("full-control", "read", "read-acp", "write", "write-acp")
)
# Headers that are condition keys of the same name.
_HEADER_KEYS = (
    "x-amz-acl",
    "x-amz-content-sha256",
    "x-amz-copy-source",
    "x-amz-metadata-directive",
    "x-amz-object-ownership",
    "x-amz-server-side-encryption",
    "x-amz-server-side-encryption-aws-kms-key-id",
    "x-amz-server-side-encryption-customer-algorithm",
    "x-amz-storage-class",
    "x-amz-website-redirect-location",
    *_GRANTS,
)
_LOCK_KEYS = {
    "x-amz-object-lock-legal-hold": "s3:object-lock-legal-hold",
    "x-amz-object-lock-mode": "s3:object-lock-mode",
    "x-amz-object-lock-retain-until-date": "s3:object-lock-retain-until-date",
}
_LISTING_KEYS = ("delimiter", "max-keys", "prefix")
_WRITES = frozenset({"PutObject", "CopyObject", "CreateMultipartUpload"})
_TAG_KEYS_OF = "s3:existingobjecttag/"
_TAGGED_ACTIONS = frozenset(
    {
        "s3:DeleteObjectTagging",
        "s3:DeleteObjectVersionTagging",
        "s3:GetObject",
        "s3:GetObjectAcl",
        "s3:GetObjectTagging",
        "s3:GetObjectVersion",
        "s3:GetObjectVersionAcl",
        "s3:GetObjectVersionTagging",
        "s3:PutObjectAcl",
        "s3:PutObjectTagging",
        "s3:PutObjectVersionAcl",
        "s3:PutObjectVersionTagging",
    }
)


def s3_checks(emulator: Emulator, call: Call) -> list[Check]:
    """What the caller of an S3 call must be allowed.

    Raises:
        Refused: the call names its objects in a way that S3 refuses.
    """
    bucket, key = bucket_and_key(call.http.path)
    keys = _request_keys(emulator, call)
    if not bucket:
        return [Check(call.action, "*", keys)]
    whole = f"arn:aws:s3:::{bucket}"
    if call.operation == "DeleteObjects":
        return _delete_checks(emulator, call, bucket, keys)
    if not key:
        return [Check(action, whole, keys) for action in (call.action, *_bucket_extras(call))]
    arn = f"{whole}/{key}"
    keys = _object_keys(emulator, call, bucket, key, keys)
    checks = [Check(action, arn, keys) for action in (call.action, *_object_extras(call))]
    if call.operation in ("CopyObject", "UploadPartCopy"):
        checks += _source_checks(emulator, call, arn, keys)
    if _reads_a_missing_key(emulator, call, bucket, key):
        # "If you don't have the s3:ListBucket permission, Amazon S3 returns … 403" (GetObject,
        # HeadObject). aws-claims: s3-missing-key-without-list
        checks.append(Check("s3:ListBucket", whole, _request_keys(emulator, call)))
    return checks


def _reads_a_missing_key(emulator: Emulator, call: Call, bucket: str, key: str) -> bool:
    if call.operation not in ("GetObject", "HeadObject") or call.http.query.get("versionId"):
        return False
    owner = emulator.s3._bucket_owner_account(bucket)
    if owner is None:
        return False
    with emulator.responses.request_scope(owner, emulator.responses.get_region()):
        found = emulator.s3._buckets.get(bucket)
        return found is not None and key not in found["objects"]


def key_uses(emulator: Emulator, call: Call, account: str) -> list[Check]:
    """The uses of KMS keys of an S3 call, which are judged after everything else."""
    source = None
    if call.operation in ("CopyObject", "UploadPartCopy"):
        source = copy_source(call.http.headers["x-amz-copy-source"])
    return object_uses(emulator, call, account, bucket_and_key(call.http.path), source)


def _bucket_extras(call: Call) -> list[str]:
    """CreateBucket with an ACL or an object ownership needs their permissions too."""
    headers = call.http.headers
    if call.operation != "CreateBucket":
        return []
    extras = []
    if any(headers.get(name) for name in ("x-amz-acl", *_GRANTS)):
        extras.append("s3:PutBucketAcl")
    if headers.get("x-amz-object-ownership"):
        extras.append("s3:PutBucketOwnershipControls")
    if headers.get("x-amz-bucket-object-lock-enabled", "").lower() == "true":
        extras += ["s3:PutBucketObjectLockConfiguration", "s3:PutBucketVersioning"]
    return extras


def _object_extras(call: Call) -> list[str]:
    """What a call on an object needs besides its own action."""
    headers = call.http.headers
    extras = []
    if call.operation in _WRITES:
        if any(headers.get(name) for name in ("x-amz-acl", *_GRANTS)):
            extras.append("s3:PutObjectAcl")
        if headers.get("x-amz-tagging"):
            extras.append("s3:PutObjectTagging")
        if headers.get("x-amz-object-lock-mode") or headers.get(
            "x-amz-object-lock-retain-until-date"
        ):
            extras.append("s3:PutObjectRetention")
        if headers.get("x-amz-object-lock-legal-hold"):
            extras.append("s3:PutObjectLegalHold")
    if call.operation == "GetObjectAttributes":
        versioned = call.action == "s3:GetObjectVersionAttributes"
        extras.append("s3:GetObjectVersion" if versioned else "s3:GetObject")
    bypass = headers.get("x-amz-bypass-governance-retention", "").strip().lower() == "true"
    if bypass and call.operation in ("DeleteObject", "PutObjectRetention"):
        extras.append("s3:BypassGovernanceRetention")
    return extras


def _delete_checks(
    emulator: Emulator, call: Call, bucket: str, keys: Mapping[str, Values]
) -> list[Check]:
    """DeleteObjects is judged key by key."""
    targets = emulator.actions._s3_batch_delete_targets(bucket, call.http.body)
    if not targets:
        raise Refused("s3", "MalformedXML", emulator.s3._MALFORMED_XML)
    bypass = call.http.headers.get("x-amz-bypass-governance-retention", "").strip().lower()
    checks = []
    for arn, version in targets:
        version_key = {"s3:versionid": version} if version else {}
        action = "s3:DeleteObjectVersion" if version else "s3:DeleteObject"
        checks.append(Check(action, arn, {**keys, **version_key}))
        if bypass == "true":
            checks.append(Check("s3:BypassGovernanceRetention", arn, keys))
    return checks


def copy_source(header: str) -> tuple[str, str, str]:
    """Bucket, key and version of an ``x-amz-copy-source``, as ministack reads it."""
    path, _, query = header.lstrip("/").partition("?")
    bucket, _, key = unquote(path).partition("/")
    version = parse_qs(query, keep_blank_values=True).get("versionId", [""])[0]
    return bucket, key, version


def _source_checks(
    emulator: Emulator, call: Call, destination: str, keys: Mapping[str, Values]
) -> list[Check]:
    """A copy reads its source, and copies the tags unless told otherwise (CopyObject)."""
    bucket, key, version = copy_source(call.http.headers["x-amz-copy-source"])
    if not bucket or not key or bucket.startswith("arn:"):
        raise Refused(
            "s3",
            "InvalidArgument",
            "Copy Source must mention the source bucket and key: sourcebucket/sourcekey",
        )
    arn = f"arn:aws:s3:::{bucket}/{key}"
    source_keys = {name: value for name, value in keys.items() if name.startswith("s3:sign")}
    for name in ("s3:authtype", "s3:tlsversion"):
        if name in keys:
            source_keys[name] = keys[name]
    if version:
        source_keys["s3:versionid"] = version
    tags = stored_tags(emulator, bucket, key, version)
    source_keys.update({f"{_TAG_KEYS_OF}{name}".lower(): value for name, value in tags.items()})

    def action(name: str) -> str:
        return f"s3:{VERSION_ACTIONS[name] if version else name}"

    checks = [Check(action("GetObject"), arn, source_keys)]
    copies_tags = call.http.headers.get("x-amz-tagging-directive", "COPY").upper() == "COPY"
    if call.operation == "CopyObject" and tags and copies_tags:
        checks.append(Check(action("GetObjectTagging"), arn, source_keys))
        checks.append(Check("s3:PutObjectTagging", destination, keys))
    return checks


# -- condition keys ----------------------------------------------------------------------------


def _request_keys(emulator: Emulator, call: Call) -> dict[str, Values]:
    """The keys that every S3 call has, and those of its headers and its listing."""
    http = call.http
    keys: dict[str, Values] = {}
    if call.signature:
        keys["s3:authtype"] = "REST-QUERY-STRING" if call.presigned else "REST-HEADER"
        keys["s3:signatureversion"] = call.signature
        age = _signature_age(call)
        if age is not None:
            keys["s3:signatureage"] = str(age)
    for name in _HEADER_KEYS:
        if http.headers.get(name):
            keys[f"s3:{name}"] = http.headers[name]
    for name in ("if-match", "if-none-match"):
        if http.headers.get(name):
            keys[f"s3:{name}"] = http.headers[name]
    for header, key in _LOCK_KEYS.items():
        if http.headers.get(header):
            keys[key] = http.headers[header]
    if call.action in ("s3:ListBucket", "s3:ListBucketVersions"):
        for name in _LISTING_KEYS:
            if http.query.get(name):
                keys[f"s3:{name}"] = http.query[name][0]
    if call.operation == "CreateBucket":
        text = http.body.decode("utf-8", "replace")
        _, found, rest = text.partition("LocationConstraint>")
        if found:
            keys["s3:locationconstraint"] = rest.partition("<")[0]
    return keys


def _signature_age(call: Call) -> int | None:
    """Milliseconds since the request was signed; only version 4 says when."""
    query = call.http.query
    date = query.get("X-Amz-Date", [""])[0] if call.presigned else ""
    date = date or call.http.headers.get("x-amz-date", "")
    try:
        signed = datetime.strptime(date, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        return None
    return max(0, int((time.time() - signed.timestamp()) * 1000))


def _object_keys(
    emulator: Emulator, call: Call, bucket: str, key: str, keys: dict[str, Values]
) -> dict[str, Values]:
    keys = dict(keys)
    version = call.http.query.get("versionId", [""])[0]
    if version:
        keys["s3:versionid"] = version
    upload = call.http.query.get("uploadId", [""])[0]
    if upload and call.action == "s3:PutObject":
        # A part and the completion have no such headers: those of the upload count.
        encryption = emulator.s3.upload_encryption_header(upload)
        if encryption:
            keys["s3:x-amz-server-side-encryption"] = encryption
    if call.operation in _WRITES and call.http.headers.get("x-amz-tagging"):
        tags = parse_qs(call.http.headers["x-amz-tagging"], keep_blank_values=True)
        keys["s3:requestobjecttagkeys"] = list(tags)
        keys.update({f"s3:requestobjecttag/{n}".lower(): v[0] for n, v in tags.items()})
    if call.operation == "PutObjectTagging":
        keys.update(_tagging_keys(emulator, call.http.body))
    if call.action in _TAGGED_ACTIONS or call.operation == "GetObjectAttributes":
        stored = stored_tags(emulator, bucket, key, version)
        keys.update({f"{_TAG_KEYS_OF}{n}".lower(): v for n, v in stored.items()})
    return keys


def _tagging_keys(emulator: Emulator, body: bytes) -> dict[str, Values]:
    try:
        root = emulator.s3.fromstring(body)
    except (ParseError, ValueError):  # the handler refuses the body by itself
        return {}
    tags: dict[str, str] = {}
    for element in root.iter():
        if element.tag.rpartition("}")[2] == "Tag":
            fields = {child.tag.rpartition("}")[2]: child.text or "" for child in element}
            tags[fields.get("Key", "")] = fields.get("Value", "")
    keys: dict[str, Values] = {f"s3:requestobjecttag/{n}".lower(): v for n, v in tags.items()}
    if tags:
        keys["s3:requestobjecttagkeys"] = list(tags)
    return keys


def stored_tags(emulator: Emulator, bucket: str, key: str, version: str) -> dict[str, str]:
    """The tags of an object in any account; {} without any."""
    owner = emulator.s3._bucket_owner_account(bucket)
    if owner is None:
        return {}
    with emulator.responses.request_scope(owner, emulator.responses.get_region()):
        query = {"versionId": [version]} if version else {}
        tags: dict[str, str] = emulator.s3.object_tags_for_condition(bucket, key, query)
    return dict(tags)
