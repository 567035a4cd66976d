"""The kinds of faults, the calls that each can be injected into, and the check of a fault."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import NoneType

from xacct_sandbox.faults import Fault, FaultRefused

HTTP_SERVICES = (
    "cloudformation", "glue", "iam", "logs", "redshift-data", "redshift-serverless", "s3",
    "secretsmanager", "sns", "sqs", "sts",
)  # fmt: skip
DATABASE = "redshift"
DATABASE_OPERATIONS = ("Connect", "Begin", "Statement", "Copy", "Unload", "Commit")


@dataclass(frozen=True)
class Kind:
    """A kind of fault.

    Attributes:
        what: what happens, in one line.
        usual: by service, the operations that ``*`` stands for. Empty: all HTTP APIs.
        if_named: by service, operations that get the fault only if it names them.
        seconds: the meaning of ``Fault.seconds``; "" if it has none.
        needs_seconds: whether ``Fault.seconds`` is required.
    """

    what: str
    usual: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    if_named: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    seconds: str = ""
    needs_seconds: bool = False

    @property
    def is_http(self) -> bool:
        return not self.usual

    @property
    def services(self) -> tuple[str, ...]:
        return HTTP_SERVICES if self.is_http else tuple(self.usual)

    def operations(self, service: str) -> tuple[str, ...]:
        """The operations of a service that can get this fault."""
        if self.is_http:
            return api_operations(service)
        return self.usual.get(service, ()) + self.if_named.get(service, ())


_RUN = {"glue": ("JobRun",)}
_IN_TRANSACTION = {DATABASE: ("Statement", "Copy", "Unload", "Commit")}
_READ = {"s3": ("GetObject", "HeadObject")}
_RECEIVE = {"sqs": ("ReceiveMessage",)}

KINDS: dict[str, Kind] = {
    "throttle": Kind("refused: too many requests"),
    "server_error": Kind("the service fails with a 5xx; nothing was done"),
    "timeout": Kind(
        "nothing is done, and the connection closes without a response",
        seconds="how long until it closes",
    ),
    "lost_answer": Kind("the work is done, then the connection closes without a response"),
    "slow": Kind(
        "the work is done at once, the response is delayed", seconds="the delay", needs_seconds=True
    ),
    "expired_token": Kind("refused: the session token has expired"),
    "job_failed": Kind(
        "the job run ends as FAILED", _RUN, seconds="how long its script runs (0: not at all)"
    ),
    "job_error": Kind(
        "the job run ends as ERROR", _RUN, seconds="how long its script runs (0: not at all)"
    ),
    "job_timeout": Kind(
        "the job run ends as TIMEOUT", _RUN, seconds="how long its script runs (0: not at all)"
    ),
    "job_expired": Kind("the job run ends as EXPIRED without having started", _RUN),
    "job_killed_in_copy": Kind("the worker of the job run dies during its COPY", _RUN),
    "crawl_failed": Kind("the crawl ends as FAILED", {"glue": ("Crawl",)}),
    "crawler_busy": Kind(
        "StartCrawler finds a crawl running that another caller started",
        {"glue": ("StartCrawler",)},
        seconds="the shortest duration of that crawl",
    ),
    "short_credentials": Kind(
        "the temporary password for Redshift expires early, and the answer says so",
        {"redshift-serverless": ("GetCredentials",)},
        seconds="how long it is valid",
        needs_seconds=True,
    ),
    "connection_reset": Kind(
        "the database connection breaks; its transaction is rolled back",
        _IN_TRANSACTION,
        {DATABASE: ("Connect", "Begin")},
    ),
    "serialization_conflict": Kind("error 1023; the transaction is rolled back", _IN_TRANSACTION),
    "workgroup_paused": Kind(
        "the workgroup ends all sessions and accepts no new ones for a while",
        {DATABASE: ("Connect", "Statement", "Copy", "Unload", "Commit")},
        seconds="how long",
        needs_seconds=True,
    ),
    "unload_dies": Kind(
        "UNLOAD fails halfway: half of its files are written, its manifest is not",
        {DATABASE: ("Unload",)},
    ),
    "commit_lost": Kind(
        "the transaction is committed, then the database connection breaks", {DATABASE: ("Commit",)}
    ),
    "object_replaced": Kind("the object is replaced just before it is read", _READ),
    "duplicate_notification": Kind(
        "a message is delivered again although it was deleted",
        _RECEIVE,
        seconds="how much later",
    ),
    "reordered_notification": Kind(
        "messages are delivered in the wrong order, the newest first", _RECEIVE
    ),
}

ANY = "*"


def check(fault: Fault) -> None:
    """Checks that a fault can be injected.

    Raises:
        FaultRefused: it names something that does not exist, or could never be injected.
    """
    _check_types(fault)
    kind = KINDS.get(fault.kind)
    if kind is None:
        raise FaultRefused(f"there is no fault {fault.kind!r}; there are: {', '.join(KINDS)}")
    if fault.service not in (ANY, *kind.services):
        raise FaultRefused(
            f"{fault.kind} cannot happen in service {fault.service!r}; "
            f"it can happen in: {', '.join(kind.services)}"
        )
    services = kind.services if fault.service == ANY else (fault.service,)
    possible = sorted({name for service in services for name in kind.operations(service)})
    if fault.operation not in (ANY, *possible):
        where = "any service" if fault.service == ANY else fault.service
        raise FaultRefused(
            f"{fault.kind} cannot happen in operation {fault.operation!r} of {where}; "
            f"it can happen in: {', '.join(possible)}"
        )
    _check_numbers(fault)
    if fault.seconds and not kind.seconds:
        raise FaultRefused(f"{fault.kind} takes no seconds; leave them out")
    if kind.needs_seconds and not fault.seconds:
        raise FaultRefused(f"{fault.kind} needs seconds: {kind.seconds}")
    if fault.body and fault.kind != "object_replaced":
        raise FaultRefused(f"{fault.kind} takes no body; only object_replaced does")
    if fault.principal and not kind.is_http:
        raise FaultRefused(f"{fault.kind} takes no principal: only faults of the HTTP APIs do")


def _check_types(fault: Fault) -> None:
    """JSON values may be of any type; bool is refused because it is an int in Python."""
    for names, types, description in (
        (("kind", "service", "operation", "match", "body", "principal"), str, "a string"),
        (("after", "seed"), int, "a whole number"),
        (("probability", "seconds"), (int, float), "a number"),
        (("count",), (int, NoneType), "a whole number or none"),
    ):
        for name in names:
            value = getattr(fault, name)
            if not isinstance(value, types) or isinstance(value, bool):
                raise FaultRefused(f"{name} is {value!r}: it must be {description}")


def _check_numbers(fault: Fault) -> None:
    if fault.count is not None and fault.count < 1:
        raise FaultRefused(f"count is {fault.count}: it must be at least 1, or none for no limit")
    if not 0 < fault.probability <= 1:
        raise FaultRefused(f"probability is {fault.probability}: it must be above 0 and at most 1")
    if fault.after < 0:
        raise FaultRefused(f"after is {fault.after}: it must be 0 or more")
    if not (math.isfinite(fault.seconds) and fault.seconds >= 0):
        raise FaultRefused(f"seconds is {fault.seconds}: it must be 0 or more")


@functools.cache
def api_operations(service: str) -> tuple[str, ...]:
    """The operations of an AWS API, from botocore's service model."""
    import botocore.session  # imported here so that the Redshift process starts faster

    model = botocore.session.Session().get_service_model(service)
    return tuple(n for n in model.operation_names if not model.operation_model(n).deprecated)
