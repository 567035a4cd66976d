"""Who may connect to what in the deployed network of account B.

Processes of this machine count as inside the orchestrator's network: the subnets and the security
group that a stack's outputs name (``OrchestratorSubnetIds``, ``OrchestratorSecurityGroupId``). A
Glue job is inside the subnet of its connection, if it has one. A workgroup without subnets, and one
that is public, is open to all; so is every workgroup to this machine where no stack made a network.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from xacct_sandbox import emulator
from xacct_sandbox.daemon.config import SandboxConfig
from xacct_sandbox.network.model import Network, Place
from xacct_sandbox.network.reachability import missing_path, missing_service
from xacct_sandbox.redshift.api.serverless.state import workgroup_in_use

JOB_PREFIX = "glue-"
"""Begins the application name of a job's sessions (``awsglue.redshift_session``)."""
JOB_SERVICES = {
    "glue": "glue",
    "redshift-serverless": "redshift-serverless",
    "s3": "s3",
    "secrets-manager": "secretsmanager",
    "sts": "sts",
}
"""botocore's name of the services that job scripts call -> the end of their endpoint's name."""
OUTSIDE = Place((), ())
"""The place of a job without a subnet: outside of every VPC."""

job_places: dict[str, Place] = {}
"""Where the runs under way are, by id."""


def serve(config: SandboxConfig, request: Mapping[str, Any]) -> dict[str, Any]:
    """What is missing for a client of the warehouse (``application``), or for its way to S3."""
    with emulator.acting_in(config.account_b, config.region):
        if request.get("to") == "s3":
            return {"missing": missing_for_copy()}
        return {"missing": missing_to_warehouse(config, str(request.get("application", "")))}


def missing_to_warehouse(config: SandboxConfig, application: str) -> str | None:
    """What keeps a session of this application name from the workgroup; None if nothing does."""
    workgroup = _private_workgroup()
    if workgroup is None:
        return None
    target = _place_of(workgroup)
    if application.startswith(JOB_PREFIX):
        place = job_places.get(application.removeprefix(JOB_PREFIX), OUTSIDE)
        if place == OUTSIDE:
            return "a subnet of the Glue job: without one it is outside of every VPC"
    else:
        found = _orchestrator(target)
        if found is None:
            return None
        place = found
    return missing_path(emulator.deployed_network(), place, target, config.redshift_port)


def missing_for_copy() -> str | None:
    """What keeps COPY and UNLOAD from S3: with EnhancedVpcRouting they go through the VPC."""
    workgroup = _private_workgroup()
    if workgroup is None or not workgroup.get("enhancedVpcRouting"):
        return None
    return missing_service(emulator.deployed_network(), _place_of(workgroup), "s3")


def missing_services(place: Place) -> dict[str, str]:
    """The services of AWS that a job cannot reach, by botocore's name, with what is missing."""
    if place == OUTSIDE:
        return {}
    network = emulator.deployed_network()
    found = {name: missing_service(network, place, end) for name, end in JOB_SERVICES.items()}
    return {name: missing for name, missing in found.items() if missing is not None}


def refusal_of_job(place: Place) -> str | None:
    """Glue's message if it cannot start a job there (Glue guide, "Troubleshooting errors")."""
    if place == OUTSIDE:
        return None
    network: Network = emulator.deployed_network()
    (subnet,) = place.subnets
    if subnet not in network.subnets:
        return f"The subnet ID '{subnet}' does not exist"
    vpc = network.subnets[subnet].vpc
    if missing_service(network, place, "s3"):
        return (
            f"VPC S3 endpoint validation failed for SubnetId: {subnet}. VPC: {vpc}. Reason: Could "
            f"not find S3 endpoint or NAT gateway for subnetId: {subnet} in Vpc {vpc}"
        )
    for port in (1, 65535):
        missing = missing_path(network, place, place, port)
        if missing is None:
            continue
        if "egress" in missing:
            return "At least one security group must open all egress ports. (Outbound rule)"
        return (
            "At least one security group must open all ingress ports. To limit traffic, the "
            "source security group in your inbound rule can be restricted to the same security "
            "group"
        )
    return None


def _private_workgroup() -> Mapping[str, Any] | None:
    workgroup = workgroup_in_use()
    if workgroup is None or workgroup.get("publiclyAccessible"):
        return None
    return workgroup if workgroup.get("subnetIds") else None


def _place_of(workgroup: Mapping[str, Any]) -> Place:
    return Place(
        tuple(workgroup.get("subnetIds") or ()), tuple(workgroup.get("securityGroupIds") or ())
    )


def _orchestrator(warehouse: Place) -> Place | None:
    for outputs in emulator.stack_outputs():
        subnets, group = (
            outputs.get(f"Orchestrator{name}", "") for name in ("SubnetIds", "SecurityGroupId")
        )
        made = set(outputs.get("WarehouseSubnetIds", "").split(","))
        if subnets and group and made & set(warehouse.subnets):
            return Place(tuple(subnets.split(",")), (group,))
    return None
