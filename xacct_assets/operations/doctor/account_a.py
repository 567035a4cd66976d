"""Account A's buckets: their policies and notifications, statement by statement."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from xacct_assets.aws.botocore_errors import aws_call, error_code
from xacct_assets.aws.errors import InvalidRequest, NotFound
from xacct_assets.operations.deployment.plan import reads_queue
from xacct_assets.operations.doctor import keys
from xacct_assets.operations.doctor.comparison import differences, require_policy
from xacct_assets.operations.doctor.findings import Caution

if TYPE_CHECKING:
    from xacct_assets.key_settings import KeyKind
    from xacct_assets.operations.doctor.installation import Installation

DEPLOY = "`xacct deploy --account a`"


def bucket_policy(here: Installation, logical_id: str) -> str:
    """The policy of a bucket of account A is as its template says."""
    s3, owner = here.admin_of_a().client("s3"), here.settings.account_a
    expected = here.template_a().properties(logical_id)
    name = expected["Bucket"]
    present: dict[str, Any] = {}
    with aws_call("s3:GetBucketPolicy", f"arn:aws:s3:::{name}", account=owner):
        try:
            answer = s3.get_bucket_policy(Bucket=name, ExpectedBucketOwner=owner)
            present = json.loads(answer["Policy"])
        except Exception as error:
            if error_code(error) == "NoSuchBucket":
                raise NotFound(f"there is no bucket {name}", account=owner, fix=DEPLOY) from error
            if error_code(error) != "NoSuchBucketPolicy":
                raise
    document = expected["PolicyDocument"]
    require_policy(f"bucket {name}", document, present, owner, "a")
    return f"the policy of {name} has its {len(document['Statement'])} statements"


def encryption(here: Installation) -> str | Caution:
    """New objects of the buckets of account A are under the keys of the settings."""
    settings = here.settings
    s3, owner = here.admin_of_a().client("s3"), settings.account_a
    kinds: dict[str, tuple[str, KeyKind]] = {
        "input-bucket": (settings.input_bucket, "input"),
        "export-bucket": (settings.export_bucket, "export"),
    }
    found = []
    for kind, (name, of_key) in kinds.items():
        wanted = keys.arn_of(here, of_key)
        with aws_call("s3:GetEncryptionConfiguration", f"arn:aws:s3:::{name}", account=owner):
            answer = s3.get_bucket_encryption(Bucket=name, ExpectedBucketOwner=owner)
        rules = answer["ServerSideEncryptionConfiguration"]["Rules"]
        default = rules[0].get("ApplyServerSideEncryptionByDefault", {}) if rules else {}
        key = ""
        if default.get("SSEAlgorithm", "AES256") != "AES256":
            key = default.get("KMSMasterKeyID", "aws/s3")
        if key == wanted:
            found.append(f"{name}: {wanted}" if wanted else f"{name}: S3's own keys")
            continue
        what = f"bucket {name} encrypts new objects with {key and 'the KMS key '}" + (
            key or "S3's own keys"
        )
        allow = (
            f"the policy of the key and the roles' own must allow kms:Decrypt (for exports also "
            f"kms:GenerateDataKey) to {settings.glue_role_arn}, {settings.orchestrator_role_arn} "
            f"and {settings.role_a_arn}"
        )
        if kind in settings.adopted:
            return Caution(what, allow)
        raise InvalidRequest(
            f"{what}, infra/account_a.yaml says {wanted or 'AES256'}",
            account=owner,
            fix=f"{DEPLOY} restores it; by hand: {allow}",
        )
    return "; ".join(found)


def notifications(here: Installation) -> str:
    """The raw bucket tells the queue of new files, if a feed reads it."""
    if not any(reads_queue(feed, here.settings.suffix) for feed in here.feeds):
        return "no feed reads notifications"
    s3, owner = here.admin_of_a().client("s3"), here.settings.account_a
    template = here.template_a()
    name = here.settings.input_bucket
    expected = template.properties("RawBucket")["NotificationConfiguration"]["QueueConfigurations"]
    with aws_call("s3:GetBucketNotification", f"arn:aws:s3:::{name}", account=owner):
        answer = s3.get_bucket_notification_configuration(Bucket=name, ExpectedBucketOwner=owner)
    told = {
        event
        for entry in answer.get("QueueConfigurations", [])
        if not differences(expected[0]["Queue"], entry.get("QueueArn"))
        for event in entry.get("Events", [])
    }
    missing = [entry["Event"] for entry in expected if entry["Event"] not in told]
    if missing:
        raise InvalidRequest(
            f"bucket {name} does not tell {expected[0]['Queue']} of {', '.join(missing)}",
            account=owner,
            fix=DEPLOY,
        )
    return f"{name} tells {expected[0]['Queue']} of new and deleted files"
