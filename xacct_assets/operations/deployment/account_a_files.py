"""`xacct deploy --account a --print`: what another team's administrator reviews and applies.

Needs no rights in account A: everything that account A's stack depends on is in account B.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from xacct_assets.aws.stack_reading import describe_stack
from xacct_assets.operations.deployment import plan
from xacct_assets.operations.deployment.bucket_access import BucketAccess, adopted_buckets
from xacct_assets.operations.deployment.ownership import INSTALLATION_TAG

if TYPE_CHECKING:
    from xacct_assets.feed.spec import FeedSpec
    from xacct_assets.operations.deployment.accounts import Accounts
    from xacct_assets.settings import Settings

TEMPLATE, PARAMETERS, SUMMARY = "template.yaml", "parameters.json", "README.md"


def outputs_of_b(settings: Settings, accounts: Accounts) -> dict[str, str]:
    """The outputs of account B's stack; empty if it is not deployed."""
    stack = describe_stack(accounts.sessions["b"].client("cloudformation"), settings.stack_b)
    return dict(stack.outputs) if stack else {}


def write_files(
    folder: Path, settings: Settings, planned: plan.StackPlan, feeds: Sequence[FeedSpec]
) -> list[Path]:
    """Write template, parameters and summary, and what adopted buckets need.

    Args:
        folder: made if it is missing; files of the same names are replaced.
        settings: of the installation.
        planned: account A's stack.
        feeds: of the installation.

    Returns:
        The files.
    """
    buckets = adopted_buckets(settings, planned, feeds)
    parameters = [
        {"ParameterKey": key, "ParameterValue": value}
        for key, value in sorted(planned.parameters.items())
    ]
    texts = {
        SUMMARY: summary(settings, planned, buckets),
        TEMPLATE: planned.template,
        PARAMETERS: _json(parameters),
    }
    for access in buckets:
        texts[_policy_file(access)] = _json(list(access.statements))
        if access.notifications:
            texts[_notifications_file(access)] = _json(list(access.notifications))
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, text in texts.items():
        path = folder / name
        path.write_text(text, encoding="utf-8")
        written.append(path)
    return written


def summary(settings: Settings, planned: plan.StackPlan, buckets: Sequence[BucketAccess]) -> str:
    """What is asked of account A, in plain language, with the commands."""
    sections = [
        _heading(settings),
        _made(settings, planned.parameters),
        _rights(settings, planned.parameters),
        _commands(settings),
        *(_adopted(access) for access in buckets),
        _afterwards(settings, buckets),
    ]
    return "\n\n".join(sections) + "\n"


def _heading(settings: Settings) -> str:
    return f"""\
# For the administrator of account {settings.account_a}

Account {settings.account_b} processes files that land in account {settings.account_a}, and writes
the results back. This folder has what account {settings.account_a} must grant for that. Nothing in
it is secret. Nobody in account {settings.account_b} gets any right beyond this list, and nobody
there needs credentials of account {settings.account_a}.

Account {settings.account_b} must be deployed first (`xacct deploy --account b`), because a policy
can only name roles that exist. It is, and `{PARAMETERS}` has its names."""


def _made(settings: Settings, parameters: Mapping[str, str]) -> str:
    lines = ["## What the stack makes", ""]
    for kind, name, purpose in (
        ("input-bucket", settings.input_bucket, "suppliers put raw files here"),
        ("export-bucket", settings.export_bucket, "results are written here"),
    ):
        if kind in settings.adopted:
            lines.append(
                f"- Bucket `{name}` exists ({purpose}). The stack makes nothing of it and never "
                "deletes it; see below for the statements that it needs."
            )
        else:
            lines.append(
                f"- Bucket `{name}`: {purpose}. Private, encrypted (SSE-S3), TLS only; it stays "
                "if the stack is deleted."
            )
    if parameters["ArrivalQueueArn"]:
        lines.append(
            f"- S3 tells the queue `{parameters['ArrivalQueueArn']}` of new and deleted raw files "
            "(names and sizes, no content)."
        )
    role = settings.role_a_arn
    lines.append(f"- Role `{role}`: may write to the export bucket, and do nothing else.")
    return "\n".join(lines)


