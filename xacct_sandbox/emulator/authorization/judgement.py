"""Decides a check for a principal: finds the resource, its owner, its policy and the keys."""

from __future__ import annotations

import contextvars
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from xacct_sandbox.emulator.authorization import condition_keys
from xacct_sandbox.emulator.authorization.callers import (
    Principal,
    role_of_arn,
    stored_policy,
)
from xacct_sandbox.emulator.authorization.checks import Check
from xacct_sandbox.emulator.authorization.conditions import Values
from xacct_sandbox.emulator.authorization.evaluation import (
    Decision,
    Request,
    Resource,
    UnknownKey,
    decide,
)
from xacct_sandbox.emulator.authorization.key_checks import key_policy
from xacct_sandbox.emulator.loader import Emulator

request_keys: contextvars.ContextVar[Mapping[str, Values]] = contextvars.ContextVar(
    "sandbox_request_keys", default=MappingProxyType({})
)
"""Condition keys of the current HTTP request: user agent, referer, tags, TLS."""

_ROLE_ACTIONS = ("sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity")


@dataclass(frozen=True)
class Verdict:
    """A decision about one check.

    Attributes:
        owner: the account of the resource, "" if it has none.
    """

    check: Check
    decision: Decision
    owner: str


def judge(
    emulator: Emulator, principal: Principal, check: Check, keys: Mapping[str, Values] | None = None
) -> Verdict:
    """Decides whether a principal may do something.

    Args:
        emulator: of this process.
        principal: who.
        check: what.
        keys: condition keys beyond those of the principal, the check and the HTTP request.
    """
    if check.action in _ROLE_ACTIONS:
        return _judge_role(emulator, principal, check, keys or {})
    owner, policy = _resource_policy(emulator, check)
    resource = Resource(check.resource, owner, policy)
    values = _Values(emulator, principal, check, owner, keys or {})
    # "No AWS principal has any permissions to a KMS key unless that permission is provided
    # explicitly", by its policy, within its account too (KMS developer guide, "Key policies").
    decision = decide(
        Request(principal.caller, check.action, resource, values.value_of),
        resource_must_allow=":key/" in check.resource and check.action.startswith("kms:"),
    )
    if check.action.startswith("s3:") and owner and owner != principal.caller.account:
        decision = _for_foreign_bucket(emulator, principal, check, owner, decision)
    return Verdict(check, decision, owner)


def _judge_role(
    emulator: Emulator, principal: Principal, check: Check, keys: Mapping[str, Values]
) -> Verdict:
    """A role's trust policy must allow its use, within its account too (``AssumeRole``)."""
    role = role_of_arn(emulator, check.resource)
    if role is None:
        return Verdict(check, Decision(False, by="resource"), "")
    owner = role["Arn"].split(":")[4]
    trust = stored_policy(role.get("AssumeRolePolicyDocument"), "trust")
    values = _Values(emulator, principal, check, owner, keys)
    request = Request(
        principal.caller, check.action, Resource(role["Arn"], owner, trust), values.value_of
    )
    return Verdict(check, decide(request, resource_must_allow=True), owner)


# -- resources ---------------------------------------------------------------------------------


def _resource_policy(emulator: Emulator, check: Check) -> tuple[str, Any]:
    """The account that owns a resource, and the policy that it has itself."""
    arn, region = check.resource, emulator.responses.get_region()
    if arn.startswith("arn:aws:s3:::"):
        bucket = arn.removeprefix("arn:aws:s3:::").partition("/")[0]
        owner = emulator.s3._bucket_owner_account(bucket)
        if owner is None or check.action == "s3:CreateBucket":
            return "", None
        document = emulator.s3._bucket_policies.get_scoped(owner, None, bucket)
        return owner, stored_policy(document, "resource")
    parts = arn.split(":")
    owner = parts[4] if len(parts) > 5 and re.fullmatch(r"\d{12}", parts[4]) else ""
    if arn.startswith("arn:aws:sqs:"):
        queue = emulator.sqs._queue_by_arn(arn)
        document = queue["attributes"].get("Policy") if queue else None
        return owner, stored_policy(document, "resource")
    if arn.startswith("arn:aws:sns:"):
        topic = emulator.sns._topic_by_arn_any_scope(arn)
        document = topic["attributes"].get("Policy") if topic else None
        return owner, stored_policy(document, "resource")
    if arn.startswith("arn:aws:secretsmanager:") and owner:
        with emulator.responses.request_scope(owner, region):
            document = emulator.secrets._resource_policies.get(arn)
        return owner, stored_policy(document, "resource")
    if arn.startswith("arn:aws:kms:") and ":key/" in arn:
        return owner, stored_policy(key_policy(emulator, arn), "resource")
    return owner, None


