"""Checks of the values in requests, and the errors of the API.

Limits are those of botocore's redshift-serverless model.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from xacct_sandbox.redshift.storage.postgres import SUPERUSER
from xacct_sandbox.service_errors import ServiceError

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
    "max_scan_row_count",
    "max_return_row_count",
}

Request = dict[str, Any]


def invalid(message: str) -> ServiceError:
    return ServiceError("ValidationException", message)


def missing(kind: str, name: str | None) -> ServiceError:
    return ServiceError("ResourceNotFoundException", f"There is no {kind} {name!r}.")


def refuse_options(request: Request, *options: str) -> None:
    """Refuse a request that uses one of these options."""
    for option in options:
        if request.get(option):
            raise invalid(f"{option} is not supported by the sandbox; leave it out")


def checked_name(value: str | None, field_name: str) -> str:
    if not value or not _NAME.fullmatch(value):
        raise invalid(f"{field_name} {value!r}: 3 to 64 of a-z, 0-9 and -")
    return value


def check_admin(name: str | None, password: str | None) -> None:
    if (name is None) != (password is None):
        raise invalid("adminUsername and adminUserPassword are given together or not at all")
    if name is None or password is None:
        return
    if not _ADMIN_NAME.fullmatch(name) or len(name) > 127 or name.lower() == SUPERUSER:
        raise invalid(f"adminUsername {name!r} is not allowed")
    if not 8 <= len(password) <= 64:
        raise invalid("adminUserPassword has 8 to 64 characters")
    if not (
        any(char.isupper() for char in password)
        and any(char.islower() for char in password)
        and any(char.isdigit() for char in password)
    ):
        raise invalid("adminUserPassword needs an upper-case letter, a lower-case one and a digit")
    if any(char in _FORBIDDEN_IN_PASSWORD or not 33 <= ord(char) <= 126 for char in password):
        raise invalid("adminUserPassword: printable ASCII without blank and ' \" \\ / @")


def check_capacity(field_name: str, value: int) -> None:
    # 4, then 8 to 512 in steps of 8, then to 1024 in steps of 32.
    if not (
        value == 4
        or (8 <= value <= 512 and value % 8 == 0)
        or (512 < value <= 1024 and value % 32 == 0)
    ):
        raise invalid(f"{field_name} {value}: 4, or 8 to 512 in steps of 8, or to 1024 in 32s")


def check_config_parameters(parameters: Iterable[dict[str, str]]) -> None:
    for parameter in parameters:
        key = parameter["parameterKey"]
        if not (key in _CONFIG_PARAMETERS or key.startswith("max_query_")):
            raise invalid(f"configParameters: there is no {key!r}")


def role_arn(text: str) -> str:
    """The ARN of a role that a caller gives: bare, or in the form of GetNamespace."""
    found = re.fullmatch(r"IamRole\(applyStatus=[^,]*, iamRoleArn=(.+)\)", text)
    arn = found[1] if found else text
    if not re.fullmatch(r"arn:aws:iam::\d{12}:role/.+", arn):
        raise invalid(f"iamRoles: {text!r} is not the ARN of a role")
    return arn
