"""Crawler, job, connection, catalog, queues and files: changed or deleted."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from tests.support.misconfigurations.case import SUFFIX, Case, Hands, updated

CRAWLER = JOB = f"xacct-{SUFFIX}-products"
CONNECTION = f"xacct-redshift-{SUFFIX}"
WORKING = f"xacct-processing-{SUFFIX}"
RAW = f"sample-inp-bucket-etl-{SUFFIX}"
QUEUE, DEAD = f"xacct-arrivals-{SUFFIX}", f"xacct-arrivals-dead-{SUFFIX}"
_ALARM_FIELDS = (
    *("AlarmName", "AlarmDescription", "Namespace", "MetricName", "Dimensions", "Statistic"),
    *("Period", "EvaluationPeriods", "Threshold", "ComparisonOperator", "TreatMissingData"),
    *("AlarmActions", "OKActions", "ActionsEnabled"),
)
OTHER_ROLE = f"arn:aws:iam::222222222222:role/xacct-RoleB-{SUFFIX}"

_CRAWLER_FIELDS = (
    *("Name", "Role", "DatabaseName", "Targets", "RecrawlPolicy", "SchemaChangePolicy"),
    "Description",
)
_JOB_FIELDS = (
    *("Role", "Command", "GlueVersion", "WorkerType", "NumberOfWorkers", "Timeout", "MaxRetries"),
    *("ExecutionProperty", "Connections", "DefaultArguments", "Description"),
)


def crawler_and_job() -> list[Case]:
    return [*_crawlers(), *_jobs(), *_files()]


def _crawlers() -> list[Case]:
    check = "products: crawler"

    def case(what: str, change: dict[str, Any], name: str, *, again: bool = False) -> Case:
        def make(hands: Hands) -> None:
            glue = hands.b("glue")
            now = updated(glue.get_crawler(Name=CRAWLER)["Crawler"], _CRAWLER_FIELDS)
            if again:
                # The folder of a crawler that crawls new folders only cannot be changed.
                glue.delete_crawler(Name=CRAWLER)
                glue.create_crawler(**{**now, **change})
            else:
                glue.update_crawler(**{**now, **change})

        return Case(f"crawler: {what}", check, make, (name,))

    def targets(path: str, exclusions: list[str]) -> dict[str, Any]:
        return {"Targets": {"S3Targets": [{"Path": path, "Exclusions": exclusions}]}}

    hidden = ["**/_*", "**/.*"]
    everything = {"RecrawlPolicy": {"RecrawlBehavior": "CRAWL_EVERYTHING"}}
    return [
        case("another folder", targets(f"s3://{RAW}/other/", hidden), "Path", again=True),
        case("another bucket", targets("s3://another/products/", hidden), "Path", again=True),
        case("reads hidden files", targets(f"s3://{RAW}/products/", []), "Exclusions", again=True),
        case("another database", {"DatabaseName": "other_db"}, "DatabaseName"),
        case("another role", {"Role": OTHER_ROLE}, "Role"),
        case("crawls everything", everything, "RecrawlBehavior"),
        case(
            "changes tables",
            {
                **everything,
                "SchemaChangePolicy": {
                    "UpdateBehavior": "UPDATE_IN_DATABASE",
                    "DeleteBehavior": "LOG",
                },
            },
            "UpdateBehavior",
        ),
        Case(
            "crawler: deleted",
            check,
            lambda hands: hands.b("glue").delete_crawler(Name=CRAWLER),
            (CRAWLER,),
        ),
    ]


def _jobs() -> list[Case]:
    check = "products: Glue job"

    def case(what: str, change: Callable[[dict[str, Any]], None], name: str) -> Case:
        def make(hands: Hands) -> None:
            glue = hands.b("glue")
            job = updated(glue.get_job(JobName=JOB)["Job"], _JOB_FIELDS)
            change(job)
            glue.update_job(JobName=JOB, JobUpdate=job)

        return Case(f"Glue job: {what}", check, make, (name,))

    def argument(name: str, value: str) -> Callable[[dict[str, Any]], None]:
        return lambda job: job["DefaultArguments"].update({name: value})

    return [
        case("no connection", lambda job: job.pop("Connections"), "Connections"),
        case(
            "another connection",
            lambda job: job["Connections"].update(Connections=["other"]),
            "Connections",
        ),
        case(
            "another script",
            lambda job: job["Command"].update(ScriptLocation=f"s3://{WORKING}/scripts/other.py"),
            "ScriptLocation",
        ),
        case("another role", lambda job: job.update(Role=OTHER_ROLE), "Role"),
        case("ends after a minute", lambda job: job.update(Timeout=1), "Timeout"),
        case("more workers", lambda job: job.update(NumberOfWorkers=9), "NumberOfWorkers"),
        case(
            "one run at a time",
            lambda job: job["ExecutionProperty"].update(MaxConcurrentRuns=1),
            "MaxConcurrentRuns",
        ),
        case(
            "other libraries",
            argument("--extra-py-files", f"s3://{WORKING}/scripts/other.zip"),
            "--extra-py-files",
        ),
        case(
            "another temporary folder",
            argument("--TempDir", f"s3://{WORKING}/temporary/"),
            "--TempDir",
        ),
        case(
            "another log group",
            argument("--custom-logGroup-prefix", "/aws-glue/jobs"),
            "--custom-logGroup-prefix",
        ),
        case("bookmarks", argument("--job-bookmark-option", "job-bookmark-enable"), "job-bookmark"),
        Case(
            "Glue job: deleted",
            check,
            lambda hands: hands.b("glue").delete_job(JobName=JOB),
            (JOB,),
        ),
    ]


def _files() -> list[Case]:
    check = "script and libraries of the job"
    found = []
    for key in ("scripts/load.py", "scripts/load_libraries.zip"):
        found += [
            Case(
                f"{key}: absent",
                check,
                lambda hands, key=key: hands.b("s3").delete_object(Bucket=WORKING, Key=key),
                (key,),
            ),
            Case(
                f"{key}: of another version",
                check,
                lambda hands, key=key: hands.b("s3").put_object(
                    Bucket=WORKING, Key=key, Body=b"print('an older one')\n"
                ),
                (key, "version"),
            ),
        ]
    return found


def connections_and_catalog() -> list[Case]:
    check = "Glue connection"

    def case(what: str, change: dict[str, str | None], name: str) -> Case:
        def make(hands: Hands) -> None:
            glue = hands.b("glue")
            now = glue.get_connection(Name=CONNECTION)["Connection"]
            properties = {**now["ConnectionProperties"], **change}
            kept = {key: value for key, value in properties.items() if value is not None}
            glue.delete_connection(ConnectionName=CONNECTION)
            glue.create_connection(
                ConnectionInput={
                    "Name": CONNECTION,
                    "ConnectionType": "JDBC",
                    "ConnectionProperties": kept,
                },
            )

        return Case(f"Glue connection: {what}", check, make, (name,))

    url = "JDBC_CONNECTION_URL"
    return [
        case("another database", {url: "jdbc:redshift://127.0.0.1:5439/prod"}, url),
        case("another host", {url: "jdbc:redshift://elsewhere:5439/dev"}, url),
        case("no secret", {"SECRET_ID": None}, "SECRET_ID is missing"),
        case("another secret", {"SECRET_ID": "xacct/other"}, "SECRET_ID"),
        case("without TLS", {"JDBC_ENFORCE_SSL": "false"}, "JDBC_ENFORCE_SSL"),
        Case(
            "Glue connection: deleted",
            check,
            lambda hands: hands.b("glue").delete_connection(ConnectionName=CONNECTION),
            (CONNECTION,),
        ),
        Case(
            "catalog database: deleted",
            "products: catalog database",
            lambda hands: hands.b("glue").delete_database(Name="products_db"),
            ("products_db",),
        ),
        Case(
            "catalog table: of another folder",
            "products: catalog database",
            _table_elsewhere,
            (f"s3://{RAW}/other/",),
        ),
    ]


def _table_elsewhere(hands: Hands) -> None:
    hands.b("glue").create_table(
        DatabaseName="products_db",
        TableInput={
            "Name": "products",
            "StorageDescriptor": {
                "Columns": [{"Name": "id", "Type": "bigint"}],
                "Location": f"s3://{RAW}/other/",
            },
            "PartitionKeys": [
                {"Name": f"partition_{number}", "Type": "string"} for number in range(3)
            ],
        },
    )


def logs_and_alarm() -> list[Case]:
    logs, alarm = "products: log groups of the job", "alarm of the dead-letter queue"
    output, error = (f"/aws-glue/jobs/{JOB}/{stream}" for stream in ("output", "error"))

    def changed(**change: Any) -> Callable[[Hands], None]:
        def make(hands: Hands) -> None:
            cloudwatch = hands.b("cloudwatch")
            (now,) = cloudwatch.describe_alarms(AlarmNames=[DEAD])["MetricAlarms"]
            cloudwatch.put_metric_alarm(**{**updated(now, _ALARM_FIELDS), **change})

        return make

    return [
        Case(
            f"log group {output}: kept for ever",
            logs,
            lambda hands: hands.b("logs").delete_retention_policy(logGroupName=output),
            (output, "for ever"),
        ),
        Case(
            f"log group {error}: kept for a day",
            logs,
            lambda hands: hands.b("logs").put_retention_policy(
                logGroupName=error, retentionInDays=1
            ),
            (error, "for 1 days"),
        ),
        Case(
            f"log group {error}: deleted",
            logs,
            lambda hands: hands.b("logs").delete_log_group(logGroupName=error),
            (error,),
        ),
        Case("alarm: tells nobody", alarm, changed(AlarmActions=[]), ("AlarmActions",)),
        Case("alarm: switched off", alarm, changed(ActionsEnabled=False), ("ActionsEnabled",)),
        Case("alarm: of more messages", alarm, changed(Threshold=50), ("Threshold",)),
        Case(
            "alarm: of another queue",
            alarm,
            changed(Dimensions=[{"Name": "QueueName", "Value": QUEUE}]),
            ("Dimensions",),
        ),
        Case(
            "alarm: deleted",
            alarm,
            lambda hands: hands.b("cloudwatch").delete_alarms(AlarmNames=[DEAD]),
            (DEAD,),
        ),
    ]


def queues() -> list[Case]:
    check = "arrival queue"

    def case(
        what: str, attributes: dict[str, str], *names: str, queue: str = QUEUE, of: str = check
    ) -> Case:
        def make(hands: Hands) -> None:
            sqs = hands.b("sqs")
            url = sqs.get_queue_url(QueueName=queue)["QueueUrl"]
            sqs.set_queue_attributes(QueueUrl=url, Attributes=attributes)

        return Case(f"{queue}: {what}", of, make, names)

    def delete(queue: str) -> Callable[[Hands], None]:
        def make(hands: Hands) -> None:
            sqs = hands.b("sqs")
            sqs.delete_queue(QueueUrl=sqs.get_queue_url(QueueName=queue)["QueueUrl"])

        return make

    def policy(**changes: Any) -> str:
        statement = {
            "Sid": "RawBucketMayNotify",
            "Effect": "Allow",
            "Principal": {"Service": "s3.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": f"arn:aws:sqs:us-east-1:222222222222:{QUEUE}",
            "Condition": {
                "StringEquals": {"aws:SourceAccount": "111111111111"},
                "ArnLike": {"aws:SourceArn": f"arn:aws:s3:::{RAW}"},
            },
            **changes,
        }
        return json.dumps({"Version": "2012-10-17", "Statement": [statement]})

    other_account = {"StringEquals": {"aws:SourceAccount": "333333333333"}}
    return [
        case("messages reappear at once", {"VisibilityTimeout": "0"}, "VisibilityTimeout"),
        case("keeps messages an hour", {"MessageRetentionPeriod": "3600"}, "Retention"),
        case(
            "gives up after one receive",
            {
                "RedrivePolicy": json.dumps(
                    {
                        "deadLetterTargetArn": f"arn:aws:sqs:us-east-1:222222222222:{DEAD}",
                        "maxReceiveCount": 1,
                    }
                )
            },
            "maxReceiveCount",
        ),
        case("nobody may write", {"Policy": ""}, "RawBucketMayNotify", "missing"),
        case("another service may write", {"Policy": policy(Principal="*")}, "Principal"),
        case(
            "S3 may write for another account",
            {"Policy": policy(Condition=other_account)},
            "SourceAccount",
        ),
        Case(f"{QUEUE}: deleted", check, delete(QUEUE), (QUEUE,)),
        case(
            *("keeps messages an hour", {"MessageRetentionPeriod": "3600"}, "Retention"),
            queue=DEAD,
            of="dead-letter queue",
        ),
        Case(f"{DEAD}: deleted", "dead-letter queue", delete(DEAD), (DEAD,)),
    ]
