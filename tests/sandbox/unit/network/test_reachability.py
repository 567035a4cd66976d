"""What is missing for a connection is named; sources: VPC, VPC peering and PrivateLink guides."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from xacct_sandbox.network.model import (
    Endpoint,
    Group,
    Network,
    Peering,
    Place,
    Route,
    Rule,
    Subnet,
    best_route,
)
from xacct_sandbox.network.reachability import missing_path, missing_service

DAGSTER, GLUE, WAREHOUSE = (
    Place(("subnet-d",), ("sg-d",)),
    Place(("subnet-g",), ("sg-g",)),
    Place(("subnet-1", "subnet-2"), ("sg-w",)),
)
HTTPS_OUT = Rule("tcp", 443, 443, ("0.0.0.0/0",))
NETWORK = Network(
    subnets={
        "subnet-d": Subnet(
            "vpc-d", "10.60.0.0/24", "rtb-d", (Route("10.61.0.0/16", "peering", "pcx-1"),)
        ),
        **{
            name: Subnet("vpc-w", cidr, "rtb-w", (Route("10.60.0.0/16", "peering", "pcx-1"),))
            for name, cidr in (
                ("subnet-g", "10.61.0.0/24"),
                ("subnet-1", "10.61.1.0/24"),
                ("subnet-2", "10.61.2.0/24"),
            )
        },
    },
    groups={
        "sg-d": Group("vpc-d", (), (HTTPS_OUT, Rule("tcp", 5439, 5439, groups=("sg-w",)))),
        "sg-g": Group(
            "vpc-w",
            (Rule("tcp", 0, 65535, groups=("sg-g",)),),
            (HTTPS_OUT, Rule("tcp", 0, 65535, ("10.61.0.0/16",))),
        ),
        "sg-w": Group(
            "vpc-w",
            (
                Rule("tcp", 5439, 5439, groups=("sg-d",)),
                Rule("tcp", 5439, 5439, groups=("sg-g",)),
            ),
            (HTTPS_OUT,),
        ),
        "sg-e": Group("vpc-w", (Rule("tcp", 443, 443, groups=("sg-g",)),)),
    },
    peerings={"pcx-1": Peering(frozenset({"vpc-d", "vpc-w"}), active=True)},
    endpoints={
        "vpce-s3": Endpoint("vpc-w", "s3", gateway=True, tables=("rtb-w",)),
        "vpce-sm": Endpoint(
            "vpc-w", "secretsmanager", gateway=False, place=Place(("subnet-g",), ("sg-e",))
        ),
    },
)


def subnet(network: Network, name: str, **changes: Any) -> Network:
    changed = replace(network.subnets[name], **changes)
    return replace(network, subnets={**network.subnets, name: changed})


def group(network: Network, name: str, **changes: Any) -> Network:
    changed = replace(network.groups[name], **changes)
    return replace(network, groups={**network.groups, name: changed})


def endpoint(network: Network, name: str, **changes: Any) -> Network:
    changed = replace(network.endpoints[name], **changes)
    return replace(network, endpoints={**network.endpoints, name: changed})


def test_a_whole_network_lets_through_what_it_is_made_for() -> None:
    assert missing_path(NETWORK, DAGSTER, WAREHOUSE, 5439) is None
    assert missing_path(NETWORK, GLUE, WAREHOUSE, 5439) is None
    assert missing_path(NETWORK, GLUE, GLUE, 31337) is None
    assert missing_service(NETWORK, GLUE, "secretsmanager") is None
    assert missing_service(NETWORK, GLUE, "s3") is None
    assert missing_service(NETWORK, WAREHOUSE, "s3") is None


PATHS = [
    # Route tables: both directions, of every subnet.
    (subnet(NETWORK, "subnet-d", routes=()), "route from subnet subnet-d"),
    (subnet(NETWORK, "subnet-2", routes=()), "route from subnet subnet-2"),
    (
        subnet(NETWORK, "subnet-d", routes=(Route("10.62.0.0/16", "peering", "pcx-1"),)),
        "to 10.61.1.0/24",
    ),
    (
        subnet(NETWORK, "subnet-d", routes=(Route("0.0.0.0/0", "nat", "nat-1"),)),
        "route from subnet subnet-d",
    ),
    # The most specific route counts, also where it leads nowhere.
    (
        subnet(
            NETWORK,
            "subnet-d",
            routes=(
                Route("10.61.0.0/16", "peering", "pcx-1"),
                Route("10.61.2.0/24", "peering", "pcx-gone"),
            ),
        ),
        "pcx-gone, which is not active",
    ),
    # Peering: deleted, or between others.
    (
        replace(NETWORK, peerings={"pcx-1": Peering(frozenset({"vpc-d", "vpc-w"}), active=False)}),
        "pcx-1, which is not active",
    ),
    (replace(NETWORK, peerings={}), "pcx-1, which is not active"),
    (
        replace(NETWORK, peerings={"pcx-1": Peering(frozenset({"vpc-d", "vpc-x"}), active=True)}),
        "between VPCs vpc-d and vpc-w",
    ),
    # Security groups: both sides, port, protocol, source.
    (group(NETWORK, "sg-d", egress=(HTTPS_OUT,)), "egress rule of security group sg-d"),
    (group(NETWORK, "sg-w", ingress=()), "ingress rule of security group sg-w"),
    (
        group(NETWORK, "sg-w", ingress=(Rule("tcp", 5439, 5439, groups=("sg-g",)),)),
        "ingress rule of security group sg-w for TCP port 5439 from subnet subnet-d",
    ),
    (group(NETWORK, "sg-w", ingress=(Rule("udp", 5439, 5439, ("0.0.0.0/0",)),)), "ingress rule"),
    (group(NETWORK, "sg-w", ingress=(Rule("tcp", 5440, 5450, ("0.0.0.0/0",)),)), "ingress rule"),
    (group(NETWORK, "sg-w", ingress=(Rule("tcp", 5439, 5439, ("10.60.0.0/25",)),)), "ingress rule"),
    (replace(NETWORK, groups={k: g for k, g in NETWORK.groups.items() if k != "sg-w"}), "sg-w"),
]


@pytest.mark.parametrize(("network", "expected"), PATHS)
def test_the_missing_piece_of_a_path_is_named(network: Network, expected: str) -> None:
    assert expected in str(missing_path(network, DAGSTER, WAREHOUSE, 5439))


@pytest.mark.parametrize(
    "rule",
    [
        Rule("-1", -1, -1, ("0.0.0.0/0",)),
        Rule("tcp", 0, 65535, ("10.60.0.0/16",)),
        Rule("6", 5439, 5439, ("10.60.0.0/24",)),
    ],
)
def test_a_rule_may_be_wider(rule: Rule) -> None:
    assert missing_path(group(NETWORK, "sg-w", ingress=(rule,)), DAGSTER, WAREHOUSE, 5439) is None


SERVICES = [
    (replace(NETWORK, endpoints={}), "secretsmanager", "an endpoint for secretsmanager in VPC"),
    (replace(NETWORK, endpoints={}), "s3", "an endpoint for s3 in VPC vpc-w"),
    (endpoint(NETWORK, "vpce-sm", vpc="vpc-d"), "secretsmanager", "an endpoint for secretsmanager"),
    (endpoint(NETWORK, "vpce-sm", private_names=False), "secretsmanager", "private DNS names"),
    (
        endpoint(NETWORK, "vpce-s3", tables=("rtb-x",)),
        "s3",
        "route table rtb-w in gateway endpoint",
    ),
    (group(NETWORK, "sg-e", ingress=()), "secretsmanager", "ingress rule of security group sg-e"),
    (group(NETWORK, "sg-g", egress=()), "secretsmanager", "egress rule of security group sg-g"),
    (group(NETWORK, "sg-g", egress=()), "s3", "egress rule of security group sg-g"),
    (NETWORK, "sts", "an endpoint for sts in VPC vpc-w"),
]


@pytest.mark.parametrize(("network", "service", "expected"), SERVICES)
def test_the_missing_piece_before_a_service_is_named(
    network: Network, service: str, expected: str
) -> None:
    assert expected in str(missing_service(network, GLUE, service))


@pytest.mark.parametrize(("works", "missing"), [(True, None), (False, "an endpoint for sts")])
def test_a_nat_gateway_that_works_leads_to_every_service(works: bool, missing: str | None) -> None:
    network = subnet(NETWORK, "subnet-g", routes=(Route("0.0.0.0/0", "nat", "nat-1"),))
    network = replace(network, gateways=frozenset({"nat-1"} if works else ()))
    found = missing_service(network, GLUE, "sts")
    assert found is None if missing is None else missing in str(found)


def test_the_most_specific_route_is_taken() -> None:
    routes = [Route("0.0.0.0/0", "nat", "a"), Route("10.0.0.0/8", "peering", "b")]
    assert best_route(routes, "10.1.0.0/24") == routes[1]
    assert best_route(routes, "11.1.0.0/24") == routes[0]
    assert best_route(routes[1:], "11.1.0.0/24") is None
