"""Removes the headers of files that were read split: there they are rows like others."""

from __future__ import annotations

import json
from collections.abc import Mapping

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from xacct_assets.contract.load_request import LoadRequest
from xacct_load.errors import LoadError
from xacct_load.headers import Header
from xacct_load.records import split_files
from xacct_load.source_files import SourceFile
from xacct_load.validation import HEADER_AGAIN


def without_headers(
    rows: DataFrame, request: LoadRequest, headers: Mapping[SourceFile, Header]
) -> DataFrame:
    """The rows, less the first row of each file that was read split, which is its header.

    Args:
        rows: as of `validate`.
        request: of the load.
        headers: the files that have a row.

    Raises:
        LoadError: the first row of a file is no header.
    """
    expected = {file.uri for file in split_files(request, headers)}
    if not expected:
        return rows
    first = F.min(F.struct("position", F.col("problem.kind").alias("kind"))).alias("first")
    in_first_block = F.col("source_file").isin(*expected) & (F.col("position.block") == 0)
    found = {
        row["source_file"]: row["first"]
        for row in rows.where(in_first_block).groupBy("source_file").agg(first).collect()
    }
    for uri in sorted(expected):
        if uri not in found or found[uri]["kind"] != HEADER_AGAIN:
            raise LoadError(
                f"{uri}: its first row is not its header any more: the file was replaced while it "
                "was read; materialize the day again"
            )
    ids = {uri: row["position"]["id"] for uri, row in found.items()}
    header_id = F.from_json(F.lit(json.dumps(ids)), "MAP<STRING, BIGINT>")[F.col("source_file")]
    is_header = (F.col("position.block") == 0) & (F.col("position.id") == header_id)
    return rows.where(~F.coalesce(is_header, F.lit(False)))
