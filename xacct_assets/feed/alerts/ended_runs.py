"""Failed days of runs that have ended for good, and the days that a later run has mended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import dagster as dg

from xacct_assets.feed import advice
from xacct_assets.feed.alerts.alert import Alert, Kind
from xacct_assets.feed.arrival.run_history import days_of_run
from xacct_assets.feed.assets import (
    catalog_table,
    fact_table,
    raw_partition,
    s3_export,
    staging_table,
)
from xacct_assets.feed.dagster_internals import will_be_retried
from xacct_assets.feed.metadata import MetadataMissing, Problem, plain_values
from xacct_assets.feed.partition_results import EVERY_PARTITION_CHECK, IS_UPSTREAM

#: The chain, in order. Of a day's problems the first is told; the others follow from it.
STAGES = tuple(
    module.NAME for module in (raw_partition, catalog_table, staging_table, fact_table, s3_export)
)
_REPAIRS = {fact_table.NAME: advice.TRANSFORM, s3_export.NAME: advice.EXPORT}
#: A failed run may be told this much later: until then Dagster may decide not to retry it.
OVERLAP_SECONDS = 900.0
_PAGE_SIZE = 200
_EVENTS = {
    dg.DagsterEventType.ASSET_MATERIALIZATION,
    dg.DagsterEventType.ASSET_OBSERVATION,
    dg.DagsterEventType.ASSET_CHECK_EVALUATION,
    dg.DagsterEventType.STEP_FAILURE,
    dg.DagsterEventType.RUN_FAILURE,
}


@dataclass
class RunResult:
    """What a run says about its days.

    Attributes:
        ended_at: seconds since 1970.
        alerts: by day and stage.
        good: for each day the assets that were materialized, and the checks that passed.
    """

    run_id: str
    ended_at: float
    alerts: dict[tuple[str, str], Alert] = field(default_factory=dict)
    good: dict[str, set[str]] = field(default_factory=dict)

    def first_alerts(self) -> list[Alert]:
        """The first problem of each day."""
        first: dict[str, Alert] = {}
        for (day, _), alert in sorted(
            self.alerts.items(), key=lambda item: (item[0][0], STAGES.index(item[0][1]))
        ):
            first.setdefault(day, alert)
        return list(first.values())

    def mends(self, alert: Alert) -> bool:
        """Whether what had failed has succeeded, and nothing else has failed for the day."""
        day, has_failed = alert.subject, any(day == alert.subject for day, _ in self.alerts)
        return not has_failed and bool({alert.stage, alert.check} & self.good.get(day, set()))


def ended_runs(
    instance: dg.DagsterInstance, feeds: Sequence[str], after: float, seen: Mapping[str, float]
) -> list[RunResult]:
    """The results of the feeds' runs that ended after a time, in the order of their ends.

    A failed run that Dagster will retry is left out: its retry tells. So is a canceled run.

    Args:
        after: seconds since 1970.
        seen: ids of runs that have been told already; they are left out.
    """
    filters = dg.RunsFilter(
        statuses=[dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE],
        updated_after=datetime.fromtimestamp(max(0.0, after), UTC),
    )
    results, cursor = [], None
    while True:
        records = instance.get_run_records(filters, limit=_PAGE_SIZE, cursor=cursor)
        for record in records:
            run, ended_at = record.dagster_run, record.end_time or 0.0
            # Adding a tag to an old run updates it too.
            is_new = ended_at > after and run.run_id not in seen
            if is_new and not will_be_retried(instance, run):
                results += _result(instance, run, feeds, ended_at)
        if len(records) < _PAGE_SIZE:
            return sorted(results, key=lambda result: result.ended_at)
        cursor = records[-1].dagster_run.run_id


def _result(
    instance: dg.DagsterInstance, run: dg.DagsterRun, feeds: Sequence[str], ended_at: float
) -> list[RunResult]:
    keys = set(run.asset_selection or ()) | {
        check.asset_key for check in run.asset_check_selection or ()
    }
    feed = next(
        (name for name in feeds if run.job_name == f"{name}_day" or _is_of(keys, name)), None
    )
    if feed is None:
        return []
    reading = _Reading(feed, run, RunResult(run.run_id, ended_at))
    for entry in instance.all_logs(run.run_id, of_type=_EVENTS):
        if entry.dagster_event is not None:
            reading.add(entry.dagster_event)
    reading.finish()
    return [reading.result]


def _is_of(keys: set[dg.AssetKey], feed: str) -> bool:
    return any(key.path[0] == feed for key in keys)


class _Reading:
    """Reads a run's events in their order; a later one replaces an earlier one."""

    def __init__(self, feed: str, run: dg.DagsterRun, result: RunResult) -> None:
        self._feed = feed
        self._run = run
        self.result = result
        self._failure = ("", "")

    def add(self, event: dg.DagsterEvent) -> None:
        if event.event_type is dg.DagsterEventType.ASSET_MATERIALIZATION:
            self._good(event.asset_key, event.partition)
        elif event.event_type is dg.DagsterEventType.ASSET_OBSERVATION:
            self._observed(event.asset_observation_data.asset_observation)
        elif event.event_type is dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            self._evaluated(event.asset_check_evaluation_data)
        elif event.event_type is dg.DagsterEventType.STEP_FAILURE:
            self._step_failed(event)
        elif not self._failure[1]:
            self._failure = (self._failure[0], event.message or "the run failed")

    def finish(self) -> None:
        """A failed run that says nothing of its days has failed for all that are not exported."""
        if self._run.status is not dg.DagsterRunStatus.FAILURE or self.result.alerts:
            return
        stage, cause = self._failure
        for day in days_of_run(self._run):
            done = self.result.good.get(day.isoformat(), set())
            missing = [name for name in STAGES if name not in done]
            if missing:
                self._bad(day.isoformat(), stage or missing[0], cause)

    def _good(self, asset: dg.AssetKey | None, day: str | None) -> None:
        if asset is not None and day is not None and asset.path[-1] in STAGES:
            self.result.good.setdefault(day, set()).add(asset.path[-1])
            self.result.alerts.pop((day, asset.path[-1]), None)

    def _bad(self, day: str, stage: str, cause: str, check: str = "") -> None:
        self.result.alerts[day, stage] = Alert(
            Kind.CHECK_FAILED if check else Kind.RUN_FAILED,
            day,
            cause,
            f"remove the cause, then {_REPAIRS.get(stage, advice.LOAD)}",
            feed=self._feed,
            stage=stage,
            check=check,
            run_id=self._run.run_id,
        )

    def _observed(self, observation: dg.AssetObservation) -> None:
        try:
            problem = Problem.from_metadata(plain_values(observation.metadata))
        except MetadataMissing:
            return  # an observation of another kind
        if observation.partition and not problem.is_upstream:
            stage = observation.asset_key.path[-1]
            self._bad(observation.partition, stage, problem.problem)

    def _evaluated(self, evaluation: dg.AssetCheckEvaluation) -> None:
        day, stage = evaluation.partition, evaluation.asset_key.path[-1]
        if day is None or stage not in STAGES:
            return
        check = evaluation.check_name
        if evaluation.passed:
            # Somebody may have executed the check again, without the asset.
            self.result.good.setdefault(day, set()).add(check)
        elif evaluation.severity is dg.AssetCheckSeverity.ERROR and not plain_values(
            evaluation.metadata
        ).get(IS_UPSTREAM):
            cause = evaluation.description or f"{check} failed"
            self._bad(day, stage, cause, "" if check == EVERY_PARTITION_CHECK else check)

    def _step_failed(self, event: dg.DagsterEvent) -> None:
        failure = event.step_failure_data
        error, said = failure.error, failure.user_failure_data
        error = error.cause if error and error.cause else error
        cause = (said.description if said else None) or (error.message if error else "failed")
        step = event.step_key or ""
        stage = next((name for name in STAGES if step.endswith(f"__{name}")), "")
        self._failure = (stage, cause.strip())
