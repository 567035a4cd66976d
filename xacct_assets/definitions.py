"""The whole system on one screen.

    account A (central)                  account B (processing)
    raw bucket ─► raw_partition ─► catalog_table ─► staging_table ─► fact_table ─► s3_export ─► A
                  S3 read          Glue crawler     Glue Spark job   Data API      UNLOAD
                                   Data Catalog     into Redshift    procedure     RoleB, RoleA

Every folder under ``defs/`` is a feed: a YAML file of type ``CrossAccountFeed``, which makes the
five assets above with their checks, a job, a schedule and a sensor; so is every folder under the
one that XACCT_EXTRA_FEEDS_DIR names. Accounts and names come from the environment
(``settings.py``) and show in the UI as one resource.
"""

import warnings
from pathlib import Path

import dagster as dg

from xacct_assets.feed.component import extra_feeds_dir
from xacct_assets.resources import AwsClientsResource
from xacct_assets.settings import Settings

# That parts of Dagster's API may change with its next minor version is no news to each process
# that loads this, a hundred lines at a time: its version is pinned.
for _category in (dg.BetaWarning, dg.PreviewWarning):
    warnings.simplefilter("ignore", category=_category)


@dg.definitions
def defs() -> dg.Definitions:
    """All feeds, the clients they share, and how their steps run."""
    settings = Settings.load()
    tree = dg.ComponentTree.for_project(Path(__file__))
    return dg.Definitions.merge(
        # What `load_from_defs_folder` does, less its catalogue of every installed component: for
        # that it imports dagster_aws, which costs each process half a second and 50 MB.
        tree.build_defs_at_path(tree.defs_module_path),
        *([extra_feeds_dir(settings.extra_feeds_dir)] if settings.extra_feeds_dir else []),
        dg.Definitions(
            resources={"aws": AwsClientsResource.from_settings(settings)},
            executor=dg.in_process_executor,
            component_tree=tree,
        ),
    )
