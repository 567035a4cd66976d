"""CloudFormation makes resources with the rights of its caller, or of the role named by RoleARN.

CloudFormation user guide, "CloudFormation service role" and "Control CloudFormation access with
Identity and Access Management".
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.credentials import Credentials

from tests.sandbox.unit.emulator.conftest import B, InProcess
from xacct_sandbox import emulator
from xacct_sandbox.service_errors import ServiceError

TRUST = {
    "Version": "2012-10-17",
    "Statement": {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{B}:root"},
        "Action": "sts:AssumeRole",
    },
}
STACKS = {"Effect": "Allow", "Action": "cloudformation:*", "Resource": "*"}
TEMPLATES: dict[str, dict[str, Any]] = {
    "role": {
        "Type": "AWS::IAM::Role",
        "Properties": {"RoleName": "made-by-stack", "AssumeRolePolicyDocument": TRUST},
    },
    "bucket": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "made-by-stack"}},
    "queue": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "made-by-stack"}},
    "secret": {
        "Type": "AWS::SecretsManager::Secret",
        "Properties": {"Name": "made-by-stack", "SecretString": "x"},
    },
    "database": {
        "Type": "AWS::Glue::Database",
        "Properties": {"CatalogId": B, "DatabaseInput": {"Name": "made_by_stack"}},
    },
}
RIGHTS = {
    "role": ["iam:CreateRole", "iam:DeleteRole"],
    "bucket": ["s3:CreateBucket", "s3:DeleteBucket"],
    "queue": ["sqs:CreateQueue", "sqs:DeleteQueue"],
    "secret": ["secretsmanager:CreateSecret", "secretsmanager:DeleteSecret"],
    "database": ["glue:CreateDatabase", "glue:DeleteDatabase"],
}


def template(kind: str) -> str:
    return json.dumps({"Resources": {"Made": TEMPLATES[kind]}})


def create(aws: InProcess, who: Credentials, name: str, body: str, **more: str) -> str:
    """Create a stack. Returns its status, or the error of the request."""
    answer = aws.query_call(
        who,
        "cloudformation",
        Action="CreateStack",
        Version="2010-05-15",
        StackName=name,
        TemplateBody=body,
        **{"Capabilities.member.1": "CAPABILITY_NAMED_IAM", **more},
    )
    if answer.status >= 400:
        return answer.body.decode()
    aws.finish()
    return status(aws, name)


def status(aws: InProcess, name: str) -> str:
    answer = aws.query_call(
        aws.keys[B], "cloudformation", Action="DescribeStacks", Version="2010-05-15", StackName=name
    )
    return answer.body.decode().partition("<StackStatus>")[2].partition("<")[0]


def delete(aws: InProcess, who: Credentials, name: str) -> None:
    aws.query_call(
        who, "cloudformation", Action="DeleteStack", Version="2010-05-15", StackName=name
    )
    aws.finish()


@pytest.mark.parametrize("kind", TEMPLATES)
def test_a_stack_can_make_what_its_caller_could_make(aws: InProcess, kind: str) -> None:
    name = f"rights-{kind}"
    poor = aws.become(aws.role("stacks-only", STACKS))
    assert create(aws, poor, name, template(kind)) == "ROLLBACK_COMPLETE"
    events = aws.query_call(
        aws.keys[B],
        "cloudformation",
        Action="DescribeStackEvents",
        Version="2010-05-15",
        StackName=name,
    ).body.decode()
    assert (
        f"assumed-role/stacks-only/case is not authorized to perform: {RIGHTS[kind][0]}" in events
    )
    # A stack that was rolled back holds its name until it is deleted.
    delete(aws, poor, name)
    more = {"Effect": "Allow", "Action": RIGHTS[kind], "Resource": "*"}
    rich = aws.become(aws.role("stacks-and-more", STACKS, more))
    assert create(aws, rich, name, template(kind)) == "CREATE_COMPLETE"
    # Nor can someone else delete what it made.
    delete(aws, aws.become(aws.role("stacks-only", STACKS)), name)
    assert status(aws, name) == "DELETE_FAILED"
    delete(aws, rich, name)
    assert status(aws, name) != "DELETE_FAILED"


def test_a_role_that_was_not_made_does_not_exist(aws: InProcess) -> None:
    create(aws, aws.become(aws.role("stacks-only", STACKS)), "no-role", template("role"))
    with pytest.raises(ServiceError):
        emulator.iam(B, "GetRole", RoleName="made-by-stack")


def service_role(aws: InProcess, *actions: str) -> str:
    return aws.role(
        "for-cloudformation",
        {"Effect": "Allow", "Action": list(actions), "Resource": "*"},
        trust={
            "Effect": "Allow",
            "Principal": {"Service": "cloudformation.amazonaws.com"},
            "Action": "sts:AssumeRole",
        },
    )


def test_passing_a_role_to_a_stack_takes_permission(aws: InProcess) -> None:
    role = service_role(aws, *RIGHTS["queue"])
    poor = aws.become(aws.role("stacks-only", STACKS))
    refused = create(aws, poor, "with-role", template("queue"), RoleARN=role)
    assert f"iam:PassRole on resource: {role}" in refused
    for service, passes in (("glue.amazonaws.com", False), ("cloudformation.amazonaws.com", True)):
        passing = {
            "Effect": "Allow",
            "Action": "iam:PassRole",
            "Resource": role,
            "Condition": {"StringEquals": {"iam:PassedToService": service}},
        }
        caller = aws.become(aws.role("stacks-and-pass", STACKS, passing))
        made = create(aws, caller, "with-role", template("queue"), RoleARN=role)
        assert (made == "CREATE_COMPLETE") is passes
    # The stack keeps its role: who may do nothing but delete stacks can delete it.
    delete(aws, aws.become(aws.role("stacks-only", STACKS)), "with-role")
    assert status(aws, "with-role") != "DELETE_FAILED"


def test_a_stack_with_a_role_can_make_no_more_than_the_role(aws: InProcess) -> None:
    role = service_role(aws, *RIGHTS["bucket"])
    admin = aws.keys[B]
    assert create(aws, admin, "poor-role", template("queue"), RoleARN=role) == "ROLLBACK_COMPLETE"
    assert create(aws, admin, "fit-role", template("bucket"), RoleARN=role) == "CREATE_COMPLETE"
    delete(aws, admin, "fit-role")


def test_a_role_that_does_not_trust_cloudformation_is_refused(aws: InProcess) -> None:
    role = aws.role("for-people", {"Effect": "Allow", "Action": "*", "Resource": "*"})
    refused = create(aws, aws.keys[B], "untrusting", template("queue"), RoleARN=role)
    assert "is invalid or cannot be assumed" in refused


def test_a_resource_type_without_known_permissions_is_refused_by_name(aws: InProcess) -> None:
    body = json.dumps(
        {"Resources": {"Made": {"Type": "AWS::Kinesis::Stream", "Properties": {"ShardCount": 1}}}}
    )
    assert create(aws, aws.keys[B], "unknown-type", body) == "ROLLBACK_COMPLETE"


def test_a_template_in_a_bucket_must_be_readable(aws: InProcess) -> None:
    admin = aws.keys[B]
    aws.send(admin, "s3", "PUT", "/stack-templates")
    aws.send(admin, "s3", "PUT", "/stack-templates/queue.json", body=template("queue"))
    url = "https://127.0.0.1:4566/stack-templates/queue.json"
    answer = aws.query_call(
        aws.become(aws.role("stacks-only", STACKS)),
        "cloudformation",
        Action="CreateStack",
        Version="2010-05-15",
        StackName="from-url",
        TemplateURL=url,
    )
    assert b"s3:GetObject on resource: arn:aws:s3:::stack-templates/queue.json" in answer.body


def test_a_reference_to_a_secret_needs_permission_to_read_it(aws: InProcess) -> None:
    aws.json_call(aws.keys[B], "secretsmanager.CreateSecret", Name="of-stack", SecretString="x")
    body = json.dumps(
        {
            "Resources": {
                "Made": {
                    "Type": "AWS::SQS::Queue",
                    "Properties": {"QueueName": "{{resolve:secretsmanager:of-stack:SecretString}}"},
                }
            }
        }
    )
    queues = {"Effect": "Allow", "Action": "sqs:*", "Resource": "*"}
    caller = aws.become(aws.role("stacks-and-more", STACKS, queues))
    assert create(aws, caller, "with-secret", body) == "ROLLBACK_COMPLETE"


def test_a_change_set_is_judged_by_the_stack_that_it_changes(aws: InProcess) -> None:
    def change(who: Credentials, action: str, **more: str) -> Any:
        return aws.query_call(who, "cloudformation", Action=action, Version="2010-05-15", **more)

    admin = aws.keys[B]
    made = change(
        admin,
        "CreateChangeSet",
        StackName="theirs",
        ChangeSetName="c",
        ChangeSetType="CREATE",
        TemplateBody=template("queue"),
    )
    aws.finish()
    arn = made.body.decode().partition("<Id>")[2].partition("<")[0]
    own = f"arn:aws:cloudformation:us-east-1:{B}:stack/mine/*"
    who = aws.become(
        aws.role("one-stack", {"Effect": "Allow", "Action": "cloudformation:*", "Resource": own})
    )
    for action in ("DescribeChangeSet", "ExecuteChangeSet", "DeleteChangeSet", "GetTemplate"):
        refused = change(who, action, StackName="mine", ChangeSetName=arn)
        assert b"stack/theirs" in refused.body, action
    for action in ("ListStacks", "ListExports", "ValidateTemplate"):
        assert not change(who, action, StackName="mine", TemplateBody="{}").allowed, action
    delete(aws, admin, "theirs")
