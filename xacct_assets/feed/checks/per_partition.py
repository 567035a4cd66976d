"""Asset checks with one result per day, also in a run over a range of days.

Dagster (1.13) stores one result per check and run, without a partition if the run covers a range.
The checks built here write one evaluation per day to the event log instead. Then a run of several
days gets one over all of them, which the pages of asset and group show.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import Enum, IntEnum
from typing import Any

import dagster as dg

from xacct_assets.aws_clients import AwsClients
from xacct_assets.feed.assets.defaults import asset_key, retry_transient_errors
from xacct_assets.feed.dagster_internals import evaluation_target
from xacct_assets.feed.deployment import naming_what_is_not_deployed
from xacct_assets.feed.event_log import Materialization, latest_materializations
from xacct_assets.feed.partition_results import evaluation_of_run, partitions_failure
from xacct_assets.feed.partitions import daily_partitions, parse_day
from xacct_assets.feed.spec import FeedSpec


class Badness(IntEnum):
    """Results of a check, the worst last."""

    PASSED, WARNING, ERROR = range(3)


@dataclass(frozen=True)
class Verdict:
    """The result of a check for one day."""

    passed: bool
    description: str
    metadata: Mapping[str, Any] = field(default_factory=dict)
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR

    @property
    def badness(self) -> Badness:
        """How bad the result is."""
        if self.passed:
            return Badness.PASSED
        is_error = self.severity is dg.AssetCheckSeverity.ERROR
        return Badness.ERROR if is_error else Badness.WARNING


@dataclass(frozen=True)
class CheckInput:
    """What a check evaluates: the days of a run and the latest materialization of each.

    Attributes:
        materializations: by day; a day that was never materialized is left out.
    """

    context: dg.AssetCheckExecutionContext
    aws: AwsClients
    days: Sequence[date]
    materializations: Mapping[date, Materialization]


Evaluate = Callable[[CheckInput], Mapping[date, Verdict]]


class BlockingMode(Enum):
    """When failed days fail the check's step, so that downstream assets of the run are skipped."""

    NEVER = "never"
    IF_NO_DAY_IS_LEFT = "if no day is left"
    IF_ANY_DAY_FAILED = "if any day failed"

    def blocks(self, failed: Sequence[date], days: Sequence[date]) -> bool:
        """Whether the failed days among the run's days fail the step."""
        if self is BlockingMode.IF_ANY_DAY_FAILED:
            return bool(failed)
        return self is BlockingMode.IF_NO_DAY_IS_LEFT and len(failed) == len(days) > 0


def per_materialization(judge: Callable[[Materialization], Verdict]) -> Evaluate:
    """Evaluate each day from the metadata of its latest materialization alone."""
    return lambda given: {day: judge(event) for day, event in given.materializations.items()}


def per_partition_check(
    feed: FeedSpec,
    asset_name: str,
    name: str,
    description: str,
    evaluate: Evaluate,
    *,
    blocking: BlockingMode = BlockingMode.NEVER,
    after_evaluation: Callable[[Mapping[date, Verdict]], None] | None = None,
) -> dg.AssetChecksDefinition:
    """Build an asset check that records one evaluation per day.

    Args:
        asset_name: the checked asset, e.g. ``staging_table``.
        evaluate: returns the verdicts. A day without one gets a warning that it was never
            materialized.
        blocking: when the check's step fails.
        after_evaluation: called with all verdicts once they are recorded; may raise to fail the
            step.
    """
    key = asset_key(feed, asset_name)

    @dg.asset_check(  # type: ignore[arg-type]  # a generator, as ops allow; typed for results only
        asset=key,
        name=name,
        description=description,
        # Makes downstream assets wait for the check; whether they then run is decided below.
        blocking=blocking is not BlockingMode.NEVER,
        partitions_def=daily_partitions(feed),
    )
    def _check(
        context: dg.AssetCheckExecutionContext, aws: dg.ResourceParam[AwsClients]
    ) -> Iterator[dg.AssetCheckEvaluation | dg.Output[None]]:
        with retry_transient_errors(context), naming_what_is_not_deployed(feed, aws):
            days = _days_to_check(context, feed, key)
            materializations = latest_materializations(context.instance, key, days)
            evaluated = evaluate(CheckInput(context, aws, days, materializations))
        verdicts = {day: evaluated.get(day) or _not_materialized(asset_name, day) for day in days}
        # A run without partitions (see `_days_to_check`) was planned as one evaluation without a
        # partition, so the last of its days is the newest: it must be the worst.
        for day in sorted(days, key=lambda day: verdicts[day].badness):
            yield _evaluation(key, name, day, verdicts[day], materializations.get(day))
        failed, warned = _reasons(verdicts, Badness.ERROR), _reasons(verdicts, Badness.WARNING)
        if len(days) > 1:
            severity = verdicts[days[-1]].severity
            yield evaluation_of_run(key, name, days, failed, warned, severity)
        yield dg.Output(None)
        if blocking.blocks(list(failed), days):
            raise partitions_failure(failed)
        if after_evaluation is not None:
            after_evaluation(verdicts)

    return _check


def _reasons(verdicts: Mapping[date, Verdict], badness: Badness) -> dict[date, str]:
    return {
        day: verdict.description for day, verdict in verdicts.items() if verdict.badness is badness
    }


def _not_materialized(asset_name: str, day: date) -> Verdict:
    return Verdict(
        False,
        f"nothing to check: {asset_name} was not materialized for {day}",
        severity=dg.AssetCheckSeverity.WARN,
    )


def _days_to_check(
    context: dg.AssetCheckExecutionContext, feed: FeedSpec, key: dg.AssetKey
) -> list[date]:
    """The run's days; in a run without partitions, the asset's newest materialized days.

    The button "Execute all" beside an asset's checks in the UI starts a run without partitions.
    """
    if context.has_partition_key or context.has_partition_key_range:
        return [parse_day(partition) for partition in context.partition_keys]
    days = sorted(map(parse_day, context.instance.get_materialized_partitions(key)))
    if not days:
        raise dg.Failure(
            f"nothing to check: {key.to_user_string()} was never materialized; materialize a day"
        )
    return days[-feed.max_days_per_run :]


def _evaluation(
    key: dg.AssetKey,
    name: str,
    day: date,
    verdict: Verdict,
    materialization: Materialization | None,
) -> dg.AssetCheckEvaluation:
    target = None
    if materialization is not None:
        target = evaluation_target(
            materialization.storage_id, materialization.run_id, materialization.timestamp
        )
    return dg.AssetCheckEvaluation(
        asset_key=key,
        check_name=name,
        passed=verdict.passed,
        description=verdict.description,
        # The UI hides a list behind a link, even an empty one.
        metadata={
            name: "none" if value == [] else value for name, value in verdict.metadata.items()
        },
        severity=verdict.severity,
        partition=day.isoformat(),
        target_materialization_data=target,
        # True would block all days because of one.
        blocking=False,
    )
