"""All that an installation is called, as one typed object read from the environment.

Four variables are required; every other name follows from them by convention and can be overridden
(`.env.example` lists all). No secret is in here: passwords are read where they are used.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

_ACCOUNT = re.compile(r"\d{12}")
_SUFFIX = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,19}[a-z0-9])?")
_REGION = re.compile(r"[a-z]{2}(?:-[a-z]+)+-\d{1,2}")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_ROLE_ARN = re.compile(r"arn:aws(?:-[a-z]+)*:iam::\d{12}:role/[\w+=,.@/-]{1,512}")
_WORKGROUP = re.compile(r"[a-z0-9-]{3,64}")
_DATABASE = re.compile(r"[a-z_][a-z0-9_$]{0,63}")
_SECRET = re.compile(r"[\w/+=.@:-]{1,2048}")
_CONNECTION = re.compile(r"[^\s/:]{1,255}")
_PROFILE = re.compile(r"\S(?:.*\S)?")
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")


class SettingsError(Exception):
    """Environment variables are missing or wrong; the message lists all of them at once.

    Attributes:
        problems: variable name -> what is wrong with it.
    """

    def __init__(self, problems: Mapping[str, str]) -> None:
        self.problems = dict(problems)
        lines = "\n".join(f"  {name}: {problem}" for name, problem in self.problems.items())
        super().__init__(
            f"{len(self.problems)} setting{'s are' if len(self.problems) > 1 else ' is'} not "
            f"usable:\n{lines}\nSet them in the environment or in a file .env in the directory you "
            "start from (see .env.example; `xacct-sandbox up` writes one for the sandbox)."
        )


@dataclass(frozen=True)
class Settings:
    """Names of one installation: two accounts, one Region, one suffix.

    Attributes:
        account_a, account_b: ids of the central and the processing account.
        suffix: ends every name, so that several installations can live side by side.
        data_api_secret: a JSON secret for the Data API, where `redshift_secret` is a URI.
        account_a_profile, account_b_profile: AWS profiles that `xacct deploy` uses; None = default.
        warehouse_host, warehouse_port: told to the templates by `xacct deploy`, where clients do
            not connect to the workgroup's own endpoint.
        trusted_arns: principals that may be the orchestrator besides ECS tasks (deploy only).
        extra_feeds_dir: folder with further feeds, beside those that come with the package.
    """

    account_a: str
    account_b: str
    suffix: str
    region: str
    input_bucket: str
    export_bucket: str
    processing_bucket: str
    role_a_arn: str
    role_b_arn: str
    workgroup: str
    database: str
    redshift_secret: str
    data_api_secret: str | None
    glue_connection: str
    account_a_profile: str | None = None
    account_b_profile: str | None = None
    warehouse_host: str | None = None
    warehouse_port: int | None = None
    trusted_arns: tuple[str, ...] = ()
    extra_feeds_dir: Path | None = None

    @property
    def partition(self) -> str:
        """The AWS partition of the Region, as ARNs spell it."""
        return _partition(self.region)

    @property
    def orchestrator_role_arn(self) -> str:
        """The role that Dagster runs as."""
        return self._role_in_b("orchestrator")

    @property
    def glue_role_arn(self) -> str:
        """The role that crawlers and load jobs run as."""
        return self._role_in_b("glue")

    @property
    def stack_a(self) -> str:
        """CloudFormation stack in account A."""
        return f"xacct-account-a-{self.suffix}"

    @property
    def stack_b(self) -> str:
        """CloudFormation stack in account B."""
        return f"xacct-account-b-{self.suffix}"

    def _role_in_b(self, name: str) -> str:
        return f"arn:{self.partition}:iam::{self.account_b}:role/xacct-{name}-{self.suffix}"

    @classmethod
    def load(cls, env: Mapping[str, str] | None = None) -> Settings:
        """Read and check everything.

        Raises:
            SettingsError: naming every variable that is missing or wrong, with an example.
        """
        return _Reader(os.environ if env is None else env).settings()


def _partition(region: str) -> str:
    prefixes = {"cn": "aws-cn", "us-gov": "aws-us-gov"}
    return next((p for start, p in prefixes.items() if region.startswith(start + "-")), "aws")


class _Reader:
    """Collects values and everything that is wrong with them."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env
        self._problems: dict[str, str] = {}

    def settings(self) -> Settings:
        account_a = self._required("XACCT_ACCOUNT_A", _ACCOUNT, "12 digits", "111111111111")
        account_b = self._required("XACCT_ACCOUNT_B", _ACCOUNT, "12 digits", "222222222222")
        suffix = self._required(
            "XACCT_SUFFIX",
            _SUFFIX,
            "1 to 21 lower-case letters, digits and inner hyphens",
            "dev1",
        )
        region = self._region()
        if account_a and account_a == account_b:
            self._problems["XACCT_ACCOUNT_B"] = (
                f"is the same account as XACCT_ACCOUNT_A ({account_a}); the pipeline is for two"
            )
        partition = _partition(region)
        values = Settings(
            account_a=account_a,
            account_b=account_b,
            suffix=suffix,
            region=region,
            input_bucket=self._bucket("XACCT_INPUT_BUCKET", f"sample-inp-bucket-etl-{suffix}"),
            export_bucket=self._bucket("XACCT_EXPORT_BUCKET", f"sample-opt-bucket-etl-{suffix}"),
            processing_bucket=self._bucket("XACCT_PROCESSING_BUCKET", f"xacct-processing-{suffix}"),
            role_a_arn=self._role(
                "XACCT_ROLE_A_ARN",
                f"arn:{partition}:iam::{account_a}:role/xacct-RoleA-{suffix}",
                account_a,
            ),
            role_b_arn=self._role(
                "XACCT_ROLE_B_ARN",
                f"arn:{partition}:iam::{account_b}:role/xacct-RoleB-{suffix}",
                account_b,
            ),
            workgroup=self._optional(
                "XACCT_WORKGROUP",
                f"xacct-{suffix}",
                _WORKGROUP,
                "3 to 64 lower-case letters, digits and hyphens",
                "xacct-dev1",
            ),
            database=self._optional(
                "XACCT_DATABASE", "dev", _DATABASE, "a lower-case database name", "dev"
            ),
            redshift_secret=self._optional(
                "XACCT_REDSHIFT_SECRET",
                f"xacct/redshift-{suffix}",
                _SECRET,
                "the name or ARN of a secret",
                "xacct/redshift-dev1",
            ),
            data_api_secret=self._optional(
                "XACCT_DATA_API_SECRET",
                "",
                _SECRET,
                "the name or ARN of a secret",
                "xacct/redshift-dev1",
            )
            or None,
            glue_connection=self._optional(
                "XACCT_GLUE_CONNECTION",
                f"xacct-redshift-{suffix}",
                _CONNECTION,
                "a Glue connection name without spaces, slashes and colons",
                "xacct-redshift-dev1",
            ),
            account_a_profile=self._profile("XACCT_ACCOUNT_A_PROFILE"),
            account_b_profile=self._profile("XACCT_ACCOUNT_B_PROFILE"),
            warehouse_host=self._optional(
                "XACCT_WAREHOUSE_HOST", "", _HOST, "a host name or address", "127.0.0.1"
            )
            or None,
            warehouse_port=self._port("XACCT_WAREHOUSE_PORT"),
            trusted_arns=self._arns("XACCT_ORCHESTRATOR_TRUSTED_ARNS"),
            extra_feeds_dir=self._folder("XACCT_EXTRA_FEEDS_DIR"),
        )
        self._distinct_buckets(values)
        if self._problems:
            raise SettingsError(self._problems)
        return values

    def _get(self, name: str) -> str:
        # A variable that is set and empty means the same as one that is not set.
        return self._env.get(name, "").strip()

    def _required(self, name: str, pattern: re.Pattern[str], what: str, example: str) -> str:
        value = self._get(name)
        if not value:
            self._problems[name] = f"is required and not set: give {what}, e.g. {name}={example}"
        elif not pattern.fullmatch(value):
            self._wrong(name, value, what, example)
        return value

    def _optional(
        self, name: str, default: str, pattern: re.Pattern[str], what: str, example: str
    ) -> str:
        value = self._get(name)
        if value and not pattern.fullmatch(value):
            self._wrong(name, value, what, example)
        return value or default

    def _wrong(self, name: str, value: str, what: str, example: str) -> None:
        self._problems[name] = f"{value!r} is not {what}, e.g. {name}={example}"

    def _region(self) -> str:
        # boto3 itself reads AWS_DEFAULT_REGION only; both are accepted here, and passed on.
        name = "AWS_REGION" if self._get("AWS_REGION") else "AWS_DEFAULT_REGION"
        value = self._get(name)
        if not value:
            self._problems["AWS_REGION"] = (
                "is required and not set (nor is AWS_DEFAULT_REGION): give the Region of both "
                "accounts, e.g. AWS_REGION=us-east-1"
            )
        elif not _REGION.fullmatch(value):
            self._wrong(name, value, "an AWS Region", "us-east-1")
        return value

    def _bucket(self, name: str, default: str) -> str:
        value = self._optional(
            name,
            default,
            _BUCKET,
            "a bucket name (3 to 63 lower-case letters, digits, dots and hyphens)",
            default,
        )
        if ".." in value:
            self._wrong(name, value, "a bucket name (it has two dots in a row)", default)
        return value

    def _role(self, name: str, default: str, account: str) -> str:
        value = self._optional(name, default, _ROLE_ARN, "the ARN of an IAM role", default)
        if (
            name not in self._problems
            and _ACCOUNT.fullmatch(account)
            and f"::{account}:" not in (value)
        ):
            self._problems[name] = (
                f"{value!r} is not a role of account {account}, e.g. {name}={default}"
            )
        return value

    def _profile(self, name: str) -> str | None:
        return self._optional(name, "", _PROFILE, "the name of an AWS profile", "central") or None

    def _port(self, name: str) -> int | None:
        value = self._get(name)
        if not value:
            return None
        if not (value.isascii() and value.isdigit() and 1 <= int(value) <= 65535):
            self._wrong(name, value, "a port number from 1 to 65535", "5439")
            return None
        return int(value)

    def _folder(self, name: str) -> Path | None:
        value = self._get(name)
        if not value:
            return None
        path = Path(value).absolute()
        if not path.is_dir():
            self._problems[name] = f"{value!r} is not a folder, e.g. {name}=/srv/our-feeds"
        return path

    def _arns(self, name: str) -> tuple[str, ...]:
        arns = tuple(part.strip() for part in self._get(name).split(",") if part.strip())
        is_principal: Callable[[str], object] = re.compile(
            r"arn:aws(?:-[a-z]+)*:iam::\d{12}:(?:root|(?:role|user)/[\w+=,.@/-]+)"
        ).fullmatch
        for arn in arns:
            if not is_principal(arn):
                self._wrong(
                    name,
                    arn,
                    "the ARN of an IAM role, user or account root (join several with commas)",
                    "arn:aws:iam::222222222222:role/engineer",
                )
        return arns

    def _distinct_buckets(self, values: Settings) -> None:
        names = {
            "XACCT_INPUT_BUCKET": values.input_bucket,
            "XACCT_EXPORT_BUCKET": values.export_bucket,
            "XACCT_PROCESSING_BUCKET": values.processing_bucket,
        }
        seen: dict[str, str] = {}
        for variable, bucket in names.items():
            if bucket in seen:
                self._problems.setdefault(
                    variable,
                    f"{bucket!r} is the bucket of {seen[bucket]} too; each needs its own",
                )
            seen.setdefault(bucket, variable)
