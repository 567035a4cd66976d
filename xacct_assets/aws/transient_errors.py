"""Classifies error messages as transient or permanent.

A job run, a crawl and a statement report the cause of a failure as text only. An error is transient
if the same work, started again, may succeed without a change by a person.
"""

from __future__ import annotations

import re

from xacct_assets.contract.conflicts import is_conflict

_LOST = re.compile(
    r"terminating connection|connection (?:is |was |has been )?(?:closed|reset|lost|refused|"
    r"timed out)|connection attempt failed|server closed the connection|broken ?pipe|"
    r"idle[- ]in[- ]transaction|could not connect|communication link failure|"
    r"workgroup\b.{0,80}\b(?:paus|resum)|not available for queries",
    re.IGNORECASE,
)
_SERVICE = re.compile(
    r"throttl|rate exceeded|slow ?down|internal ?service|internal ?error|internal ?failure|"
    r"service ?unavailable|too many requests",
    re.IGNORECASE,
)
# Messages of Glue (its guide, "Troubleshooting Spark errors" and "Job run statuses") and Spark for
# a machine that was lost or could not be had. Glue reports exit code 10 if the driver ended without
# an exception of the script.
_MACHINE = re.compile(
    r"^command failed with exit code 10\.?$|"
    r"executor ?lost ?failure|executor heartbeat timed out|remote rpc client disassociated|"
    r"lost (?:executor|worker|node)|slave lost|worker lost|"
    r"container released on a \*?lost\*? node|"
    r"sparkcontext (?:was|is|has been) (?:shut ?down|stopped)|"
    r"cannot call methods on a stopped sparkcontext|fetch ?failed|metadatafetchfailed|"
    r"resource ?(?:is )?unavailable|not have enough free (?:ip )?addresses",
    re.IGNORECASE,
)
# These may appear together with a lost machine; then the work was too big for it.
_TOO_BIG = re.compile(
    r"outofmemory|out of memory|exceeding (?:physical )?memory limits|java heap space|"
    r"no space left on device|\b(?:code|status):? 52\b",
    re.IGNORECASE,
)
# An executor that ended by an exception is lost, too, and would be lost again. Spark's executors
# end with exit code 50 or 51 for an exception that nobody caught, and 52 for one of memory
# (its SparkExitCode).
_OWN_FAULT = re.compile(r"StackOverflowError|\b(?:code|status):? 5[01]\b", re.IGNORECASE)


# What Glue and botocore say if a job's subnet does not reach what it needs (Glue guide,
# "Troubleshooting errors in AWS Glue").
_NETWORK_GAP = re.compile(
    r"could not find s3 endpoint or nat gateway|s3 endpoint validation failed|"
    r"at least one security group must open all|connect timeout on endpoint url|"
    r"cannot connect to redshift\b.{0,300}\btimed out",
    re.IGNORECASE | re.DOTALL,
)


def is_network_gap(text: str | None) -> bool:
    """Whether the message is that of a job whose network lacks a route, a rule or an endpoint."""
    return bool(text and _NETWORK_GAP.search(text))


def is_lost_connection(text: str | None) -> bool:
    """True if a connection to the database could not be made, or was lost."""
    return bool(_LOST.search(text or ""))


def is_lost_machine(text: str | None) -> bool:
    """True if the machines that the work ran on were lost, or none could be had."""
    return (
        bool(_MACHINE.search((text or "").strip()))
        and not is_too_big(text)
        and not _OWN_FAULT.search(text or "")
    )


def is_too_big(text: str | None) -> bool:
    """True if the work did not fit into the memory or the disks of its machines."""
    return bool(_TOO_BIG.search(text or ""))


def is_busy_service(text: str | None) -> bool:
    """True if a service was too busy, or had an internal error."""
    return bool(_SERVICE.search(text or ""))


def is_transient(text: str | None) -> bool:
    """True if the same work, started again, may succeed."""
    return (
        is_conflict(text)
        or is_lost_connection(text)
        or is_lost_machine(text)
        or is_busy_service(text)
    )
