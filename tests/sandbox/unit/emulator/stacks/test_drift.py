"""Drift detection: what differs from the template, resource by resource.

CloudFormation user guide, "Detect unmanaged configuration changes to stacks and resources with
drift detection".
"""

from __future__ import annotations

import json

import pytest
from botocore.exceptions import ClientError

from tests.sandbox.unit.emulator.stacks.conftest import Stacks
from tests.sandbox.unit.emulator.stacks.drifting import (
    CHANGES,
    CHECKED,
    DELETIONS,
    NAME,
    detect,
    drifts,
)


def test_what_nobody_changed_is_in_sync(drifting: Stacks) -> None:
    found = detect(drifting)
    assert (found["DetectionStatus"], found["StackDriftStatus"]) == (
        "DETECTION_COMPLETE",
        "IN_SYNC",
    )
    assert found["DriftedStackResourceCount"] == 0
    assert {
        name: (entry["StackResourceDriftStatus"], entry.get("PropertyDifferences", []))
        for name, entry in drifts(drifting).items()
    } == {name: ("IN_SYNC", []) for name in CHECKED}


def test_types_that_cannot_be_checked_are_not(drifting: Stacks) -> None:
    detect(drifting)
    statuses = {
        entry["LogicalResourceId"]: entry["DriftInformation"]["StackResourceDriftStatus"]
        for entry in drifting.api.list_stack_resources(StackName=NAME)["StackResourceSummaries"]
    }
    assert {name for name, status in statuses.items() if status == "NOT_CHECKED"} == {
        "Connection",
        "QueuePolicy",
    }
    with pytest.raises(ClientError, match="not supported"):
        drifting.api.detect_stack_resource_drift(StackName=NAME, LogicalResourceId="Connection")


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_property_is_named(drifting: Stacks, change: str) -> None:
    resource, apply, path = CHANGES[change]
    apply(drifting.client)
    found = detect(drifting)
    assert (found["StackDriftStatus"], found["DriftedStackResourceCount"]) == ("DRIFTED", 1)
    entry = drifts(drifting)[resource]
    assert entry["StackResourceDriftStatus"] == "MODIFIED"
    assert path in [difference["PropertyPath"] for difference in entry["PropertyDifferences"]]
    assert json.loads(entry["ExpectedProperties"]) != json.loads(entry["ActualProperties"])
    if change == "role-policy-added":
        drifting.client("iam").delete_role_policy(RoleName=NAME, PolicyName="more")


@pytest.mark.parametrize("resource", CHECKED)
def test_what_was_deleted_is_named(drifting: Stacks, resource: str) -> None:
    DELETIONS[resource](drifting.client)
    detect(drifting)
    assert drifts(drifting)[resource]["StackResourceDriftStatus"] == "DELETED"
    one = drifting.api.detect_stack_resource_drift(StackName=NAME, LogicalResourceId=resource)
    assert one["StackResourceDrift"]["StackResourceDriftStatus"] == "DELETED"


def test_the_text_of_a_secret_is_not_compared(drifting: Stacks) -> None:
    drifting.client("secretsmanager").put_secret_value(SecretId=NAME, SecretString="other")
    assert detect(drifting)["StackDriftStatus"] == "IN_SYNC"
    assert "first" not in str(drifts(drifting)["Secret"])


def test_one_resource_can_be_asked_for(drifting: Stacks) -> None:
    CHANGES["queue"][1](drifting.client)
    detect(drifting, LogicalResourceIds=["Queue"])
    assert set(drifts(drifting)) == {"Queue"}


def test_reading_a_resource_needs_its_permission(drifting: Stacks) -> None:
    aws = drifting.aws
    poor = aws.become(
        aws.role(
            "drift-only",
            {"Effect": "Allow", "Action": "cloudformation:*", "Resource": "*"},
            {"Effect": "Allow", "Action": "sqs:GetQueueAttributes", "Resource": "*"},
        )
    )
    api = drifting.client("cloudformation", poor)
    started = api.detect_stack_drift(StackName=NAME)["StackDriftDetectionId"]
    found = api.describe_stack_drift_detection_status(StackDriftDetectionId=started)
    assert found["DetectionStatus"] == "DETECTION_FAILED"
    statuses = {name: entry["StackResourceDriftStatus"] for name, entry in drifts(drifting).items()}
    assert statuses == {name: "IN_SYNC" if name == "Queue" else "UNKNOWN" for name in CHECKED}
    assert "s3:" in drifts(drifting)["Bucket"]["DriftStatusReason"]
