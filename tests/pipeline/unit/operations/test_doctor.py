"""`xacct doctor`: one finding per check, with its fix; a failed prerequisite skips checks."""

from datetime import date, timedelta

import pytest

from tests.support.fakes.aws_clients import FakeAwsClients
from tests.support.fakes.aws_state import AwsState
from xacct_assets.aws.errors import AccessDenied, ConnectionFailed, NotFound
from xacct_assets.feed.spec import FeedSpec
from xacct_assets.operations.doctor import Doctor, Finding
from xacct_assets.operations.doctor_checks import RECENT_DAYS
from xacct_assets.settings import Settings


@pytest.fixture
def state(feed: FeedSpec, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> AwsState:
    state = AwsState(feed, settings, table_location="s3://raw/products/")

    def probe(*_: object) -> str:
        state.reach("probe_tls")
        return "h"

    monkeypatch.setattr("xacct_assets.aws.redshift.probes.probe_tls", probe)
    return state


def examine(state: AwsState) -> dict[str, Finding]:
    shown: list[Finding] = []
    findings = Doctor(FakeAwsClients(state), [state.feed], shown.append).run()
    assert findings == shown
    return {finding.check: finding for finding in findings}


def test_a_sound_installation_passes_every_check(state: AwsState) -> None:
    findings = examine(state)
    assert {finding.outcome for finding in findings.values()} == {"ok"}
    assert len(findings) >= 12


def test_no_finding_shows_the_password(state: AwsState) -> None:
    assert all("s3cr3t" not in str(finding) for finding in examine(state).values())


def test_credentials_of_the_wrong_account_are_reported_with_the_right_one(state: AwsState) -> None:
    state.identity = ("999999999999", "arn:aws:iam::999999999999:user/me")
    found = examine(state)["credentials"]
    assert found.outcome == "FAIL"
    assert "999999999999" in found.detail
    assert "222222222222" in found.detail
    assert "AWS_PROFILE" in found.fix


def test_a_denial_in_account_a_names_the_principal_and_the_fix(state: AwsState) -> None:
    state.fail(
        "folders", AccessDenied("s3:ListBucket was denied", principal="arn:me", fix="let it")
    )
    found = examine(state)["products: raw files in A"]
    assert (found.outcome, found.fix) == ("FAIL", "let it")
    assert "arn:me" in found.detail


def test_checks_behind_a_failed_prerequisite_are_skipped_by_name(state: AwsState) -> None:
    state.fail("probe_tls", ConnectionFailed("no connection", fix="VPC peering"))
    findings = examine(state)
    assert findings["network path and TLS to Redshift"].outcome == "FAIL"
    assert findings["tables and procedures"].outcome == "skipped"
    assert findings["Data API"].outcome == "ok"


def test_a_missing_secret_skips_the_network_and_not_the_data_api(state: AwsState) -> None:
    state.fail("secret", NotFound("no secret"))
    findings = examine(state)
    assert findings["login for Redshift"].outcome == "FAIL"
    assert findings["network path and TLS to Redshift"].outcome == "skipped"


def test_a_missing_procedure_is_reported(state: AwsState) -> None:
    state.absent.add("public.sp_products")
    found = examine(state)["products: tables and procedure"]
    assert "no procedure public.sp_products" in found.detail
    assert "xacct deploy" in found.fix


def test_a_role_that_is_not_attached_is_reported(state: AwsState) -> None:
    state.namespace_roles.clear()
    found = examine(state)["role chain of UNLOAD"]
    assert found.outcome == "FAIL"
    assert "not attached" in found.detail


def test_a_workgroup_that_is_not_available_is_reported(state: AwsState) -> None:
    state.workgroup_status = "CREATING"
    assert "is CREATING" in examine(state)["role chain of UNLOAD"].detail


FEED_CHECKS = ("tables and procedure", "crawler", "Glue job", "catalog database")


def outcomes(state: AwsState) -> dict[str, str]:
    return {name: finding.outcome for name, finding in examine(state).items()}


def test_a_feed_that_is_not_deployed_is_one_failure_and_its_checks_are_skipped(
    state: AwsState,
) -> None:
    state.undeploy()
    found = examine(state)
    assert found["products: deployment"].detail == "feed products is not deployed: xacct deploy"
    failed = [name for name, finding in found.items() if finding.outcome == "FAIL"]
    assert failed == ["products: deployment"]
    for name in FEED_CHECKS:
        skipped = found[f"products: {name}"]
        assert (skipped.outcome, skipped.detail) == ("skipped", "the feed is not deployed")


@pytest.mark.parametrize("status", ["ROLLBACK_COMPLETE", "CREATE_IN_PROGRESS", "DELETE_FAILED"])
def test_a_stack_that_holds_nothing_to_work_with_is_one_failure_with_its_status(
    state: AwsState, status: str
) -> None:
    state.stacks.add_feed("products", state.settings.suffix, status)
    found = examine(state)
    assert f"its stack xacct-feed-products-{state.settings.suffix} is {status}" in (
        found["products: deployment"].detail
    )
    assert [name for name, finding in found.items() if finding.outcome == "FAIL"] == [
        "products: deployment"
    ]


@pytest.mark.parametrize("status", ["UPDATE_IN_PROGRESS", "UPDATE_ROLLBACK_COMPLETE"])
def test_a_stack_that_works_beside_a_failed_or_unfinished_update_is_a_warning(
    state: AwsState, status: str
) -> None:
    state.stacks.add_feed("products", state.settings.suffix, status)
    found = examine(state)
    assert found["products: deployment"].outcome == "warn"
    assert status in found["products: deployment"].detail
    assert found["products: crawler"].outcome == "ok"


def test_a_feed_without_its_tables_is_one_failure_that_names_them(state: AwsState) -> None:
    state.drop_tables()
    found = examine(state)
    assert [name for name, finding in found.items() if finding.outcome == "FAIL"] == [
        "products: tables and procedure"
    ]
    assert found["products: tables and procedure"].detail == (
        "feed products is deployed in part (there is no table public.products, no table "
        "public.products_f, no procedure public.sp_products): xacct deploy"
    )


def test_retired_feeds_are_a_warning_that_names_them_and_the_command(state: AwsState) -> None:
    for name in ("orders", "prices"):
        state.stacks.add_feed(name, state.settings.suffix)
    found = examine(state)["retired feeds"]
    assert found.outcome == "warn"
    assert "feed orders left the settings" in found.detail
    assert found.fix == "xacct feed retire orders; xacct feed retire prices"


def test_a_role_that_may_not_see_stacks_is_told_so_and_the_other_checks_are_made(
    state: AwsState,
) -> None:
    state.stacks.denied = {"ListStacks", "DescribeStacks"}
    found = examine(state)
    failed = [name for name, finding in found.items() if finding.outcome == "FAIL"]
    assert failed == ["products: deployment", "retired feeds"]
    assert all(found[f"products: {name}"].outcome == "ok" for name in FEED_CHECKS)


def test_without_credentials_the_deployment_is_not_looked_at(state: AwsState) -> None:
    state.identity = ("999999999999", "arn:aws:iam::999999999999:user/me")
    assert outcomes(state)["deployment of the feeds"] == "skipped"


def test_files_that_no_pattern_matches_are_named_and_counted(state: AwsState) -> None:
    for name in ("A.CSV", "a.CSV.gz", "sub/a.csv", "b.CSV", "a.csv", "_SUCCESS"):
        state.land("2026-01-02", name)
    found = examine(state)["products: raw files in A"]
    assert found.outcome == "warn"
    assert "no pattern of the feed (*.csv, *.csv.gz) matches products/2026/01/02/A.CSV, " in (
        found.detail
    )
    assert found.detail.endswith("and 1 more")
    assert found.fix == "rename them, or add a pattern to source.patterns"
    assert "_SUCCESS" not in found.detail


def test_archived_files_are_named(state: AwsState) -> None:
    state.land("2026-01-02", archive="GLACIER")
    state.land("2026-01-03")
    found = examine(state)["products: raw files in A"]
    assert found.outcome == "warn"
    assert found.detail.endswith("cannot be loaded: products/2026/01/02/a.csv")
    assert found.fix == "restore them: aws s3api restore-object"


def test_of_a_long_history_only_the_newest_days_are_listed(state: AwsState) -> None:
    first = date(2025, 1, 1)
    for n in range(100):
        state.land(str(first + timedelta(days=n)))
    state.land("2024-12-31", "OLD.CSV")
    assert "OLD.CSV" not in examine(state)["products: raw files in A"].detail
    assert state.count("list") == RECENT_DAYS


def test_a_table_whose_column_has_another_type_is_named(state: AwsState) -> None:
    state.column_types = {"price": "decimal(10,2)", "name": "varchar(9999)"}
    found = examine(state)["products: tables and procedure"]
    assert found.outcome == "FAIL"
    assert "column price is decimal(10,2), in defs.yaml decimal(12,2)" in found.detail
    assert "column name" not in found.detail
    assert "xacct deploy" in (found.fix or "")


def test_sql_that_is_not_what_the_feed_says_is_named(state: AwsState) -> None:
    column = state.feed.columns[3].model_copy(update={"type": "varchar(999)"})
    columns = [*state.feed.columns[:3], column, *state.feed.columns[4:]]
    state.feed = state.feed.model_copy(update={"columns": columns})
    found = examine(state)["products: SQL files"]
    assert found.outcome == "FAIL"
    assert "column brand of public.products is varchar(128), in defs.yaml varchar(999)" in (
        found.detail
    )
    assert found.fix == "xacct feed sql products"
