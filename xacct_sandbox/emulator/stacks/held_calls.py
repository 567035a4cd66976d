"""What a hand may delete and change of held resources: a few operations of their services.

Names, parameters and errors are those of botocore's models; what is refused because others use it
is said in the API references of Amazon ECS, Amazon RDS and AWS Cloud Map. Load balancers have none:
only a stack changes them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from xacct_sandbox.emulator.authorization.checks import Check
from xacct_sandbox.emulator.json_services import add_service
from xacct_sandbox.emulator.loader import Operation, booted
from xacct_sandbox.emulator.query_services import add_query_service
from xacct_sandbox.emulator.stacks.held import held_resources, held_snapshots, regional_arn
from xacct_sandbox.service_errors import ServiceError

Request = dict[str, Any]
Found = dict[str, Any]

_RDS_NAMESPACE = "http://rds.amazonaws.com/doc/2014-10-31/"


def _all(type_name: str) -> Any:
    return held_resources(f"AWS::{type_name}")


def _require(type_name: str, id_: str, code: str, text: str) -> None:
    if id_ not in _all(type_name):
        raise ServiceError(code, text)


def _change(type_name: str, id_: str, **changed: Any) -> None:
    _all(type_name)[id_] = {**_all(type_name)[id_], **changed}


# -- ECR ---------------------------------------------------------------------------------------


def _repository(request: Request) -> str:
    name = str(request.get("repositoryName", ""))
    _require(
        "ECR::Repository",
        name,
        "RepositoryNotFoundException",
        f"The repository with name '{name}' does not exist in the registry with id "
        f"'{booted().responses.get_account_id()}'",
    )
    return name


def _delete_repository(request: Request) -> Found:
    name = _repository(request)
    del _all("ECR::Repository")[name]
    return {"repository": {"repositoryName": name}}


def _put_mutability(request: Request) -> Found:
    name, mutability = _repository(request), request["imageTagMutability"]
    _change("ECR::Repository", name, ImageTagMutability=mutability)
    return {"repositoryName": name, "imageTagMutability": mutability}


# -- ECS ---------------------------------------------------------------------------------------


def _last(name: str) -> str:
    return name.rpartition("/")[2]


def _cluster(request: Request) -> str:
    name = _last(request["cluster"])
    _require("ECS::Cluster", name, "ClusterNotFoundException", "Cluster not found.")
    return name


def _delete_cluster(request: Request) -> Found:
    name = _cluster(request)
    if any(f":service/{name}/" in arn for arn in _all("ECS::Service")):
        raise ServiceError(
            "ClusterContainsServicesException",
            "The Cluster cannot be deleted while Services are active.",
        )
    del _all("ECS::Cluster")[name]
    return {"cluster": {"clusterName": name, "status": "INACTIVE"}}


def _update_cluster(request: Request) -> Found:
    name = _cluster(request)
    settings = [
        {key.capitalize(): value for key, value in entry.items()} for entry in request["settings"]
    ]
    _change("ECS::Cluster", name, ClusterSettings=settings)
    return {"cluster": {"clusterName": name, "settings": request["settings"]}}


def _service(request: Request) -> str:
    cluster = _last(request.get("cluster", "default"))
    arn = regional_arn("ecs", f"service/{cluster}/{_last(request['service'])}")
    _require("ECS::Service", arn, "ServiceNotFoundException", "Service not found.")
    return arn


def _delete_service(request: Request) -> Found:
    arn = _service(request)
    if int(_all("ECS::Service")[arn].get("DesiredCount", 0)) and not request.get("force"):
        raise ServiceError(
            "InvalidParameterException",
            "The service cannot be stopped while it is scaled above 0.",
        )
    del _all("ECS::Service")[arn]
    return {"service": {"serviceArn": arn, "status": "DRAINING"}}


def _update_service(request: Request) -> Found:
    arn = _service(request)
    _change("ECS::Service", arn, DesiredCount=request["desiredCount"])
    return {"service": {"serviceArn": arn, "desiredCount": request["desiredCount"]}}


def _deregister(request: Request) -> Found:
    name = _last(request["taskDefinition"])
    arn = regional_arn("ecs", f"task-definition/{name}")
    _require(
        "ECS::TaskDefinition",
        arn,
        "ClientException",
        "The specified task definition does not exist. Specify a valid account, family, revision "
        "and try again.",
    )
    # It stays as INACTIVE, and no new task can be run from it.
    del _all("ECS::TaskDefinition")[arn]
    return {"taskDefinition": {"taskDefinitionArn": arn, "status": "INACTIVE"}}


# -- Cloud Map ---------------------------------------------------------------------------------


def _name(request: Request) -> str:
    id_ = str(request["Id"])
    _require("ServiceDiscovery::Service", id_, "ServiceNotFound", f"Service {id_} not found.")
    return id_


def _delete_name(request: Request) -> Found:
    id_ = _name(request)
    registries = (
        registry.get("RegistryArn")
        for service in _all("ECS::Service").values()
        for registry in service.get("ServiceRegistries") or ()
    )
    if regional_arn("servicediscovery", f"service/{id_}") in registries:
        raise ServiceError(
            "ResourceInUse", "Service contains registered instances; delete the instances first."
        )
    del _all("ServiceDiscovery::Service")[id_]
    return {}


def _update_name(request: Request) -> Found:
    id_, records = _name(request), request["Service"]["DnsConfig"]["DnsRecords"]
    present = _all("ServiceDiscovery::Service")[id_].get("DnsConfig") or {}
    changed = [{"Type": entry["Type"], "TTL": entry["TTL"]} for entry in records]
    _change("ServiceDiscovery::Service", id_, DnsConfig={**present, "DnsRecords": changed})
    return {"OperationId": f"op-{id_}"}


def _namespace(request: Request) -> str:
    id_, type_name = str(request["Id"]), "ServiceDiscovery::PrivateDnsNamespace"
    _require(type_name, id_, "NamespaceNotFound", f"Namespace {id_} not found.")
    return id_


def _delete_namespace(request: Request) -> Found:
    id_ = _namespace(request)
    services = _all("ServiceDiscovery::Service").values()
    if any(service.get("NamespaceId") == id_ for service in services):
        raise ServiceError("ResourceInUse", "Namespace has associated services.")
    del _all("ServiceDiscovery::PrivateDnsNamespace")[id_]
    return {"OperationId": f"op-{id_}"}


def _update_namespace(request: Request) -> Found:
    id_ = _namespace(request)
    description = request["Namespace"]["Description"]
    _change("ServiceDiscovery::PrivateDnsNamespace", id_, Description=description)
    return {"OperationId": f"op-{id_}"}


# -- RDS ---------------------------------------------------------------------------------------


def _database(request: Request) -> str:
    name = str(request.get("DBInstanceIdentifier", "")).lower()
    _require("RDS::DBInstance", name, "DBInstanceNotFound", f"DBInstance {name} not found.")
    return name


def _delete_database(request: Request) -> Found:
    name = _database(request)
    skips = request.get("SkipFinalSnapshot") == "true"
    if skips == bool(request.get("FinalDBSnapshotIdentifier")):
        raise ServiceError(
            "InvalidParameterCombination",
            "FinalDBSnapshotIdentifier cannot be specified when deleting a instance with "
            "SkipFinalSnapshot"
            if skips
            else "FinalDBSnapshotIdentifier is required unless SkipFinalSnapshot is specified.",
        )
    if not skips:
        held_snapshots()[request["FinalDBSnapshotIdentifier"]] = _all("RDS::DBInstance")[name]
    del _all("RDS::DBInstance")[name]
    return {"DBInstance": {"DBInstanceIdentifier": name}}


def _modify_database(request: Request) -> Found:
    name = _database(request)
    days = int(request["BackupRetentionPeriod"])
    _change("RDS::DBInstance", name, BackupRetentionPeriod=days)
    return {"DBInstance": {"DBInstanceIdentifier": name, "BackupRetentionPeriod": days}}


def _subnet_group(request: Request) -> str:
    name = str(request.get("DBSubnetGroupName", "")).lower()
    text = f"DB subnet group '{name}' does not exist."
    _require("RDS::DBSubnetGroup", name, "DBSubnetGroupNotFoundFault", text)
    return name


def _delete_subnet_group(request: Request) -> Found:
    name = _subnet_group(request)
    for database, found in _all("RDS::DBInstance").items():
        if found.get("DBSubnetGroupName") == name:
            raise ServiceError(
                "InvalidDBSubnetGroupStateFault",
                f"Cannot delete the subnet group '{name}' because at least one database "
                f"instance: {database} is still using it.",
            )
    del _all("RDS::DBSubnetGroup")[name]
    return {}


def _modify_subnet_group(request: Request) -> Found:
    name = _subnet_group(request)
    numbered = re.compile(r"SubnetIds\.\w+\.\d+")
    subnets = [value for key, value in request.items() if numbered.fullmatch(key)]
    changed: Found = {"SubnetIds": subnets}
    if "DBSubnetGroupDescription" in request:
        changed["DBSubnetGroupDescription"] = request["DBSubnetGroupDescription"]
    _change("RDS::DBSubnetGroup", name, **changed)
    return {"DBSubnetGroup": {"DBSubnetGroupName": name}}


# -- the services ------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Call:
    """An operation.

    Attributes:
        run: does it.
        resource: that it is judged on, with parameters in braces (service authorization reference).
        parameters: that the sandbox gives effect to; others are refused by name.
    """

    run: Operation
    resource: str
    parameters: frozenset[str]


def _call(run: Operation, resource: str, parameters: str) -> _Call:
    return _Call(run, resource, frozenset(parameters.split()))


_REPOSITORY, _CLUSTER = "repository/{repositoryName}", "cluster/{cluster}"
_SERVICE, _NAME, _NAMES = "service/{cluster}/{service}", "service/{Id}", "namespace/{Id}"
_DATABASE, _SUBNETS = "db:{DBInstanceIdentifier}", "subgrp:{DBSubnetGroupName}"
_OPERATIONS: Mapping[str, Mapping[str, _Call]] = {
    "ecr": {
        "DeleteRepository": _call(_delete_repository, _REPOSITORY, "force repositoryName"),
        "PutImageTagMutability": _call(
            _put_mutability, _REPOSITORY, "imageTagMutability repositoryName"
        ),
    },
    "ecs": {
        "DeleteCluster": _call(_delete_cluster, _CLUSTER, "cluster"),
        "DeleteService": _call(_delete_service, _SERVICE, "cluster force service"),
        "DeregisterTaskDefinition": _call(_deregister, "*", "taskDefinition"),
        "UpdateClusterSettings": _call(_update_cluster, _CLUSTER, "cluster settings"),
        "UpdateService": _call(_update_service, _SERVICE, "cluster desiredCount service"),
    },
    "servicediscovery": {
        "DeleteNamespace": _call(_delete_namespace, _NAMES, "Id"),
        "DeleteService": _call(_delete_name, _NAME, "Id"),
        "UpdatePrivateDnsNamespace": _call(
            _update_namespace, _NAMES, "Id Namespace.Description UpdaterRequestId"
        ),
        "UpdateService": _call(_update_name, _NAME, "Id Service.DnsConfig"),
    },
    "rds": {
        "DeleteDBInstance": _call(
            *(_delete_database, _DATABASE),
            "DBInstanceIdentifier FinalDBSnapshotIdentifier SkipFinalSnapshot",
        ),
        "DeleteDBSubnetGroup": _call(_delete_subnet_group, _SUBNETS, "DBSubnetGroupName"),
        "ModifyDBInstance": _call(
            *(_modify_database, _DATABASE),
            "ApplyImmediately BackupRetentionPeriod DBInstanceIdentifier",
        ),
        "ModifyDBSubnetGroup": _call(
            *(_modify_subnet_group, _SUBNETS),
            "DBSubnetGroupDescription DBSubnetGroupName SubnetIds",
        ),
    },
}
"""By service and name."""

_PREFIXES = {
    "ecr": "AmazonEC2ContainerRegistry_V20150921",
    "ecs": "AmazonEC2ContainerServiceV20141113",
    "servicediscovery": "Route53AutoNaming_v20170314",
}


def add_held_calls() -> None:
    """Adds the operations of this module."""
    for service, prefix in _PREFIXES.items():
        add_service(service, prefix, service, _checked(service), _checks_of(service))
    add_query_service("rds", _RDS_NAMESPACE, _checked("rds"), _checks_of("rds"))


def _checked(service: str) -> dict[str, Operation]:
    """The operations of a service, which refuse parameters without effect."""

    def checked(name: str, call: _Call) -> Operation:
        def run(request: Request) -> Found:
            if others := sorted(set(_names(request)) - call.parameters):
                raise ServiceError(
                    "InvalidParameterException",
                    f"The sandbox does not support {', '.join(others)} of {service} {name}.",
                )
            try:
                return call.run(request)
            except KeyError as missing:
                raise ServiceError(
                    "InvalidParameterException",
                    f"The sandbox needs {missing.args[0]} for {service} {name}.",
                ) from missing

        return run

    return {name: checked(name, call) for name, call in _OPERATIONS[service].items()}


def _names(request: Request) -> Iterator[str]:
    """The names of what is given: of a structure those of its members, of a list its own."""
    for name, value in request.items():
        if isinstance(value, Mapping):
            yield from (f"{name}.{member}" for member in value)
        else:
            yield name.partition(".")[0]  # SubnetIds.SubnetIdentifier.1 of a form


def _checks_of(service: str) -> Callable[[str, dict[str, Any]], list[Check]]:
    def checks(operation: str, request: dict[str, Any]) -> list[Check]:
        known = _OPERATIONS[service].get(operation)
        if known is None:
            return []
        given = {key: _last(value) for key, value in request.items() if isinstance(value, str)}
        resource = known.resource.format_map(_Defaults(given))
        arn = resource if resource == "*" else regional_arn(service, resource)
        return [Check(f"{service}:{operation}", arn)]

    return checks


class _Defaults(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return "default" if key == "cluster" else "*"
