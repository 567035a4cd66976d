"""Crawler, job, connection, catalog, and what the job runs, compared with templates and feed."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from xacct_assets.aws.botocore_errors import aws_call
from xacct_assets.aws.denials import denial_in
from xacct_assets.aws.errors import InvalidRequest, NotFound
from xacct_assets.operations.deployment import plan
from xacct_assets.operations.deployment.job_libraries import libraries_zip
from xacct_assets.operations.doctor.comparison import differences
from xacct_assets.operations.doctor.findings import Caution

if TYPE_CHECKING:
    from xacct_assets.feed.spec import FeedSpec
    from xacct_assets.operations.doctor.installation import Installation

_DEPLOY = "`xacct deploy --account b`"
#: Fields that stop nothing.
_WORDS = {"Description"}


def crawler(here: Installation, feed: FeedSpec) -> str | Caution:
    """The crawler is as its template says, and its history can be read."""
    name = feed.crawler_name(here.settings.suffix)
    glue = here.aws.client("glue")
    with _there(f"crawler {name}"), aws_call("glue:GetCrawler", f"crawler {name}"):
        described = glue.get_crawler(Name=name)["Crawler"]
    with aws_call("glue:ListCrawls", f"crawler {name}"):
        glue.list_crawls(CrawlerName=name, MaxResults=1)
    _compare(here, feed, "Crawler", f"crawler {name}", described)
    last = described.get("LastCrawl", {})
    if last.get("Status") == "FAILED":
        return _failed(f"the last crawl of {name}", last.get("ErrorMessage"))
    history = f"last crawl {last['Status']}" if "Status" in last else "never ran"
    return f"{name} is {described['State']}, {history}"


def glue_job(here: Installation, feed: FeedSpec) -> str | Caution:
    """The job is as its template says, and its runs can be read."""
    name = feed.job_name(here.settings.suffix)
    glue = here.aws.client("glue")
    with _there(f"Glue job {name}"), aws_call("glue:GetJob", f"job {name}"):
        job = glue.get_job(JobName=name)["Job"]
    with aws_call("glue:GetJobRuns", f"job {name}"):
        runs = glue.get_job_runs(JobName=name, MaxResults=1)["JobRuns"]
    _compare(here, feed, "Job", f"Glue job {name}", job)
    if runs and runs[0].get("JobRunState") in ("FAILED", "ERROR"):
        return _failed(f"the last run of {name}", runs[0].get("ErrorMessage"))
    return f"{name}, Glue {job.get('GlueVersion')}, script {job['Command']['ScriptLocation']}"


def _failed(what: str, message: str | None) -> Caution:
    """What the Glue role's own last work says: it tells of rights that cannot be read from here."""
    fix = denial_in(message).get("fix") or "see its log; the days of a failed run say what to do"
    return Caution(
        f"{what} failed: {message or 'without a reason'}",
        f"{fix}; if it was mended since, the next one tells",
    )


@contextmanager
def _there(what: str) -> Iterator[None]:
    """Context manager: what the feed's stack should have made, and is not there."""
    try:
        yield
    except NotFound as absent:
        raise InvalidRequest(
            f"there is no {what}", reason="its stack is there", fix=_DEPLOY
        ) from absent


def _compare(
    here: Installation, feed: FeedSpec, logical_id: str, what: str, actual: Mapping[str, Any]
) -> None:
    expected = here.template_of(feed).properties(logical_id)
    wanted = {key: value for key, value in expected.items() if key not in _WORDS}
    # Glue answers with the role's name where it was given that, and with its ARN otherwise.
    if str(wanted["Role"]).endswith(f"/{actual.get('Role')}"):
        del wanted["Role"]
    if problems := differences(wanted, actual):
        raise InvalidRequest(
            f"{what} is not as infra/feed.yaml says: {'; '.join(problems)}", fix=_DEPLOY
        )


def connection(here: Installation) -> str:
    """The connection leads the job to the warehouse, with the pipeline's secret or by IAM."""
    name = here.settings.glue_connection
    template = here.template_b()
    if not template.makes("GlueConnection"):
        return "the job logs in by IAM and runs outside of any VPC: it needs none"
    expected = template.properties("GlueConnection")["ConnectionInput"]
    written = shlex.quote(json.dumps(expected, default=str))
    glue = here.aws.client("glue")
    try:
        with aws_call("glue:GetConnection", f"connection {name}"):
            # Without the password that a connection may have.
            actual = glue.get_connection(Name=name, HidePassword=True)["Connection"]
    except NotFound as absent:
        raise NotFound(
            f"there is no Glue connection {name}",
            # CloudFormation does not see that a connection was deleted or changed by hand.
            fix=f"`aws glue create-connection --connection-input {written}`",
        ) from absent
    wanted = {key: value for key, value in expected.items() if key not in _WORDS}
    if problems := differences(wanted, actual):
        raise InvalidRequest(
            f"Glue connection {name} is not as infra/account_b.yaml says: {'; '.join(problems)}",
            fix=f"`aws glue delete-connection --connection-name {name}`, then "
            f"`aws glue create-connection --connection-input {written}`",
        )
    if here.settings.logs_in_by_iam:
        subnet = actual.get("PhysicalConnectionRequirements", {}).get("SubnetId")
        return f"{name} puts the job into subnet {subnet}; it logs in by IAM"
    return f"{name} leads to {actual['ConnectionProperties'].get('JDBC_CONNECTION_URL')}"


def catalog_database(here: Installation, feed: FeedSpec) -> str:
    """The catalog database exists; its table, if there is one, is of the feed's files."""
    name, table = feed.catalog.database, feed.catalog.table
    glue = here.aws.client("glue")
    with _there(f"catalog database {name}"), aws_call("glue:GetDatabase", f"database {name}"):
        glue.get_database(Name=name)
    try:
        found = here.aws.catalog.table(name, table)
    except NotFound:
        return f"{name} exists; the first crawl creates its table {table}"
    expected = f"s3://{here.aws.input_bucket(feed)}/{feed.source.prefix}/"
    if found.location.rstrip("/") + "/" != expected:
        raise InvalidRequest(
            f"catalog table {name}.{table} is of {found.location}, the feed's files are in "
            f"{expected}",
            fix=f"`aws glue delete-table --database-name {name} --name {table}`; the next run of a "
            "day makes it again",
        )
    return f"{name}.{table} has {len(found.columns)} columns"


def job_files(here: Installation) -> str:
    """The job's script and libraries are in the working bucket, of this version."""
    settings = here.settings
    s3 = here.aws.client("s3")
    expected = {
        plan.SCRIPT_KEY: (here.root / "glue" / "load.py").read_bytes(),
        plan.LIBRARIES_KEY: libraries_zip(here.root / "glue"),
    }
    for key, content in expected.items():
        url = f"s3://{settings.processing_bucket}/{key}"
        arn = f"arn:aws:s3:::{settings.processing_bucket}/{key}"
        try:
            with aws_call("s3:GetObject", arn, account=settings.account_b):
                answer = s3.get_object(
                    Bucket=settings.processing_bucket,
                    Key=key,
                    ExpectedBucketOwner=settings.account_b,
                )
                body = answer["Body"].read()
        except NotFound as absent:
            raise NotFound(f"{url} does not exist", fix=_DEPLOY) from absent
        if body != content:
            raise InvalidRequest(
                f"{url} is not that of this version ({len(body):,} bytes, not {len(content):,})",
                reason="it was replaced, or deployed from another version",
                fix=_DEPLOY,
            )
    return f"{' and '.join(expected)} are those of this version"
