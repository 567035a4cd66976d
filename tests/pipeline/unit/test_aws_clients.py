"""Which login to Redshift is used: the secret, or the environment where there is none."""

import dataclasses
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.fakes.modelled_client import ModelledClient
from xacct_assets.aws.errors import AccessDenied, NotFound
from xacct_assets.aws_clients import AwsClients
from xacct_assets.settings import Settings

SETTINGS = Settings.load(
    {
        "XACCT_ACCOUNT_A": "111111111111",
        "XACCT_ACCOUNT_B": "222222222222",
        "XACCT_SUFFIX": "test",
        "AWS_REGION": "us-east-1",
    }
)
ENVIRONMENT = {
    "XACCT_REDSHIFT_HOST": "warehouse.example",
    "XACCT_REDSHIFT_USER": "someone",
    "XACCT_REDSHIFT_PASSWORD": "not a real one",
}


class Refusing:
    """Secrets Manager with one answer to everything."""

    def __init__(self, code: str) -> None:
        self._code = code

    def get_secret_value(self, **_: str) -> Any:
        raise ClientError({"Error": {"Code": self._code, "Message": "no"}}, "GetSecretValue")


class AwsClientsWithout(AwsClients):
    """Services whose secret cannot be had."""

    def __init__(self, code: str, env: dict[str, str]) -> None:
        super().__init__(SETTINGS, env)
        self._secrets = Refusing(code)

    def client(self, service: str) -> Any:
        assert service == "secretsmanager"
        return self._secrets


REFUSALS = {"ResourceNotFoundException": NotFound, "AccessDeniedException": AccessDenied}


@pytest.mark.parametrize(("code", "failure"), REFUSALS.items(), ids=REFUSALS)
def test_without_secret_and_environment_the_refusal_is_told(
    code: str, failure: type[Exception]
) -> None:
    with pytest.raises(failure, match="xacct/redshift-test"):
        AwsClientsWithout(code, {}).warehouse_credentials()


@pytest.mark.parametrize("code", REFUSALS)
def test_where_there_is_no_secret_the_environment_logs_in(code: str) -> None:
    # AWS denies a name that a role may not read, whether there is such a secret or not.
    login = AwsClientsWithout(code, ENVIRONMENT).warehouse_credentials()
    assert (login.host, login.port, login.user) == ("warehouse.example", 5439, "someone")
    assert login.secret_arn is None


class ByIam(AwsClients):
    """Services of an installation that logs in by IAM; there is no Secrets Manager."""

    def __init__(self) -> None:
        super().__init__(dataclasses.replace(SETTINGS, redshift_login="iam"), ENVIRONMENT)
        arn = "arn:aws:redshift-serverless:us-east-1:222222222222:workgroup/0f1e"
        self.serverless = ModelledClient(
            "redshift-serverless",
            get_workgroup=lambda **_: {
                "workgroup": {
                    "workgroupName": "xacct-test",
                    "workgroupArn": arn,
                    "namespaceName": "xacct-test",
                    "endpoint": {"address": "wg.example", "port": 5440},
                }
            },
            get_credentials=lambda **_: {
                "dbUser": "IAMR:xacct-orchestrator-test",
                "dbPassword": "not a real one",
                "expiration": datetime.now(UTC) + timedelta(seconds=900),
            },
        )

    def client(self, service: str) -> Any:
        return {"redshift-serverless": self.serverless, "redshift-data": None}[service]


def test_a_login_by_iam_asks_no_secret_and_the_environment_is_no_other_way() -> None:
    aws = ByIam()
    login = aws.warehouse.credentials
    assert (login.host, login.port, login.user) == (
        "wg.example",
        5440,
        "IAMR:xacct-orchestrator-test",
    )
    assert aws.data_api._common(None, None, None).get("SecretArn") is None
    assert aws.job_warehouse_url().startswith("jdbc:redshift:iam://wg.example:5440/dev?")


def test_the_job_gets_an_address_only_with_a_login_by_iam() -> None:
    assert AwsClientsWithout("AccessDeniedException", {}).job_warehouse_url() == ""
