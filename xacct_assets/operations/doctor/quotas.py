"""Quotas of Glue, in account and Region, that a backfill of all feeds would meet.

AWS General Reference, "AWS Glue endpoints and quotas". They are of all jobs and crawlers of the
account; what others use of them is not known.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xacct_assets.aws.botocore_errors import aws_call
from xacct_assets.operations.doctor.findings import Caution

if TYPE_CHECKING:
    from xacct_assets.operations.doctor.installation import Installation

RUNS, RUNS_OF_A_JOB, CRAWLS = "L-5E4153CA", "L-F574AED9", "L-4071B0E3"


def glue_quotas(here: Installation) -> str | Caution:
    """The account may have as many job runs and crawls at a time as its feeds ask for."""
    runs = [feed.load.max_concurrent_runs for feed in here.feeds]
    wanted = {RUNS: sum(runs), RUNS_OF_A_JOB: max(runs, default=0), CRAWLS: len(here.feeds)}
    present = {quota["QuotaCode"]: quota for quota in _quotas(here) if quota["QuotaCode"] in wanted}
    low = [quota for code, quota in present.items() if quota["Value"] < wanted[code]]
    if low:
        return Caution(
            "Glue would make a backfill wait: "
            + "; ".join(
                f"{quota['QuotaName']} is {quota['Value']:.0f}, the feeds together ask for "
                f"{wanted[quota['QuotaCode']]}"
                for quota in low
            ),
            "ask for more: "
            + ", ".join(
                "`aws service-quotas request-service-quota-increase --service-code glue "
                f"--quota-code {quota['QuotaCode']} --desired-value {wanted[quota['QuotaCode']]}`"
                for quota in low
            )
            + "; or lower load.max_concurrent_runs in defs.yaml and deploy",
        )
    return f"{wanted[RUNS]} job runs of {len(here.feeds)} feeds at a time are within " + ", ".join(
        f"{quota['QuotaName']} = {quota['Value']:.0f}" for quota in present.values()
    )


def _quotas(here: Installation) -> list[dict[str, Any]]:
    client = here.aws.client("service-quotas")
    found: list[dict[str, Any]] = []
    page: Any = {}
    while True:
        with aws_call("servicequotas:ListServiceQuotas", "the quotas of Glue"):
            answer = client.list_service_quotas(ServiceCode="glue", MaxResults=100, **page)
        found += answer["Quotas"]
        if not answer.get("NextToken"):
            return found
        page = {"NextToken": answer["NextToken"]}
