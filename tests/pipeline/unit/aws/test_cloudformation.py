"""CloudFormation stacks: created, updated, left alone; failures by the resource that failed."""

from datetime import timedelta

import pytest

from tests.support.fakes.cloudformation import NOW, STACK, FakeCloudFormation, change, target
from xacct_assets.aws.change_sets import ResourceChange
from xacct_assets.aws.cloudformation import Stacks
from xacct_assets.aws.errors import DeployFailed
from xacct_assets.aws.stack_changes import StackChanges


@pytest.fixture
def cloud():
    return FakeCloudFormation()


@pytest.fixture
def stacks(cloud, clock):
    return Stacks(cloud.client, sleep=clock.sleep, clock=clock)


@pytest.fixture
def changes(cloud, stacks):
    return StackChanges(cloud.client, stacks)


def deploy(changes, parameters=None, template="t"):
    return changes.execute(changes.plan("s", template, parameters or {}))


def test_a_new_stack_is_created_and_its_outputs_returned(cloud, changes):
    cloud.next = [("CREATE_COMPLETE", [("Raw", "CREATE_COMPLETE", "")])]
    result = deploy(changes, {"New": "x"})
    assert (result.change, result.outputs) == ("created", {"Out": "1"})
    (request,) = cloud.client.named("create_change_set")
    assert request["Capabilities"] == ["CAPABILITY_NAMED_IAM"]
    assert (request["ChangeSetType"], "DeploymentMode" in request) == ("CREATE", False)
    (request,) = cloud.client.named("execute_change_set")
    assert request["RetainExceptOnCreate"] is True


@pytest.mark.parametrize("status", [None, "CREATE_COMPLETE"])
def test_nothing_is_changed_by_a_plan(cloud, changes, status):
    cloud.status = status
    planned = changes.plan("s", "t", {})
    assert (planned.new, len(planned.changes)) == (status is None, 1)
    assert cloud.client.named("execute_change_set") == []


@pytest.mark.parametrize("status", [None, "CREATE_COMPLETE"])
def test_a_plan_that_is_discarded_leaves_nothing(cloud, changes, status):
    cloud.status = status
    cloud.next = [("DELETE_COMPLETE", [])]
    changes.discard(changes.plan("s", "t", {}))
    assert cloud.change_sets == []
    assert cloud.status == (status or "DELETE_COMPLETE")


@pytest.mark.parametrize("polls", [1, 3])
def test_an_execution_that_begins_late_is_waited_for(cloud, changes, polls):
    for status, kind, end in (
        (None, "created", "CREATE"),
        ("CREATE_COMPLETE", "updated", "UPDATE"),
    ):
        cloud.status, cloud.delay = status, polls
        cloud.next = [(f"{end}_COMPLETE", [])]
        assert deploy(changes).change == kind


def test_all_pages_of_a_change_set_are_read(cloud, changes):
    cloud.changes = [change(name) for name in ("A", "B", "C")]
    assert [entry.logical_id for entry in changes.plan("s", "t", {}).changes] == ["A", "B", "C"]


@pytest.mark.parametrize(
    ("entry", "effect"),
    [
        (change("X"), "added"),
        (change("X", "Modify", Replacement="False"), "changed"),
        (change("X", "Modify", Replacement="True"), "replaced"),
        (change("X", "Modify", Replacement="Conditional"), "may be replaced"),
        (change("X", "Dynamic"), "may be replaced"),
        (change("X", "Remove"), "removed"),
        (change("X", "Add", ResourceDriftStatus="DELETED"), "restored"),
        (change("X", "Modify", ResourceDriftStatus="DELETED"), "restored"),
        (change("X", "Remove", ResourceDriftStatus="DELETED"), "removed"),
        (change("X", "SyncWithActual"), "recorded"),
        (change("X", "Import"), "imported"),
    ],
)
def test_the_effect_on_a_resource(cloud, changes, entry, effect):
    cloud.changes = [entry]
    assert changes.plan("s", "t", {}).changes[0].effect == effect


