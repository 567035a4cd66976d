"""`xacct doctor`: one finding per check, with its fix; a failed prerequisite skips checks."""

import pytest

from tests.support.fakes.aws_clients import FakeAwsClients
from tests.support.fakes.aws_state import AwsState
from xacct_assets.aws.errors import AccessDenied, ConnectionFailed, NotFound
from xacct_assets.feed.spec import FeedSpec
from xacct_assets.operations.doctor import Doctor, Finding
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
    state.procedures = False
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
