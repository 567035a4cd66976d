"""The checks of `xacct doctor`.

Each returns what it found, or a `Caution`, or raises `AwsFailure` with the fix.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from xacct_assets.aws.botocore_errors import aws_call
from xacct_assets.aws.errors import CredentialsProblem, DeployFailed, NotFound
from xacct_assets.aws.s3.keys import KeySample

if TYPE_CHECKING:
    from xacct_assets.aws_clients import AwsClients
    from xacct_assets.feed.spec import FeedSpec

#: The newest day folders of a feed in which files that are not loaded are looked for.
RECENT_DAYS = 31


@dataclass(frozen=True)
class Caution:
    """What a check found that needs attention and stops nothing.

    Attributes:
        fix: what to do about it.
    """

    detail: str
    fix: str


def credentials(aws: AwsClients) -> str:
    """The credentials are of account B."""
    settings = aws.settings
    account, arn = aws.sessions.identity()
    if account != settings.account_b:
        raise CredentialsProblem(
            f"these credentials are of account {account}",
            reason=f"the pipeline runs in account B, {settings.account_b}",
            principal=arn,
            fix="set AWS_PROFILE to a profile that assumes the orchestrator role "
            f"({settings.orchestrator_role_arn})",
        )
    return arn


def sql_files(aws: AwsClients, feed: FeedSpec) -> str:
    """The committed SQL has the feed's columns, and its procedure keeps the contract."""
    from xacct_assets.feed.sql_files.differences import sql_differences
    from xacct_assets.feed.sql_files.folder import sql_folder
    from xacct_assets.sources import sources_root

    folder = sql_folder(feed.name, sources_root(), aws.settings.extra_feeds_dir)
    if not any(folder.glob("*.sql")):
        raise NotFound(
            f"feed {feed.name} has no SQL in {folder}", fix=f"xacct feed sql {feed.name}"
        )
    found = sql_differences(feed, folder)
    if found:
        raise DeployFailed(
            f"the SQL of feed {feed.name} is not what its defs.yaml says",
            reason="; ".join(problem for problem, _ in found),
            fix="; ".join(dict.fromkeys(fix for _, fix in found)),
        )
    return f"{folder} has the columns of defs.yaml"


def deployment(aws: AwsClients, feed: FeedSpec) -> str | Caution:
    """The feed's stack is there."""
    from xacct_assets.aws.stack_reading import GOOD
    from xacct_assets.feed.deployment import DEPLOY, require_stack

    status = require_stack(feed, aws)
    found = f"stack {feed.stack_name(aws.settings.suffix)} is {status}"
    if status in GOOD:
        return found
    return Caution(found, f"{DEPLOY} waits for its end, or says how to go on")


def retired_feeds(aws: AwsClients, feeds: Sequence[FeedSpec]) -> str | Caution:
    """Every feed with a stack in this installation is in the settings."""
    from xacct_assets.operations.deployment.retired import find_retired

    retired = find_retired(aws.client("cloudformation"), aws.settings.suffix, feeds)
    if not retired:
        return "every feed with a stack is in the settings"
    return Caution(
        "; ".join(feed.describe() for feed in retired),
        "; ".join(feed.retire_command for feed in retired),
    )


def raw_files(aws: AwsClients, feed: FeedSpec) -> str | Caution:
    """The feed's folder in the raw bucket can be listed, and every file in it can be loaded."""
    bucket = aws.raw_bucket(feed)
    folders = bucket.folders(feed.source.prefix + "/")
    count = f"{len(folders)} folder{'' if len(folders) == 1 else 's'}"
    found = f"s3://{bucket.bucket}/{feed.source.prefix}/ can be listed: {count}"
    not_loaded = list(_files_not_loaded(aws, feed))
    if not not_loaded:
        return found
    return Caution(
        "; ".join([found, *(caution.detail for caution in not_loaded)]),
        "; ".join(caution.fix for caution in not_loaded),
    )


