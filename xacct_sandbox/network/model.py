"""What is deployed of a network, as far as reachability needs it."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

ANYWHERE = "0.0.0.0/0"


@dataclass(frozen=True)
class Place:
    """Where something has its network interfaces."""

    subnets: tuple[str, ...]
    groups: tuple[str, ...]


@dataclass(frozen=True)
class Route:
    """A route; the one within the VPC itself is left out.

    Attributes:
        kind: ``peering``, ``nat``, ``internet`` or ``other``.
        target: id of what it leads to.
    """

    destination: str
    kind: str
    target: str


@dataclass(frozen=True)
class Subnet:
    """A subnet with its route table."""

    vpc: str
    cidr: str
    table: str
    routes: tuple[Route, ...] = ()


@dataclass(frozen=True)
class Rule:
    """What a rule of a security group allows.

    Attributes:
        protocol: ``tcp``, or ``-1`` for all.
        cidrs, groups: from where, or to where.
    """

    protocol: str
    first: int
    last: int
    cidrs: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()

    def is_about(self, port: int) -> bool:
        """Whether it is about a TCP port."""
        if self.protocol == "-1":
            return True
        return self.protocol in ("tcp", "6") and self.first <= port <= self.last


@dataclass(frozen=True)
class Group:
    """A security group."""

    vpc: str
    ingress: tuple[Rule, ...] = ()
    egress: tuple[Rule, ...] = ()


@dataclass(frozen=True)
class Peering:
    """A peering connection."""

    vpcs: frozenset[str]
    active: bool


@dataclass(frozen=True)
class Endpoint:
    """A VPC endpoint of one service of AWS.

    Attributes:
        service: e.g. ``secretsmanager``, without Region.
        gateway: whether it is one for route tables; else it has interfaces.
        private_names: whether the service's usual name leads to it.
    """

    vpc: str
    service: str
    gateway: bool
    place: Place = Place((), ())
    tables: tuple[str, ...] = ()
    private_names: bool = True


@dataclass(frozen=True)
class Network:
    """The network of an account; everything by its id."""

    subnets: Mapping[str, Subnet] = field(default_factory=dict)
    groups: Mapping[str, Group] = field(default_factory=dict)
    peerings: Mapping[str, Peering] = field(default_factory=dict)
    endpoints: Mapping[str, Endpoint] = field(default_factory=dict)
    gateways: frozenset[str] = frozenset()
    """NAT and internet gateways that work."""


def covers(cidr: str, other: str) -> bool:
    """Whether every address of the second range is in the first."""
    return ipaddress.ip_network(other).subnet_of(ipaddress.ip_network(cidr))  # type: ignore[arg-type]


def best_route(routes: Sequence[Route], destination: str) -> Route | None:
    """The most specific route to a range of addresses (VPC guide, "Route priority")."""
    fitting = [route for route in routes if covers(route.destination, destination)]
    return max(
        fitting, key=lambda route: ipaddress.ip_network(route.destination).prefixlen, default=None
    )
