"""Which texts tell of trouble that passes by itself.

A job run, a crawl and a statement report what stopped them as text only. These are the words for
what the same work, done again from its start, may not meet again.
"""

from __future__ import annotations

import re

# Redshift's error 1023, and PostgreSQL's 40001 (serialization failure) and 40P01 (deadlock).
_CONFLICT = re.compile(
    r"(?:^|\berror:?\s*|\bcode:?\s*)1023\b|\b40001\b|\b40P01\b|could not serialize|"
    r"serializable isolation|deadlock detected",
    re.IGNORECASE,
)
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
# What Glue (its guide, "Troubleshooting Spark errors" and "Job run statuses") and Spark say of a
# machine that was lost under a script, or that could not be had. Exit code 10 is what Glue says of
# a driver that ended without a word of its own; a script's own failure has its own words.
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
# These may tell of the same, but the machine was lost because the work was too big for it.
_TOO_BIG = re.compile(
    r"outofmemory|out of memory|exceeding (?:physical )?memory limits|java heap space|"
    r"no space left on device",
    re.IGNORECASE,
)


def is_conflict(text: str | None) -> bool:
    """True if another transaction was in the way of this one."""
    return bool(_CONFLICT.search(text or ""))


def is_lost_connection(text: str | None) -> bool:
    """True if a connection to the database was not made, or ended in the middle."""
    return bool(_LOST.search(text or ""))


def is_lost_machine(text: str | None) -> bool:
    """True if the machines that the work ran on were lost, or none could be had."""
    return bool(_MACHINE.search((text or "").strip())) and not is_too_big(text)


def is_too_big(text: str | None) -> bool:
    """True if the work did not fit into the memory or the disks of its machines."""
    return bool(_TOO_BIG.search(text or ""))


def is_busy_service(text: str | None) -> bool:
    """True if a service was too busy, or failed on its own side."""
    return bool(_SERVICE.search(text or ""))


def is_transient(text: str | None) -> bool:
    """True if what the text tells of may not be met again by the same work."""
    return (
        is_conflict(text)
        or is_lost_connection(text)
        or is_lost_machine(text)
        or is_busy_service(text)
    )
