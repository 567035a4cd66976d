"""The reference's Glue job: a day of the catalog table into a Redshift staging table."""

import sys

from awsglue.context import GlueContext
from awsglue.dynamicframe import DynamicFrame
from awsglue.job import Job
from awsglue.utils import getResolvedOptions
from pyspark.context import SparkContext
from pyspark.sql import functions as F

options = getResolvedOptions(
    sys.argv, ["JOB_NAME", "day", "database", "table", "connection", "tmp_dir", "copy_role"]
)
glue_context = GlueContext(SparkContext.getOrCreate())
job = Job(glue_context)
job.init(options["JOB_NAME"], options)

year, month, day = options["day"].split("/")
frame = glue_context.create_dynamic_frame.from_catalog(
    database=options["database"],
    table_name=options["table"],
    push_down_predicate=f"partition_0='{year}' and partition_1='{month}' and partition_2='{day}'",
)
columns = [name for name in frame.toDF().columns if not name.startswith("partition_")]
rows = frame.toDF().select(
    *(F.col(name).cast("string").alias(name) for name in columns),
    F.lit(options["day"]).alias("day"),
)
glue_context.write_dynamic_frame.from_options(
    frame=DynamicFrame.fromDF(rows, glue_context, "staging"),
    connection_type="redshift",
    connection_options={
        "useConnectionProperties": "true",
        "connectionName": options["connection"],
        "dbtable": "public.reference_products",
        "redshiftTmpDir": f"{options['tmp_dir']}{options['day']}/",
        "aws_iam_role": options["copy_role"],
        "tempformat": "CSV GZIP",
        "include_column_list": "true",
    },
)
job.commit()
