"""A Dagster whose private parts have changed is refused by name when the code location loads."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator

import dagster as dg
import pytest
from dagster._core.definitions import data_version, source_asset
from dagster._core.execution.plan import execute_step
from dagster._core.storage import tags

MODULE = "xacct_assets.feed.dagster_internals"


@pytest.fixture
def fresh() -> Iterator[None]:
    """The module is imported anew, and put back afterwards."""
    before = sys.modules.pop(MODULE, None)
    yield
    sys.modules.pop(MODULE, None)
    if before is not None:
        sys.modules[MODULE] = before


def load_error() -> ImportError:
    with pytest.raises(ImportError, match=rf"dagster {dg.__version__} is not supported") as caught:
        importlib.import_module(MODULE)
    return caught.value


@pytest.mark.usefixtures("fresh")
@pytest.mark.parametrize(
    ("module", "name"),
    [
        (data_version, "get_input_data_version_tag"),
        (source_asset, "SYSTEM_METADATA_KEY_SOURCE_ASSET_OBSERVATION"),
        (tags, "BACKFILL_ID_TAG"),
    ],
)
def test_a_missing_name_is_refused(
    monkeypatch: pytest.MonkeyPatch, module: object, name: str
) -> None:
    monkeypatch.delattr(module, name)
    assert name in str(load_error())


@pytest.mark.usefixtures("fresh")
def test_an_output_key_that_nothing_reads_any_more_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    writer = "_log_materialization_or_observation_events_for_asset"
    monkeypatch.setattr(execute_step, writer, lambda **_: iter(()))
    assert "SYSTEM_METADATA_KEY_SOURCE_ASSET_OBSERVATION" in str(load_error())


@pytest.mark.usefixtures("fresh")
def test_an_evaluation_that_takes_no_partition_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def without_partition(*, asset_key: object, check_name: str, passed: bool) -> None: ...

    monkeypatch.setattr(dg, "AssetCheckEvaluation", without_partition)
    assert "AssetCheckEvaluation" in str(load_error())


def test_the_probe_accepts_the_installed_dagster() -> None:
    assert importlib.import_module(MODULE).output_without_event().value is None
