"""Keys by setting: empty, made by the templates, or adopted by their ARN."""

from __future__ import annotations

import pytest

from xacct_assets.settings import Settings, SettingsError

REQUIRED = {
    "XACCT_ACCOUNT_A": "111111111111",
    "XACCT_ACCOUNT_B": "222222222222",
    "XACCT_SUFFIX": "dev1",
    "AWS_REGION": "eu-west-1",
}
ARN = "arn:aws:kms:eu-west-1:{}:key/0123-ab"


def load(**variables: str) -> Settings:
    return Settings.load({**REQUIRED, **variables})


def test_without_a_setting_there_is_no_key() -> None:
    keys = load(XACCT_INPUT_KEY=" ").keys
    assert set(keys.parameters("input", "export", "processing", "secret", "log").values()) == {""}


def test_keys_are_made_or_adopted() -> None:
    settings = load(XACCT_INPUT_KEY="create", XACCT_LOG_KEY=ARN.format("2" * 12))
    assert settings.keys.parameters("input", "log") == {
        "InputKey": "create",
        "LogKey": ARN.format("2" * 12),
    }
    assert settings.alias_of("input") == "arn:aws:kms:eu-west-1:111111111111:alias/xacct-raw-dev1"
    assert settings.alias_of("secret").endswith(":222222222222:alias/xacct-login-dev1")


@pytest.mark.parametrize(
    ("variable", "value", "part"),
    [
        ("XACCT_INPUT_KEY", "alias/ours", "is not the ARN of a KMS key"),
        ("XACCT_INPUT_KEY", "true", "is not the ARN of a KMS key"),
        ("XACCT_EXPORT_KEY", ARN.format("2" * 12), "not a key of account 111111111111"),
        ("XACCT_SECRET_KEY", ARN.format("1" * 12), "not a key of account 222222222222"),
        (
            "XACCT_PROCESSING_KEY",
            ARN.format("2" * 12).replace("eu-west-1", "us-east-1"),
            "in eu-west-1",
        ),
    ],
)
def test_another_value_is_refused_with_an_example(variable: str, value: str, part: str) -> None:
    with pytest.raises(SettingsError) as refused:
        load(**{variable: value})
    assert part in refused.value.problems[variable]
    assert f"{variable}=create" in refused.value.problems[variable]
