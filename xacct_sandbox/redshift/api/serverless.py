"""The redshift-serverless API over the one database of the sandbox.

One namespace with one workgroup exists at most; a second is refused by name. Shapes, limits and
errors are those of botocore's redshift-serverless model; what the sandbox does not do is refused.
"""

from __future__ import annotations

import re
import secrets
import string
import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from xacct_sandbox import emulator
from xacct_sandbox.daemon.config import SandboxConfig
from xacct_sandbox.emulator.paging import page
from xacct_sandbox.redshift.api.control import DATABASE, Control
from xacct_sandbox.service_errors import ServiceError

REDSHIFT = "redshift.amazonaws.com"
PAGE = 100
DEFAULT_CAPACITY = 128
ALLOWED_PORTS = (*range(5431, 5456), *range(8191, 8216))
MIN_CREDENTIALS_SECONDS, MAX_CREDENTIALS_SECONDS, DEFAULT_CREDENTIALS_SECONDS = 900, 3600, 900
PATCH_VERSION = "1.0"

_NAME = re.compile(r"[a-z0-9-]{3,64}")
_ADMIN_NAME = re.compile(r"[a-zA-Z_][a-zA-Z_0-9+.@-]*")
_FORBIDDEN_IN_PASSWORD = set("'\"\\/@ ")
_CONFIG_PARAMETERS = {
    "auto_mv",
    "datestyle",
    "enable_case_sensitive_identifier",
    "enable_user_activity_logging",
    "query_group",
    "require_ssl",
    "search_path",
    "use_fips_ssl",
    "wlm_json_configuration",
}

Request = dict[str, Any]


@dataclass(frozen=True)
class TemporaryCredentials:
    user: str
    expiration: datetime
    next_refresh: datetime
    password: str = field(repr=False)


