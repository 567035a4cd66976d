"""The roles: their trust and their policies, statement by statement, compared with the template."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from xacct_assets.aws.botocore_errors import aws_call
from xacct_assets.aws.errors import InvalidRequest, NotFound
from xacct_assets.operations.deployment.templates import Template
from xacct_assets.operations.doctor.comparison import policy_differences

if TYPE_CHECKING:
    from mypy_boto3_iam.client import IAMClient

    from xacct_assets.operations.deployment.plan import Account
    from xacct_assets.operations.doctor.installation import Installation


def role_of_b(here: Installation, logical_id: str) -> str:
    """A role of account B is as its template says."""
    settings = here.settings
    iam = here.aws.client("iam")
    return _role(iam, here.template_b(), logical_id, settings.account_b, "b")


def role_a(here: Installation) -> str:
    """RoleA is as its template says."""
    iam = here.admin_of_a().client("iam")
    return _role(iam, here.template_a(), "RoleA", here.settings.account_a, "a")


def _role(iam: IAMClient, template: Template, logical_id: str, owner: str, account: Account) -> str:
    expected = template.properties(logical_id)
    name = expected["RoleName"]
    deploy = f"`xacct deploy --account {account}`"
    try:
        with aws_call("iam:GetRole", f"role {name}", account=owner):
            role: Mapping[str, Any] = iam.get_role(RoleName=name)["Role"]
    except NotFound as absent:
        # Account A's policies name the roles of account B by their ids: a new one is another.
        fix = "`xacct deploy`" if account == "b" else deploy
        raise NotFound(f"there is no role {name}", account=owner, fix=fix) from absent
    policies = _policies(iam, name, owner)
    problems = list(_problems(expected, role, policies))
    if problems:
        raise InvalidRequest(
            f"role {name} is not as infra/account_{account}.yaml says: {'; '.join(problems)}",
            account=owner,
            fix=f"{deploy} restores {role['Arn']}" + _statements(expected, role, policies),
        )
    return f"{name}: trust and {len(expected['Policies'])} policies are as deployed"


def _policies(iam: IAMClient, name: str, owner: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    with aws_call("iam:ListRolePolicies", f"role {name}", account=owner):
        names = iam.list_role_policies(RoleName=name)["PolicyNames"]
    for policy in names:
        with aws_call("iam:GetRolePolicy", f"role {name}", account=owner):
            answer = iam.get_role_policy(RoleName=name, PolicyName=policy)
        found[policy] = _document(answer["PolicyDocument"])
    return found


def _document(value: Any) -> dict[str, Any]:
    return json.loads(value) if isinstance(value, str) else dict(value)


def _problems(
    expected: Mapping[str, Any], role: Mapping[str, Any], policies: Mapping[str, Any]
) -> Iterator[str]:
    trust = _document(role["AssumeRolePolicyDocument"])
    for problem in policy_differences(expected["AssumeRolePolicyDocument"], trust):
        yield f"trust policy, {problem}"
    wanted = {policy["PolicyName"]: policy["PolicyDocument"] for policy in expected["Policies"]}
    for name, document in wanted.items():
        if name not in policies:
            yield f"policy {name} is missing"
            continue
        for problem in policy_differences(document, policies[name]):
            yield f"policy {name}, {problem}"
    for name, document in policies.items():
        if name not in wanted:
            for problem in policy_differences({"Statement": []}, document):
                yield f"policy {name}, {problem}"
    if boundary := role.get("PermissionsBoundary"):
        yield f"it has the permissions boundary {boundary.get('PermissionsBoundaryArn')}"


def _statements(
    expected: Mapping[str, Any], role: Mapping[str, Any], policies: Mapping[str, Any]
) -> str:
    """The documents that differ, as they should be, for who cannot deploy."""
    texts = []
    trust = expected["AssumeRolePolicyDocument"]
    if policy_differences(trust, _document(role["AssumeRolePolicyDocument"])):
        texts.append(f"its trust policy: {_json(trust)}")
    for policy in expected["Policies"]:
        name, document = policy["PolicyName"], policy["PolicyDocument"]
        if name not in policies or policy_differences(document, policies[name]):
            texts.append(f"its policy {name}: {_json(document)}")
    return f"; by hand, {'; '.join(texts)}" if texts else ""


def _json(document: Any) -> str:
    return json.dumps(document, default=str)
