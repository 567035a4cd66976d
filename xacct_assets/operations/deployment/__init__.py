"""Deploys an installation into two accounts, and removes it.

The calls are the same for AWS and for the sandbox: CloudFormation for all resources it supports, S3
for the job script, Redshift for tables and procedures.
"""
