"""Bringing an installation into two accounts, and taking it out again.

The same calls for AWS and for the sandbox: CloudFormation for all it can hold, S3 for the job's
script, the wire connection for tables and procedures.
"""
