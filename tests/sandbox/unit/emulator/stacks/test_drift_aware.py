"""Drift-aware change sets: what was changed or deleted by hand is brought back.

CloudFormation user guide, "Use drift-aware change sets".
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.sandbox.unit.emulator.stacks.conftest import Stacks
from tests.sandbox.unit.emulator.stacks.drifting import (
    BODY,
    CHANGES,
    CHECKED,
    DELETIONS,
    NAME,
    detect,
    url,
)


def changes_of(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        change["ResourceChange"]["LogicalResourceId"]: change["ResourceChange"]
        for change in found["Changes"]
    }


def test_without_drift_there_is_nothing_to_revert(drifting: Stacks) -> None:
    found = drifting.change_set(NAME, BODY, revert_drift=True)
    assert (found["Status"], found["StackDriftStatus"]) == ("FAILED", "IN_SYNC")
    assert "didn't contain changes" in found["StatusReason"]
    assert found["DeploymentMode"] == "REVERT_DRIFT"


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_property_is_reverted(drifting: Stacks, change: str) -> None:
    resource, apply, path = CHANGES[change]
    apply(drifting.client)
    # A change set without the mode does not see it.
    assert drifting.changes(NAME, BODY) == {}
    found = drifting.change_set(NAME, BODY, revert_drift=True)
    assert found["StackDriftStatus"] == "DRIFTED"
    changes = changes_of(found)
    assert set(changes) == {resource}
    assert (
        changes[resource]["Action"],
        changes[resource]["Replacement"],
        changes[resource]["ResourceDriftStatus"],
    ) == ("Modify", "False", "MODIFIED")
    target = changes[resource]["Details"][0]["Target"]
    assert target["Name"] == path.split("/")[1]
    assert target["Drift"]["ActualValue"] != target["Drift"]["PreviousValue"]
    assert drifting.execute(NAME) == "UPDATE_COMPLETE", drifting.reasons(NAME)
    assert detect(drifting)["StackDriftStatus"] == "IN_SYNC"
    assert drifting.change_set(NAME, BODY, revert_drift=True)["Status"] == "FAILED"


@pytest.mark.parametrize("resource", CHECKED)
def test_what_was_deleted_is_made_again(drifting: Stacks, resource: str) -> None:
    DELETIONS[resource](drifting.client)
    changes = changes_of(drifting.change_set(NAME, BODY, revert_drift=True))
    gone = {"Bucket", "BucketPolicy"} if resource == "Bucket" else {resource}
    assert {
        name: (change["Action"], change["ResourceDriftStatus"]) for name, change in changes.items()
    } == dict.fromkeys(gone, ("Add", "DELETED"))
    assert drifting.execute(NAME) == "UPDATE_COMPLETE", drifting.reasons(NAME)
    assert detect(drifting)["StackDriftStatus"] == "IN_SYNC"


def test_a_reversion_that_is_rolled_back_can_be_tried_again(drifting: Stacks) -> None:
    CHANGES["queue"][1](drifting.client)
    DELETIONS["Secret"](drifting.client)
    more = json.loads(json.dumps(BODY))
    more["Resources"]["Bad"] = {
        "Type": "AWS::S3::Bucket",
        "Properties": {"BucketName": "drifting-bad", "AccelerateConfiguration": {}},
        "DependsOn": ["Queue", "Secret"],
    }
    drifting.change_set(NAME, more, revert_drift=True)
    assert drifting.execute(NAME) == "UPDATE_ROLLBACK_COMPLETE"
    changes = changes_of(drifting.change_set(NAME, BODY, revert_drift=True))
    assert {name: change["ResourceDriftStatus"] for name, change in changes.items()} == {
        "Queue": "MODIFIED",
        "Secret": "DELETED",
    }
    assert drifting.execute(NAME) == "UPDATE_COMPLETE"
    assert detect(drifting)["StackDriftStatus"] == "IN_SYNC"


def test_drift_and_a_new_template_are_one_change(drifting: Stacks) -> None:
    CHANGES["queue"][1](drifting.client)
    body = json.loads(json.dumps(BODY))
    body["Resources"]["Queue"]["Properties"]["DelaySeconds"] = 4
    changes = changes_of(drifting.change_set(NAME, body, revert_drift=True))
    assert sorted(d["Target"]["Name"] for d in changes["Queue"]["Details"]) == [
        "DelaySeconds",
        "VisibilityTimeout",
    ]
    drifting.execute(NAME)
    attributes = drifting.client("sqs").get_queue_attributes(
        QueueUrl=url(drifting.client), AttributeNames=["All"]
    )["Attributes"]
    assert (attributes["DelaySeconds"], attributes["VisibilityTimeout"]) == ("4", "120")


def test_drift_that_cannot_be_read_fails_the_change_set(drifting: Stacks) -> None:
    aws = drifting.aws
    poor = aws.become(
        aws.role("revert-only", {"Effect": "Allow", "Action": "cloudformation:*", "Resource": "*"})
    )
    api = drifting.client("cloudformation", poor)
    api.create_change_set(
        ChangeSetName="cs",
        DeploymentMode="REVERT_DRIFT",
        **Stacks.request(NAME, BODY, {}),
    )
    found = api.describe_change_set(StackName=NAME, ChangeSetName="cs")
    assert found["Status"] == "FAILED"
    assert "not authorized to perform" in found["StatusReason"]


def test_a_new_stack_has_no_drift_to_revert(stacks: Stacks) -> None:
    with pytest.raises(ClientError, match="DeploymentMode is for change sets of type UPDATE"):
        stacks.change_set("drift-new", BODY, "CREATE", revert_drift=True)