def _files_not_loaded(aws: AwsClients, feed: FeedSpec) -> Iterator[Caution]:
    from xacct_assets.feed.raw_files import raw_prefix, survey_days
    from xacct_assets.feed.reconciliation.discover_partitions import newest_days_in

    source = feed.source
    days = newest_days_in(aws.raw_bucket(feed), source.prefix, source.layout, RECENT_DAYS)
    listings = survey_days(feed, aws, days)
    unmatched = [raw_prefix(feed, day) + name for day in days for name in listings[day].unmatched]
    archived = [item.key for day in days for item in listings[day].objects if item.archive]
    if unmatched:
        yield Caution(
            f"no pattern of the feed ({', '.join(source.patterns)}) matches "
            f"{KeySample.of(unmatched)}",
            "rename them, or add a pattern to source.patterns",
        )
    if archived:
        yield Caution(
            f"archived, so that their days cannot be loaded: {KeySample.of(archived)}",
            "restore them: aws s3api restore-object",
        )


def exports(aws: AwsClients, feed: FeedSpec) -> str:
    """The feed's folder in the export bucket can be listed and read."""
    bucket = aws.exports(feed)
    # Reading a key that does not exist separates "not found" (may read) from "access denied".
    manifest = bucket.read_manifest(f"{feed.export.prefix}/")
    bucket.verify(f"{feed.export.prefix}/0000/00/00/")
    remark = "" if manifest is None else "; it has a manifest that belongs to no day"
    return f"s3://{bucket.bucket}/{feed.export.prefix}/ can be listed and read{remark}"


def working_bucket(aws: AwsClients) -> str:
    """The working bucket can be listed."""
    bucket, owner = aws.settings.processing_bucket, aws.settings.account_b
    with aws_call("s3:ListBucket", f"arn:aws:s3:::{bucket}", account=owner):
        aws.client("s3").list_objects_v2(
            Bucket=bucket, Prefix="rejects/", MaxKeys=1, ExpectedBucketOwner=owner
        )
    return f"s3://{bucket}/ can be listed"


def redshift_secret(aws: AwsClients) -> str:
    """A login to Redshift is configured."""
    login = aws.warehouse_credentials()
    source = login.secret_arn or "XACCT_REDSHIFT_* of the environment"
    usable_by = "wire and Data API" if login.data_api_compatible else "wire only"
    return (
        f"{source}: user {login.user} at {login.host}:{login.port}/{login.database} ({usable_by})"
    )


def redshift_network(aws: AwsClients) -> str:
    """Redshift's endpoint accepts TLS connections from here."""
    from xacct_assets.aws.redshift.probes import probe_tls

    login = aws.warehouse_credentials()
    certificate = probe_tls(login.host, login.port, login.connect_timeout or 10.0)
    return f"{login.host}:{login.port} answers, certificate of {certificate}"


def redshift_login(aws: AwsClients) -> str:
    """Redshift accepts the login."""
    (row, *_) = aws.warehouse.query("SELECT current_user AS name, version() AS version")
    return f"{row['name']}, {str(row['version'])[:60]}"


def tables_and_procedure(aws: AwsClients, feed: FeedSpec) -> str:
    """The feed's tables can be read and have its columns, and its procedure exists."""
    from xacct_assets.aws.redshift.sql import qualified
    from xacct_assets.feed.deployment import require_tables
    from xacct_assets.feed.sql_files.table_checks import columns_query, table_problems

    require_tables(feed, aws)
    tables = feed.warehouse
    for table in (tables.staging, tables.fact, tables.load_audit):
        aws.warehouse.query(f"SELECT * FROM {qualified(table)} LIMIT 0")  # noqa: S608 -- quoted
    for table in (tables.staging, tables.fact):
        problems = table_problems(feed, table, aws.warehouse.query(columns_query(table)))
        if problems:
            raise DeployFailed(
                f"table {table} is not what feed {feed.name} needs",
                reason="; ".join(problems),
                fix="xacct deploy, which applies migrations that are not applied yet; see "
                "docs/feeds.md, When the columns change",
            )
    return f"{tables.staging}, {tables.fact}, {tables.load_audit}, {tables.procedure}() exist"


