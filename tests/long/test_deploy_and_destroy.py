"""Every resource changed and deleted by hand, one at a time; 30 kills of deploy and of destroy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import pytest
from botocore.exceptions import ClientError

from tests.support import by_hand
from tests.support.by_hand import IN_USE, UNCHANGEABLE
from tests.support.deployments import (
    CHANGED,
    DELETED,
    delete_snapshots,
    line_of,
    require_nothing_left,
    restore_what_was_changed,
    survive_kills,
    xacct,
)
from tests.support.sandbox import RunningSandbox, own_sandbox
from xacct_assets.key_settings import Keys
from xacct_assets.operations.deployment.changes import UNREADABLE
from xacct_assets.operations.deployment.plan import resource_types, template
from xacct_assets.sources import sources_root

#: All conditions of the templates hold but those of NOT_HERE.
SETTINGS = {f"XACCT_{kind.upper()}_KEY": "create" for kind in vars(Keys())}
SIGN_IN = "sign-in"
PARAMETERS = {
    "PublicSubnets": "true",
    "UiClientCidr": "10.99.0.0/16",
    "PublicHostName": "dagster.example.com",
    "CertificateArn": "arn:aws:acm:us-east-1:222222222222:certificate/1",
    "OidcIssuer": "https://login.example.com",
    "OidcAuthorizationEndpoint": "https://login.example.com/authorize",
    "OidcTokenEndpoint": "https://login.example.com/token",
    "OidcUserInfoEndpoint": "https://login.example.com/user",
    "OidcClientId": "dagster",
}
IMAGE = "222222222222.dkr.ecr.us-east-1.amazonaws.com/xacct-local:0123456789ab"
#: Resources that this installation has not, and why.
NOT_HERE = {
    "account_b.JsonSecret": "made only of an adopted secret that is a URI",
    "network.JobRedshiftServerlessEndpoint": "made only for the login by IAM",
    # tests/sandbox/unit/emulator/stacks/test_by_hand.py has them.
    "network.Nat": "a NAT gateway takes the place of the endpoints",
    "network.NatAddress": "the same",
    "network.OrchestratorRouteToInternet": "the same",
}
RESOURCES = {
    f"{file}.{logical_id}": type_
    for file in by_hand.STACKS
    for logical_id, type_ in resource_types(template(sources_root(), f"{file}.yaml")).items()
    if f"{file}.{logical_id}" not in NOT_HERE
}
#: Types that no hand of a test touches, and why.
LEFT_OUT = {
    **dict.fromkeys(UNREADABLE, "CloudFormation does not read it; each deployment names it"),
    "AWS::ElasticLoadBalancingV2::Listener": "the sandbox has no API of load balancers",
    "AWS::ElasticLoadBalancingV2::LoadBalancer": "the same",
    "AWS::ElasticLoadBalancingV2::TargetGroup": "the same",
}
KEY, ASSOCIATION = "AWS::KMS::Key", "AWS::EC2::SubnetRouteTableAssociation"


def names(*, deleted: bool) -> list[str]:
    """The resources that can be deleted, or changed."""
    return [
        name
        for name, type_ in RESOURCES.items()
        if type_ not in LEFT_OUT
        and (deleted or not {name.partition(".")[2], type_} & UNCHANGEABLE.keys())
    ]


@dataclass
class Hands:
    """Touches one resource after the other; each deployment proves that the last one is restored.

    Attributes:
        sandbox: deployed.
        touched: the resource that the last deployment restored.
    """

    sandbox: RunningSandbox
    touched: list[str] = field(default_factory=list)

    def restore(self, name: str, *, delete: bool) -> None:
        """Delete or change it; the next deployment restores it and nothing before it."""
        try:
            shown = restore_what_was_changed(self.sandbox, name, delete=delete)
        except BaseException:
            # The next case starts from what is whole.
            self.touched.clear()
            xacct(self.sandbox, "deploy", "--yes", check=False)
            raise
        for last in self.touched:
            line = line_of(shown, last)
            assert not {text for text in (DELETED, CHANGED) if text in line}, shown
        self.touched[:] = [name]


@pytest.fixture(scope="module")
def own() -> Iterator[RunningSandbox]:
    with own_sandbox() as running:
        yield running
        # Each holds the whole database, and all that is stored is searched for secrets at the end.
        delete_snapshots(running)


@pytest.fixture(scope="module")
def hands(own: RunningSandbox) -> Hands:
    """The same sandbox, deployed with keys, an image and a public web UI."""
    sandbox = replace(own, extra_settings={**own.extra_settings, **SETTINGS})
    secrets = sandbox.client("account-b-admin", "secretsmanager")
    client = secrets.create_secret(Name=SIGN_IN, SecretString="not-a-real-one")["ARN"]
    given = {**PARAMETERS, "OidcClientSecretArn": client}
    parameters = [f"--parameter={name}={value}" for name, value in given.items()]
    xacct(sandbox, "deploy", "--yes", "--image", IMAGE, *parameters)
    return Hands(sandbox)


@pytest.mark.timeout(7200)
def test_deploy_and_destroy_survive_30_kills_each(own: RunningSandbox) -> None:
    survive_kills(own, each=30)


def test_no_resource_is_left_out(hands: Hands) -> None:
    present = {name: type_ for name, (_, type_, _) in by_hand.resources(hands.sandbox).items()}
    assert present == RESOURCES


def test_what_cloudformation_cannot_read_is_named(hands: Hands) -> None:
    shown = xacct(hands.sandbox, "deploy", "--yes").stdout
    for name, type_ in RESOURCES.items():
        if type_ in UNREADABLE:
            assert f"{name.partition('.')[2]} ({type_})" in shown


@pytest.mark.parametrize("name", names(deleted=True))
def test_every_resource_is_restored(hands: Hands, name: str) -> None:
    """Or it could not be deleted, or the deployment says why it makes no other one."""
    code = IN_USE.get(name.partition(".")[2])
    if code:
        with pytest.raises(ClientError, match=rf"\({code}\)"):
            by_hand.touch(hands.sandbox, name, delete=True)
    elif RESOURCES[name] == KEY:
        keep_key(hands.sandbox, name)
    else:
        hands.restore(name, delete=True)


def keep_key(sandbox: RunningSandbox, name: str) -> None:
    """No other key is made: what to do is said, and does it."""
    profile, _, key = by_hand.resources(sandbox)[name]
    by_hand.touch(sandbox, name, delete=True)
    refused = xacct(sandbox, "deploy", "--yes", check=False)
    kms = sandbox.client(profile, "kms")
    kms.cancel_key_deletion(KeyId=key)
    kms.enable_key(KeyId=key)
    assert refused.returncode
    for command in ("cancel-key-deletion", "enable-key"):
        assert f"`aws kms {command} --key-id {key}`" in refused.stdout + refused.stderr
    require_nothing_left(sandbox)


@pytest.mark.parametrize("name", names(deleted=False))
def test_every_change_is_reverted(hands: Hands, name: str) -> None:
    """Or the deployment says why not."""
    if RESOURCES[name] == ASSOCIATION:
        give_back_route_table(hands.sandbox, name)
    else:
        hands.restore(name, delete=False)


def give_back_route_table(sandbox: RunningSandbox, name: str) -> None:
    """The subnet has another route table: what to do is said, and does it."""
    subnet = by_hand.resources(sandbox)[name.removesuffix("Routes")][2]
    by_hand.touch(sandbox, name, delete=False)
    refused = xacct(sandbox, "deploy", "--yes", check=False)
    ec2 = sandbox.client("account-b-admin", "ec2")
    for table in ec2.describe_route_tables()["RouteTables"]:
        for entry in table["Associations"]:
            if entry.get("SubnetId") == subnet:
                ec2.disassociate_route_table(AssociationId=entry["RouteTableAssociationId"])
    assert DELETED in line_of(xacct(sandbox, "deploy", "--yes").stdout, name)
    assert refused.returncode
    for text in ("conflicts with an existing association", "aws ec2 disassociate-route-table"):
        assert text in refused.stdout + refused.stderr


def test_in_the_end_nothing_is_left(hands: Hands) -> None:
    require_nothing_left(hands.sandbox)
