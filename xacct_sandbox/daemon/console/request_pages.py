"""The page of the requests that the sandbox answered."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from xacct_sandbox.daemon.console import addresses, redaction
from xacct_sandbox.daemon.console.html import Markup, element, link, page, table, whole
from xacct_sandbox.daemon.request_log import Call, RequestLog

MAX_ROWS = 500


def requests(log: RequestLog, options: Mapping[str, str]) -> str:
    """The newest requests, of a time, an origin or a principal if one is named.

    Raises:
        ValueError: since or until is no number.
    """
    since, until = float(options.get("since", 0)), float(options.get("until", "inf"))
    origin, principal = options.get("origin"), options.get("principal")
    calls = [
        call
        for call in log.since(since)
        if call.at <= until
        and origin in (None, call.origin)
        and principal in (None, call.principal)
    ]
    shown = calls[: -MAX_ROWS - 1 : -1]
    newest = f"the newest {len(shown)} of {len(calls)}" if len(shown) < len(calls) else len(calls)
    return page(
        "Requests",
        element("p", f"Answered since the sandbox started: {newest}, the newest first."),
        request_table(shown),
    )


def request_table(calls: Iterable[Call]) -> Markup:
    """Requests as a table."""
    return table(
        ("time (UTC)", "made by", "principal", "operation", "resource", "status"),
        [
            (
                whole(f"{datetime.fromtimestamp(call.at, UTC):%H:%M:%S.%f}"[:-3]),
                link(addresses.requests(origin=call.origin), call.origin),
                link(addresses.requests(principal=call.principal), _short(call.principal)),
                whole(f"{call.service} {call.operation}"),
                redaction.sql(call.resource),
                element("span", call.status, "bad" if call.status >= 400 else ""),
            )
            for call in calls
        ],
    )


def _short(principal: str) -> str:
    """``arn:aws:sts::2…:assumed-role/a/b`` -> ``a/b``."""
    return principal.rpartition(":")[2].removeprefix("assumed-role/") or "unknown key"
