"""Changes and deletes resources of a deployed installation by hand, by their services' APIs."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tests.support import network_by_hand

if TYPE_CHECKING:
    from tests.support.sandbox import RunningSandbox

#: Of a type or a resource: why it has nothing that can be changed by hand.
UNCHANGEABLE = {
    "AWS::EC2::EIP": "an address is allocated and released, and nothing else",
    "AWS::EC2::VPCGatewayAttachment": "a gateway is attached or detached",
    "AWS::ECS::Cluster": "the template sets its name only",
    "AWS::ECS::TaskDefinition": "a revision never changes (ECS guide, RegisterTaskDefinition)",
    "AWS::ServiceDiscovery::PrivateDnsNamespace": "the template sets its name only",
    "RouteToOrchestrator": "its VPC has no other gateway",
}
#: What the service does not delete, since others use it in an installation with an image and a
#: public web UI, and the error that says so.
IN_USE = {
    **dict.fromkeys(
        (
            *("OrchestratorVpc", "WarehouseVpc", "OrchestratorSubnetOne", "WarehouseSubnetOne"),
            *("WarehouseSubnetTwo", "WarehouseSubnetThree", "PublicSubnetOne", "PublicSubnetTwo"),
            *("OrchestratorRoutes", "WarehouseRoutes", "PublicRoutes"),
            *("OrchestratorSecurityGroup", "WarehouseSecurityGroup", "GlueSecurityGroup"),
            *("GlueEndpointSecurityGroup", "OrchestratorEndpointSecurityGroup"),
            *("DatabaseSecurityGroup", "LoadBalancerSecurityGroup", "InternetGateway"),
        ),
        "DependencyViolation",
    ),
    "NatAddress": "InvalidIPAddress.InUse",
    "Cluster": "ClusterContainsServicesException",
    "DatabaseSubnets": "InvalidDBSubnetGroupStateFault",
    "Names": "ResourceInUse",
    "CodeLocationName": "ResourceInUse",
    "WebserverName": "ResourceInUse",
}

Client = Callable[[str], Any]
Touch = Callable[[Client, str], object]


STACKS = {
    "network": ("account-b-admin", "xacct-network-local"),
    "account_b": ("account-b-admin", "xacct-account-b-local"),
    "account_a": ("account-a-admin", "xacct-account-a-local"),
    "feed": ("account-b-admin", "xacct-feed-products-local"),
    "orchestrator": ("account-b-admin", "xacct-orchestrator-local"),
}
"""Profile and name of the stack of each template of ``infra/``."""

_BUCKETS = {
    "ComputeLogsPolicy": "ComputeLogs",
    "ExportsBucketPolicy": "ExportsBucket",
    "RawBucketPolicy": "RawBucket",
    "WorkingBucketPolicy": "WorkingBucket",
}


def resources(sandbox: RunningSandbox) -> dict[str, tuple[str, str, str]]:
    """Profile, type and physical id of each resource, by ``template.LogicalId``."""
    found = {}
    for file, (profile, stack) in STACKS.items():
        pages = sandbox.client(profile, "cloudformation").get_paginator("list_stack_resources")
        for page in pages.paginate(StackName=stack):
            for one in page["StackResourceSummaries"]:
                found[f"{file}.{one['LogicalResourceId']}"] = (
                    profile,
                    one["ResourceType"],
                    one["PhysicalResourceId"],
                )
    return found


def touch(sandbox: RunningSandbox, name: str, *, delete: bool) -> None:
    """Delete a resource, or change it."""
    present = resources(sandbox)
    profile, type_, physical_id = present[name]
    file, _, logical_id = name.partition(".")
    if type_ == "AWS::S3::BucketPolicy":
        physical_id = present[f"{file}.{_BUCKETS[logical_id]}"][2]
    functions = DELETE if delete else CHANGE
    functions[type_](lambda service: sandbox.client(profile, service), physical_id)


def _delete_bucket(client: Client, name: str) -> None:
    s3 = client("s3")
    for item in s3.list_objects_v2(Bucket=name).get("Contents", []):
        s3.delete_object(Bucket=name, Key=item["Key"])
    s3.delete_bucket(Bucket=name)


def _delete_role(client: Client, name: str) -> None:
    iam = client("iam")
    # IAM deletes no role that has policies (API reference, DeleteRole).
    for policy in iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]:
        iam.detach_role_policy(RoleName=name, PolicyArn=policy["PolicyArn"])
    for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]:
        iam.delete_role_policy(RoleName=name, PolicyName=policy)
    iam.delete_role(RoleName=name)


def _delete_namespace(client: Client, name: str) -> None:
    serverless = client("redshift-serverless")
    serverless.delete_workgroup(workgroupName=name)
    serverless.delete_namespace(namespaceName=name)


def _change_managed_policy(client: Client, arn: str) -> None:
    statement = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}
    document = {"Version": "2012-10-17", "Statement": [statement]}
    client("iam").create_policy_version(
        PolicyArn=arn, PolicyDocument=json.dumps(document), SetAsDefault=True
    )


def _delete_managed_policy(client: Client, arn: str) -> None:
    iam = client("iam")
    for role in iam.list_entities_for_policy(PolicyArn=arn)["PolicyRoles"]:
        iam.detach_role_policy(RoleName=role["RoleName"], PolicyArn=arn)
    for version in iam.list_policy_versions(PolicyArn=arn)["Versions"]:
        if not version["IsDefaultVersion"]:
            iam.delete_policy_version(PolicyArn=arn, VersionId=version["VersionId"])
    iam.delete_policy(PolicyArn=arn)


def _move_alias(client: Client, name: str) -> None:
    """Let the alias lead to another key."""
    kms = client("kms")
    kms.update_alias(AliasName=name, TargetKeyId=kms.create_key()["KeyMetadata"]["KeyId"])


def _service(arn: str) -> dict[str, str]:
    """Cluster and name in the ARN of a service of ECS."""
    _, cluster, name = arn.split("/")
    return {"cluster": cluster, "service": name}


def _change_subnet_group(client: Client, name: str) -> None:
    ec2 = client("ec2")
    (vpc,) = (one["VpcId"] for one in ec2.describe_vpcs()["Vpcs"] if one["IsDefault"])
    subnets = [one["SubnetId"] for one in ec2.describe_subnets()["Subnets"] if one["VpcId"] == vpc]
    client("rds").modify_db_subnet_group(DBSubnetGroupName=name, SubnetIds=subnets[:2])


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


DELETE: dict[str, Touch] = {
    **network_by_hand.DELETE,
    "AWS::ECR::Repository": lambda c, id_: c("ecr").delete_repository(
        repositoryName=id_, force=True
    ),
    "AWS::ECS::Cluster": lambda c, id_: c("ecs").delete_cluster(cluster=id_),
    "AWS::ECS::Service": lambda c, id_: c("ecs").delete_service(force=True, **_service(id_)),
    "AWS::ECS::TaskDefinition": lambda c, id_: c("ecs").deregister_task_definition(
        taskDefinition=id_
    ),
    "AWS::Glue::Connection": lambda c, id_: c("glue").delete_connection(ConnectionName=id_),
    "AWS::Glue::Crawler": lambda c, id_: c("glue").delete_crawler(Name=id_),
    "AWS::Glue::Database": lambda c, id_: c("glue").delete_database(Name=id_),
    "AWS::Glue::Job": lambda c, id_: c("glue").delete_job(JobName=id_),
    "AWS::IAM::ManagedPolicy": _delete_managed_policy,
    "AWS::IAM::Role": _delete_role,
    "AWS::KMS::Alias": lambda c, id_: c("kms").delete_alias(AliasName=id_),
    "AWS::KMS::Key": lambda c, id_: c("kms").schedule_key_deletion(KeyId=id_),
    "AWS::RDS::DBInstance": lambda c, id_: c("rds").delete_db_instance(
        DBInstanceIdentifier=id_, SkipFinalSnapshot=True
    ),
    "AWS::RDS::DBSubnetGroup": lambda c, id_: c("rds").delete_db_subnet_group(
        DBSubnetGroupName=id_
    ),
    "AWS::ServiceDiscovery::PrivateDnsNamespace": lambda c, id_: c(
        "servicediscovery"
    ).delete_namespace(Id=id_),
    "AWS::ServiceDiscovery::Service": lambda c, id_: c("servicediscovery").delete_service(Id=id_),
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

CHANGE: dict[str, Touch] = {
    **network_by_hand.CHANGE,
    "AWS::ECR::Repository": lambda c, id_: c("ecr").put_image_tag_mutability(
        repositoryName=id_, imageTagMutability="MUTABLE"
    ),
    "AWS::ECS::Service": lambda c, id_: c("ecs").update_service(desiredCount=0, **_service(id_)),
    "AWS::CloudWatch::Alarm": _change_alarm,
    "AWS::Logs::LogGroup": lambda c, id_: c("logs").delete_retention_policy(logGroupName=id_),
    "AWS::Glue::Crawler": _change_crawler,
    "AWS::Glue::Database": _change_database,
    "AWS::Glue::Job": _change_job,
    "AWS::IAM::ManagedPolicy": _change_managed_policy,
    "AWS::IAM::Role": _change_role,
    "AWS::KMS::Alias": _move_alias,
    "AWS::KMS::Key": lambda c, id_: c("kms").disable_key_rotation(KeyId=id_),
    "AWS::RDS::DBInstance": lambda c, id_: c("rds").modify_db_instance(
        DBInstanceIdentifier=id_, BackupRetentionPeriod=1, ApplyImmediately=True
    ),
    "AWS::RDS::DBSubnetGroup": _change_subnet_group,
    "AWS::ServiceDiscovery::Service": lambda c, id_: c("servicediscovery").update_service(
        Id=id_, Service={"DnsConfig": {"DnsRecords": [{"Type": "A", "TTL": 600}]}}
    ),
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
