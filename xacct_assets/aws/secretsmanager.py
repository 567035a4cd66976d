"""The login to Redshift: from a secret in Secrets Manager, or from the environment.

Two formats are in use, and both are read. JSON as Secrets Manager's own Redshift template writes it
(``{"username", "password", "engine", "host", "port", "dbname"}``), and Airflow's connections:
a percent-encoded URI ``redshift://user:password@host:5439/dev?region=us-east-1`` or JSON
(``{"conn_type", "login", "password", "host", "port", "schema", "extra"}``).

No message and no repr shows any part of a secret, except host, port and database.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from xacct_assets.aws.botocore_errors import aws_call
from xacct_assets.aws.errors import AwsFailure, SecretInvalid

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager.client import SecretsManagerClient

logger = logging.getLogger(__name__)

DEFAULT_PORT = 5439
_SCHEMES = {"redshift", "redshift+redshift_connector", "postgres", "postgresql"}
# Airflow accepts several names for each part of a JSON connection.
_NAMES = {
    "user": ("username", "user", "login", "user_name"),
    "password": ("password", "pass"),
    "host": ("host", "remote_host", "server"),
    "port": ("port",),
    "database": ("dbname", "database", "schema", "db"),
    "engine": ("engine", "conn_type", "connection_type"),
    "extra": ("extra",),
}
# Ways to log in that an Airflow connection can request and that are not supported here.
_UNSUPPORTED_EXTRAS = ("iam", "cluster_identifier", "serverless_work_group", "auth_profile")
_KNOWN_EXTRAS = {"region", "timeout", "sslmode", "ssl", "database", "dbname"}


@dataclass(frozen=True)
class WarehouseCredentials:
    """Endpoint and login of Redshift.

    Attributes:
        secret_arn: of the secret; None if they are from the environment or given by IAM.
        data_api_compatible: True if the Data API can use the secret itself (it needs JSON with
            "username" and "password").
        region: from the secret, if it has one.
        connect_timeout: seconds, from the secret, if it has one.
        valid_seconds: of a temporary password: for how long it is valid, counted from when it was
            given; None if it does not expire.
    """

    host: str
    port: int
    database: str
    user: str
    password: str = field(repr=False)
    secret_arn: str | None = None
    data_api_compatible: bool = False
    region: str | None = None
    connect_timeout: float | None = None
    valid_seconds: float | None = None


@dataclass(frozen=True)
class Endpoint:
    """Defaults for what a secret leaves out.

    An admin secret made by Redshift itself has only the user name and the password.
    """

    host: str | None = None
    port: int | None = None
    database: str | None = None


def read_warehouse_credentials(
    secrets_client: SecretsManagerClient, name: str, *, defaults: Endpoint | None = None
) -> WarehouseCredentials:
    """Read and parse the secret.

    Args:
        secrets_client: boto3's ``secretsmanager`` client.
        name: name or ARN of the secret.
        defaults: for what the secret leaves out.

    Raises:
        SecretInvalid: the secret is marked for deletion, empty, or lacks a part.
        NotFound, AccessDenied: naming the secret.
    """
    try:
        with aws_call("secretsmanager:GetSecretValue", name):
            answer = secrets_client.get_secret_value(SecretId=name)
    except AwsFailure as failure:
        if failure.code == "InvalidRequestException":
            raise SecretInvalid(
                f"secret {name} cannot be read",
                reason="it is marked for deletion or has no current version",
                fix=f"restore it (`aws secretsmanager restore-secret --secret-id {name}`), or "
                "point XACCT_REDSHIFT_SECRET at another one",
            ) from failure
        if failure.code == "DecryptionFailure":
            raise SecretInvalid(
                f"secret {name} cannot be decrypted",
                reason=f"its KMS key cannot be used: {failure.reason}",
                fix="enable the key (`aws kms enable-key`), or end its deletion (`aws kms "
                "cancel-key-deletion`), or allow kms:Decrypt on it to the role that reads the "
                "secret",
            ) from failure
        raise
    text = answer.get("SecretString")
    if text is None:
        try:
            text = bytes(answer.get("SecretBinary", b"")).decode()
        except UnicodeDecodeError:
            text = ""
    parsed = parse_secret(text, name=name, defaults=defaults)
    return replace(parsed, secret_arn=answer["ARN"])


def parse_secret(
    text: str, *, name: str = "the secret", defaults: Endpoint | None = None
) -> WarehouseCredentials:
    """The credentials in a secret's text, in either format.

    Raises:
        SecretInvalid: naming what is missing or wrong, without showing a value.
    """
    text = text.strip()
    if not text:
        raise _invalid(name, "it is empty or not text")
    if text.startswith("{"):
        parts, extras, compatible = _parse_json(text, name)
    else:
        parts, extras = _parse_uri(text, name)
        compatible = False
    return _assemble(parts, extras, compatible, name, defaults or Endpoint())


def from_environment(
    env: Mapping[str, str] | None = None, *, database: str = "dev"
) -> WarehouseCredentials:
    """The fallback without a secret: XACCT_REDSHIFT_HOST, _PORT, _USER, _PASSWORD.

    The variables are read when used, so that no settings object holds the password.

    Raises:
        SecretInvalid: naming the variables that are missing.
    """
    env = os.environ if env is None else env
    names = {part: f"XACCT_REDSHIFT_{part.upper()}" for part in ("host", "user", "password")}
    missing = [variable for variable in names.values() if not env.get(variable)]
    if missing:
        raise SecretInvalid(
            "no way to log in to Redshift",
            reason=f"no secret is configured, and {', '.join(missing)} not set",
            fix="set XACCT_REDSHIFT_SECRET to the secret's name or ARN, or set XACCT_REDSHIFT_HOST,"
            " XACCT_REDSHIFT_PORT, XACCT_REDSHIFT_USER and XACCT_REDSHIFT_PASSWORD",
        )
    parts: dict[str, Any] = {part: env[variable] for part, variable in names.items()}
    parts["port"] = env.get("XACCT_REDSHIFT_PORT") or None
    parts["database"] = database
    return _assemble(parts, {}, False, "the environment (XACCT_REDSHIFT_*)", Endpoint())


def _invalid(name: str, reason: str) -> SecretInvalid:
    return SecretInvalid(
        f"{name} does not hold usable Redshift credentials",
        reason=reason,
        fix='store JSON {"username", "password", "engine": "redshift", "host", "port", "dbname"} '
        "or a URI redshift://user:password@host:5439/database with each part percent-encoded",
    )


def _parse_json(text: str, name: str) -> tuple[dict[str, Any], dict[str, Any], bool]:
    # A JSONDecodeError has the whole text as an attribute. It is raised and handled elsewhere, so
    # that it does not become the context of the exception raised here.
    data = _json_or_none(text)
    if not isinstance(data, dict):
        raise _invalid(name, "it starts like JSON but is not a JSON object")
    parts: dict[str, Any] = {}
    for part, names in _NAMES.items():
        parts[part] = next((data[n] for n in names if data.get(n) not in (None, "")), None)
    extras = parts.pop("extra")
    if isinstance(extras, str):
        extras = _json_or_none(extras)
    if extras is not None and not isinstance(extras, dict):
        raise _invalid(name, '"extra" is not a JSON object')
    compatible = bool(data.get("username")) and bool(data.get("password"))
    return parts, dict(extras or {}), compatible


def _json_or_none(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _parse_uri(text: str, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    split = _split_or_none(text)
    if split is None or "://" not in text:
        raise _invalid(name, "it is neither a JSON object nor a URI")
    scheme = split.scheme.lower()
    if scheme not in _SCHEMES:
        raise _invalid(name, f"its URI scheme is none of {', '.join(sorted(_SCHEMES))}")
    # Not urllib's own properties: their error messages show the text.
    login, at, endpoint = split.netloc.rpartition("@")
    user, _, password = login.partition(":")
    if endpoint.startswith("["):
        host, bracket, rest = endpoint[1:].partition("]")
        port = rest.removeprefix(":") if bracket else ""
    else:
        host, _, port = endpoint.partition(":")
    if not at:
        raise _invalid(name, "its URI has no user and password before the host")
    if split.fragment:
        raise _invalid(name, "its URI has a '#': percent-encode each part (%23)")
    parts: dict[str, Any] = {
        "engine": "redshift",
        "user": unquote(user),
        "password": unquote(password),
        "host": unquote(host),
        "port": port or None,
        "database": unquote(split.path.lstrip("/")) or None,
    }
    extras: dict[str, Any] = dict(parse_qsl(split.query, keep_blank_values=True))
    packed = extras.pop("__extra__", None)
    if packed is not None:
        unpacked = _json_or_none(packed)
        if not isinstance(unpacked, dict):
            raise _invalid(name, "the __extra__ of its URI is not a JSON object")
        extras |= unpacked
    return parts, extras


def _split_or_none(text: str) -> SplitResult | None:
    # urlsplit silently drops tabs and newlines, which would change a password.
    if any(ord(character) <= 32 for character in text):
        return None
    try:
        return urlsplit(text)
    except ValueError:
        return None


def _assemble(
    parts: dict[str, Any],
    extras: dict[str, Any],
    compatible: bool,
    name: str,
    defaults: Endpoint,
) -> WarehouseCredentials:
    engine = str(parts.get("engine") or "redshift").lower()
    if engine not in _SCHEMES:
        raise _invalid(name, "its engine is not redshift")
    _refuse_unsupported(extras, name)
    host = parts.get("host") or defaults.host
    database = (
        parts.get("database") or extras.get("dbname") or extras.get("database") or defaults.database
    )
    missing = [
        label
        for label, value in (
            ("user name", parts.get("user")),
            ("password", parts.get("password")),
            ("host", host),
            ("database", database),
        )
        if not value
    ]
    if missing:
        raise _invalid(name, f"no {', no '.join(missing)}")
    for label in ("user", "password"):
        if not isinstance(parts[label], str):
            raise _invalid(name, f"its {label} is not text")
    region = extras.get("region")
    return WarehouseCredentials(
        host=str(host),
        port=_port(parts.get("port") or defaults.port or DEFAULT_PORT, name),
        database=str(database),
        user=parts["user"],
        password=parts["password"],
        data_api_compatible=compatible,
        region=str(region) if region else None,
        connect_timeout=_timeout(extras.get("timeout"), name),
    )


def _port(value: Any, name: str) -> int:
    port = _number(value)
    if port is None or port != int(port) or not 1 <= port <= 65535:
        raise _invalid(name, "its port is not a number from 1 to 65535")
    return int(port)


def _timeout(value: Any, name: str) -> float | None:
    if value is None:
        return None
    seconds = _number(value)
    if seconds is None or seconds <= 0:
        raise _invalid(name, 'its "timeout" is not a number of seconds above 0')
    return seconds


def _refuse_unsupported(extras: dict[str, Any], name: str) -> None:
    for option in _UNSUPPORTED_EXTRAS:
        if str(extras.get(option) or "").lower() not in ("", "false", "0", "none"):
            raise _invalid(name, f'its option "{option}" is not supported: use user and password')
    if str(extras.get("ssl", "true")).lower() in ("false", "0"):
        raise _invalid(name, 'its option "ssl" is off; connections are always verified TLS')
    mode = str(extras.get("sslmode", "verify-full"))
    if mode != "verify-full":
        logger.warning("%s asks for another sslmode; verify-full is used", name)
    unknown = sorted(set(extras) - _KNOWN_EXTRAS - set(_UNSUPPORTED_EXTRAS))
    if unknown:
        logger.warning("%s has options this reader does not use: %s", name, ", ".join(unknown))


def _number(value: Any) -> float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return float(value)
    text = str(value)
    return float(text) if text.isascii() and text.replace(".", "", 1).isdigit() else None
