"""`xacct doctor`: every hop between this machine and a finished export, one check each.

Checks only read. They run as the orchestrator does (the credentials of the environment), so a check
that passes here passes in a run. A check whose ground another one has found missing is skipped by
name.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from xacct_assets.aws.botocore_errors import aws_call
from xacct_assets.aws.errors import AwsFailure, CredentialsProblem, NotFound

if TYPE_CHECKING:
    from xacct_assets.aws.secretsmanager import WarehouseCredentials
    from xacct_assets.aws_clients import AwsClients
    from xacct_assets.feed.spec import FeedSpec

Outcome = Literal["ok", "FAIL", "skipped"]


@dataclass(frozen=True)
class Finding:
    """The outcome of one check.

    Attributes:
        detail: what was found, or what is wrong.
        fix: what to do, if something is wrong.
        seconds: what the check took.
    """

    check: str
    outcome: Outcome
    detail: str
    fix: str | None = None
    seconds: float = 0.0


class Doctor:
    """Examines one installation.

    Args:
        services: the pipeline's own clients.
        feeds: the feeds to look at.
        report: told each finding as soon as it is there.
    """

    def __init__(
        self, aws: AwsClients, feeds: Sequence[FeedSpec], report: Callable[[Finding], None]
    ) -> None:
        self._aws_clients = aws
        self._settings = aws.settings
        self._feeds = feeds
        self._report = report
        self._findings: list[Finding] = []
        self._credentials: WarehouseCredentials | None = None

    def run(self) -> list[Finding]:
        """All checks in order."""
        signed_in = self._check("credentials", self._who)
        reach = False
        if signed_in:
            for feed in self._feeds:
                self._check(f"{feed.name}: raw files in A", partial(self._raw, feed))
                self._check(f"{feed.name}: exports in A", partial(self._exports, feed))
            self._check("working bucket in B", self._working_bucket)
        else:
            self._skip("S3 in both accounts", "no usable credentials")
        if self._check("login for Redshift", self._secret):
            reach = self._check("network path and TLS to Redshift", self._reach)
        else:
            self._skip("network path and TLS to Redshift", "no login was found")
        if reach and self._check("login to Redshift", self._login):
            for feed in self._feeds:
                self._check(f"{feed.name}: tables and procedure", partial(self._objects, feed))
        else:
            self._skip("tables and procedures", "Redshift cannot be reached or entered")
        if not signed_in:
            self._skip("Data API, Glue", "no usable credentials")
            return self._findings
        self._check("Data API", self._data_api)
        for feed in self._feeds:
            self._check(f"{feed.name}: crawler", partial(self._crawler, feed))
            self._check(f"{feed.name}: Glue job", partial(self._job, feed))
            self._check(f"{feed.name}: catalog database", partial(self._database, feed))
        self._check("role chain of UNLOAD", self._roles)
        return self._findings

    def _check(self, name: str, work: Callable[[], str]) -> bool:
        started = time.monotonic()
        try:
            detail = work()
        except AwsFailure as failure:
            head = failure.what + (f": {failure.reason}" if failure.reason else "")
            who = f" (principal: {failure.principal})" if failure.principal else ""
            finding = Finding(name, "FAIL", head + who, failure.fix, time.monotonic() - started)
        else:
            finding = Finding(name, "ok", detail, None, time.monotonic() - started)
        self._findings.append(finding)
        self._report(finding)
        return finding.outcome == "ok"

    def _skip(self, name: str, why: str) -> None:
        finding = Finding(name, "skipped", why)
        self._findings.append(finding)
        self._report(finding)

    def _who(self) -> str:
        account, arn = self._aws_clients.sessions.identity()
        if account != self._settings.account_b:
            raise CredentialsProblem(
                f"these credentials are of account {account}",
                reason=f"the pipeline runs in account B, {self._settings.account_b}",
                principal=arn,
                fix="set AWS_PROFILE to a profile that is the orchestrator role "
                f"({self._settings.orchestrator_role_arn})",
            )
        return arn

    def _raw(self, feed: FeedSpec) -> str:
        bucket = self._aws_clients.raw_bucket(feed)
        folders = bucket.folders(feed.source.prefix + "/")
        count = f"{len(folders)} folder{'' if len(folders) == 1 else 's'}"
        return f"s3://{bucket.bucket}/{feed.source.prefix}/ can be listed: {count}"

    def _exports(self, feed: FeedSpec) -> str:
        exports = self._aws_clients.exports(feed)
        # A key that is not there tells "may read" (not found) from "may not" (denied).
        found = exports.read_manifest(f"{feed.export.prefix}/")
        exports.verify(f"{feed.export.prefix}/0000/00/00/")
        about = "" if found is None else ", and there is a manifest at its top"
        return f"s3://{exports.bucket}/{feed.export.prefix}/ can be listed and read{about}"

    def _working_bucket(self) -> str:
        bucket = self._settings.processing_bucket
        with aws_call("s3:ListBucket", f"arn:aws:s3:::{bucket}", account=self._settings.account_b):
            self._aws_clients.client("s3").list_objects_v2(
                Bucket=bucket,
                Prefix="rejects/",
                MaxKeys=1,
                ExpectedBucketOwner=self._settings.account_b,
            )
        return f"s3://{bucket}/ can be listed"

    def _secret(self) -> str:
        credentials = self._aws_clients.warehouse_credentials()
        self._credentials = credentials
        source = credentials.secret_arn or "XACCT_REDSHIFT_* of the environment"
        shape = "usable by the Data API" if credentials.data_api_compatible else "wire only"
        return (
            f"{source}: user {credentials.user} at {credentials.host}:{credentials.port}/"
            f"{credentials.database} ({shape})"
        )

    def _reach(self) -> str:
        from xacct_assets.aws.redshift.probes import probe_tls

        login = self._login_details()
        certificate = probe_tls(login.host, login.port, login.connect_timeout or 10.0)
        return f"{login.host}:{login.port} answers, certificate of {certificate}"

    def _login(self) -> str:
        rows = self._aws_clients.warehouse.query(
            "SELECT current_user AS name, version() AS version"
        )
        return f"{rows[0]['name']}, {str(rows[0]['version'])[:60]}"

    def _objects(self, feed: FeedSpec) -> str:
        from xacct_assets.aws.redshift.sql import qualified

        warehouse = self._aws_clients.warehouse
        tables = feed.warehouse
        for table in (tables.staging, tables.fact, tables.load_audit):
            warehouse.query(f"SELECT * FROM {qualified(table)} LIMIT 0")  # noqa: S608 -- quoted
        schema, _, name = tables.procedure.rpartition(".")
        found = warehouse.query(
            "SELECT p.proname FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace "
            "WHERE n.nspname = %s AND p.proname = %s",
            (schema, name),
        )
        if not found:
            raise NotFound(
                f"there is no procedure {tables.procedure}",
                fix="run `xacct deploy`, which applies sql/",
            )
        return (
            f"{tables.staging}, {tables.fact}, {tables.load_audit}, {tables.procedure}() are there"
        )

    def _data_api(self) -> str:
        result = self._aws_clients.data_api.execute("SELECT 1 AS one", name="xacct doctor")
        return f"statement {result.id} ran in workgroup {self._settings.workgroup}"

    def _crawler(self, feed: FeedSpec) -> str:
        name = feed.crawler_name(self._settings.suffix)
        with aws_call("glue:GetCrawler", f"crawler {name}"):
            crawler = self._glue.get_crawler(Name=name)["Crawler"]
        with aws_call("glue:ListCrawls", f"crawler {name}"):
            self._glue.list_crawls(CrawlerName=name, MaxResults=1)
        last = crawler.get("LastCrawl", {})
        about = f", last crawl {last['Status']}" if "Status" in last else ", never ran"
        if last.get("ErrorMessage"):
            about += f" ({last['ErrorMessage']})"
        return f"{name} is {crawler['State']}{about}"

    def _job(self, feed: FeedSpec) -> str:
        name = feed.job_name(self._settings.suffix)
        with aws_call("glue:GetJob", f"job {name}"):
            job = self._glue.get_job(JobName=name)["Job"]
        with aws_call("glue:GetJobRuns", f"job {name}"):
            self._glue.get_job_runs(JobName=name, MaxResults=1)
        script = job.get("Command", {}).get("ScriptLocation")
        return f"{name}, Glue {job.get('GlueVersion')}, script {script}"

    def _database(self, feed: FeedSpec) -> str:
        name = feed.catalog.database
        with aws_call("glue:GetDatabase", f"database {name}"):
            self._glue.get_database(Name=name)
        try:
            table = self._aws_clients.catalog.table(name, feed.catalog.table)
        except NotFound:
            return f"{name} is there; its table {feed.catalog.table} comes with the first crawl"
        return f"{name}.{feed.catalog.table} has {len(table.columns)} columns"

    def _roles(self) -> str:
        workgroup = self._settings.workgroup
        client = self._aws_clients.client("redshift-serverless")
        with aws_call("redshift-serverless:GetWorkgroup", f"workgroup {workgroup}"):
            found = client.get_workgroup(workgroupName=workgroup)["workgroup"]
        if found["status"] != "AVAILABLE":
            raise NotFound(
                f"workgroup {workgroup} is {found['status']}", fix="wait until it is AVAILABLE"
            )
        role_b, role_a = self._settings.role_b_arn, self._settings.role_a_arn
        with aws_call("redshift-serverless:GetNamespace", f"namespace of {workgroup}"):
            namespace = client.get_namespace(namespaceName=found["namespaceName"])["namespace"]
        # Each entry is an ARN, or text that holds one: "IamRole(applyStatus=…, iamRoleArn=…)".
        if not any(role_b in attached for attached in namespace.get("iamRoles", [])):
            raise NotFound(
                f"{role_b} is not attached to namespace {found['namespaceName']}",
                reason="COPY and UNLOAD can only begin with an attached role",
                fix="attach it (infra/account_b.yaml does), or set XACCT_ROLE_B_ARN to one that is",
            )
        # Whether RoleB may become RoleA is decided when Redshift tries: nobody else may ask.
        return f"workgroup {workgroup} is AVAILABLE; UNLOAD goes as {role_b}, then {role_a}"

    @property
    def _glue(self) -> Any:
        return self._aws_clients.client("glue")

    def _login_details(self) -> WarehouseCredentials:
        if self._credentials is None:
            self._credentials = self._aws_clients.warehouse_credentials()
        return self._credentials
