"""Both formats of the secret are read, and no message shows its content."""

import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xacct_assets.aws.errors import AccessDenied, NotFound, SecretInvalid
from xacct_assets.aws.secretsmanager import (
    Endpoint,
    from_environment,
    parse_secret,
    read_warehouse_credentials,
)

ARN = "arn:aws:secretsmanager:us-east-1:222222222222:secret:xacct/redshift-local-AbCdEf"
SECRET = "s3cr3t-Pa55"
texts = st.text(
    alphabet=st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=30
)


@given(user=texts, password=texts)
def test_any_login_survives_the_json_shape(user, password):
    text = json.dumps(
        {"username": user, "password": password, "host": "h", "port": 5439, "dbname": "dev"}
    )
    parsed = parse_secret(text)
    assert (parsed.user, parsed.password) == (user, password)
    assert parsed.data_api_compatible


@given(user=texts, password=texts)
def test_any_login_survives_the_uri_shape(user, password):
    text = f"redshift://{quote(user, safe='')}:{quote(password, safe='')}@h:5439/dev"
    parsed = parse_secret(text)
    assert (parsed.user, parsed.password) == (user, password)
    assert not parsed.data_api_compatible


@given(text=st.text(max_size=200).filter(lambda text: "{" not in text and "://" not in text))
def test_any_other_text_is_refused_with_a_reason(text):
    with pytest.raises(SecretInvalid, match="does not hold usable Redshift credentials"):
        parse_secret(text)


def test_the_aws_shape_keeps_its_database_name():
    text = json.dumps(
        {
            "username": "u",
            "password": SECRET,
            "engine": "redshift",
            "host": "h.example",
            "port": "5440",
            "dbname": "prod",
        }
    )
    parsed = parse_secret(text)
    assert (parsed.host, parsed.port, parsed.database) == ("h.example", 5440, "prod")


def test_an_airflow_uri_is_read_with_its_options():
    parsed = parse_secret(
        "redshift://etl%40corp:p%40ss%2Fw%3Aord@redshift.example:5439/dev?region=eu-west-1&timeout=30"
    )
    assert (parsed.user, parsed.password) == ("etl@corp", "p@ss/w:ord")
    assert (parsed.region, parsed.connect_timeout) == ("eu-west-1", 30.0)


def test_airflows_json_shape_is_read():
    text = json.dumps(
        {
            "conn_type": "redshift",
            "login": "u",
            "password": SECRET,
            "host": "h",
            "port": 5439,
            "schema": "dev",
            "extra": json.dumps({"region": "us-east-1"}),
        }
    )
    parsed = parse_secret(text)
    assert (parsed.user, parsed.database, parsed.region) == ("u", "dev", "us-east-1")
    assert not parsed.data_api_compatible


def test_the_admin_secret_that_redshift_makes_takes_its_place_from_the_defaults():
    parsed = parse_secret(
        json.dumps({"username": "u", "password": SECRET}),
        defaults=Endpoint("h", 5441, "dev"),
    )
    assert (parsed.host, parsed.port, parsed.database) == ("h", 5441, "dev")


def test_the_password_is_in_no_repr():
    parsed = parse_secret(
        json.dumps({"username": "u", "password": SECRET, "host": "h", "dbname": "d"})
    )
    assert SECRET not in repr(parsed)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        ("hello " + SECRET, "neither a JSON object nor a URI"),
        ('{"username": "u", "password": "' + SECRET, "not a JSON object"),
        ('["' + SECRET + '"]', "neither"),
        ('{"username": "u", "password": "' + SECRET + '"}', "no host, no database"),
        ('{"password": "' + SECRET + '", "host": "h", "dbname": "d"}', "no user name"),
        ('{"username": "u", "host": "' + SECRET + '", "dbname": "d"}', "no password"),
        ('{"username": "u", "password": 5, "host": "h", "dbname": "d"}', "password is not text"),
        ("mysql://u:" + SECRET + "@h/d", "scheme"),
        ("redshift://h:5439/" + SECRET, "no user and password"),
        ("redshift://u:" + SECRET + "@h:port/d", "port"),
        ("redshift://u:" + SECRET + "@h:99999/d", "port"),
        ("redshift://u:" + SECRET + "/x@h:5439/d", ""),
        ("redshift://u:" + SECRET + "#x@h:5439/d", ""),
        ("redshift://u:" + SECRET + "@h:5439/d?iam=true", '"iam" is not supported'),
        ("redshift://u:" + SECRET + "@h:5439/d?ssl=false", '"ssl" is off'),
        ("redshift://u:" + SECRET + "@h:5439/d?timeout=soon", "timeout"),
        ('{"engine": "mysql", "username": "u", "password": "' + SECRET + '"}', "engine"),
    ],
)
def test_an_unusable_secret_is_refused_with_the_reason_and_without_its_content(text, reason):
    with pytest.raises(SecretInvalid) as caught:
        parse_secret(text, name="xacct/redshift-local")
    assert reason in str(caught.value)
    assert "xacct/redshift-local" in str(caught.value)
    error: BaseException | None = caught.value
    while error is not None:
        assert SECRET not in str(error)
        assert SECRET not in repr(vars(error))
        error = error.__cause__ or error.__context__


def test_a_secret_is_read_by_name_and_knows_its_arn(modelled):
    client = modelled(
        "secretsmanager",
        get_secret_value=lambda SecretId: {
            "ARN": ARN,
            "Name": SecretId,
            "SecretString": json.dumps(
                {"username": "u", "password": SECRET, "host": "h", "dbname": "dev"}
            ),
        },
    )
    assert read_warehouse_credentials(client, "xacct/redshift-local").secret_arn == ARN


@pytest.mark.parametrize(
    ("code", "kind", "part"),
    [
        ("ResourceNotFoundException", NotFound, "xacct/redshift-local"),
        ("AccessDeniedException", AccessDenied, "secretsmanager:GetSecretValue"),
        ("InvalidRequestException", SecretInvalid, "restore-secret"),
        ("DecryptionFailure", SecretInvalid, "kms:Decrypt"),
    ],
)
def test_a_secret_that_cannot_be_read_says_why(modelled, refusal, code, kind, part):
    def refuse(**_):
        raise refusal(code)

    client = modelled("secretsmanager", get_secret_value=refuse)
    with pytest.raises(kind) as caught:
        read_warehouse_credentials(client, "xacct/redshift-local")
    assert part in str(caught.value)


def test_the_environment_is_the_fall_back():
    env = {
        "XACCT_REDSHIFT_HOST": "h",
        "XACCT_REDSHIFT_PORT": "5440",
        "XACCT_REDSHIFT_USER": "u",
        "XACCT_REDSHIFT_PASSWORD": SECRET,
    }
    parsed = from_environment(env, database="dev")
    assert (parsed.host, parsed.port, parsed.user, parsed.database) == ("h", 5440, "u", "dev")
    assert parsed.secret_arn is None


def test_a_missing_fall_back_names_its_variables():
    with pytest.raises(SecretInvalid, match="XACCT_REDSHIFT_USER, XACCT_REDSHIFT_PASSWORD not set"):
        from_environment({"XACCT_REDSHIFT_HOST": "h"})


def test_whitespace_inside_a_uri_is_refused_since_it_would_be_dropped_silently():
    with pytest.raises(SecretInvalid):
        parse_secret("redshift://u:pass\tword@h:5439/dev")
