"""How a step over a range of days reports each day by itself.

A run covers one day or many. For many, Dagster (1.13) offers one result for the whole range: every
day gets the same data version, and one bad day fails all. Here each day gets its own event with its
own metadata, data version and provenance; a day with a problem gets none, is told apart by an
observation that says why, and the others go on. The run is failed at its end by the check
``every_partition_materialized``: exactly the bad days show as failed and can be retried alone.

Two private names of Dagster are used: those of the data version tags, and the output metadata key
that says "the asset's events are already there", which Dagster uses for source assets.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import dagster as dg
from dagster._core.definitions.data_version import (
    CODE_VERSION_TAG,
    DATA_VERSION_IS_USER_PROVIDED_TAG,
    DATA_VERSION_TAG,
    get_input_data_version_tag,
    get_input_event_pointer_tag,
)
from dagster._core.definitions.source_asset import SYSTEM_METADATA_KEY_SOURCE_ASSET_OBSERVATION

from xacct_assets.feed.event_log import (
    INHERITED,
    PROBLEM,
    Materialization,
    latest_materializations,
    run_lineage,
)
from xacct_assets.feed.partitions import in_words, parse_day

EVERY_PARTITION_CHECK = "every_partition_materialized"

PartitionEvents = Iterator[
    dg.AssetMaterialization | dg.AssetObservation | dg.AssetCheckEvaluation | dg.Output[None]
]


@dataclass(frozen=True)
class PartitionResult:
    """What a step did for one day.

    Attributes:
        metadata: what the UI shows for the day.
        data_version: hash of what the asset now holds; by default it follows from the upstream
            asset's version and the code version.
    """

    metadata: Mapping[str, Any]
    data_version: str | None = None


@dataclass
class PartitionBatch:
    """The days of one step, sorted into those to work on and those with a problem.

    Attributes:
        inherited: days whose problem belongs to the upstream asset, which has told it already.
        inputs: the upstream asset's latest materializations.
    """

    context: dg.AssetExecutionContext
    upstream: dg.AssetKey | None = None
    ready: list[date] = field(default_factory=list)
    problems: dict[date, str] = field(default_factory=dict)
    inherited: set[date] = field(default_factory=set)
    inputs: dict[date, Materialization] = field(default_factory=dict)

    @classmethod
    def of(cls, context: dg.AssetExecutionContext, upstream: dg.AssetKey | None) -> PartitionBatch:
        """The run's days; with an upstream asset, those it is there for.

        If the upstream asset was (re)materialized for some days by this run, or by the run this one
        takes up, then the days it was not materialized for have failed there and are left alone.
        """
        days = [parse_day(key) for key in context.partition_keys]
        step = cls(context=context, upstream=upstream)
        if upstream is None:
            step.ready = days
            return step
        name = upstream.to_user_string()
        step.inputs = latest_materializations(context.instance, upstream, days)
        family = run_lineage(context.run)
        by_this_run = {day for day, event in step.inputs.items() if event.run_id in family}
        for day in days:
            if by_this_run and day not in by_this_run:
                step.fail(day, f"{name} failed for {day} in this run")
                step.inherited.add(day)
            elif day not in step.inputs:
                step.fail(day, f"{name} was never materialized for {day}; materialize it first")
            else:
                step.ready.append(day)
        step.raise_if_none_is_ready()
        return step

    def fail(self, day: date, problem: str) -> None:
        """Take the day out of the work, for the reason given; the others go on."""
        self.problems.setdefault(day, problem)
        if day in self.ready:
            self.ready.remove(day)
        self.context.log.error(f"{day}: {problem}")

    def raise_if_none_is_ready(self) -> None:
        """Fail the step if there is nothing left to work on; a retry would find the same."""
        if not self.ready:
            raise self._failure()

    def report(self, reports: Mapping[date, PartitionResult]) -> PartitionEvents:
        """One event a day, then the output that lets the next step start.

        Raises:
            Failure: no day succeeded; or some failed and the check that would fail the run at its
                end is not part of the run.
        """
        code_version = self.context.assets_def.code_versions_by_key[self.context.asset_key] or ""
        for day, text in sorted(self.problems.items()):
            yield dg.AssetObservation(
                asset_key=self.context.asset_key,
                partition=day.isoformat(),
                description=text,
                metadata={PROBLEM: text, INHERITED: day in self.inherited},
            )
            if not self.ready:
                # The step fails below and its checks are not run; the day has its verdict all the
                # same: above all a day for which nothing has landed.
                yield dg.AssetCheckEvaluation(
                    asset_key=self.context.asset_key,
                    check_name=EVERY_PARTITION_CHECK,
                    passed=False,
                    description=text,
                    metadata={"is upstream": day in self.inherited},
                    partition=day.isoformat(),
                )
        for day in self.ready:
            yield dg.AssetMaterialization(
                asset_key=self.context.asset_key,
                partition=day.isoformat(),
                metadata=dict(reports[day].metadata),
                tags=self._version_tags(day, reports[day].data_version, code_version),
            )
        self.raise_if_none_is_ready()
        if self.problems and not self._is_checked_later():
            raise self._failure()
        yield dg.Output(None, metadata={SYSTEM_METADATA_KEY_SOURCE_ASSET_OBSERVATION: True})

    def _version_tags(self, day: date, own: str | None, code_version: str) -> dict[str, str]:
        tags = {CODE_VERSION_TAG: code_version}
        seed = code_version
        if self.upstream is not None:
            event = self.inputs[day]
            version = event.data_version or "INITIAL"
            seed += version
            tags[get_input_data_version_tag(self.upstream)] = version
            tags[get_input_event_pointer_tag(self.upstream)] = str(event.storage_id)
        if own is None:
            tags[DATA_VERSION_TAG] = hashlib.sha256(seed.encode()).hexdigest()
        else:
            tags[DATA_VERSION_TAG] = own
            tags[DATA_VERSION_IS_USER_PROVIDED_TAG] = "true"
        return tags

    def _is_checked_later(self) -> bool:
        # A run may leave checks out; its job then has no node for them. Nodes are named so by
        # AssetCheckSpec.get_python_identifier.
        node = f"{self.context.asset_key.to_python_identifier()}_{EVERY_PARTITION_CHECK}"
        return self.context.job_def.has_node_named(node)

    def _failure(self) -> dg.Failure:
        return day_failure(self.problems)


def day_failure(problems: Mapping[date, str]) -> dg.Failure:
    """The failure of a step for reasons that lie in its days: a retry by itself cannot help."""
    days = sorted(problems)
    if len(days) == 1:
        # The other days of the run may have gone well, so it is named.
        return dg.Failure(description=f"{days[0]}: {problems[days[0]]}", allow_retries=False)
    lines = "\n".join(f"- {day}: {problems[day]}" for day in days)
    return dg.Failure(
        description=f"{len(days)} days failed ({in_words(days)}):\n{lines}",
        metadata={"failed days": [day.isoformat() for day in days]},
        allow_retries=False,
    )
