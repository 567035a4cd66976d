"""Plans a deployment: which template with which parameters in which account."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from xacct_assets.aws.errors import DeployFailed
from xacct_assets.feed.spec import FeedSpec
from xacct_assets.feed.sql_files.folder import sql_folder
from xacct_assets.operations.deployment.adopted import Adopted
from xacct_assets.settings import Settings

SCRIPT_KEY = "scripts/load.py"
LIBRARIES_KEY = "scripts/load_libraries.zip"
Account = Literal["a", "b"]
ACCOUNTS: tuple[Account, ...] = ("a", "b")
NOTHING_ADOPTED = Adopted()
#: More are not named one by one: all inline policies of a role have 10,240 characters together (IAM
#: user guide, "IAM and AWS STS quotas").
CATALOG_DATABASES = 12
#: Outputs of account B's stack that account A's and the feeds' are made from.
OUTPUTS_B = ("DatabaseUser", "GlueRoleArn", "OrchestratorRoleArn", "RoleBArn", "ArrivalQueueArn")
#: Parameters of account B's template -> the outputs of the network's stack that they are made from.
NETWORK_OF_B = {
    "WarehouseSubnetIds": "WarehouseSubnetIds",
    "WarehouseSecurityGroupIds": "WarehouseSecurityGroupId",
    "GlueSubnetId": "GlueSubnetId",
    "GlueSecurityGroupId": "GlueSecurityGroupId",
    "GlueAvailabilityZone": "GlueAvailabilityZone",
}
OUTPUTS_NETWORK = tuple(NETWORK_OF_B.values())
#: Parameters of the orchestrator's template -> the outputs of the network's and account B's stacks.
NETWORK_OF_ORCHESTRATOR = {
    "VpcId": "OrchestratorVpcId",
    "SubnetIds": "OrchestratorSubnetIds",
    "SecurityGroupId": "OrchestratorSecurityGroupId",
}
B_OF_ORCHESTRATOR = {
    "OrchestratorRoleArn": "OrchestratorRoleArn",
    "AlertsTopicArn": "AlertsTopicArn",
    "DatabaseUser": "DatabaseUser",
}


@dataclass(frozen=True)
class StackPlan:
    """One stack to deploy."""

    name: str
    account: Account
    template: str
    parameters: dict[str, str]


def template(root: Path, name: str) -> str:
    """The text of a template.

    Raises:
        DeployFailed: there is none.
    """
    path = root / "infra" / name
    if not path.is_file():
        raise DeployFailed(
            f"{path} does not exist",
            fix="install the package again; in a checkout: git checkout -- infra",
        )
    return path.read_text(encoding="utf-8")


def network(settings: Settings, root: Path) -> StackPlan:
    """The stack of the network in account B: deployed first, since the others are placed in it."""
    parameters = {"Suffix": settings.suffix, "RedshiftLogin": settings.redshift_login}
    if settings.warehouse_port:
        parameters["WarehousePort"] = str(settings.warehouse_port)
    return StackPlan(settings.stack_network, "b", template(root, "network.yaml"), parameters)


def account_b(
    settings: Settings,
    root: Path,
    adopted: Adopted = NOTHING_ADOPTED,
    network_outputs: Mapping[str, str] | None = None,
    feeds: Sequence[FeedSpec] = (),
) -> StackPlan:
    """The stack of account B; before account A's, whose bucket policies name its roles.

    Without ``network_outputs``, the network is the owner's: its ids are template parameters, which
    later deployments keep.
    """
    placed = network_outputs or {}
    parameters = {
        **{name: placed[output] for name, output in NETWORK_OF_B.items() if output in placed},
        **adopted.parameters(settings),
        "AccountAId": settings.account_a,
        "Suffix": settings.suffix,
        "InputBucket": settings.input_bucket,
        "ExportBucket": settings.export_bucket,
        "ProcessingBucket": settings.processing_bucket,
        "RoleAArn": settings.role_a_arn,
        "SecretName": settings.redshift_secret,
        "GlueConnectionName": settings.glue_connection,
        "WorkgroupName": settings.workgroup,
        "DatabaseName": settings.database,
        "CatalogArns": _catalog_arns(settings, feeds),
        **settings.keys.parameters("input", "export", "processing", "secret", "log"),
    }
    if settings.warehouse_host:
        parameters["WarehouseHost"] = settings.warehouse_host
    if settings.warehouse_port:
        parameters["WarehousePort"] = str(settings.warehouse_port)
    if settings.trusted_arns:
        parameters["OrchestratorTrustedArns"] = ",".join(settings.trusted_arns)
    return StackPlan(settings.stack_b, "b", template(root, "account_b.yaml"), parameters)


def _catalog_arns(settings: Settings, feeds: Sequence[FeedSpec]) -> str:
    """The catalog, and the feeds' databases and tables in it.

    Beyond so many databases, "": they would not fit into the policies of a role.
    """
    databases = sorted({feed.catalog.database for feed in feeds})
    if len(databases) > CATALOG_DATABASES:
        return ""
    glue = f"arn:{settings.partition}:glue:{settings.region}:{settings.account_b}"
    names = [arn for name in databases for arn in (f"database/{name}", f"table/{name}/*")]
    return ",".join(f"{glue}:{name}" for name in ("catalog", *names)) if names else ""


def account_a(
    settings: Settings, root: Path, outputs_b: Mapping[str, str], feeds: Sequence[FeedSpec]
) -> StackPlan:
    """The stack of account A, which names the roles of account B's stack.

    S3 notifies the arrival queue only if a feed reads it: otherwise nothing would delete the
    messages.

    Raises:
        DeployFailed: account B's stack is not there, or is of an earlier release.
    """
    missing = [name for name in OUTPUTS_B if name not in outputs_b]
    if missing:
        raise DeployFailed(
            f"account A needs {', '.join(missing)} of stack {settings.stack_b}, which has no such "
            "output" + ("" if outputs_b else ": it is not deployed"),
            fix="run `xacct deploy --account b` first: a bucket policy can only name roles that "
            "exist",
        )
    is_notified = any(reads_queue(feed, settings.suffix) for feed in feeds)
    parameters = {
        "AccountBId": settings.account_b,
        "Suffix": settings.suffix,
        "InputBucket": settings.input_bucket,
        "AdoptInputBucket": str("input-bucket" in settings.adopted).lower(),
        "ExportBucket": settings.export_bucket,
        "AdoptExportBucket": str("export-bucket" in settings.adopted).lower(),
        "DatabaseUser": outputs_b["DatabaseUser"],
        "GlueRoleArn": outputs_b["GlueRoleArn"],
        "OrchestratorRoleArn": outputs_b["OrchestratorRoleArn"],
        "RoleBArn": outputs_b["RoleBArn"],
        "ArrivalQueueArn": outputs_b["ArrivalQueueArn"] if is_notified else "",
        **settings.keys.parameters("input", "export"),
    }
    return StackPlan(settings.stack_a, "a", template(root, "account_a.yaml"), parameters)


def orchestrator(
    settings: Settings,
    root: Path,
    outputs_b: Mapping[str, str],
    network_outputs: Mapping[str, str] | None = None,
) -> StackPlan:
    """The stack of what hosts Dagster in account B: deployed last.

    Its image is the template parameter ``Image``, and its network, if it is the owner's, others;
    later deployments keep them.
    """
    placed = network_outputs or {}
    public = placed.get("OrchestratorPublicSubnetIds")
    parameters = {
        **{name: placed[output] for name, output in NETWORK_OF_ORCHESTRATOR.items() if placed},
        **{name: outputs_b[output] for name, output in B_OF_ORCHESTRATOR.items()},
        "Suffix": settings.suffix,
        "AccountAId": settings.account_a,
        "InputBucket": settings.input_bucket,
        "ExportBucket": settings.export_bucket,
        "ProcessingBucket": settings.processing_bucket,
        "RoleAArn": settings.role_a_arn,
        "RoleBArn": settings.role_b_arn,
        "WorkgroupName": settings.workgroup,
        "NamespaceName": settings.namespace or settings.workgroup,
        "DatabaseName": settings.database,
        "SecretName": settings.redshift_secret,
        "JsonSecretName": settings.data_api_secret or "",
        "GlueConnectionName": settings.glue_connection,
        "ConsoleUrl": settings.console_url,
        "DagsterUrl": settings.dagster_url or "",
        **settings.keys.parameters("export"),
        "RedshiftLogin": settings.redshift_login,
        "LogKeyArn": outputs_b.get("LogKeyArn", ""),
    }
    if public:
        parameters["PublicSubnetIds"] = public
    text = template(root, "orchestrator.yaml")
    return StackPlan(settings.stack_orchestrator, "b", text, parameters)


def reads_queue(feed: FeedSpec, suffix: str) -> bool:
    """Whether the feed reads notifications from the queue of account B's stack."""
    arrival = feed.arrival
    return arrival.mode == "events" and arrival.queue in (None, f"xacct-arrivals-{suffix}")


