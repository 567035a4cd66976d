"""AWS::RedshiftServerless::Namespace and ::Workgroup for CloudFormation.

Properties, return values and what a change needs are those of the CloudFormation reference:
``Ref`` is the name, ``Fn::GetAtt`` takes ``Namespace.NamespaceArn``, ``Workgroup.Endpoint.Address``
and so on; a changed name replaces the resource, which the sandbox refuses by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from xacct_sandbox import emulator
from xacct_sandbox.redshift.api.serverless import Serverless
from xacct_sandbox.service_errors import ServiceError

NAMESPACE = "AWS::RedshiftServerless::Namespace"
WORKGROUP = "AWS::RedshiftServerless::Workgroup"

Properties = dict[str, Any]
Created = tuple[str, dict[str, Any]]

# Template property -> API parameter; whatever else a template says is refused.
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
_NUMBERS = {"baseCapacity", "maxCapacity", "port"}
_BOOLEANS = {"enhancedVpcRouting", "publiclyAccessible", "manageAdminPassword"}
# Only CreateNamespace takes these.
_NOT_UPDATABLE_NAMESPACE = {"NamespaceName", "DbName", "KmsKeyId", "RedshiftIdcApplicationArn"}
_NOT_UPDATABLE_WORKGROUP = {"NamespaceName", "WorkgroupName"}


def install(serverless: Serverless) -> None:
    """Register both types."""
    types = _Types(serverless)
    emulator.add_cloudformation_type(
        NAMESPACE,
        create=types.create_namespace,
        update=types.update_namespace,
        delete=types.delete_namespace,
    )
    emulator.add_cloudformation_type(
        WORKGROUP,
        create=types.create_workgroup,
        update=types.update_workgroup,
        delete=types.delete_workgroup,
    )


class _Types:
    def __init__(self, serverless: Serverless) -> None:
        self._api = serverless

    # -- namespace -------------------------------------------------------------------------

    def create_namespace(self, logical_id: str, props: Properties, stack: str) -> Created:
        request = _request(NAMESPACE, props, _NAMESPACE_PROPERTIES)
        answer = self._api.create_namespace(request)["namespace"]
        return answer["namespaceName"], _attributes("Namespace", answer)

    def update_namespace(
        self, physical_id: str, old: Properties, new: Properties, stack: str
    ) -> Created:
        _refuse_replacement(NAMESPACE, physical_id, old, new, _NOT_UPDATABLE_NAMESPACE)
        request = _changed(NAMESPACE, old, new, _NAMESPACE_PROPERTIES)
        tags = request.pop("tags", None)
        answer = self._api.update_namespace({**request, "namespaceName": physical_id})["namespace"]
        self._retag(answer["namespaceArn"], tags)
        return physical_id, _attributes("Namespace", answer)

    def delete_namespace(self, physical_id: str, props: Properties) -> None:
        _unless_gone(self._api.delete_namespace, {"namespaceName": physical_id})

    # -- workgroup -------------------------------------------------------------------------

    def create_workgroup(self, logical_id: str, props: Properties, stack: str) -> Created:
        request = _request(WORKGROUP, props, _WORKGROUP_PROPERTIES)
        answer = self._api.create_workgroup(request)["workgroup"]
        return answer["workgroupName"], _attributes("Workgroup", answer)

    def update_workgroup(
        self, physical_id: str, old: Properties, new: Properties, stack: str
    ) -> Created:
        _refuse_replacement(WORKGROUP, physical_id, old, new, _NOT_UPDATABLE_WORKGROUP)
        request = _changed(WORKGROUP, old, new, _WORKGROUP_PROPERTIES)
        tags = request.pop("tags", None)
        answer = self._api.update_workgroup({**request, "workgroupName": physical_id})["workgroup"]
        self._retag(answer["workgroupArn"], tags)
        return physical_id, _attributes("Workgroup", answer)

    def delete_workgroup(self, physical_id: str, props: Properties) -> None:
        _unless_gone(self._api.delete_workgroup, {"workgroupName": physical_id})

    def _retag(self, arn: str, tags: list[dict[str, str]] | None) -> None:
        if tags is None:
            return
        present = self._api.list_tags({"resourceArn": arn})["tags"]
        self._api.untag_resource({"resourceArn": arn, "tagKeys": [tag["key"] for tag in present]})
        self._api.tag_resource({"resourceArn": arn, "tags": tags})


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
    """The API request for what differs; a property that was taken out goes back to empty."""
    changed = {key: value for key, value in new.items() if old.get(key) != value}
    request = _request(kind, changed, names)
    for key in set(old) - set(new):
        if key in ("IamRoles", "LogExports", "ConfigParameters", "Tags"):
            request[names[key]] = []
        elif key == "DefaultIamRoleArn":
            request[names[key]] = ""
    return request


def _value(name: str, value: Any) -> Any:
    """Templates hand numbers and booleans over as text, and lists of capitalized structures."""
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


def _refuse_replacement(
    kind: str, physical_id: str, old: Properties, new: Properties, fixed: set[str]
) -> None:
    for key in sorted(fixed):
        if old.get(key) != new.get(key):
            raise ServiceError(
                "ValidationError",
                f"{kind} {physical_id}: {key} changed from {old.get(key)!r} to {new.get(key)!r}, "
                "which replaces the resource; the sandbox has room for one only. Delete the stack "
                "and create it again.",
            )


def _unless_gone(delete: Any, request: dict[str, Any]) -> None:
    try:
        delete(request)
    except ServiceError as problem:
        if problem.code != "ResourceNotFoundException":
            raise