def data_api(aws: AwsClients) -> str:
    """The Data API runs a statement."""
    result = aws.data_api.execute("SELECT 1 AS one", name="xacct doctor")
    return f"statement {result.id} ran in workgroup {aws.settings.workgroup}"


def crawler(aws: AwsClients, feed: FeedSpec) -> str:
    """The feed's crawler and its history can be read."""
    name = feed.crawler_name(aws.settings.suffix)
    glue = aws.client("glue")
    with aws_call("glue:GetCrawler", f"crawler {name}"):
        described = glue.get_crawler(Name=name)["Crawler"]
    with aws_call("glue:ListCrawls", f"crawler {name}"):
        glue.list_crawls(CrawlerName=name, MaxResults=1)
    last_crawl = described.get("LastCrawl", {})
    history = f"last crawl {last_crawl['Status']}" if "Status" in last_crawl else "never ran"
    if last_crawl.get("ErrorMessage"):
        history += f" ({last_crawl['ErrorMessage']})"
    return f"{name} is {described['State']}, {history}"


def glue_job(aws: AwsClients, feed: FeedSpec) -> str:
    """The feed's Glue job and its runs can be read."""
    name = feed.job_name(aws.settings.suffix)
    glue = aws.client("glue")
    with aws_call("glue:GetJob", f"job {name}"):
        job = glue.get_job(JobName=name)["Job"]
    with aws_call("glue:GetJobRuns", f"job {name}"):
        glue.get_job_runs(JobName=name, MaxResults=1)
    script = job.get("Command", {}).get("ScriptLocation")
    return f"{name}, Glue {job.get('GlueVersion')}, script {script}"


def catalog_database(aws: AwsClients, feed: FeedSpec) -> str:
    """The feed's catalog database exists; its table may not exist before the first crawl."""
    name = feed.catalog.database
    with aws_call("glue:GetDatabase", f"database {name}"):
        aws.client("glue").get_database(Name=name)
    try:
        table = aws.catalog.table(name, feed.catalog.table)
    except NotFound:
        return f"{name} exists; the first crawl creates its table {feed.catalog.table}"
    return f"{name}.{feed.catalog.table} has {len(table.columns)} columns"


def unload_role_chain(aws: AwsClients) -> str:
    """The workgroup is available and RoleB is attached to its namespace.

    Whether RoleB may assume RoleA cannot be asked: Redshift finds out when it runs UNLOAD.
    """
    settings = aws.settings
    name = settings.workgroup
    client = aws.client("redshift-serverless")
    with aws_call("redshift-serverless:GetWorkgroup", f"workgroup {name}"):
        workgroup = client.get_workgroup(workgroupName=name)["workgroup"]
    if workgroup["status"] != "AVAILABLE":
        raise NotFound(
            f"workgroup {name} is {workgroup['status']}", fix="wait until it is AVAILABLE"
        )
    namespace_name = workgroup["namespaceName"]
    with aws_call("redshift-serverless:GetNamespace", f"namespace of {name}"):
        namespace = client.get_namespace(namespaceName=namespace_name)["namespace"]
    # Each entry is an ARN, or text that contains one: "IamRole(applyStatus=…, iamRoleArn=…)".
    if not any(settings.role_b_arn in role for role in namespace.get("iamRoles", [])):
        raise NotFound(
            f"{settings.role_b_arn} is not attached to namespace {namespace_name}",
            reason="COPY and UNLOAD need an attached role at the start of their role chain",
            fix="run `xacct deploy`, which attaches it, also to an adopted namespace; or set "
            "XACCT_ROLE_B_ARN to an attached one",
        )
    return (
        f"workgroup {name} is AVAILABLE; UNLOAD assumes {settings.role_b_arn}, then "
        f"{settings.role_a_arn}"
    )
