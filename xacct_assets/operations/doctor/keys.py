"""The KMS keys that the templates make: they can be used, and by whom the template says.

The policy of a key that was adopted is its owner's: what it allows is proven by doing.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from xacct_assets.aws.botocore_errors import aws_call
from xacct_assets.aws.errors import InvalidRequest, NotFound
from xacct_assets.key_settings import CREATE, IN_ACCOUNT_A, KeyKind
from xacct_assets.operations.doctor.comparison import require_policy

if TYPE_CHECKING:
    from xacct_assets.operations.deployment.plan import Account
    from xacct_assets.operations.doctor.installation import Installation

#: What each key is of, and its resource in the template. CloudWatch's use of the key of log groups
#: concerns no role.
MADE: dict[KeyKind, tuple[str, str]] = {
    "input": ("key of the raw bucket", "RawBucketKey"),
    "export": ("key of the export bucket", "ExportsBucketKey"),
    "processing": ("key of the working bucket", "WorkingBucketKey"),
    "secret": ("key of the login", "LoginKey"),
}


def made(here: Installation) -> dict[KeyKind, str]:
    """The keys that the templates make here, and what each is of."""
    return {kind: what for kind, (what, _) in MADE.items() if _value(here, kind) == CREATE}


def key(here: Installation, kind: KeyKind) -> str:
    """A key is enabled, and its policy has every statement of the template."""
    owner, kms = _owner(here, kind)
    arn, state = _described(here, kind, kms, owner)
    letter: Account = "a" if kind in IN_ACCOUNT_A else "b"
    deploy = f"`xacct deploy --account {letter}`"
    if state == "PendingDeletion":
        raise InvalidRequest(
            f"{arn} is pending deletion: what is encrypted with it will be lost",
            account=owner,
            fix=f"`aws kms cancel-key-deletion --key-id {arn}` and `aws kms enable-key --key-id "
            f"{arn}`, as account {owner}",
        )
    if state != "Enabled":
        raise InvalidRequest(f"{arn} is {state.lower()}", account=owner, fix=f"{deploy} enables it")
    template = here.template_a() if letter == "a" else here.template_b()
    expected = template.properties(MADE[kind][1])["KeyPolicy"]
    with aws_call("kms:GetKeyPolicy", arn, account=owner):
        present = json.loads(kms.get_key_policy(KeyId=arn, PolicyName="default")["Policy"])
    require_policy(arn, expected, present, owner, letter)
    return f"{arn}: enabled, its policy has its {len(expected['Statement'])} statements"


def arn_of(here: Installation, kind: KeyKind) -> str:
    """The ARN of a key of the installation; "" if none is set."""
    value = _value(here, kind)
    if value != CREATE:
        return value
    owner, kms = _owner(here, kind)
    return _described(here, kind, kms, owner)[0]


def _value(here: Installation, kind: KeyKind) -> str:
    return str(getattr(here.settings.keys, kind))


def _owner(here: Installation, kind: KeyKind) -> tuple[str, Any]:
    if kind in IN_ACCOUNT_A:
        return here.settings.account_a, here.admin_of_a().client("kms")
    return here.settings.account_b, here.aws.client("kms")


def _described(here: Installation, kind: KeyKind, kms: Any, owner: str) -> tuple[str, str]:
    """ARN and state of a key that a template made."""
    alias = here.settings.alias_of(kind)
    try:
        with aws_call("kms:DescribeKey", alias, account=owner):
            found = kms.describe_key(KeyId=alias)["KeyMetadata"]
    except NotFound as absent:
        letter = "a" if kind in IN_ACCOUNT_A else "b"
        raise NotFound(
            f"there is no key {alias}", account=owner, fix=f"`xacct deploy --account {letter}`"
        ) from absent
    return found["Arn"], str(found["KeyState"])
