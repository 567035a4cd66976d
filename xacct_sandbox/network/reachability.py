"""Decides whether a connection between two places is possible, and names what is missing.

Sources: VPC guide ("Route tables", "Control traffic to your AWS resources using security groups"),
VPC peering guide ("Update your route tables", "Update your security groups to reference peer
security groups"), PrivateLink guide ("Gateway endpoints", "Access an AWS service using an
interface VPC endpoint"). Network ACLs are not part of it: no template has one, and that of AWS
allows everything.
"""

from __future__ import annotations

from collections.abc import Sequence

from xacct_sandbox.network.model import ANYWHERE, Network, Place, Rule, Subnet, best_route, covers

HTTPS = 443


def missing_path(network: Network, source: Place, target: Place, port: int) -> str | None:
    """What keeps a TCP connection from one place to another; None if nothing does."""
    for name in (*source.subnets, *target.subnets):
        if name not in network.subnets:
            return f"subnet {name}, which does not exist"
    for group in (*source.groups, *target.groups):
        if group not in network.groups:
            return f"security group {group}, which does not exist"
    for start in source.subnets:
        for end in target.subnets:
            missing = _missing_route(network, start, end) or _missing_route(network, end, start)
            if missing:
                return missing
    return _missing_rule(network, source, target, port)


def missing_service(network: Network, source: Place, service: str) -> str | None:
    """What keeps a place from a service of AWS; None if nothing does.

    Args:
        service: the end of the endpoint's name, e.g. ``secretsmanager``.
    """
    for name in source.subnets:
        subnet = network.subnets.get(name)
        if subnet is None:
            return f"subnet {name}, which does not exist"
        missing = _missing_way_out(network, Place((name,), source.groups), subnet, service)
        if missing:
            return missing
    return None


def _missing_way_out(network: Network, source: Place, subnet: Subnet, service: str) -> str | None:
    endpoints = {
        name: endpoint
        for name, endpoint in network.endpoints.items()
        if endpoint.vpc == subnet.vpc and endpoint.service == service
    }
    reasons = []
    for name, endpoint in endpoints.items():
        if endpoint.gateway:
            if subnet.table in endpoint.tables:
                return _missing_egress(network, source, HTTPS)
            reasons.append(f"route table {subnet.table} in gateway endpoint {name} for {service}")
            continue
        if not endpoint.private_names:
            reasons.append(f"private DNS names of endpoint {name} for {service}")
            continue
        missing = missing_path(network, source, endpoint.place, HTTPS)
        if missing is None:
            return None
        reasons.append(missing)
    route = best_route(subnet.routes, ANYWHERE)
    if route is not None and route.target in network.gateways:
        return _missing_egress(network, source, HTTPS)
    return reasons[0] if reasons else f"an endpoint for {service} in VPC {subnet.vpc}, or a NAT"


def _missing_route(network: Network, start: str, end: str) -> str | None:
    here, there = network.subnets[start], network.subnets[end]
    if here.vpc == there.vpc:
        return None
    route = best_route(here.routes, there.cidr)
    if route is None or route.kind != "peering":
        return f"a route from subnet {start} (route table {here.table}) to {there.cidr}"
    peering = network.peerings.get(route.target)
    if peering is None or not peering.active:
        return f"peering connection {route.target}, which is not active"
    if peering.vpcs != {here.vpc, there.vpc}:
        return f"a peering connection between VPCs {here.vpc} and {there.vpc}"
    return None


def _missing_rule(network: Network, source: Place, target: Place, port: int) -> str | None:
    for end in target.subnets:
        rules = _rules(network, source.groups, egress=True)
        if not _allowed(network, rules, port, network.subnets[end], target.groups, source):
            return _rule("egress", source.groups, port, "to", end, target.groups)
    for start in source.subnets:
        rules = _rules(network, target.groups, egress=False)
        if not _allowed(network, rules, port, network.subnets[start], source.groups, target):
            return _rule("ingress", target.groups, port, "from", start, source.groups)
    return None


def _rule(
    kind: str, of: Sequence[str], port: int, word: str, subnet: str, to: Sequence[str]
) -> str:
    groups = f" ({', '.join(to)})" if to else ""
    return (
        f"an {kind} rule of security group {', '.join(of)} for TCP port {port} {word} subnet "
        f"{subnet}{groups}"
    )


def _rules(network: Network, groups: Sequence[str], *, egress: bool) -> list[Rule]:
    found = [network.groups[name] for name in groups]
    return [rule for group in found for rule in (group.egress if egress else group.ingress)]


def _allowed(
    network: Network,
    rules: Sequence[Rule],
    port: int,
    other: Subnet,
    groups: Sequence[str],
    own: Place,
) -> bool:
    """Whether a rule allows the port from or to the other side.

    A rule that names a group of another VPC holds as long as the two are peered.
    """
    here = network.subnets[own.subnets[0]].vpc
    peered = here == other.vpc or any(
        peering.active and peering.vpcs == {here, other.vpc}
        for peering in network.peerings.values()
    )
    return any(
        any(covers(cidr, other.cidr) for cidr in rule.cidrs)
        or (peered and set(rule.groups) & set(groups))
        for rule in rules
        if rule.is_about(port)
    )


def _missing_egress(network: Network, source: Place, port: int) -> str | None:
    """Public addresses of a service: only a rule for all addresses is sure to have them."""
    rules = _rules(network, [name for name in source.groups if name in network.groups], egress=True)
    if any(rule.is_about(port) and ANYWHERE in rule.cidrs for rule in rules):
        return None
    return f"an egress rule of security group {', '.join(source.groups)} for TCP port {port}"
