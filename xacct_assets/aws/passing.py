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


def is_conflict(text: str | None) -> bool:
    """True if another transaction was in the way of this one."""
    return bool(_CONFLICT.search(text or ""))


def is_lost_connection(text: str | None) -> bool:
    """True if a connection to the database was not made, or ended in the middle."""
    return bool(_LOST.search(text or ""))


def is_passing(text: str | None) -> bool:
    """True if the text tells of a conflict, a lost connection, or a service that was too busy."""
    return is_conflict(text) or is_lost_connection(text) or bool(_SERVICE.search(text or ""))
