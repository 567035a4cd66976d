"""What a hand may delete and change of held resources: a few operations of their services.

Names, parameters and errors are those of botocore's models; what is refused because others use it
is said in the API references of Amazon ECS, Amazon RDS and AWS Cloud Map. Load balancers have none:
only a stack changes them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

from xacct_sandbox.emulator.authorization.checks import Check
from xacct_sandbox.emulator.json_services import add_service
from xacct_sandbox.emulator.loader import Emulator, Operation, Response, booted
from xacct_sandbox.emulator.state import observed, scoped_state
from xacct_sandbox.service_errors import ServiceError

Request = dict[str, Any]
Found = dict[str, Any]

_NAMESPACE = "http://rds.amazonaws.com/doc/2014-10-31/"


def _all(type_name: str) -> Any:
    return scoped_state(f"held-AWS-{type_name.replace('::', '-')}")


def _require(type_name: str, id_: str, code: str, text: str) -> None:
    if id_ not in _all(type_name):
        raise ServiceError(code, text)


def _change(type_name: str, id_: str, **changed: Any) -> None:
    _all(type_name)[id_] = {**_all(type_name)[id_], **changed}


def _arn(service: str, resource: str) -> str:
    responses = booted().responses
    return f"arn:aws:{service}:{responses.get_region()}:{responses.get_account_id()}:{resource}"


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
    arn = _arn("ecs", f"service/{cluster}/{_last(request['service'])}")
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
    arn = _arn("ecs", f"task-definition/{name}")
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
    if _arn("servicediscovery", f"service/{id_}") in registries:
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
        snapshots = scoped_state("held-snapshots")
        snapshots[request["FinalDBSnapshotIdentifier"]] = _all("RDS::DBInstance")[name]
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

_OPERATIONS: Mapping[str, Mapping[str, tuple[Operation, str]]] = {
    "ecr": {
        "DeleteRepository": (_delete_repository, "repository/{repositoryName}"),
        "PutImageTagMutability": (_put_mutability, "repository/{repositoryName}"),
    },
    "ecs": {
        "DeleteCluster": (_delete_cluster, "cluster/{cluster}"),
        "DeleteService": (_delete_service, "service/{cluster}/{service}"),
        "DeregisterTaskDefinition": (_deregister, "*"),
        "UpdateClusterSettings": (_update_cluster, "cluster/{cluster}"),
        "UpdateService": (_update_service, "service/{cluster}/{service}"),
    },
    "servicediscovery": {
        "DeleteNamespace": (_delete_namespace, "namespace/{Id}"),
        "DeleteService": (_delete_name, "service/{Id}"),
        "UpdatePrivateDnsNamespace": (_update_namespace, "namespace/{Id}"),
        "UpdateService": (_update_name, "service/{Id}"),
    },
    "rds": {
        "DeleteDBInstance": (_delete_database, "db:{DBInstanceIdentifier}"),
        "DeleteDBSubnetGroup": (_delete_subnet_group, "subgrp:{DBSubnetGroupName}"),
        "ModifyDBInstance": (_modify_database, "db:{DBInstanceIdentifier}"),
        "ModifyDBSubnetGroup": (_modify_subnet_group, "subgrp:{DBSubnetGroupName}"),
    },
}
"""Service -> operation -> what it does, and the resource that it is judged on.

Resource types are those of the service authorization reference.
"""

_SUPPORTED: Mapping[str, frozenset[str]] = {
    "UpdateClusterSettings": frozenset({"cluster", "settings"}),
    "ecs UpdateService": frozenset({"cluster", "service", "desiredCount"}),
    "ModifyDBInstance": frozenset(
        {"ApplyImmediately", "BackupRetentionPeriod", "DBInstanceIdentifier"}
    ),
}
"""The parameters of an update that the sandbox gives effect to."""

_PREFIXES = {
    "ecr": "AmazonEC2ContainerRegistry_V20150921",
    "ecs": "AmazonEC2ContainerServiceV20141113",
    "servicediscovery": "Route53AutoNaming_v20170314",
}


def add_held_calls() -> None:
    """Adds the operations of this module."""
    for service, prefix in _PREFIXES.items():
        operations = {
            name: _checked(service, name, operation)
            for name, (operation, _) in _OPERATIONS[service].items()
        }
        add_service(service, prefix, service, operations, _checks_of(service))
    _add_rds(booted())


def _checked(service: str, name: str, operation: Operation) -> Operation:
    """Refuses parameters without effect."""
    supported = _SUPPORTED.get(name) or _SUPPORTED.get(f"{service} {name}")

    def run(request: Request) -> Found:
        others = sorted(set(request) - supported) if supported else []
        if others:
            raise ServiceError(
                "InvalidParameterException",
                f"The sandbox does not support {', '.join(others)} of {service} {name}.",
            )
        try:
            return operation(request)
        except KeyError as missing:
            raise ServiceError(
                "InvalidParameterException",
                f"The sandbox needs {missing.args[0]} for {service} {name}.",
            ) from missing

    return run


def _checks_of(service: str) -> Callable[[str, dict[str, Any]], list[Check]]:
    def checks(operation: str, request: dict[str, Any]) -> list[Check]:
        known = _OPERATIONS[service].get(operation)
        if known is None:
            return []
        given = {key: _last(value) for key, value in request.items() if isinstance(value, str)}
        resource = known[1].format_map(_Defaults(given))
        arn = resource if resource == "*" else _arn(service, resource)
        return [Check(f"{service}:{operation}", arn)]

    return checks


class _Defaults(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return "default" if key == "cluster" else "*"


def _add_rds(emulator: Emulator) -> None:
    """The query protocol: a form in, XML out."""
    operations = {
        name: _checked("rds", name, operation)
        for name, (operation, _) in _OPERATIONS["rds"].items()
    }

    async def handle(
        _method: str, _path: str, _headers: dict[str, str], body: bytes, query: dict[str, Any]
    ) -> Response:
        form = parse_qs(body.decode(), keep_blank_values=True) if body else query
        request = {key: values[0] for key, values in form.items()}
        name, _ = request.pop("Action"), request.pop("Version", None)
        try:
            answer = operations[name](request)
        except ServiceError as error:
            text = f"<Error><Code>{error.code}</Code><Message>{escape(error.message)}</Message>"
            return _xml(error.status, "ErrorResponse", f"{text}<Type>Sender</Type></Error>")
        inner = "".join(_elements(answer))
        return _xml(200, f"{name}Response", f"<{name}Result>{inner}</{name}Result>")

    emulator.app.SERVICE_HANDLERS["rds"] = observed(emulator, handle, frozenset())
    emulator.actions.SERVICE_TO_IAM_NAMESPACE["rds"] = "rds"
    emulator.service_checks["rds"] = _checks_of("rds")


def _elements(answer: Mapping[str, Any]) -> Iterator[str]:
    for key, value in answer.items():
        inner = "".join(_elements(value)) if isinstance(value, Mapping) else escape(str(value))
        yield f"<{key}>{inner}</{key}>"


def _xml(status: int, root: str, inner: str) -> Response:
    body = f'<{root} xmlns="{_NAMESPACE}">{inner}</{root}>'
    return status, {"Content-Type": "text/xml"}, body.encode()
