"""Resources of network and orchestrator deleted or changed by hand; the next change reverts it."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.sandbox.unit.emulator.conftest import InProcess
from tests.sandbox.unit.emulator.stacks.conftest import Stacks, template
from tests.support import by_hand
from tests.support.by_hand import IN_USE, UNCHANGEABLE
from tests.support.fakes.templates import load_template

INFRA = Path(__file__).parents[5] / "infra"
NETWORK: Any = load_template((INFRA / "network.yaml").read_text(encoding="utf-8"))
ORCHESTRATOR: Any = load_template((INFRA / "orchestrator.yaml").read_text(encoding="utf-8"))
ASSOCIATION = "AWS::EC2::SubnetRouteTableAssociation"
ROLE = "xacct-orchestrator-hand"
READ = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "s3:ListAllMyBuckets", "Resource": "*"}],
}
BASE = template(
    Role=(
        "AWS::IAM::Role",
        {
            "RoleName": ROLE,
            "Policies": [{"PolicyName": "p", "PolicyDocument": READ}],
            "AssumeRolePolicyDocument": {
                "Version": "2012-10-17",
                "Statement": [
                    {
                        "Effect": "Allow",
                        "Principal": {"Service": "ecs-tasks.amazonaws.com"},
                        "Action": "sts:AssumeRole",
                    }
                ],
            },
        },
    ),
    Alerts=("AWS::SNS::Topic", {"TopicName": "hand"}),
    Key=(
        "AWS::KMS::Key",
        {
            "Description": "A key.",
            "Enabled": True,
            "EnableKeyRotation": True,
            "KeyPolicy": {
                "Version": "2012-10-17",
                "Statement": [
                    {
                        "Effect": "Allow",
                        "Principal": {"AWS": "arn:aws:iam::222222222222:root"},
                        "Action": "kms:*",
                        "Resource": "*",
                    }
                ],
            },
        },
    ),
    KeyAlias=("AWS::KMS::Alias", {"AliasName": "alias/hand", "TargetKeyId": {"Ref": "Key"}}),
)
TEMPLATES = {"base": BASE, "network": NETWORK, "nat": NETWORK, "orchestrator": ORCHESTRATOR}
PUBLIC = {
    "PublicHostName": "dagster.example.com",
    "CertificateArn": "arn:aws:acm:us-east-1:222222222222:certificate/1",
    "OidcIssuer": "https://login.example.com",
    "OidcAuthorizationEndpoint": "https://login.example.com/a",
    "OidcTokenEndpoint": "https://login.example.com/t",
    "OidcUserInfoEndpoint": "https://login.example.com/u",
    "OidcClientId": "dagster",
}
# Of the other types are those of `drifting.py`; load balancers have no API in the sandbox.
TYPES = ("EC2", "ECR", "ECS", "IAM", "KMS", "RDS", "ServiceDiscovery")
# There is no workgroup here.
FREE = ("WarehouseSecurityGroup", "WarehouseSubnetTwo", "WarehouseSubnetThree")


def values(stacks: Stacks, name: str) -> dict[str, str]:
    """The parameters of a stack."""
    if name == "base":
        return {}
    if name == "nat":
        return {"Suffix": "nat", "NatGateway": "true"}
    if name == "network":
        return {"Suffix": "hand", "PublicSubnets": "true"}
    found = outputs(stacks, "network")
    required = {
        key: "x" for key, given in ORCHESTRATOR["Parameters"].items() if "Default" not in given
    }
    secret = stacks.client("secretsmanager").describe_secret(SecretId="hand-oidc")["ARN"]
    return {
        **required,
        **PUBLIC,
        "OidcClientSecretArn": secret,
        "Suffix": "hand",
        "Image": "222222222222.dkr.ecr.us-east-1.amazonaws.com/xacct-hand:1",
        "OrchestratorRoleArn": f"arn:aws:iam::222222222222:role/{ROLE}",
        "AlertsTopicArn": "arn:aws:sns:us-east-1:222222222222:hand",
        "VpcId": found["OrchestratorVpcId"],
        "SubnetIds": found["OrchestratorSubnetIds"],
        "SecurityGroupId": found["OrchestratorSecurityGroupId"],
        "PublicSubnetIds": found["OrchestratorPublicSubnetIds"],
        "UiClientCidr": "10.99.0.0/16",
    }


def outputs(stacks: Stacks, name: str) -> dict[str, str]:
    (stack,) = stacks.api.describe_stacks(StackName=name)["Stacks"]
    return {entry["OutputKey"]: entry["OutputValue"] for entry in stack.get("Outputs", ())}


def deploy(stacks: Stacks, only: Collection[str] = TEMPLATES) -> set[str]:
    """Bring stacks to their templates. Returns what was changed."""
    changed = set()
    for name, body in TEMPLATES.items():
        if name not in only:
            continue
        found = stacks.change_set(name, body, revert_drift=True, **values(stacks, name))
        if found["ExecutionStatus"] == "AVAILABLE":
            changed |= {entry["ResourceChange"]["LogicalResourceId"] for entry in found["Changes"]}
            assert stacks.execute(name) == "UPDATE_COMPLETE", stacks.reasons(name)
    return changed


@pytest.fixture(scope="module")
def made(aws: InProcess) -> Iterator[Stacks]:
    stacks = Stacks(aws)
    stacks.client("secretsmanager").create_secret(Name="hand-oidc", SecretString="not-a-real-one")
    for name, body in TEMPLATES.items():
        status = stacks.create(name, body, **values(stacks, name))
        assert status == "CREATE_COMPLETE", stacks.reasons(name)
    assert deploy(stacks) == set()
    yield stacks
    assert deploy(stacks) == set()  # nothing of it is left
    for name in reversed(TEMPLATES):
        stacks.delete(name)
    stacks.client("secretsmanager").delete_secret(
        SecretId="hand-oidc", ForceDeleteWithoutRecovery=True
    )


def cases() -> Iterator[Any]:
    """One resource of each type that is deleted, one that is not, and one that is changed."""
    seen = set()
    for stack, body in TEMPLATES.items():
        for logical_id, resource in body["Resources"].items():
            type_ = resource["Type"]
            if type_.split("::")[1] not in TYPES or not is_there(stack, resource):
                continue
            for action in ("deleted", "changed"):
                case = (type_, action, action == "deleted" and is_used(logical_id))
                if case not in seen and not (action == "changed" and is_fixed(logical_id, type_)):
                    seen.add(case)
                    yield pytest.param(stack, logical_id, action, id=f"{logical_id}-{action}")


def is_used(logical_id: str) -> bool:
    return logical_id in IN_USE and logical_id not in FREE


def is_fixed(logical_id: str, type_: str) -> bool:
    return bool({logical_id, type_} & UNCHANGEABLE.keys())


def is_there(stack: str, resource: dict[str, Any]) -> bool:
    off = {"network": ("HasNat", "LogsInByIam"), "nat": ("HasEndpoints", "LogsInByIam")}
    return resource.get("Condition") not in off.get(stack, ())


@pytest.mark.parametrize(("stack", "logical_id", "action"), list(cases()))
def test_what_a_hand_did_is_reverted_or_was_refused(
    made: Stacks, stack: str, logical_id: str, action: str
) -> None:
    type_ = TEMPLATES[stack]["Resources"][logical_id]["Type"]
    touch = by_hand.DELETE if action == "deleted" else by_hand.CHANGE
    if action == "deleted" and is_used(logical_id):
        with pytest.raises(ClientError, match=rf"\({IN_USE[logical_id]}\)"):
            touch[type_](made.client, made.resources(stack)[logical_id])
        return
    touch[type_](made.client, made.resources(stack)[logical_id])
    if type_ == ASSOCIATION and action == "changed":
        give_back(made, stack, logical_id)
    assert logical_id in deploy(made, only=(stack, "orchestrator"))


def give_back(made: Stacks, stack: str, logical_id: str) -> None:
    """A change that fails, since the subnet has another route table; that is taken away."""
    made.change_set(stack, TEMPLATES[stack], revert_drift=True, **values(made, stack))
    assert made.execute(stack) == "UPDATE_ROLLBACK_COMPLETE"
    assert "conflicts with an existing association" in made.reasons(stack)
    ec2 = made.client("ec2")
    subnet = made.resources(stack)[logical_id.removesuffix("Routes")]
    for table in ec2.describe_route_tables()["RouteTables"]:
        for entry in table["Associations"]:
            if entry.get("SubnetId") == subnet:
                ec2.disassociate_route_table(AssociationId=entry["RouteTableAssociationId"])
