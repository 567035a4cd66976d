"""AWS::RedshiftServerless::Namespace and ::Workgroup for CloudFormation.

Properties, return values and update behaviours are those of the CloudFormation reference: ``Ref``
is the name, ``Fn::GetAtt`` takes ``Namespace.NamespaceArn``, ``Workgroup.Endpoint.Address`` and so
on. A changed name replaces the resource: the namespace with its data.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from xacct_sandbox import emulator
from xacct_sandbox.redshift.api.serverless import Serverless
from xacct_sandbox.redshift.api.serverless.checks import role_arn
from xacct_sandbox.service_errors import ServiceError

Properties = dict[str, Any]
Created = tuple[str, dict[str, Any]]

# Property of a template -> parameter of the API. Other properties are refused.
_NAMESPACE_PROPERTIES = {
    "AdminPasswordSecretKmsKeyId": "adminPasswordSecretKmsKeyId",
    "AdminUserPassword": "adminUserPassword",
    "AdminUsername": "adminUsername",
    "DbName": "dbName",
    "DefaultIamRoleArn": "defaultIamRoleArn",
    "IamRoles": "iamRoles",
    "KmsKeyId": "kmsKeyId",
    "LogExports": "logExports",
    "ManageAdminPassword": "manageAdminPassword",
    "NamespaceName": "namespaceName",
    "RedshiftIdcApplicationArn": "redshiftIdcApplicationArn",
    "Tags": "tags",
}
# What only the deletion of a namespace takes.
_FINAL_SNAPSHOT = {
    "FinalSnapshotName": "finalSnapshotName",
    "FinalSnapshotRetentionPeriod": "finalSnapshotRetentionPeriod",
}
_WORKGROUP_PROPERTIES = {
    "BaseCapacity": "baseCapacity",
    "ConfigParameters": "configParameters",
    "EnhancedVpcRouting": "enhancedVpcRouting",
    "MaxCapacity": "maxCapacity",
    "NamespaceName": "namespaceName",
    "Port": "port",
    "PricePerformanceTarget": "pricePerformanceTarget",
    "PubliclyAccessible": "publiclyAccessible",
    "SecurityGroupIds": "securityGroupIds",
    "SubnetIds": "subnetIds",
    "Tags": "tags",
    "TrackName": "trackName",
    "WorkgroupName": "workgroupName",
}
_NUMBERS = {"baseCapacity", "finalSnapshotRetentionPeriod", "maxCapacity", "port"}
# What drift detection compares: what the schemas do not call write-only.
_NAMESPACE_COMPARED = frozenset(
    {"AdminUsername", "DbName", "DefaultIamRoleArn", "IamRoles", "LogExports", "NamespaceName"}
)
_WORKGROUP_COMPARED = frozenset(
    {
        "BaseCapacity",
        "EnhancedVpcRouting",
        "MaxCapacity",
        "NamespaceName",
        "Port",
        "PubliclyAccessible",
        "WorkgroupName",
    }
)
_BOOLEANS = {"enhancedVpcRouting", "publiclyAccessible", "manageAdminPassword"}


def install(serverless: Serverless) -> None:
    """Register both types with the emulator."""
    for resource in (namespace_type(serverless), workgroup_type(serverless)):
        emulator.add_cloudformation_type(
            resource.name,
            create=resource.create,
            update=resource.update,
            delete=resource.delete,
            read=resource.read,
            compared=resource.compared,
        )


def namespace_type(serverless: Serverless) -> ResourceType:
    return ResourceType(
        "AWS::RedshiftServerless::Namespace",
        "namespace",
        _NAMESPACE_PROPERTIES,
        _NAMESPACE_COMPARED,
        {"DbName", "KmsKeyId", "RedshiftIdcApplicationArn"},
        serverless.namespaces,
        serverless,
    )


def workgroup_type(serverless: Serverless) -> ResourceType:
    return ResourceType(
        "AWS::RedshiftServerless::Workgroup",
        "workgroup",
        _WORKGROUP_PROPERTIES,
        _WORKGROUP_COMPARED,
        set(),
        serverless.workgroups,
        serverless,
    )


class Operations(Protocol):
    """The operations of the API on one kind of resource."""

    def create(self, request: Properties) -> dict[str, Any]: ...

    def get(self, request: Properties) -> dict[str, Any]: ...

    def update(self, request: Properties) -> dict[str, Any]: ...

    def delete(self, request: Properties) -> dict[str, Any]: ...


class ResourceType:
    """One type of CloudFormation resource."""

    def __init__(
        self,
        name: str,
        kind: str,
        properties: Mapping[str, str],
        compared: frozenset[str],
        fixed: set[str],
        operations: Operations,
        serverless: Serverless,
    ) -> None:
        """
        Args:
            name: The type as templates name it.
            kind: ``namespace`` or ``workgroup``.
            properties: Properties of templates -> parameters of the API.
            compared: Properties that drift detection compares.
            fixed: Properties that only the operation that creates takes.
            serverless: For the tags.
        """
        self.name = name
        self.compared = compared
        self._kind = kind
        self._properties = properties
        self._fixed = fixed
        self._operations = operations
        self._serverless = serverless

    def create(self, logical_id: str, props: Properties, stack: str) -> Created:
        request = _request(self.name, _without_final(props), self._properties)
        answer = self._operations.create(request)[self._kind]
        return answer[f"{self._kind}Name"], _attributes(self._kind.capitalize(), answer)

    def update(self, physical_id: str, old: Properties, new: Properties, stack: str) -> Created:
        old, new = _without_final(old), _without_final(new)
        _refuse_fixed(self.name, physical_id, old, new, self._fixed)
        request = _changed(self.name, old, new, self._properties)
        tags = request.pop("tags", None)
        request[f"{self._kind}Name"] = physical_id
        answer = self._operations.update(request)[self._kind]
        self._replace_tags(answer[f"{self._kind}Arn"], tags)
        return physical_id, _attributes(self._kind.capitalize(), answer)

    def delete(self, physical_id: str, props: Properties) -> None:
        final = {
            parameter: _value(parameter, props[name])
            for name, parameter in _FINAL_SNAPSHOT.items()
            if name in props
        }
        try:
            self._operations.delete({f"{self._kind}Name": physical_id, **final})
        except ServiceError as problem:
            if problem.code != "ResourceNotFoundException":
                raise

    def read(self, physical_id: str, props: Mapping[str, Any]) -> Properties | None:
        """The properties that the resource has; None if it is gone."""
        try:
            found = self._operations.get({f"{self._kind}Name": physical_id})[self._kind]
        except ServiceError:
            return None
        actual = {name: found.get(self._properties[name]) for name in self.compared}
        if "IamRoles" in actual:
            actual["IamRoles"] = [role_arn(role) for role in actual["IamRoles"]]
        return {name: value for name, value in actual.items() if value is not None}

    def _replace_tags(self, arn: str, tags: list[dict[str, str]] | None) -> None:
        if tags is None:
            return
        api = self._serverless
        present = api.list_tags({"resourceArn": arn})["tags"]
        api.untag_resource({"resourceArn": arn, "tagKeys": [tag["key"] for tag in present]})
        api.tag_resource({"resourceArn": arn, "tags": tags})


def _request(kind: str, props: Properties, names: Mapping[str, str]) -> dict[str, Any]:
    unknown = sorted(set(props) - set(names))
    if unknown:
        raise ServiceError(
            "ValidationError", f"The sandbox's {kind} has no property {', '.join(unknown)}"
        )
    return {names[key]: _value(names[key], value) for key, value in props.items()}


def _changed(
    kind: str, old: Properties, new: Properties, names: Mapping[str, str]
) -> dict[str, Any]:
    """The request that updates what differs. A property that was removed becomes empty."""
    changed = {key: value for key, value in new.items() if old.get(key) != value}
    request = _request(kind, changed, names)
    for key in set(old) - set(new):
        if key in ("IamRoles", "LogExports", "ConfigParameters", "Tags"):
            request[names[key]] = []
        elif key == "DefaultIamRoleArn":
            request[names[key]] = ""
    return request


def _value(name: str, value: Any) -> Any:
    """The value for the API. Templates have numbers and booleans as text, and capitalized keys."""
    if name in _NUMBERS:
        return int(value)
    if name in _BOOLEANS and isinstance(value, str):
        return value.lower() == "true"
    if name == "tags":
        return [{"key": tag["Key"], "value": tag["Value"]} for tag in value]
    if name == "configParameters":
        return [
            {
                "parameterKey": entry["ParameterKey"],
                "parameterValue": str(entry["ParameterValue"]),
            }
            for entry in value
        ]
    return value


def _attributes(prefix: str, answer: Mapping[str, Any]) -> dict[str, Any]:
    """``Fn::GetAtt`` names: the API's members, capitalized, nested with dots."""
    found: dict[str, Any] = {}
    for key, value in answer.items():
        name = f"{prefix}.{key[0].upper()}{key[1:]}"
        if isinstance(value, dict):
            found.update(_attributes(name, value))
        else:
            found[name] = value
    return found


def _without_final(props: Properties) -> Properties:
    return {name: value for name, value in props.items() if name not in _FINAL_SNAPSHOT}


def _refuse_fixed(
    kind: str, physical_id: str, old: Properties, new: Properties, fixed: set[str]
) -> None:
    for key in sorted(fixed):
        if old.get(key) != new.get(key):
            raise ServiceError(
                "ValidationError",
                f"{kind} {physical_id}: {key} changed from {old.get(key)!r} to {new.get(key)!r}, "
                "which no operation can do. Leave it, or change NamespaceName as well, which makes "
                "a new namespace without the data.",
            )
