"""Uses what exists without owning it: adds the little that is needed, and takes it away again.

Of an adopted bucket, the statements and notifications of this installation; of an adopted
namespace, RoleB; of an adopted secret, nothing. Where the credentials may not change a bucket, what
it needs is shown for its owner.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from xacct_assets.aws.botocore_errors import aws_call
from xacct_assets.aws.errors import AccessDenied, AwsFailure, DeployFailed, NotFound
from xacct_assets.aws.redshift.serverless import Serverless
from xacct_assets.aws.s3.bucket import Bucket
from xacct_assets.aws.stack_reading import StackDescription, describe_stack, stack_resources
from xacct_assets.operations.deployment.adopted import Adopted, find_adopted, pipeline_user
from xacct_assets.operations.deployment.bucket_access import (
    BucketAccess,
    adopted_buckets,
    notifications_of,
    policy_of,
)
from xacct_assets.operations.deployment.job_files import JobFiles
from xacct_assets.operations.deployment.warehouse_setup import WarehouseSetup
from xacct_assets.settings import EXPORT_BUCKET, INPUT_BUCKET, WORKING_BUCKET

if TYPE_CHECKING:
    from xacct_assets.feed.spec import FeedSpec
    from xacct_assets.operations.deployment.accounts import Accounts
    from xacct_assets.operations.deployment.plan import Account, StackPlan
    from xacct_assets.settings import Settings


class Adoption:
    """The adopted resources of one installation.

    Args:
        settings: names of the installation.
        accounts: clients with deployment rights.
        report: called with a line about each step.
    """

    def __init__(
        self, settings: Settings, accounts: Accounts, report: Callable[[str], None]
    ) -> None:
        self._settings = settings
        self._accounts = accounts
        self._report = report

    # -- before the stacks ---------------------------------------------------------------------

    def find(self) -> Adopted:
        """Look up what account B adopts.

        Raises:
            AwsFailure: something is not there, or cannot be used; nothing was changed.
        """
        return find_adopted(self._settings, self._accounts.sessions["b"])

    def require_names(self, account: Account) -> None:
        """Check that the buckets of an account are there if adopted, and free if made here.

        Raises:
            DeployFailed: one is not; the fix names the setting.
        """
        settings = self._settings
        names: dict[str, tuple[str, str]] = (
            {
                "input-bucket": (settings.input_bucket, "XACCT_INPUT_BUCKET"),
                "export-bucket": (settings.export_bucket, "XACCT_EXPORT_BUCKET"),
            }
            if account == "a"
            else {"processing-bucket": (settings.processing_bucket, "XACCT_PROCESSING_BUCKET")}
        )
        made = self._made_by_stack(account)
        for kind, (name, variable) in names.items():
            if name not in made:
                self._require_bucket(account, kind, name, variable)
        if account == "b":
            self._require_secrets(made)

    def _require_secrets(self, made: Collection[str]) -> None:
        """Refuse to go on while a secret of ours is marked for deletion.

        It cannot be read or changed, and keeps its name: a deployment would end half-way.
        """
        settings = self._settings
        # The name that may be made here, and how a secret that has it is used instead.
        name, adopt = settings.redshift_secret, "add secret to XACCT_ADOPT"
        if "secret" in settings.adopted:
            name = settings.json_secret
            adopt = f"set XACCT_DATA_API_SECRET={name}"
        arns = sorted(id_ for id_ in made if ":secretsmanager:" in id_)
        client = self._accounts.sessions["b"].client("secretsmanager")
        for id_ in [name, *arns]:
            try:
                with aws_call("secretsmanager:DescribeSecret", id_):
                    secret = client.describe_secret(SecretId=id_)
            except NotFound:
                continue
            if "DeletedDate" not in secret:
                continue
            restore = f"`aws secretsmanager restore-secret --secret-id {secret['Name']}`"
            if secret["ARN"] not in made:
                restore += f" and {adopt}"
            raise DeployFailed(
                f"secret {secret['Name']} is marked for deletion; nothing was changed",
                reason="until it is gone, it cannot be read, and no other can have its name",
                fix=f"to have it back: {restore}. To have a new one made: wait until its recovery "
                "window is over, or `aws secretsmanager delete-secret --secret-id "
                f"{secret['Name']} --force-delete-without-recovery`. Then `xacct deploy` again",
            )

    def _require_bucket(self, account: Account, kind: str, name: str, variable: str) -> None:
        owner = self._accounts.id_of(account)
        bucket = Bucket(self._accounts.sessions[account].client("s3"), name, owner)
        adopted = kind in self._settings.adopted
        try:
            exists = bucket.exists()
        except AccessDenied as denied:
            raise DeployFailed(
                f"bucket {name} is not account {account.upper()}'s ({owner}), or may not be seen",
                reason=denied.reason,
                fix=f"bucket names are unique in all of AWS: set {variable} to another name",
            ) from denied
        if adopted and not exists:
            raise DeployFailed(
                f"bucket {name} does not exist in account {owner}, so it cannot be adopted",
                reason=f"XACCT_ADOPT names {kind}",
                fix=f"correct {variable}, or leave {kind} out of XACCT_ADOPT to have it made",
            )
        if exists and not adopted:
            raise DeployFailed(
                f"bucket {name} exists, and this installation did not make it",
                fix=f"to use it and leave it its owner's, add {kind} to XACCT_ADOPT in .env; to "
                f"have a bucket made, set {variable} to a name that is free",
            )

    def _made_by_stack(self, account: Account) -> set[str]:
        settings = self._settings
        name = settings.stack_a if account == "a" else settings.stack_b
        client = self._accounts.sessions[account].client("cloudformation")
        stack = describe_stack(client, name)
        if stack is None:
            return set()
        self._require_names_of_earlier_release(stack)
        return {resource.id for resource in stack_resources(client, name)}

    def _require_names_of_earlier_release(self, stack: StackDescription) -> None:
        """Refuse to leave buckets behind because default names had no account id earlier."""
        settings = self._settings
        keep = {}
        for variable, parameter, start, now, account in (
            ("XACCT_INPUT_BUCKET", "InputBucket", INPUT_BUCKET, settings.input_bucket, "a"),
            ("XACCT_EXPORT_BUCKET", "ExportBucket", EXPORT_BUCKET, settings.export_bucket, "a"),
            (
                *("XACCT_PROCESSING_BUCKET", "ProcessingBucket", WORKING_BUCKET),
                *(settings.processing_bucket, "b"),
            ),
        ):
            short = f"{start}-{settings.suffix}"
            default = f"{short}-{settings.account_a if account == 'a' else settings.account_b}"
            if stack.parameters.get(parameter) == short and now == default:
                keep[variable] = short
        if keep:
            raise DeployFailed(
                f"this installation's buckets are {', '.join(keep.values())}",
                reason="default names of buckets have the account's id now, because others are "
                "likely to have the short ones",
                fix="keep the buckets; in .env: "
                + " ".join(f"{variable}={name}" for variable, name in keep.items()),
            )

    # -- after the stacks ----------------------------------------------------------------------

    def join_warehouse(self, adopted: Adopted, outputs_b: Mapping[str, str]) -> None:
        """Attach RoleB to an adopted namespace, and write the JSON form of an adopted URI."""
        sessions = self._accounts.sessions["b"]
        if adopted.namespace is not None:
            name, role = adopted.namespace.name, outputs_b["RoleBArn"]
            serverless = Serverless(sessions.client("redshift-serverless"))
            attached = serverless.attach_role(name, role)
            self._report(
                f"namespace {name} (adopted): {role} {'attached' if attached else 'is attached'}"
            )
        if adopted.needs_json_secret and adopted.login is not None:
            login = adopted.login
            text = json.dumps(
                {
                    "username": login.user,
                    "password": login.password,
                    "engine": "redshift",
                    "host": login.host,
                    "port": login.port,
                    "dbname": login.database,
                }
            )
            changed = self._put_secret(self._settings.json_secret, text)
            self._report(
                f"secret {self._settings.json_secret}: {'written' if changed else 'up to date'} "
                f"(the login of {self._settings.redshift_secret}, for the Data API and Glue)"
            )

    def _put_secret(self, name: str, text: str) -> bool:
        secrets = self._accounts.sessions["b"].client("secretsmanager")
        with aws_call("secretsmanager:GetSecretValue", name):
            present = secrets.get_secret_value(SecretId=name).get("SecretString")
        if present == text:
            return False
        with aws_call("secretsmanager:PutSecretValue", name):
            secrets.put_secret_value(SecretId=name, SecretString=text)
        return True

    def join_buckets(self, planned: StackPlan, feeds: Sequence[FeedSpec]) -> list[str]:
        """Merge what the adopted buckets of account A need into their policies and notifications.

        Args:
            planned: the plan of account A's stack.
            feeds: the feeds of the installation.

        Returns:
            What is left for the owners of buckets that these credentials may not change.
        """
        left = []
        for access in adopted_buckets(self._settings, planned, feeds):
            try:
                self._join_bucket(access)
            except AccessDenied as denied:
                self._report(f"bucket {access.name} (adopted): NOT changed: {denied.what}")
                left.append(for_owner(access))
        return left

    def _join_bucket(self, access: BucketAccess) -> None:
        settings = self._settings
        s3, owner = self._accounts.sessions["a"].client("s3"), settings.account_a
        policy = policy_of(s3, access.name, owner, settings.suffix)
        notifications = notifications_of(s3, access.name, owner, settings.suffix)
        changes = {
            f"{len(access.statements)} statements of its policy": policy.merge(access.statements),
            f"{len(access.notifications)} notifications": notifications.merge(access.notifications),
        }
        changed = [what for what, was_changed in changes.items() if was_changed]
        outcome = " and ".join(changed) + " set" if changed else "up to date"
        self._report(f"bucket {access.name} (adopted): {outcome}")

    # -- before the stacks are deleted ---------------------------------------------------------

    def release(self, account: Account, feeds: Sequence[FeedSpec] = ()) -> list[str]:
        """Take away what this installation added to the adopted resources of an account.

        Args:
            account: which account.
            feeds: whose grants the pipeline's database user has.

        Returns:
            What could not be taken away, with the reason.
        """
        return [
            problem
            for resource, take_away in self._releases(account, feeds).items()
            if (problem := self._attempt(resource, take_away)) is not None
        ]

    def _releases(
        self, account: Account, feeds: Sequence[FeedSpec]
    ) -> dict[str, Callable[[], bool]]:
        settings = self._settings
        steps: dict[str, Callable[[], bool]] = {}
        if account == "a":
            s3, owner = self._accounts.sessions["a"].client("s3"), settings.account_a
            for kind, name in (
                ("input-bucket", settings.input_bucket),
                ("export-bucket", settings.export_bucket),
            ):
                if kind in settings.adopted:
                    policy = policy_of(s3, name, owner, settings.suffix)
                    notifications = notifications_of(s3, name, owner, settings.suffix)
                    steps[f"policy of bucket {name}"] = policy.remove
                    steps[f"notifications of bucket {name}"] = notifications.remove
            return steps
        if "processing-bucket" in settings.adopted:
            name = settings.processing_bucket
            bucket = Bucket(self._accounts.sessions["b"].client("s3"), name, settings.account_b)
            steps[f"files of the job in bucket {name}"] = JobFiles(bucket, settings.suffix).remove
        if settings.adopted & {"workgroup", "namespace"}:
            setup = WarehouseSetup(
                settings, self._accounts.sessions["b"], "wire", report=self._report
            )
            steps[f"database user {pipeline_user(settings)}"] = partial(setup.drop_user, feeds)
            steps["roles of the adopted namespace"] = self._detach_role
        return steps

    def _detach_role(self) -> bool:
        settings = self._settings
        serverless = Serverless(self._accounts.sessions["b"].client("redshift-serverless"))
        namespace = settings.namespace
        if "workgroup" in settings.adopted:
            namespace = serverless.workgroup(settings.workgroup).namespace
        role = f"arn:{settings.partition}:iam::{settings.account_b}:role/xacct-RoleB-"
        return serverless.detach_role(namespace, role + settings.suffix)

    def _attempt(self, resource: str, take_away: Callable[[], bool]) -> str | None:
        try:
            changed = take_away()
        except NotFound:
            self._report(f"{resource}: does not exist any more")
            return None
        except AwsFailure as failure:
            self._report(f"{resource}: NOT released: {failure}")
            return f"{resource}: {failure}"
        self._report(
            f"{resource}: {'what is ours was removed' if changed else 'had nothing of ours'}; the "
            "rest is as it was"
        )
        return None


def for_owner(access: BucketAccess) -> str:
    """What the owner of a bucket adds to it, as text."""
    lines = [
        f"Bucket {access.name}: add these statements to its policy (aws s3api get-bucket-policy, "
        "put-bucket-policy), and keep those that are there:",
        json.dumps(list(access.statements), indent=2),
    ]
    if access.notifications:
        lines += [
            "and these queues to its notifications (aws s3api "
            "get-bucket-notification-configuration, put-bucket-notification-configuration), and "
            "keep those that are there:",
            json.dumps({"QueueConfigurations": list(access.notifications)}, indent=2),
        ]
    return "\n".join(lines)
