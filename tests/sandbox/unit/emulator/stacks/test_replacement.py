"""What a changed create-only property does, and the policies that keep resources."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.sandbox.unit.emulator.stacks.conftest import Stacks, template
from tests.sandbox.unit.emulator.stacks.test_change_sets import TRUST

BUCKET = "AWS::S3::Bucket"


def bucket(name: str, **attributes: str) -> tuple[str, dict[str, Any], dict[str, str]]:
    return BUCKET, {"BucketName": name}, attributes


def buckets(stacks: Stacks) -> set[str]:
    found = stacks.client("s3").list_buckets()["Buckets"]
    return {entry["Name"] for entry in found if entry["Name"].startswith("replace-")}


def test_a_renamed_bucket_is_made_before_the_old_one_is_deleted(stacks: Stacks) -> None:
    stacks.create("replacing", template(Bucket=bucket("replace-old")))
    assert stacks.update("replacing", template(Bucket=bucket("replace-new"))) == "UPDATE_COMPLETE"
    assert buckets(stacks) == {"replace-new"}
    assert "requires the creation of a new physical resource" in stacks.reasons("replacing")


def test_a_rollback_keeps_the_old_resource_and_deletes_the_new_one(stacks: Stacks) -> None:
    stacks.create("replacing-back", template(Bucket=bucket("replace-old")))
    bad = (BUCKET, {"BucketName": "replace-bad", "AccelerateConfiguration": {}})
    body = template(Bucket=bucket("replace-new"), Bad=(*bad, {"DependsOn": "Bucket"}))
    assert stacks.update("replacing-back", body) == "UPDATE_ROLLBACK_COMPLETE"
    assert buckets(stacks) == {"replace-old"}


def test_a_replaced_bucket_with_objects_stays_and_is_named(stacks: Stacks) -> None:
    stacks.create("replacing-full", template(Bucket=bucket("replace-full")))
    s3 = stacks.client("s3")
    s3.put_object(Bucket="replace-full", Key="k", Body=b"1")
    status = stacks.update("replacing-full", template(Bucket=bucket("replace-empty")))
    assert status == "UPDATE_COMPLETE"
    assert "not empty" in stacks.reasons("replacing-full")
    assert buckets(stacks) == {"replace-full", "replace-empty"}
    s3.delete_object(Bucket="replace-full", Key="k")
    s3.delete_bucket(Bucket="replace-full")


@pytest.mark.parametrize("policy", ["Retain", "Delete"])
def test_the_policy_decides_about_the_replaced_resource(stacks: Stacks, policy: str) -> None:
    keep = {"UpdateReplacePolicy": policy}
    stacks.create("replacing-keep", template(Bucket=bucket("replace-one", **keep)))
    stacks.update("replacing-keep", template(Bucket=bucket("replace-two", **keep)))
    kept = {"replace-one"} if policy == "Retain" else set()
    assert buckets(stacks) == {"replace-two"} | kept
    for name in kept:
        stacks.client("s3").delete_bucket(Bucket=name)


def test_a_named_resource_cannot_be_replaced_without_another_name(stacks: Stacks) -> None:
    def role(**more: str) -> Any:
        properties = {"RoleName": "replace-role", "AssumeRolePolicyDocument": TRUST, **more}
        return template(Role=("AWS::IAM::Role", properties))

    stacks.create("replacing-named", role())
    assert stacks.update("replacing-named", role(Path="/other/")) == "UPDATE_ROLLBACK_COMPLETE"
    assert (
        "CloudFormation cannot update a stack when a custom-named resource requires replacing. "
        "Rename replace-role and update the stack again."
    ) in stacks.reasons("replacing-named")


def test_a_policy_that_moves_to_another_bucket_leaves_the_first(stacks: Stacks) -> None:
    def body(chosen: str) -> Any:
        document = {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Deny",
                    "Principal": "*",
                    "Action": "s3:*",
                    "Resource": f"arn:aws:s3:::{chosen}/*",
                    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
                }
            ],
        }
        policy = ("AWS::S3::BucketPolicy", {"Bucket": chosen, "PolicyDocument": document})
        return template(
            One=bucket("replace-one"),
            Two=bucket("replace-two"),
            Policy=(*policy, {"DependsOn": ["One", "Two"]}),
        )

    stacks.create("replacing-policy", body("replace-one"))
    assert stacks.update("replacing-policy", body("replace-two")) == "UPDATE_COMPLETE"
    s3 = stacks.client("s3")
    assert s3.get_bucket_policy(Bucket="replace-two")
    with pytest.raises(ClientError, match="NoSuchBucketPolicy"):
        s3.get_bucket_policy(Bucket="replace-one")


@pytest.mark.parametrize("attribute", ["DeletionPolicy", "UpdateReplacePolicy"])
@pytest.mark.parametrize(
    ("policy", "text"),
    [("Snapshot", "does not support"), ("Keep", "Unrecognized"), ("delete", "Unrecognized")],
)
def test_a_policy_without_effect_is_refused(
    stacks: Stacks, attribute: str, policy: str, text: str
) -> None:
    body = template(Bucket=bucket("replace-policy", **{attribute: policy}))
    for create in (stacks.create, lambda *a: stacks.change_set(*a, "CREATE")):
        with pytest.raises(ClientError, match=f"{text}.*{policy}"):
            create("replacing-refused", body)


# -- deletion ----------------------------------------------------------------------------------


def test_termination_protection_refuses_the_deletion(stacks: Stacks) -> None:
    stacks.create("protected", template(Bucket=bucket("replace-protected")))
    for enabled in (True, False):
        stacks.api.update_termination_protection(
            StackName="protected", EnableTerminationProtection=enabled
        )
        found = stacks.api.describe_stacks(StackName="protected")["Stacks"][0]
        assert found["EnableTerminationProtection"] is enabled
        if enabled:
            with pytest.raises(ClientError, match="TerminationProtection is enabled"):
                stacks.delete("protected")
            assert buckets(stacks) == {"replace-protected"}
    stacks.delete("protected")
    assert buckets(stacks) == set()


def test_what_could_not_be_deleted_can_be_left(stacks: Stacks) -> None:
    stacks.create("leaving", template(Full=bucket("replace-full"), Empty=bucket("replace-empty")))
    s3 = stacks.client("s3")
    s3.put_object(Bucket="replace-full", Key="k", Body=b"1")
    with pytest.raises(ClientError, match="DELETE_FAILED"):
        stacks.delete("leaving", RetainResources=["Full"])
    stacks.delete("leaving")
    assert stacks.status("leaving") == "DELETE_FAILED"
    with pytest.raises(ClientError, match="do not exist"):
        stacks.delete("leaving", RetainResources=["Other"])
    stacks.delete("leaving", RetainResources=["Full"])
    with pytest.raises(ClientError, match="does not exist"):
        stacks.status("leaving")
    assert buckets(stacks) == {"replace-full"}
    s3.delete_object(Bucket="replace-full", Key="k")
    s3.delete_bucket(Bucket="replace-full")


def test_a_stack_policy_is_refused_by_name(stacks: Stacks) -> None:
    body = template(Bucket=bucket("replace-policy"))
    with pytest.raises(ClientError, match="does not support StackPolicyBody of CreateStack"):
        stacks.api.create_stack(
            **stacks.request("with-policy", body, {}), StackPolicyBody='{"Statement": []}'
        )
    stacks.create("with-policy", body)
    with pytest.raises(ClientError, match="does not support StackPolicyBody of SetStackPolicy"):
        stacks.api.set_stack_policy(StackName="with-policy", StackPolicyBody="{}")


def test_a_renamed_connection_is_replaced_and_another_change_of_it_is_not(stacks: Stacks) -> None:
    def template(name: str, url: str) -> dict[str, Any]:
        properties = {"JDBC_CONNECTION_URL": url, "USERNAME": "u", "PASSWORD": "p"}
        connection = {
            "Name": name,
            "ConnectionType": "JDBC",
            "ConnectionProperties": properties,
        }
        resource = {
            "Type": "AWS::Glue::Connection",
            "Properties": {"CatalogId": {"Ref": "AWS::AccountId"}, "ConnectionInput": connection},
        }
        return {"Resources": {"C": resource}}

    first, second = "jdbc:redshift://h:5439/one", "jdbc:redshift://h:5439/two"
    glue = stacks.client("glue")
    assert stacks.create("renamed", template("before", first)) == "CREATE_COMPLETE"
    assert stacks.update("renamed", template("before", second)) == "UPDATE_COMPLETE"
    found = glue.get_connection(Name="before")["Connection"]["ConnectionProperties"]
    assert found["JDBC_CONNECTION_URL"] == second
    assert stacks.update("renamed", template("after", second)) == "UPDATE_COMPLETE"
    assert stacks.resources("renamed") == {"C": "after"}
    names = {entry["Name"] for entry in glue.get_connections()["ConnectionList"]}
    assert "after" in names
    assert "before" not in names
