"""The prefix of S3 that an UNLOAD writes to: it must be empty, or is emptied."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from xacct_sandbox.redshift.roles import RoleSession, s3_failure
from xacct_sandbox.redshift.sql.errors import RedshiftError
from xacct_sandbox.redshift.unload.options import UnloadStatement

KEYS_PER_DELETE = 1000


def prepare_destination(statement: UnloadStatement, session: RoleSession) -> None:
    """Delete the objects under the prefix (CLEANPATH), or refuse them. Blocks.

    Raises:
        RedshiftError: The prefix is not empty and the statement has neither CLEANPATH nor
            ALLOWOVERWRITE, or S3 refused.
    """
    if statement.allow_overwrite:
        return
    target = statement.target
    action = "s3:ListBucket"
    try:
        keys = _keys(statement, session)
        if keys and not statement.clean_path:
            raise RedshiftError(
                "Specified unload destination on S3 is not empty. Consider using a different bucket"
                " / prefix, manually removing the target files in S3, or using the ALLOWOVERWRITE"
                " option.",
                detail=f"{target.url} holds {len(keys)} object(s), for one s3://{target.bucket}/{keys[0]}",
            )
        action = "s3:DeleteObject"
        for first in range(0, len(keys), KEYS_PER_DELETE):
            answer = session.s3.delete_objects(
                Bucket=target.bucket,
                Delete={
                    "Objects": [{"Key": key} for key in keys[first : first + KEYS_PER_DELETE]],
                    "Quiet": True,
                },
            )
            metadata: Any = answer["ResponseMetadata"]
            for error in answer.get("Errors", ()):
                raise ClientError(
                    {
                        "Error": {
                            "Code": error.get("Code", ""),
                            "Message": error.get("Message", ""),
                        },
                        "ResponseMetadata": metadata,
                    },
                    "DeleteObjects",
                )
    except (ClientError, BotoCoreError) as problem:
        raise s3_failure(problem, action, target.url, session.principal) from problem


def _keys(statement: UnloadStatement, session: RoleSession) -> list[str]:
    """The keys under the prefix, without the markers of folders."""
    pages = session.s3.get_paginator("list_objects_v2").paginate(
        Bucket=statement.target.bucket, Prefix=statement.target.key
    )
    return [
        item["Key"]
        for page in pages
        for item in page.get("Contents", ())
        if not (item["Key"].endswith("/") and item["Size"] == 0)
    ]
