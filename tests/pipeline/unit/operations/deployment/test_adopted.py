"""What exists is looked up before anything is deployed, and a contradiction is told."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from tests.pipeline.unit.operations.deployment.test_plan import declared
from tests.support.fakes.modelled_client import ModelledClient, client_error
from xacct_assets.aws.errors import AwsFailure, DeployFailed, SecretInvalid
from xacct_assets.operations.deployment import plan
from xacct_assets.operations.deployment.adopted import Adopted, find_adopted
from xacct_assets.settings import Settings
from xacct_assets.sources import sources_root

URI = "redshift://etl:Not-4-real@wg.example:5440/dev"
JSON = json.dumps(
    {"username": "etl", "password": "Not-4-real", "host": "wg.example", "dbname": "dev"}
)


class FakeAccount:
    """The secrets, workgroup, namespace and bucket of account B.

    Attributes:
        secrets: text by name.
    """

    def __init__(self) -> None:
        self.secrets: dict[str, str] = {}
        self.buckets: set[str] = set()
        self.admin_secret: str | None = None
        self._clients = {
            "secretsmanager": ModelledClient("secretsmanager", get_secret_value=self._secret),
            "redshift-serverless": ModelledClient(
                "redshift-serverless", get_workgroup=self._workgroup, get_namespace=self._namespace
            ),
            "s3": ModelledClient("s3", head_bucket=self._head),
        }

    def client(self, service: str) -> ModelledClient:
        return self._clients[service]

    def _secret(self, SecretId: str) -> dict[str, Any]:
        if SecretId not in self.secrets:
            raise client_error("ResourceNotFoundException")
        arn = f"arn:aws:secretsmanager:us-east-1:222222222222:secret:{SecretId}-AbCdEf"
        return {"ARN": arn, "Name": SecretId, "SecretString": self.secrets[SecretId]}

    def _workgroup(self, workgroupName: str) -> dict[str, Any]:
        if workgroupName != "team":
            raise client_error("ResourceNotFoundException")
        endpoint = {"address": "wg.example", "port": 5440}
        found = {"workgroupName": "team", "workgroupArn": "arn:wg", "namespaceName": "data"}
        return {"workgroup": {**found, "endpoint": endpoint}}

    def _namespace(self, namespaceName: str) -> dict[str, Any]:
        if namespaceName != "data":
            raise client_error("ResourceNotFoundException")
        found = {"namespaceName": "data", "namespaceArn": "arn:ns"}
        kept = {"adminPasswordSecretArn": self.admin_secret} if self.admin_secret else {}
        return {"namespace": {**found, **kept}}

    def _head(self, Bucket: str, ExpectedBucketOwner: str) -> dict[str, Any]:
        if Bucket not in self.buckets:
            raise client_error("404", status=404)
        return {}


@pytest.fixture
def account() -> FakeAccount:
    return FakeAccount()


@pytest.fixture
def found_with(settings: Settings, account: FakeAccount) -> Any:
    def find(*adopted: str, **changes: Any) -> tuple[Adopted, dict[str, str]]:
        adopting = dataclasses.replace(settings, adopted=frozenset(adopted), **changes)
        found = find_adopted(adopting, account)  # type: ignore[arg-type]
        return found, plan.account_b(adopting, sources_root(), found).parameters

    return find


def test_nothing_is_looked_up_if_nothing_is_adopted(found_with: Any, account: FakeAccount) -> None:
    found, parameters = found_with()
    assert found == Adopted()
    assert [name for name, value in parameters.items() if name.startswith("Adopt") and value] == [
        "AdoptProcessingBucket"
    ]
    assert parameters["AdoptProcessingBucket"] == "false"
    assert all(not account.client(name).calls for name in ("s3", "secretsmanager"))


def test_a_json_secret_serves_glue_and_the_data_api_too(
    found_with: Any, account: FakeAccount
) -> None:
    account.secrets["team/login"] = JSON
    found, parameters = found_with("secret", redshift_secret="team/login")
    assert parameters["AdoptedSecretArn"].endswith(":secret:team/login-AbCdEf")
    assert parameters["DatabaseUser"] == "etl"
    assert (parameters["JsonSecretName"], parameters["JsonSecretArn"]) == ("", "")
    assert "Not-4-real" not in repr(found)


def test_of_a_uri_the_stack_makes_a_json_secret(found_with: Any, account: FakeAccount) -> None:
    account.secrets["airflow/connections/redshift"] = URI
    _, parameters = found_with("secret", redshift_secret="airflow/connections/redshift")
    assert parameters["JsonSecretName"] == "xacct/redshift-json-test"
    assert parameters["DatabaseUser"] == "etl"
    assert not any("Not-4-real" in value for value in parameters.values())


def test_a_json_secret_that_exists_is_used_beside_a_uri(
    found_with: Any, account: FakeAccount
) -> None:
    account.secrets |= {"uri": URI, "json": json.dumps({"username": "etl", "password": "p"})}
    _, parameters = found_with("secret", redshift_secret="uri", data_api_secret="json")
    assert parameters["JsonSecretName"] == ""
    assert parameters["JsonSecretArn"].endswith(":secret:json-AbCdEf")


@pytest.mark.parametrize(
    "text", [json.dumps({"username": "other", "password": "p"}), URI.replace("etl", "other"), URI]
)
def test_a_json_secret_of_another_user_or_shape_is_refused(
    found_with: Any, account: FakeAccount, text: str
) -> None:
    account.secrets |= {"uri": URI, "json": text}
    with pytest.raises(DeployFailed, match="etl"):
        found_with("secret", redshift_secret="uri", data_api_secret="json")


def test_a_secret_of_another_database_is_refused(found_with: Any, account: FakeAccount) -> None:
    account.secrets["uri"] = URI.replace("/dev", "/prod")
    with pytest.raises(DeployFailed, match="XACCT_DATABASE=prod"):
        found_with("secret", redshift_secret="uri")


def test_an_unusable_secret_is_named_without_its_text(
    found_with: Any, account: FakeAccount
) -> None:
    account.secrets["uri"] = "Not-4-real"
    with pytest.raises(SecretInvalid, match="uri") as refusal:
        found_with("secret", redshift_secret="uri")
    assert "Not-4-real" not in str(refusal.value)


@pytest.mark.parametrize("kind", ["workgroup", "namespace"])
def test_an_adopted_namespace_needs_an_admin_or_a_user_that_exists(
    found_with: Any, account: FakeAccount, kind: str
) -> None:
    names = {"workgroup": "team", "namespace": "data"}
    with pytest.raises(DeployFailed, match="no login of an admin") as refusal:
        found_with(kind, **names)
    assert "XACCT_ADMIN_SECRET" in (refusal.value.fix or "")
    account.secrets["xacct/redshift-test"] = JSON
    found_with(kind, "secret", **names)
    found_with(kind, admin_secret="team/admin", **names)


def test_a_workgroup_is_adopted_with_its_namespace_and_address(found_with: Any) -> None:
    _, parameters = found_with("workgroup", workgroup="team", admin_secret="admin")
    expected = {
        "AdoptedWorkgroupArn": "arn:wg",
        "AdoptedNamespaceArn": "arn:ns",
        "NamespaceName": "data",
        "WarehouseHost": "wg.example",
        "WarehousePort": "5440",
    }
    assert expected.items() <= parameters.items()


def test_the_settings_address_goes_before_the_workgroups(found_with: Any) -> None:
    _, parameters = found_with(
        "workgroup", workgroup="team", warehouse_host="proxy.example", admin_secret="admin"
    )
    assert parameters["WarehouseHost"] == "proxy.example"


def test_a_namespace_can_be_adopted_without_a_workgroup(found_with: Any) -> None:
    _, parameters = found_with("namespace", namespace="data", admin_secret="admin")
    assert (parameters["AdoptedWorkgroupArn"], parameters["AdoptedNamespaceArn"]) == ("", "arn:ns")
    assert parameters["NamespaceName"] == "data"


@pytest.mark.parametrize("kind", ["secret", "workgroup", "namespace", "processing-bucket"])
def test_what_does_not_exist_cannot_be_adopted(found_with: Any, kind: str) -> None:
    with pytest.raises(AwsFailure, match="does not exist") as refusal:
        found_with(kind)
    assert f"leave {kind} out of XACCT_ADOPT" in (refusal.value.fix or "")


def test_every_parameter_of_what_is_adopted_is_declared(
    found_with: Any, account: FakeAccount
) -> None:
    account.secrets["uri"] = URI
    account.buckets.add("xacct-processing-test-222222222222")
    kinds = ("secret", "workgroup", "processing-bucket")
    _, parameters = found_with(*kinds, workgroup="team", redshift_secret="uri")
    assert parameters["AdoptProcessingBucket"] == "true"
    assert set(parameters) <= set(declared(plan.template(sources_root(), "account_b.yaml")))


def test_a_login_by_iam_makes_no_secret_and_the_user_is_that_of_the_orchestrators_role(
    found_with: Any,
) -> None:
    found, parameters = found_with(redshift_login="iam")
    assert found == Adopted(admin_login="iam")
    expected = {
        "RedshiftLogin": "iam",
        "AdminLogin": "iam",
        "DatabaseUser": "IAMR:xacct-orchestrator-test",
        "AdoptedSecretArn": "",
        "JsonSecretName": "",
    }
    assert expected.items() <= parameters.items()


def test_a_namespace_whose_admin_has_a_secret_keeps_it(
    found_with: Any, account: FakeAccount
) -> None:
    account.admin_secret = "arn:aws:secretsmanager:us-east-1:222222222222:secret:redshift!data"
    _, parameters = found_with(redshift_login="iam", namespace="data")
    assert parameters["AdminLogin"] == "secret"
    account.admin_secret = None
    _, parameters = found_with(redshift_login="iam", namespace="data")
    assert parameters["AdminLogin"] == "iam"


def test_with_a_login_by_iam_an_adopted_namespace_needs_no_admin_secret(found_with: Any) -> None:
    _, parameters = found_with("workgroup", workgroup="team", redshift_login="iam")
    assert parameters["AdoptedWorkgroupArn"] == "arn:wg"
    assert parameters["DatabaseUser"] == "IAMR:xacct-orchestrator-test"
