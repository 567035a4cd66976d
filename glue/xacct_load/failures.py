"""Turns failures of Spark and Java into messages that name the file and the reason."""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

import boto3
from botocore.exceptions import ClientError
from pyspark.errors import PySparkException

from xacct_assets.contract.denied_keys import SECRET_KEY_DENIED, name_secrets_key
from xacct_assets.contract.load_request import MASK, LoadRequest
from xacct_assets.contract.logins import ROTATION_WINDOW, is_login_refused, login_fix, refused_user
from xacct_load.errors import LoadError
from xacct_load.s3 import caller, denial
from xacct_load.source_files import THREADS, SourceFile

if TYPE_CHECKING:
    from mypy_boto3_glue.client import GlueClient
    from mypy_boto3_s3.client import S3Client

#: Bytes decompressed at a time.
_CHUNK = 1024 * 1024
#: What Glue's Redshift connector makes of a row in stl_load_errors (`RedshiftWriter` of
#: spark-redshift-community, on GitHub).
_REFUSED_VALUE = re.compile(
    r'Error \(code (?P<code>-?\d+)\) while loading data into Redshift: "(?P<reason>[^\n]*)"\s*\n'
    r"Table name: (?P<table>[^\n]*)\n"
    r"Column name: (?P<column>[^\n]*)\n"
    r"Column type: (?P<type>[^\n]*)\n"
    r"Raw line: .*\nRaw field value: (?P<value>.*?)\s*(?:\n\s*at |\Z)",
    re.DOTALL,
)
#: Characters of a refused value that are shown.
_SHOWN_CHARACTERS = 200


@contextmanager
def spark_failures() -> Iterator[None]:
    """Context manager: failures of Spark leave it as `LoadError`s, others unchanged."""
    try:
        yield
    except Exception as problem:
        # Py4JJavaError is recognised by its attribute: py4j is not sure to be importable on Glue.
        if isinstance(problem, PySparkException) or hasattr(problem, "java_exception"):
            raise LoadError(describe_spark_failure(str(problem))) from problem
        raise


def describe_spark_failure(text: str) -> str:
    """The lines of a Spark or Java error that say which file and why."""
    file = re.search(r"reading file:? (s3://[^\n]*?)\.?(?: Details:)?\s*(?:\n|$)", text)
    causes = re.findall(r"^Caused by: (.*)$", text, flags=re.MULTILINE)
    reason = causes[-1] if causes else text.strip().partition("\n")[0]
    if not causes and reason.startswith("An error occurred while calling"):
        reason = " ".join(text.strip().split("\n")[:2])
    return f"{file[1]}: {reason}" if file else reason


@contextmanager
def naming_refused_value(request: LoadRequest) -> Iterator[None]:
    """Context manager: if COPY refused a value, say of which column, and why.

    The connector's message has the whole row. Of a feed with sensitive columns it is left out, also
    of the traceback, and so is a value of such a column.

    Raises:
        LoadError: naming the column.
    """
    try:
        yield
    except Exception as problem:
        found = _REFUSED_VALUE.search(str(problem))
        if found is None:
            raise
        sensitive = {column.name for column in request.columns if column.sensitive}
        value, reason = repr(found["value"][:_SHOWN_CHARACTERS]), found["reason"]
        if found["column"] in sensitive:
            # Redshift quotes the value, or a part of it: "Invalid digit, Value 'a', Pos 0".
            value, reason = MASK, re.sub("'.*'", MASK, reason)
        raise LoadError(
            f"Redshift refused a value of column {found['column']} ({found['type']}) of "
            f"{request.staging_table}: {reason} (code {found['code']}); the value: {value}. The "
            "job has checked it against the feed, so the table has another column than the feed: "
            "`xacct doctor` names it"
        ) from (None if sensitive else problem)


