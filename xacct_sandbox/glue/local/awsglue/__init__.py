"""The part of AWS Glue's `awsglue` library that job scripts need, without Glue.

Importable as ``awsglue`` when its parent folder is on the path, as it is for the sandbox's Spark
workers. A script sees the same names, arguments and effects as on AWS Glue 5.0. What is not here
is refused by name; nothing is ignored.

It talks to AWS through boto3 and its usual settings (``AWS_ENDPOINT_URL``, credentials in the
environment), so every call is made, and allowed or denied, as the job's role.
"""
