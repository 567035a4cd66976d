"""Finds the principal behind an access key: its policies, its limits, its condition keys."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from xacct_sandbox.emulator.authorization.conditions import Values
from xacct_sandbox.emulator.authorization.documents import (
    Kind,
    MalformedPolicy,
    Policy,
    Statement,
    parse,
)
from xacct_sandbox.emulator.authorization.evaluation import Caller
from xacct_sandbox.emulator.loader import Emulator

# What a stored document counts as that AWS would not have stored.
_DENIES_ALL: Policy = (
    Statement(
        allows=False,
        actions=("*",),
        not_actions=(),
        resources=("*",),
        not_resources=(),
        principals=(("AWS", "*"),),
        principals_are_excluded=False,
        conditions=(),
        variables=False,
    ),
)

_PRINCIPAL_TYPES = {"Root": "Account"}


@dataclass(frozen=True)
class Principal:
    """A caller, and the condition keys that describe it, in lower case."""

    caller: Caller
    keys: Mapping[str, Values]


ANONYMOUS = Principal(Caller(), {"aws:principaltype": "Anonymous", "aws:userid": "anonymous"})


def stored_policy(document: str | Mapping[str, Any] | None, kind: Kind) -> Policy:
    """The policy in a stored document; one that AWS would have refused denies everything."""
    if not document:
        return ()
    try:
        return parse(document, kind)
    except MalformedPolicy:
        return _DENIES_ALL


def principal_of_key(emulator: Emulator, access_key: str, credential: Any = None) -> Any:
    """The principal of an access key.

    Args:
        emulator: of this process.
        access_key: of a user, a session or (inside the emulator) a root.
        credential: the key as ministack resolved it, if it did.

    Returns:
        A ``Principal``, or ministack's ``CredentialResolutionError`` or ``AuthError``.
    """
    evaluator, session = emulator.evaluator, emulator.sts._sessions.get(access_key)
    if credential is None:
        account = (session or {}).get("AccountId") or evaluator.find_iam_access_key_account(
            access_key
        )
        credential = evaluator.resolve_credential(access_key, account)
    if not hasattr(credential, "principal_arn"):
        return credential
    caller = _caller(emulator, credential, session or {})
    if caller is None:
        # "If you delete a role and recreate it with the same name, the new one has another
        # principal id" (IAM user guide, "IAM identifiers"): its predecessor's sessions are void.
        return evaluator.AuthError(
            "InvalidClientTokenId", "The security token included in the request is invalid."
        )
    return Principal(caller, _keys(emulator, credential, caller, session or {}))


def _caller(emulator: Emulator, credential: Any, session: Mapping[str, Any]) -> Caller | None:
    account, arn, kind = credential.account_id, credential.principal_arn, credential.principal_type
    limits = _session_limits(emulator, session, account)
    if kind == "AssumedRole":
        name = arn.split(":assumed-role/", 1)[1].partition("/")[0]
        role = emulator.iam._roles.get_scoped(account, None, name)
        if role is None or role["RoleId"] != credential.principal_id.partition(":")[0]:
            return None
        return Caller(
            arn=arn,
            account=account,
            role_arn=role["Arn"],
            unique_id=role["RoleId"],
            identity=_of_entity(emulator, role, role.get("InlinePolicies") or {}, account),
            limits=_boundary(emulator, role, account) + limits,
            has_boundary=bool(role.get("PermissionsBoundary")),
        )
    if kind == "Root":
        return Caller(arn=arn, account=account, unique_id=account, is_root=True, limits=limits)
    name = credential.principal_name or session.get("PrincipalName") or ""
    user = emulator.iam._users.get_scoped(account, None, name)
    if user is None:
        federated_root = kind == "FederatedUser" and not name
        return Caller(arn=arn, account=account, is_root=federated_root, limits=limits)
    inline = emulator.iam._user_inline_policies.get_scoped(account, None, name) or {}
    return Caller(
        arn=arn,
        account=account,
        unique_id=user["UserId"] if kind == "User" else "",
        identity=_of_entity(emulator, user, inline, account) + _of_groups(emulator, name, account),
        limits=_boundary(emulator, user, account) + limits,
        has_boundary=bool(user.get("PermissionsBoundary")),
    )


def _of_entity(
    emulator: Emulator, entity: Mapping[str, Any], inline: Mapping[str, Any], account: str
) -> Policy:
    documents = [
        *inline.values(),
        *(_managed(emulator, arn, account) for arn in entity.get("AttachedPolicies") or ()),
    ]
    return _joined(documents)


def _joined(documents: Iterable[Any]) -> Policy:
    return tuple(s for document in documents for s in stored_policy(document, "identity"))


def _of_groups(emulator: Emulator, user: str, account: str) -> Policy:
    policies: Policy = ()
    with emulator.responses.request_scope(account, emulator.responses.get_region()):
        for name, group in emulator.iam._groups.items():
            if user in group.get("Users", ()):
                inline = emulator.iam._group_inline_policies.get(name) or {}
                policies += _of_entity(emulator, group, inline, account)
    return policies


def _managed(emulator: Emulator, arn: str, account: str) -> Any:
    return emulator.evaluator._resolve_managed_policy_document(arn, account)


def _boundary(emulator: Emulator, entity: Mapping[str, Any], account: str) -> tuple[Policy, ...]:
    arn = entity.get("PermissionsBoundary")
    if isinstance(arn, dict):
        arn = arn.get("PermissionsBoundaryArn")
    return (stored_policy(_managed(emulator, arn, account), "identity"),) if arn else ()


def _session_limits(
    emulator: Emulator, session: Mapping[str, Any], account: str
) -> tuple[Policy, ...]:
    passed = session.get("SessionPolicies")
    if passed is None:
        return ()
    documents = [_managed(emulator, arn, account) for arn in passed.get("PolicyArns", ())]
    return (_joined([passed.get("Policy"), *documents]),)


def _keys(
    emulator: Emulator, credential: Any, caller: Caller, session: Mapping[str, Any]
) -> dict[str, Values]:
    keys: dict[str, Values] = dict(emulator.evaluator._principal_keys(credential))
    kind = credential.principal_type
    keys["aws:principaltype"] = _PRINCIPAL_TYPES.get(kind, kind)
    keys["aws:principalaccount"] = caller.account
    keys["aws:principalarn"] = caller.role_arn or caller.arn
    keys["aws:principalisawsservice"] = "false"
    if session.get("SourceIdentity"):
        keys["aws:sourceidentity"] = session["SourceIdentity"]
    return keys


def service_principal(service: str) -> Principal:
    """An AWS service that acts for itself."""
    return Principal(
        Caller(service=service),
        {
            "aws:principalisawsservice": "true",
            "aws:principalservicename": service,
            "aws:principaltype": "AWSService",
        },
    )


def role_of_arn(emulator: Emulator, arn: str) -> dict[str, Any] | None:
    """The stored role with an ARN, path included."""
    match = re.fullmatch(r"arn:aws:iam::(\d{12}):role/(?:.*/)?([^/]+)", arn)
    if match is None:
        return None
    role: dict[str, Any] | None = emulator.iam._roles.get_scoped(match[1], None, match[2])
    return role if role and role["Arn"] == arn else None
