"""The permissions that CloudFormation needs to make, change and delete a resource.

From the ``handlers`` of the resource types' schemas in the CloudFormation registry, reduced to the
calls that the sandbox's own handlers amount to.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from xacct_sandbox.emulator.authorization.checks import Check
from xacct_sandbox.emulator.authorization.documents import Kind
from xacct_sandbox.emulator.authorization.hosting_resources import HOSTING_RESOURCES
from xacct_sandbox.emulator.authorization.network_types import NETWORK_TYPES
from xacct_sandbox.emulator.authorization.stack_targets import (
    Properties,
    ResourceType,
    Target,
)
from xacct_sandbox.emulator.authorization.stack_targets import on as _on
from xacct_sandbox.emulator.authorization.stack_targets import own_tags as _own_tags
from xacct_sandbox.emulator.authorization.stack_targets import regional as _regional
from xacct_sandbox.emulator.authorization.stack_targets import tagged as _tagged

# -- S3 ----------------------------------------------------------------------------------------

_BUCKET_ACTIONS = {
    "BucketEncryption": "PutEncryptionConfiguration",
    "CorsConfiguration": "PutBucketCORS",
    "LifecycleConfiguration": "PutLifecycleConfiguration",
    "NotificationConfiguration": "PutBucketNotification",
    "OwnershipControls": "PutBucketOwnershipControls",
    "PublicAccessBlockConfiguration": "PutBucketPublicAccessBlock",
    "Tags": "PutBucketTagging",
    "VersioningConfiguration": "PutBucketVersioning",
    "WebsiteConfiguration": "PutBucketWebsite",
}


def _bucket_configuration(target: Target) -> list[Check]:
    actions = [
        action
        for name, action in _BUCKET_ACTIONS.items()
        if name in target.properties and (name != "Tags" or _own_tags(target.properties))
    ]
    return _on("s3", *actions, arn=f"arn:aws:s3:::{target.name}")


def _bucket_of(target: Target) -> str:
    return f"arn:aws:s3:::{target.properties.get('Bucket', '')}"


# -- IAM ---------------------------------------------------------------------------------------


def _role_arn(target: Target) -> str:
    path = target.properties.get("Path") or "/"
    return f"arn:aws:iam::{target.account}:role{path}{target.name}"


def _role(target: Target) -> list[Check]:
    arn, properties = _role_arn(target), target.properties
    boundary = properties.get("PermissionsBoundary")
    keys = {"iam:permissionsboundary": str(boundary)} if boundary else {}
    checks = [Check("iam:CreateRole", arn, keys), *_role_policies(target)]
    if _own_tags(properties):
        checks.append(Check("iam:TagRole", arn))
    return checks


def _role_policies(target: Target) -> list[Check]:
    arn, properties = _role_arn(target), target.properties
    checks = [Check("iam:PutRolePolicy", arn)] if properties.get("Policies") else []
    checks += [
        Check("iam:AttachRolePolicy", arn, {"iam:policyarn": str(managed)})
        for managed in properties.get("ManagedPolicyArns") or ()
    ]
    return checks


def _role_update(target: Target) -> list[Check]:
    return [
        *_on("iam", "UpdateRole", "UpdateAssumeRolePolicy", arn=_role_arn(target)),
        *_role_policies(target),
    ]


def _role_deletion(target: Target) -> list[Check]:
    arn, properties = _role_arn(target), target.properties
    actions = ["DeleteRole"]
    if properties.get("Policies"):
        actions.append("DeleteRolePolicy")
    checks = _on("iam", *actions, arn=arn)
    checks += [
        Check("iam:DetachRolePolicy", arn, {"iam:policyarn": str(managed)})
        for managed in properties.get("ManagedPolicyArns") or ()
    ]
    return checks


def _inline_policy(verb: str) -> Callable[[Target], list[Check]]:
    def checks(target: Target) -> list[Check]:
        return [
            Check(f"iam:{verb}{kind}Policy", f"arn:aws:iam::{target.account}:{kind.lower()}/{name}")
            for kind in ("Role", "User", "Group")
            for name in target.properties.get(f"{kind}s") or ()
        ]

    return checks


def _managed_policy(*actions: str) -> Callable[[Target], list[Check]]:
    def checks(target: Target) -> list[Check]:
        path = target.properties.get("Path") or "/"
        arn = f"arn:aws:iam::{target.account}:policy{path}{target.name}"
        attach = "Detach" if "DeletePolicy" in actions else "Attach"
        return [
            *_on("iam", *actions, arn=arn),
            *(
                Check(
                    f"iam:{attach}{kind}Policy",
                    f"arn:aws:iam::{target.account}:{kind.lower()}/{name}",
                    {"iam:policyarn": arn},
                )
                for kind in ("Role", "User", "Group")
                for name in target.properties.get(f"{kind}s") or ()
            ),
        ]

    return checks


# -- KMS ---------------------------------------------------------------------------------------


def _key(*actions: str) -> Callable[[Target], list[Check]]:
    def checks(target: Target) -> list[Check]:
        return _on("kms", *actions, arn=target.arn("kms", f"key/{target.name}"))

    return checks


def _new_key(target: Target) -> list[Check]:
    # Whoever makes a key has the rights that the policy of the key gives.
    actions = ["CreateKey", *(["TagResource"] if _own_tags(target.properties) else [])]
    return _on("kms", *actions, arn="*")


def _alias(action: str) -> Callable[[Target], list[Check]]:
    """An alias is judged on itself and on its key ("Controlling access to aliases")."""

    def checks(target: Target) -> list[Check]:
        name = str(target.properties.get("AliasName", ""))
        key = str(target.properties.get("TargetKeyId", ""))
        arn = key if key.startswith("arn:") else target.arn("kms", f"key/{key}")
        return [Check(f"kms:{action}", target.arn("kms", name)), Check(f"kms:{action}", arn)]

    return checks


# -- others ------------------------------------------------------------------------------------


def _queues(action: str) -> Callable[[Target], list[Check]]:
    def checks(target: Target) -> list[Check]:
        names = [str(url).rpartition("/")[2] for url in target.properties.get("Queues") or ()]
        return [Check(f"sqs:{action}", target.arn("sqs", name)) for name in names]

    return checks


def _topics(target: Target) -> list[Check]:
    topics = target.properties.get("Topics") or ()
    return [Check("sns:SetTopicAttributes", str(arn)) for arn in topics]


def _subscription(target: Target) -> list[Check]:
    properties = {name: str(value) for name, value in target.properties.items()}
    keys = {
        f"sns:{name.lower()}": properties[name]
        for name in ("Endpoint", "Protocol")
        if name in properties
    }
    return [Check("sns:Subscribe", properties.get("TopicArn", ""), keys)]


def _secret(*actions: str) -> Callable[[Target], list[Check]]:
    def checks(target: Target) -> list[Check]:
        found = _regional("secretsmanager", "secret:{}", *actions)(target)
        if "CreateSecret" in actions and target.properties.get("GenerateSecretString"):
            found.append(Check("secretsmanager:GetRandomPassword", "*"))
        if "CreateSecret" in actions and _own_tags(target.properties):
            found += _regional("secretsmanager", "secret:{}", "TagResource")(target)
        key = str(target.properties.get("KmsKeyId") or "")
        if key and "DeleteSecret" not in actions:
            arn = key if key.startswith("arn:") else target.arn("kms", f"key/{key}")
            via = f"secretsmanager.{target.region}.amazonaws.com"
            keys = {"kms:viaservice": via, "kms:calleraccount": target.account}
            found += [Check(f"kms:{name}", arn, keys) for name in ("GenerateDataKey", "Decrypt")]
        return found

    return checks


def _log_group(action: str, target: Target) -> list[Check]:
    names = {
        "RetentionInDays": "PutRetentionPolicy",
        "KmsKeyId": "AssociateKmsKey",
    }
    actions = [action, *(more for name, more in names.items() if name in target.properties)]
    if action == "CreateLogGroup" and _own_tags(target.properties):
        actions.append("TagResource")
    return _regional("logs", "log-group:{}", *dict.fromkeys(actions))(target)


def _catalog(*actions: str) -> Callable[[Target], list[Check]]:
    """Glue's catalog is judged on the catalog and the resource."""

    def checks(target: Target) -> list[Check]:
        properties = target.properties
        found = []
        if "ConnectionInput" in properties:
            resources = [f"connection/{target.name}"]
        elif "TableInput" in properties:
            database = properties.get("DatabaseName", "")
            resources = [f"database/{database}", f"table/{database}/{target.name}"]
        else:
            resources = [f"database/{target.name}"]
        for action in actions:
            for resource in ("catalog", *resources):
                found.append(Check(f"glue:{action}", target.arn("glue", resource)))
        return found

    return checks


