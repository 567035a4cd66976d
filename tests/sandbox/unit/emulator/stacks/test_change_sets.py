"""Change sets, as boto3 sends and reads them.

Sources: API reference of CreateChangeSet, DescribeChangeSet and ExecuteChangeSet; user guide,
"Update stacks using change sets".
"""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError

from tests.sandbox.unit.emulator.stacks.conftest import Stacks, template

QUEUE = "AWS::SQS::Queue"
BUCKET = "AWS::S3::Bucket"
ROLE = "AWS::IAM::Role"
TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": "glue.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
    ],
}


def queue(name: str = "cs-queue", **more: object) -> tuple[str, dict[str, object]]:
    return QUEUE, {"QueueName": name, **more}


def test_a_new_stack_is_in_review_until_its_change_set_is_executed(stacks: Stacks) -> None:
    found = stacks.change_set("cs-new", template(Queue=queue()), "CREATE")
    assert (found["Status"], found["ExecutionStatus"]) == ("CREATE_COMPLETE", "AVAILABLE")
    change = found["Changes"][0]
    assert change["Type"] == "Resource"
    assert change["ResourceChange"] == {
        "Action": "Add",
        "LogicalResourceId": "Queue",
        "ResourceType": QUEUE,
        "Scope": [],
        "Details": [],
    }
    assert stacks.status("cs-new") == "REVIEW_IN_PROGRESS"
    assert stacks.client("sqs").list_queues(QueueNamePrefix="cs-queue").get("QueueUrls", []) == []
    assert stacks.execute("cs-new") == "CREATE_COMPLETE"
    found = stacks.api.describe_change_set(StackName="cs-new", ChangeSetName="cs")
    assert found["ExecutionStatus"] == "EXECUTE_COMPLETE"


def test_a_second_change_set_for_a_new_stack_is_for_the_same_stack(stacks: Stacks) -> None:
    first = stacks.change_set("cs-two", template(Queue=queue()), "CREATE")
    request = stacks.request("cs-two", template(Queue=queue(DelaySeconds=1)), {})
    second = stacks.api.create_change_set(ChangeSetName="other", ChangeSetType="CREATE", **request)
    assert second["StackId"] == first["StackId"]
    listed = stacks.api.list_change_sets(StackName=first["StackId"])["Summaries"]
    assert {entry["ChangeSetName"] for entry in listed} == {"cs", "other"}
    # Executing one deletes the other.
    stacks.api.execute_change_set(ChangeSetName=second["Id"])
    stacks.aws.finish()
    assert stacks.status("cs-two") == "CREATE_COMPLETE"
    with pytest.raises(ClientError, match="ChangeSetNotFound"):
        stacks.api.describe_change_set(ChangeSetName=first["ChangeSetId"])


def test_changes_say_what_is_added_modified_replaced_and_removed(stacks: Stacks) -> None:
    role = (ROLE, {"RoleName": "cs-role", "AssumeRolePolicyDocument": TRUST})
    before = template(
        Kept=queue("cs-kept"), Renamed=queue("cs-old"), Changed=queue("cs-changed"), Gone=role
    )
    stacks.create("cs-kinds", before)
    after = template(
        Kept=queue("cs-kept"),
        Renamed=queue("cs-new"),
        Changed=queue("cs-changed", DelaySeconds=7),
        New=queue("cs-added"),
    )
    found = stacks.changes("cs-kinds", after)
    assert sorted(found) == ["Changed", "Gone", "New", "Renamed"]
    assert [found[name]["Action"] for name in sorted(found)] == [
        "Modify",
        "Remove",
        "Add",
        "Modify",
    ]
    assert found["Changed"]["Replacement"] == "False"
    assert found["Renamed"]["Replacement"] == "True"
    assert found["Renamed"]["PolicyAction"] == "ReplaceAndDelete"
    assert found["Renamed"]["PhysicalResourceId"].endswith("/cs-old")
    assert found["Gone"]["PhysicalResourceId"] == "cs-role"
    assert found["Gone"]["PolicyAction"] == "Delete"
    assert found["Renamed"]["Scope"] == ["Properties"]
    assert found["Renamed"]["Details"] == [
        {
            "Target": {
                "Attribute": "Properties",
                "Name": "QueueName",
                "RequiresRecreation": "Always",
            },
            "Evaluation": "Static",
            "ChangeSource": "DirectModification",
        }
    ]


def test_a_retained_resource_is_marked(stacks: Stacks) -> None:
    kept = {"DeletionPolicy": "Retain", "UpdateReplacePolicy": "Retain"}
    bucket = (BUCKET, {"BucketName": "cs-retained"}, kept)
    stacks.create("cs-retain", template(Queue=queue(), Bucket=bucket))
    assert stacks.changes("cs-retain", template(Queue=queue()))["Bucket"]["PolicyAction"] == (
        "Retain"
    )
    renamed = (BUCKET, {"BucketName": "cs-retained-2"}, kept)
    found = stacks.changes("cs-retain", template(Queue=queue(), Bucket=renamed))["Bucket"]
    assert (found["Replacement"], found["PolicyAction"]) == ("True", "ReplaceAndRetain")
    stacks.delete("cs-retain")
    stacks.client("s3").delete_bucket(Bucket="cs-retained")