def feed_stack(
    settings: Settings, root: Path, feed: FeedSpec, outputs_b: Mapping[str, str]
) -> StackPlan:
    """The stack of one feed: catalog database, crawler and Glue job.

    Raises:
        DeployFailed: the feed reads a bucket that the installation has no permissions for.
    """
    bucket = feed.source.bucket or settings.input_bucket
    if bucket != settings.input_bucket:
        raise DeployFailed(
            f"feed {feed.name} reads bucket {bucket}",
            reason=f"this installation's roles and policies allow {settings.input_bucket} only",
            fix="leave source.bucket out of the feed's defs.yaml, or set XACCT_INPUT_BUCKET",
        )
    load, tables = feed.load, feed.warehouse
    export_bucket = feed.export.bucket or settings.export_bucket
    parameters = {
        "Feed": feed.name,
        "CatalogDatabase": feed.catalog.database,
        "CrawlerName": feed.crawler_name(settings.suffix),
        "JobName": feed.job_name(settings.suffix),
        "GlueRoleArn": outputs_b["GlueRoleArn"],
        "InputBucket": bucket,
        "InputPrefix": feed.source.prefix,
        "ProcessingBucket": settings.processing_bucket,
        "GlueConnectionName": _job_connection(settings, outputs_b),
        "WorkerType": load.worker_type,
        "NumberOfWorkers": str(load.number_of_workers),
        "TimeoutMinutes": str(load.timeout_minutes),
        "MaxConcurrentRuns": str(load.max_concurrent_runs),
        "ExportLocation": f"s3://{export_bucket}/{feed.export.prefix}/",
        "WarehouseObjects": f"{tables.staging}, {tables.fact}, {tables.procedure}()",
    }
    text = template(root, "feed.yaml")
    if has_parameter(text, "LogKeyArn"):
        parameters["LogKeyArn"] = outputs_b.get("LogKeyArn", "")
    return StackPlan(feed.stack_name(settings.suffix), "b", text, parameters)