class Serverless:
    """The API's operations. State that outlives the process is ministack's; passwords are not."""

    def __init__(self, config: SandboxConfig, control: Control) -> None:
        self._config = config
        self._control = control
        self._lock = threading.RLock()
        self._temporary: dict[str, TemporaryCredentials] = {}

    def operations(self) -> dict[str, Callable[[Request], dict[str, Any]]]:
        """By name, for ministack."""
        return {
            "CreateNamespace": self.create_namespace,
            "GetNamespace": self.get_namespace,
            "ListNamespaces": self.list_namespaces,
            "UpdateNamespace": self.update_namespace,
            "DeleteNamespace": self.delete_namespace,
            "CreateWorkgroup": self.create_workgroup,
            "GetWorkgroup": self.get_workgroup,
            "ListWorkgroups": self.list_workgroups,
            "UpdateWorkgroup": self.update_workgroup,
            "DeleteWorkgroup": self.delete_workgroup,
            "GetCredentials": self.get_credentials,
            "TagResource": self.tag_resource,
            "UntagResource": self.untag_resource,
            "ListTagsForResource": self.list_tags,
        }

    def resource_arn(self, operation: str, request: Request) -> str:
        """What an operation is authorized on."""
        if operation.endswith("TagResource") or operation == "ListTagsForResource":
            return request.get("resourceArn") or "*"
        if "workgroupName" in request:
            return self.workgroup_arn(request["workgroupName"])
        if "namespaceName" in request:
            namespace = _namespaces().get(request["namespaceName"])
            return namespace["namespaceArn"] if namespace else _arn("namespace", "*")
        return "*"

    # -- namespaces ------------------------------------------------------------------------

    def create_namespace(self, request: Request) -> dict[str, Any]:
        """CreateNamespace."""
        _refuse(
            request,
            "manageAdminPassword",
            "adminPasswordSecretKmsKeyId",
            "redshiftIdcApplicationArn",
            "kmsKeyId",
        )
        name = _name(request.get("namespaceName"), "namespaceName")
        with self._lock:
            self._require_free("namespace", name)
            database = request.get("dbName") or DATABASE
            if database != DATABASE:
                raise _invalid(
                    f"dbName {database!r}: the sandbox's only database is {DATABASE!r}; leave "
                    "dbName out"
                )
            roles = self._checked_roles(request.get("iamRoles"), request.get("defaultIamRoleArn"))
            admin, password = request.get("adminUsername"), request.get("adminUserPassword")
            _check_admin(admin, password)
            identifier = str(uuid.uuid4())
            namespace = {
                "adminUsername": admin or "admin",
                "creationDate": _iso(datetime.now(UTC)),
                "dbName": database,
                "defaultIamRoleArn": request.get("defaultIamRoleArn") or "",
                "iamRoles": roles,
                "kmsKeyId": "AWS_OWNED_KMS_KEY",
                "logExports": list(request.get("logExports") or []),
                "namespaceArn": _arn("namespace", identifier),
                "namespaceId": identifier,
                "namespaceName": name,
                "status": "AVAILABLE",
            }
            self._control.set_user(
                namespace["adminUsername"], password or _new_password(), superuser=True
            )
            _namespaces()[name] = namespace
            self._tag(namespace["namespaceArn"], request.get("tags"))
            self._publish()
            return {"namespace": _shown(namespace)}

    def get_namespace(self, request: Request) -> dict[str, Any]:
        """GetNamespace."""
        return {"namespace": _shown(self._namespace(request))}

    def list_namespaces(self, request: Request) -> dict[str, Any]:
        """ListNamespaces."""
        return _listed(request, "namespaces", list(_namespaces().values()))

    def update_namespace(self, request: Request) -> dict[str, Any]:
        """UpdateNamespace."""
        _refuse(
            request,
            "manageAdminPassword",
            "adminPasswordSecretKmsKeyId",
            "kmsKeyId",
            "logDestinationType",
            "s3TableAction",
            "s3TableGranularity",
            "s3TableKmsKeyId",
            "s3TableNames",
        )
        with self._lock:
            namespace = dict(self._namespace(request))
            if "iamRoles" in request or "defaultIamRoleArn" in request:
                default = request.get("defaultIamRoleArn", namespace["defaultIamRoleArn"])
                namespace["iamRoles"] = self._checked_roles(
                    request.get("iamRoles", namespace["iamRoles"]), default
                )
                namespace["defaultIamRoleArn"] = default or ""
            if "logExports" in request:
                namespace["logExports"] = list(request["logExports"] or [])
            admin, password = request.get("adminUsername"), request.get("adminUserPassword")
            if admin or password:
                _check_admin(admin or namespace["adminUsername"], password)
                if not password:
                    raise _invalid("adminUsername can only be changed with adminUserPassword")
                namespace["adminUsername"] = admin or namespace["adminUsername"]
                self._control.set_user(namespace["adminUsername"], password, superuser=True)
            _namespaces()[namespace["namespaceName"]] = namespace
            self._publish()
            return {"namespace": _shown(namespace)}

    def delete_namespace(self, request: Request) -> dict[str, Any]:
        """DeleteNamespace: all data of the database is gone with it, as on AWS."""
        _refuse(request, "finalSnapshotName", "finalSnapshotRetentionPeriod")
        with self._lock:
            namespace = self._namespace(request)
            for workgroup in _workgroups().values():
                if workgroup["namespaceName"] == namespace["namespaceName"]:
                    raise ServiceError(
                        "ConflictException",
                        f"Namespace {namespace['namespaceName']} still has workgroup "
                        f"{workgroup['workgroupName']}; delete that first.",
                    )
            self._control.drop_everything()
            self._control.clear_namespace()
            self._temporary.clear()
            del _namespaces()[namespace["namespaceName"]]
            _tags().pop(namespace["namespaceArn"], None)
            return {"namespace": {**_shown(namespace), "status": "DELETING"}}

    # -- workgroups ------------------------------------------------------------------------

    def create_workgroup(self, request: Request) -> dict[str, Any]:
        """CreateWorkgroup."""
        name = _name(request.get("workgroupName"), "workgroupName")
        with self._lock:
            namespace = _namespaces().get(request.get("namespaceName") or "")
            if namespace is None:
                raise _missing("namespace", request.get("namespaceName"))
            self._require_free("workgroup", name)
            identifier = str(uuid.uuid4())
            workgroup = {
                "creationDate": _iso(datetime.now(UTC)),
                "namespaceName": namespace["namespaceName"],
                "workgroupArn": _arn("workgroup", identifier),
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
                **self._workgroup_settings(request),
            }
            _workgroups()[name] = workgroup
            self._tag(workgroup["workgroupArn"], request.get("tags"))
            self._publish()
            return {"workgroup": self._shown_workgroup(workgroup)}

    def get_workgroup(self, request: Request) -> dict[str, Any]:
        """GetWorkgroup."""
        return {"workgroup": self._shown_workgroup(self._workgroup(request))}

    def list_workgroups(self, request: Request) -> dict[str, Any]:
        """ListWorkgroups."""
        owner = request.get("ownerAccount")
        if owner and owner != emulator.account_id():
            raise _invalid("ownerAccount: the sandbox lists only the caller's own workgroups")
        found = [self._shown_workgroup(workgroup) for workgroup in _workgroups().values()]
        return _listed(request, "workgroups", found)

    def update_workgroup(self, request: Request) -> dict[str, Any]:
        """UpdateWorkgroup."""
        with self._lock:
            workgroup = {**self._workgroup(request), **self._workgroup_settings(request)}
            _workgroups()[workgroup["workgroupName"]] = workgroup
            self._publish()
            return {"workgroup": self._shown_workgroup(workgroup)}

    def delete_workgroup(self, request: Request) -> dict[str, Any]:
        """DeleteWorkgroup: the data stays in the namespace, nobody can connect."""
        with self._lock:
            workgroup = self._workgroup(request)
            del _workgroups()[workgroup["workgroupName"]]
            _tags().pop(workgroup["workgroupArn"], None)
            self._publish()
            return {"workgroup": {**self._shown_workgroup(workgroup), "status": "DELETING"}}

    def workgroup_arn(self, name: str) -> str:
        """The ARN of the workgroup of that name, for policies also when there is none."""
        workgroup = _workgroups().get(name)
        return workgroup["workgroupArn"] if workgroup else _arn("workgroup", "*")

    def find_workgroup(self, name_or_arn: str) -> dict[str, Any] | None:
        """A workgroup of the current account and region."""
        for workgroup in _workgroups().values():
            if name_or_arn in (workgroup["workgroupName"], workgroup["workgroupArn"]):
                return workgroup
        return None

    def _workgroup_settings(self, request: Request) -> dict[str, Any]:
        _refuse(
            request,
            "extraComputeForAutomaticOptimization",
            "pricePerformanceTarget",
            "trackName",
        )
        if request.get("ipAddressType") not in (None, "ipv4"):
            raise _invalid("ipAddressType: the sandbox listens on IPv4 only")
        found: dict[str, Any] = {}
        port = request.get("port")
        if port is not None:
            if port not in ALLOWED_PORTS:
                raise _invalid(f"port {port}: allowed are 5431-5455 and 8191-8215")
            if port != self._config.redshift_port:
                raise _invalid(
                    f"port {port}: this sandbox listens on {self._config.redshift_port}; start "
                    f"it with XACCT_SANDBOX_REDSHIFT_PORT={port} or ask for that port"
                )
        capacity = request.get("baseCapacity")
        if capacity is not None:
            _check_capacity("baseCapacity", capacity)
            found["baseCapacity"] = capacity
        if request.get("maxCapacity") is not None:
            _check_capacity("maxCapacity", request["maxCapacity"])
            found["maxCapacity"] = request["maxCapacity"]
        for parameter in request.get("configParameters") or []:
            if not (
                parameter["parameterKey"] in _CONFIG_PARAMETERS
                or parameter["parameterKey"].startswith("max_query_")
                or parameter["parameterKey"] in {"max_scan_row_count", "max_return_row_count"}
            ):
                raise _invalid(f"configParameters: there is no {parameter['parameterKey']!r}")
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

    def _shown_workgroup(self, workgroup: Mapping[str, Any]) -> dict[str, Any]:
        return {
            **workgroup,
            "port": self._config.redshift_port,
            "endpoint": {
                "address": self._config.host,
                "port": self._config.redshift_port,
                "vpcEndpoints": [],
            },
        }

    # -- temporary credentials -------------------------------------------------------------

    def get_credentials(self, request: Request) -> dict[str, Any]:
        """GetCredentials: the caller's IAM identity becomes a database user."""
        _refuse(request, "customDomainName")
        workgroup = self._workgroup(request)
        seconds = request.get("durationSeconds") or DEFAULT_CREDENTIALS_SECONDS
        if not MIN_CREDENTIALS_SECONDS <= seconds <= MAX_CREDENTIALS_SECONDS:
            raise _invalid(
                f"durationSeconds {seconds} is not in "
                f"{MIN_CREDENTIALS_SECONDS}..{MAX_CREDENTIALS_SECONDS}"
            )
        namespace = _namespaces()[workgroup["namespaceName"]]
        if request.get("dbName") not in (None, namespace["dbName"]):
            raise _invalid(f"dbName {request['dbName']!r} does not exist in this namespace")
        found = self.temporary_credentials(database_user(emulator.caller_arn()), seconds)
        return {
            "dbUser": found.user,
            "dbPassword": found.password,
            "expiration": found.expiration.timestamp(),
            "nextRefreshTime": found.next_refresh.timestamp(),
        }

    def temporary_credentials(self, user: str, seconds: int) -> TemporaryCredentials:
        """A password for the user that ends after so many seconds.

        Until its refresh time the same password is given again, so that a client's does not end
        because another asks.
        """
        now = datetime.now(UTC)
        with self._lock:
            current = self._temporary.get(user)
            password = (
                current.password if current and now < current.next_refresh else _new_password()
            )
            wanted = now + timedelta(seconds=seconds)
            if current and current.password == password and current.expiration >= wanted:
                return current
            found = TemporaryCredentials(
                user=user,
                expiration=wanted,
                next_refresh=now + timedelta(seconds=seconds / 2),
                password=password,
            )
            self._control.set_user(user, password, valid_until=wanted)
            self._temporary[user] = found
            return found

    # -- tags ------------------------------------------------------------------------------

    def tag_resource(self, request: Request) -> dict[str, Any]:
        """TagResource."""
        arn = self._tagged(request)
        self._tag(arn, [*_tags().get(arn, []), *request["tags"]])
        return {}

    def untag_resource(self, request: Request) -> dict[str, Any]:
        """UntagResource."""
        arn = self._tagged(request)
        keys = set(request["tagKeys"])
        _tags()[arn] = [tag for tag in _tags().get(arn, []) if tag["key"] not in keys]
        return {}

    def list_tags(self, request: Request) -> dict[str, Any]:
        """ListTagsForResource."""
        return {"tags": _tags().get(self._tagged(request), [])}

    # -- helpers ---------------------------------------------------------------------------

    def publish_after_start(self) -> None:
        """Tell a Redshift process that has just started which namespace it is."""
        with self._lock:
            for account in (self._config.account_a, self._config.account_b):
                with emulator.acting_in(account):
                    if _namespaces():
                        self._publish()
                        return
            self._control.clear_namespace()

    def _publish(self) -> None:
        namespace = next(iter(_namespaces().values()), None)
        if namespace is None:
            self._control.clear_namespace()
            return
        workgroup = next(iter(_workgroups().values()), None)
        self._control.set_namespace(
            {
                "account_id": emulator.account_id(),
                "region": emulator.region(),
                "namespace_id": namespace["namespaceId"],
                "namespace_name": namespace["namespaceName"],
                "workgroup_name": workgroup["workgroupName"] if workgroup else None,
                "admin_user": namespace["adminUsername"],
                "iam_roles": ",".join(role for role in namespace["iamRoles"]),
                "default_iam_role": namespace["defaultIamRoleArn"] or None,
                "status": "available" if workgroup else "paused",
            }
        )

    def _require_free(self, kind: str, name: str) -> None:
        present = _namespaces() if kind == "namespace" else _workgroups()
        if name in present:
            raise ServiceError("ConflictException", f"{kind} {name} already exists.")
        if present:
            raise _invalid(
                f"The sandbox has one {kind}, {next(iter(present))!r}; a second one ({name!r}) is "
                "not supported"
            )
        rows = self._control.run(
            "SELECT account_id, region, namespace_name FROM sandbox_internal.namespace"
        )
        if rows and (rows[0][0], rows[0][1]) != (emulator.account_id(), emulator.region()):
            raise _invalid(
                f"The sandbox's one namespace, {rows[0][2]!r}, is in account {rows[0][0]}, region "
                f"{rows[0][1]}; a second one is not supported"
            )

    def _checked_roles(self, roles: list[str] | None, default: str | None) -> list[str]:
        found = list(dict.fromkeys(_role_arn(role) for role in roles or []))
        if default and default not in found:
            raise _invalid(f"defaultIamRoleArn {default} is not one of iamRoles")
        for role in found:
            emulator.require_pass_role(role, REDSHIFT)
        return found

    def _namespace(self, request: Request) -> dict[str, Any]:
        found = _namespaces().get(request.get("namespaceName") or "")
        if found is None:
            raise _missing("namespace", request.get("namespaceName"))
        return found

    def _workgroup(self, request: Request) -> dict[str, Any]:
        found = _workgroups().get(request.get("workgroupName") or "")
        if found is None:
            raise _missing("workgroup", request.get("workgroupName"))
        return found

    def _tagged(self, request: Request) -> str:
        arn = request["resourceArn"]
        known = [entry["namespaceArn"] for entry in _namespaces().values()]
        known += [entry["workgroupArn"] for entry in _workgroups().values()]
        if arn not in known:
            raise _missing("resource", arn)
        return arn

    def _tag(self, arn: str, tags: list[dict[str, str]] | None) -> None:
        by_key = {tag["key"]: tag["value"] for tag in tags or []}
        _tags()[arn] = [{"key": key, "value": value} for key, value in by_key.items()]


