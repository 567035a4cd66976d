"""`xacct feeds`: one list of all feeds, from the settings and from Dagster's instance."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import pytest

from tests.support.project import EXTRA_FEEDS_DIR
from xacct_assets.operations import cli

SETTINGS = {
    "XACCT_ACCOUNT_A": "111111111111",
    "XACCT_ACCOUNT_B": "222222222222",
    "XACCT_SUFFIX": "local",
    "AWS_REGION": "us-east-1",
    "XACCT_EXTRA_FEEDS_DIR": str(EXTRA_FEEDS_DIR),
}


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("XACCT_ARRIVAL_START_RUNNING", raising=False)
    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    return tmp_path


def listed(capsys: pytest.CaptureFixture[str]) -> dict[str, dict[str, object]]:
    assert cli.main(["--no-env-file", "feeds", "--json"]) == 0
    return {row["feed"]: row for row in json.loads(capsys.readouterr().out)}


def test_feeds_of_the_package_and_of_the_extra_folder_are_one_list(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = listed(capsys)
    assert list(rows) == ["customers", "orders", "products"]
    assert rows["products"]["first_day"] == "2026-01-01"


def test_the_newest_exported_day_and_their_number_are_shown(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with dg.DagsterInstance.from_config(str(home)) as instance:
        for day in ("2026-02-03", "2026-02-01"):
            instance.report_runless_asset_event(
                dg.AssetMaterialization(asset_key=["products", "s3_export"], partition=day)
            )
    rows = listed(capsys)
    assert (rows["products"]["exported"], rows["products"]["last_exported"]) == (2, "2026-02-03")
    assert (rows["orders"]["exported"], rows["orders"]["last_exported"]) == (0, None)


def test_what_nobody_switched_is_as_the_installation_says(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert listed(capsys)["products"]["schedule"] == "off"  # the feed's own default
    for switch, shown in (("true", "on"), ("false", "off")):
        monkeypatch.setenv("XACCT_ARRIVAL_START_RUNNING", switch)
        rows = listed(capsys).values()
        assert {(row["schedule"], row["sensor"]) for row in rows} == {(shown, shown)}


def test_a_switch_that_somebody_has_set_is_shown(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    @dataclass(frozen=True)
    class Switch:
        instigator_name: str
        is_running: bool

    switches = [Switch("products_daily", True), Switch("orders_arrivals", False)]
    monkeypatch.setattr(dg.DagsterInstance, "all_instigator_state", lambda _: switches)
    rows = listed(capsys)
    assert (rows["products"]["schedule"], rows["products"]["sensor"]) == ("on", "off")
    assert rows["orders"]["sensor"] == "off"


def test_without_a_dagster_instance_it_says_so(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DAGSTER_HOME")
    assert cli.main(["--no-env-file", "feeds"]) == 0
    shown = capsys.readouterr().out
    assert "first day" in shown.splitlines()[0]
    assert "DAGSTER_HOME is not set" in shown
