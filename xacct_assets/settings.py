"""The settings of an installation, read from the environment.

Four variables are required. All other names have defaults that follow from them and can be
overridden; `.env.example` lists all. Settings hold no secret: passwords are read where they are
used.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from xacct_assets.aws.console import default_url
from xacct_assets.key_settings import ALIASES, IN_ACCOUNT_A, NO_KEYS, KeyKind, Keys, read_keys
from xacct_assets.setting_values import (
    ACCOUNT_A,
    ACCOUNT_B,
    CONNECTION,
    DATABASE,
    DATABASE_USER,
    HOST,
    LOGIN,
    NETWORK,
    ORCHESTRATOR,
    PRINCIPAL,
    PROFILE,
    REGION,
    SECRET,
    SUFFIX,
    UI_URL,
    URL,
    WORKGROUP,
    Format,
    Variables,
)

#: Beginnings of the default names of buckets. Suffix and account id follow: bucket names are unique
#: in all of AWS, and somebody has the short ones.
INPUT_BUCKET, EXPORT_BUCKET = "sample-inp-bucket-etl", "sample-opt-bucket-etl"
WORKING_BUCKET = "xacct-processing"
#: What an installation may adopt: it existed before, is its owner's, and is never deleted.
ADOPTABLE = (
    "input-bucket",
    "export-bucket",
    "processing-bucket",
    "secret",
    "workgroup",
    "namespace",
)


class SettingsError(Exception):
    """Environment variables are missing or wrong; the message lists all of them at once.

    Attributes:
        problems: variable name -> what is wrong with it and what to give instead.
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
        suffix: end of every name, so that several installations can share the accounts.
        namespace: of Redshift Serverless, if `xacct deploy` makes or looks it up by name.
        redshift_login: ``secret``, or ``iam``: a temporary password for the caller's own identity.
        database_user: whom the pipeline logs in as, if `xacct deploy` makes the secret.
        data_api_secret: a JSON secret for the Data API and Glue; without it, `xacct deploy` makes
            one if `redshift_secret` is a URI.
        console_url: the AWS Console that links lead to, without a slash at its end.
        dagster_url: the Dagster UI that links in alerts lead to, likewise.
        account_a_profile, account_b_profile: AWS profiles that `xacct deploy` uses; None = default.
        warehouse_host, warehouse_port: template parameters of `xacct deploy`, for clients that do
            not connect to the workgroup's own endpoint.
        trusted_arns: principals, besides ECS tasks, that may assume the orchestrator role; used by
            `xacct deploy` only.
        extra_feeds_dir: folder with feeds besides those of the package.
        orchestrator: ``create`` = `xacct deploy` makes what hosts Dagster; ``own`` = you have it.
        network: ``create`` = `xacct deploy` makes the VPCs; ``own`` = their ids are parameters.
        adopted: which of `ADOPTABLE` existed before; used by `xacct deploy`, `destroy`, `doctor`.
        admin_secret: the login that makes tables and users; used by the same commands only.
        keys: KMS keys of buckets, secrets and log groups.
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
    console_url: str
    account_a_profile: str | None = None
    account_b_profile: str | None = None
    warehouse_host: str | None = None
    warehouse_port: int | None = None
    trusted_arns: tuple[str, ...] = ()
    extra_feeds_dir: Path | None = None
    adopted: frozenset[str] = frozenset()
    network: str = "create"
    orchestrator: str = "create"
    namespace: str = ""
    database_user: str = ""
    dagster_url: str | None = None
    admin_secret: str | None = None
    redshift_login: str = "secret"
    keys: Keys = NO_KEYS

    @property
    def logs_in_by_iam(self) -> bool:
        """Whether the pipeline logs in to Redshift by IAM, without a secret."""
        return self.redshift_login == "iam"

    @property
    def json_secret(self) -> str:
        """The JSON secret that `xacct deploy` makes of an adopted secret that is a URI."""
        return f"xacct/redshift-json-{self.suffix}"

    def alias_of(self, key: KeyKind) -> str:
        """The ARN of the alias of a key that the templates make."""
        owner = self.account_a if key in IN_ACCOUNT_A else self.account_b
        return f"arn:{self.partition}:kms:{self.region}:{owner}:{ALIASES[key]}-{self.suffix}"

    @property
    def alerts_topic_arn(self) -> str:
        """The SNS topic in account B that alerts are published to."""
        return f"arn:{self.partition}:sns:{self.region}:{self.account_b}:xacct-alerts-{self.suffix}"

    @property
    def partition(self) -> str:
        """The AWS partition of the Region, e.g. ``aws`` or ``aws-us-gov``."""
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
    def stack_network(self) -> str:
        """CloudFormation stack of the network in account B."""
        return f"xacct-network-{self.suffix}"

    @property
    def stack_orchestrator(self) -> str:
        """CloudFormation stack in account B of what hosts Dagster."""
        return f"xacct-orchestrator-{self.suffix}"

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
        """Read and validate all settings.

        Args:
            env: by default the environment of the process.

        Raises:
            SettingsError: names every variable that is missing or wrong, with an example.
        """
        return _Reader(os.environ if env is None else env).settings()


