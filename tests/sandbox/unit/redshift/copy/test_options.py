"""COPY statements: every option is known, or refused by name."""

from __future__ import annotations

import pytest

from xacct_sandbox.redshift.copy.options import DELIMITED, CopyStatement
from xacct_sandbox.redshift.sql.dialect import translate
from xacct_sandbox.redshift.sql.option_lists import CSV, PARQUET
from xacct_sandbox.redshift.sql.plans import Refuse

ROLE = "arn:aws:iam::222222222222:role/RoleB"


def copy(options: str, table: str = "t") -> CopyStatement:
    plan = translate(f"copy {table} from 's3://bucket/some/key' iam_role '{ROLE}' {options}")
    assert isinstance(plan, CopyStatement), plan
    return plan


def refused(text: str) -> str:
    plan = translate(text)
    assert isinstance(plan, Refuse), plan
    return f"{plan.error.message} {plan.error.hint}"


def test_the_statement_a_glue_job_sends() -> None:
    plan = translate(
        f'COPY "public"."products" ("id","name") FROM \'s3://b/tmp/manifest.json\''
        f" IAM_ROLE '{ROLE}' FORMAT AS CSV NULL AS '@NULL@' GZIP manifest"
        " COMPUPDATE OFF STATUPDATE ON"
    )
    assert isinstance(plan, CopyStatement), plan
    given = plan
    assert (given.schema, given.table, given.columns) == ("public", "products", ("id", "name"))
    assert (given.source.bucket, given.source.key) == ("b", "tmp/manifest.json")
    assert given.roles == (ROLE,)
    assert (given.format, given.delimiter, given.null_as) == (CSV, ",", "@NULL@")
    assert given.compression == "gzip"
    assert given.manifest


def test_without_a_format_fields_are_separated_by_pipes() -> None:
    given = copy("")
    assert (given.format, given.delimiter) == (DELIMITED, "|")


def test_options_in_any_order() -> None:
    given = copy(
        "ignoreheader as 1 delimiter ';' csv quote as '\\'' emptyasnull blanksasnull maxerror 10"
        " truncatecolumns acceptinvchars as '^' dateformat 'auto' timeformat as 'auto' noload"
        " region 'us-east-1' trimblanks ignoreblanklines explicit_ids bzip2"
    )
    assert (given.ignore_header, given.delimiter, given.quote) == (1, ";", "'")
    assert (given.max_errors, given.accept_invalid, given.compression) == (10, "^", "bzip2")
    assert given.empty_as_null
    assert given.blanks_as_null
    assert given.truncate_columns
    assert given.no_load
    assert given.region == "us-east-1"


def test_the_default_role_and_a_chain_of_roles() -> None:
    plan = translate("copy t from 's3://b/k' iam_role default parquet")
    assert isinstance(plan, CopyStatement)
    assert plan.roles == "default"
    assert plan.format == PARQUET
    chain = f"{ROLE},arn:aws:iam::111111111111:role/RoleA"
    plan = translate(f"copy t from 's3://b/k' iam_role '{chain}' csv")
    assert isinstance(plan, CopyStatement)
    assert plan.roles == tuple(chain.split(","))


@pytest.mark.parametrize("words", ["credentials", "credentials as", "with credentials as"])
def test_the_older_way_of_naming_a_role(words: str) -> None:
    """Airflow's RedshiftToS3Operator writes it so."""
    chain = f"{ROLE},arn:aws:iam::111111111111:role/RoleA"
    plan = translate(f"copy t from 's3://b/k' {words} 'aws_iam_role={chain}' csv")
    assert isinstance(plan, CopyStatement)
    assert plan.roles == tuple(chain.split(","))


def test_a_delimiter_may_be_an_octal_escape_or_a_tab() -> None:
    assert copy("delimiter '\\\\001'").delimiter == "\x01"
    assert copy("delimiter '\\t'").delimiter == "\t"


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("copy t from 's3://b/k' csv", "authorization"),
        ("copy t from 's3://b/k' credentials 'aws_access_key_id=x'", "CREDENTIALS"),
        ("copy t from 's3://b/k' access_key_id 'x' secret_access_key 'y'", "ACCESS_KEY_ID"),
        (f"copy t from 'emr://j/x' iam_role '{ROLE}'", "Amazon S3 location"),
        (f"copy t from 's3://b/k' iam_role '{ROLE}, {ROLE}'", "Invalid IAM role"),
        ("copy t from 's3://b/k' iam_role 'RoleB'", "Invalid IAM role"),
        (f"copy t from 's3://b/k' iam_role '{ROLE}' avro 'auto'", "AVRO"),
        (f"copy t from 's3://b/k' iam_role '{ROLE}' format orc", "ORC"),
        (f"copy t from 's3://b/k' iam_role '{ROLE}' fixedwidth 'a:1'", "FIXEDWIDTH"),
        (f"copy t from 's3://b/k' iam_role '{ROLE}' lzop", "LZOP"),
        (f"copy t from 's3://b/k' iam_role '{ROLE}' encrypted", "ENCRYPTED"),
        (f"copy t from 's3://b/k' iam_role '{ROLE}' fillrecord", "FILLRECORD"),
        (f"copy t from 's3://b/k' iam_role '{ROLE}' json 's3://b/paths'", "JSON"),
        (f"copy t from 's3://b/k' iam_role '{ROLE}' csv escape", "ESCAPE"),
        (f"copy t from 's3://b/k' iam_role '{ROLE}' parquet gzip", "PARQUET"),
        (f"copy t from 's3://b/k' iam_role '{ROLE}' dateformat 'DD.MM.YYYY'", "DATEFORMAT"),
        (f"copy t from 's3://b/k' iam_role '{ROLE}' maxerror 200000", "MAXERROR"),
        (f"copy t from 's3://b/k' iam_role '{ROLE}' delimiter '||'", "DELIMITER"),
        (f"copy t from 's3://b/k' iam_role '{ROLE}' acceptinvchars 'ab'", "ACCEPTINVCHARS"),
        (f"copy t from 's3://b/k' iam_role '{ROLE}' sometimes", "sometimes"),
    ],
)
def test_what_is_wrong_or_lacking_is_named(statement: str, named: str) -> None:
    assert named in refused(statement)


def test_a_key_in_the_text_is_not_repeated_in_the_error() -> None:
    assert "AKIASECRET" not in refused("copy t from 's3://b/k' access_key_id 'AKIASECRET'")
    keys = "aws_access_key_id=AKIASECRET;aws_secret_access_key=x"
    assert "AKIASECRET" not in refused(f"copy t from 's3://b/k' credentials '{keys}'")
