"""Which AWS operation an HTTP request is, as botocore names services and operations.

Told from the request alone, before anything is done: by the ``X-Amz-Target`` header, by the form's
``Action``, and for S3 by method, path and query as botocore's own service model describes them.
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

BODY_BYTES = 64 * 1024
"""As much of a body as is looked at: a request's names stand at its beginning, uploads are data."""

_TARGETS = {
    "AWSGlue": "glue",
    "AmazonSQS": "sqs",
    "Logs_20140328": "logs",
    "RedshiftData": "redshift-data",
    "RedshiftServerless": "redshift-serverless",
    "secretsmanager": "secretsmanager",
}

_CREDENTIAL_SCOPE = re.compile(r"Credential=[^/]+/[^/]+/[^/]+/([^/]+)/")

# What a request of the services above is about, the first that it has.
_NAMES = (
    "JobName",
    "CrawlerName",
    "Name",
    "TableName",
    "DatabaseName",
    "SecretId",
    "QueueUrl",
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
_NAMING = re.compile(r"(?:name|id|ids|arn|url|uri|sql|sqls|prefix)$", re.IGNORECASE)
_RESOURCE_CHARACTERS = 200


@dataclass(frozen=True)
class AwsRequest:
    """``service`` and ``operation`` as botocore has them; ``resource``: a key, a name, SQL text."""

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
    """The operation that a request asks for.

    Args:
        headers: names in lower case.
        query: as ``parse_qs(..., keep_blank_values=True)`` gives it.
        body: its beginning; S3 needs none.

    Returns:
        ``operation`` is ``METHOD path`` where nothing better is known.
    """
    prefix, _, operation = headers.get("x-amz-target", "").rpartition(".")
    if operation:
        service = _TARGETS.get(prefix.partition(".")[0], prefix.partition("_")[0].lower())
        return AwsRequest(service, operation, _named(_json(body)))
    found = _CREDENTIAL_SCOPE.search(headers.get("authorization", ""))
    service = found[1] if found else "s3"
    if service == "s3":
        bucket, _, key = path.lstrip("/").partition("/")
        return AwsRequest("s3", s3_operation(method, path, headers, query), f"{bucket}/{key}")
    form = {name: values[0] for name, values in query.items() if values}
    if "x-www-form-urlencoded" in headers.get("content-type", ""):
        form.update({name: v[0] for name, v in parse_qs(body.decode("latin-1")).items()})
    action = form.get("Action")
    return AwsRequest(service, action or f"{method} {path}", _named(form))


def mentions(
    path: str,
    headers: Mapping[str, str],
    query: Mapping[str, Sequence[str]],
    body: bytes = b"",
) -> str:
    """Every name, path, URL and SQL text in a request, for looking something up in it.

    Nothing else of it is given: requests hold secrets too.
    """
    if not needs_body(headers):
        return path.lstrip("/") + "".join(query.get("prefix", ()))
    if "x-amz-target" in headers:
        return " ".join(_texts(_json(body).items()))
    return " ".join(_texts(parse_qs(body.decode("latin-1")).items()))


def needs_body(headers: Mapping[str, str]) -> bool:
    """Whether the beginning of the body says something that the rest of the request does not."""
    return "x-amz-target" in headers or "x-www-form-urlencoded" in headers.get("content-type", "")


def s3_operation(
    method: str, path: str, headers: Mapping[str, str], query: Mapping[str, Sequence[str]]
) -> str:
    """S3's operation for a path-style request: of those that fit, the most particular one."""
    bucket, _, key = path.lstrip("/").partition("/")
    shape = (method, bool(bucket), bool(key))
    for rule in _s3_rules():
        if rule.shape == shape and rule.fits(headers, query):
            return rule.operation
    return f"{method} {path}"


@dataclass(frozen=True)
class _Rule:
    operation: str
    shape: tuple[str, bool, bool]
    """Method; is there a bucket, is there a key."""
    arguments: Mapping[str, str]
    """Query arguments the request must have; "" for any value."""
    headers: frozenset[str]

    def fits(self, headers: Mapping[str, str], query: Mapping[str, Sequence[str]]) -> bool:
        return self.headers <= headers.keys() and all(
            name in query and (not value or value in query[name])
            for name, value in self.arguments.items()
        )


@functools.cache
def _s3_rules() -> list[_Rule]:
    """From the service model, the most particular first."""
    model = botocore.session.get_session().get_service_model("s3")
    rules = []
    for name in sorted(model.operation_names):
        operation = model.operation_model(name)
        if operation.deprecated:
            continue  # on the wire it is the one that took its place
        uri, _, literal = operation.http["requestUri"].partition("?")
        bucket, key = "{Bucket}" in uri, "{Key+}" in uri
        if uri.strip("/") and not bucket:
            continue  # S3 Object Lambda's answer, which has a host of its own
        arguments = {n: v[0] for n, v in parse_qs(literal, keep_blank_values=True).items()}
        headers = set()
        shape = operation.input_shape
        for member in shape.required_members if shape else ():
            place = shape.members[member].serialization
            if place.get("location") == "querystring":
                arguments[place["name"]] = ""
            elif place.get("location") == "header":
                headers.add(place["name"].lower())
        rules.append(
            _Rule(name, (operation.http["method"], bucket, key), arguments, frozenset(headers))
        )
    return sorted(rules, key=lambda rule: -len(rule.arguments) - len(rule.headers))


def _texts(fields: Iterable[tuple[str, Any]]) -> Iterator[str]:
    for name, value in fields:
        if isinstance(value, dict):
            yield from _texts(value.items())
        elif _NAMING.search(name):
            values = value if isinstance(value, list) else [value]
            yield from (item for item in values if isinstance(item, str))


def _json(body: bytes) -> Mapping[str, Any]:
    try:
        document = json.loads(body)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _named(fields: Mapping[str, Any]) -> str:
    found = next((fields[name] for name in _NAMES if isinstance(fields.get(name), str)), "")
    return found[:_RESOURCE_CHARACTERS]
