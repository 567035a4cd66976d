"""The first links: the machine's own settings, the credentials, and what is deployed under them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from xacct_assets.aws.botocore_errors import aws_call
from xacct_assets.aws.errors import (
    AccessDenied,
    AwsFailure,
    CredentialsProblem,
    InvalidRequest,
    NotFound,
)
from xacct_assets.aws.sessions import profile_of_role
from xacct_assets.aws.stack_reading import DEAD, GOOD, stack_names
from xacct_assets.feed.deployment import DEPLOY, require_stack
from xacct_assets.feed.spec import FeedSpec
from xacct_assets.operations.deployment import plan
from xacct_assets.operations.deployment.retired import find_retired
from xacct_assets.operations.doctor.findings import Caution
from xacct_assets.operations.doctor.installation import Installation

_BUNDLES = ("AWS_CA_BUNDLE", "SSL_CERT_FILE")
_PROFILES = ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE")
_STACK_B = "xacct-account-b-"


def named_files() -> str:
    """The files of profiles and certificate authorities that the environment names are there."""
    for name in _PROFILES:
        path = os.environ.get(name)
        if path and not Path(path).is_file():
            raise InvalidRequest(
                f"{name} names {path}, which is no file",
                reason="no AWS profile can be read",
                fix=f"correct {name} in .env, or leave it out for the file in ~/.aws",
            )
    named = {name: os.environ[name] for name in _BUNDLES if os.environ.get(name)}
    for name, path in named.items():
        if not Path(path).is_file():
            others = [other for other in named.values() if Path(other).is_file()]
            instead = f"`{name}={others[0]}` in .env" if others else f"correct {name} in .env"
            raise InvalidRequest(
                f"{name} names {path}, which is no file",
                reason="no TLS connection can be verified",
                fix=f"{instead}; or leave it out to trust the system's authorities "
                "(`xacct-sandbox up` writes it for the sandbox)",
            )
    if not named:
        return "the system's certificate authorities are trusted"
    return ", ".join(f"{name}={path}" for name, path in named.items())


def credentials(here: Installation) -> str | Caution:
    """The credentials are the orchestrator's, of account B."""
    settings = here.settings
    try:
        account, arn = here.aws.sessions.identity()
    except AwsFailure as failure:
        raise _no_identity(here, failure) from failure
    if account == settings.account_b:
        if f":assumed-role/{settings.orchestrator_role_arn.rpartition('/')[2]}/" in arn:
            return arn
        return Caution(
            f"{arn} is not the orchestrator role, which runs use",
            "what passes here may fail in a run: use a profile of "
            f"{settings.orchestrator_role_arn}",
        )
    fix = _profile_fix(here)
    if _has_stack(here, settings.stack_b):
        fix = f"`XACCT_ACCOUNT_B={account}` in .env: the installation is in that account"
    raise CredentialsProblem(
        f"these credentials are of account {account}",
        reason=f"the pipeline runs in account B, {settings.account_b}",
        principal=arn,
        fix=fix,
    )


def _no_identity(here: Installation, failure: AwsFailure) -> AwsFailure:
    if isinstance(failure, CredentialsProblem):
        failure.fix = _profile_fix(here)
    if isinstance(failure, AccessDenied):
        role = here.settings.orchestrator_role_arn
        return AccessDenied(
            "the orchestrator role cannot be assumed",
            reason=failure.reason,
            principal=failure.principal,
            fix=f"`{DEPLOY}` restores {role} and its trust policy; who may assume it besides ECS "
            "tasks is named by XACCT_ORCHESTRATOR_TRUSTED_ARNS",
        )
    return failure


def _profile_fix(here: Installation) -> str:
    """The profile that assumes the orchestrator role, by its name if there is one."""
    role = here.settings.orchestrator_role_arn
    found = profile_of_role(role)
    if found is None:
        return f"set AWS_PROFILE to a profile that assumes the orchestrator role ({role})"
    return f"`AWS_PROFILE={found}` in .env: that profile assumes the orchestrator role"


def _has_stack(here: Installation, name: str) -> bool:
    try:
        return name in stack_names(here.aws.client("cloudformation"))
    except AwsFailure:
        return False


def installation(here: Installation) -> str | Caution:
    """Account B's stack is there, in this Region, under this suffix."""
    settings = here.settings
    names = stack_names(here.aws.client("cloudformation"))
    if settings.stack_b not in names:
        raise _not_here(here, names)
    stack = here.stack(settings.stack_b)
    if stack.status in DEAD or stack.status == "DELETE_FAILED":
        raise NotFound(
            f"stack {stack.name} is {stack.status}",
            fix=f"`aws cloudformation delete-stack --stack-name {stack.name}`, then `{DEPLOY}`",
        )
    if stack.status not in GOOD:
        return Caution(
            f"stack {stack.name} is {stack.status}", f"`{DEPLOY}` waits for its end, or goes on"
        )
    return f"stack {stack.name} is {stack.status}"


