"""Grants of the keys that the templates make, taken away one by one; keys that cannot be used."""

from __future__ import annotations

import json
from typing import Any

from tests.support.misconfigurations.case import (
    SUFFIX,
    Case,
    Hands,
    with_denial,
    with_fields,
    without,
)

#: What the installation of these cases is deployed with.
SETTINGS = {f"XACCT_{name}_KEY": "create" for name in ("INPUT", "EXPORT", "PROCESSING", "SECRET")}
_STRANGER = {"AWS": "arn:aws:iam::222222222222:root"}

# Check, account, alias, and the statements for the roles.
_KEYS = (
    (
        *("key of the raw bucket", "a", f"alias/xacct-raw-{SUFFIX}"),
        ("GlueReadsRawObjects", "OrchestratorReadsRawObjects"),
    ),
    (
        *("key of the export bucket", "a", f"alias/xacct-export-{SUFFIX}"),
        ("RoleAWritesExports", "OrchestratorReadsExports", "OrchestratorFindsKey"),
    ),
    (
        *("key of the working bucket", "b", f"alias/xacct-processing-{SUFFIX}"),
        (
            "GlueUsesWorkingBucket",
            "OrchestratorUsesWorkingBucket",
            "RoleBReadsTemporaryFiles",
        ),
    ),
    (
        *("key of the login", "b", f"alias/xacct-login-{SUFFIX}"),
        ("GlueReadsLogin", "OrchestratorReadsLogin"),
    ),
)


def cases() -> list[Case]:
    found = []
    for check, account, alias, sids in _KEYS:
        found += [
            _policy(check, account, alias, f"{sid} removed", without(sid), sid) for sid in sids
        ]
        other = with_fields(sids[0], Principal=_STRANGER)
        found += [
            _policy(check, account, alias, f"{sids[0]} for another", other, sids[0], "Principal"),
            _policy(
                check,
                account,
                alias,
                "the orchestrator is denied",
                with_denial("kms:Decrypt", Principal={"AWS": _role("orchestrator")}),
                "denies",
            ),
            Case(f"{check}: disabled", check, _disable(account, alias), ("disabled",)),
        ]
    return [
        *found,
        Case(
            "key of the working bucket: pending deletion",
            "key of the working bucket",
            lambda hands: _kms(hands, "b").schedule_key_deletion(
                KeyId=_arn(_kms(hands, "b"), f"alias/xacct-processing-{SUFFIX}")
            ),
            ("pending deletion",),
        ),
    ]


def _role(name: str) -> str:
    return f"arn:aws:iam::222222222222:role/xacct-{name}-{SUFFIX}"


def _kms(hands: Hands, account: str) -> Any:
    return getattr(hands, account)("kms")


def _arn(kms: Any, alias: str) -> str:
    return str(kms.describe_key(KeyId=alias)["KeyMetadata"]["Arn"])


def _policy(check: str, account: str, alias: str, what: str, change: Any, *names: str) -> Case:
    def make(hands: Hands) -> None:
        kms = _kms(hands, account)
        arn = _arn(kms, alias)
        document = json.loads(kms.get_key_policy(KeyId=arn, PolicyName="default")["Policy"])
        change(document["Statement"])
        kms.put_key_policy(KeyId=arn, PolicyName="default", Policy=json.dumps(document))

    return Case(f"{check}: {what}", check, make, names)


def _disable(account: str, alias: str) -> Any:
    def make(hands: Hands) -> None:
        kms = _kms(hands, account)
        kms.disable_key(KeyId=_arn(kms, alias))

    return make
