"""The dead-letter queue of an SQS queue."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from xacct_assets.aws.botocore_errors import aws_call

if TYPE_CHECKING:
    from mypy_boto3_sqs.client import SQSClient


def count_dead_letters(sqs: SQSClient, queue: str, account: str) -> tuple[str, int]:
    """Name of a queue's dead-letter queue, and about how many messages it holds.

    SQS counts approximately: a message may be missing for a minute after it came (SQS API
    reference, GetQueueAttributes).

    Args:
        queue: name of the queue.
        account: id of the account that owns both.

    Returns:
        ("", 0) if the queue has none.

    Raises:
        AwsFailure: one of the queues is missing or must not be read.
    """
    policy = _attributes(sqs, queue, account, "RedrivePolicy").get("RedrivePolicy")
    if policy is None:
        return "", 0
    name = json.loads(policy)["deadLetterTargetArn"].rpartition(":")[2]
    attributes = _attributes(sqs, name, account, "ApproximateNumberOfMessages")
    return name, int(attributes["ApproximateNumberOfMessages"])


def _attributes(sqs: SQSClient, name: str, account: str, attribute: str) -> dict[str, str]:
    with aws_call("sqs:GetQueueUrl", name, account=account):
        url = sqs.get_queue_url(QueueName=name, QueueOwnerAWSAccountId=account)["QueueUrl"]
    with aws_call("sqs:GetQueueAttributes", name, account=account):
        answer = sqs.get_queue_attributes(
            QueueUrl=url,
            AttributeNames=[attribute],  # type: ignore[list-item]  # one of the literals
        )
    return {str(name): value for name, value in answer.get("Attributes", {}).items()}
