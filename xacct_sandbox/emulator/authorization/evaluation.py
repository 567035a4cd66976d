"""Decides one action on one resource (IAM user guide, "Policy evaluation logic").

Facts are from its pages "Policy evaluation for requests within a single account", "Cross-account
policy evaluation logic", "How AWS enforcement code logic evaluates requests to allow or deny
access", and "AWS JSON policy elements: Principal" and "NotPrincipal".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from xacct_sandbox.emulator.authorization import conditions
from xacct_sandbox.emulator.authorization.conditions import Values
from xacct_sandbox.emulator.authorization.documents import Condition, Policy, Statement

Named = Literal["", "account", "role", "directly"]
"""How a principal element names a caller: not at all, by its account, by its role, or as the user
or the session itself or anyone."""

_ORDER: tuple[Named, ...] = ("", "account", "role", "directly")


@dataclass(frozen=True)
class Caller:
    """The principal of a request, and what limits it.

    Attributes:
        arn: of the user, the session or the root; "" for an anonymous caller or a service.
        account: its account; "" for an anonymous caller or a service.
        role_arn: for a session, the ARN of its role with its path.
        unique_id: of the user or the role, as policies show a deleted principal.
        service: the service principal, for a call of an AWS service.
        is_root: whether it is the root of its account, which may do everything in it.
        identity: all policies attached to it.
        limits: its permissions boundary and its session policies; each must allow.
        has_boundary: whether one of the limits is a permissions boundary.
    """

    arn: str = ""
    account: str = ""
    role_arn: str = ""
    unique_id: str = ""
    service: str = ""
    is_root: bool = False
    identity: Policy = ()
    limits: tuple[Policy, ...] = ()
    has_boundary: bool = False

    def named_by(self, kind: str, name: str) -> Named:
        """How one entry of a Principal element names this caller."""
        if kind == "Service":
            return "directly" if self.service and name == self.service else ""
        if kind != "AWS":
            return ""
        if name == "*":
            # "Permissions boundaries and session policies do not limit permissions granted …
            # with a wildcard (*) in the Principal element" (IAM role principals).
            return "directly"
        if not self.arn:
            return ""
        if name == self.arn:
            return "account" if self.is_root else "directly"
        if name in (self.account, f"arn:aws:iam::{self.account}:root"):
            return "account"
        if self.role_arn and name in (self.role_arn, self.unique_id):
            return "role"
        return "directly" if name == self.unique_id else ""


@dataclass(frozen=True)
class Resource:
    """What is acted upon.

    Attributes:
        arn: its ARN, or ``*`` for an action without a resource.
        account: the account that owns it; "" if that is the caller's.
        policy: its own policy; None without one.
    """

    arn: str
    account: str = ""
    policy: Policy | None = None


@dataclass(frozen=True)
class Decision:
    """A decision.

    Attributes:
        allowed: whether the action is allowed.
        explicit: whether a Deny statement decided.
        by: the kind of policy that decided, for the message.
        unknown_key: a condition key that the sandbox cannot know; the action is then denied.
    """

    allowed: bool
    explicit: bool = False
    by: Literal["identity", "resource", "boundary", "session"] = "identity"
    unknown_key: str = ""


class UnknownKey(Exception):
    """A policy names a condition key whose value the sandbox cannot know."""


@dataclass(frozen=True)
class Request:
    """One action on one resource by one caller.

    Attributes:
        value_of: the value of a condition key in lower case, None if the request has none.

    Raises:
        UnknownKey: by ``value_of``, if it cannot know.
    """

    caller: Caller
    action: str
    resource: Resource
    value_of: Callable[[str], Values | None] = field(default=lambda _key: None)


def decide(request: Request, *, resource_must_allow: bool = False) -> Decision:
    """Decides a request.

    Args:
        request: the action, the resource and the caller.
        resource_must_allow: whether the resource's own policy must allow the action even within
            its account, as a role's trust policy must.
    """
    try:
        return _decide(request, resource_must_allow)
    except UnknownKey as unknown:
        return Decision(False, explicit=True, unknown_key=str(unknown))


def _decide(request: Request, resource_must_allow: bool) -> Decision:
    caller, resource = request.caller, request.resource
    for kind, policy in (
        ("identity", caller.identity),
        *(("boundary", limit) for limit in caller.limits),
        ("resource", resource.policy or ()),
    ):
        if any(not s.allows and _applies(request, s, kind == "resource") for s in policy):
            return Decision(False, explicit=True, by=kind)  # type: ignore[arg-type]
    named = _named_by_allow(request)
    within_limits = all(_allows(request, limit) for limit in caller.limits)
    identity = caller.is_root or (_allows(request, caller.identity) and within_limits)
    if resource.account not in ("", caller.account):
        if not identity and caller.account:
            return Decision(False)
        # Anonymous callers and services have no policies of their own.
        return Decision(bool(named), by="resource")
    if named == "directly" or (named == "role" and within_limits):
        return Decision(True, by="resource")
    if resource_must_allow and not named:
        return Decision(False, by="resource")
    return Decision(identity)


def _allows(request: Request, policy: Policy) -> bool:
    return any(s.allows and _applies(request, s, with_principal=False) for s in policy)


def _named_by_allow(request: Request) -> Named:
    """How the Allow statements of the resource's policy name the caller, at best."""
    best: Named = ""
    for statement in request.resource.policy or ():
        if statement.allows:
            named = _named(request.caller, statement)
            if _ORDER.index(named) > _ORDER.index(best) and _applies(request, statement, True):
                best = named
    return best