def _rights(settings: Settings, parameters: Mapping[str, str]) -> str:
    user = f"dbuser:*/{parameters['DatabaseUser']}"
    return f"""\
## Who gets which right

| principal of account {settings.account_b} | right | on |
|---|---|---|
| `{parameters["GlueRoleArn"]}` | list, read | `{settings.input_bucket}` |
| `{parameters["OrchestratorRoleArn"]}` | list, read | `{settings.input_bucket}`, \
`{settings.export_bucket}` |
| `{parameters["RoleBArn"]}` | assume `{settings.role_a_arn}`, only as Redshift for the database \
user `{user}` (`sts:ExternalId`) | |

`{settings.role_a_arn}` may put, list and delete objects of `{settings.export_bucket}`: an export
replaces the earlier one of its day."""


def _commands(settings: Settings) -> str:
    deploy = f"""\
aws cloudformation deploy --region {settings.region} --stack-name {settings.stack_a} \\
  --template-file {TEMPLATE} --parameter-overrides file://{PARAMETERS} \\
  --capabilities CAPABILITY_NAMED_IAM --tags {INSTALLATION_TAG}={settings.suffix}"""
    return f"""\
## Review, then apply

With credentials of account {settings.account_a}, in this folder. The first command makes a change
set and changes nothing; it prints the command that shows it. The second applies it.

```sh
{deploy} --no-execute-changeset
{deploy}
```"""


def _adopted(access: BucketAccess) -> str:
    policy = _policy_file(access)
    text = f"""\
## Bucket {access.name}: add statements to its policy

`{policy}` has {len(access.statements)} statements. Add them to those that are there. `{policy}` is
a list of statements, no policy: do not put it in place of the policy.

```sh
aws s3api get-bucket-policy --bucket {access.name} --query Policy --output text > policy.json
jq --slurpfile new {policy} '.Statement += $new[0]' policy.json > policy-new.json
aws s3api put-bucket-policy --bucket {access.name} --policy file://policy-new.json
```

If the bucket has no policy yet (`NoSuchBucketPolicy`), begin with
`echo '{{"Version": "2012-10-17", "Statement": []}}' > policy.json`."""
    if not access.notifications:
        return text
    notifications = _notifications_file(access)
    return f"""{text}

And add the queue to its notifications, beside those that are there:

```sh
aws s3api get-bucket-notification-configuration --bucket {access.name} > notifications.json
jq --slurpfile new {notifications} '.QueueConfigurations += $new[0]' notifications.json > new.json
aws s3api put-bucket-notification-configuration --bucket {access.name} \\
  --notification-configuration file://new.json
```

S3 refuses this if another destination gets the same events of the same keys; then tell account B's
team, which can look for files without notifications (`arrival.mode: poll`)."""


def _afterwards(settings: Settings, buckets: Sequence[BucketAccess]) -> str:
    undo = [f"`aws cloudformation delete-stack --stack-name {settings.stack_a}`"]
    undo += [
        f"remove the statements of `{_policy_file(access)}` from the policy of {access.name}"
        + (" and its queue from the notifications" if access.notifications else "")
        for access in buckets
    ]
    return f"""\
## Afterwards

Tell account B's team that it is done. They need no name from you: the buckets and the role have the
names above. `xacct doctor` shows them whether every right is there.

To take it back: {"; ".join(undo)}. Buckets stay."""


def _policy_file(access: BucketAccess) -> str:
    return f"{access.kind}-statements.json"


def _notifications_file(access: BucketAccess) -> str:
    return f"{access.kind}-notifications.json"


def _json(value: object) -> str:
    return json.dumps(value, indent=2) + "\n"
