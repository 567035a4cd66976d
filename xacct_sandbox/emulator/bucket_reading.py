"""Reads the configuration of a bucket as the properties of AWS::S3::Bucket."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from xml.etree.ElementTree import Element

from xacct_sandbox.emulator.loader import Emulator


def bucket_properties_of(emulator: Emulator, name: str) -> dict[str, Any]:
    """The properties that the bucket has; one that is not configured is left out."""
    s3 = emulator.s3
    found: dict[str, Any] = {"BucketName": name}
    for key, (operation, read) in _READERS.items():
        status, _, body = getattr(s3, operation)(name)
        value = read(s3.fromstring(body)) if status < 300 else None
        if value:
            found[key] = value
    return found


def _children(element: Element, name: str) -> list[Element]:
    return [child for child in element if _tag(child) == name]


def _tag(element: Element) -> str:
    return element.tag.rpartition("}")[2]


def _text(element: Element, *path: str) -> str | None:
    for name in path:
        found = _children(element, name)
        if not found:
            return None
        element = found[0]
    return element.text or ""


def _texts(element: Element) -> dict[str, str]:
    """The children that hold a text."""
    return {_tag(child): child.text or "" for child in element if not len(child)}


def _lifecycle(root: Element) -> dict[str, Any] | None:
    rules = [_lifecycle_rule(rule) for rule in _children(root, "Rule")]
    return {"Rules": rules} if rules else None


def _lifecycle_rule(rule: Element) -> dict[str, Any]:
    prefix = _text(rule, "Filter", "Prefix") or _text(rule, "Prefix")
    days = _text(rule, "Expiration", "Days")
    replaced = [_texts(child) for child in _children(rule, "NoncurrentVersionExpiration")]
    abort = _text(rule, "AbortIncompleteMultipartUpload", "DaysAfterInitiation")
    found: dict[str, Any] = {"Id": _text(rule, "ID"), "Status": _text(rule, "Status")}
    if prefix:
        found["Prefix"] = prefix
    if days:
        found["ExpirationInDays"] = int(days)
    if replaced:
        found["NoncurrentVersionExpiration"] = {k: int(v) for k, v in replaced[0].items()}
    if abort:
        found["AbortIncompleteMultipartUpload"] = {"DaysAfterInitiation": int(abort)}
    return found


def _encryption(root: Element) -> dict[str, Any]:
    rules = []
    for rule in _children(root, "Rule"):
        found: dict[str, Any] = {}
        for default in _children(rule, "ApplyServerSideEncryptionByDefault"):
            found["ServerSideEncryptionByDefault"] = _texts(default)
        key = _text(rule, "BucketKeyEnabled")
        if key == "true":
            found["BucketKeyEnabled"] = True
        rules.append(found)
    return {"ServerSideEncryptionConfiguration": rules}


def _ownership(root: Element) -> dict[str, Any]:
    return {"Rules": [_texts(rule) for rule in _children(root, "Rule")]}


def _public_access(root: Element) -> dict[str, Any]:
    return {key: value.strip() == "true" for key, value in _texts(root).items()}


def _versioning(root: Element) -> dict[str, Any]:
    return _texts(root)


_TARGETS = {
    "QueueConfiguration": ("QueueConfigurations", "Queue", "Queue"),
    "TopicConfiguration": ("TopicConfigurations", "Topic", "Topic"),
    "LambdaFunctionConfiguration": ("LambdaConfigurations", "LambdaFunctionArn", "Function"),
    "CloudFunctionConfiguration": ("LambdaConfigurations", "CloudFunction", "Function"),
}


def _notification(root: Element) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for child in root:
        if _tag(child) == "EventBridgeConfiguration":
            found["EventBridgeConfiguration"] = {"EventBridgeEnabled": True}
        if _tag(child) not in _TARGETS:
            continue
        key, element, target = _TARGETS[_tag(child)]
        rules = [
            _texts(rule)
            for chosen in _children(child, "Filter")
            for s3_key in _children(chosen, "S3Key")
            for rule in _children(s3_key, "FilterRule")
        ]
        for event in _children(child, "Event"):
            entry: dict[str, Any] = {"Event": event.text, target: _text(child, element)}
            if rules:
                entry["Filter"] = {"S3Key": {"Rules": rules}}
            found.setdefault(key, []).append(entry)
    return found


_READERS: Mapping[str, tuple[str, Callable[[Element], dict[str, Any] | None]]] = {
    "BucketEncryption": ("_get_bucket_encryption", _encryption),
    "LifecycleConfiguration": ("_get_bucket_lifecycle", _lifecycle),
    "NotificationConfiguration": ("_get_bucket_notification", _notification),
    "OwnershipControls": ("_get_bucket_ownership_controls", _ownership),
    "PublicAccessBlockConfiguration": ("_get_public_access_block", _public_access),
    "VersioningConfiguration": ("_get_bucket_versioning", _versioning),
}
"""Property -> ministack's operation that reads it, and how its answer is a property."""

COMPARED = frozenset({"BucketName", *_READERS})
"""The properties of a bucket that drift detection compares."""
