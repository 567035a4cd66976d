"""Statements that Redshift or the sandbox does not have, each with what to do instead."""

from __future__ import annotations

from collections.abc import Callable

from xacct_sandbox.redshift.sql.errors import RedshiftError, not_supported, sandbox_lacks
from xacct_sandbox.redshift.sql.lexer import Token
from xacct_sandbox.redshift.sql.plans import Plan

_Refusal = Callable[[str, str], RedshiftError]

NOT_CREATED: dict[str, tuple[_Refusal, str]] = {
    "INDEX": (not_supported, "Use a SORTKEY."),
    "UNIQUE": (not_supported, "Use a SORTKEY; unique keys are declared in CREATE TABLE."),
    "SEQUENCE": (not_supported, "Use IDENTITY(seed, step)."),
    "TYPE": (not_supported, "Use Redshift's types."),
    "DOMAIN": (not_supported, "Use Redshift's types."),
    "TRIGGER": (not_supported, "Call a procedure."),
    "RULE": (not_supported, "Call a procedure."),
    "EXTENSION": (not_supported, "There are none."),
    "AGGREGATE": (not_supported, "Use Redshift's aggregates."),
    "OPERATOR": (not_supported, "Write a SQL function."),
    "CAST": (not_supported, "Write a SQL function."),
    "TABLESPACE": (not_supported, "Storage is managed."),
    "UNLOGGED": (not_supported, "Use a TEMP table."),
    "EVENT": (not_supported, "Call a procedure."),
    "FOREIGN": (not_supported, "Load with COPY."),
    "SERVER": (not_supported, "Load with COPY."),
    "PUBLICATION": (not_supported, "UNLOAD."),
    "SUBSCRIPTION": (not_supported, "Load with COPY."),
    "STATISTICS": (not_supported, "Run ANALYZE."),
    "LANGUAGE": (not_supported, "Use plpgsql or SQL."),
    "TRUSTED": (not_supported, "Use plpgsql or SQL."),
    "COLLATION": (not_supported, "Compare LOWER(column)."),
    "CONVERSION": (not_supported, "Data is UTF-8."),
    "POLICY": (not_supported, "Use a view."),
    "ACCESS": (not_supported, "Storage is managed."),
    "TEXT": (not_supported, "Use LIKE or regular expressions."),
    "RECURSIVE": (not_supported, "Use WITH RECURSIVE in a view."),
    "EXTERNAL": (sandbox_lacks, "Load the files with COPY (no Redshift Spectrum here)."),
    "DATABASE": (sandbox_lacks, "Use schemas; there is one database, dev."),
    "DATASHARE": (sandbox_lacks, "UNLOAD and COPY."),
    "LIBRARY": (sandbox_lacks, "Write SQL functions."),
    "MODEL": (sandbox_lacks, "No machine learning here."),
    "MASKING": (sandbox_lacks, "Use a view."),
    "RLS": (sandbox_lacks, "Use a view."),
    "IDENTITY": (sandbox_lacks, "Use database users."),
    "TEMPLATE": (sandbox_lacks, "Write the options out."),
}
"""What CREATE and DROP refuse."""


def refusing(statement: str, fix: str) -> Callable[[str, list[Token]], Plan]:
    """The handler of a statement that Redshift does not have."""

    def refuse(sql: str, tokens: list[Token]) -> Plan:
        raise not_supported(statement, fix)

    return refuse
