"""Messages to an SNS topic.

aws-claims: sns-to-queue, sns-subject-limits
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from xacct_assets.aws.botocore_errors import aws_call

if TYPE_CHECKING:
    from mypy_boto3_sns.client import SNSClient
    from mypy_boto3_sns.type_defs import MessageAttributeValueTypeDef

#: Maximum of a subject in characters; printable ASCII, without line breaks (SNS API, Publish).
SUBJECT_CHARACTERS = 100
#: Maximum of a message in bytes, with its attributes (SNS API, Publish).
MESSAGE_BYTES = 262_144
_RESERVED_BYTES = 2_048


def publish(
    sns: SNSClient,
    topic_arn: str,
    subject: str,
    text: str,
    attributes: Mapping[str, str | Sequence[str]],
) -> None:
    """Publish a message. What is too long is cut.

    Args:
        attributes: subscriptions can filter by them; a list matches by any of its members.

    Raises:
        AwsFailure: the topic is missing, or must not be published to.
    """
    ascii_subject = "".join(char if " " <= char <= "~" else "?" for char in subject)
    shortened = text.encode()[: MESSAGE_BYTES - _RESERVED_BYTES].decode(errors="ignore")
    with aws_call("sns:Publish", topic_arn, account=topic_arn.split(":")[4]):
        sns.publish(
            TopicArn=topic_arn,
            Subject=ascii_subject[:SUBJECT_CHARACTERS],
            Message=shortened,
            MessageAttributes={name: _value(value) for name, value in attributes.items() if value},
        )


def _value(value: str | Sequence[str]) -> MessageAttributeValueTypeDef:
    if isinstance(value, str):
        return {"DataType": "String", "StringValue": value}
    return {"DataType": "String.Array", "StringValue": json.dumps(list(value))}
