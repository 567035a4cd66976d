"""A deleted secret keeps its name (Secrets Manager API reference: CreateSecret, DeleteSecret)."""

from __future__ import annotations

import json

from tests.sandbox.unit.emulator.conftest import B, InProcess
from tests.support.signed_requests import Answer


def test_a_deleted_secret_keeps_its_name_until_it_is_restored_or_gone(aws: InProcess) -> None:
    def secret(operation: str, **parameters: object) -> Answer:
        return aws.json_call(aws.keys[B], f"secretsmanager.{operation}", **parameters)

    secret("CreateSecret", Name="kept", SecretString="1")
    assert b"ResourceExistsException" in secret("CreateSecret", Name="kept").body
    secret("DeleteSecret", SecretId="kept", RecoveryWindowInDays=7)
    again = secret("CreateSecret", Name="kept", SecretString="2")
    assert b"InvalidRequestException" in again.body
    secret("RestoreSecret", SecretId="kept")
    assert json.loads(secret("GetSecretValue", SecretId="kept").body)["SecretString"] == "1"
    secret("DeleteSecret", SecretId="kept", ForceDeleteWithoutRecovery=True)
    assert secret("CreateSecret", Name="kept", SecretString="2").status == 200
    secret("DeleteSecret", SecretId="kept", ForceDeleteWithoutRecovery=True)
