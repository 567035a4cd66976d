"""Which login to Redshift is used: the secret, or the environment where there is none."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

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
