"""What the orchestrator and the Glue job script must agree on. Standard library only.

`xacct deploy` ships this package to Glue in the zip named by ``--extra-py-files``, so nothing here
may import boto3, Dagster, pydantic or PySpark.
"""

#: Increased with every change that an older job script or orchestrator would misread. The request
#: carries it, so that a zip in S3 that is older than the orchestrator is refused by name.
CONTRACT_VERSION = 3
