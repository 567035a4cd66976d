"""The settings of one feed, typed and strictly validated.

A feed is a folder under ``xacct_assets/defs/`` with a ``defs.yaml`` (the fields of `FeedSpec`) and
a folder with its SQL. This package does not import Dagster, so that the command line starts fast.

Names end up in SQL, S3 keys, CloudFormation stacks and Dagster keys. Each is checked against what
all of these accept; a name that one of them refuses is reported with its field.
"""

from xacct_assets.feed.spec.arrival import Arrival, Schedule
from xacct_assets.feed.spec.columns import LOADED_AT_COLUMN, Column
from xacct_assets.feed.spec.export import Export
from xacct_assets.feed.spec.feed import FeedSpec
from xacct_assets.feed.spec.source import Csv, Source
from xacct_assets.feed.spec.warehouse import Catalog, LoadJob, WarehouseTables

__all__ = [
    "LOADED_AT_COLUMN",
    "Arrival",
    "Catalog",
    "Column",
    "Csv",
    "Export",
    "FeedSpec",
    "LoadJob",
    "Schedule",
    "Source",
    "WarehouseTables",
]
