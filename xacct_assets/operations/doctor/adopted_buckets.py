"""The checks of `xacct doctor` on adopted buckets, whose policies only their account can read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from xacct_assets.aws.errors import AccessDenied, CredentialsProblem, NotFound
from xacct_assets.operations.deployment import plan
from xacct_assets.operations.deployment.accounts import Accounts
from xacct_assets.operations.deployment.bucket_access import (
    BucketAccess,
    adopted_buckets,
    notifications_of,
    policy_of,
)
from xacct_assets.operations.doctor.findings import Caution
from xacct_assets.sources import sources_root

if TYPE_CHECKING:
    from xacct_assets.feed.spec import FeedSpec
    from xacct_assets.settings import Settings


def needs_of_buckets(settings: Settings, feeds: Sequence[FeedSpec]) -> dict[str, BucketAccess]:
    """What each adopted bucket of account A needs, by the name of its check."""
    if not settings.adopted:
        return {}
    # The names that account B's stack gives, so that nothing has to be asked.
    queue = f"{settings.region}:{settings.account_b}:xacct-arrivals-{settings.suffix}"
    outputs_b = {
        "GlueRoleArn": settings.glue_role_arn,
        "OrchestratorRoleArn": settings.orchestrator_role_arn,
        "RoleBArn": settings.role_b_arn,
        "ArrivalQueueArn": f"arn:{settings.partition}:sqs:{queue}",
        "DatabaseUser": settings.database_user,
    }
    planned = plan.account_a(settings, sources_root(), outputs_b, feeds)
    return {
        f"adopted {access.kind}": access for access in adopted_buckets(settings, planned, feeds)
    }


def adopted_bucket(settings: Settings, access: BucketAccess) -> str | Caution:
    """The bucket's policy and notifications have what the pipeline needs.

    Raises:
        NotFound: something is missing; names it.
    """
    accounts = Accounts(settings)
    if settings.account_a_profile is None:
        return _not_checked(access, settings, "XACCT_ACCOUNT_A_PROFILE is not set")
    try:
        accounts.verify("a")
        s3, owner = accounts.sessions["a"].client("s3"), settings.account_a
        policy = policy_of(s3, access.name, owner, settings.suffix)
        notifications = notifications_of(s3, access.name, owner, settings.suffix)
        missing = policy.missing(access.statements) + notifications.missing(access.notifications)
    except (AccessDenied, CredentialsProblem) as denied:
        return _not_checked(access, settings, denied.what)
    if missing:
        raise NotFound(
            f"bucket {access.name} lacks {', '.join(missing)}, or has it changed",
            reason="its policy and notifications are its owner's; this is what the pipeline needs",
            account=owner,
            fix="`xacct deploy --account a` adds it; for an owner of another team, "
            "`xacct deploy --account a --print` writes it down",
        )
    return (
        f"the policy of {access.name} has the {len(access.statements)} statements, its "
        f"notifications the {len(access.notifications)} entries that the pipeline needs"
    )


def _not_checked(access: BucketAccess, settings: Settings, reason: str) -> Caution:
    return Caution(
        f"the policy of {access.name} was not read: {reason}",
        f"only account {settings.account_a} can read it: its administrator compares it with what "
        "`xacct deploy --account a --print` writes; what the pipeline reads is checked above",
    )