def test_a_change_names_its_properties_and_that_it_reverts_one_by_hand(cloud, changes):
    cloud.changes = [
        change(
            "X",
            "Modify",
            PhysicalResourceId="raw",
            PolicyAction="ReplaceAndRetain",
            ResourceDriftStatus="MODIFIED",
            Details=[target("Tags"), target("BucketName"), target("Tags")],
        )
    ]
    (entry,) = changes.plan("s", "t", {}).changes
    assert (entry.properties, entry.drifted, entry.kept) == (("BucketName", "Tags"), True, True)


@pytest.mark.parametrize(
    ("id_", "name"),
    [
        ("raw", "raw"),
        ("arn:aws:secretsmanager:us-east-1:222222222222:secret:a/b-c-AbC123", "a/b-c"),
        ("", "X"),
    ],
)
def test_the_name_of_a_resource_is_its_physical_id_and_of_a_secret_its_name(id_, name):
    assert ResourceChange("removed", "X", id_, "t").name == name


def test_the_change_set_of_an_existing_stack_reverts_drift(cloud, changes):
    cloud.status = "CREATE_COMPLETE"
    changes.plan("s", "t", {})
    (request,) = cloud.client.named("create_change_set")
    assert (request["ChangeSetType"], request["DeploymentMode"]) == ("UPDATE", "REVERT_DRIFT")


def test_a_change_set_that_cannot_be_made_says_why_and_is_removed(cloud, changes):
    cloud.status = "CREATE_COMPLETE"
    cloud.change_set = ("FAILED", "Parameter Port must be one of 5439")
    with pytest.raises(DeployFailed, match="Parameter Port must be one of 5439"):
        changes.plan("s", "t", {})
    assert cloud.change_sets == []


def test_a_rollback_that_failed_is_continued_first(cloud, changes):
    cloud.status = "UPDATE_ROLLBACK_FAILED"
    cloud.next = [("UPDATE_ROLLBACK_COMPLETE", []), ("UPDATE_COMPLETE", [])]
    assert deploy(changes).change == "updated"
    assert len(cloud.client.named("continue_update_rollback")) == 1


def test_a_rollback_that_fails_again_names_the_resource(cloud, changes):
    cloud.status = "UPDATE_ROLLBACK_FAILED"
    cloud.next = [("UPDATE_ROLLBACK_FAILED", [("Raw", "UPDATE_FAILED", "is being deleted")])]
    with pytest.raises(DeployFailed, match=r"Raw \(AWS::S3::Bucket\): is being deleted"):
        deploy(changes)


def test_an_unchanged_stack_is_left_alone(cloud, changes):
    cloud.status, cloud.nothing_to_update = "CREATE_COMPLETE", True
    assert deploy(changes, {"New": "x"}).change == "up to date"


def test_an_update_keeps_parameters_that_are_not_given(cloud, changes):
    cloud.status = "CREATE_COMPLETE"
    cloud.next = [("UPDATE_COMPLETE", [])]
    assert deploy(changes, {"New": "x"}).change == "updated"
    assert cloud.client.named("create_change_set")[0]["Parameters"] == [
        {"ParameterKey": "New", "ParameterValue": "x"},
        {"ParameterKey": "Old", "UsePreviousValue": True},
    ]


@pytest.mark.parametrize("dead", ["ROLLBACK_COMPLETE", "CREATE_FAILED", "REVIEW_IN_PROGRESS"])
def test_what_a_failed_creation_left_is_removed_first(cloud, changes, dead):
    cloud.status = dead
    cloud.next = [("DELETE_COMPLETE", []), ("CREATE_COMPLETE", [])]
    assert deploy(changes).change == "created"
    assert len(cloud.client.named("delete_stack")) == 1


