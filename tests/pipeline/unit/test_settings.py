"""Settings: names have defaults, and all mistakes are reported at once."""

import dataclasses
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xacct_assets.settings import Settings, SettingsError, arrival_overrides

REQUIRED = {
    "XACCT_ACCOUNT_A": "111111111111",
    "XACCT_ACCOUNT_B": "222222222222",
    "XACCT_SUFFIX": "local",
    "AWS_REGION": "us-east-1",
}


def test_four_variables_are_enough_and_the_other_names_follow():
    settings = Settings.load(REQUIRED)
    assert settings.input_bucket == "sample-inp-bucket-etl-local-111111111111"
    assert settings.export_bucket == "sample-opt-bucket-etl-local-111111111111"
    assert settings.processing_bucket == "xacct-processing-local-222222222222"
    assert settings.role_a_arn == "arn:aws:iam::111111111111:role/xacct-RoleA-local"
    assert settings.role_b_arn == "arn:aws:iam::222222222222:role/xacct-RoleB-local"
    assert settings.orchestrator_role_arn.endswith(":role/xacct-orchestrator-local")
    assert settings.glue_role_arn.endswith(":role/xacct-glue-local")
    assert (settings.workgroup, settings.database) == ("xacct-local", "dev")
    assert settings.redshift_secret == "xacct/redshift-local"
    assert settings.data_api_secret is None
    assert settings.glue_connection == "xacct-redshift-local"
    assert (settings.stack_a, settings.stack_b) == (
        "xacct-account-a-local",
        "xacct-account-b-local",
    )


def test_the_namespace_is_named_after_the_workgroup_and_the_user_after_the_suffix():
    settings = Settings.load(REQUIRED | {"XACCT_WORKGROUP": "team", "XACCT_SUFFIX": "a-b"})
    assert settings.namespace == "team"
    assert settings.database_user == "xacct_a_b"


def test_what_is_adopted_is_a_list_and_a_typing_error_is_told():
    settings = Settings.load(REQUIRED | {"XACCT_ADOPT": "input-bucket, secret,"})
    assert settings.adopted == {"input-bucket", "secret"}
    assert Settings.load(REQUIRED).adopted == frozenset()
    for wrong in ("bucket", "secret workgroup", "Secret"):
        with pytest.raises(SettingsError, match="XACCT_ADOPT") as refusal:
            Settings.load(REQUIRED | {"XACCT_ADOPT": f"input-bucket,{wrong}"})
        assert "export-bucket" in refusal.value.problems["XACCT_ADOPT"]


@pytest.mark.parametrize(
    ("variable", "value", "attribute"),
    [
        ("XACCT_INPUT_BUCKET", "our.raw", "input_bucket"),
        ("XACCT_EXPORT_BUCKET", "our-exports", "export_bucket"),
        ("XACCT_PROCESSING_BUCKET", "our-work", "processing_bucket"),
        ("XACCT_ROLE_A_ARN", "arn:aws:iam::111111111111:role/p/A", "role_a_arn"),
        ("XACCT_ROLE_B_ARN", "arn:aws:iam::222222222222:role/B", "role_b_arn"),
        ("XACCT_WORKGROUP", "ours", "workgroup"),
        ("XACCT_NAMESPACE", "our-data", "namespace"),
        ("XACCT_DATABASE_USER", "loader", "database_user"),
        ("XACCT_ADMIN_SECRET", "team/admin", "admin_secret"),
        ("XACCT_DATABASE", "prod", "database"),
        ("XACCT_REDSHIFT_SECRET", "airflow/connections/redshift", "redshift_secret"),
        ("XACCT_DATA_API_SECRET", "other", "data_api_secret"),
        ("XACCT_GLUE_CONNECTION", "ours", "glue_connection"),
        ("XACCT_ACCOUNT_A_PROFILE", "central", "account_a_profile"),
        ("XACCT_ACCOUNT_B_PROFILE", "processing", "account_b_profile"),
        ("XACCT_WAREHOUSE_HOST", "127.0.0.1", "warehouse_host"),
        ("XACCT_CONSOLE_URL", "http://127.0.0.1:4567", "console_url"),
    ],
)
def test_each_name_can_be_overridden(variable, value, attribute):
    assert getattr(Settings.load(REQUIRED | {variable: value}), attribute) == value


