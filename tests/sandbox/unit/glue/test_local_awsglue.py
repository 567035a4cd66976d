"""The local `awsglue` does what Glue's does, or refuses a feature by name."""

from __future__ import annotations

from typing import Any

import pytest
from awsglue import redshift_sink, redshift_sql, transforms
from awsglue.errors import UnsupportedByLocalGlueError, check_options
from awsglue.job import Job
from awsglue.s3_mirror import WILDCARD
from awsglue.utils import GlueArgumentError, getResolvedOptions

ARGV = ["load.py", "--JOB_NAME", "j", "--load_id", "w", "--TempDir", "s3://t/", "--unasked", "x"]


def test_only_what_was_asked_for_and_glue_s_own_options_are_resolved() -> None:
    found = getResolvedOptions(ARGV, ["JOB_NAME", "load_id"])
    assert (found["JOB_NAME"], found["load_id"]) == ("j", "w")
    assert found["job_bookmark_option"] == "job-bookmark-disable"
    assert found["TempDir"] == found["RedshiftTempDir"] == "s3://t/"
    assert "unasked" not in found


def test_a_missing_option_is_glue_s_argument_error() -> None:
    with pytest.raises(GlueArgumentError, match="day"):
        getResolvedOptions(ARGV, ["day"])


def test_a_reserved_name_is_refused() -> None:
    with pytest.raises(RuntimeError, match="reserved"):
        getResolvedOptions(ARGV, ["job-bookmark-option"])


def test_job_bookmarks_are_refused_by_name() -> None:
    with pytest.raises(UnsupportedByLocalGlueError, match="job-bookmark-enable of job j"):
        Job(None).init("j", {"job_bookmark_option": "job-bookmark-enable"})


def test_a_transform_is_refused_by_name() -> None:
    with pytest.raises(UnsupportedByLocalGlueError, match="ApplyMapping"):
        transforms.ApplyMapping  # noqa: B018


def test_an_unknown_option_is_refused_by_name() -> None:
    with pytest.raises(UnsupportedByLocalGlueError, match="'autopushdown' of writing"):
        check_options("writing", {"autopushdown": "true"}, ["dbtable"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tempformat": "AVRO"}, "tempformat AVRO"),
        ({"aws_iam_role": ""}, "temporary keys"),
        ({"unknown": "1"}, "'unknown'"),
    ],
)
def test_a_redshift_write_that_cannot_be_done_is_refused(
    changes: dict[str, Any], message: str
) -> None:
    options = {
        "dbtable": "t",
        "redshiftTmpDir": "s3://b/t/",
        "aws_iam_role": "arn",
        "tempformat": "CSV",
    }
    with pytest.raises(UnsupportedByLocalGlueError, match=message):
        redshift_sink.write_redshift(None, {**options, **changes})  # type: ignore[arg-type]


def test_actions_are_split_at_semicolons_and_name_the_table() -> None:
    assert redshift_sql.action_statements("DELETE FROM %s; ; SELECT 1;", "public.t") == [
        "DELETE FROM public.t",
        "SELECT 1",
    ]


class Frame:
    columns = ("id", "name")


def test_copy_is_written_as_the_connector_writes_it() -> None:
    options = {
        "dbtable": "public.t",
        "aws_iam_role": "arn:aws:iam::222222222222:role/RoleB",
        "tempformat": "CSV GZIP",
        "csvnullstring": "@NULL@",
        "include_column_list": "true",
        "extracopyoptions": "COMPUPDATE OFF",
    }
    assert redshift_sql.copy_statement(Frame(), options, "s3://b/m.json") == (  # type: ignore[arg-type]
        """COPY public.t ("id", "name") FROM 's3://b/m.json' """
        """IAM_ROLE 'arn:aws:iam::222222222222:role/RoleB' """
        """FORMAT AS CSV GZIP NULL AS '@NULL@' MANIFEST COMPUPDATE OFF"""
    )


@pytest.mark.parametrize(
    ("key", "wild"), [("a/b.csv", False), (r"a/\[1\].csv", False), ("a/*.csv", True)]
)
def test_an_escaped_glob_character_is_no_wildcard(key: str, wild: bool) -> None:
    assert bool(WILDCARD.search(key)) is wild