def _partition(region: str) -> str:
    prefixes = {"cn": "aws-cn", "us-gov": "aws-us-gov"}
    return next((p for start, p in prefixes.items() if region.startswith(start + "-")), "aws")


_ADOPTED = Format(
    "|".join(ADOPTABLE),
    f"one of {', '.join(ADOPTABLE)} (join several with commas)",
    "input-bucket,secret",
)
#: What the login by IAM has no use for.
_OF_SECRET_LOGIN = (
    *("XACCT_REDSHIFT_SECRET", "XACCT_DATA_API_SECRET", "XACCT_DATABASE_USER"),
    "XACCT_SECRET_KEY",
)


def arrival_overrides(env: Mapping[str, str] | None = None) -> dict[str, int | bool]:
    """The fields of ``arrival`` that this installation sets for all of its feeds.

    Args:
        env: by default the environment of the process.

    Raises:
        SettingsError: names every variable that is wrong, with an example.
    """
    return _Reader(os.environ if env is None else env).arrival_overrides()


class _Reader(Variables):
    """Reads the settings and collects all problems."""

    def settings(self) -> Settings:
        account_a = self._required("XACCT_ACCOUNT_A", ACCOUNT_A)
        account_b = self._required("XACCT_ACCOUNT_B", ACCOUNT_B)
        suffix = self._required("XACCT_SUFFIX", SUFFIX)
        region = self._region()
        if account_a and account_a == account_b:
            self._problems["XACCT_ACCOUNT_B"] = (
                f"is the same account as XACCT_ACCOUNT_A ({account_a}); the pipeline needs two: "
                "give the id of the processing account"
            )
        in_a, in_b = f"{suffix}-{account_a}", f"{suffix}-{account_b}"
        keys, problems = read_keys(self._env, region, {"a": account_a, "b": account_b})
        self._problems.update(problems)
        values = Settings(
            account_a=account_a,
            account_b=account_b,
            suffix=suffix,
            region=region,
            input_bucket=self._bucket("XACCT_INPUT_BUCKET", f"{INPUT_BUCKET}-{in_a}"),
            export_bucket=self._bucket("XACCT_EXPORT_BUCKET", f"{EXPORT_BUCKET}-{in_a}"),
            processing_bucket=self._bucket("XACCT_PROCESSING_BUCKET", f"{WORKING_BUCKET}-{in_b}"),
            role_a_arn=self._role("XACCT_ROLE_A_ARN", region, account_a, f"xacct-RoleA-{suffix}"),
            role_b_arn=self._role("XACCT_ROLE_B_ARN", region, account_b, f"xacct-RoleB-{suffix}"),
            workgroup=self._with_default("XACCT_WORKGROUP", WORKGROUP, f"xacct-{suffix}"),
            namespace=self._with_default(
                "XACCT_NAMESPACE", WORKGROUP, self._get("XACCT_WORKGROUP") or f"xacct-{suffix}"
            ),
            database=self._with_default("XACCT_DATABASE", DATABASE, "dev"),
            database_user=self._with_default(
                "XACCT_DATABASE_USER", DATABASE_USER, f"xacct_{suffix.replace('-', '_')}"
            ),
            redshift_secret=self._with_default(
                "XACCT_REDSHIFT_SECRET", SECRET, f"xacct/redshift-{suffix}"
            ),
            data_api_secret=self._optional("XACCT_DATA_API_SECRET", SECRET),
            glue_connection=self._with_default(
                "XACCT_GLUE_CONNECTION", CONNECTION, f"xacct-redshift-{suffix}"
            ),
            console_url=self._console_url(region),
            dagster_url=(self._optional("XACCT_DAGSTER_URL", UI_URL) or "").rstrip("/") or None,
            account_a_profile=self._optional("XACCT_ACCOUNT_A_PROFILE", PROFILE),
            account_b_profile=self._optional("XACCT_ACCOUNT_B_PROFILE", PROFILE),
            warehouse_host=self._optional("XACCT_WAREHOUSE_HOST", HOST),
            warehouse_port=self._number("XACCT_WAREHOUSE_PORT", 1, 65535, example=5439),
            trusted_arns=tuple(self._list("XACCT_ORCHESTRATOR_TRUSTED_ARNS", PRINCIPAL)),
            extra_feeds_dir=self._folder("XACCT_EXTRA_FEEDS_DIR"),
            adopted=frozenset(self._list("XACCT_ADOPT", _ADOPTED)),
            network=self._network(),
            orchestrator=self._with_default("XACCT_ORCHESTRATOR", ORCHESTRATOR, self._network()),
            admin_secret=self._optional("XACCT_ADMIN_SECRET", SECRET),
            redshift_login=self._with_default("XACCT_REDSHIFT_LOGIN", LOGIN, "secret"),
            keys=keys,
        )
        self._require_distinct_buckets(values)
        self._require_one_login(values)
        self.arrival_overrides()  # raises all problems
        return values

    def arrival_overrides(self) -> dict[str, int | bool]:
        overrides = {
            "start_running": self._switch("XACCT_ARRIVAL_START_RUNNING"),
            "interval_seconds": self._number("XACCT_ARRIVAL_INTERVAL_SECONDS", 5, 3600, example=30),
            "settle_seconds": self._number("XACCT_ARRIVAL_SETTLE_SECONDS", 0, 86400, example=60),
        }
        if self._problems:
            raise SettingsError(self._problems)
        return {name: value for name, value in overrides.items() if value is not None}

    def _region(self) -> str:
        # boto3 reads AWS_DEFAULT_REGION only. Both are accepted, and clients get the Region passed.
        name = "AWS_REGION" if self._get("AWS_REGION") else "AWS_DEFAULT_REGION"
        value = self._optional(name, REGION)
        if value is None:
            self._problems["AWS_REGION"] = (
                "is required and not set (nor is AWS_DEFAULT_REGION): give the Region of both "
                "accounts, e.g. AWS_REGION=us-east-1"
            )
        return value or ""

    def _bucket(self, name: str, default: str) -> str:
        format_ = Format(
            r"(?!.*\.\.)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]",
            "a bucket name (3 to 63 lower-case letters, digits, hyphens and dots, no two dots in a "
            "row)",
            default,
        )
        return self._with_default(name, format_, default)

    def _role(self, name: str, region: str, account: str, role: str) -> str:
        default = f"arn:{_partition(region)}:iam::{account}:role/{role}"
        format_ = Format(
            r"arn:aws(?:-[a-z]+)*:iam::\d{12}:role/[\w+=,.@/-]{1,512}",
            "the ARN of an IAM role",
            default,
        )
        value = self._with_default(name, format_, default)
        if (
            name not in self._problems
            and ACCOUNT_A.matches(account)
            and f"::{account}:" not in value
        ):
            self._problems[name] = (
                f"{value!r} is not a role of account {account}, e.g. {name}={default}"
            )
        return value

    def _console_url(self, region: str) -> str:
        value = self._optional("XACCT_CONSOLE_URL", URL)
        return (value or default_url(region, _partition(region))).rstrip("/")

    def _network(self) -> str:
        adopted = "workgroup" in self._list("XACCT_ADOPT", _ADOPTED)
        value = self._with_default("XACCT_NETWORK", NETWORK, "own" if adopted else "create")
        if adopted and value == "create":
            self._problems["XACCT_NETWORK"] = (
                "is create, and XACCT_ADOPT names workgroup, which is in a network already: leave "
                "it out, or XACCT_NETWORK=own"
            )
        return value

    def _require_one_login(self, values: Settings) -> None:
        if not values.logs_in_by_iam:
            return
        because = "is set, and XACCT_REDSHIFT_LOGIN=iam logs in without it: leave one of them out"
        for name in filter(self._get, _OF_SECRET_LOGIN):
            self._problems.setdefault(name, because)
        if "secret" in values.adopted:
            self._problems.setdefault(
                "XACCT_ADOPT",
                "names secret, and XACCT_REDSHIFT_LOGIN=iam logs in without one: leave secret out, "
                "or XACCT_REDSHIFT_LOGIN",
            )

    def _require_distinct_buckets(self, values: Settings) -> None:
        buckets = {
            "XACCT_INPUT_BUCKET": values.input_bucket,
            "XACCT_EXPORT_BUCKET": values.export_bucket,
            "XACCT_PROCESSING_BUCKET": values.processing_bucket,
        }
        variable_of: dict[str, str] = {}
        for variable, bucket in buckets.items():
            if bucket in variable_of:
                self._problems.setdefault(
                    variable,
                    f"{bucket!r} is the bucket of {variable_of[bucket]} too; give each its own",
                )
            variable_of.setdefault(bucket, variable)
