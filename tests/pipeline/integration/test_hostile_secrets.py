"""Passwords that would break a URL, an SQL literal, a format or a log: they log in, both ways.

Each is a canary of the sandbox as well: the scan at the end of the suite looks for it, in all the
ways of writing it down, in everything that was written since.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote

import pytest

from tests.support.pipeline import Pipeline
from xacct_assets.aws.errors import LoginFailed
from xacct_assets.aws_clients import AwsClients
from xacct_assets.settings import Settings

PASSWORDS = {
    "quotes": "Qu0tes ' and \" and ''; DROP TABLE products; --",
    "a URL's own characters": "a:b@c/d?e#f&g=h%41+i[j]-0",
    "a URL": "redshift://admin:Passw0rd@elsewhere:5439/dev",
    "percent and braces": "100%s %(user)s {0} {password} ${HOME} %%-1",
    "backslashes": "C:\\new\\table\\'0'\\",
    "unicode": "Paßwört-日本-😀-e\N{COMBINING ACUTE ACCENT}-1",
    "line breaks": "first line\nsecond\r\nthird\t-1",
    "very long": "Lon9-" + "x'@:/%é" * 500,
    "JSON": '{"password": "another-1"}',
}
PREFIX = "hostile-login/"


@dataclass(frozen=True)
class Logins:
    """Secrets by kind of password; their names in both shapes."""

    pipeline: Pipeline

    def as_json(self, kind: str, password: str) -> str:
        return self._keep(
            f"{kind}-json", json.dumps({**self._address, **self._login(kind, password)})
        )

    def as_uri(self, kind: str, password: str) -> str:
        user, word = quote(user_of(kind), safe=""), quote(password, safe="")
        address = "{host}:{port}/{dbname}".format(**self._address)
        return self._keep(f"{kind}-uri", f"redshift://{user}:{word}@{address}?timeout=20")

    def _login(self, kind: str, password: str) -> dict[str, str]:
        return {"username": user_of(kind), "password": password}

    @property
    def _address(self) -> dict[str, object]:
        name = self.pipeline.aws.settings.redshift_secret
        document = json.loads(self._secrets.get_secret_value(SecretId=name)["SecretString"])
        return {part: document[part] for part in ("host", "port", "dbname")}

    def _keep(self, name: str, text: str) -> str:
        name = PREFIX + hashlib.sha256(f"{name}{text}".encode()).hexdigest()[:16]
        self._secrets.create_secret(Name=name, SecretString=text)
        return name

    @property
    def _secrets(self):
        return self.pipeline.sandbox.client("account-b-admin", "secretsmanager")


def user_of(kind: str) -> str:
    return "hostile_" + hashlib.sha256(kind.encode()).hexdigest()[:8]


@pytest.fixture(scope="module")
def logins(pipeline: Pipeline) -> Iterator[Logins]:
    """A database user for each password, and the right to read their secrets."""
    sandbox = pipeline.sandbox
    sandbox.canaries.update(PASSWORDS.values())
    for kind, password in PASSWORDS.items():
        # The digest, as Redshift takes it: it then asks no more of the password itself.
        digest = hashlib.md5(f"{password}{user_of(kind)}".encode()).hexdigest()
        pipeline.execute(f"CREATE USER {user_of(kind)} PASSWORD 'md5{digest}'")
    iam = sandbox.client("account-b-admin", "iam")
    role = sandbox.config.orchestrator_role_arn.rpartition("/")[2]
    resource = f"arn:aws:secretsmanager:*:{sandbox.config.account_b}:secret:{PREFIX}*"
    allow = {"Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": resource}
    document = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    iam.put_role_policy(RoleName=role, PolicyName="hostile", PolicyDocument=document)
    yield Logins(pipeline)
    iam.delete_role_policy(RoleName=role, PolicyName="hostile")
    for kind in PASSWORDS:
        pipeline.execute(f"DROP USER {user_of(kind)}")


def other(pipeline: Pipeline, secret: str, of_data_api: str) -> Pipeline:
    variables = {"XACCT_REDSHIFT_SECRET": secret, "XACCT_DATA_API_SECRET": of_data_api}
    return Pipeline(pipeline.sandbox, variables, instance=pipeline.instance)


@pytest.mark.parametrize("kind", PASSWORDS)
def test_a_hostile_password_logs_in_from_both_shapes_and_over_both_ways(
    kind: str, logins: Logins, pipeline: Pipeline
) -> None:
    password = PASSWORDS[kind]
    as_json, as_uri = logins.as_json(kind, password), logins.as_uri(kind, password)
    for secret in (as_json, as_uri):
        made = other(pipeline, secret, as_json)
        assert made.query("SELECT current_user AS me") == [{"me": user_of(kind)}]
    result = made.aws.data_api.execute(
        "SELECT current_user AS me", {}, client_token=user_of(kind), name="who am I"
    )
    assert result.rows == [{"me": user_of(kind)}]


@pytest.mark.parametrize("kind", PASSWORDS)
def test_a_login_that_fails_says_so_without_a_word_of_the_password(
    kind: str, logins: Logins, pipeline: Pipeline
) -> None:
    wrong = PASSWORDS[kind] + "-wrong"
    pipeline.sandbox.canaries.add(wrong)
    secret = logins.as_json(kind, wrong)
    variables = {
        **pipeline.variables,
        "XACCT_REDSHIFT_SECRET": secret,
        "XACCT_DATA_API_SECRET": secret,
    }
    with pipeline.environment():
        aws = AwsClients(Settings.load(variables), variables, rotation_window=0)
        with pytest.raises(LoginFailed) as wire:
            aws.warehouse.query("SELECT 1")
        with pytest.raises(LoginFailed) as data_api:
            aws.data_api.execute(
                "SELECT 1", {}, client_token=f"{user_of(kind)}-wrong", name="who am I"
            )
    for failure in (wire, data_api):
        text = f"{failure.value!r} {failure.value}"
        assert user_of(kind) in text
        for written in (wrong, repr(wrong)[1:-1], json.dumps(wrong)[1:-1], quote(wrong, safe="")):
            assert written not in text
