"""Recognizes the AWS operation of an HTTP request, with botocore's names.

By the request alone, before it is served: by the ``X-Amz-Target`` header, by the ``Action`` of a
form, and for S3 by method, path and query as botocore's service model describes them.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

import botocore.session

from xacct_sandbox.emulator.authorization.calls import JSON_TARGETS

BODY_BYTES = 64 * 1024
"""Only this much of a body is parsed."""

_CREDENTIAL_SCOPE = re.compile(r"Credential=[^/]+/[^/]+/[^/]+/([^/]+)/")

# Parameters that name the resource of a request; the first one that is present counts.
_RESOURCE_PARAMETERS = (
    "JobName",
    "CrawlerName",
    "Name",
    "TableName",
    "DatabaseName",
    "SecretId",
    "QueueUrl",
    "TopicArn",
    "Sql",
    "Id",
    "logGroupName",
    "WorkgroupName",
    "workgroupName",
    "namespaceName",
    "RoleArn",
    "RoleName",
    "StackName",
)
_SEARCHABLE = re.compile(r"(?:name|id|ids|arn|url|uri|sql|sqls|prefix)$", re.IGNORECASE)
_RESOURCE_CHARACTERS = 200


@dataclass(frozen=True)
class AwsRequest:
    """A recognized request.

    Attributes:
        service: as botocore names it.
        operation: as botocore names it.
        resource: a key, a name, or SQL text; "" if the request names none.
    """

    service: str
    operation: str
    resource: str


def recognize(
    method: str,
    path: str,
    headers: Mapping[str, str],
    query: Mapping[str, Sequence[str]],
    body: bytes = b"",
) -> AwsRequest:
    """Recognizes the operation of a request.

    Args:
        method: the HTTP method.
        path: without the query string.
        headers: names in lower case.
        query: from ``parse_qs(..., keep_blank_values=True)``.
        body: its beginning; not needed for S3.

    Returns:
        The request; its operation is ``METHOD path`` if it is unknown.
    """
    prefix, _, operation = headers.get("x-amz-target", "").rpartition(".")
    if operation:
        service = JSON_TARGETS.get(prefix.partition(".")[0], prefix.partition("_")[0].lower())
        return AwsRequest(service, operation, _resource_name(_json(body)))
    scope = _CREDENTIAL_SCOPE.search(headers.get("authorization", ""))
    service = scope[1] if scope else "s3"
    if service == "s3":
        bucket, _, key = path.lstrip("/").partition("/")
        return AwsRequest("s3", s3_operation(method, path, headers, query), f"{bucket}/{key}")
    form = {name: values[0] for name, values in query.items() if values}
    if "x-www-form-urlencoded" in headers.get("content-type", ""):
        form.update({name: v[0] for name, v in parse_qs(body.decode("latin-1")).items()})
    action = form.get("Action")
    return AwsRequest(service, action or f"{method} {path}", _resource_name(form))


def searchable_text(
    path: str,
    headers: Mapping[str, str],
    query: Mapping[str, Sequence[str]],
    body: bytes = b"",
) -> str:
    """All names, ids, ARNs, URLs and SQL texts of a request, joined, to search in them.

    Other values are left out, because requests contain secrets.
    """
    if not needs_body(headers):
        return path.lstrip("/") + "".join(query.get("prefix", ()))
    if "x-amz-target" in headers:
        return " ".join(_texts(_json(body).items()))
    return " ".join(_texts(parse_qs(body.decode("latin-1")).items()))


def needs_body(headers: Mapping[str, str]) -> bool:
    """Whether the operation or its resource is in the body."""
    return "x-amz-target" in headers or "x-www-form-urlencoded" in headers.get("content-type", "")


def s3_operation(
    method: str, path: str, headers: Mapping[str, str], query: Mapping[str, Sequence[str]]
) -> str:
    """The S3 operation of a path-style request: the most specific one that matches."""
    bucket, _, key = path.lstrip("/").partition("/")
    shape = (method, bool(bucket), bool(key))
    for rule in _s3_rules():
        if rule.shape == shape and rule.matches(headers, query):
            return rule.operation
    return f"{method} {path}"


@dataclass(frozen=True)
class _Rule:
    """When a request is an S3 operation.

    Attributes:
        operation: its name.
        shape: the method, whether there is a bucket, whether there is a key.
        arguments: required query arguments; "" matches any value.
        headers: required headers.
    """

    operation: str
    shape: tuple[str, bool, bool]
    arguments: Mapping[str, str]
    headers: frozenset[str]

    def matches(self, headers: Mapping[str, str], query: Mapping[str, Sequence[str]]) -> bool:
        return self.headers <= headers.keys() and all(
            name in query and (not value or value in query[name])
            for name, value in self.arguments.items()
        )


@functools.cache
def _s3_rules() -> list[_Rule]:
    """The rules from botocore's service model, the most specific first."""
    model = botocore.session.get_session().get_service_model("s3")
    rules = []
    for name in sorted(model.operation_names):
        operation = model.operation_model(name)
        if operation.deprecated:
            continue  # the same request as the operation that replaced it
        uri, _, literal = operation.http["requestUri"].partition("?")
        bucket, key = "{Bucket}" in uri, "{Key+}" in uri
        if uri.strip("/") and not bucket:
            continue  # WriteGetObjectResponse of S3 Object Lambda, which has its own host
        arguments = {n: v[0] for n, v in parse_qs(literal, keep_blank_values=True).items()}
        headers = set()
        shape = operation.input_shape
        members = {name: shape.members[name] for name in shape.required_members} if shape else {}
        for member in members.values():
            location = member.serialization
            if location.get("location") == "querystring":
                arguments[location["name"]] = ""
            elif location.get("location") == "header":
                headers.add(location["name"].lower())
        rules.append(
            _Rule(name, (operation.http["method"], bucket, key), arguments, frozenset(headers))
        )
    return sorted(rules, key=lambda rule: -len(rule.arguments) - len(rule.headers))


def _texts(fields: Iterable[tuple[str, Any]]) -> Iterator[str]:
    for name, value in fields:
        if isinstance(value, dict):
            yield from _texts(value.items())
        elif _SEARCHABLE.search(name):
            values = value if isinstance(value, list) else [value]
            yield from (item for item in values if isinstance(item, str))


def _json(body: bytes) -> Mapping[str, Any]:
    try:
        document = json.loads(body)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _resource_name(parameters: Mapping[str, Any]) -> str:
    for name in _RESOURCE_PARAMETERS:
        value = parameters.get(name)
        if isinstance(value, str):
            return value[:_RESOURCE_CHARACTERS]
    return ""
