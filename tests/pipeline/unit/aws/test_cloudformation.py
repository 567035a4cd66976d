"""CloudFormation stacks: created, updated, left alone; failures by the resource that failed."""

from datetime import timedelta

import pytest

from tests.support.fakes.cloudformation import NOW, STACK, FakeCloudFormation
from xacct_assets.aws.cloudformation import Stacks
from xacct_assets.aws.errors import DeployFailed


@pytest.fixture
def cloud():
    return FakeCloudFormation()


@pytest.fixture
def stacks(cloud, clock):
    return Stacks(cloud.client, sleep=clock.sleep, clock=clock)


def test_a_new_stack_is_created_and_its_outputs_returned(cloud, stacks):
    cloud.next = [("CREATE_COMPLETE", [("Raw", "CREATE_COMPLETE", "")])]
    result = stacks.deploy("s", "t", {"New": "x"})
    assert (result.change, result.outputs) == ("created", {"Out": "1"})
    (request,) = cloud.client.named("create_stack")
    assert request["Capabilities"] == ["CAPABILITY_NAMED_IAM"]
    assert request["RetainExceptOnCreate"] is True


def test_an_unchanged_stack_is_left_alone(cloud, stacks):
    cloud.status, cloud.nothing_to_update = "CREATE_COMPLETE", True
    assert stacks.deploy("s", "t", {"New": "x"}).change == "up to date"


def test_an_update_keeps_parameters_that_are_not_given(cloud, stacks):
    cloud.status = "CREATE_COMPLETE"
    cloud.next = [("UPDATE_COMPLETE", [])]
    assert stacks.deploy("s", "t", {"New": "x"}).change == "updated"
    assert cloud.client.named("update_stack")[0]["Parameters"] == [
        {"ParameterKey": "New", "ParameterValue": "x"},
        {"ParameterKey": "Old", "UsePreviousValue": True},
    ]


@pytest.mark.parametrize("dead", ["ROLLBACK_COMPLETE", "CREATE_FAILED", "REVIEW_IN_PROGRESS"])
def test_what_a_failed_creation_left_is_removed_first(cloud, stacks, dead):
    cloud.status = dead
    cloud.next = [("DELETE_COMPLETE", []), ("CREATE_COMPLETE", [])]
    assert stacks.deploy("s", "t", {}).change == "created"
    assert len(cloud.client.named("delete_stack")) == 1


def test_a_stack_that_somebody_else_is_updating_is_waited_for(cloud, stacks):
    cloud.status, cloud.nothing_to_update = "UPDATE_IN_PROGRESS", True
    cloud.next = [("UPDATE_COMPLETE", [])]
    assert stacks.deploy("s", "t", {}).change == "up to date"


def test_a_failure_names_the_resource_that_failed_first(cloud, stacks):
    cloud.event("Old", "CREATE_FAILED", "of another time")
    cloud.next = [
        (
            "ROLLBACK_COMPLETE",
            [
                ("Policy", "CREATE_FAILED", "Invalid principal in policy"),
                ("Queue", "CREATE_FAILED", "Resource creation cancelled"),
                ("s", "ROLLBACK_IN_PROGRESS", "Policy failed"),
            ],
        )
    ]
    with pytest.raises(DeployFailed) as caught:
        stacks.deploy("s", "t", {})
    assert "Policy (AWS::S3::Bucket): Invalid principal in policy" in str(caught.value)
    assert "ROLLBACK_COMPLETE" in str(caught.value)


def test_a_name_that_is_taken_gets_advice(cloud, stacks):
    cloud.next = [("ROLLBACK_COMPLETE", [("Raw", "CREATE_FAILED", "raw already exists")])]
    with pytest.raises(DeployFailed, match="XACCT_SUFFIX"):
        stacks.deploy("s", "t", {})


