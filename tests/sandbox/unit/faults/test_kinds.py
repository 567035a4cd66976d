"""Faults that could never be injected are refused, with what is possible."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from xacct_sandbox.faults import Fault, FaultRefused
from xacct_sandbox.faults.kinds import KINDS, check


def _valid(kind: str) -> Fault:
    return Fault(kind, seconds=1 if KINDS[kind].needs_seconds else 0)


@pytest.mark.parametrize("kind", list(KINDS))
def test_every_kind_can_be_planned_for_all_its_operations(kind: str) -> None:
    fault = _valid(kind)
    check(fault)
    for service in KINDS[kind].services:
        check(replace(fault, service=service))
        for operation in KINDS[kind].operations(service):
            check(replace(fault, service=service, operation=operation))


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Fault("throtle"), "there is no fault 'throtle'; there are: throttle, server_error"),
        (Fault("throttle", service="redshift"), "it can happen in: cloudformation, glue"),
        (Fault("throttle", service="dynamodb"), "cannot happen in service 'dynamodb'"),
        (Fault("commit_lost", service="glue"), "it can happen in: redshift"),
        (Fault("throttle", service="sqs", operation="Receive"), "ReceiveMessage"),
        (Fault("throttle", operation="StartJob"), "operation 'StartJob' of any service"),
        (Fault("unload_dies", operation="Copy"), "it can happen in: Unload"),
        (Fault("crawler_busy", operation="Crawl"), "it can happen in: StartCrawler"),
        # A deprecated name; its request is recognized as GetBucketLifecycleConfiguration.
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
def test_an_impossible_fault_is_refused_with_what_is_possible(fault: Fault, words: str) -> None:
    with pytest.raises(FaultRefused) as refused:
        check(fault)
    assert words in str(refused.value)
