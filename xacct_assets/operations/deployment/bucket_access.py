"""What a bucket of account A must allow and tell, read from the template that creates buckets.

infra/account_a.yaml is the one place that grants access. For an adopted bucket the same statements
are merged into its owner's policy, under Sids that name this installation: several installations
may use one bucket.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote_plus

from xacct_assets.aws.s3.bucket import Bucket
from xacct_assets.aws.s3.bucket_notifications import BucketNotifications
from xacct_assets.aws.s3.bucket_policy import BucketPolicy
from xacct_assets.operations.deployment.plan import StackPlan, reads_queue
from xacct_assets.operations.deployment.templates import parse

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

    from xacct_assets.feed.spec import FeedSpec
    from xacct_assets.settings import Settings

Kind = Literal["input-bucket", "export-bucket"]
#: The resources of the template, of the bucket and of its policy.
_RESOURCES: dict[Kind, tuple[str, str]] = {
    "input-bucket": ("RawBucket", "RawBucketPolicy"),
    "export-bucket": ("ExportsBucket", "ExportsBucketPolicy"),
}


@dataclass(frozen=True)
class BucketAccess:
    """What one adopted bucket needs.

    Attributes:
        kind: as in XACCT_ADOPT.
        name: of the bucket.
        statements: of its policy.
        notifications: entries of its notification configuration, for queues.
    """

    kind: Kind
    name: str
    statements: tuple[dict[str, Any], ...]
    notifications: tuple[dict[str, Any], ...]


def sid_prefix(suffix: str) -> str:
    """Beginning of every Sid and Id of an installation, in letters and digits only.

    The suffix has no capital letters, so that ``H`` can stand for a hyphen, and the capital letter
    after it ends it: installation ``a`` does not take ``a1``'s statements for its own.
    """
    return f"Xacct{suffix.replace('-', 'H')}"


def is_ours(suffix: str, name: str) -> bool:
    """Whether a Sid, or the Id of a notification, is of this installation."""
    return re.fullmatch(rf"{sid_prefix(suffix)}[A-GI-Z]\w*", name) is not None


def policy_of(s3: S3Client, name: str, owner: str, suffix: str) -> BucketPolicy:
    """The policy of an adopted bucket."""
    return BucketPolicy(Bucket(s3, name, owner), lambda sid: is_ours(suffix, sid))


def notifications_of(s3: S3Client, name: str, owner: str, suffix: str) -> BucketNotifications:
    """The notification configuration of an adopted bucket."""
    return BucketNotifications(Bucket(s3, name, owner), lambda name: is_ours(suffix, name))


def adopted_buckets(
    settings: Settings, planned: StackPlan, feeds: Sequence[FeedSpec]
) -> list[BucketAccess]:
    """What the adopted buckets of account A need.

    Args:
        settings: of the installation.
        planned: the plan of account A's stack: its template and parameters.
        feeds: of the installation; the folders of those that read the queue are notified of.
    """
    names: dict[Kind, str] = {
        "input-bucket": settings.input_bucket,
        "export-bucket": settings.export_bucket,
    }
    if not settings.adopted & names.keys():
        return []
    resources = parse(planned.template)["Resources"]
    values = {
        **planned.parameters,
        "AWS::Partition": settings.partition,
        "AWS::Region": settings.region,
        "AWS::AccountId": settings.account_a,
    }
    prefix = sid_prefix(settings.suffix)
    found = []
    for kind, name in names.items():
        if kind not in settings.adopted:
            continue
        bucket, policy = _RESOURCES[kind]
        statements = [
            {**_filled(statement, values), "Sid": prefix + statement["Sid"]}
            for statement in resources[policy]["Properties"]["PolicyDocument"]["Statement"]
            # Whom else the owner lets in, and how, is the owner's affair.
            if statement["Effect"] == "Allow"
        ]
        notified = [feed for feed in feeds if reads_queue(feed, settings.suffix)]
        notifications = _notifications(resources[bucket]["Properties"], values, prefix, notified)
        found.append(BucketAccess(kind, name, tuple(statements), tuple(notifications)))
    return found


def _notifications(
    properties: Mapping[str, Any],
    values: Mapping[str, str],
    prefix: str,
    feeds: Sequence[FeedSpec],
) -> list[dict[str, Any]]:
    """One entry for each feed's folder: the rest of an adopted bucket is not the pipeline's."""
    if "NotificationConfiguration" not in properties:
        return []
    _, configuration, _ = properties["NotificationConfiguration"]["Fn::If"]
    events = [entry["Event"] for entry in configuration["QueueConfigurations"]]
    # S3 wants special characters of a filter URL-encoded (S3 guide, "object key name filtering").
    folders = sorted(quote_plus(f"{feed.source.prefix}/", safe="/!-_.*'()") for feed in feeds)
    # S3 refuses entries that overlap.
    outermost = [
        folder
        for folder in dict.fromkeys(folders)
        if not any(folder != other and folder.startswith(other) for other in folders)
    ]
    return [
        {
            "Id": f"{prefix}Arrivals{number}",
            "QueueArn": values["ArrivalQueueArn"],
            "Events": events,
            "Filter": {"Key": {"FilterRules": [{"Name": "prefix", "Value": folder}]}},
        }
        for number, folder in enumerate(outermost, 1)
    ]


def _filled(value: Any, values: Mapping[str, str]) -> Any:
    """The value with its references to parameters replaced."""
    if isinstance(value, list):
        return [_filled(item, values) for item in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {"Ref"}:
        return values[value["Ref"]]
    if set(value) == {"Fn::Sub"}:
        return re.sub(r"\$\{([\w:]+)\}", lambda match: values[match[1]], value["Fn::Sub"])
    return {key: _filled(item, values) for key, item in value.items()}
