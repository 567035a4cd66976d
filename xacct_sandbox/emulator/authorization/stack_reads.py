"""The permissions that drift detection needs to read a resource.

CloudFormation user guide, "Detect unmanaged configuration changes": "Read permission for each
resource that supports drift detection". From the read handlers of the resource types' schemas,
reduced to what the sandbox compares.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from xacct_sandbox.emulator.authorization.checks import Check
from xacct_sandbox.emulator.authorization.hosting_resources import HOSTING_READS
from xacct_sandbox.emulator.authorization.network_types import NETWORK_READS
from xacct_sandbox.emulator.authorization.stack_targets import Target


def _on(actions: str, resource: Callable[[Target], str]) -> Callable[[Target], list[Check]]:
    """Checks of some actions of a service, ``service:Action Action``, on one resource."""
    service, _, names = actions.partition(":")

    def checks(target: Target) -> list[Check]:
        return [Check(f"{service}:{name}", resource(target)) for name in names.split()]

    return checks


def _bucket(target: Target) -> str:
    return f"arn:aws:s3:::{target.name}"


def _database(target: Target) -> list[Check]:
    return [
        Check("glue:GetDatabase", target.arn("glue", resource))
        for resource in ("catalog", f"database/{target.name}")
    ]


READS: Mapping[str, Callable[[Target], list[Check]]] = {
    "AWS::CloudWatch::Alarm": _on(
        "cloudwatch:DescribeAlarms", lambda t: t.arn("cloudwatch", "alarm:*")
    ),
    **NETWORK_READS,
    "AWS::Glue::Crawler": _on("glue:GetCrawler", lambda t: t.arn("glue", f"crawler/{t.name}")),
    "AWS::Glue::Database": _database,
    "AWS::Glue::Job": _on("glue:GetJob", lambda t: t.arn("glue", f"job/{t.name}")),
    **HOSTING_READS,
    "AWS::IAM::ManagedPolicy": _on(
        "iam:GetPolicy GetPolicyVersion ListEntitiesForPolicy",
        lambda t: f"arn:aws:iam::{t.account}:policy{t.properties.get('Path') or '/'}{t.name}",
    ),
    "AWS::IAM::Role": _on(
        "iam:GetRole GetRolePolicy ListAttachedRolePolicies ListRolePolicies",
        lambda t: f"arn:aws:iam::{t.account}:role{t.properties.get('Path') or '/'}{t.name}",
    ),
    "AWS::KMS::Alias": _on("kms:ListAliases", lambda _: "*"),
    "AWS::KMS::Key": _on(
        "kms:DescribeKey GetKeyPolicy GetKeyRotationStatus", lambda t: t.arn("kms", f"key/{t.name}")
    ),
    "AWS::Logs::LogGroup": _on(
        "logs:DescribeLogGroups", lambda t: t.arn("logs", f"log-group:{t.name}")
    ),
    "AWS::RedshiftServerless::Namespace": _on(
        "redshift-serverless:GetNamespace", lambda t: t.arn("redshift-serverless", "namespace/*")
    ),
    "AWS::RedshiftServerless::Workgroup": _on(
        "redshift-serverless:GetWorkgroup", lambda t: t.arn("redshift-serverless", "workgroup/*")
    ),
    "AWS::S3::Bucket": _on(
        "s3:GetBucketNotification GetBucketOwnershipControls GetBucketPublicAccessBlock "
        "GetBucketVersioning GetEncryptionConfiguration GetLifecycleConfiguration ListBucket",
        _bucket,
    ),
    "AWS::S3::BucketPolicy": _on(
        "s3:GetBucketPolicy", lambda t: f"arn:aws:s3:::{t.properties.get('Bucket', '')}"
    ),
    "AWS::SNS::Topic": _on("sns:GetTopicAttributes", lambda t: t.arn("sns", t.name)),
    "AWS::SQS::Queue": _on("sqs:GetQueueAttributes", lambda t: t.arn("sqs", t.name)),
    "AWS::SecretsManager::Secret": _on(
        "secretsmanager:DescribeSecret", lambda t: t.arn("secretsmanager", f"secret:{t.name}")
    ),
}
"""The types that drift detection reads."""
