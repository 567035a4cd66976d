"""Secrets Manager: names and ARNs, versions, deletion."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.conformance.target import Target, outcome, refusal


@pytest.fixture(scope="module")
def secrets(target: Target) -> Any:
    return target.b.client("secretsmanager")


@pytest.mark.claim("secret-arn-ends-in-six-characters")
def test_the_arn_of_a_secret_is_its_name_and_six_random_characters(
    target: Target, secrets: Any
) -> None:
    name = target.name("airflow/connections/redshift")
    arn = secrets.create_secret(Name=name, SecretString="redshift://u:p@host:5439/dev")["ARN"]
    start = f"arn:aws:secretsmanager:{target.region}:{target.b.id}:secret:{name}"
    assert re.fullmatch(re.escape(start) + "-[0-9A-Za-z]{6}", arn)
    by_arn, by_name = (secrets.get_secret_value(SecretId=found) for found in (arn, name))
    assert by_arn["SecretString"] == by_name["SecretString"] == "redshift://u:p@host:5439/dev"
    assert by_arn["Name"] == name


@pytest.mark.claim("secret-missing")
def test_a_secret_that_is_not_there_is_named_as_missing(target: Target, secrets: Any) -> None:
    code, message = refusal(secrets.get_secret_value, SecretId=target.name("none"))
    assert code == "ResourceNotFoundException"
    assert "can't find the specified secret" in message


@pytest.mark.claim("secret-name-taken")
def test_a_name_that_is_taken_is_refused(target: Target, secrets: Any) -> None:
    request = {"Name": target.name("taken"), "SecretString": "1"}
    secrets.create_secret(**request)
    assert outcome(secrets.create_secret, **request) == "ResourceExistsException"


@pytest.mark.claim("secret-rotation-keeps-the-previous")
def test_a_new_value_is_current_and_the_old_one_previous(target: Target, secrets: Any) -> None:
    name = target.name("rotated")
    secrets.create_secret(Name=name, SecretString="old")
    secrets.put_secret_value(SecretId=name, SecretString="new")

    def value(stage: str) -> str:
        found = secrets.get_secret_value(SecretId=name, VersionStage=stage)
        return str(found["SecretString"])

    target.becomes("new", lambda: secrets.get_secret_value(SecretId=name)["SecretString"])
    assert (value("AWSCURRENT"), value("AWSPREVIOUS")) == ("new", "old")


@pytest.mark.claim("secret-deleted-can-be-restored")
def test_a_deleted_secret_is_not_read_until_it_is_restored(target: Target, secrets: Any) -> None:
    name = target.name("deleted")
    secrets.create_secret(Name=name, SecretString="kept")
    secrets.delete_secret(SecretId=name, RecoveryWindowInDays=7)
    read = {"SecretId": name}
    target.becomes("InvalidRequestException", lambda: outcome(secrets.get_secret_value, **read))
    code = outcome(secrets.create_secret, Name=name, SecretString="other")
    assert code == "InvalidRequestException"
    secrets.restore_secret(SecretId=name)
    target.becomes("allowed", lambda: outcome(secrets.get_secret_value, **read))
    assert secrets.get_secret_value(**read)["SecretString"] == "kept"


@pytest.mark.claim("secret-generated-password")
def test_a_generated_password_has_every_kind_of_character_but_the_excluded(secrets: Any) -> None:
    excluded = "'\"\\/@ "
    made = secrets.get_random_password(PasswordLength=32, ExcludeCharacters=excluded)
    password = made["RandomPassword"]
    assert re.fullmatch(r"(?=.*[a-z])(?=.*[A-Z])(?=.*[0-9])(?=.*[^a-zA-Z0-9]).{32}", password)
    assert not set(password) & set(excluded)


@pytest.mark.claim("secret-string-is-kept-as-it-is")
def test_the_value_of_a_secret_is_kept_character_by_character(target: Target, secrets: Any) -> None:
    value = json.dumps({"username": "u", "password": "ä:/ '\" \\"}, ensure_ascii=False)
    name = target.name("text")
    secrets.create_secret(Name=name, SecretString=value)
    assert secrets.get_secret_value(SecretId=name)["SecretString"] == value
