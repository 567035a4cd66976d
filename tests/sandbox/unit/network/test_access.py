"""Who counts as where, and what is said to whom is out of reach."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.sandbox.unit.network.test_reachability import GLUE, NETWORK, group
from xacct_sandbox import emulator
from xacct_sandbox.daemon.config import SandboxConfig, SandboxError
from xacct_sandbox.network import access
from xacct_sandbox.network.model import Network
from xacct_sandbox.network.waiting import SECONDS_VARIABLE, unreachable_seconds

CONFIG = SandboxConfig(Path("/nowhere"))
WORKGROUP: dict[str, Any] = {
    "subnetIds": ["subnet-1", "subnet-2"],
    "securityGroupIds": ["sg-w"],
    "enhancedVpcRouting": True,
}
OUTPUTS = {
    "OrchestratorSubnetIds": "subnet-d",
    "OrchestratorSecurityGroupId": "sg-d",
    "WarehouseSubnetIds": "subnet-1,subnet-2",
}
JOB = f"{access.JOB_PREFIX}jr_1"


class Deployed:
    """What is deployed.

    Attributes:
        network: the VPCs.
        workgroup: None if there is none.
        outputs: of each stack.
    """

    def __init__(self) -> None:
        self.network: Network = NETWORK
        self.workgroup: dict[str, Any] | None = dict(WORKGROUP)
        self.outputs = [dict(OUTPUTS)]


@pytest.fixture
def deployed(monkeypatch: pytest.MonkeyPatch) -> Deployed:
    found = Deployed()
    monkeypatch.setattr(emulator, "deployed_network", lambda: found.network)
    monkeypatch.setattr(emulator, "stack_outputs", lambda: found.outputs)
    monkeypatch.setattr(access, "workgroup_in_use", lambda: found.workgroup)
    monkeypatch.setattr(access, "job_places", {"jr_1": GLUE, "jr_2": access.OUTSIDE})
    return found


@pytest.mark.parametrize("application", ["", "psql", JOB])
def test_this_machine_and_a_job_in_a_subnet_reach_the_warehouse(
    deployed: Deployed, application: str
) -> None:
    assert access.missing_to_warehouse(CONFIG, application) is None


@pytest.mark.parametrize("run", ["jr_2", "jr_unknown"])
def test_a_job_without_a_subnet_does_not_reach_a_private_workgroup(
    deployed: Deployed, run: str
) -> None:
    assert "a subnet of the Glue job" in str(access.missing_to_warehouse(CONFIG, f"glue-{run}"))
    deployed.workgroup = {**WORKGROUP, "publiclyAccessible": True}
    assert access.missing_to_warehouse(CONFIG, f"glue-{run}") is None
    deployed.workgroup = {}
    assert access.missing_to_warehouse(CONFIG, f"glue-{run}") is None


def test_this_machine_is_where_the_stack_of_the_workgroups_network_says(
    deployed: Deployed,
) -> None:
    deployed.network = group(NETWORK, "sg-d", egress=())
    assert "sg-d" in str(access.missing_to_warehouse(CONFIG, ""))
    deployed.outputs = [{**OUTPUTS, "WarehouseSubnetIds": "subnet-of-another-installation"}]
    assert access.missing_to_warehouse(CONFIG, "") is None
    deployed.outputs = []
    assert access.missing_to_warehouse(CONFIG, "") is None


@pytest.mark.parametrize(("routing", "missing"), [(True, True), (False, False)])
def test_copy_goes_through_the_vpc_with_enhanced_routing_only(
    deployed: Deployed, routing: bool, missing: bool
) -> None:
    deployed.network = replace(NETWORK, endpoints={})
    deployed.workgroup = {**WORKGROUP, "enhancedVpcRouting": routing}
    assert bool(access.missing_for_copy()) == missing


def test_the_services_that_a_job_does_not_reach_are_named_as_botocore_does(
    deployed: Deployed,
) -> None:
    assert set(access.missing_services(GLUE)) == {"glue", "redshift-serverless", "sts"}
    deployed.network = replace(NETWORK, endpoints={})
    assert set(access.missing_services(GLUE)) == set(access.JOB_SERVICES)
    assert access.missing_services(access.OUTSIDE) == {}


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (NETWORK, None),
        (replace(NETWORK, endpoints={}), "Could not find S3 endpoint or NAT gateway"),
        (group(NETWORK, "sg-g", ingress=()), "must open all ingress ports"),
        (
            group(NETWORK, "sg-g", egress=NETWORK.groups["sg-d"].egress),
            "must open all egress ports",
        ),
        (replace(NETWORK, subnets={}), "does not exist"),
    ],
)
def test_glue_refuses_a_job_in_a_subnet_that_is_not_fit_in_its_own_words(
    deployed: Deployed, network: Network, message: str | None
) -> None:
    deployed.network = network
    found = access.refusal_of_job(GLUE)
    assert found is None if message is None else message in str(found)
    assert access.refusal_of_job(access.OUTSIDE) is None


def test_the_seconds_of_a_time_out_can_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    assert unreachable_seconds() == 1
    monkeypatch.setenv(SECONDS_VARIABLE, "0.25")
    assert unreachable_seconds() == 0.25
    monkeypatch.setenv(SECONDS_VARIABLE, "soon")
    with pytest.raises(SandboxError, match=SECONDS_VARIABLE):
        unreachable_seconds()