def _for_foreign_bucket(
    emulator: Emulator, principal: Principal, check: Check, owner: str, decision: Decision
) -> Decision:
    """Block Public Access and, without a bucket policy, ACLs decide about another's bucket."""
    s3 = emulator.s3
    bucket, _, key = check.resource.removeprefix("arn:aws:s3:::").partition("/")
    document = s3._bucket_policies.get_scoped(owner, None, bucket)
    if document:
        public = (
            decision.allowed and not principal.caller.service and s3._policy_is_public(document)
        )
        if public and s3._public_access_blocked(owner, bucket, "RestrictPublicBuckets"):
            return Decision(False, by="resource")
        return decision
    method = _ACL_METHODS.get(check.action)
    if method is None or decision.explicit or principal.caller.service:
        return decision
    if principal.caller.account:
        own = Request(
            principal.caller,
            check.action,
            Resource(check.resource),
            _Values(emulator, principal, check, owner, {}).value_of,
        )
        if not decide(own).allowed:
            return decision
    granted = emulator.acl_allows(owner, bucket, key, method, {}, principal.caller.account, {})
    return Decision(True, by="resource") if granted else decision


_ACL_METHODS = {
    "s3:DeleteObject": "DELETE",
    "s3:GetObject": "GET",
    "s3:ListBucket": "GET",
    "s3:PutObject": "PUT",
}


def tags_of(emulator: Emulator, arn: str, owner: str) -> dict[str, str]:
    """The tags of a resource."""
    if ":role/" in arn:
        role = role_of_arn(emulator, arn) or {}
        return {tag["Key"]: tag["Value"] for tag in role.get("Tags") or ()}
    if ":user/" in arn and arn.startswith("arn:aws:iam:"):
        user = emulator.iam._users.get_scoped(owner, None, arn.rpartition("/")[2]) or {}
        return {tag["Key"]: tag["Value"] for tag in user.get("Tags") or ()}
    bucket_or_arn = arn
    if arn.startswith("arn:aws:s3:::"):
        return {}  # General purpose buckets have tag conditions only if ABAC is enabled.
    region = emulator.responses.get_region()
    scope = owner or emulator.responses.get_account_id()
    with emulator.responses.request_scope(scope, region):
        tags: dict[str, str] | None = emulator.tagging.resource_tags(bucket_or_arn)
    return tags or {}


# -- condition keys ----------------------------------------------------------------------------

_TAG_PREFIXES = ("aws:resourcetag/", "iam:resourcetag/", "secretsmanager:resourcetag/")


class _Values:
    """The condition keys of one check."""

    def __init__(
        self,
        emulator: Emulator,
        principal: Principal,
        check: Check,
        owner: str,
        keys: Mapping[str, Values],
    ) -> None:
        self._emulator, self._check, self._owner = emulator, check, owner
        self._principal = principal
        self._sources = (check.keys, keys, principal.keys, request_keys.get())
        self._tags: dict[str, str] | None = None

    def value_of(self, key: str) -> Values | None:
        """The value of a key in lower case.

        Raises:
            UnknownKey: the sandbox cannot know it.
        """
        for source in self._sources:
            if key in source:
                return source[key]
        if key.startswith(_TAG_PREFIXES):
            return self._tag(key)
        if key in ("aws:currenttime", "aws:epochtime"):
            return condition_keys.time_value(key)
        if key == "aws:requestedregion":
            return str(self._emulator.responses.get_region())
        if key in ("aws:resourceaccount", "s3:resourceaccount"):
            return self._owner or self._principal.caller.account or None
        if key == "aws:viaawsservice":
            return "false"
        if key in ("aws:sourceip", "aws:securetransport"):
            address, secure = self._emulator.evaluator._request_origin.get()
            return str(address) if key == "aws:sourceip" else str(bool(secure)).lower()
        unfilled = key == "iam:associatedresourcearn" and self._check.action == "iam:PassRole"
        if unfilled or not condition_keys.is_known(key):
            raise UnknownKey(key)
        return None

    def _tag(self, key: str) -> str | None:
        if key.startswith("iam:") and not self._check.resource.startswith("arn:aws:iam:"):
            return None
        if self._tags is None:
            tags = tags_of(self._emulator, self._check.resource, self._owner)
            self._tags = {name.lower(): value for name, value in tags.items()}
        return self._tags.get(key.partition("/")[2])
