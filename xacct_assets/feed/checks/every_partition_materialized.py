"""The check that fails a run at its end if one of its days could not be materialized."""

from collections.abc import Mapping
from datetime import date

import dagster as dg

from xacct_assets.feed.assets.defaults import asset_key
from xacct_assets.feed.checks.per_partition import CheckInput, Verdict, per_partition_check
from xacct_assets.feed.event_log import latest_problems
from xacct_assets.feed.partition_results import (
    EVERY_PARTITION_CHECK,
    IS_UPSTREAM,
    partitions_failure,
)
from xacct_assets.feed.spec import FeedSpec


def every_partition_materialized(feed: FeedSpec, asset_name: str) -> dg.AssetChecksDefinition:
    """Fail the run if the asset could not be materialized for some of its days.

    Nothing waits for this check: downstream assets process the other days first.
    """

    def evaluate(given: CheckInput) -> dict[date, Verdict]:
        problems = latest_problems(given.context.instance, asset_key(feed, asset_name), given.days)
        verdicts = {}
        for day in given.days:
            event, reported = given.materializations.get(day), problems.get(day)
            if reported and (event is None or reported.storage_id > event.storage_id):
                problem = reported.problem
                verdicts[day] = Verdict(False, problem.problem, {IS_UPSTREAM: problem.is_upstream})
            elif event is None:
                verdicts[day] = Verdict(False, f"{asset_name} was never materialized for {day}")
            else:
                verdicts[day] = Verdict(True, "materialized")
        return verdicts

    return per_partition_check(
        feed,
        asset_name,
        EVERY_PARTITION_CHECK,
        f"{asset_name} is materialized for every day of the run. Days that failed are listed with "
        "the reason.",
        evaluate,
        after_evaluation=_fail_the_run,
    )


def _fail_the_run(verdicts: Mapping[date, Verdict]) -> None:
    # A problem of an upstream asset already fails the run in that asset's check.
    own = {
        day: verdict.description
        for day, verdict in verdicts.items()
        if not verdict.passed and not verdict.metadata.get(IS_UPSTREAM)
    }
    if own:
        raise partitions_failure(own)
