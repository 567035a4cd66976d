"""Faults that could never strike are refused, with what would be right."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from xacct_sandbox.faults import Fault, FaultRefused
from xacct_sandbox.faults.kinds import KINDS, check


def _with_what_it_needs(kind: str) -> Fault:
    return Fault(kind, seconds=1 if KINDS[kind].needs_seconds else 0)


@pytest.mark.parametrize("kind", list(KINDS))
def test_every_kind_can_be_planned_everywhere_it_says(kind: str) -> None:
    fault = _with_what_it_needs(kind)
    check(fault)
    for service in KINDS[kind].services:
        check(replace(fault, service=service))
        for operation in KINDS[kind].operations(service):
            check(replace(fault, service=service, operation=operation))


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Fault("throtle"), "there is no fault 'throtle'; there are: throttle, server_error"),
        (Fault("throttle", service="redshift"), "it can in: cloudformation, glue"),
        (Fault("throttle", service="dynamodb"), "cannot happen in service 'dynamodb'"),
        (Fault("commit_lost", service="glue"), "it can in: redshift"),
        (Fault("throttle", service="sqs", operation="Receive"), "ReceiveMessage"),
        (Fault("throttle", operation="StartJob"), "operation 'StartJob' of any service"),
        (Fault("unload_dies", operation="Copy"), "it can: Unload"),
        (Fault("crawler_busy", operation="Crawl"), "it can: StartCrawler"),
        # A name that botocore still has; on the wire it is GetBucketLifecycleConfiguration.
        (Fault("throttle", service="s3", operation="GetBucketLifecycle"), "GetBucketLifecycleC"),
        (Fault("throttle", count=0), "count is 0"),
        (Fault("throttle", probability=0), "probability is 0"),
        (Fault("throttle", probability=1.5), "probability is 1.5"),
        (Fault("throttle", after=-1), "after is -1"),
        (Fault("slow"), "slow needs seconds"),
        (Fault("workgroup_paused"), "workgroup_paused needs seconds"),
        (Fault("slow", seconds=-1), "seconds is -1"),
        (Fault("slow", seconds=math.inf), "seconds is inf"),
        (Fault("slow", seconds=math.nan), "seconds is nan"),
        (Fault("throttle", seconds=3), "throttle takes no seconds"),
        (Fault("throttle", body="x"), "throttle takes no body"),
        (Fault("crawl_failed", principal="x"), "crawl_failed takes no principal"),
    ],
    ids=lambda item: (
        f"{item.kind}-{item.service}-{item.operation}" if isinstance(item, Fault) else "says"
    ),
)
def test_what_cannot_be_is_refused_with_what_can(fault: Fault, words: str) -> None:
    with pytest.raises(FaultRefused) as refused:
        check(fault)
    assert words in str(refused.value)
