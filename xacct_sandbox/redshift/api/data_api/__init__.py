"""The Redshift Data API (`redshift-data`) over the sandbox's Redshift endpoint."""

from xacct_sandbox.redshift.api.data_api.metadata import Metadata
from xacct_sandbox.redshift.api.data_api.operations import DataApi

__all__ = ["DataApi", "Metadata"]
