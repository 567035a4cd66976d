"""Describes planned changes to people, and refuses those that lose data unasked."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

from xacct_assets.aws.change_sets import LOSING, ChangeSet, ResourceChange
from xacct_assets.aws.errors import DeployFailed
from xacct_assets.operations.deployment.plan import Account, StackPlan

#: What a bucket, database, namespace or secret holds. None is lost without a flag that names it.
GUARDED = {
    "AWS::KMS::Key": "everything that is encrypted with it",
    "AWS::RDS::DBInstance": "the record of runs and the cursors of sensors; a snapshot stays",
    "AWS::RedshiftServerless::Namespace": "all databases of the warehouse, with every row",
    "AWS::S3::Bucket": "its objects",
    "AWS::SecretsManager::Secret": "its value, which the pipeline or the warehouse logs in with",
}
# What else is lost with a resource, and how it comes back.
_ALSO_LOST = {
    "AWS::Glue::Crawler": "the history of its crawls; the next crawl reads all folders again",
    "AWS::Glue::Database": "its catalog tables; the next crawl makes them again",
    "AWS::Glue::Job": "the history of its runs",
    "AWS::Logs::LogGroup": "its log lines",
    "AWS::SNS::Topic": "its subscriptions; subscribe again (docs/operate.md)",
    "AWS::SQS::Queue": "its messages; the sensor finds the files by listing",
}
#: Types whose changes by hand CloudFormation does not see: they are not in its user guide's list
#: "Resource type support", and the schema of a queue policy has no read handler.
UNREADABLE = ("AWS::Glue::Connection", "AWS::SQS::QueuePolicy")

ALLOW_FLAG = "--allow-data-loss"


@dataclass(frozen=True)
class PlannedStack:
    """A stack's plan, and the change set that was made of it."""

    plan: StackPlan
    changes: ChangeSet

    @property
    def account(self) -> Account:
        """The account of the stack."""
        return self.plan.account


def describe(planned: PlannedStack) -> Iterator[str]:
    """The lines that tell what happens to one stack."""
    change_set = planned.changes
    head = f"stack {change_set.stack} (account {planned.account.upper()})"
    if change_set.id is None:
        yield f"{head}: nothing to change"
        return
    yield f"{head}: {'new' if change_set.new else 'to be updated'}"
    for change in change_set.changes:
        yield f"  {_describe_change(change)}"
    if not change_set.changes:
        yield "  its outputs or tags; no resource"


def refuse_data_loss(stacks: Sequence[PlannedStack], allowed: Collection[str]) -> None:
    """Raise if a namespace, bucket or secret would be replaced or deleted that no flag names.

    Raises:
        DeployFailed: names each of them, and the flag.
    """
    at_risk = [
        (planned, change)
        for planned in stacks
        for change in planned.changes.changes
        if is_guarded(change) and not {change.name, change.id} & set(allowed)
    ]
    if not at_risk:
        return
    keys = [change for _, change in at_risk if _is_lost_key(change)]
    undo = [_recovery(change) for change in keys]
    if len(keys) < len(at_risk):
        undo.append("undo the setting or parameter that causes it")
    raise DeployFailed(
        "nothing was changed: data would be at risk",
        reason="; ".join(
            f"in stack {planned.changes.stack}, {_describe_change(change)}"
            for planned, change in at_risk
        ),
        fix=f"{'; '.join(undo)}, or allow it: "
        + " ".join(f"{ALLOW_FLAG} {change.name}" for _, change in at_risk),
    )


def moves_crawler(change: ResourceChange) -> bool:
    """Whether a crawler gets another folder, for which it must be deleted and made again.

    The S3 targets of a crawler that crawls new folders only cannot be changed (Glue developer
    guide, "Scheduling incremental crawls for adding new partitions").
    """
    return (
        change.type == "AWS::Glue::Crawler"
        and change.effect == "changed"
        and "Targets" in change.properties
    )


def is_guarded(change: ResourceChange) -> bool:
    """Whether the change loses a namespace, bucket, secret or key."""
    return (change.type in GUARDED and change.effect in LOSING) or _is_lost_key(change)


def _is_lost_key(change: ResourceChange) -> bool:
    """Whether another key would take the place of one that was deleted by hand.

    It is pending deletion, which CloudFormation takes for gone, and can be had back until then (KMS
    guide, "Deleting AWS KMS keys"). What is encrypted with it is not encrypted again.
    """
    return change.type == "AWS::KMS::Key" and change.effect == "restored"


def _recovery(key: ResourceChange) -> str:
    id_ = key.id or "ID"
    return (
        f"have key {key.name} back, if its waiting period is not over: `aws kms "
        f"cancel-key-deletion --key-id {id_}` and `aws kms enable-key --key-id {id_}`"
    )


def _describe_change(change: ResourceChange) -> str:
    if moves_crawler(change):
        change = replace(change, effect="replaced")
    text = f"{change.effect}: {change.logical_id} ({change.type})"
    if change.id:
        text += f" {change.name}"
    causes = [", ".join(change.properties)] if change.properties else []
    if change.drifted:
        causes.append(
            "it was deleted by hand" if change.effect == "restored" else "reverts a change by hand"
        )
    if causes:
        text += f" [{'; '.join(causes)}]"
    return text + _loss(change)


def _loss(change: ResourceChange) -> str:
    if _is_lost_key(change):
        return (
            f" - DATA AT RISK: another key is made; {GUARDED[change.type]} can be read only "
            "as long as the deleted key can be had back"
        )
    if change.effect not in LOSING:
        return ""
    guarded = GUARDED.get(change.type)
    content = guarded or _ALSO_LOST.get(change.type)
    if change.kept:
        mark = "DATA AT RISK: " if guarded else ""
        rest = f", with {content}" if content else ""
        return f" - {mark}the present one stays in the account{rest}, but is used no more"
    if content is None:
        return ""
    mark = "DATA AT RISK: " if guarded else ""
    return f" - {mark}it is deleted with {content}"
