"""Wrong settings of the machine and of the installation."""

from __future__ import annotations

from tests.support.misconfigurations.case import Case, setting

SETTINGS = "settings"

GROUP = "settings and credentials"
CASES = [
    setting("XACCT_SUFFIX", "locale", "installation", "XACCT_SUFFIX=local"),
    setting("AWS_REGION", "eu-central-1", "installation", "us-east-1"),
    setting("XACCT_ACCOUNT_A", "333333333333", SETTINGS, "111111111111"),
    setting("XACCT_ACCOUNT_B", "333333333333", "credentials", "XACCT_ACCOUNT_B=222222222222"),
    setting("XACCT_INPUT_BUCKET", "some-other-bucket", SETTINGS, "sample-inp-bucket-etl-local"),
    setting("XACCT_EXPORT_BUCKET", "some-other-bucket", SETTINGS, "sample-opt-bucket-etl-local"),
    setting("XACCT_PROCESSING_BUCKET", "some-other-bucket", SETTINGS, "xacct-processing-local"),
    setting(
        "XACCT_ROLE_A_ARN",
        "arn:aws:iam::111111111111:role/xacct-RoleA-locale",
        SETTINGS,
        "XACCT_ROLE_A_ARN",
    ),
    setting(
        "XACCT_ROLE_B_ARN",
        "arn:aws:iam::222222222222:role/xacct-RoleB-locale",
        SETTINGS,
        "XACCT_ROLE_B_ARN",
    ),
    setting("XACCT_WORKGROUP", "another-workgroup", SETTINGS, "xacct-local"),
    setting("XACCT_NAMESPACE", "another-namespace", SETTINGS, "xacct-local"),
    setting("XACCT_DATABASE", "prod", SETTINGS, "XACCT_DATABASE=dev"),
    setting("XACCT_DATABASE_USER", "someone", SETTINGS, "xacct_local"),
    setting("XACCT_REDSHIFT_SECRET", "xacct/redshift-locale", SETTINGS, "xacct/redshift-local"),
    setting("XACCT_GLUE_CONNECTION", "another-connection", SETTINGS, "xacct-redshift-local"),
    setting("AWS_CA_BUNDLE", "/nowhere/ca.pem", "files of the environment", "AWS_CA_BUNDLE"),
    setting("SSL_CERT_FILE", "/nowhere/ca.pem", "files of the environment", "SSL_CERT_FILE"),
    setting("AWS_PROFILE", "account-a-admin", "credentials", "111111111111"),
    setting("AWS_PROFILE", "no-such-profile", "credentials", "AWS_PROFILE=orchestrator"),
    setting(
        *("AWS_CONFIG_FILE", "/nowhere/config", "files of the environment", "AWS_CONFIG_FILE"),
    ),
    setting(
        "AWS_SHARED_CREDENTIALS_FILE",
        "/nowhere/credentials",
        "files of the environment",
        "AWS_SHARED_CREDENTIALS_FILE",
    ),
    setting("AWS_ENDPOINT_URL", "https://127.0.0.1:9", "credentials", "127.0.0.1:9"),
    setting("DAGSTER_HOME", "relative/home", "Dagster home", "relative/home"),
    setting("DAGSTER_HOME", "/nowhere/dagster", "Dagster home", "/nowhere/dagster"),
]


def cases() -> list[Case]:
    return CASES
