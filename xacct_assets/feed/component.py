"""CrossAccountFeed: a feed's YAML becomes its assets, checks, job, schedule and sensor."""

from pathlib import Path
from typing import Self

import dagster as dg
from pydantic import BaseModel

from xacct_assets.feed.arrival.sensor import build_sensor
from xacct_assets.feed.assets import feed_assets
from xacct_assets.feed.checks import feed_checks
from xacct_assets.feed.schedule import build_schedule, job_name
from xacct_assets.feed.spec import FeedSpec


class CrossAccountFeed(dg.Component, FeedSpec, dg.Resolvable):
    """A feed of daily files that land in a central account and are processed in another.

    Each day is crawled, loaded into Redshift by a Glue job, transformed by a stored procedure and
    unloaded to the central account again, with the rows of every step accounted for.
    """

    @classmethod
    def model(cls) -> type[BaseModel]:
        """The YAML's schema: the feed itself, strictly, rather than a laxer one derived from it."""
        return FeedSpec

    @classmethod
    def resolve_from_model(cls, context: dg.ResolutionContext, model: BaseModel) -> Self:
        """No templates are resolved: a feed is the same wherever it is loaded."""
        return cls(**{name: getattr(model, name) for name in FeedSpec.model_fields})

    @classmethod
    def get_spec(cls) -> dg.ComponentTypeSpec:
        """What `dg list components` shows."""
        return dg.ComponentTypeSpec(
            description="A daily feed from raw files in one AWS account to an export back to it.",
            tags=["s3", "glue", "redshift", "cross-account"],
        )

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """Everything Dagster needs to run the feed."""
        from xacct_assets.feed.loader import DEFS_FOLDER, load_feeds

        if DEFS_FOLDER in Path(context.path).parents:
            # Feeds that would overwrite each other are refused here, not found out in production.
            load_feeds()
        return feed_definitions(self)


def feed_definitions(feed: FeedSpec) -> dg.Definitions:
    """Everything Dagster needs to run the feed, wherever it was read."""
    job = dg.define_asset_job(
        job_name(feed),
        selection=dg.AssetSelection.groups(feed.name),
        description=f"Takes a day (or a range) of {feed.name} through all five assets.",
    )
    return dg.Definitions(
        assets=feed_assets(feed),
        asset_checks=feed_checks(feed),
        jobs=[job],
        schedules=[build_schedule(feed)],
        sensors=[build_sensor(feed)],
    )


def extra_feeds_dir(folder: Path) -> dg.Definitions:
    """The feeds of a folder outside of the package, e.g. one that a company keeps for itself.

    Raises:
        FeedFileError: a file is no valid feed, or claims what another feed has, also one of the
            package's.
    """
    from xacct_assets.feed.loader import load_feeds

    ours = {feed.name for feed in load_feeds()}
    return dg.Definitions.merge(
        *(
            feed_definitions(feed)
            for feed in load_feeds(extra_feeds_dir=folder)
            if feed.name not in ours
        )
    )