def _serverless(kind: str, *actions: str) -> Callable[[Target], list[Check]]:
    return _regional("redshift-serverless", f"{kind}/*", *actions)


def _changeable(
    name: str, noun: str, checks: Callable[[str], Callable[[Target], list[Check]]]
) -> ResourceType:
    """A type whose resources are made, deleted and changed by one action each."""
    create, delete, update = (checks(f"{verb}{noun}") for verb in ("Create", "Delete", "Update"))
    return ResourceType(name, create, delete, update)


def _nothing(_target: Target) -> list[Check]:
    return []


RESOURCE_TYPES: Mapping[str, ResourceType] = {
    "AWS::CloudFormation::WaitCondition": ResourceType("", _nothing, _nothing),
    "AWS::CloudFormation::WaitConditionHandle": ResourceType("", _nothing, _nothing),
    "AWS::CloudWatch::Alarm": ResourceType(
        "AlarmName",
        _regional("cloudwatch", "alarm:{}", "PutMetricAlarm"),
        _regional("cloudwatch", "alarm:{}", "DeleteAlarms"),
    ),
    **NETWORK_TYPES,
    "AWS::Glue::Connection": _changeable("ConnectionInput.Name", "Connection", _catalog),
    "AWS::Glue::Crawler": _changeable("Name", "Crawler", partial(_regional, "glue", "crawler/{}")),
    "AWS::Glue::Database": _changeable("DatabaseInput.Name", "Database", _catalog),
    "AWS::Glue::Job": _changeable("Name", "Job", partial(_regional, "glue", "job/{}")),
    "AWS::Glue::Table": _changeable("TableInput.Name", "Table", _catalog),
    **HOSTING_RESOURCES,
    "AWS::IAM::ManagedPolicy": ResourceType(
        "ManagedPolicyName",
        _managed_policy("CreatePolicy"),
        _managed_policy("DeletePolicy"),
        _managed_policy("CreatePolicyVersion", "DeletePolicyVersion"),
    ),
    "AWS::IAM::Policy": ResourceType("", _inline_policy("Put"), _inline_policy("Delete")),
    "AWS::IAM::Role": ResourceType("RoleName", _role, _role_deletion, _role_update),
    "AWS::Logs::LogGroup": ResourceType(
        "LogGroupName",
        lambda t: _log_group("CreateLogGroup", t),
        _regional("logs", "log-group:{}", "DeleteLogGroup"),
        lambda t: _log_group("PutRetentionPolicy", t),
    ),
    "AWS::RedshiftServerless::Namespace": _changeable(
        "NamespaceName", "Namespace", partial(_serverless, "namespace")
    ),
    "AWS::RedshiftServerless::Workgroup": _changeable(
        "WorkgroupName", "Workgroup", partial(_serverless, "workgroup")
    ),
    "AWS::KMS::Alias": ResourceType(
        "AliasName", _alias("CreateAlias"), _alias("DeleteAlias"), _alias("UpdateAlias")
    ),
    "AWS::KMS::Key": ResourceType(
        "",
        _new_key,
        _key("ScheduleKeyDeletion"),
        _key("PutKeyPolicy", "UpdateKeyDescription", "EnableKeyRotation"),
    ),
    "AWS::S3::Bucket": ResourceType(
        "BucketName",
        lambda t: [
            *_on("s3", "CreateBucket", arn=f"arn:aws:s3:::{t.name}"),
            *_bucket_configuration(t),
        ],
        lambda t: _on("s3", "DeleteBucket", arn=f"arn:aws:s3:::{t.name}"),
        _bucket_configuration,
        lowercase=True,
    ),
    "AWS::S3::BucketPolicy": ResourceType(
        "",
        lambda t: _on("s3", "PutBucketPolicy", arn=_bucket_of(t)),
        lambda t: _on("s3", "DeleteBucketPolicy", arn=_bucket_of(t)),
    ),
    "AWS::SNS::Subscription": ResourceType(
        "", _subscription, lambda _target: [Check("sns:Unsubscribe", "*")]
    ),
    "AWS::SNS::Topic": ResourceType(
        "TopicName",
        _tagged("sns", "CreateTopic", "TagResource"),
        _regional("sns", "{}", "DeleteTopic"),
        _regional("sns", "{}", "SetTopicAttributes"),
    ),
    "AWS::SNS::TopicPolicy": ResourceType("", _topics, _topics),
    "AWS::SQS::Queue": ResourceType(
        "QueueName",
        _tagged("sqs", "CreateQueue", "TagQueue"),
        _regional("sqs", "{}", "DeleteQueue"),
        _regional("sqs", "{}", "SetQueueAttributes"),
    ),
    "AWS::SQS::QueuePolicy": ResourceType(
        "", _queues("SetQueueAttributes"), _queues("SetQueueAttributes")
    ),
    "AWS::SecretsManager::Secret": ResourceType(
        "Name", _secret("CreateSecret"), _secret("DeleteSecret"), _secret("UpdateSecret")
    ),
}
"""The types whose permissions are known; a stack with another type fails, and says so."""


_POLICY_TYPES = ("AWS::S3::BucketPolicy", "AWS::SNS::TopicPolicy", "AWS::SQS::QueuePolicy")


def documents_of(type_name: str, properties: Properties) -> list[tuple[Kind, str]]:
    """The policy documents in the properties of a resource, with what they must be."""
    found: list[tuple[Kind, Any]] = []
    if type_name == "AWS::IAM::Role":
        found.append(("trust", properties.get("AssumeRolePolicyDocument")))
        found += [("identity", p.get("PolicyDocument")) for p in properties.get("Policies") or ()]
    elif type_name == "AWS::KMS::Key":
        found.append(("resource", properties.get("KeyPolicy")))
    elif type_name in ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy"):
        found.append(("identity", properties.get("PolicyDocument")))
    elif type_name in _POLICY_TYPES:
        found.append(("resource", properties.get("PolicyDocument")))
    return [
        (kind, document if isinstance(document, str) else json.dumps(document))
        for kind, document in found
        if document is not None
    ]
