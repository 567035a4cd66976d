"""What account A's administrator gets: all of it, readable, and nothing secret."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from tests.pipeline.unit.operations.deployment.test_bucket_access import (
    BOTH,
    OUTPUTS_B,
    feeds_in,
)
from xacct_assets.feed.loader import load_feeds
from xacct_assets.operations import cli
from xacct_assets.operations.deployment import plan
from xacct_assets.operations.deployment.account_a_files import write_files
from xacct_assets.settings import Settings
from xacct_assets.sources import sources_root


def written(folder: Path, settings: Settings, adopted: frozenset[str]) -> dict[str, str]:
    settings = dataclasses.replace(settings, adopted=adopted)
    feeds = feeds_in("products")
    planned = plan.account_a(settings, sources_root(), OUTPUTS_B, feeds)
    return {path.name: path.read_text() for path in write_files(folder, settings, planned, feeds)}


def test_the_files_are_what_cloudformation_takes(tmp_path: Path, settings: Settings) -> None:
    files = written(tmp_path / "new" / "folder", settings, frozenset())
    assert set(files) == {"README.md", "template.yaml", "parameters.json"}
    assert files["template.yaml"] == plan.template(sources_root(), "account_a.yaml")
    values = {
        entry["ParameterKey"]: entry["ParameterValue"]
        for entry in json.loads(files["parameters.json"])
    }
    assert values["GlueRoleArn"] == OUTPUTS_B["GlueRoleArn"]
    assert values["DatabaseUser"] == "etl"


def test_the_summary_names_every_principal_right_and_command(
    tmp_path: Path, settings: Settings
) -> None:
    text = written(tmp_path, settings, frozenset())["README.md"]
    for name in (
        *OUTPUTS_B.values(),
        settings.input_bucket,
        settings.export_bucket,
        settings.role_a_arn,
        settings.account_a,
        settings.account_b,
        "--no-execute-changeset",
        "CAPABILITY_NAMED_IAM",
        "delete-stack",
    ):
        assert name in text, name
    assert "put-bucket-policy" not in text


def test_for_an_adopted_bucket_there_are_statements_and_how_to_add_them(
    tmp_path: Path, settings: Settings
) -> None:
    files = written(tmp_path, settings, BOTH)
    assert len(json.loads(files["input-bucket-statements.json"])) == 4
    assert len(json.loads(files["export-bucket-statements.json"])) == 2
    (entry,) = json.loads(files["input-bucket-notifications.json"])
    assert entry["QueueArn"] == OUTPUTS_B["ArrivalQueueArn"]
    assert "export-bucket-notifications.json" not in files
    text = files["README.md"]
    assert text.count("put-bucket-policy --bucket") == 2
    assert "The stack makes nothing of it and never" in text
    parameters = {
        entry["ParameterKey"]: entry["ParameterValue"]
        for entry in json.loads(files["parameters.json"])
    }
    assert (parameters["AdoptInputBucket"], parameters["AdoptExportBucket"]) == ("true", "true")


def test_the_files_can_be_written_again(tmp_path: Path, settings: Settings) -> None:
    assert written(tmp_path, settings, BOTH) == written(tmp_path, settings, BOTH)


@pytest.mark.parametrize("account", [[], ["--account", "b"]])
def test_only_account_a_can_be_printed(
    account: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in (
        ("XACCT_ACCOUNT_A", "111111111111"),
        ("XACCT_ACCOUNT_B", "222222222222"),
        ("XACCT_SUFFIX", "test"),
        ("AWS_REGION", "us-east-1"),
    ):
        monkeypatch.setenv(name, value)
    assert cli.main(["--no-env-file", "deploy", *account, "--print"]) == 2
    assert "add --account a" in capsys.readouterr().err


def test_no_feed_is_needed_for_the_summary(tmp_path: Path, settings: Settings) -> None:
    planned = plan.account_a(settings, sources_root(), OUTPUTS_B, load_feeds())
    assert len(write_files(tmp_path, settings, planned, [])) == 3
