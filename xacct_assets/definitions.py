"""The whole system on one screen.

    account A (central)                  account B (processing)
    raw bucket ─► raw_partition ─► catalog_table ─► staging_table ─► fact_table ─► s3_export ─► A
                  S3 read          Glue crawler     Glue Spark job   Data API      UNLOAD
                                   Data Catalog     into Redshift    procedure     RoleB, RoleA

Every folder under ``defs/`` is a feed: a YAML file of type ``CrossAccountFeed``, which makes the
five assets above with their checks, a job, a schedule and a sensor; so is every folder under the
one that XACCT_EXTRA_FEEDS_DIR names. One more sensor tells the owners what goes wrong. Accounts
and names come from the environment (``settings.py``) and show in the UI as one resource.
"""

import warnings

import dagster as dg

from xacct_assets.feed.alerts.sensor import build_alerts_sensor
from xacct_assets.feed.component_tree import component_tree, has_feeds
from xacct_assets.feed.launch_command import refuse_other_days
from xacct_assets.feed.loader import DEFS_FOLDER, load_feeds
from xacct_assets.feed.sql_files.differences import refuse_differences
from xacct_assets.resources import AwsClientsResource
from xacct_assets.settings import Settings

# The code uses beta and preview parts of Dagster, whose warnings are about 100 lines per process.
for _category in (dg.BetaWarning, dg.PreviewWarning):
    warnings.simplefilter("ignore", category=_category)


@dg.definitions
def defs() -> dg.Definitions:
    """All feeds, the AWS clients they share, their alerts, and the executor of their runs."""
    settings = Settings.load()
    extra = settings.extra_feeds_dir
    # Refuses feeds that would overwrite each other's data.
    specs = load_feeds(extra_feeds_dir=extra)
    feeds = component_tree(DEFS_FOLDER)
    definitions = dg.Definitions.merge(
        feeds.build_defs(DEFS_FOLDER),
        *([component_tree(extra).build_defs(extra)] if has_feeds(extra) else []),
        dg.Definitions(
            resources={"aws": AwsClientsResource.from_settings(settings)},
            sensors=[build_alerts_sensor(specs)],
            # The chain is serial and waits for AWS: a process for each step would cost seconds.
            executor=dg.in_process_executor,
            component_tree=feeds,
        ),
    )
    refuse_differences(specs, extra)
    refuse_other_days(definitions, specs)
    return definitions
