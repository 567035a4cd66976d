"""Workgroups: the operations of the API."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from xacct_sandbox import emulator
from xacct_sandbox.daemon.config import REDSHIFT_PORTS, SandboxConfig
from xacct_sandbox.redshift.api.serverless.answers import listed
from xacct_sandbox.redshift.api.serverless.checks import (
    Request,
    check_capacity,
    check_config_parameters,
    checked_name,
    invalid,
    missing,
    refuse_options,
)
from xacct_sandbox.redshift.api.serverless.state import (
    Document,
    Publisher,
    all_tags,
    arn,
    find,
    namespaces,
    set_tags,
    timestamp,
    workgroups,
)

DEFAULT_CAPACITY = 128
PATCH_VERSION = "1.0"


class Workgroups:
    """The operations on workgroups."""

    def __init__(self, config: SandboxConfig, publisher: Publisher) -> None:
        self._config = config
        self._publisher = publisher

    def create(self, request: Request) -> dict[str, Any]:
        """CreateWorkgroup."""
        name = checked_name(request.get("workgroupName"), "workgroupName")
        with self._publisher.lock:
            namespace = namespaces().get(request.get("namespaceName") or "")
            if namespace is None:
                raise missing("namespace", request.get("namespaceName"))
            self._publisher.require_free("workgroup", name)
            identifier = str(uuid.uuid4())
            workgroup: Document = {
                "creationDate": timestamp(),
                "namespaceName": namespace["namespaceName"],
                "workgroupArn": arn("workgroup", identifier),
                "workgroupId": identifier,
                "workgroupName": name,
                "workgroupVersion": PATCH_VERSION,
                "patchVersion": PATCH_VERSION,
                "status": "AVAILABLE",
                "baseCapacity": DEFAULT_CAPACITY,
                "configParameters": [],
                "crossAccountVpcs": [],
                "enhancedVpcRouting": False,
                "publiclyAccessible": False,
                "securityGroupIds": [],
                "subnetIds": [],
                **self._settings(request),
            }
            workgroups()[name] = workgroup
            set_tags(workgroup["workgroupArn"], request.get("tags"))
            self._publisher.publish()
            return {"workgroup": self._shown(workgroup)}

    def get(self, request: Request) -> dict[str, Any]:
        """GetWorkgroup."""
        return {"workgroup": self._shown(find("workgroup", request))}

    def list_all(self, request: Request) -> dict[str, Any]:
        """ListWorkgroups."""
        owner = request.get("ownerAccount")
        if owner and owner != emulator.account_id():
            raise invalid("ownerAccount: the sandbox lists only the caller's own workgroups")
        found = [self._shown(workgroup) for workgroup in workgroups().values()]
        return listed(request, "workgroups", found)

    def update(self, request: Request) -> dict[str, Any]:
        """UpdateWorkgroup."""
        with self._publisher.lock:
            workgroup = {**find("workgroup", request), **self._settings(request)}
            workgroups()[workgroup["workgroupName"]] = workgroup
            self._publisher.publish()
            return {"workgroup": self._shown(workgroup)}

    def delete(self, request: Request) -> dict[str, Any]:
        """DeleteWorkgroup: the data stays in the namespace, nobody can connect."""
        with self._publisher.lock:
            workgroup = find("workgroup", request)
            del workgroups()[workgroup["workgroupName"]]
            all_tags().pop(workgroup["workgroupArn"], None)
            self._publisher.publish()
            return {"workgroup": {**self._shown(workgroup), "status": "DELETING"}}

    def arn_of(self, name: str) -> str:
        """The ARN of the workgroup of that name; if there is none, a pattern for all."""
        workgroup = workgroups().get(name)
        return workgroup["workgroupArn"] if workgroup else arn("workgroup", "*")

    def by_name_or_arn(self, name_or_arn: str) -> Document | None:
        """A workgroup of the caller's account and region."""
        for workgroup in workgroups().values():
            if name_or_arn in (workgroup["workgroupName"], workgroup["workgroupArn"]):
                return workgroup
        return None

    def _settings(self, request: Request) -> dict[str, Any]:
        refuse_options(
            request,
            "extraComputeForAutomaticOptimization",
            "pricePerformanceTarget",
            "trackName",
        )
        if request.get("ipAddressType") not in (None, "ipv4"):
            raise invalid("ipAddressType: the sandbox listens on IPv4 only")
        found: dict[str, Any] = {}
        port = request.get("port")
        if port is not None:
            if port not in REDSHIFT_PORTS:
                raise invalid(f"port {port}: allowed are 5431-5455 and 8191-8215")
            if port != self._config.redshift_port:
                raise invalid(
                    f"port {port}: this sandbox listens on {self._config.redshift_port}; start "
                    f"it with XACCT_SANDBOX_REDSHIFT_PORT={port} or ask for that port"
                )
        capacity = request.get("baseCapacity")
        if capacity is not None:
            check_capacity("baseCapacity", capacity)
            found["baseCapacity"] = capacity
        if request.get("maxCapacity") is not None:
            check_capacity("maxCapacity", request["maxCapacity"])
            found["maxCapacity"] = request["maxCapacity"]
        check_config_parameters(request.get("configParameters") or [])
        for key in (
            "configParameters",
            "enhancedVpcRouting",
            "publiclyAccessible",
            "securityGroupIds",
            "subnetIds",
        ):
            if key in request:
                found[key] = request[key]
        return found

    def _shown(self, workgroup: Mapping[str, Any]) -> dict[str, Any]:
        return {
            **workgroup,
            "port": self._config.redshift_port,
            "endpoint": {
                "address": self._config.host,
                "port": self._config.redshift_port,
                "vpcEndpoints": [],
            },
        }
