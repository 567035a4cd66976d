"""The permissions for what hosts Dagster: images, tasks, database, names, load balancer.

From the ``handlers`` of the resource types' schemas, without the calls that only describe or wait.
The service authorization reference says which resource each action is judged on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from xacct_sandbox.emulator.authorization.checks import Check
from xacct_sandbox.emulator.authorization.stack_targets import (
    ResourceType,
    Target,
    on,
    regional,
    tagged,
)

Checks = Callable[[Target], list[Check]]
_BALANCERS = "elasticloadbalancing"


def _any(service: str, *actions: str) -> Checks:
    """On every resource: the action has no resource-level permissions."""
    return lambda _target: on(service, *actions, arn="*")


def _passed_roles(target: Target) -> list[Check]:
    roles = (target.properties.get(name) for name in ("TaskRoleArn", "ExecutionRoleArn"))
    service = {"iam:passedtoservice": "ecs-tasks.amazonaws.com"}
    return [Check("iam:PassRole", str(role), service) for role in roles if role]


def _task_definition(target: Target) -> list[Check]:
    family = str(target.properties.get("Family", ""))
    arn = target.arn("ecs", f"task-definition/{family}:*")
    return [*on("ecs", "RegisterTaskDefinition", arn=arn), *_passed_roles(target)]


def _service(*actions: str) -> Checks:
    def checks(target: Target) -> list[Check]:
        cluster = str(target.properties.get("Cluster", "default")).rpartition("/")[2]
        name = target.properties.get("ServiceName") or target.name
        return on("ecs", *actions, arn=target.arn("ecs", f"service/{cluster}/{name}"))

    return checks


def _database(*actions: str) -> Checks:
    def checks(target: Target) -> list[Check]:
        group = target.properties.get("DBSubnetGroupName", "*")
        return [
            *on("rds", *actions, arn=target.arn("rds", f"db:{target.name}")),
            *on("rds", *actions, arn=target.arn("rds", f"subgrp:{group}")),
        ]

    return checks


HOSTING_RESOURCES: Mapping[str, ResourceType] = {
    "AWS::ECR::Repository": ResourceType(
        "RepositoryName",
        lambda target: [
            *tagged("ecr", "CreateRepository", "TagResource", "repository/{}")(target),
            *(
                regional("ecr", "repository/{}", "PutLifecyclePolicy")(target)
                if "LifecyclePolicy" in target.properties
                else ()
            ),
        ],
        regional("ecr", "repository/{}", "DeleteRepository"),
        regional(
            "ecr",
            "repository/{}",
            "PutImageScanningConfiguration",
            "PutImageTagMutability",
            "PutLifecyclePolicy",
        ),
    ),
    "AWS::ECS::Cluster": ResourceType(
        "ClusterName",
        tagged("ecs", "CreateCluster", "TagResource", "cluster/{}"),
        regional("ecs", "cluster/{}", "DeleteCluster"),
        regional("ecs", "cluster/{}", "UpdateCluster"),
    ),
    "AWS::ECS::TaskDefinition": ResourceType(
        "", _task_definition, _any("ecs", "DeregisterTaskDefinition"), _passed_roles
    ),
    "AWS::ECS::Service": ResourceType(
        "ServiceName",
        _service("CreateService"),
        _service("DeleteService"),
        _service("UpdateService"),
    ),
    "AWS::ElasticLoadBalancingV2::Listener": ResourceType(
        "",
        lambda target: on(
            _BALANCERS, "CreateListener", arn=str(target.properties.get("LoadBalancerArn", "*"))
        ),
        _any(_BALANCERS, "DeleteListener"),
        _any(_BALANCERS, "ModifyListener"),
    ),
    "AWS::ElasticLoadBalancingV2::LoadBalancer": ResourceType(
        "Name",
        regional(
            _BALANCERS,
            "loadbalancer/app/{}/*",
            "CreateLoadBalancer",
            "ModifyLoadBalancerAttributes",
        ),
        _any(_BALANCERS, "DeleteLoadBalancer"),
        _any(_BALANCERS, "ModifyLoadBalancerAttributes", "SetSecurityGroups", "SetSubnets"),
    ),
    "AWS::ElasticLoadBalancingV2::TargetGroup": ResourceType(
        "Name",
        regional(_BALANCERS, "targetgroup/{}/*", "CreateTargetGroup"),
        _any(_BALANCERS, "DeleteTargetGroup"),
        _any(_BALANCERS, "ModifyTargetGroup"),
    ),
    "AWS::RDS::DBInstance": ResourceType(
        "DBInstanceIdentifier",
        _database("CreateDBInstance"),
        lambda target: on(
            "rds",
            "CreateDBSnapshot",
            "DeleteDBInstance",
            arn=target.arn("rds", f"db:{target.name}"),
        ),
        lambda target: on("rds", "ModifyDBInstance", arn=target.arn("rds", f"db:{target.name}")),
        lowercase=True,
    ),
    "AWS::RDS::DBSubnetGroup": ResourceType(
        "DBSubnetGroupName",
        tagged("rds", "CreateDBSubnetGroup", "AddTagsToResource", "subgrp:{}"),
        regional("rds", "subgrp:{}", "DeleteDBSubnetGroup"),
        regional("rds", "subgrp:{}", "ModifyDBSubnetGroup"),
        lowercase=True,
    ),
    "AWS::ServiceDiscovery::PrivateDnsNamespace": ResourceType(
        "",
        lambda target: [
            *on("servicediscovery", "CreatePrivateDnsNamespace", arn="*"),
            *on("route53", "CreateHostedZone", arn="*"),
        ],
        _any("servicediscovery", "DeleteNamespace"),
        _any("servicediscovery", "UpdatePrivateDnsNamespace"),
    ),
    "AWS::ServiceDiscovery::Service": ResourceType(
        "",
        _any("servicediscovery", "CreateService"),
        _any("servicediscovery", "DeleteService"),
        _any("servicediscovery", "UpdateService"),
    ),
}
"""The types, which the sandbox holds with their properties and does not run."""

HOSTING_READS: Mapping[str, Checks] = {
    "AWS::ECR::Repository": regional("ecr", "repository/{}", "DescribeRepositories"),
    "AWS::ECS::Cluster": regional("ecs", "cluster/{}", "DescribeClusters"),
    "AWS::ECS::Service": _service("DescribeServices"),
    "AWS::ECS::TaskDefinition": _any("ecs", "DescribeTaskDefinition"),
    "AWS::ElasticLoadBalancingV2::Listener": _any(_BALANCERS, "DescribeListeners"),
    "AWS::ElasticLoadBalancingV2::LoadBalancer": _any(_BALANCERS, "DescribeLoadBalancers"),
    "AWS::ElasticLoadBalancingV2::TargetGroup": _any(_BALANCERS, "DescribeTargetGroups"),
    "AWS::RDS::DBInstance": regional("rds", "db:{}", "DescribeDBInstances"),
    "AWS::RDS::DBSubnetGroup": regional("rds", "subgrp:{}", "DescribeDBSubnetGroups"),
    "AWS::ServiceDiscovery::PrivateDnsNamespace": _any("servicediscovery", "GetNamespace"),
    "AWS::ServiceDiscovery::Service": _any("servicediscovery", "GetService"),
}
"""What drift detection needs to read them."""