def test_a_stack_that_somebody_else_is_updating_is_waited_for(cloud, changes):
    cloud.status, cloud.nothing_to_update = "UPDATE_IN_PROGRESS", True
    cloud.next = [("UPDATE_COMPLETE", [])]
    assert deploy(changes).change == "up to date"


def test_a_failure_names_the_resource_that_failed_first(cloud, changes):
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
        deploy(changes)
    assert "Policy (AWS::S3::Bucket): Invalid principal in policy" in str(caught.value)
    assert "ROLLBACK_COMPLETE" in str(caught.value)


def test_a_name_that_is_taken_gets_advice(cloud, changes):
    cloud.next = [("ROLLBACK_COMPLETE", [("Raw", "CREATE_FAILED", "raw already exists")])]
    with pytest.raises(DeployFailed, match="XACCT_SUFFIX"):
        deploy(changes)


def test_a_stack_refused_by_validation_names_what_was_refused(cloud, changes):
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
        deploy(changes)
    assert "Raw (AWS::S3::Bucket): identifier raw already exists" in str(caught.value)
    assert "Past" not in str(caught.value)


def test_a_change_set_refused_by_validation_names_what_was_refused(cloud, changes):
    cloud.status = "CREATE_COMPLETE"
    cloud.change_set = ("FAILED", "Pre-deployment validation failed. Call DescribeEvents")
    cloud.operation_events = [
        {
            "EventType": "VALIDATION_ERROR",
            "OperationId": "1",
            "LogicalResourceId": "RoleB",
            "ResourceType": "AWS::IAM::Role",
            "ValidationStatusReason": "Resource of type 'AWS::IAM::Role' already exists",
            "Timestamp": NOW,
        }
    ]
    with pytest.raises(DeployFailed, match=r"RoleB \(AWS::IAM::Role\): .* already exists") as taken:
        changes.plan("s", "t", {})
    assert "nothing was changed" in str(taken.value)
    assert "delete it if nobody needs it" in str(taken.value)
    assert cloud.change_sets == []


@pytest.mark.parametrize(
    ("reason", "advice"),
    [
        ("a secret with this name is already scheduled for deletion", "restore-secret"),
        ("A conflicting conditional operation is currently in progress against this", "an hour"),
        ("Role xacct-glue-x already exists", "XACCT_SUFFIX"),
        ("Quota exceeded", "correct it"),
    ],
)
def test_a_cause_has_its_repair(cloud, changes, reason, advice):
    cloud.next = [("ROLLBACK_COMPLETE", [("Raw", "CREATE_FAILED", reason)])]
    with pytest.raises(DeployFailed, match=reason) as failed:
        deploy(changes)
    assert advice in str(failed.value)


def test_a_stack_whose_removal_failed_is_not_updated_and_says_what_is_in_the_way(cloud, changes):
    cloud.event("s", "DELETE_IN_PROGRESS", type_=STACK)
    cloud.event("Raw", "DELETE_FAILED", "The bucket raw is not empty")
    cloud.status = "DELETE_FAILED"
    with pytest.raises(DeployFailed, match="The bucket raw is not empty") as refused:
        changes.plan("s", "t", {})
    assert "aws cloudformation delete-stack --stack-name s" in str(refused.value)
    assert cloud.client.named("create_change_set") == []


def test_an_update_that_is_refused_says_why(cloud, changes, refusal):
    cloud.status = "CREATE_COMPLETE"

    def refuse(**_):
        raise refusal("ValidationError", "Parameters: [X] do not exist in the template")

    cloud.client._operations["create_change_set"] = refuse
    with pytest.raises(DeployFailed, match="do not exist in the template"):
        deploy(changes)


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
    deploy(StackChanges(cloud.client, stacks))
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


def test_a_template_that_is_too_long_is_refused_before_anything_is_done(cloud, changes):
    with pytest.raises(DeployFailed, match="51,200"):
        deploy(changes, template="x" * 51_201)
    assert cloud.client.calls == []
