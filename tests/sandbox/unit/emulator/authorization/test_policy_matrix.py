"""Who may do what with the templates as they are: each case is decided by the sandbox's IAM.

With ``WRITE_DOCS=1`` in the environment it writes the tables of docs/security.md.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import Any

import pytest

from tests.sandbox.unit.emulator.conftest import InProcess
from tests.support import policy_matrix
from tests.support.fakes.templates import Evaluation
from tests.support.policy_matrix import (
    MATRIX,
    RESOURCES,
    ROLES,
    TRUST,
    Case,
    TrustCase,
    cases,
    of_type,
)
from xacct_sandbox import emulator
from xacct_sandbox.emulator.authorization.callers import (
    Principal,
    role_of_arn,
    service_principal,
)
from xacct_sandbox.emulator.authorization.checks import Check
from xacct_sandbox.emulator.authorization.judgement import judge
from xacct_sandbox.emulator.authorization.key_checks import find_key, use_of
from xacct_sandbox.emulator.loader import booted

LEAST = 120


@dataclass(frozen=True)
class Deployed:
    """The rendered templates in the sandbox.

    Attributes:
        keys: ARN of each key, by its logical id.
    """

    keys: dict[str, str]

    def principal(self, role: str) -> Principal:
        """A session of a role."""
        from xacct_sandbox.emulator.authorization.callers import principal_of_key
        from xacct_sandbox.emulator.roles import _new_session

        stored = role_of_arn(booted(), ROLES[role])
        assert stored is not None
        key, session = _new_session(booted(), stored, "matrix", "matrix")
        booted().sts.register_session(key, session)
        found = principal_of_key(booted(), key)
        assert isinstance(found, Principal)
        return found

    def check(self, case: Case) -> Check:
        """What is to be judged."""
        resource = RESOURCES[case.resource]
        if not case.action.startswith("kms:"):
            return Check(case.action, resource)
        logical_id, _, service = resource.partition("/")
        key = find_key(booted(), self.keys[logical_id], "")
        assert key is not None
        account = ROLES[case.who].split(":")[4]
        return use_of(booted(), case.action, key, service, account)


@pytest.fixture(scope="module")
def deployed(aws: InProcess) -> Deployed:
    """Roles, buckets and keys of the templates."""
    keys: dict[str, str] = {}
    for account, evaluated in policy_matrix.rendered():
        _make_roles(evaluated, account)
        keys |= _make_keys(aws, evaluated, account)
        for _, properties in of_type(evaluated, "AWS::S3::BucketPolicy"):
            bucket, admin = properties["Bucket"], aws.keys[account]
            assert aws.send(admin, "s3", "PUT", f"/{bucket}").status == 200
            document = json.dumps(properties["PolicyDocument"])
            query = {"policy": ""}
            made = aws.send(admin, "s3", "PUT", f"/{bucket}", query=query, body=document)
            assert made.status < 300, made.body
    return Deployed(keys)


def _make_roles(evaluated: Evaluation, account: str) -> None:
    for _, properties in of_type(evaluated, "AWS::IAM::Role"):
        name = properties["RoleName"]
        trust = json.dumps(properties["AssumeRolePolicyDocument"])
        emulator.iam(account, "CreateRole", RoleName=name, AssumeRolePolicyDocument=trust)
        for policy in properties["Policies"]:
            emulator.iam(
                account,
                "PutRolePolicy",
                RoleName=name,
                PolicyName=policy["PolicyName"],
                PolicyDocument=json.dumps(policy["PolicyDocument"]),
            )


def _make_keys(aws: InProcess, evaluated: Evaluation, account: str) -> dict[str, str]:
    keys: dict[str, str] = {}
    for logical_id, properties in of_type(evaluated, "AWS::KMS::Key"):
        policy: Any = json.dumps(properties["KeyPolicy"])
        made = aws.json_call(aws.keys[account], "TrentService.CreateKey", Policy=policy)
        assert made.status == 200, made.body
        keys[logical_id] = json.loads(made.body)["KeyMetadata"]["Arn"]
    return keys


@pytest.mark.parametrize("case", list(cases()), ids=str)
def test_the_policies_decide_so(deployed: Deployed, case: Case) -> None:
    principal, check = deployed.principal(case.who), deployed.check(case)
    verdict = judge(booted(), principal, check, case.given)
    assert verdict.decision.allowed is case.allowed, verdict


@pytest.mark.parametrize("case", TRUST, ids=str)
def test_the_trust_policies_decide_so(deployed: Deployed, case: TrustCase) -> None:
    is_role = case.caller in ROLES
    caller = deployed.principal(case.caller) if is_role else service_principal(case.caller)
    check = Check("sts:AssumeRole", ROLES[case.role])
    verdict = judge(booted(), caller, check, dict(case.given))
    assert verdict.decision.allowed is case.allowed, verdict


def test_every_role_of_every_template_is_in_it() -> None:
    roles = {
        f"arn:aws:iam::{account}:role/{properties['RoleName']}"
        for account, evaluated in policy_matrix.rendered()
        for _, properties in of_type(evaluated, "AWS::IAM::Role")
    }
    assert set(ROLES.values()) == roles
    assert set(MATRIX) == set(ROLES)
    assert len(list(cases())) + len(TRUST) >= LEAST


def test_the_document_says_so() -> None:
    text = policy_matrix.table()
    if os.environ.get("WRITE_DOCS"):
        policy_matrix.WRITTEN.write(text)
    assert policy_matrix.WRITTEN.read() == text
