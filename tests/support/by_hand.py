"""Changes and deletes resources of a deployed installation by hand, by their services' APIs."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.support.sandbox import RunningSandbox

Client = Callable[[str], Any]
Touch = Callable[[Client, str], None]


def resources(sandbox: RunningSandbox) -> dict[str, tuple[str, str, str]]:
    """Profile, type and physical id of each resource of the installation, by logical id."""
    found = {}
    for profile, stack in (
        ("account-a-admin", "xacct-account-a-local"),
        ("account-b-admin", "xacct-account-b-local"),
        ("account-b-admin", "xacct-feed-products-local"),
    ):
        cloudformation = sandbox.client(profile, "cloudformation")
        for summary in cloudformation.list_stack_resources(StackName=stack)[
            "StackResourceSummaries"
        ]:
            found[summary["LogicalResourceId"]] = (
                profile,
                summary["ResourceType"],
                summary["PhysicalResourceId"],
            )
    return found


def touch(sandbox: RunningSandbox, logical_id: str, *, delete: bool) -> None:
    """Delete a resource, or change it."""
    profile, type_, physical_id = resources(sandbox)[logical_id]
    if type_ == "AWS::S3::BucketPolicy":
        bucket = {"RawBucketPolicy": "RawBucket", "ExportsBucketPolicy": "ExportsBucket"}
        physical_id = resources(sandbox)[bucket.get(logical_id, "WorkingBucket")][2]
    functions = _DELETE if delete else _CHANGE
    functions[type_](lambda service: sandbox.client(profile, service), physical_id)


def _delete_bucket(client: Client, name: str) -> None:
    s3 = client("s3")
    for item in s3.list_objects_v2(Bucket=name).get("Contents", []):
        s3.delete_object(Bucket=name, Key=item["Key"])
    s3.delete_bucket(Bucket=name)


def _delete_role(client: Client, name: str) -> None:
    iam = client("iam")
    for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]:
        iam.delete_role_policy(RoleName=name, PolicyName=policy)
    iam.delete_role(RoleName=name)


def _delete_namespace(client: Client, name: str) -> None:
    serverless = client("redshift-serverless")
    serverless.delete_workgroup(workgroupName=name)
    serverless.delete_namespace(namespaceName=name)


def _change_policy(client: Client, name: str) -> None:
    s3 = client("s3")
    document = json.loads(s3.get_bucket_policy(Bucket=name)["Policy"])
    document["Statement"] = document["Statement"][:1]
    document["Statement"][0]["Sid"] = "ChangedByHand"
    s3.put_bucket_policy(Bucket=name, Policy=json.dumps(document))


def _change_role(client: Client, name: str) -> None:
    iam = client("iam")
    policy = iam.list_role_policies(RoleName=name)["PolicyNames"][0]
    statement = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}
    document = {"Version": "2012-10-17", "Statement": [statement]}
    iam.put_role_policy(RoleName=name, PolicyName=policy, PolicyDocument=json.dumps(document))


def _change_crawler(client: Client, name: str) -> None:
    client("glue").update_crawler(Name=name, Description="changed by hand")


def _change_job(client: Client, name: str) -> None:
    glue = client("glue")
    job = glue.get_job(JobName=name)["Job"]
    kept = ("Role", "Command", "GlueVersion", "Connections", "DefaultArguments", "WorkerType")
    update = {key: job[key] for key in kept if key in job}
    glue.update_job(JobName=name, JobUpdate={**update, "NumberOfWorkers": 7, "Timeout": 7})


def _change_database(client: Client, name: str) -> None:
    client("glue").update_database(
        Name=name, DatabaseInput={"Name": name, "Description": "changed by hand"}
    )


def _change_alarm(client: Client, name: str) -> None:
    cloudwatch = client("cloudwatch")
    (alarm,) = cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"]
    kept = (
        *("AlarmName", "Namespace", "MetricName", "Dimensions", "Statistic", "Period"),
        *("EvaluationPeriods", "ComparisonOperator", "AlarmActions"),
    )
    cloudwatch.put_metric_alarm(**{key: alarm[key] for key in kept}, Threshold=100)


_DELETE: dict[str, Touch] = {
    "AWS::Glue::Connection": lambda c, id_: c("glue").delete_connection(ConnectionName=id_),
    "AWS::Glue::Crawler": lambda c, id_: c("glue").delete_crawler(Name=id_),
    "AWS::Glue::Database": lambda c, id_: c("glue").delete_database(Name=id_),
    "AWS::Glue::Job": lambda c, id_: c("glue").delete_job(JobName=id_),
    "AWS::IAM::Role": _delete_role,
    "AWS::CloudWatch::Alarm": lambda c, id_: c("cloudwatch").delete_alarms(AlarmNames=[id_]),
    "AWS::Logs::LogGroup": lambda c, id_: c("logs").delete_log_group(logGroupName=id_),
    "AWS::RedshiftServerless::Namespace": _delete_namespace,
    "AWS::RedshiftServerless::Workgroup": lambda c, id_: c("redshift-serverless").delete_workgroup(
        workgroupName=id_
    ),
    "AWS::S3::Bucket": _delete_bucket,
    "AWS::S3::BucketPolicy": lambda c, id_: c("s3").delete_bucket_policy(Bucket=id_),
    "AWS::SNS::Topic": lambda c, id_: c("sns").delete_topic(TopicArn=id_),
    "AWS::SQS::Queue": lambda c, id_: c("sqs").delete_queue(QueueUrl=id_),
    "AWS::SecretsManager::Secret": lambda c, id_: c("secretsmanager").delete_secret(
        SecretId=id_, ForceDeleteWithoutRecovery=True
    ),
}

_CHANGE: dict[str, Touch] = {
    "AWS::CloudWatch::Alarm": _change_alarm,
    "AWS::Logs::LogGroup": lambda c, id_: c("logs").delete_retention_policy(logGroupName=id_),
    "AWS::Glue::Crawler": _change_crawler,
    "AWS::Glue::Database": _change_database,
    "AWS::Glue::Job": _change_job,
    "AWS::IAM::Role": _change_role,
    "AWS::RedshiftServerless::Namespace": lambda c, id_: c("redshift-serverless").update_namespace(
        namespaceName=id_, logExports=[]
    ),
    "AWS::RedshiftServerless::Workgroup": lambda c, id_: c("redshift-serverless").update_workgroup(
        workgroupName=id_, baseCapacity=32
    ),
    "AWS::S3::Bucket": lambda c, id_: c("s3").delete_public_access_block(Bucket=id_),
    "AWS::S3::BucketPolicy": _change_policy,
    "AWS::SNS::Topic": lambda c, id_: c("sns").set_topic_attributes(
        TopicArn=id_, AttributeName="DisplayName", AttributeValue="changed by hand"
    ),
    "AWS::SQS::Queue": lambda c, id_: c("sqs").set_queue_attributes(
        QueueUrl=id_, Attributes={"MessageRetentionPeriod": "3600"}
    ),
    "AWS::SecretsManager::Secret": lambda c, id_: c("secretsmanager").update_secret(
        SecretId=id_, Description="changed by hand"
    ),
}
