"""Creates the users that exist before any stack: an admin in each account, a developer in B.

Everything else in the accounts comes from the CloudFormation templates. The keys of the users are
written to AWS config and credentials files, which any AWS client reads.
"""

from __future__ import annotations

import configparser
import io
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path

from xacct_sandbox import emulator
from xacct_sandbox.daemon.config import SandboxConfig
from xacct_sandbox.service_errors import ServiceError

ADMINISTRATOR = "arn:aws:iam::aws:policy/AdministratorAccess"


@dataclass(frozen=True)
class Profile:
    """A user and the name of its profile in the AWS config file."""

    name: str
    account: str
    user: str


def profiles(config: SandboxConfig) -> tuple[Profile, ...]:
    """The profiles of all users."""
    return (
        Profile("account-a-admin", config.account_a, "admin"),
        Profile("account-b-admin", config.account_b, "admin"),
        Profile("developer", config.account_b, "developer"),
    )


def vend_accounts(config: SandboxConfig) -> None:
    """Creates the users, their keys and the two files. Valid keys are kept."""
    config.aws_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    previous = configparser.RawConfigParser()
    previous.read(config.aws_credentials_file, encoding="utf-8")
    credentials = configparser.RawConfigParser()
    for profile in profiles(config):
        _ensure_user(config, profile)
        keys = previous[profile.name] if previous.has_section(profile.name) else {}
        key_id = keys.get("aws_access_key_id", "")
        if key_id and key_id in _access_keys(profile):
            secret = keys.get("aws_secret_access_key", "")
        else:
            key_id, secret = _new_key(profile)
        credentials[profile.name] = {
            "aws_access_key_id": key_id,
            "aws_secret_access_key": secret,
        }
    _write(config.aws_credentials_file, credentials)
    _write(config.aws_config_file, _config_file(config))


def _ensure_user(config: SandboxConfig, profile: Profile) -> None:
    try:
        emulator.iam(profile.account, "GetUser", UserName=profile.user)
    except ServiceError as error:
        if error.code != "NoSuchEntity":
            raise
        emulator.iam(profile.account, "CreateUser", UserName=profile.user)
    if profile.user == "admin":
        emulator.iam(
            profile.account, "AttachUserPolicy", UserName=profile.user, PolicyArn=ADMINISTRATOR
        )
    else:
        emulator.iam(
            profile.account,
            "PutUserPolicy",
            UserName=profile.user,
            PolicyName="assume-orchestrator",
            PolicyDocument=json.dumps(
                {
                    "Version": "2012-10-17",
                    "Statement": {
                        "Effect": "Allow",
                        "Action": "sts:AssumeRole",
                        "Resource": config.orchestrator_role_arn,
                    },
                }
            ),
        )


def _access_keys(profile: Profile) -> list[str]:
    answer = emulator.iam(profile.account, "ListAccessKeys", UserName=profile.user)
    return re.findall(r"<AccessKeyId>([^<]+)</AccessKeyId>", answer)


def _new_key(profile: Profile) -> tuple[str, str]:
    """Replaces all keys of the user: their secrets were in the lost file."""
    for key_id in _access_keys(profile):
        emulator.iam(profile.account, "DeleteAccessKey", UserName=profile.user, AccessKeyId=key_id)
    answer = emulator.iam(profile.account, "CreateAccessKey", UserName=profile.user)
    new_id = re.search(r"<AccessKeyId>([^<]+)", answer)
    secret = re.search(r"<SecretAccessKey>([^<]+)", answer)
    if new_id is None or secret is None:
        raise ServiceError("IAMError", f"CreateAccessKey returned no key: {answer}", 500)
    return new_id[1], secret[1]


def _config_file(config: SandboxConfig) -> configparser.RawConfigParser:
    """The AWS config file. Profiles name the endpoint and the CA, so they need no variables."""
    common = {
        "region": config.region,
        "endpoint_url": config.endpoint_url,
        "ca_bundle": str(config.ca_pem),
    }
    parser = configparser.RawConfigParser()
    for profile in profiles(config):
        parser[f"profile {profile.name}"] = common
    parser["profile orchestrator"] = {
        **common,
        "role_arn": config.orchestrator_role_arn,
        "source_profile": "developer",
    }
    return parser


def _write(path: Path, parser: configparser.RawConfigParser) -> None:
    text = io.StringIO()
    parser.write(text)
    partial = path.with_suffix(".new")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text.getvalue())
    os.replace(partial, path)