@contextmanager
def naming_refused_login(glue: GlueClient, request: LoadRequest) -> Iterator[None]:
    """Context manager: if Redshift refused the login, say of which user and from which secret.

    Args:
        glue: boto3's client, which is used only after a refusal.
        request: names the Glue connection, which names the secret; or logs in by IAM.

    Raises:
        LoadError: the login stayed refused.
    """
    try:
        yield
    except Exception as problem:
        text = str(problem)
        if SECRET_KEY_DENIED in text:
            raise LoadError(_denied_key(glue, request.connection, text)) from problem
        if not is_login_refused(text):
            raise
        user = refused_user(text)
        is_iam = bool(request.warehouse_url)
        whose = "the job's role, by IAM," if is_iam else f"Glue connection {request.connection}"
        secret = None if is_iam else _secret_of(glue, request.connection)
        raise LoadError(
            f"Redshift refused the login of {whose} for "
            f"{ROTATION_WINDOW:.0f} s: password authentication failed for user "
            f'"{user or "unknown"}". fix: {login_fix(secret, user)}'
        ) from problem


def _denied_key(glue: GlueClient, connection: str, text: str) -> str:
    region = glue.meta.region_name
    secrets = boto3.client("secretsmanager", region_name=region)
    named = name_secrets_key(secrets, _secret_of(glue, connection), partial(caller, region), text)
    return f"cannot read the login of Glue connection {connection}: {named}"


def _secret_of(glue: GlueClient, connection: str) -> str:
    try:
        answer = glue.get_connection(Name=connection, HidePassword=True)
    except ClientError as problem:
        return f"of connection {connection} (its name cannot be read: {problem})"
    properties = answer["Connection"].get("ConnectionProperties", {})
    return properties.get("SECRET_ID") or f"of connection {connection} (it names none)"


@contextmanager
def naming_broken_gzip(s3: S3Client, files: Sequence[SourceFile]) -> Iterator[None]:
    """Context manager: if Spark says that a gzip file is broken, find out which one.

    Raises:
        LoadError: naming the broken file.
    """
    try:
        yield
    except Exception as problem:
        if not re.search("EOFException|ZipException|incorrect|invalid", str(problem)):
            raise
        compressed = [file for file in files if file.key.endswith(".gz")]
        with ThreadPoolExecutor(THREADS) as pool:
            for file, fault in zip(
                compressed, pool.map(partial(_gzip_fault, s3), compressed), strict=True
            ):
                if fault:
                    raise LoadError(
                        f"{file.uri}: is a broken gzip file ({fault}); deliver it again"
                    ) from problem
        raise


@contextmanager
def naming_denied_file(s3: S3Client, files: Sequence[SourceFile]) -> Iterator[None]:
    """Context manager: if Spark may not read a file, say which one, and which right is missing.

    Raises:
        LoadError: naming the file, in IAM's words.
    """
    try:
        yield
    except Exception as problem:
        if not re.search(r"Access ?Denied|Forbidden|Status Code: 403", str(problem)):
            raise
        with ThreadPoolExecutor(THREADS) as pool:
            for file, why in zip(files, pool.map(partial(_denial, s3), files), strict=True):
                if why:
                    raise LoadError(f"cannot read {file.uri}: {why}") from problem
        raise


def _denial(s3: S3Client, file: SourceFile) -> str | None:
    """Why an object may not be read; None if it may."""
    if file.size == 0:
        return None
    try:
        s3.get_object(Bucket=file.bucket, Key=file.key, Range="bytes=0-0")["Body"].close()
    except ClientError as problem:
        return denial(s3, problem, "s3:GetObject", f"arn:aws:s3:::{file.bucket}/{file.key}")
    return None


def _gzip_fault(s3: S3Client, file: SourceFile) -> str | None:
    """What is wrong with a gzip object, read to its end; None if nothing is."""
    if file.size == 0:
        return None
    body = s3.get_object(Bucket=file.bucket, Key=file.key)["Body"]
    try:
        with gzip.GzipFile(fileobj=body) as content:
            while content.read(_CHUNK):
                pass
    except (OSError, EOFError, zlib.error) as problem:
        return str(problem)
    return None
