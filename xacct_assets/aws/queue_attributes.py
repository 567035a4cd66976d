"""The attributes of SQS queues, and what a dead-letter queue holds."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from xacct_assets.aws.botocore_errors import aws_call

if TYPE_CHECKING:
    from mypy_boto3_sqs.client import SQSClient


def queue_attributes(
    sqs: SQSClient, name: str, account: str, *, fix: str | None = None
) -> tuple[str, dict[str, str]]:
    """URL and attributes of a queue.

    Args:
        sqs: the client.
        name: of the queue.
        account: id of the account that owns it.
        fix: what to do if it is not as it should be; replaces the usual advice.

    Raises:
        NotFound, AccessDenied: naming the queue.
    """
    arn = f"arn:{sqs.meta.partition}:sqs:{sqs.meta.region_name}:{account}:{name}"
    with aws_call("sqs:GetQueueUrl", arn, account=account, fix=fix):
        url = sqs.get_queue_url(QueueName=name, QueueOwnerAWSAccountId=account)["QueueUrl"]
    with aws_call("sqs:GetQueueAttributes", arn, account=account, fix=fix):
        answer = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
    return url, {str(key): value for key, value in answer.get("Attributes", {}).items()}


def count_dead_letters(sqs: SQSClient, queue: str, account: str) -> tuple[str, int]:
    """Name of a queue's dead-letter queue, and about how many messages it holds.

    Args:
        sqs: the client.
        queue: name of the queue.
        account: id of the account that owns both.

    Returns:
        ("", 0) if the queue has none.

    Raises:
        NotFound, AccessDenied: one of the queues is missing or must not be read.
    """
    _, attributes = queue_attributes(sqs, queue, account)
    if "RedrivePolicy" not in attributes:
        return "", 0
    name = json.loads(attributes["RedrivePolicy"])["deadLetterTargetArn"].rpartition(":")[2]
    _, attributes = queue_attributes(sqs, name, account)
    return name, messages_in(attributes)


def messages_in(attributes: dict[str, str]) -> int:
    """About how many messages a queue with these attributes holds.

    SQS counts approximately: a message may be missing for a minute after it came (SQS API
    reference, GetQueueAttributes).
    """
    return int(attributes.get("ApproximateNumberOfMessages", 0))
