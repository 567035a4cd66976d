"""The code location: what is in it, what it needs, what it runs under."""

import shutil
from itertools import pairwise
from pathlib import Path

import dagster as dg
import pytest
import yaml
from dagster._core.instance.config import dagster_instance_config
from dagster._daemon.controller import create_daemon_of_type
from dagster._daemon.run_coordinator.queued_run_coordinator_daemon import QueuedRunCoordinatorDaemon

from tests.support.project import DAGSTER_YAML, EXTRA_FEEDS_DIR, ROOT
from xacct_assets.aws_clients import AwsClients
from xacct_assets.feed.assets import feed_assets
from xacct_assets.feed.loader import FeedFileError, load_feed
from xacct_assets.settings import SettingsError

ENVIRONMENT = {
    "XACCT_ACCOUNT_A": "111111111111",
    "XACCT_ACCOUNT_B": "222222222222",
    "XACCT_SUFFIX": "test",
    "AWS_REGION": "us-east-1",
}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def load() -> dg.Definitions:
    from xacct_assets.definitions import defs

    return defs()


def test_a_feed_is_five_assets_in_a_chain_with_checks_a_job_a_schedule_and_a_sensor(
    environment: pytest.MonkeyPatch,
) -> None:
    definitions = load()
    dg.Definitions.validate_loadable(definitions)
    graph = definitions.resolve_asset_graph()
    chain = ["raw_partition", "catalog_table", "staging_table", "fact_table", "s3_export"]
    for above, below in pairwise(chain):
        parents = graph.get(dg.AssetKey(["products", below])).parent_keys
        assert parents == {dg.AssetKey(["products", above])}
    assert definitions.resolve_job_def("products_day")
    assert definitions.resolve_schedule_def("products_daily").cron_schedule == "0 6 * * *"
    assert definitions.resolve_sensor_def("products_arrivals")
    checks = {key.name for key in graph.asset_check_keys}
    assert checks == {
        "every_partition_materialized",
        "files_have_rows",
        "schema_matches_feed",
        "rejected_share_within_limit",
        "row_counts_reconcile",
    }


def test_a_folder_of_feeds_can_be_anywhere(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("XACCT_EXTRA_FEEDS_DIR", str(EXTRA_FEEDS_DIR))
    definitions = load()
    assert {sensor.name for sensor in definitions.sensors or []} == {
        "alerts",
        "customers_arrivals",
        "orders_arrivals",
        "products_arrivals",
    }
    groups = {asset.group_names_by_key[asset.key] for asset in definitions.assets or []}
    assert groups == {"customers", "orders", "products"}


def test_sql_that_differs_from_a_feeds_columns_is_refused_by_column(
    environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shutil.copytree(EXTRA_FEEDS_DIR / "orders", tmp_path / "orders")
    environment.setenv("XACCT_EXTRA_FEEDS_DIR", str(tmp_path))
    load()
    staging = tmp_path / "orders" / "staging.sql"
    staging.write_text(staging.read_text().replace("VARCHAR(64)", "VARCHAR(32)"))
    with pytest.raises(FeedFileError) as raised:
        load()
    assert "column sku of public.orders is varchar(32), in defs.yaml varchar(64)" in (
        str(raised.value)
    )
    assert "xacct feed sql orders" in str(raised.value)


def test_a_feed_that_would_overwrite_another_ones_data_is_refused(
    environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "orders" / "defs.yaml"
    path.parent.mkdir()
    text = (EXTRA_FEEDS_DIR / "orders" / "defs.yaml").read_text(encoding="utf-8")
    assert "prefix: shop/orders" in text
    path.write_text(
        text.replace("prefix: shop/orders", "prefix: products/old", 1), encoding="utf-8"
    )
    environment.setenv("XACCT_EXTRA_FEEDS_DIR", str(tmp_path))
    with pytest.raises(FeedFileError, match=r"source\.prefix 'products/old' is also claimed by"):
        load()


def test_each_asset_says_what_it_is_and_whose(environment: pytest.MonkeyPatch) -> None:
    for asset in load().assets or []:
        (spec,) = asset.specs
        assert spec.description
        assert spec.description.endswith("\n\nproducts: " + load_feed("products").description)
        assert spec.owners == ["team:data-platform"]
        assert spec.kinds
        assert spec.code_version
        assert spec.group_name == "products"


def test_a_missing_setting_is_named_with_an_example(environment: pytest.MonkeyPatch) -> None:
    environment.delenv("XACCT_SUFFIX")
    with pytest.raises(
        SettingsError, match=r"(?s)XACCT_SUFFIX: is required and not set.*XACCT_SUFFIX="
    ):
        load()


def test_the_clients_are_built_once_per_process(environment: pytest.MonkeyPatch) -> None:
    resource = load().resources["aws"]
    one, two = (resource.create_resource(dg.build_init_resource_context()) for _ in range(2))
    assert one is two
    assert isinstance(one, AwsClients)
    assert one.settings.suffix == "test"


def test_the_workspace_names_the_same_location_as_the_project() -> None:
    workspace = yaml.safe_load((ROOT / "workspace.yaml").read_text(encoding="utf-8"))
    (location,) = workspace["load_from"]
    assert location["python_module"] == {
        "module_name": "xacct_assets.definitions",
        "location_name": "xacct_assets",
    }


def test_the_instance_settings_are_accepted_by_dagster(tmp_path: Path) -> None:
    (tmp_path / "dagster.yaml").write_bytes(DAGSTER_YAML.read_bytes())
    settings, _ = dagster_instance_config(str(tmp_path))
    assert settings["concurrency"]["pools"] == {
        "default_limit": 1,
        "granularity": "run",
    }
    assert settings["telemetry"] == {"enabled": False}


def test_the_queue_is_dequeued_every_second_and_keeps_its_limits(tmp_path: Path) -> None:
    (tmp_path / "dagster.yaml").write_bytes(DAGSTER_YAML.read_bytes())
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        daemon = create_daemon_of_type("QUEUED_RUN_COORDINATOR", instance)
        assert isinstance(daemon, QueuedRunCoordinatorDaemon)
        assert daemon.interval_seconds == 1
        queue = instance.get_concurrency_config().run_queue_config
        assert queue is not None
        assert queue.max_concurrent_runs == 6


def test_the_daemon_finds_a_sensor_of_thirty_seconds_due_every_thirty(
    environment: pytest.MonkeyPatch,
) -> None:
    least = load().resolve_sensor_def("products_arrivals").minimum_interval_seconds or 0
    # It looks every five seconds, and at the tick's beginning a second or two had passed.
    assert next(look for look in range(5, 61, 5) if look - 2 >= least) == 30
    assert next(look for look in range(5, 61, 5) if look >= least) == 30


@pytest.mark.parametrize("setting", [{"retention_days": 90}, {"count_until_mb": 0}])
def test_how_long_raw_files_are_kept_and_who_counts_them_makes_no_asset_stale(
    setting: dict[str, int],
) -> None:
    feed = load_feed("products")
    source = feed.source.model_copy(update=setting)
    kept = feed.model_copy(update={"source": source})
    versions, others = (
        [asset.code_versions_by_key for asset in feed_assets(one)] for one in (feed, kept)
    )
    assert versions == others
