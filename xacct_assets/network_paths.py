"""What the network of an installation lacks: who cannot reach whom, and the piece that is missing.

It is beside `aws_clients`, because it joins the reading of networks with the settings and the
stacks. `xacct doctor` reports it, and a connection to the warehouse that fails names it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from xacct_assets.aws.errors import AwsFailure
from xacct_assets.aws.network import Place, VpcNetwork
from xacct_assets.aws.stack_reading import describe_stack

if TYPE_CHECKING:
    from xacct_assets.aws.stack_reading import StackDescription
    from xacct_assets.settings import Settings

logger = logging.getLogger(__name__)

#: What the load job calls; logs and scripts go through Glue's own proxy (Glue guide, "Configuring
#: AWS calls to go through your VPC").
OF_JOBS = ("s3", "glue", "sts")
#: What the load job logs in to Redshift with, by the way of the login.
LOGIN_OF_JOBS = {"secret": "secretsmanager", "iam": "redshift-serverless"}
#: What Dagster calls, and what starts its tasks.
OF_DAGSTER = (
    *("s3", "secretsmanager", "glue", "sts", "logs", "redshift-data", "redshift-serverless"),
    *("sqs", "sns", "ecr.api", "ecr.dkr", "ecs"),
)
#: Of the ports that the parts of a Glue job need: the first and the last.
_WITHIN_GLUE = (1, 65535)
#: Outputs of the network's stack, and what account B's template calls the same.
_WAREHOUSE = ("WarehouseSubnetIds", "WarehouseSecurityGroupId")
_GLUE = ("GlueSubnetId", "GlueSecurityGroupId")
_DAGSTER = ("OrchestratorSubnetIds", "OrchestratorSecurityGroupId")

Stacks = Callable[[str], "StackDescription | None"]
"""Describes a stack of account B by its name."""


def network_ids(settings: Settings, stacks: Stacks) -> Mapping[str, str]:
    """The ids of the subnets and groups; empty if this installation does not know them."""
    stack_b = stacks(settings.stack_b)
    if settings.network == "create":
        stack = stacks(settings.stack_network)
        ids = dict(stack.outputs) if stack else {}
    else:
        ids = dict(stack_b.parameters) if stack_b else {}
        ids["WarehouseSecurityGroupId"] = ids.get("WarehouseSecurityGroupIds", "")
    if not all(ids.get(name) for name in (*_WAREHOUSE, *_GLUE)):
        return {}
    parameters = stack_b.parameters if stack_b else {}
    return {
        **ids,
        "Port": parameters.get("WarehousePort", "5439"),
        "RedshiftLogin": parameters.get("RedshiftLogin", "secret"),
    }


def missing_piece(ids: Mapping[str, str], ec2: Any) -> str | None:
    """Who cannot reach whom, and the first piece that is missing for it; None if there is none.

    Args:
        ids: from `network_ids`.
        ec2: boto3's client.

    Raises:
        AwsFailure: the network cannot be read, or a subnet or group is gone.
    """
    glue, warehouse = _place("Glue's jobs", ids, _GLUE), _place("the warehouse", ids, _WAREHOUSE)
    dagster = _place("Dagster", ids, _DAGSTER) if ids.get(_DAGSTER[0]) else None
    places = [place for place in (dagster, glue, warehouse) if place is not None]
    network = VpcNetwork(ec2, places)
    login = LOGIN_OF_JOBS[ids.get("RedshiftLogin", "secret")]
    reached: list[tuple[Place, Sequence[str]]] = [
        (glue, (*OF_JOBS, login)),
        (warehouse, ("s3",)),
    ]
    if dagster is not None:
        reached.append((dagster, OF_DAGSTER))
    found = (
        f"{who}; missing: {missing}"
        for who, missing in (
            *_paths(network, dagster, glue, warehouse, int(ids["Port"])),
            *_services(network, reached),
        )
        if missing
    )
    return next(found, None)


def missing_in_network(settings: Settings, client: Callable[[Any], Any]) -> str | None:
    """The same for the message about a connection that failed; None if it cannot be read.

    Args:
        settings: of the installation.
        client: gives boto3's client of a service.
    """
    try:
        ids = network_ids(settings, partial(describe_stack, client("cloudformation")))
        return missing_piece(ids, client("ec2")) if ids else None
    except AwsFailure as failure:
        logger.info("the network could not be read: %s", failure)
        return None


def _paths(
    network: VpcNetwork, dagster: Place | None, glue: Place, warehouse: Place, port: int
) -> Iterator[tuple[str, str | None]]:
    for place in (dagster, glue):
        if place is not None:
            missing = network.missing_path(place, warehouse, port)
            yield f"{place.who} cannot reach the warehouse", missing
    for within in _WITHIN_GLUE:
        missing = network.missing_path(glue, glue, within)
        yield "the parts of a Glue job cannot reach each other", missing


def _services(
    network: VpcNetwork, reached: Sequence[tuple[Place, Sequence[str]]]
) -> Iterator[tuple[str, str | None]]:
    for place, services in reached:
        for service in services:
            yield f"{place.who} cannot reach {service}", network.missing_service(place, service)


def _place(who: str, ids: Mapping[str, str], names: tuple[str, str]) -> Place:
    subnets, groups = (
        tuple(part.strip() for part in ids[name].split(",") if part.strip()) for name in names
    )
    return Place(who, subnets, groups)
