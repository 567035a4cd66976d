"""Service Quotas of Glue: those that job runs and crawls meet, with fixed values.

Codes and names as ListServiceQuotas gives them; the values are those of an account that asked for
no increase. The sandbox does not enforce them.
"""

from __future__ import annotations

from typing import Any

from xacct_sandbox import emulator
from xacct_sandbox.emulator import Check
from xacct_sandbox.service_errors import ServiceError

_QUOTAS = (
    ("L-5E4153CA", "Max concurrent job runs per account", 200.0),
    ("L-F574AED9", "Max concurrent job runs per job", 1000.0),
    ("L-4071B0E3", "Number of crawlers running concurrently per account", 150.0),
)


def install() -> None:
    """Add the service to the emulator."""
    emulator.add_service(
        "servicequotas",
        "ServiceQuotasV20190624",
        "servicequotas",
        {"ListServiceQuotas": _list},
        # Listing has no resource-level permissions (service authorization reference).
        lambda operation, _request: [Check(f"servicequotas:{operation}", "*")],
    )


def _list(request: dict[str, Any]) -> dict[str, Any]:
    if request.get("ServiceCode") != "glue":
        raise ServiceError(
            "NoSuchResourceException", "The sandbox has quotas of the service code glue only."
        )
    return {
        "Quotas": [
            {
                "ServiceCode": "glue",
                "ServiceName": "AWS Glue",
                "QuotaCode": code,
                "QuotaName": name,
                "Value": value,
                "Unit": "None",
                "Adjustable": True,
                "GlobalQuota": False,
            }
            for code, name, value in _QUOTAS
        ]
    }