def test_a_property_that_never_replaces_is_no_conditional_replacement(stacks: Stacks) -> None:
    bucket = (BUCKET, {"BucketName": "cs-bucket"})
    stacks.create("cs-never", template(Bucket=bucket))
    rules = {"Rules": [{"Id": "a", "Status": "Enabled", "ExpirationInDays": 1}]}
    changed = (BUCKET, {"BucketName": "cs-bucket", "LifecycleConfiguration": rules})
    found = stacks.changes("cs-never", template(Bucket=changed))["Bucket"]
    assert found["Replacement"] == "False"
    assert found["Details"][0]["Target"]["RequiresRecreation"] == "Never"


def test_what_refers_to_a_replaced_resource_may_be_replaced(stacks: Stacks) -> None:
    document = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Deny",
                "Principal": "*",
                "Action": "s3:*",
                "Resource": {"Fn::Sub": "arn:aws:s3:::${Bucket}/*"},
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            }
        ],
    }
    policy = ("AWS::S3::BucketPolicy", {"Bucket": {"Ref": "Bucket"}, "PolicyDocument": document})
    bucket = (BUCKET, {"BucketName": {"Ref": "Name"}})
    stacks.create("cs-refer", template("Name", Bucket=bucket, Policy=policy), Name="cs-first")
    found = stacks.changes(
        "cs-refer", template("Name", Bucket=bucket, Policy=policy), Name="cs-second"
    )
    assert found["Bucket"]["Replacement"] == "True"
    sources = {
        (detail.get("CausingEntity"), detail["ChangeSource"])
        for detail in found["Bucket"]["Details"]
    }
    assert ("Name", "ParameterReference") in sources
    assert found["Policy"]["Replacement"] == "True"
    assert "ResourceReference" in {d["ChangeSource"] for d in found["Policy"]["Details"]}


def test_the_same_again_has_no_changes(stacks: Stacks) -> None:
    stacks.create("cs-same", template(Queue=queue()))
    found = stacks.change_set("cs-same", template(Queue=queue()))
    assert (found["Status"], found["ExecutionStatus"]) == ("FAILED", "UNAVAILABLE")
    assert found["StatusReason"] == (
        "The submitted information didn't contain changes. Submit different information to create "
        "a change set."
    )
    with pytest.raises(ClientError, match=r"cannot be executed in its current status of \[FAILED"):
        stacks.execute("cs-same")


@pytest.mark.parametrize("value", ["one", ""])
def test_other_outputs_can_be_executed_though_no_resource_changes(
    stacks: Stacks, value: str
) -> None:
    body = template("Text", outputs={"Text": {"Ref": "Text"}}, Queue=queue())
    stacks.create("cs-outputs", body, Text="before")
    found = stacks.change_set("cs-outputs", body, Text=value)
    assert (found["Status"], found["Changes"]) == ("CREATE_COMPLETE", [])
    assert stacks.execute("cs-outputs") == "UPDATE_COMPLETE"
    outputs = stacks.api.describe_stacks(StackName="cs-outputs")["Stacks"][0]["Outputs"]
    assert outputs[0]["OutputValue"] == value


@pytest.mark.parametrize(
    ("before", "after", "action"), [("", "x", "Add"), ("x", "", "Remove"), ("", "", None)]
)
def test_a_condition_adds_and_removes_its_resources(
    stacks: Stacks, before: str, after: str, action: str | None
) -> None:
    body = template("Given", Queue=queue(), Second=(*queue("cs-second"), {"Condition": "Has"}))
    body["Conditions"] = {"Has": {"Fn::Not": [{"Fn::Equals": [{"Ref": "Given"}, ""]}]}}
    stacks.create("cs-condition", body, Given=before)
    found = stacks.changes("cs-condition", body, Given=after)
    assert {name: change["Action"] for name, change in found.items()} == (
        {"Second": action} if action else {}
    )


def test_a_value_chosen_by_a_condition_is_a_change(stacks: Stacks) -> None:
    delay = {"Fn::If": ["Slow", 9, {"Ref": "AWS::NoValue"}]}
    body = template("Pace", Queue=queue(DelaySeconds=delay))
    body["Conditions"] = {"Slow": {"Fn::Equals": [{"Ref": "Pace"}, "slow"]}}
    stacks.create("cs-if", body, Pace="fast")
    found = stacks.changes("cs-if", body, Pace="slow")
    assert [d["Target"]["Name"] for d in found["Queue"]["Details"]] == ["DelaySeconds"]