def database_user(caller_arn: str) -> str:
    """The database user of an IAM identity: ``IAM:user`` or ``IAMR:role``.

    Raises:
        ServiceError: an account's root has none.
    """
    kind, _, name = caller_arn.split(":", 5)[5].partition("/")
    if kind == "assumed-role":
        return f"IAMR:{name.partition('/')[0]}"
    if kind == "user":
        return f"IAM:{name.rpartition('/')[2]}"
    raise _invalid(f"{caller_arn} has no database user; call as an IAM user or role")


# -- state ---------------------------------------------------------------------------------------


def _namespaces() -> Any:
    return emulator.scoped_state("redshift-serverless-namespaces")


def _workgroups() -> Any:
    return emulator.scoped_state("redshift-serverless-workgroups")


def _tags() -> Any:
    return emulator.scoped_state("redshift-serverless-tags")


# -- shapes and checks ---------------------------------------------------------------------------


def _arn(kind: str, identifier: str) -> str:
    return (
        f"arn:aws:redshift-serverless:{emulator.region()}:{emulator.account_id()}"
        f":{kind}/{identifier}"
    )


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _shown(namespace: Mapping[str, Any]) -> dict[str, Any]:
    # AWS shows each role with its state on this namespace.
    roles = [f"IamRole(applyStatus=in-sync, iamRoleArn={role})" for role in namespace["iamRoles"]]
    return {**namespace, "iamRoles": roles}


