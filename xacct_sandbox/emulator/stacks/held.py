"""Resources that a stack holds with their properties, and that nothing runs: what hosts Dagster.

They have ids, attributes and rights as on AWS, may not be made twice, and are replaced and deleted
as their schemas say. No container starts, no database answers. ``held_calls.py`` has the few
operations of their services by which a hand may delete or change them.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from xacct_sandbox.emulator.cloudformation import add_cloudformation_type
from xacct_sandbox.emulator.loader import booted
from xacct_sandbox.emulator.property_checks import refuse_properties
from xacct_sandbox.emulator.stacks.existing import already_exists, given_name
from xacct_sandbox.emulator.state import scoped_state

Properties = Mapping[str, Any]
Attributes = dict[str, Any]


@dataclass(frozen=True)
class HeldType:
    """How a type is held.

    Attributes:
        id_of: the physical id of a resource with this name.
        attributes: those of ``Fn::GetAtt``, of a resource with this physical id.
        properties: what a template may set; anything else is refused by name.
        secret: properties that cannot be read back.
    """

    id_of: Callable[[str, Properties], str]
    attributes: Callable[[str, Properties], Attributes]
    properties: frozenset[str]
    secret: frozenset[str] = frozenset()


def regional_arn(service: str, resource: str) -> str:
    """The ARN of a resource of the caller's account and Region."""
    responses = booted().responses
    return f"arn:aws:{service}:{responses.get_region()}:{responses.get_account_id()}:{resource}"


def _named(name: str, _props: Properties) -> str:
    return name


def _short(text: str, length: int = 16) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:length]


def _repository(name: str, _props: Properties) -> Attributes:
    responses = booted().responses
    host = f"{responses.get_account_id()}.dkr.ecr.{responses.get_region()}.amazonaws.com"
    return {"Arn": regional_arn("ecr", f"repository/{name}"), "RepositoryUri": f"{host}/{name}"}


def _revision(_name: str, props: Properties) -> str:
    """Each one that is registered has the next number, also after the last one was deleted."""
    family = str(props.get("Family") or _name)
    revisions = scoped_state("held-revisions")
    revisions[family] = int(revisions.get(family, 0)) + 1
    return regional_arn("ecs", f"task-definition/{family}:{revisions[family]}")


def _service_arn(name: str, props: Properties) -> str:
    cluster = str(props.get("Cluster", "default")).rpartition("/")[2]
    return regional_arn("ecs", f"service/{cluster}/{name}")


def _database(name: str, props: Properties) -> Attributes:
    region = booted().responses.get_region()
    return {
        "DBInstanceArn": regional_arn("rds", f"db:{name}"),
        "Endpoint.Address": f"{name}.{_short(name, 12)}.{region}.rds.amazonaws.com",
        "Endpoint.Port": str(props.get("Port", 5432)),
    }


def _balancer(kind: str) -> Callable[[str, Properties], str]:
    return lambda name, _props: regional_arn(
        "elasticloadbalancing", f"{kind}/{name}/{_short(name)}"
    )


def _balancer_attributes(arn: str, _props: Properties) -> Attributes:
    full, name = arn.partition(":loadbalancer/")[2], arn.split("/")[-2]
    region = booted().responses.get_region()
    return {
        "LoadBalancerArn": arn,
        "LoadBalancerFullName": full,
        "LoadBalancerName": name,
        "DNSName": f"{name}-{_short(name, 10)}.{region}.elb.amazonaws.com",
        "CanonicalHostedZoneID": "Z35SXDOTRQ7X7K",
    }


def _target_group(arn: str, _props: Properties) -> Attributes:
    return {
        "TargetGroupArn": arn,
        "TargetGroupFullName": arn.rpartition(":")[2],
        "TargetGroupName": arn.split("/")[-2],
    }


def _listener(_name: str, props: Properties) -> str:
    balancer = str(props["LoadBalancerArn"]).replace(":loadbalancer/", ":listener/")
    return f"{balancer}/{_short(uuid.uuid4().hex)}"


def _discovery(prefix: str) -> Callable[[str, Properties], str]:
    return lambda _name, _props: f"{prefix}-{uuid.uuid4().hex[:16]}"


def _discovery_attributes(kind: str) -> Callable[[str, Properties], Attributes]:
    return lambda id_, props: {
        "Arn": regional_arn("servicediscovery", f"{kind}/{id_}"),
        "Id": id_,
        "HostedZoneId": f"Z{_short(id_, 20).upper()}",
        "Name": props.get("Name", ""),
    }


def _set(names: str) -> frozenset[str]:
    return frozenset({*names.split(), "Tags"})