def test_a_stack_refused_by_validation_names_what_was_refused(cloud, stacks):
    stack = ("s", "CREATE_FAILED", "Validation failed. Call DescribeEvents", STACK)
    cloud.next = [("ROLLBACK_COMPLETE", [stack])]
    cloud.operation_events = [
        {
            "EventType": "VALIDATION_ERROR",
            "OperationId": operation,
            "LogicalResourceId": resource,
            "ResourceType": "AWS::S3::Bucket",
            "ValidationStatusReason": "identifier raw already exists",
            "Timestamp": NOW + timedelta(minutes=minute),
        }
        for operation, resource, minute in (("1", "Past", 0), ("2", "Raw", 1))
    ]
    with pytest.raises(DeployFailed) as caught:
        stacks.deploy("s", "t", {})
    assert "Raw (AWS::S3::Bucket): identifier raw already exists" in str(caught.value)
    assert "Past" not in str(caught.value)


def test_an_update_that_is_refused_says_how_to_go_on(cloud, stacks, refusal):
    cloud.status = "UPDATE_ROLLBACK_FAILED"

    def refuse(**_):
        raise refusal("ValidationError", "is in UPDATE_ROLLBACK_FAILED state")

    cloud.update = refuse
    cloud.client._operations["update_stack"] = refuse
    with pytest.raises(DeployFailed, match="continue-update-rollback"):
        stacks.deploy("s", "t", {})


def test_events_are_shown_once_each_and_only_those_of_this_deployment(cloud, clock):
    cloud.status = "CREATE_COMPLETE"
    cloud.event("Raw", "CREATE_COMPLETE")
    cloud.next = [
        ("UPDATE_IN_PROGRESS", [("Raw", "UPDATE_IN_PROGRESS", "")]),
        ("UPDATE_COMPLETE", [("Raw", "UPDATE_COMPLETE", "")]),
    ]
    shown = []
    stacks = Stacks(
        cloud.client,
        on_event=lambda event: shown.append((event.resource, event.status)),
        sleep=clock.sleep,
        clock=clock,
    )
    stacks.deploy("s", "t", {})
    assert shown == [
        ("s", "UPDATE_IN_PROGRESS"),
        ("Raw", "UPDATE_IN_PROGRESS"),
        ("Raw", "UPDATE_COMPLETE"),
    ]


def test_deleting_waits_for_the_end_and_returns_whether_there_was_a_stack(cloud, stacks):
    assert stacks.delete("s") is False
    cloud.status = "CREATE_COMPLETE"
    cloud.next = [("DELETE_COMPLETE", [])]
    assert stacks.delete("s") is True


def test_a_delete_that_fails_names_what_stayed(cloud, stacks):
    cloud.status = "CREATE_COMPLETE"
    cloud.next = [("DELETE_FAILED", [("Raw", "DELETE_FAILED", "the bucket is not empty")])]
    with pytest.raises(DeployFailed, match="the bucket is not empty") as caught:
        stacks.delete("s")
    assert "run the same command again" in caught.value.fix


@pytest.mark.parametrize("status", ["CREATE_IN_PROGRESS", "UPDATE_ROLLBACK_IN_PROGRESS"])
def test_a_stack_that_somebody_else_is_changing_is_deleted_afterwards(cloud, stacks, status):
    cloud.status = status
    cloud.next = [(status.replace("IN_PROGRESS", "COMPLETE"), []), ("DELETE_COMPLETE", [])]
    assert stacks.delete("s") is True
    assert len(cloud.client.named("delete_stack")) == 1


def test_a_stack_that_somebody_else_is_deleting_is_waited_for(cloud, stacks):
    cloud.status = "DELETE_IN_PROGRESS"
    cloud.next = [("DELETE_COMPLETE", [])]
    assert stacks.delete("s") is False
    assert cloud.client.named("delete_stack") == []


def test_a_template_that_is_too_long_is_refused_before_anything_is_done(cloud, stacks):
    with pytest.raises(DeployFailed, match="51,200"):
        stacks.deploy("s", "x" * 51_201, {})
    assert cloud.client.calls == []
