"""Clients for the AWS services the pipeline uses. They know nothing of Dagster or of settings.

Each module is one concept; each class takes ready boto3 clients and speaks in dataclasses and in
the typed errors of `errors.py`. Nothing here imports boto3 at module level except inside functions:
a code location imports all of this at every start.
"""
