"""CloudFormation really makes, changes and removes what the templates describe."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError, WaiterError

from tests.support.sandbox import RunningSandbox

B = "222222222222"
STACK = "stacks-under-test"

TEMPLATE: dict[str, Any] = {
    "Parameters": {"Action": {"Type": "String"}, "Workers": {"Type": "Number", "Default": 2}},
    "Resources": {
        "Bucket": {
            "Type": "AWS::S3::Bucket",
            "Properties": {
                "BucketName": "stacks-under-test",
                "OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
                "BucketEncryption": {
                    "ServerSideEncryptionConfiguration": [
                        {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
                    ]
                },
                "LifecycleConfiguration": {
                    "Rules": [
                        {"Id": "tmp", "Status": "Enabled", "Prefix": "tmp/", "ExpirationInDays": 3}
                    ]
                },
                "NotificationConfiguration": {
                    "QueueConfigurations": [
                        {
                            "Event": "s3:ObjectCreated:*",
                            "Queue": {"Fn::GetAtt": ["Queue", "Arn"]},
                        }
                    ]
                },
            },
            "DependsOn": "QueuePolicy",
        },
        "Policy": {
            "Type": "AWS::S3::BucketPolicy",
            "Properties": {
                "Bucket": {"Ref": "Bucket"},
                "PolicyDocument": {
                    "Version": "2012-10-17",
                    "Statement": [
                        {
                            "Effect": "Allow",
                            "Principal": {"AWS": {"Fn::GetAtt": ["Role", "Arn"]}},
                            "Action": {"Ref": "Action"},
                            "Resource": {"Fn::Sub": "arn:aws:s3:::${Bucket}/*"},
                        }
                    ],
                },
            },
        },
        "Queue": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "stacks-under-test"}},
        "QueuePolicy": {
            "Type": "AWS::SQS::QueuePolicy",
            "Properties": {
                "Queues": [{"Ref": "Queue"}],
                "PolicyDocument": {
                    "Version": "2012-10-17",
                    "Statement": [
                        {
                            "Effect": "Allow",
                            "Principal": {"Service": "s3.amazonaws.com"},
                            "Action": "sqs:SendMessage",
                            "Resource": {"Fn::GetAtt": ["Queue", "Arn"]},
                            "Condition": {
                                "ArnLike": {"aws:SourceArn": "arn:aws:s3:::stacks-under-test"}
                            },
                        }
                    ],
                },
            },
        },
        "Secret": {
            "Type": "AWS::SecretsManager::Secret",
            "Properties": {
                "Name": "stacks/under-test",
                "GenerateSecretString": {
                    "SecretStringTemplate": '{"username": "u", "port": 5439}',
                    "GenerateStringKey": "password",
                    "PasswordLength": 32,
                    "ExcludeCharacters": "\"'/\\@ ",
                },
            },
        },
        "ShortSecret": {
            "Type": "AWS::SecretsManager::Secret",
            "Properties": {
                "Name": "stacks/under-test-short",
                "GenerateSecretString": {"PasswordLength": 4},
            },
        },
        "Role": {
            "Type": "AWS::IAM::Role",
            "Properties": {
                "RoleName": "stacks-under-test",
                "AssumeRolePolicyDocument": {
                    "Version": "2012-10-17",
                    "Statement": [
                        {
                            "Effect": "Allow",
                            "Principal": {"Service": "glue.amazonaws.com"},
                            "Action": "sts:AssumeRole",
                        }
                    ],
                },
                "Policies": [
                    {
                        "PolicyName": "read",
                        "PolicyDocument": {
                            "Version": "2012-10-17",
                            "Statement": [
                                {
                                    "Effect": "Allow",
                                    "Action": {"Ref": "Action"},
                                    "Resource": {"Fn::Sub": "arn:aws:s3:::${Bucket}/*"},
                                },
                                {
                                    "Effect": "Allow",
                                    "Action": "secretsmanager:GetSecretValue",
                                    "Resource": {"Ref": "Secret"},
                                },
                            ],
                        },
                    }
                ],
            },
        },
        "Database": {
            "Type": "AWS::Glue::Database",
            "Properties": {
                "CatalogId": {"Ref": "AWS::AccountId"},
                "DatabaseInput": {"Name": "stacks_under_test"},
            },
        },
        "Connection": {
            "Type": "AWS::Glue::Connection",
            "Properties": {
                "CatalogId": {"Ref": "AWS::AccountId"},
                "ConnectionInput": {
                    "Name": "stacks-under-test",
                    "ConnectionType": "JDBC",
                    "ConnectionProperties": {
                        "JDBC_CONNECTION_URL": "jdbc:redshift://127.0.0.1:5439/dev",
                        "USERNAME": {
                            "Fn::Sub": (
                                "{{resolve:secretsmanager:${Secret}:SecretString:username}}"
                            )
                        },
                    },
                },
            },
        },
    },
    "Outputs": {
        "SecretArn": {"Value": {"Ref": "Secret"}},
        "QueueUrl": {"Value": {"Ref": "Queue"}},
    },
}


def with_bucket(**properties: Any) -> dict[str, Any]:
    """A template of one bucket."""
    return {
        "Resources": {
            "Bucket": {
                "Type": "AWS::S3::Bucket",
                "Properties": {"BucketName": "stacks-one-bucket", **properties},
            }
        }
    }


def create(sandbox: RunningSandbox, name: str, template: dict[str, Any], **values: str) -> None:
    _change(sandbox, "create", name, template, values)


def update(sandbox: RunningSandbox, name: str, template: dict[str, Any], **values: str) -> None:
    _change(sandbox, "update", name, template, values)


def _change(
    sandbox: RunningSandbox, verb: str, name: str, template: dict[str, Any], values: dict[str, str]
) -> None:
    cloudformation = sandbox.client("account-b-admin", "cloudformation")
    getattr(cloudformation, f"{verb}_stack")(
        StackName=name,
        TemplateBody=json.dumps(template),
        Capabilities=["CAPABILITY_NAMED_IAM"],
        Parameters=[
            {"ParameterKey": key, "ParameterValue": value} for key, value in values.items()
        ],
    )
    cloudformation.get_waiter(f"stack_{verb}_complete").wait(
        StackName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 20}
    )


def delete(sandbox: RunningSandbox, name: str) -> None:
    cloudformation = sandbox.client("account-b-admin", "cloudformation")
    cloudformation.delete_stack(StackName=name)
    cloudformation.get_waiter("stack_delete_complete").wait(
        StackName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 20}
    )


def outputs(sandbox: RunningSandbox, name: str) -> dict[str, str]:
    stacks = sandbox.client("account-b-admin", "cloudformation").describe_stacks(StackName=name)
    return {output["OutputKey"]: output["OutputValue"] for output in stacks["Stacks"][0]["Outputs"]}


def reasons(sandbox: RunningSandbox, name: str) -> str:
    events = sandbox.client("account-b-admin", "cloudformation").describe_stack_events(
        StackName=name
    )["StackEvents"]
    return " ".join(event.get("ResourceStatusReason", "") for event in events)


@pytest.fixture(scope="module")
def stack(bare_sandbox: RunningSandbox) -> Iterator[RunningSandbox]:
    create(bare_sandbox, STACK, TEMPLATE, Action="s3:GetObject")
    yield bare_sandbox
    delete(bare_sandbox, STACK)
    s3 = bare_sandbox.client("account-b-admin", "s3")
    with pytest.raises(ClientError, match="404"):
        s3.head_bucket(Bucket="stacks-under-test")


def bucket_actions(sandbox: RunningSandbox) -> str:
    s3 = sandbox.client("account-b-admin", "s3")
    document = json.loads(s3.get_bucket_policy(Bucket="stacks-under-test")["Policy"])
    return document["Statement"][0]["Action"]


def role_actions(sandbox: RunningSandbox) -> str:
    iam = sandbox.client("account-b-admin", "iam")
    policy = iam.get_role_policy(RoleName="stacks-under-test", PolicyName="read")
    return policy["PolicyDocument"]["Statement"][0]["Action"]


def test_what_a_bucket_template_says_is_what_s3_says(stack: RunningSandbox) -> None:
    s3 = stack.client("account-b-admin", "s3")
    name = "stacks-under-test"
    rules = s3.get_bucket_lifecycle_configuration(Bucket=name)["Rules"]
    assert [(rule["ID"], rule["Expiration"]["Days"]) for rule in rules] == [("tmp", 3)]
    ownership = s3.get_bucket_ownership_controls(Bucket=name)["OwnershipControls"]
    assert ownership["Rules"] == [{"ObjectOwnership": "BucketOwnerEnforced"}]
    encryption = s3.get_bucket_encryption(Bucket=name)["ServerSideEncryptionConfiguration"]
    default = encryption["Rules"][0]["ApplyServerSideEncryptionByDefault"]
    assert default["SSEAlgorithm"] == "AES256"


def test_a_reference_to_a_secret_is_its_arn(stack: RunningSandbox) -> None:
    secrets = stack.client("account-b-admin", "secretsmanager")
    arn = secrets.describe_secret(SecretId="stacks/under-test")["ARN"]
    assert outputs(stack, STACK)["SecretArn"] == arn


def test_a_generated_secret_keeps_its_template_and_spares_what_is_excluded(
    stack: RunningSandbox,
) -> None:
    secrets = stack.client("account-b-admin", "secretsmanager")
    value = json.loads(secrets.get_secret_value(SecretId="stacks/under-test")["SecretString"])
    assert (value["username"], value["port"]) == ("u", 5439)
    assert len(value["password"]) == 32
    assert not set(value["password"]) & set("\"'/\\@ ")


def test_a_generated_secret_has_every_kind_of_character(stack: RunningSandbox) -> None:
    secrets = stack.client("account-b-admin", "secretsmanager")
    password = secrets.get_secret_value(SecretId="stacks/under-test-short")["SecretString"]
    assert re.fullmatch(r"(?=.*[a-z])(?=.*[A-Z])(?=.*[0-9])(?=.*[^a-zA-Z0-9]).{4}", password)


def test_a_dynamic_reference_by_arn_is_resolved(stack: RunningSandbox) -> None:
    glue = stack.client("account-b-admin", "glue")
    connection = glue.get_connection(Name="stacks-under-test")["Connection"]
    assert connection["ConnectionProperties"]["USERNAME"] == "u"


def test_a_new_object_is_told_to_the_queue(stack: RunningSandbox) -> None:
    s3 = stack.client("account-b-admin", "s3")
    sqs = stack.client("account-b-admin", "sqs")
    s3.put_object(Bucket="stacks-under-test", Key="day/new.csv", Body=b"1")
    keys: set[str] = set()
    for _ in range(5):
        answer = sqs.receive_message(
            QueueUrl=outputs(stack, STACK)["QueueUrl"], WaitTimeSeconds=2, MaxNumberOfMessages=10
        )
        for message in answer.get("Messages", []):
            records = json.loads(message["Body"]).get("Records", [])
            keys |= {record["s3"]["object"]["key"] for record in records}
        if keys:
            break
    s3.delete_object(Bucket="stacks-under-test", Key="day/new.csv")
    assert keys == {"day/new.csv"}


def test_a_changed_policy_is_applied_to_bucket_and_role(stack: RunningSandbox) -> None:
    update(stack, STACK, TEMPLATE, Action="s3:PutObject")
    assert (bucket_actions(stack), role_actions(stack)) == ("s3:PutObject", "s3:PutObject")
    update(stack, STACK, TEMPLATE, Action="s3:GetObject")
    assert (bucket_actions(stack), role_actions(stack)) == ("s3:GetObject", "s3:GetObject")


def test_an_update_leaves_the_secret_as_it_was(stack: RunningSandbox) -> None:
    secrets = stack.client("account-b-admin", "secretsmanager")
    before = secrets.get_secret_value(SecretId="stacks/under-test")
    update(stack, STACK, TEMPLATE, Action="s3:DeleteObject")
    after = secrets.get_secret_value(SecretId="stacks/under-test")
    update(stack, STACK, TEMPLATE, Action="s3:GetObject")
    assert after["SecretString"] == before["SecretString"]
    assert after["ARN"] == before["ARN"]


def test_an_update_without_a_change_says_so(stack: RunningSandbox) -> None:
    with pytest.raises(ClientError, match="No updates are to be performed"):
        update(stack, STACK, TEMPLATE, Action="s3:GetObject")


def test_a_policy_that_left_the_template_leaves_the_role(stack: RunningSandbox) -> None:
    fewer = json.loads(json.dumps(TEMPLATE))
    fewer["Resources"]["Role"]["Properties"]["Policies"] = []
    update(stack, STACK, fewer, Action="s3:GetObject")
    iam = stack.client("account-b-admin", "iam")
    left = iam.list_role_policies(RoleName="stacks-under-test")["PolicyNames"]
    update(stack, STACK, TEMPLATE, Action="s3:GetObject")
    assert left == []


def test_a_notification_that_left_the_template_leaves_the_bucket(stack: RunningSandbox) -> None:
    silent = json.loads(json.dumps(TEMPLATE))
    del silent["Resources"]["Bucket"]["Properties"]["NotificationConfiguration"]
    update(stack, STACK, silent, Action="s3:GetObject")
    s3 = stack.client("account-b-admin", "s3")
    configuration = s3.get_bucket_notification_configuration(Bucket="stacks-under-test")
    update(stack, STACK, TEMPLATE, Action="s3:GetObject")
    assert "QueueConfigurations" not in configuration


def test_a_property_nobody_would_act_on_is_refused_by_name(bare_sandbox: RunningSandbox) -> None:
    template = with_bucket(AccelerateConfiguration={"AccelerationStatus": "Enabled"})
    with pytest.raises(WaiterError):
        create(bare_sandbox, "stacks-refused", template)
    assert "AccelerateConfiguration" in reasons(bare_sandbox, "stacks-refused")
    delete(bare_sandbox, "stacks-refused")


def test_a_bucket_that_holds_objects_is_not_deleted(bare_sandbox: RunningSandbox) -> None:
    create(bare_sandbox, "stacks-full", with_bucket())
    s3 = bare_sandbox.client("account-b-admin", "s3")
    s3.put_object(Bucket="stacks-one-bucket", Key="kept", Body=b"1")
    with pytest.raises(WaiterError):
        delete(bare_sandbox, "stacks-full")
    assert "not empty" in reasons(bare_sandbox, "stacks-full")
    assert s3.get_object(Bucket="stacks-one-bucket", Key="kept")["Body"].read() == b"1"
    s3.delete_object(Bucket="stacks-one-bucket", Key="kept")
    delete(bare_sandbox, "stacks-full")