def _role_arn(text: str) -> str:
    """The ARN in a role as a caller gives it: bare, or as GetNamespace shows it."""
    found = re.fullmatch(r"IamRole\(applyStatus=[^,]*, iamRoleArn=(.+)\)", text)
    arn = found[1] if found else text
    if not re.fullmatch(r"arn:aws:iam::\d{12}:role/.+", arn):
        raise _invalid(f"iamRoles: {text!r} is not the ARN of a role")
    return arn


def _listed(request: Request, key: str, items: list[dict[str, Any]]) -> dict[str, Any]:
    found, token = page(items, request, limit=PAGE, lower_camel=True, error="ValidationException")
    answer: dict[str, Any] = {key: [_shown(i) if key == "namespaces" else i for i in found]}
    if token:
        answer["nextToken"] = token
    return answer


def _name(value: str | None, field_name: str) -> str:
    if not value or not _NAME.fullmatch(value):
        raise _invalid(f"{field_name} {value!r}: 3 to 64 of a-z, 0-9 and -")
    return value


def _check_admin(name: str | None, password: str | None) -> None:
    if (name is None) != (password is None):
        raise _invalid("adminUsername and adminUserPassword are given together or not at all")
    if name is None or password is None:
        return
    if not _ADMIN_NAME.fullmatch(name) or len(name) > 127 or name.lower() == "rdsdb":
        raise _invalid(f"adminUsername {name!r} is not allowed")
    if not 8 <= len(password) <= 64:
        raise _invalid("adminUserPassword has 8 to 64 characters")
    if not (
        any(char.isupper() for char in password)
        and any(char.islower() for char in password)
        and any(char.isdigit() for char in password)
    ):
        raise _invalid("adminUserPassword needs an upper-case letter, a lower-case one and a digit")
    if any(char in _FORBIDDEN_IN_PASSWORD or not 33 <= ord(char) <= 126 for char in password):
        raise _invalid("adminUserPassword: printable ASCII without blank and ' \" \\ / @")


def _check_capacity(field_name: str, value: int) -> None:
    # 4 to 512 in steps of 8 (4 apart), then to 1024 in steps of 32.
    if not (
        value == 4
        or (8 <= value <= 512 and value % 8 == 0)
        or (512 < value <= 1024 and value % 32 == 0)
    ):
        raise _invalid(f"{field_name} {value}: 4, or 8 to 512 in steps of 8, or to 1024 in 32s")


def _new_password() -> str:
    alphabet = string.ascii_letters + string.digits
    return "Aa1" + "".join(secrets.choice(alphabet) for _ in range(45))


def _refuse(request: Request, *options: str) -> None:
    for option in options:
        if request.get(option):
            raise _invalid(f"{option} is not supported by the sandbox; leave it out")


def _invalid(message: str) -> ServiceError:
    return ServiceError("ValidationException", message)


def _missing(kind: str, name: str | None) -> ServiceError:
    return ServiceError("ResourceNotFoundException", f"There is no {kind} {name!r}.")
