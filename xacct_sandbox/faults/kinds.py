"""The kinds of faults, the calls each can strike, and whether a planned fault makes sense."""

from __future__ import annotations

import functools
import math
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
        what: happens, in one line.
        usual: operations by service that ``*`` stands for. Empty: those of all HTTP APIs.
        more: operations that must be named.
        seconds: what Fault.seconds means here; "" if nothing.
        needs_seconds: it is nothing without them.
    """

    what: str
    usual: dict[str, tuple[str, ...]] = field(default_factory=dict)
    more: dict[str, tuple[str, ...]] = field(default_factory=dict)
    seconds: str = ""
    needs_seconds: bool = False

    @property
    def is_http(self) -> bool:
        return not self.usual

    @property
    def services(self) -> tuple[str, ...]:
        return HTTP_SERVICES if self.is_http else tuple(self.usual)

    def operations(self, service: str) -> tuple[str, ...]:
        """Everything of the service that the kind can strike."""
        if self.is_http:
            return api_operations(service)
        return self.usual.get(service, ()) + self.more.get(service, ())


_RUN = {"glue": ("JobRun",)}
_UNDER_WAY = {DATABASE: ("Statement", "Copy", "Unload", "Commit")}
_READ = {"s3": ("GetObject", "HeadObject")}
_RECEIVE = {"sqs": ("ReceiveMessage",)}

KINDS: dict[str, Kind] = {
    "throttle": Kind("refused: too many requests"),
    "server_error": Kind("the service fails with a 5xx; nothing was done"),
    "timeout": Kind(
        "no answer and nothing done: the connection closes",
        seconds="how long the client waits for that",
    ),
    "lost_answer": Kind("the work is done, then the connection closes without an answer"),
    "slow": Kind(
        "the work is done at once, the answer comes late", seconds="how late", needs_seconds=True
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
    "job_expired": Kind("the job run ends as EXPIRED, never having run", _RUN),
    "job_killed_in_copy": Kind("the job run's worker dies while its COPY is under way", _RUN),
    "crawl_failed": Kind("the crawl ends as FAILED", {"glue": ("Crawl",)}),
    "crawler_busy": Kind(
        "StartCrawler finds somebody else's crawl under way",
        {"glue": ("StartCrawler",)},
        seconds="how long that crawl takes at least",
    ),
    "connection_reset": Kind(
        "the database connection breaks; its transaction is rolled back",
        _UNDER_WAY,
        {DATABASE: ("Connect", "Begin")},
    ),
    "serialization_conflict": Kind("error 1023; the transaction is rolled back", _UNDER_WAY),
    "workgroup_paused": Kind(
        "the workgroup ends all sessions and takes no new ones for a while",
        {DATABASE: ("Connect", "Statement", "Copy", "Unload", "Commit")},
        seconds="how long",
        needs_seconds=True,
    ),
    "unload_dies": Kind(
        "UNLOAD fails half-way: half of its files are there, its manifest is not",
        {DATABASE: ("Unload",)},
    ),
    "commit_lost": Kind(
        "the work is committed, then the database connection breaks", {DATABASE: ("Commit",)}
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

ANYWHERE = "*"


def check(fault: Fault) -> None:
    """
    Raises:
        FaultRefused: it names something that does not exist, or could never strike.
    """
    _check_types(fault)
    kind = KINDS.get(fault.kind)
    if kind is None:
        raise FaultRefused(f"there is no fault {fault.kind!r}; there are: {', '.join(KINDS)}")
    if fault.service not in (ANYWHERE, *kind.services):
        raise FaultRefused(
            f"{fault.kind} cannot happen in service {fault.service!r}; "
            f"it can in: {', '.join(kind.services)}"
        )
    services = kind.services if fault.service == ANYWHERE else (fault.service,)
    possible = sorted({name for service in services for name in kind.operations(service)})
    if fault.operation not in (ANYWHERE, *possible):
        where = "any service" if fault.service == ANYWHERE else fault.service
        raise FaultRefused(
            f"{fault.kind} cannot strike operation {fault.operation!r} of {where}; "
            f"it can: {', '.join(possible)}"
        )
    _check_numbers(fault)
    if fault.seconds and not kind.seconds:
        raise FaultRefused(f"{fault.kind} takes no seconds")
    if kind.needs_seconds and not fault.seconds:
        raise FaultRefused(f"{fault.kind} needs seconds: {kind.seconds}")
    if fault.body and fault.kind != "object_replaced":
        raise FaultRefused(f"{fault.kind} takes no body; object_replaced does")
    if fault.principal and not kind.is_http:
        raise FaultRefused(f"{fault.kind} takes no principal: only faults of the HTTP APIs do")


def _check_types(fault: Fault) -> None:
    """What came over the wire may be of any type; true and false count as numbers in Python."""
    for names, wanted, words in (
        (("kind", "service", "operation", "match", "body", "principal"), str, "a text"),
        (("after", "seed"), int, "a whole number"),
        (("probability", "seconds"), (int, float), "a number"),
        (("count",), (int, NoneType), "a whole number or none"),
    ):
        for name in names:
            value = getattr(fault, name)
            if not isinstance(value, wanted) or isinstance(value, bool):
                raise FaultRefused(f"{name} is {value!r}: it must be {words}")


def _check_numbers(fault: Fault) -> None:
    if fault.count is not None and fault.count < 1:
        raise FaultRefused(f"count is {fault.count}: at least 1, or none for always")
    if not 0 < fault.probability <= 1:
        raise FaultRefused(f"probability is {fault.probability}: more than 0, at most 1")
    if fault.after < 0:
        raise FaultRefused(f"after is {fault.after}: 0 or more calls")
    if not (math.isfinite(fault.seconds) and fault.seconds >= 0):
        raise FaultRefused(f"seconds is {fault.seconds}: 0 or more")


@functools.cache
def api_operations(service: str) -> tuple[str, ...]:
    """The operations of an AWS API, from botocore's model of it."""
    import botocore.session  # the Redshift process needs none of it, and starts sooner without

    model = botocore.session.Session().get_service_model(service)
    return tuple(n for n in model.operation_names if not model.operation_model(n).deprecated)
