"""Single checks of `xacct doctor`, on AWS in memory."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from functools import partial
from typing import Any

import pytest

from tests.support.fakes.aws_clients import FakeAwsClients
from tests.support.fakes.aws_state import AwsState
from tests.support.fakes.modelled_client import ModelledClient
from tests.support.project import ROOT
from xacct_assets.aws.denials import set_permission_hints
from xacct_assets.aws.errors import AccessDenied, ConnectionFailed, InvalidRequest, NotFound
from xacct_assets.feed.spec import FeedSpec
from xacct_assets.iam_hints import grant_hint
from xacct_assets.operations.deployment import plan
from xacct_assets.operations.doctor import (
    buckets,
    glue,
    machine,
    settings_link,
    sql_files,
    warehouse,
)
from xacct_assets.operations.doctor.chain import checks
from xacct_assets.operations.doctor.findings import Caution, Check, Finding
from xacct_assets.operations.doctor.installation import Installation
from xacct_assets.operations.doctor.runner import Runner, examine, select
from xacct_assets.settings import Settings


@pytest.fixture
def state(feed: FeedSpec, settings: Settings) -> AwsState:
    return AwsState(feed, settings, table_location="s3://raw/products/")


@pytest.fixture
def here(state: AwsState) -> Installation:
    return Installation(FakeAwsClients(state), [state.feed])  # type: ignore[arg-type]


@pytest.fixture
def deployed(state: AwsState, monkeypatch: pytest.MonkeyPatch) -> AwsState:
    """An installation with its stacks, for the checks of a feed."""
    role = "arn:aws:sts::222222222222:assumed-role/xacct-orchestrator-test/me"
    state.identity = ("222222222222", role)
    monkeypatch.setattr("xacct_assets.operations.doctor.warehouse.probe_tls", lambda *_: "h")
    deploy(state)
    return state


def deploy(state: AwsState, status: str = "CREATE_COMPLETE") -> None:
    """Make the stacks of account B and of the feed, as `xacct deploy` makes them."""
    suffix, feed = state.settings.suffix, state.feed
    name = state.stacks.add_feed(feed.name, suffix, status)
    outputs = dict.fromkeys(plan.OUTPUTS_B, "arn:x") | {"RoleBArn": state.settings.role_b_arn}
    parameters = plan.feed_stack(state.settings, ROOT, feed, outputs).parameters
    state.stacks.stacks[name]["Parameters"] = [
        {"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()
    ]
    stack_b = f"xacct-account-b-{suffix}"
    state.stacks.stacks[stack_b] = {
        **state.stacks.stacks[name],
        "StackId": f"id:{stack_b}",
        "StackName": stack_b,
        "StackStatus": "CREATE_COMPLETE",
        "Parameters": [{"ParameterKey": "WarehouseHost", "ParameterValue": "h"}],
        "Outputs": [{"OutputKey": key, "OutputValue": value} for key, value in outputs.items()],
    }


def examined(here: Installation, *names: str) -> dict[str, Finding]:
    findings = Runner(select(checks(here), names), lambda _: None).run()
    return {finding.check: finding for finding in findings}


FEED_CHECKS = ("tables and procedure", "crawler", "Glue job", "catalog database")


def test_a_feed_that_is_not_deployed_is_one_failure_and_its_checks_are_skipped(
    here: Installation, deployed: AwsState
) -> None:
    stack_b = deployed.stacks.stacks["xacct-account-b-test"]
    deployed.undeploy()
    deployed.stacks.stacks["xacct-account-b-test"] = stack_b
    found = examined(here, *FEED_CHECKS)
    assert found["products: deployment"].detail == "feed products is not deployed: xacct deploy"
    failed = [name for name, finding in found.items() if finding.outcome == "FAIL"]
    assert failed == ["products: deployment"]
    for name in FEED_CHECKS:
        skipped = found[f"products: {name}"]
        assert (skipped.outcome, skipped.cause) == ("skipped", "products: deployment")


@pytest.mark.parametrize("status", ["ROLLBACK_COMPLETE", "CREATE_IN_PROGRESS", "DELETE_FAILED"])
def test_a_stack_that_holds_nothing_to_work_with_is_one_failure_with_its_status(
    here: Installation, deployed: AwsState, status: str
) -> None:
    deploy(deployed, status)
    found = examined(here, *FEED_CHECKS)
    assert f"its stack xacct-feed-products-test is {status}" in (
        found["products: deployment"].detail
    )
    failed = [name for name, finding in found.items() if finding.outcome == "FAIL"]
    assert failed == ["products: deployment"]


@pytest.mark.parametrize("status", ["UPDATE_IN_PROGRESS", "UPDATE_ROLLBACK_COMPLETE"])
def test_a_stack_that_works_beside_a_failed_or_unfinished_update_is_a_warning(
    here: Installation, deployed: AwsState, status: str
) -> None:
    deploy(deployed, status)
    found = examined(here, "deployment")["products: deployment"]
    assert found.outcome == "warn"
    assert status in found.detail


def test_a_feed_without_its_tables_is_one_failure_that_names_them(
    here: Installation, deployed: AwsState
) -> None:
    deployed.drop_tables()
    found = examined(here, "rights of the database user")
    failed = [name for name, finding in found.items() if finding.outcome == "FAIL"]
    assert failed == ["products: tables and procedure"]
    assert found["products: tables and procedure"].detail == (
        "feed products is deployed in part (there is no table public.products, no table "
        "public.products_f, no procedure public.sp_products): xacct deploy"
    )


def test_a_feed_whose_settings_changed_since_is_one_failure_that_names_the_field(
    here: Installation, deployed: AwsState
) -> None:
    stack = deployed.stacks.stacks["xacct-feed-products-test"]
    entry = next(one for one in stack["Parameters"] if one["ParameterKey"] == "InputPrefix")
    entry["ParameterValue"] = "elsewhere"
    found = examined(here, "crawler")
    failed = [name for name, finding in found.items() if finding.outcome == "FAIL"]
    assert failed == ["products: deployment"]
    assert "InputPrefix is elsewhere, its settings say products" in (
        found["products: deployment"].detail
    )


def test_a_role_that_may_not_see_stacks_is_told_so(here: Installation, deployed: AwsState) -> None:
    deployed.stacks.denied = {"ListStacks", "DescribeStacks"}
    found = examined(here, *FEED_CHECKS)
    failed = [name for name, finding in found.items() if finding.outcome == "FAIL"]
    assert failed == ["installation"]
    assert "cloudformation:ListStacks" in found["installation"].detail


def test_a_network_that_leads_nowhere_skips_the_tables(
    here: Installation, deployed: AwsState, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> str:
        raise ConnectionFailed("no connection", fix="VPC peering")

    monkeypatch.setattr("xacct_assets.operations.doctor.warehouse.probe_tls", fail)
    found = examined(here, "tables and procedure")
    assert found["network path and TLS to Redshift"].fix == "VPC peering"
    assert found["products: tables and procedure"].cause == "network path and TLS to Redshift"


def found_by(run: Callable[..., str | Caution], *arguments: Any) -> Finding:
    return examine(Check("it", "it holds", partial(run, *arguments)))


def test_credentials_of_the_wrong_account_are_reported_with_the_right_one(
    state: AwsState, here: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings_link, "profile_of_role", lambda _: "dagster")
    state.identity = ("999999999999", "arn:aws:iam::999999999999:user/me")
    found = found_by(settings_link.credentials, here)
    assert found.outcome == "FAIL"
    assert "999999999999" in found.detail
    assert "222222222222" in found.detail
    assert "`AWS_PROFILE=dagster`" in (found.fix or "")


def test_credentials_of_another_principal_of_the_account_are_a_warning(
    state: AwsState, here: Installation
) -> None:
    state.identity = ("222222222222", "arn:aws:iam::222222222222:user/admin")
    assert found_by(settings_link.credentials, here).outcome == "warn"


def test_credentials_of_the_orchestrator_pass(state: AwsState, here: Installation) -> None:
    role = "arn:aws:sts::222222222222:assumed-role/xacct-orchestrator-test/me"
    state.identity = ("222222222222", role)
    assert found_by(settings_link.credentials, here).outcome == "ok"


def test_a_denial_in_account_a_names_the_principal_and_the_fix(
    state: AwsState, here: Installation
) -> None:
    denied = AccessDenied("s3:ListBucket was denied", principal="arn:me", fix="let it")
    state.fail("folders", denied)
    found = found_by(buckets.raw_files, here.aws, state.feed)
    assert (found.outcome, found.fix) == ("FAIL", "let it")
    assert "arn:me" in found.detail


def test_no_finding_shows_the_password(here: Installation, deployed: AwsState) -> None:
    found = found_by(warehouse.redshift_secret, here)
    assert found.outcome == "ok"
    assert "s3cr3t" not in str(found)


def test_a_missing_secret_is_reported(here: Installation, state: AwsState) -> None:
    state.fail("secret", NotFound("no secret", fix="make one"))
    found = found_by(warehouse.redshift_secret, here)
    assert (found.outcome, found.fix) == ("FAIL", "make one")


def test_a_role_that_is_not_attached_is_reported(here: Installation, state: AwsState) -> None:
    state.namespace_roles.clear()
    found = found_by(warehouse.role_chain, here)
    assert found.outcome == "FAIL"
    assert "not attached" in found.detail


def test_a_workgroup_that_is_not_available_is_reported(here: Installation, state: AwsState) -> None:
    state.workgroup_status = "CREATING"
    assert "is CREATING" in found_by(warehouse.workgroup, here).detail


def test_retired_feeds_are_a_warning_that_names_them_and_the_command(
    here: Installation, state: AwsState
) -> None:
    for name in ("orders", "prices"):
        state.stacks.add_feed(name, state.settings.suffix)
    found = found_by(settings_link.retired_feeds, here)
    assert found.outcome == "warn"
    assert "feed orders left the settings" in found.detail
    assert found.fix == "xacct feed retire orders; xacct feed retire prices"


def test_files_that_no_pattern_matches_are_named_and_counted(
    here: Installation, state: AwsState
) -> None:
    for name in ("A.CSV", "a.CSV.gz", "sub/a.csv", "b.CSV", "a.csv", "_SUCCESS"):
        state.land("2026-01-02", name)
    found = found_by(buckets.raw_files, here.aws, state.feed)
    assert found.outcome == "warn"
    assert "no pattern of the feed (*.csv, *.csv.gz) matches products/2026/01/02/A.CSV, " in (
        found.detail
    )
    assert found.detail.endswith("and 1 more")
    assert found.fix == "rename them, or add a pattern to source.patterns"
    assert "_SUCCESS" not in found.detail


def test_archived_files_are_named(here: Installation, state: AwsState) -> None:
    state.land("2026-01-02", archive="GLACIER")
    state.land("2026-01-03")
    found = found_by(buckets.raw_files, here.aws, state.feed)
    assert found.outcome == "warn"
    assert found.detail.endswith("cannot be loaded: products/2026/01/02/a.csv")
    assert found.fix == "restore them: aws s3api restore-object"


def test_of_a_long_history_only_the_newest_days_are_listed(
    here: Installation, state: AwsState
) -> None:
    first = date(2025, 1, 1)
    for n in range(100):
        state.land(str(first + timedelta(days=n)))
    state.land("2024-12-31", "OLD.CSV")
    assert "OLD.CSV" not in found_by(buckets.raw_files, here.aws, state.feed).detail
    assert state.count("list") == buckets.RECENT_DAYS


@pytest.mark.parametrize("name", ["AWS_CA_BUNDLE", "SSL_CERT_FILE", "AWS_CONFIG_FILE"])
def test_a_named_file_that_is_not_there_is_reported(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "/nowhere/file")
    found = found_by(settings_link.named_files)
    assert found.outcome == "FAIL"
    assert f"{name} names /nowhere/file" in found.detail


@pytest.mark.parametrize(
    ("home", "outcome", "named"),
    [
        ("", "warn", "DAGSTER_HOME is not set"),
        ("relative", "FAIL", "no absolute path"),
        ("/nowhere/at/all", "FAIL", "no folder"),
    ],
)
def test_a_home_that_cannot_be_used_is_reported(
    home: str, outcome: str, named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", home)
    found = found_by(machine.dagster_home)
    assert found.outcome == outcome
    assert named in found.detail


def test_sqlite_on_a_network_file_system_is_reported(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    monkeypatch.setattr(machine, "_file_system", lambda _: "nfs4")
    assert "network file system (nfs4)" in found_by(machine.dagster_home).detail
    (tmp_path / "dagster.yaml").write_text("storage: {postgres: {postgres_url: x}}\n")
    assert "postgres" in found_by(machine.dagster_home).detail
    (tmp_path / "dagster.yaml").write_text("storage: {sqlite: {base_dir: x}}\n")
    assert found_by(machine.dagster_home).outcome == "FAIL"


def test_sqlite_of_runs_on_other_machines_is_reported(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    launcher = "run_launcher: {module: dagster_aws.ecs, class: EcsRunLauncher}\n"
    (tmp_path / "dagster.yaml").write_text(launcher)
    found = found_by(machine.dagster_home)
    assert found.outcome == "FAIL"
    assert "dagster_aws.ecs" in found.detail
    (tmp_path / "dagster.yaml").write_text(launcher + "storage: {postgres: {postgres_url: x}}\n")
    assert found_by(machine.dagster_home).outcome != "FAIL"


@pytest.mark.parametrize(
    ("settings", "outcome", "named"),
    [
        (None, "ok", "no dagster.yaml"),
        ("telemetry: {enabled: false}", "warn", "no limit on runs of a feed"),
        ("concurrency: {pools: {default_limit: 1}}", "ok", "1 run of a feed"),
        ("concurrency: {pools: {default_limit: 9}}", "warn", "the Glue job of products has 4"),
    ],
)
def test_limits_that_a_backfill_meets_are_told(
    settings: str | None,
    outcome: str,
    named: str,
    tmp_path: Any,
    feed: FeedSpec,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    if settings is not None:
        (tmp_path / "dagster.yaml").write_text(settings)
    found = found_by(machine.backfill_limits, [feed])
    assert found.outcome == outcome
    assert named in found.detail


DENIED = (
    "User: arn:aws:sts::222222222222:assumed-role/xacct-glue-test/AWS-Crawler is not authorized to "
    "perform: s3:ListBucket on resource: arn:aws:s3:::sample-inp-bucket-etl-test-111111111111"
)


def test_a_denial_of_the_glue_roles_last_crawl_is_told_with_the_statement(
    here: Installation, deployed: AwsState, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Account A's policies may not be readable from here."""
    set_permission_hints(grant_hint)
    crawler = here.template_of(deployed.feed).properties("Crawler")
    last = {"Status": "FAILED", "ErrorMessage": DENIED}
    client = ModelledClient(
        "glue",
        get_crawler=lambda Name: {"Crawler": {**crawler, "State": "READY", "LastCrawl": last}},
        list_crawls=lambda **_: {"Crawls": []},
    )
    monkeypatch.setattr(here.aws, "client", lambda _: client)
    found = found_by(glue.crawler, here, deployed.feed)
    assert found.outcome == "warn"
    assert "s3:ListBucket" in found.detail
    assert "GlueListsBucket" in (found.fix or "")
    assert "role/xacct-glue-test" in (found.fix or "")


def test_sql_that_is_not_what_the_feed_says_is_named(state: AwsState, here: Installation) -> None:
    assert "has the columns of defs.yaml" in sql_files.sql_files(here, state.feed)
    column = state.feed.columns[3].model_copy(update={"type": "varchar(999)"})
    columns = [*state.feed.columns[:3], column, *state.feed.columns[4:]]
    with pytest.raises(InvalidRequest, match=r"brand of public.products is varchar\(128\)") as told:
        sql_files.sql_files(here, state.feed.model_copy(update={"columns": columns}))
    assert told.value.fix == "`xacct feed sql products`"


def test_a_feed_without_sql_is_told_how_to_get_it(state: AwsState, here: Installation) -> None:
    with pytest.raises(NotFound, match="feed stray has no SQL"):
        sql_files.sql_files(here, state.feed.model_copy(update={"name": "stray"}))
