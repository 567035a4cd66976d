"""What is missing for a connection is named: VPC, VPC peering and PrivateLink guides."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from xacct_assets.aws.network import Place, VpcNetwork, covers

DAGSTER, GLUE, WAREHOUSE = (
    Place("Dagster", ("subnet-d",), ("sg-d",)),
    Place("Glue's jobs", ("subnet-g",), ("sg-g",)),
    Place("the warehouse", ("subnet-1",), ("sg-w",)),
)
ANYWHERE = {"IpRanges": [{"CidrIp": "0.0.0.0/0"}]}


def rule(first: int, last: int, *, protocol: str = "tcp", **source: Any) -> dict[str, Any]:
    if protocol == "-1":
        return {"IpProtocol": "-1", **source}
    return {"IpProtocol": protocol, "FromPort": first, "ToPort": last, **source}


def of(*groups: str) -> dict[str, Any]:
    return {"UserIdGroupPairs": [{"GroupId": group} for group in groups]}


HTTPS_OUT = rule(443, 443, **ANYWHERE)


class FakeEc2:
    """Describe operations of EC2 over plain dictionaries.

    Attributes:
        items: by the key of the answer.
    """

    def __init__(self) -> None:
        self.items: dict[str, list[dict[str, Any]]] = {
            "Subnets": [
                {"SubnetId": name, "VpcId": vpc, "CidrBlock": cidr}
                for name, vpc, cidr in (
                    ("subnet-d", "vpc-d", "10.60.0.0/24"),
                    ("subnet-g", "vpc-w", "10.61.0.0/24"),
                    ("subnet-1", "vpc-w", "10.61.1.0/24"),
                )
            ],
            "RouteTables": [
                table("rtb-d", "vpc-d", ["subnet-d"], "10.61.0.0/16"),
                table("rtb-w", "vpc-w", ["subnet-g", "subnet-1"], "10.60.0.0/16"),
            ],
            "VpcEndpoints": [
                {
                    "VpcEndpointId": "vpce-s3",
                    "VpcEndpointType": "Gateway",
                    "VpcId": "vpc-w",
                    "ServiceName": "com.amazonaws.us-east-1.s3",
                    "RouteTableIds": ["rtb-w"],
                },
                {
                    "VpcEndpointId": "vpce-sm",
                    "VpcEndpointType": "Interface",
                    "VpcId": "vpc-w",
                    "ServiceName": "com.amazonaws.us-east-1.secretsmanager",
                    "SubnetIds": ["subnet-g"],
                    "Groups": [{"GroupId": "sg-e"}],
                    "PrivateDnsEnabled": True,
                },
            ],
            "SecurityGroups": [
                group("sg-d", [], [rule(443, 443, **ANYWHERE), rule(5439, 5439, **of("sg-w"))]),
                group(
                    "sg-g",
                    [rule(0, 65535, **of("sg-g"))],
                    [rule(443, 443, **ANYWHERE), rule(0, 65535, IpRanges=WIDE)],
                ),
                group(
                    "sg-w", [rule(5439, 5439, **of("sg-d", "sg-g"))], [rule(443, 443, **ANYWHERE)]
                ),
                group("sg-e", [rule(443, 443, **of("sg-g"))], []),
            ],
            "VpcPeeringConnections": [
                {
                    "VpcPeeringConnectionId": "pcx-1",
                    "RequesterVpcInfo": {"VpcId": "vpc-d"},
                    "AccepterVpcInfo": {"VpcId": "vpc-w"},
                    "Status": {"Code": "active"},
                }
            ],
        }

    def get_paginator(self, operation: str) -> Any:
        words = operation.removeprefix("describe_").split("_")
        key = "".join(word.capitalize() for word in words)
        items = self.items[key]

        class Pages:
            def paginate(self, **request: Any) -> Iterator[dict[str, Any]]:
                ids = [value for name, value in request.items() if name.endswith("Ids")]
                for item in items:
                    if not ids or set(ids[0]) & set(map(str, item.values())):
                        yield {key: [item]}

        return Pages()


WIDE = [{"CidrIp": "10.61.0.0/16"}]


def table(name: str, vpc: str, subnets: list[str], destination: str) -> dict[str, Any]:
    return {
        "RouteTableId": name,
        "VpcId": vpc,
        "Routes": [{"DestinationCidrBlock": destination, "VpcPeeringConnectionId": "pcx-1"}],
        "Associations": [{"SubnetId": subnet} for subnet in subnets],
    }


def group(name: str, inbound: list[Any], outbound: list[Any]) -> dict[str, Any]:
    return {"GroupId": name, "IpPermissions": inbound, "IpPermissionsEgress": outbound}


Change = Callable[[dict[str, Any]], object]


def network(change: Change = lambda _items: None) -> VpcNetwork:
    ec2 = FakeEc2()
    change(ec2.items)
    return VpcNetwork(ec2, [DAGSTER, GLUE, WAREHOUSE])


def test_a_whole_network_lacks_nothing() -> None:
    found = network()
    assert found.missing_path(DAGSTER, WAREHOUSE, 5439) is None
    assert found.missing_path(GLUE, WAREHOUSE, 5439) is None
    assert found.missing_path(GLUE, GLUE, 65535) is None
    assert found.missing_service(GLUE, "secretsmanager") is None
    assert found.missing_service(WAREHOUSE, "s3") is None


def inbound(number: int, rules: list[Any]) -> Change:
    return lambda items: items["SecurityGroups"][number].update(IpPermissions=rules)


def outbound(number: int, rules: list[Any]) -> Change:
    return lambda items: items["SecurityGroups"][number].update(IpPermissionsEgress=rules)


def routes(number: int, *entries: dict[str, Any]) -> Change:
    return lambda items: items["RouteTables"][number].update(Routes=list(entries))


BLACKHOLE = {
    "DestinationCidrBlock": "10.61.0.0/16",
    "VpcPeeringConnectionId": "pcx-1",
    "State": "blackhole",
}
PATHS: list[tuple[Change, str]] = [
    (routes(0), "a route in rtb-d (of subnet subnet-d) to 10.61.1.0/24"),
    (routes(1), "a route in rtb-w (of subnet subnet-1) to 10.60.0.0/24"),
    (routes(0, {"DestinationCidrBlock": "0.0.0.0/0", "NatGatewayId": "nat-1"}), "a route in rtb-d"),
    (routes(0, BLACKHOLE), "a route in rtb-d"),
    (
        routes(0, {"DestinationCidrBlock": "10.61.0.0/16", "VpcPeeringConnectionId": "pcx-0"}),
        "over a peering that is active",
    ),
    (
        lambda items: items["RouteTables"][0]["Associations"].clear(),
        "a route in (none of VPC vpc-d)",
    ),
    (lambda items: items["VpcPeeringConnections"].clear(), "an active peering connection"),
    (
        lambda items: items["VpcPeeringConnections"][0]["Status"].update(Code="pending-acceptance"),
        "an active peering connection between VPCs vpc-d and vpc-w",
    ),
    (
        outbound(0, [rule(443, 443, **ANYWHERE)]),
        "an outbound rule of security group sg-d (Dagster)",
    ),
    (inbound(2, []), "an inbound rule of security group sg-w (the warehouse) for TCP 5439"),
    (inbound(2, [rule(5439, 5439, **of("sg-g"))]), "from security group sg-d (Dagster"),
    (inbound(2, [rule(5439, 5439, protocol="udp", **ANYWHERE)]), "an inbound rule"),
    (inbound(2, [rule(5440, 5440, **ANYWHERE)]), "an inbound rule"),
]


@pytest.mark.parametrize(("change", "expected"), PATHS)
def test_the_missing_piece_of_a_path_is_named(change: Change, expected: str) -> None:
    assert expected in str(network(change).missing_path(DAGSTER, WAREHOUSE, 5439))


@pytest.mark.parametrize(
    "rules",
    [
        [rule(-1, -1, protocol="-1", **ANYWHERE)],
        [rule(5000, 6000, IpRanges=[{"CidrIp": "10.60.0.0/16"}])],
    ],
)
def test_a_rule_may_be_wider(rules: list[Any]) -> None:
    assert network(inbound(2, rules)).missing_path(DAGSTER, WAREHOUSE, 5439) is None


SERVICES: list[tuple[Change, str, str]] = [
    (lambda items: items["VpcEndpoints"].clear(), "s3", "an endpoint of VPC vpc-w for s3"),
    (lambda _items: None, "sts", "an endpoint of VPC vpc-w for sts"),
    (
        lambda items: items["VpcEndpoints"][0].update(RouteTableIds=["rtb-x"]),
        "s3",
        "route table rtb-w in endpoint vpce-s3 (s3)",
    ),
    (
        lambda items: items["VpcEndpoints"][1].update(PrivateDnsEnabled=False),
        "secretsmanager",
        "private DNS names of endpoint vpce-sm (secretsmanager)",
    ),
    (inbound(3, []), "secretsmanager", "an inbound rule of security group sg-e (endpoint vpce-sm"),
    (outbound(1, []), "secretsmanager", "an outbound rule of security group sg-g"),
    (outbound(1, []), "s3", "an outbound rule of security group sg-g (Glue's jobs) for TCP 443"),
]


@pytest.mark.parametrize(("change", "service", "expected"), SERVICES)
def test_the_missing_piece_before_a_service_is_named(
    change: Change, service: str, expected: str
) -> None:
    assert expected in str(network(change).missing_service(GLUE, service))


def test_a_nat_gateway_leads_to_every_service() -> None:
    nat = {"DestinationCidrBlock": "0.0.0.0/0", "NatGatewayId": "nat-1"}
    assert network(routes(1, nat)).missing_service(GLUE, "sts") is None


@pytest.mark.parametrize(
    ("cidr", "other", "expected"),
    [
        ("0.0.0.0/0", "10.0.0.0/8", True),
        ("10.0.0.0/16", "10.0.3.0/24", True),
        ("10.0.3.0/24", "10.0.0.0/16", False),
        (None, "10.0.0.0/16", False),
    ],
)
def test_a_range_covers_another(cidr: str | None, other: str, expected: bool) -> None:
    assert covers(cidr, other) == expected