HELD: Mapping[str, HeldType] = {
    "AWS::ECR::Repository": HeldType(
        _named,
        _repository,
        _set(
            "RepositoryName ImageTagMutability ImageScanningConfiguration EmptyOnDelete "
            "LifecyclePolicy EncryptionConfiguration"
        ),
        frozenset({"EmptyOnDelete"}),
    ),
    "AWS::ECS::Cluster": HeldType(
        _named,
        lambda name, _: {"Arn": regional_arn("ecs", f"cluster/{name}")},
        _set("ClusterName ClusterSettings CapacityProviders Configuration"),
    ),
    "AWS::ECS::TaskDefinition": HeldType(
        _revision,
        lambda arn, _: {"TaskDefinitionArn": arn},
        _set(
            "ContainerDefinitions Cpu EphemeralStorage ExecutionRoleArn Family Memory NetworkMode "
            "RequiresCompatibilities RuntimePlatform TaskRoleArn Volumes"
        ),
    ),
    "AWS::ECS::Service": HeldType(
        _service_arn,
        lambda arn, _: {"ServiceArn": arn, "Name": arn.rpartition("/")[2]},
        _set(
            "Cluster DeploymentConfiguration DesiredCount EnableExecuteCommand "
            "HealthCheckGracePeriodSeconds LaunchType LoadBalancers NetworkConfiguration "
            "PlatformVersion PropagateTags ServiceName ServiceRegistries TaskDefinition"
        ),
    ),
    "AWS::ElasticLoadBalancingV2::Listener": HeldType(
        _listener,
        lambda arn, _: {"ListenerArn": arn},
        _set("Certificates DefaultActions LoadBalancerArn Port Protocol SslPolicy"),
        # The client's secret of a sign-in is in them.
        frozenset({"DefaultActions"}),
    ),
    "AWS::ElasticLoadBalancingV2::LoadBalancer": HeldType(
        _balancer("loadbalancer/app"),
        _balancer_attributes,
        _set("IpAddressType LoadBalancerAttributes Name Scheme SecurityGroups Subnets Type"),
    ),
    "AWS::ElasticLoadBalancingV2::TargetGroup": HeldType(
        _balancer("targetgroup"),
        _target_group,
        _set(
            "HealthCheckIntervalSeconds HealthCheckPath HealthCheckProtocol "
            "HealthCheckTimeoutSeconds HealthyThresholdCount Matcher Name Port Protocol "
            "TargetGroupAttributes TargetType UnhealthyThresholdCount VpcId"
        ),
    ),
    "AWS::RDS::DBInstance": HeldType(
        _named,
        _database,
        _set(
            "AllocatedStorage AutoMinorVersionUpgrade BackupRetentionPeriod CopyTagsToSnapshot "
            "DBInstanceClass DBInstanceIdentifier DBName DBSubnetGroupName DeleteAutomatedBackups "
            "DeletionProtection EnableCloudwatchLogsExports Engine EngineVersion KmsKeyId "
            "MasterUserPassword MasterUsername MaxAllocatedStorage MultiAZ Port PubliclyAccessible "
            "StorageEncrypted StorageType VPCSecurityGroups"
        ),
        frozenset({"DeleteAutomatedBackups", "MasterUserPassword"}),
    ),
    "AWS::RDS::DBSubnetGroup": HeldType(
        _named,
        lambda name, _: {"DBSubnetGroupArn": regional_arn("rds", f"subgrp:{name}")},
        _set("DBSubnetGroupDescription DBSubnetGroupName SubnetIds"),
    ),
    "AWS::ServiceDiscovery::PrivateDnsNamespace": HeldType(
        _discovery("ns"),
        _discovery_attributes("namespace"),
        _set("Description Name Vpc"),
        frozenset({"Vpc"}),
    ),
    "AWS::ServiceDiscovery::Service": HeldType(
        _discovery("srv"),
        _discovery_attributes("service"),
        _set("Description DnsConfig HealthCheckCustomConfig Name NamespaceId"),
    ),
}
"""Type -> how it is held."""


def add_held_types() -> None:
    """Adds the types to CloudFormation. Comes after the patches of the stacks."""
    for name, held in HELD.items():
        add_cloudformation_type(
            name,
            create=_creator(name, held),
            update=_updater(name, held),
            delete=partial(_forget, name),
            read=partial(_read, name),
            compared=held.properties - held.secret,
        )
    handlers = booted().provisioners._RESOURCE_HANDLERS["AWS::RDS::DBInstance"]
    handlers["snapshot"] = _keep_snapshot


def held_resources(type_name: str) -> MutableMapping[str, Any]:
    """A type's held resources in the caller's account and Region: properties by physical id."""
    return scoped_state(f"held-{type_name.replace('::', '-')}")


def _check(type_name: str, held: HeldType, props: Properties) -> dict[str, Any]:
    """The properties to hold: no secret of them.

    Raises:
        ServiceError: the template sets one that the sandbox does not know.
    """
    refuse_properties(type_name, set(props) - held.properties)
    return {key: value for key, value in props.items() if key not in held.secret}


def _creator(type_name: str, held: HeldType) -> Callable[..., tuple[str, Attributes]]:
    def create(logical_id: str, props: dict[str, Any], stack: str) -> tuple[str, Attributes]:
        kept = _check(type_name, held, props)
        name = given_name(type_name, props)
        made = name or str(booted().provisioners._physical_name(stack, logical_id)).lower()
        physical_id = held.id_of(made, props)
        if physical_id in held_resources(type_name):
            raise ValueError(already_exists(booted(), type_name, made, props))
        held_resources(type_name)[physical_id] = kept
        return physical_id, held.attributes(physical_id, props)

    return create


def _updater(type_name: str, held: HeldType) -> Callable[..., tuple[str, Attributes]]:
    def update(
        physical_id: str, _old: dict[str, Any], new: dict[str, Any], _stack: str
    ) -> tuple[str, Attributes]:
        held_resources(type_name)[physical_id] = _check(type_name, held, new)
        return physical_id, held.attributes(physical_id, new)

    return update


def _forget(type_name: str, physical_id: str, _props: Properties) -> None:
    held_resources(type_name).pop(physical_id, None)


def _read(type_name: str, physical_id: str, _props: Properties) -> dict[str, Any] | None:
    found: dict[str, Any] | None = held_resources(type_name).get(physical_id)
    return found


def held_snapshots() -> MutableMapping[str, Any]:
    """The databases' properties by the id of their snapshot."""
    return scoped_state("held-snapshots")


def _keep_snapshot(physical_id: str, _props: Properties) -> None:
    """The final snapshot of a database: its properties, since it has no data here."""
    database = held_resources("AWS::RDS::DBInstance").get(physical_id)
    held_snapshots()[f"{physical_id}-{uuid.uuid4().hex[:12]}"] = database
