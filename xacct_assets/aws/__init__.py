"""Clients for the AWS services that the pipeline uses.

They import neither Dagster nor anything else of this package but `contract`. Each class takes ready
boto3 clients, returns dataclasses, and raises the typed failures of `errors`. boto3 is imported
inside functions only, because a code location imports these modules at every start.
"""
