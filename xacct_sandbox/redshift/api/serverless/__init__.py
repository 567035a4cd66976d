"""The Redshift Serverless API (`redshift-serverless`) over the sandbox's one database."""

from xacct_sandbox.redshift.api.serverless.credentials import database_user
from xacct_sandbox.redshift.api.serverless.operations import Serverless
from xacct_sandbox.redshift.api.serverless.state import tag_keys

__all__ = ["Serverless", "database_user", "tag_keys"]
