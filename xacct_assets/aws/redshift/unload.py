"""Builds UNLOAD statements with CLEANPATH and MANIFEST VERBOSE, so that exports can be verified.

Facts: Redshift's UNLOAD reference. The query is a string literal inside the statement, so its
quotes are doubled. A chain of roles is one literal with commas and no spaces: the role attached to
the namespace first, the role of the target's account last.

aws-claims: unload-through-two-roles, unload-cleanpath, unload-manifest-verbose,
unload-quotes-are-doubled
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal

from xacct_assets.aws.redshift.sql import identifier, literal

_ROLE = re.compile(r"arn:aws(?:-[a-z]+)*:iam::\d{12}:role/[\w+=,.@/-]{1,512}")
_TARGET = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]/[^\\\0-\x1f]+")
_OUTER_LIMIT = re.compile(r"\blimit\s+\d+\s*$", re.IGNORECASE)


@dataclass(frozen=True)
class UnloadOptions:
    """Options of the exported files.

    Attributes:
        max_file_mb: largest file in MB, 5 to 6200.
        parallel: False writes files one after another, in the order of the query.
        header, delimiter, null_as, compression: CSV only (Parquet is compressed by itself).
        partition_by: columns that become `name=value` folders; `include_partitions` keeps them in
            the files as well.
        region: the bucket's Region, if it differs from the namespace's.
        kms_key_id: encrypt with this key of the bucket's account.
    """

    max_file_mb: int = 256
    parallel: bool = True
    header: bool = True
    delimiter: str = ","
    null_as: str | None = None
    compression: Literal["none", "gzip", "bzip2", "zstd"] = "gzip"
    partition_by: tuple[str, ...] = ()
    include_partitions: bool = True
    region: str | None = None
    kms_key_id: str | None = None


@dataclass(frozen=True)
class UnloadSpec:
    """One export.

    Attributes:
        query: a SELECT without parameters; values in it are made with `sql.literal`.
        target: ``s3://bucket/prefix/``; all objects under it are deleted first.
        role_chain: ARNs, the one attached to the namespace first.
        format: of the files.
        options: of the files.
    """

    query: str
    target: str
    role_chain: tuple[str, ...]
    format: Literal["PARQUET", "CSV"] = "PARQUET"
    options: UnloadOptions = field(default_factory=UnloadOptions)


def statement(spec: UnloadSpec) -> str:
    """The UNLOAD statement.

    Raises:
        ValueError: naming the part that cannot be used.
    """
    if not spec.role_chain:
        raise ValueError("UNLOAD needs at least one role")
    for role in spec.role_chain:
        if not _ROLE.fullmatch(role) or "," in role:
            raise ValueError(f"{role!r} is not the ARN of an IAM role that UNLOAD can use")
    if not _TARGET.fullmatch(spec.target) or not spec.target.endswith("/"):
        raise ValueError(
            f"{spec.target!r} is not a usable target: s3://bucket/prefix/ with a final slash "
            "(UNLOAD takes a prefix, and CLEANPATH deletes every key that starts with it)"
        )
    query = spec.query.strip().rstrip(";").strip()
    if _OUTER_LIMIT.search(query):
        raise ValueError("UNLOAD takes no LIMIT in its outer SELECT: put it in a subquery")
    clauses = [
        f"UNLOAD ({literal(query)})",
        f"TO {literal(spec.target)}",
        f"IAM_ROLE {literal(','.join(spec.role_chain))}",
        *_format_clauses(spec.format, spec.options),
        "CLEANPATH",
        "MANIFEST VERBOSE",
    ]
    return "\n".join(clauses)


def _format_clauses(format_: str, options: UnloadOptions) -> list[str]:
    if format_ not in ("PARQUET", "CSV"):
        raise ValueError(f"export format {format_!r} is not supported: use PARQUET or CSV")
    if not 5 <= options.max_file_mb <= 6200:
        raise ValueError(f"max_file_mb is {options.max_file_mb}; UNLOAD takes 5 to 6200")
    clauses = [f"FORMAT AS {format_}"]
    if options.partition_by:
        include = " INCLUDE" if options.include_partitions else ""
        names = ", ".join(identifier(name) for name in options.partition_by)
        clauses.append(f"PARTITION BY ({names}){include}")
    if format_ == "CSV":
        if len(options.delimiter) != 1 or not options.delimiter.isascii():
            raise ValueError(f"delimiter {options.delimiter!r} is not one ASCII character")
        clauses.append(f"DELIMITER AS {literal(options.delimiter)}")
        if options.header:
            clauses.append("HEADER")
        if options.null_as is not None:
            clauses.append(f"NULL AS {literal(options.null_as)}")
        if options.compression not in ("none", "gzip", "bzip2", "zstd"):
            raise ValueError(f"compression {options.compression!r} is not none, gzip, bzip2, zstd")
        if options.compression != "none":
            clauses.append(options.compression.upper())
    clauses.append(f"PARALLEL {'ON' if options.parallel else 'OFF'}")
    clauses.append(f"MAXFILESIZE {options.max_file_mb} MB")
    if options.kms_key_id is not None:
        clauses.append(f"KMS_KEY_ID {literal(options.kms_key_id)} ENCRYPTED")
    if options.region is not None:
        clauses.append(f"REGION AS {literal(options.region)}")
    return clauses
