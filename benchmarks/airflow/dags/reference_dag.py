"""The reference's DAG: land, crawl, load, transform, clean, export, with the provider's operators.

Read by the benchmark's Airflow only (`airflow` is not installed beside the product). Written to be
kind to the reference: connections come from the environment (no look-up in Secrets Manager), the
crawler and the job exist and are never updated, staging is cleaned of the day alone, so that days
can run side by side, and no task retries.

The DAGs differ in how often they ask: ``reference_defaults`` as the operators do by themselves,
``reference_fast`` once a second, in a process that stays, which is the most that is sensible.
``reference_many`` is the latter for many days at once, with a job that needs no Spark.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime

from airflow.providers.amazon.aws.operators.glue import GlueJobOperator
from airflow.providers.amazon.aws.operators.glue_crawler import GlueCrawlerOperator
from airflow.providers.amazon.aws.operators.redshift_data import RedshiftDataOperator
from airflow.providers.amazon.aws.sensors.glue import GlueJobSensor
from airflow.providers.amazon.aws.sensors.glue_crawler import GlueCrawlerSensor
from airflow.providers.amazon.aws.sensors.s3 import S3KeySensor
from airflow.providers.amazon.aws.transfers.redshift_to_s3 import RedshiftToS3Operator
from airflow.providers.common.sql.operators.sql import SQLExecuteQueryOperator
from airflow.sdk import DAG, chain

DAY = "{{ logical_date.strftime('%Y/%m/%d') }}"
FASTEST = {"poke_interval": 1.0, "mode": "poke"}


def reference(
    dag_id: str, *, sensors: dict[str, object], statement: dict[str, object], job: str = ""
) -> DAG:
    """The eight tasks; what is said about polling goes to the sensors and the statement."""
    job = os.environ["REFERENCE_JOB"] + job
    with DAG(
        dag_id,
        schedule=None,
        start_date=datetime(2020, 1, 1, tzinfo=UTC),
        catchup=False,
        max_active_runs=16,
    ) as dag:
        arrived = S3KeySensor(
            task_id="arrived",
            bucket_name=os.environ["REFERENCE_INPUT_BUCKET"],
            bucket_key=f"{os.environ['REFERENCE_PREFIX']}/{DAY}/*.csv",
            wildcard_match=True,
            **{"mode": "reschedule", **sensors},
        )
        crawl = GlueCrawlerOperator(
            task_id="crawl",
            config={"Name": os.environ["REFERENCE_CRAWLER"]},
            wait_for_completion=False,
            fail_on_already_running=False,
        )
        crawled = GlueCrawlerSensor(
            task_id="crawled", crawler_name=os.environ["REFERENCE_CRAWLER"], **sensors
        )
        load = GlueJobOperator(
            task_id="load",
            job_name=job,
            script_args={"--day": DAY},
            run_job_kwargs={"NumberOfWorkers": 2, "WorkerType": "G.1X"},
            wait_for_completion=False,
        )
        loaded = GlueJobSensor(
            task_id="loaded",
            job_name=job,
            run_id=load.output,
            **sensors,
        )
        transform = RedshiftDataOperator(
            task_id="transform",
            workgroup_name=os.environ["REFERENCE_WORKGROUP"],
            database=os.environ["REFERENCE_DATABASE"],
            secret_arn=os.environ["REFERENCE_SECRET_ARN"],
            sql=f"CALL public.sp_reference('{DAY}')",
            **statement,
        )
        clean = SQLExecuteQueryOperator(
            task_id="clean",
            conn_id="redshift_default",
            sql=f"DELETE FROM public.reference_products WHERE day = '{DAY}'",  # noqa: S608
        )
        export = RedshiftToS3Operator(
            task_id="export",
            redshift_conn_id="redshift_default",
            # Its role chain is all that the operator takes from this connection.
            aws_conn_id="unload",
            s3_bucket=os.environ["REFERENCE_EXPORT_BUCKET"],
            s3_key=f"reference/{DAY}/",
            select_query=f"SELECT * FROM public.reference_products_f WHERE day = '{DAY}'",  # noqa: S608
            table_as_file_name=False,
            unload_options=["CSV", "HEADER", "GZIP", "CLEANPATH", "MANIFEST VERBOSE"],
        )
        chain(arrived, crawl, crawled, load, loaded, transform, clean, export)
    return dag


defaults = reference("reference_defaults", sensors={}, statement={})
fast = reference("reference_fast", sensors=FASTEST, statement={"poll_interval": 1})
many = reference("reference_many", sensors=FASTEST, statement={"poll_interval": 1}, job="-light")