def test_a_hidden_parameter_stays_hidden(stacks: Stacks) -> None:
    body = template("Password", Queue=queue())
    body["Parameters"]["Password"]["NoEcho"] = True
    found = stacks.change_set("cs-noecho", body, "CREATE", Password="Secret1234")
    assert found["Parameters"] == [{"ParameterKey": "Password", "ParameterValue": "****"}]


def test_a_change_set_is_used_once(stacks: Stacks) -> None:
    stacks.change_set("cs-once", template(Queue=queue()), "CREATE")
    stacks.execute("cs-once")
    with pytest.raises(ClientError, match=r"current execution status of \[EXECUTE_COMPLETE"):
        stacks.execute("cs-once")


def test_an_update_makes_change_sets_obsolete(stacks: Stacks) -> None:
    stacks.create("cs-obsolete", template(Queue=queue()))
    stacks.change_set("cs-obsolete", template(Queue=queue(DelaySeconds=1)))
    stacks.update("cs-obsolete", template(Queue=queue(DelaySeconds=2)))
    with pytest.raises(ClientError, match=r"current execution status of \[OBSOLETE"):
        stacks.execute("cs-obsolete")


def test_a_failed_execution_is_rolled_back(stacks: Stacks) -> None:
    stacks.client("sqs").create_queue(QueueName="cs-taken")
    stacks.create("cs-rollback", template(Queue=queue()))
    body = template(Queue=queue(DelaySeconds=3), Taken=queue("cs-taken"))
    stacks.change_set("cs-rollback", body)
    assert stacks.execute("cs-rollback") == "UPDATE_ROLLBACK_COMPLETE"
    found = stacks.api.describe_change_set(StackName="cs-rollback", ChangeSetName="cs")
    assert found["ExecutionStatus"] == "EXECUTE_FAILED"
    url = stacks.client("sqs").get_queue_url(QueueName="cs-taken")["QueueUrl"]
    stacks.client("sqs").delete_queue(QueueUrl=url)


@pytest.mark.parametrize(
    ("kind", "code", "text"),
    [
        ("CREATE", "ValidationError", "already exists and cannot be created again"),
        ("UPDATE", "ValidationError", "is in ROLLBACK_COMPLETE state and can not be updated"),
        ("IMPORT", "ValidationError", "IMPORT"),
    ],
)
def test_a_stack_that_was_rolled_back_takes_no_change_set(
    stacks: Stacks, kind: str, code: str, text: str
) -> None:
    body = template(First=queue("cs-same-name"), Second=queue("cs-same-name"))
    assert stacks.create("cs-dead", body) == "ROLLBACK_COMPLETE"
    with pytest.raises(ClientError, match=text) as refused:
        stacks.change_set("cs-dead", body, kind)
    assert refused.value.response["Error"]["Code"] == code
    with pytest.raises(ClientError, match="AlreadyExistsException"):
        stacks.create("cs-dead", body)


def test_change_sets_of_a_stack_that_is_not_there(stacks: Stacks) -> None:
    with pytest.raises(ClientError, match=r"Stack \[cs-none\] does not exist"):
        stacks.api.list_change_sets(StackName="cs-none")
    with pytest.raises(ClientError, match=r"Stack \[cs-none\] does not exist"):
        stacks.change_set("cs-none", template(Queue=queue()))


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("ImportExistingResources", True),
        ("IncludeNestedStacks", True),
        ("ResourceTypes", ["AWS::S3::*"]),
        ("NotificationARNs", ["arn:aws:sns:us-east-1:222222222222:t"]),
        ("RollbackConfiguration", {"MonitoringTimeInMinutes": 5}),
    ],
)
def test_an_option_without_effect_is_refused_by_name(
    stacks: Stacks, option: str, value: object
) -> None:
    with pytest.raises(ClientError, match=f"sandbox does not support {option} of CreateChangeSet"):
        stacks.api.create_change_set(
            StackName="cs-options",
            ChangeSetName="cs",
            ChangeSetType="CREATE",
            TemplateBody="{}",
            **{option: value},
        )


def test_a_new_parameter_with_the_value_of_the_old_one_replaces_nothing(stacks: Stacks) -> None:
    def of(parameter: str, delay: int) -> dict[str, object]:
        name = {"Ref": parameter}
        return {
            "Parameters": {parameter: {"Type": "String"}},
            **template(Queue=(QUEUE, {"QueueName": name, "DelaySeconds": delay})),
        }

    stacks.create("cs-parameter", of("Old", 1), Old="cs-same")
    changes = stacks.changes("cs-parameter", of("New", 2), New="cs-same")
    assert changes["Queue"]["Replacement"] == "False"
    changes = stacks.changes("cs-parameter", of("New", 2), New="cs-other")
    assert changes["Queue"]["Replacement"] == "True"