def test_the_folder_of_extra_feeds_is_made_absolute(tmp_path, monkeypatch):
    (tmp_path / "feeds").mkdir()
    monkeypatch.chdir(tmp_path)
    assert Settings.load(REQUIRED).extra_feeds_dir is None
    folder = Settings.load(REQUIRED | {"XACCT_EXTRA_FEEDS_DIR": "feeds"}).extra_feeds_dir
    assert folder == tmp_path / "feeds"


def test_every_missing_variable_is_named_at_once_with_an_example():
    with pytest.raises(SettingsError) as caught:
        Settings.load({})
    assert set(caught.value.problems) == set(REQUIRED)
    for part in ("XACCT_ACCOUNT_A=111111111111", "XACCT_SUFFIX=dev1", "AWS_REGION=us-east-1"):
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("XACCT_ACCOUNT_A", "123"),
        ("XACCT_ACCOUNT_B", "111111111111"),
        ("XACCT_SUFFIX", "Local"),
        ("XACCT_SUFFIX", "-a"),
        ("XACCT_SUFFIX", "a" * 22),
        ("AWS_REGION", "virginia"),
        ("XACCT_INPUT_BUCKET", "Bad_Bucket"),
        ("XACCT_INPUT_BUCKET", "a..b"),
        ("XACCT_EXPORT_BUCKET", "sample-inp-bucket-etl-local-111111111111"),
        ("XACCT_ROLE_A_ARN", "RoleA"),
        ("XACCT_ROLE_A_ARN", "arn:aws:iam::222222222222:role/A"),
        ("XACCT_WORKGROUP", "no spaces"),
        ("XACCT_DATABASE", "Dev;drop"),
        ("XACCT_REDSHIFT_SECRET", "a b"),
        ("XACCT_GLUE_CONNECTION", "a/b"),
        ("XACCT_WAREHOUSE_PORT", "70000"),
        ("XACCT_WAREHOUSE_PORT", "5439x"),
        ("XACCT_WAREHOUSE_HOST", "a b"),
        ("XACCT_ORCHESTRATOR_TRUSTED_ARNS", "me"),
        ("XACCT_EXTRA_FEEDS_DIR", "/no/such/folder"),
        ("XACCT_CONSOLE_URL", "console.aws.amazon.com"),
        ("XACCT_CONSOLE_URL", "javascript:alert(1)"),
        ("XACCT_CONSOLE_URL", "https://console?a=b"),
        ("XACCT_ARRIVAL_START_RUNNING", "yes"),
        ("XACCT_ARRIVAL_INTERVAL_SECONDS", "4"),
        ("XACCT_ARRIVAL_INTERVAL_SECONDS", "5s"),
        ("XACCT_ARRIVAL_SETTLE_SECONDS", "-1"),
    ],
)
def test_a_wrong_value_is_named_with_its_variable(variable, value):
    with pytest.raises(SettingsError) as caught:
        Settings.load(REQUIRED | {variable: value})
    assert list(caught.value.problems) == [variable]
    assert "e.g." in str(caught.value) or "own" in str(caught.value) or "same" in str(caught.value)


@given(st.text(max_size=30), st.sampled_from(sorted(REQUIRED)))
def test_any_value_is_usable_or_refused(value, variable):
    try:
        settings = Settings.load(REQUIRED | {variable: value})
    except SettingsError as error:
        assert variable in error.problems or variable == "XACCT_ACCOUNT_A"  # noqa: PT017
        return
    assert len(settings.input_bucket) <= 63
    assert "\n" not in repr(dataclasses.astuple(settings))


def test_an_empty_variable_counts_as_not_set():
    assert Settings.load(REQUIRED | {"XACCT_WORKGROUP": " "}).workgroup == "xacct-local"


def test_the_default_region_is_enough():
    env = {key: value for key, value in REQUIRED.items() if key != "AWS_REGION"}
    assert Settings.load(env | {"AWS_DEFAULT_REGION": "eu-west-1"}).region == "eu-west-1"


def test_other_partitions_have_their_own_arns():
    settings = Settings.load(REQUIRED | {"AWS_REGION": "us-gov-west-1"})
    assert settings.role_a_arn.startswith("arn:aws-us-gov:iam::")


def test_links_lead_to_the_console_of_the_region_and_partition():
    assert Settings.load(REQUIRED).console_url == "https://us-east-1.console.aws.amazon.com"
    china = Settings.load(REQUIRED | {"AWS_REGION": "cn-north-1"})
    assert china.console_url == "https://cn-north-1.console.amazonaws.cn"
    slash = Settings.load(REQUIRED | {"XACCT_CONSOLE_URL": "https://console.example.com/"})
    assert slash.console_url == "https://console.example.com"


