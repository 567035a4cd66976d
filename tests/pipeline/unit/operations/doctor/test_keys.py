"""Doctor names a key that cannot be used, or whose policy lacks a statement, and the repair."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.support.project import ROOT
from xacct_assets.aws.errors import AwsFailure
from xacct_assets.key_settings import CREATE, KeyKind, Keys
from xacct_assets.operations.deployment.templates import Template
from xacct_assets.operations.doctor import keys
from xacct_assets.operations.doctor.installation import Installation
from xacct_assets.settings import Settings

ARN = "arn:aws:kms:us-east-1:{}:key/1234"
KINDS: list[KeyKind] = ["input", "export", "processing", "secret"]


class Kms:
    """One key, in a state, with a policy."""

    def __init__(self, arn: str, policy: dict[str, Any], state: str = "Enabled") -> None:
        self.arn, self.policy, self.state = arn, policy, state

    def describe_key(self, KeyId: str) -> dict[str, Any]:
        assert ":alias/xacct-" in KeyId
        return {"KeyMetadata": {"Arn": self.arn, "KeyState": self.state}}

    def get_key_policy(self, KeyId: str, PolicyName: str) -> dict[str, str]:
        return {"Policy": json.dumps(self.policy)}


def installation(settings: Settings, kms: Kms | None) -> Installation:
    made = Keys(**dict.fromkeys(KINDS, CREATE))
    settings = replace(settings, keys=made)

    def template(name: str, account: str) -> Template:
        text = (ROOT / "infra" / f"{name}.yaml").read_text(encoding="utf-8")
        parameters = {
            "Suffix": settings.suffix,
            "GlueRoleArn": settings.glue_role_arn,
            "OrchestratorRoleArn": settings.orchestrator_role_arn,
        }
        pseudo = {"AWS::Partition": "aws", "AWS::Region": "us-east-1", "AWS::AccountId": account}
        return Template(text, parameters, pseudo)

    clients = SimpleNamespace(client=lambda service: kms)
    return cast(
        "Installation",
        SimpleNamespace(
            settings=settings,
            aws=clients,
            admin_of_a=lambda: clients,
            template_a=lambda: template("account_a", settings.account_a),
            template_b=lambda: template("account_b", settings.account_b),
        ),
    )


def policy_of(settings: Settings, kind: KeyKind) -> dict[str, Any]:
    here = installation(settings, None)
    of_a = kind in ("input", "export")
    template = here.template_a() if of_a else here.template_b()
    return dict(template.properties(keys.MADE[kind][1])["KeyPolicy"])


def examined(settings: Settings, kind: KeyKind, policy: Any, state: str = "Enabled") -> str:
    owner = settings.account_a if kind in ("input", "export") else settings.account_b
    return keys.key(installation(settings, Kms(ARN.format(owner), policy, state)), kind)


@pytest.mark.parametrize("kind", KINDS)
def test_a_key_as_the_template_says_is_fine(settings: Settings, kind: KeyKind) -> None:
    policy = policy_of(settings, kind)
    assert f"its {len(policy['Statement'])} statements" in examined(settings, kind, policy)


@pytest.mark.parametrize("kind", KINDS)
def test_each_statement_that_is_gone_is_named(settings: Settings, kind: KeyKind) -> None:
    policy = policy_of(settings, kind)
    letter = "a" if kind in ("input", "export") else "b"
    for statement in policy["Statement"]:
        others = [one for one in policy["Statement"] if one is not statement]
        with pytest.raises(AwsFailure) as failure:
            examined(settings, kind, {**policy, "Statement": others})
        assert f"statement {statement['Sid']}" in failure.value.what
        assert (failure.value.fix or "").startswith(f"`xacct deploy --account {letter}` restores")


@pytest.mark.parametrize(
    ("state", "what", "fix"),
    [
        ("Disabled", "is disabled", "xacct deploy --account b` enables it"),
        ("PendingDeletion", "is pending deletion", "aws kms cancel-key-deletion --key-id"),
    ],
)
def test_a_key_that_cannot_be_used_is_named(
    settings: Settings, state: str, what: str, fix: str
) -> None:
    with pytest.raises(AwsFailure) as failure:
        examined(settings, "processing", policy_of(settings, "processing"), state)
    assert what in failure.value.what
    assert fix in (failure.value.fix or "")


def test_only_keys_that_the_templates_make_are_compared(settings: Settings) -> None:
    adopted = replace(settings, keys=Keys(input=ARN.format("1" * 12), export=CREATE))
    here = cast("Installation", SimpleNamespace(settings=adopted))
    assert keys.made(here) == {"export": "key of the export bucket"}
