"""What the CloudFormation registry's schemas say of the resource types that stacks can have.

``CREATE_ONLY`` holds the ``createOnlyProperties`` of each schema: a change of one replaces the
resource. ``tests/repository/test_resource_schemas.py`` compares it with the schemas in cfn-lint.
"""

from __future__ import annotations

from collections.abc import Mapping

CREATE_ONLY: Mapping[str, tuple[str, ...]] = {
    "AWS::CloudFormation::WaitCondition": (),
    "AWS::CloudFormation::WaitConditionHandle": (),
    "AWS::CloudWatch::Alarm": ("AlarmName",),
    "AWS::EC2::EIP": ("Address", "IpamPoolId", "NetworkBorderGroup", "TransferAddress"),
    "AWS::EC2::InternetGateway": (),
    "AWS::EC2::NatGateway": (
        "AllocationId",
        "AvailabilityMode",
        "ConnectivityType",
        "PrivateIpAddress",
        "SubnetId",
        "VpcId",
    ),
    "AWS::EC2::Route": (
        "DestinationCidrBlock",
        "DestinationIpv6CidrBlock",
        "DestinationPrefixListId",
        "RouteTableId",
    ),
    "AWS::EC2::RouteTable": ("VpcId",),
    "AWS::EC2::SecurityGroup": ("GroupDescription", "GroupName", "VpcId"),
    "AWS::EC2::SecurityGroupEgress": (
        "CidrIp",
        "CidrIpv6",
        "DestinationPrefixListId",
        "DestinationSecurityGroupId",
        "FromPort",
        "GroupId",
        "IpProtocol",
        "ToPort",
    ),
    "AWS::EC2::SecurityGroupIngress": (
        "CidrIp",
        "CidrIpv6",
        "FromPort",
        "GroupId",
        "GroupName",
        "IpProtocol",
        "SourcePrefixListId",
        "SourceSecurityGroupId",
        "SourceSecurityGroupName",
        "SourceSecurityGroupOwnerId",
        "ToPort",
    ),
    "AWS::EC2::Subnet": (
        "AvailabilityZone",
        "AvailabilityZoneId",
        "CidrBlock",
        "Ipv4IpamPoolId",
        "Ipv4NetmaskLength",
        "Ipv6IpamPoolId",
        "Ipv6Native",
        "Ipv6NetmaskLength",
        "OutpostArn",
        "VpcId",
    ),
    "AWS::EC2::SubnetRouteTableAssociation": ("RouteTableId", "SubnetId"),
    "AWS::EC2::VPC": (
        "CidrBlock",
        "Ipv4IpamPoolId",
        "Ipv4NetmaskLength",
        "VpcEncryptionControl",
    ),
    "AWS::EC2::VPCEndpoint": (
        "DnsOptions.PrivateDnsPreference",
        "DnsOptions.PrivateDnsSpecifiedDomains",
        "ResourceConfigurationArn",
        "ServiceName",
        "ServiceNetworkArn",
        "ServiceRegion",
        "VpcEndpointType",
        "VpcId",
    ),
    "AWS::EC2::VPCGatewayAttachment": ("VpcId",),
    "AWS::EC2::VPCPeeringConnection": ("PeerOwnerId", "PeerRegion", "PeerVpcId", "VpcId"),
    "AWS::Glue::Connection": ("CatalogId", "ConnectionInput.Name"),
    "AWS::Glue::Crawler": ("Name",),
    "AWS::Glue::Database": ("DatabaseName",),
    "AWS::Glue::Job": ("Name",),
    "AWS::Glue::Table": ("CatalogId", "DatabaseName", "Name", "TableInput.Name"),
    "AWS::IAM::ManagedPolicy": ("Description", "ManagedPolicyName", "Path"),
    "AWS::IAM::Policy": (),
    "AWS::IAM::Role": ("Path", "RoleName"),
    "AWS::Logs::LogGroup": ("LogGroupName",),
    "AWS::RedshiftServerless::Namespace": ("NamespaceName",),
    "AWS::RedshiftServerless::Workgroup": ("NamespaceName", "WorkgroupName"),
    "AWS::S3::Bucket": ("BucketName", "BucketNamePrefix", "BucketNamespace"),
    "AWS::S3::BucketPolicy": ("Bucket",),
    "AWS::SNS::Subscription": ("Endpoint", "Protocol", "TopicArn"),
    "AWS::SNS::Topic": ("FifoTopic", "TopicName"),
    "AWS::SNS::TopicPolicy": (),
    "AWS::SQS::Queue": ("FifoQueue", "QueueName"),
    "AWS::SQS::QueuePolicy": (),
    "AWS::SecretsManager::Secret": ("Name",),
}
"""Resource type -> the properties whose change replaces the resource; a dot leads into one."""

SNAPSHOT_POLICY: frozenset[str] = frozenset()
"""The types that may have the policy Snapshot.

CloudFormation user guide, "DeletionPolicy attribute", lists them: none is a type of
``CREATE_ONLY``. A Redshift Serverless namespace has ``FinalSnapshotName`` instead.
"""