def _job_connection(settings: Settings, outputs_b: Mapping[str, str]) -> str:
    """The job's connection; with a login by IAM there is one only where Glue has a subnet."""
    if settings.logs_in_by_iam:
        return outputs_b.get("GlueConnectionName", "")
    return settings.glue_connection


def with_overrides(plan: StackPlan, overrides: Mapping[str, str]) -> StackPlan:
    """The plan with those of the overriding parameters that its template declares."""
    declared = {key: value for key, value in overrides.items() if has_parameter(plan.template, key)}
    return StackPlan(plan.name, plan.account, plan.template, {**plan.parameters, **declared})


def has_parameter(template_text: str, name: str) -> bool:
    """Whether the template declares the parameter."""
    _, found, rest = template_text.partition("\nParameters:\n")
    if not found:
        return False
    section: list[str] = []
    for line in rest.splitlines():
        if line and not line[0].isspace() and not line.startswith("#"):
            break
        section.append(line)
    return any(line.rstrip() == f"  {name}:" for line in section)


def resource_types(template_text: str) -> dict[str, str]:
    """The type of each resource of a template, by its logical id."""
    _, _, resources = template_text.partition("\nResources:\n")
    return dict(re.findall(r"(?m)^  (\w+):\n    Type: (\S+)$", resources))


def shared_scripts(root: Path) -> list[Path]:
    """The SQL scripts of the tables that all feeds share."""
    return sorted((root / "sql").glob("*.sql"))


def scripts(
    root: Path, feeds: Sequence[FeedSpec], extra_feeds_dir: Path | None = None
) -> list[Path]:
    """The SQL scripts in the order they are applied: shared scripts, then those of each feed.

    A feed's tables come before its procedures. Feeds of ``extra_feeds_dir`` have their SQL beside
    their defs.yaml.

    Raises:
        DeployFailed: a feed has no SQL.
    """
    paths = shared_scripts(root)
    for feed in feeds:
        folder = sql_folder(feed.name, root, extra_feeds_dir)
        feed_paths = sorted(
            folder.glob("*.sql"),
            key=lambda path: (path.name.startswith(("procedure", "latest")), path.name),
        )
        if not feed_paths:
            raise DeployFailed(
                f"feed {feed.name} has no SQL",
                reason=f"there is no .sql file in {folder}",
                fix=f"xacct feed sql {feed.name}",
            )
        paths += feed_paths
    return paths
