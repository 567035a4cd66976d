"""How a step over a range of partitions reports the result of each partition.

A run covers one day or many. Each day gets a materialization with its own metadata, data version
and provenance. A day with a problem gets none; an observation says why, and the other days go on.
The check ``every_partition_materialized`` fails the run at its end, so exactly the bad days show as
failed and can be retried alone. What Dagster has no public API for is in `dagster_internals`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import dagster as dg

from xacct_assets.feed.dagster_internals import output_without_event, version_tags
from xacct_assets.feed.event_log import Materialization, latest_materializations, run_lineage
from xacct_assets.feed.metadata import Problem
from xacct_assets.feed.partitions import by_text, grouped, in_words, parse_day

EVERY_PARTITION_CHECK = "every_partition_materialized"
# Its metadata for a failed day: whether the upstream asset has reported the reason.
IS_UPSTREAM = "is upstream"
# How much the evaluation of a run repeats of its days' reasons; their own evaluations have all.
REASONS_SHOWN, REASON_CHARACTERS = 20, 300
# Different problems that the failure of a step shows.
PROBLEMS_SHOWN = 20

PartitionEvents = Iterator[
    dg.AssetMaterialization | dg.AssetObservation | dg.AssetCheckEvaluation | dg.Output[None]
]


@dataclass(frozen=True)
class PartitionResult:
    """What a step did for one day.

    Attributes:
        metadata: metadata of the day's materialization.
        data_version: hash of what the asset now holds; by default it is derived from the code
            version and the data version of the upstream asset.
    """

    metadata: Mapping[str, Any]
    data_version: str | None = None


@dataclass
class PartitionBatch:
    """The days of one step: those to work on, and those with a problem.

    Attributes:
        upstream: the asset that this one depends on, if any.
        ready: days to work on.
        problems: the reason for each day that is left out.
        upstream_problems: days whose reason was reported by the upstream asset.
        inputs: latest materializations of the upstream asset.
    """

    context: dg.AssetExecutionContext
    upstream: dg.AssetKey | None = None
    ready: list[date] = field(default_factory=list)
    problems: dict[date, str] = field(default_factory=dict)
    upstream_problems: set[date] = field(default_factory=set)
    inputs: dict[date, Materialization] = field(default_factory=dict)

    @classmethod
    def of(cls, context: dg.AssetExecutionContext, upstream: dg.AssetKey | None) -> PartitionBatch:
        """The run's days for which the upstream asset is materialized.

        If this run, or the run that it retries, materialized the upstream asset for some of its
        days, the others failed there and are left out.

        Raises:
            Failure: no day is ready.
        """
        days = [parse_day(key) for key in context.partition_keys]
        batch = cls(context=context, upstream=upstream)
        if upstream is None:
            batch.ready = days
            return batch
        name = upstream.to_user_string()
        batch.inputs = latest_materializations(context.instance, upstream, days)
        lineage = run_lineage(context.run)
        by_this_run = {day for day, event in batch.inputs.items() if event.run_id in lineage}
        for day in days:
            if by_this_run and day not in by_this_run:
                batch.fail(day, f"{name} failed in this run")
                batch.upstream_problems.add(day)
            elif day not in batch.inputs:
                batch.fail(day, f"{name} was never materialized; materialize it first")
            else:
                batch.ready.append(day)
        batch.raise_if_none_is_ready()
        return batch

    def fail(self, day: date, problem: str) -> None:
        """Leaves the day out of the work. The other days go on."""
        self.problems.setdefault(day, problem)
        if day in self.ready:
            self.ready.remove(day)

    def raise_if_none_is_ready(self) -> None:
        """Raises Failure if no day is left to work on."""
        if not self.ready:
            raise partitions_failure(self.problems)

    def report(self, results: Mapping[date, PartitionResult]) -> PartitionEvents:
        """Yields an event for each day, then the output that lets the next step start.

        Raises:
            Failure: no day succeeded; or some failed and the run does not include the check that
                would fail it at its end.
        """
        code_version = self.context.assets_def.code_versions_by_key[self.context.asset_key] or ""
        if self.problems and self.ready:
            self.context.log.error(
                "%d of %d days failed, the others go on: %s",
                len(self.problems),
                len(self.problems) + len(self.ready),
                by_text(self.problems),
            )
        for day, problem in sorted(self.problems.items()):
            is_upstream = day in self.upstream_problems
            yield dg.AssetObservation(
                asset_key=self.context.asset_key,
                partition=day.isoformat(),
                description=problem,
                metadata=Problem(problem, is_upstream).to_metadata(),
            )
            if not self.ready:
                # The step fails below, so its checks are not run; the day needs a verdict anyway,
                # above all a day without files.
                yield dg.AssetCheckEvaluation(
                    asset_key=self.context.asset_key,
                    check_name=EVERY_PARTITION_CHECK,
                    passed=False,
                    description=problem,
                    metadata={IS_UPSTREAM: is_upstream},
                    partition=day.isoformat(),
                )
        if not self.ready and len(self.problems) > 1:
            yield evaluation_of_run(
                self.context.asset_key, EVERY_PARTITION_CHECK, sorted(self.problems), self.problems
            )
        for day in self.ready:
            yield dg.AssetMaterialization(
                asset_key=self.context.asset_key,
                partition=day.isoformat(),
                metadata=dict(results[day].metadata),
                tags=self._version_tags(day, results[day].data_version, code_version),
            )
        self.raise_if_none_is_ready()
        if self.problems and not self._is_checked_later():
            raise partitions_failure(self.problems)
        yield output_without_event()

    def _version_tags(self, day: date, own: str | None, code_version: str) -> dict[str, str]:
        upstream, seed = None, code_version
        if self.upstream is not None:
            event = self.inputs[day]
            version = event.data_version or "INITIAL"
            upstream = (self.upstream, version, event.storage_id)
            seed += version
        return version_tags(
            code_version,
            own or hashlib.sha256(seed.encode()).hexdigest(),
            is_derived=own is None,
            upstream=upstream,
        )

    def _is_checked_later(self) -> bool:
        # A run may leave checks out; its job then has no node for them.
        # AssetCheckSpec.get_python_identifier names the nodes.
        node = f"{self.context.asset_key.to_python_identifier()}_{EVERY_PARTITION_CHECK}"
        return self.context.job_def.has_node_named(node)


def evaluation_of_run(
    asset_key: dg.AssetKey,
    check_name: str,
    days: Sequence[date],
    failed: Mapping[date, str],
    warned: Mapping[date, str] | None = None,
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR,
) -> dg.AssetCheckEvaluation:
    """What a check found over all days of a run, beside the evaluation of each day.

    The pages of an asset and of its group, and its health, show the newest evaluation of a check,
    whichever partition it is of (Dagster 1.13: `get_latest_asset_check_execution_by_key`,
    `AssetCheckHealthState`). In a run over a range that would be the last day's. This evaluation
    has no partition and is stored after those of the days, so it is the newest; the status of each
    partition is left as it is.

    Args:
        failed: the reason for each day that failed with severity ERROR.
        warned: the reason for each day that failed with severity WARN.
        severity: of a run whose days all passed; the UI gives it to days of other runs that failed.
    """
    warned = warned or {}
    if failed or warned:
        severity = dg.AssetCheckSeverity.ERROR if failed else dg.AssetCheckSeverity.WARN
    worst, verb = (failed, "failed") if failed else (warned, "with a warning")
    lines = [
        f"- {day}: {' '.join(worst[day].split())[:REASON_CHARACTERS]}"
        for day in sorted(worst)[:REASONS_SHOWN]
    ]
    if len(worst) > len(lines):
        lines.append(f"- and {len(worst) - len(lines)} more: see the partitions")
    heading = f"{len(worst)} of {len(days)} days {verb} ({in_words(list(worst))}):"
    return dg.AssetCheckEvaluation(
        asset_key=asset_key,
        check_name=check_name,
        passed=not worst,
        description="\n".join([heading, *lines]) if worst else f"all {len(days)} days passed",
        metadata={
            "failed days": [day.isoformat() for day in sorted(failed)] or "none",
            "days with a warning": [day.isoformat() for day in sorted(warned)] or "none",
        },
        severity=severity,
        blocking=False,
    )


def partitions_failure(problems: Mapping[date, str]) -> dg.Failure:
    """The failure of a step because of its days."""
    days = sorted(problems)
    if len(days) == 1:
        # The day is named, since other days of the run may have succeeded.
        return dg.Failure(f"{days[0]}: {problems[days[0]]}")
    groups = grouped(problems)
    lines = [f"- {in_words(some)}: {problem}" for problem, some in groups[:PROBLEMS_SHOWN]]
    if others := [day for _, some in groups[PROBLEMS_SHOWN:] for day in some]:
        lines.append(f"- {in_words(others)}: other reasons, which their events tell")
    return dg.Failure(
        f"{len(days)} days failed ({in_words(days)}):\n" + "\n".join(lines),
        metadata={"failed days": [day.isoformat() for day in days]},
    )