def _named(caller: Caller, statement: Statement) -> Named:
    return max(
        (caller.named_by(kind, name) for kind, name in statement.principals),
        key=_ORDER.index,
        default="",
    )


def _applies(request: Request, statement: Statement, with_principal: bool) -> bool:
    if with_principal and not _principal_matches(request.caller, statement):
        return False
    return (
        _action_matches(request.action, statement)
        and _resource_matches(request, statement)
        and all(_condition_holds(request, test, statement) for test in statement.conditions)
    )


def _principal_matches(caller: Caller, statement: Statement) -> bool:
    if not statement.principals_are_excluded:
        return bool(_named(caller, statement))
    # A caller is spared only if its account, its role and itself are listed (NotPrincipal,
    # "Specifying NotPrincipal in a resource-based policy").
    names = {name for kind, name in statement.principals if kind == "AWS"}
    if caller.service:
        return ("Service", caller.service) not in statement.principals
    if not caller.arn or caller.has_boundary:
        # "NotPrincipal … with a Deny effect will always deny any IAM principal that has a
        # permissions boundary policy attached" ("Permissions boundaries for IAM entities").
        return True
    required: Sequence[set[str]] = [
        {f"arn:aws:iam::{caller.account}:root", caller.account},
        {caller.arn, caller.unique_id} if not caller.role_arn else {caller.arn},
        *([{caller.role_arn, caller.unique_id}] if caller.role_arn else []),
    ]
    return "*" not in names and not all(alternatives & names for alternatives in required)


def _action_matches(action: str, statement: Statement) -> bool:
    if statement.actions:
        return any(matches_action(action, pattern) for pattern in statement.actions)
    return not any(matches_action(action, pattern) for pattern in statement.not_actions)


def matches_action(action: str, pattern: str) -> bool:
    """Whether an element of Action covers an action."""
    return pattern == "*" or bool(conditions.pattern(pattern, ignore_case=True).fullmatch(action))


def _resource_matches(request: Request, statement: Statement) -> bool:
    if statement.resources:
        return any(_matches_resource(request, text, statement) for text in statement.resources)
    # A statement with a variable that has no value does not apply.
    return all(
        _matches_resource(request, text, statement) is False for text in statement.not_resources
    )


def _matches_resource(request: Request, text: str, statement: Statement) -> bool | None:
    """Whether a resource matches; None if that depends on a variable without a value."""
    if text == "*":
        return True
    if not statement.variables:
        return conditions.matches_arn(request.resource.arn, text)
    expanded = conditions.expand(text, request.value_of)
    if expanded is not None:
        return conditions.matches_arn(request.resource.arn, expanded)
    kind = conditions.without_resource(request.resource.arn)
    return None if conditions.matches_arn(kind, conditions.without_resource(text)) else False


def _condition_holds(request: Request, test: Condition, statement: Statement) -> bool:
    values: Sequence[str] = test.values
    if statement.variables:
        expanded = (conditions.expand(value, request.value_of) for value in values)
        values = [value for value in expanded if value is not None]
    return test.operator.holds(request.value_of(test.key), values)