def _not_here(here: Installation, names: list[str]) -> AwsFailure:
    settings = here.settings
    others = sorted(name.removeprefix(_STACK_B) for name in names if name.startswith(_STACK_B))
    what = f"there is no stack {settings.stack_b} in account {settings.account_b}"
    if others:
        return NotFound(
            f"{what}, {settings.region}",
            reason=f"the installations there are {', '.join(others)}",
            fix=f"`XACCT_SUFFIX={others[0]}` in .env; or `{DEPLOY}` to make this one",
        )
    elsewhere = _region_of_buckets(here)
    if elsewhere and elsewhere != settings.region:
        return NotFound(
            f"{what}, {settings.region}",
            reason=f"its bucket {settings.processing_bucket} is in {elsewhere}",
            fix=f"`AWS_REGION={elsewhere}` in .env",
        )
    return NotFound(f"{what}, {settings.region}", reason="nothing is deployed", fix=f"`{DEPLOY}`")


def _region_of_buckets(here: Installation) -> str | None:
    bucket, owner = here.settings.processing_bucket, here.settings.account_b
    try:
        with aws_call("s3:ListBucket", f"arn:aws:s3:::{bucket}", account=owner):
            answer = here.aws.client("s3").head_bucket(Bucket=bucket, ExpectedBucketOwner=owner)
    except AwsFailure:
        return None
    headers = answer["ResponseMetadata"].get("HTTPHeaders", {})
    region: str | None = answer.get("BucketRegion") or headers.get("x-amz-bucket-region")
    return region


def settings_match(here: Installation) -> str:
    """The settings name what is deployed."""
    differences = list(_differing(here))
    if not differences:
        settings = here.settings
        return (
            f"accounts {settings.account_a} and {settings.account_b}, {settings.region}, suffix "
            f"{settings.suffix}, as deployed"
        )
    # Other names follow from these by default.
    derived = {"XACCT_ACCOUNT_A": None, "XACCT_WORKGROUP": "XACCT_NAMESPACE"}
    for name, follows in derived.items():
        if any(variable == name for variable, _, _ in differences):
            differences = [
                entry
                for entry in differences
                if entry[0] == name or (follows is not None and entry[0] != follows)
            ]
    raise InvalidRequest(
        "; ".join(f"{name} is {now}, deployed is {was}" for name, now, was in differences),
        fix=", ".join(f"`{name}={was}`" for name, _, was in differences)
        + f" in .env; if the deployed one is wrong: `{DEPLOY}`",
    )


def _differing(here: Installation) -> Iterator[tuple[str, str, str]]:
    """Variable, its value and the deployed value, of each setting that is not as deployed."""
    settings = here.settings
    stack = here.stack(settings.stack_b)
    deployed = {**stack.parameters, "RoleBArn": stack.outputs.get("RoleBArn", "")}
    pairs = {
        "XACCT_ACCOUNT_A": ("AccountAId", settings.account_a),
        "XACCT_INPUT_BUCKET": ("InputBucket", settings.input_bucket),
        "XACCT_EXPORT_BUCKET": ("ExportBucket", settings.export_bucket),
        "XACCT_PROCESSING_BUCKET": ("ProcessingBucket", settings.processing_bucket),
        "XACCT_ROLE_A_ARN": ("RoleAArn", settings.role_a_arn),
        "XACCT_ROLE_B_ARN": ("RoleBArn", settings.role_b_arn),
        "XACCT_GLUE_CONNECTION": ("GlueConnectionName", settings.glue_connection),
        "XACCT_WORKGROUP": ("WorkgroupName", settings.workgroup),
        "XACCT_DATABASE": ("DatabaseName", settings.database),
        "XACCT_REDSHIFT_LOGIN": ("RedshiftLogin", settings.redshift_login),
        "XACCT_REDSHIFT_SECRET": ("SecretName", settings.redshift_secret),
    }
    if "secret" not in settings.adopted and not settings.logs_in_by_iam:
        pairs["XACCT_DATABASE_USER"] = ("DatabaseUser", settings.database_user)
    if not settings.adopted & {"workgroup", "namespace"}:
        pairs["XACCT_NAMESPACE"] = ("NamespaceName", settings.namespace)
    for variable, (parameter, value) in pairs.items():
        there = deployed.get(parameter, "")
        if there and there != value:
            yield variable, value, there


def deployment(here: Installation, feed: FeedSpec) -> str | Caution:
    """The feed's stack is there, and was made from the feed's settings."""
    settings = here.settings
    status = require_stack(feed, here.aws)
    name = feed.stack_name(settings.suffix)
    outputs = here.stack(settings.stack_b).outputs
    planned = plan.feed_stack(settings, here.root, feed, outputs).parameters
    deployed = here.stack(name).parameters
    changed = [
        f"{key} is {deployed[key]}, its settings say {value}"
        for key, value in planned.items()
        if key in deployed and deployed[key] != value
    ]
    if changed:
        raise InvalidRequest(
            f"stack {name} is not of the feed's settings: {'; '.join(changed)}", fix=f"`{DEPLOY}`"
        )
    if status in GOOD:
        return f"stack {name} is {status}"
    return Caution(f"stack {name} is {status}", f"`{DEPLOY}` waits for its end, or goes on")


def retired_feeds(here: Installation) -> str | Caution:
    """Every feed with a stack in this installation is in the settings."""
    client = here.aws.client("cloudformation")
    retired = find_retired(client, here.settings.suffix, here.feeds)
    if not retired:
        return "every feed with a stack is in the settings"
    return Caution(
        "; ".join(feed.describe() for feed in retired),
        "; ".join(feed.retire_command for feed in retired),
    )
