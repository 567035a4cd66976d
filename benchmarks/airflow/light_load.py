"""The reference's Glue job for many days at once: a day of the catalog table into staging.

Without Spark: 16 runs at a time, each with a cluster of its own on AWS, would share two cores here
and wait for each other, which would be held against the reference. This does the same work (reads
the partition's files, writes a temporary file, has Redshift COPY it) in a fraction of a second, so
that each run can keep to the fixed time.
"""

import csv
import gzip
import io
import json
import sys

import boto3
import redshift_connector
from awsglue.utils import getResolvedOptions

options = getResolvedOptions(
    sys.argv, ["JOB_NAME", "day", "database", "table", "connection", "tmp_dir", "copy_role"]
)
glue, s3 = boto3.client("glue"), boto3.client("s3")
secrets = boto3.client("secretsmanager")

partition = glue.get_partition(
    DatabaseName=options["database"],
    TableName=options["table"],
    PartitionValues=options["day"].split("/"),
)["Partition"]
bucket, _, prefix = partition["StorageDescriptor"]["Location"].removeprefix("s3://").partition("/")
header, rows = [], []
for found in s3.list_objects_v2(Bucket=bucket, Prefix=prefix)["Contents"]:
    body = s3.get_object(Bucket=bucket, Key=found["Key"])["Body"].read().decode("utf-8")
    header, *of_file = csv.reader(io.StringIO(body, newline=""))
    rows += of_file

text = io.StringIO(newline="")
# A row with too few or too many fields is cut to fit, as Spark does.
width, missing = len(header), [""] * len(header)
csv.writer(text).writerows([*(row + missing)[:width], options["day"]] for row in rows)
temporary = f"{options['tmp_dir']}{options['day']}/rows.csv.gz"
working, _, key = temporary.removeprefix("s3://").partition("/")
s3.put_object(Bucket=working, Key=key, Body=gzip.compress(text.getvalue().encode(), 1))

connection = glue.get_connection(Name=options["connection"])["Connection"]
secret = secrets.get_secret_value(SecretId=connection["ConnectionProperties"]["SECRET_ID"])
login = json.loads(secret["SecretString"])
with redshift_connector.connect(
    host=login["host"],
    port=int(login["port"]),
    database=login["dbname"],
    user=login["username"],
    password=login["password"],
    sslmode="verify-full",
) as warehouse:
    warehouse.cursor().execute(
        f"COPY public.reference_products ({', '.join(header)}, day) FROM '{temporary}' "
        f"IAM_ROLE '{options['copy_role']}' FORMAT CSV GZIP"
    )
    warehouse.commit()
