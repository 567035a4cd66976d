"""A stack of every type that drift detection checks, and what a hand may do to it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from tests.sandbox.unit.emulator.stacks.conftest import Stacks, template
from tests.sandbox.unit.emulator.stacks.test_change_sets import TRUST

NAME = "drifting"
POLICY = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Sid": "DenyInsecureTransport",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:*",
            "Resource": f"arn:aws:s3:::{NAME}/*",
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        }
    ],
}
MAY_SEND = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": "s3.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": {"Fn::GetAtt": ["Queue", "Arn"]},
        }
    ],
}
READ = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}],
}
BODY = template(
    Bucket=(
        "AWS::S3::Bucket",
        {
            "BucketName": NAME,
            "OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
            "PublicAccessBlockConfiguration": {
                "BlockPublicAcls": True,
                "BlockPublicPolicy": True,
                "IgnorePublicAcls": True,
                "RestrictPublicBuckets": True,
            },
            "BucketEncryption": {
                "ServerSideEncryptionConfiguration": [
                    {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
                ]
            },
            "LifecycleConfiguration": {
                "Rules": [
                    {"Id": "tmp", "Status": "Enabled", "Prefix": "tmp/", "ExpirationInDays": 3},
                    {
                        "Id": "uploads",
                        "Status": "Enabled",
                        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 2},
                    },
                ]
            },
            "NotificationConfiguration": {
                "QueueConfigurations": [
                    {"Event": "s3:ObjectCreated:*", "Queue": {"Fn::GetAtt": ["Queue", "Arn"]}},
                    {"Event": "s3:ObjectRemoved:*", "Queue": {"Fn::GetAtt": ["Queue", "Arn"]}},
                ]
            },
        },
        {"DependsOn": "QueuePolicy"},
    ),
    BucketPolicy=("AWS::S3::BucketPolicy", {"Bucket": {"Ref": "Bucket"}, "PolicyDocument": POLICY}),
    Queue=(
        "AWS::SQS::Queue",
        {
            "QueueName": NAME,
            "VisibilityTimeout": 120,
            "SqsManagedSseEnabled": True,
        },
    ),
    QueuePolicy=(
        "AWS::SQS::QueuePolicy",
        {"Queues": [{"Ref": "Queue"}], "PolicyDocument": MAY_SEND},
    ),
    Topic=("AWS::SNS::Topic", {"TopicName": NAME, "DisplayName": "Alerts."}),
    Alarm=(
        "AWS::CloudWatch::Alarm",
        {
            "AlarmName": NAME,
            "Namespace": "AWS/SQS",
            "MetricName": "ApproximateNumberOfMessagesVisible",
            "Dimensions": [{"Name": "QueueName", "Value": {"Fn::GetAtt": ["Queue", "QueueName"]}}],
            "Statistic": "Maximum",
            "Period": 300,
            "EvaluationPeriods": 1,
            "Threshold": 0,
            "ComparisonOperator": "GreaterThanThreshold",
            "TreatMissingData": "notBreaching",
            "AlarmActions": [{"Ref": "Topic"}],
        },
    ),
    Log=("AWS::Logs::LogGroup", {"LogGroupName": NAME, "RetentionInDays": 90}),
    Secret=(
        "AWS::SecretsManager::Secret",
        {"Name": NAME, "Description": "A login.", "SecretString": "first"},
    ),
    Role=(
        "AWS::IAM::Role",
        {
            "RoleName": NAME,
            "Description": "A role.",
            "AssumeRolePolicyDocument": TRUST,
            "Policies": [{"PolicyName": "read", "PolicyDocument": READ}],
        },
    ),
    Database=(
        "AWS::Glue::Database",
        {"CatalogId": "222222222222", "DatabaseInput": {"Name": NAME, "Description": "Tables."}},
    ),
    Connection=(
        "AWS::Glue::Connection",
        {
            "CatalogId": "222222222222",
            "ConnectionInput": {
                "Name": NAME,
                "ConnectionType": "JDBC",
                "ConnectionProperties": {"JDBC_CONNECTION_URL": "jdbc:redshift://h:5439/dev"},
            },
        },
    ),
    Crawler=(
        "AWS::Glue::Crawler",
        {
            "Name": NAME,
            "Role": {"Fn::GetAtt": ["Role", "Arn"]},
            "DatabaseName": NAME,
            "Targets": {"S3Targets": [{"Path": "s3://drifting/raw/", "Exclusions": ["**/_*"]}]},
            "RecrawlPolicy": {"RecrawlBehavior": "CRAWL_NEW_FOLDERS_ONLY"},
            "SchemaChangePolicy": {"UpdateBehavior": "LOG", "DeleteBehavior": "LOG"},
        },
    ),
)

Call = Callable[[str], Any]


def url(client: Call) -> str:
    return client("sqs").get_queue_url(QueueName=NAME)["QueueUrl"]


def rules(client: Call) -> Any:
    return client("s3").get_bucket_lifecycle_configuration(Bucket=NAME)["Rules"]


def alarm(client: Call, threshold: float) -> dict[str, Any]:
    """The request that puts the alarm again, with another threshold."""
    (present,) = client("cloudwatch").describe_alarms(AlarmNames=[NAME])["MetricAlarms"]
    names = ("AlarmActions", "ComparisonOperator", "Dimensions", "EvaluationPeriods", "MetricName")
    names += ("Namespace", "Period", "Statistic", "TreatMissingData")
    return {
        "AlarmName": NAME,
        "Threshold": threshold,
        **{name: present[name] for name in names},
    }


CHANGES: dict[str, tuple[str, Callable[[Call], Any], str]] = {
    "encryption": (
        "Bucket",
        lambda c: c("s3").put_bucket_encryption(
            Bucket=NAME,
            ServerSideEncryptionConfiguration={
                "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}}]
            },
        ),
        "/BucketEncryption/ServerSideEncryptionConfiguration/0/ServerSideEncryptionByDefault/"
        "SSEAlgorithm",
    ),
    "lifecycle-rule": (
        "Bucket",
        lambda c: c("s3").put_bucket_lifecycle_configuration(
            Bucket=NAME, LifecycleConfiguration={"Rules": rules(c)[:1]}
        ),
        "/LifecycleConfiguration/Rules/1",
    ),
    "lifecycle": (
        "Bucket",
        lambda c: c("s3").delete_bucket_lifecycle(Bucket=NAME),
        "/LifecycleConfiguration",
    ),
    "public-access": (
        "Bucket",
        lambda c: c("s3").delete_public_access_block(Bucket=NAME),
        "/PublicAccessBlockConfiguration",
    ),
    "notification": (
        "Bucket",
        lambda c: c("s3").put_bucket_notification_configuration(
            Bucket=NAME, NotificationConfiguration={}
        ),
        "/NotificationConfiguration",
    ),
    "bucket-policy": (
        "BucketPolicy",
        lambda c: c("s3").put_bucket_policy(
            Bucket=NAME,
            Policy=json.dumps(
                {**POLICY, "Statement": [{**POLICY["Statement"][0], "Sid": "Other"}]}  # type: ignore[dict-item]
            ),
        ),
        "/PolicyDocument/Statement/0/Sid",
    ),
    "queue": (
        "Queue",
        lambda c: c("sqs").set_queue_attributes(
            QueueUrl=url(c), Attributes={"VisibilityTimeout": "30"}
        ),
        "/VisibilityTimeout",
    ),
    "topic": (
        "Topic",
        lambda c: c("sns").set_topic_attributes(
            TopicArn=f"arn:aws:sns:us-east-1:222222222222:{NAME}",
            AttributeName="DisplayName",
            AttributeValue="Other.",
        ),
        "/DisplayName",
    ),
    "alarm": ("Alarm", lambda c: c("cloudwatch").put_metric_alarm(**alarm(c, 5)), "/Threshold"),
    "alarm-actions": (
        "Alarm",
        lambda c: c("cloudwatch").put_metric_alarm(**{**alarm(c, 0), "AlarmActions": []}),
        "/AlarmActions/0",
    ),
    "retention": (
        "Log",
        lambda c: c("logs").put_retention_policy(logGroupName=NAME, retentionInDays=7),
        "/RetentionInDays",
    ),
    "no-retention": (
        "Log",
        lambda c: c("logs").delete_retention_policy(logGroupName=NAME),
        "/RetentionInDays",
    ),
    "secret": (
        "Secret",
        lambda c: c("secretsmanager").update_secret(SecretId=NAME, Description="Another."),
        "/Description",
    ),
    "trust": (
        "Role",
        lambda c: c("iam").update_assume_role_policy(
            RoleName=NAME,
            PolicyDocument=json.dumps(TRUST).replace("glue.amazonaws", "lambda.amazonaws"),
        ),
        "/AssumeRolePolicyDocument/Statement/0/Principal/Service",
    ),
    "role-policy": (
        "Role",
        lambda c: c("iam").delete_role_policy(RoleName=NAME, PolicyName="read"),
        "/Policies/0",
    ),
    "role-policy-added": (
        "Role",
        lambda c: c("iam").put_role_policy(
            RoleName=NAME, PolicyName="more", PolicyDocument=json.dumps(READ)
        ),
        "/Policies/1",
    ),
    "database": (
        "Database",
        lambda c: c("glue").update_database(
            Name=NAME, DatabaseInput={"Name": NAME, "Description": "Other."}
        ),
        "/DatabaseInput/Description",
    ),
    "crawler": (
        "Crawler",
        lambda c: c("glue").update_crawler(
            Name=NAME,
            SchemaChangePolicy={"UpdateBehavior": "LOG", "DeleteBehavior": "LOG"},
            RecrawlPolicy={"RecrawlBehavior": "CRAWL_EVERYTHING"},
        ),
        "/RecrawlPolicy/RecrawlBehavior",
    ),
}
DELETIONS: dict[str, Callable[[Call], Any]] = {
    "Alarm": lambda c: c("cloudwatch").delete_alarms(AlarmNames=[NAME]),
    "Bucket": lambda c: c("s3").delete_bucket(Bucket=NAME),
    "BucketPolicy": lambda c: c("s3").delete_bucket_policy(Bucket=NAME),
    "Crawler": lambda c: c("glue").delete_crawler(Name=NAME),
    "Database": lambda c: c("glue").delete_database(Name=NAME),
    "Log": lambda c: c("logs").delete_log_group(logGroupName=NAME),
    "Queue": lambda c: c("sqs").delete_queue(QueueUrl=url(c)),
    "Role": lambda c: (
        c("iam").delete_role_policy(RoleName=NAME, PolicyName="read"),
        c("iam").delete_role(RoleName=NAME),
    ),
    "Topic": lambda c: c("sns").delete_topic(TopicArn=f"arn:aws:sns:us-east-1:222222222222:{NAME}"),
    "Secret": lambda c: c("secretsmanager").delete_secret(
        SecretId=NAME, ForceDeleteWithoutRecovery=True
    ),
}
CHECKED = sorted(DELETIONS)


def detect(stacks: Stacks, **options: Any) -> dict[str, Any]:
    """Detect drift. Returns the status of the detection."""
    started = stacks.api.detect_stack_drift(StackName=NAME, **options)
    return stacks.api.describe_stack_drift_detection_status(
        StackDriftDetectionId=started["StackDriftDetectionId"]
    )


def drifts(stacks: Stacks) -> dict[str, dict[str, Any]]:
    found = stacks.api.describe_stack_resource_drifts(StackName=NAME)["StackResourceDrifts"]
    return {entry["LogicalResourceId"]: entry for entry in found}
