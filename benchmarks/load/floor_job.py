"""The simplest job over the same files: a typed schema in, the same CSV GZIP out.

It verifies nothing: a value that does not fit becomes NULL, a row of too many fields loses them.
"""

import json
import sys

from awsglue.context import GlueContext
from awsglue.job import Job
from awsglue.utils import getResolvedOptions
from pyspark.context import SparkContext

options = getResolvedOptions(sys.argv, ["JOB_NAME", "source", "schema", "reader", "target"])
glue_context = GlueContext(SparkContext.getOrCreate())
job = Job(glue_context)
job.init(options["JOB_NAME"], options)
(
    glue_context.spark_session.read.schema(options["schema"])
    .options(**json.loads(options["reader"]))
    .csv(options["source"])
    .write.mode("overwrite")
    .options(escape='"', nullValue="@NULL@", compression="gzip")
    .csv(options["target"])
)
job.commit()
