"""The private parts of Dagster that the code location uses. No other file of it uses any.

In a run over a range of partitions Dagster (1.13) has one result for each asset: all partitions
get the same data version, and one bad partition fails them all. Its public API can write an event
for each partition, but not with a data version and provenance, and not without the run's own result
beside it. These parts can:

- the names of the tags that hold data versions and their inputs;
- the output metadata key that says "the asset's events have been written already", which Dagster
  uses for observable source assets and calls temporary;
- the materialization that a check evaluation refers to;
- the tags that name a run's backfill, and say whether a failed run will be retried.

They are checked when this module is imported. A version of Dagster that has changed them is refused
by name; otherwise failed days could turn green.
"""

from __future__ import annotations

import dagster as dg
from dagster import __version__ as dagster_version


class UnsupportedDagster(ImportError):
    """The installed Dagster lacks a private part that is needed here."""

    def __init__(self, part: str) -> None:
        super().__init__(
            f"dagster {dagster_version} is not supported: {part} has changed. Install a version in "
            "the range that xacct_assets declares (`pip install 'dagster>=1.13,<1.14'`), or adapt "
            f"{__name__}."
        )


try:
    from dagster._core.definitions.asset_checks.asset_check_evaluation import (
        AssetCheckEvaluationTargetMaterializationData,
    )
    from dagster._core.definitions.data_version import (
        CODE_VERSION_TAG,
        DATA_VERSION_IS_USER_PROVIDED_TAG,
        DATA_VERSION_TAG,
        get_input_data_version_tag,
        get_input_event_pointer_tag,
    )
    from dagster._core.definitions.source_asset import (
        SYSTEM_METADATA_KEY_SOURCE_ASSET_OBSERVATION,
    )
    from dagster._core.execution.plan import execute_step
    from dagster._core.storage.tags import BACKFILL_ID_TAG, WILL_RETRY_TAG
except ImportError as error:
    raise UnsupportedDagster(str(error)) from error


def output_without_event() -> dg.Output[None]:
    """The output of an asset whose events have been written: downstream steps may start."""
    return dg.Output(None, metadata={SYSTEM_METADATA_KEY_SOURCE_ASSET_OBSERVATION: True})


def version_tags(
    code_version: str,
    data_version: str,
    *,
    is_derived: bool,
    upstream: tuple[dg.AssetKey, str, int] | None,
) -> dict[str, str]:
    """Tags of a materialization that Dagster reads its data version and provenance from.

    Args:
        is_derived: the data version follows from code and upstream; else it describes the data.
        upstream: key of the upstream asset, and data version and storage id of its materialization.
    """
    tags = {CODE_VERSION_TAG: code_version, DATA_VERSION_TAG: data_version}
    if not is_derived:
        tags[DATA_VERSION_IS_USER_PROVIDED_TAG] = "true"
    if upstream is not None:
        key, version, storage_id = upstream
        tags[get_input_data_version_tag(key)] = version
        tags[get_input_event_pointer_tag(key)] = str(storage_id)
    return tags


def data_version_of(materialization: dg.AssetMaterialization) -> str | None:
    """The data version that a materialization was tagged with."""
    return (materialization.tags or {}).get(DATA_VERSION_TAG)


def evaluation_target(
    storage_id: int, run_id: str, timestamp: float
) -> AssetCheckEvaluationTargetMaterializationData:
    """The materialization that a check evaluation is about."""
    return AssetCheckEvaluationTargetMaterializationData(
        storage_id=storage_id, run_id=run_id, timestamp=timestamp
    )


def backfill_id(run: dg.DagsterRun) -> str | None:
    """The backfill that launched the run."""
    return run.tags.get(BACKFILL_ID_TAG)


def will_be_retried(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    """Whether Dagster retries a failed run, or has not decided yet."""
    if run.status is not dg.DagsterRunStatus.FAILURE:
        return False
    decided = run.tags.get(WILL_RETRY_TAG)
    return instance.run_retries_enabled if decided is None else decided == "true"


def _check() -> None:
    """Refuses a Dagster in which the names exist but mean something else.

    Raises:
        UnsupportedDagster: names the part.
    """
    # The function that writes an asset's events, and must leave them out for the metadata key.
    writer = getattr(execute_step, "_log_materialization_or_observation_events_for_asset", None)
    name = "SYSTEM_METADATA_KEY_SOURCE_ASSET_OBSERVATION"
    if writer is None or name not in writer.__code__.co_names:
        raise UnsupportedDagster(f"what an output with {name} means")
    try:
        dg.AssetCheckEvaluation(
            asset_key=dg.AssetKey("probe"),
            check_name="probe",
            passed=True,
            metadata={},
            partition="2026-01-01",
            target_materialization_data=evaluation_target(1, "probe", 0.0),
        )
    except (TypeError, dg.DagsterError) as error:
        raise UnsupportedDagster(f"dagster.AssetCheckEvaluation ({error})") from error
    if DATA_VERSION_TAG != "dagster/data_version":
        raise UnsupportedDagster(f"the tag of data versions ({DATA_VERSION_TAG})")


_check()