def test_an_installation_overrides_when_files_are_run():
    assert arrival_overrides({}) == {}
    assert arrival_overrides(
        {
            "XACCT_ARRIVAL_START_RUNNING": "true",
            "XACCT_ARRIVAL_INTERVAL_SECONDS": "5",
            "XACCT_ARRIVAL_SETTLE_SECONDS": "0",
        }
    ) == {"start_running": True, "interval_seconds": 5, "settle_seconds": 0}
    assert arrival_overrides({"XACCT_ARRIVAL_START_RUNNING": "false"}) == {"start_running": False}


def test_a_wrong_override_is_reported_with_the_other_mistakes():
    with pytest.raises(SettingsError) as caught:
        Settings.load(REQUIRED | {"AWS_REGION": "x", "XACCT_ARRIVAL_SETTLE_SECONDS": "soon"})
    assert set(caught.value.problems) == {"AWS_REGION", "XACCT_ARRIVAL_SETTLE_SECONDS"}


def test_trusted_principals_are_a_list():
    arns = "arn:aws:iam::222222222222:user/developer, arn:aws:iam::222222222222:role/x/engineer"
    settings = Settings.load(REQUIRED | {"XACCT_ORCHESTRATOR_TRUSTED_ARNS": arns})
    assert settings.trusted_arns == tuple(arns.split(", "))


def test_settings_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Settings.load(REQUIRED).suffix = "x"


def test_importing_settings_and_clients_loads_neither_boto3_nor_dagster():
    code = (
        "import sys, xacct_assets.settings, xacct_assets.aws_clients, xacct_assets.aws.sessions\n"
        "from xacct_assets.aws.s3 import exports, raw_bucket\n"
        "from xacct_assets.aws.glue import crawler, job\n"
        "from xacct_assets.aws.redshift import data_api, warehouse\n"
        "heavy = {'boto3', 'botocore', 'dagster', 'redshift_connector'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_login_is_by_secret_unless_iam_is_chosen():
    assert not Settings.load(REQUIRED).logs_in_by_iam
    assert Settings.load(REQUIRED | {"XACCT_REDSHIFT_LOGIN": "iam"}).logs_in_by_iam
    for wrong in ("IAM", "role", "secrets"):
        with pytest.raises(SettingsError, match=r"XACCT_REDSHIFT_LOGIN.*secret or iam"):
            Settings.load(REQUIRED | {"XACCT_REDSHIFT_LOGIN": wrong})


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("XACCT_REDSHIFT_SECRET", "team/login"),
        ("XACCT_DATA_API_SECRET", "team/login"),
        ("XACCT_DATABASE_USER", "etl"),
        ("XACCT_SECRET_KEY", "create"),
        ("XACCT_ADOPT", "workgroup,secret"),
    ],
)
def test_what_a_login_by_iam_has_no_use_for_is_refused_and_not_ignored(variable, value):
    with pytest.raises(SettingsError) as refusal:
        Settings.load(REQUIRED | {"XACCT_REDSHIFT_LOGIN": "iam", variable: value})
    assert set(refusal.value.problems) == {variable}
    assert "XACCT_REDSHIFT_LOGIN" in refusal.value.problems[variable]
    Settings.load(REQUIRED | {variable: value})


@pytest.mark.parametrize(
    ("variables", "network"),
    [
        ({}, "create"),
        ({"XACCT_NETWORK": "own"}, "own"),
        ({"XACCT_ADOPT": "secret,namespace"}, "create"),
        ({"XACCT_ADOPT": "workgroup"}, "own"),
        ({"XACCT_ADOPT": "workgroup", "XACCT_NETWORK": "own"}, "own"),
    ],
)
def test_a_network_is_made_unless_the_warehouse_is_in_one(
    variables: dict[str, str], network: str
) -> None:
    assert Settings.load({**REQUIRED, **variables}).network == network


@pytest.mark.parametrize(
    "variables",
    [{"XACCT_NETWORK": "none"}, {"XACCT_NETWORK": "create", "XACCT_ADOPT": "workgroup"}],
)
def test_a_network_that_cannot_be_is_refused(variables: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match="XACCT_NETWORK"):
        Settings.load({**REQUIRED, **variables})
