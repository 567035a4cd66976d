"""`xacct doctor`: one finding per check, with its fix; a failed prerequisite skips checks."""

import pytest

from xacct_assets.aws.errors import AccessDenied, ConnectionFailed, NotFound
from xacct_assets.aws.secretsmanager import WarehouseCredentials
from xacct_assets.feed.loader import load_feed
from xacct_assets.operations.doctor import Doctor
from xacct_assets.settings import Settings

SETTINGS = Settings.load(
    {
        "XACCT_ACCOUNT_A": "111111111111",
        "XACCT_ACCOUNT_B": "222222222222",
        "XACCT_SUFFIX": "local",
        "AWS_REGION": "us-east-1",
    }
)
LOGIN = WarehouseCredentials("h", 5439, "dev", "xacct", "s3cr3t", "arn:secret", True)


class FakeClient:
    """A client: each call returns the prepared answer or raises the prepared failure."""

    bucket = "bucket"

    def __init__(self, aws):
        self.aws = aws

    def __getattr__(self, name):
        def call(*args, **_options):
            failure = self.aws.failures.get(name)
            if failure is not None:
                raise failure
            return self.aws.answers.get(name)

        return call


class FakeAwsClients:
    """Fake of the pipeline's clients."""

    settings = SETTINGS

    def __init__(self):
        self.failures: dict[str, Exception] = {}
        self.answers = {
            "identity": ("222222222222", "arn:aws:iam::222222222222:role/orchestrator"),
            "folders": ["2026"],
            "query": [{"name": "xacct", "version": "Redshift", "proname": "sp_products"}],
            "execute": type("Result", (), {"id": "statement-1"}),
            "table": type("Table", (), {"columns": [1, 2]}),
            "get_crawler": {"Crawler": {"State": "READY"}},
            "get_job": {"Job": {"GlueVersion": "5.0"}},
            "get_workgroup": {"workgroup": {"status": "AVAILABLE", "namespaceName": "n"}},
            "get_namespace": {"namespace": {"iamRoles": [f"IamRole(arn={SETTINGS.role_b_arn})"]}},
        }
        self.sessions = self.warehouse = self.data_api = self.catalog = FakeClient(self)

    def raw_bucket(self, _feed):
        return FakeClient(self)

    exports = client = raw_bucket

    def warehouse_credentials(self):
        if "secret" in self.failures:
            raise self.failures["secret"]
        return LOGIN


@pytest.fixture
def aws(monkeypatch):
    clients = FakeAwsClients()

    def probe(*_args):
        if "probe_tls" in clients.failures:
            raise clients.failures["probe_tls"]
        return "h"

    monkeypatch.setattr("xacct_assets.aws.redshift.probes.probe_tls", probe)
    return clients


def examine(aws):
    shown = []
    findings = Doctor(aws, [load_feed("products")], shown.append).run()
    assert findings == shown
    return {finding.check: finding for finding in findings}


def test_a_sound_installation_passes_every_check(aws):
    findings = examine(aws)
    assert {finding.outcome for finding in findings.values()} == {"ok"}
    assert len(findings) >= 12


def test_no_finding_shows_the_password(aws):
    assert all("s3cr3t" not in str(finding) for finding in examine(aws).values())


def test_credentials_of_the_wrong_account_are_reported_with_the_right_one(aws):
    aws.answers["identity"] = ("999999999999", "arn:aws:iam::999999999999:user/me")
    found = examine(aws)["credentials"]
    assert found.outcome == "FAIL"
    assert "999999999999" in found.detail
    assert "222222222222" in found.detail
    assert "AWS_PROFILE" in found.fix


def test_a_denial_in_account_a_names_the_principal_and_the_fix(aws):
    aws.failures["folders"] = AccessDenied(
        "s3:ListBucket was denied", principal="arn:me", fix="let it"
    )
    found = examine(aws)["products: raw files in A"]
    assert (found.outcome, found.fix) == ("FAIL", "let it")
    assert "arn:me" in found.detail


def test_checks_behind_a_failed_prerequisite_are_skipped_by_name(aws):
    aws.failures["probe_tls"] = ConnectionFailed("no connection", fix="VPC peering")
    findings = examine(aws)
    assert findings["network path and TLS to Redshift"].outcome == "FAIL"
    assert findings["tables and procedures"].outcome == "skipped"
    assert findings["Data API"].outcome == "ok"


def test_a_missing_secret_skips_the_network_and_not_the_data_api(aws):
    aws.failures["secret"] = NotFound("no secret")
    findings = examine(aws)
    assert findings["login for Redshift"].outcome == "FAIL"
    assert findings["network path and TLS to Redshift"].outcome == "skipped"


def test_a_missing_procedure_is_reported(aws):
    aws.answers["query"] = []

    def login(sql, *_args):
        return [{"name": "x", "version": "y"}] if "current_user" in sql else []

    aws.warehouse = type("Warehouse", (), {"query": staticmethod(login)})
    found = examine(aws)["products: tables and procedure"]
    assert "no procedure public.sp_products" in found.detail
    assert "xacct deploy" in found.fix


def test_a_role_that_is_not_attached_is_reported(aws):
    aws.answers["get_namespace"] = {"namespace": {"iamRoles": []}}
    found = examine(aws)["role chain of UNLOAD"]
    assert found.outcome == "FAIL"
    assert "not attached" in found.detail


def test_a_workgroup_that_is_not_available_is_reported(aws):
    aws.answers["get_workgroup"]["workgroup"]["status"] = "CREATING"
    assert "is CREATING" in examine(aws)["role chain of UNLOAD"].detail
