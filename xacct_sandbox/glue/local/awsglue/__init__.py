"""The part of AWS Glue's `awsglue` library that job scripts use, for Spark on this machine.

Its parent folder is on the path of the sandbox's Spark workers, so scripts import it as
``awsglue``. Names, arguments and effects are those of AWS Glue 5.0. Anything else is refused by
name, never ignored.

It calls AWS through boto3 and its usual settings (``AWS_ENDPOINT_URL``, credentials in the
environment), so every call is authorized as the job's role.
"""
