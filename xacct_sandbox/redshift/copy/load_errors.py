"""Records that cannot be loaded: PostgreSQL's errors as rows of STL_LOAD_ERRORS.

Error codes and texts: Redshift documentation, "Load error reference".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from xacct_sandbox.redshift.copy.conversion import FieldCountError
from xacct_sandbox.redshift.copy.options import CopyStatement
from xacct_sandbox.redshift.copy.progress import SentPiece, find_piece, record_at
from xacct_sandbox.redshift.copy.rules import Column, Rules
from xacct_sandbox.redshift.copy.s3_reading import SourceObject
from xacct_sandbox.redshift.sql.errors import BackendError, RedshiftError, byte_check

_LINE = re.compile(r"line (\d+)")
_COLUMN = re.compile(r", column (.+?)(?:: |$)")
_VALUE = re.compile(r', column .+?: "(.*)"', re.DOTALL)

_EXTRA_COLUMN = (1202, "Extra column(s) found")
_DELIMITER_NOT_FOUND = (1203, "Delimiter not found")
_EXTRA_DATA = "22P04"
_INVALID_TEXT = "22P02"
# PostgreSQL's SQLSTATEs about a record -> Redshift's error code and text.
_LOAD_ERRORS = {
    "22001": (1204, "String length exceeds DDL length"),
    "23502": (1213, "Missing data for not-null field"),
    "22003": (1204, "Value is out of range for the type"),
    "22007": (1206, "Invalid timestamp or date format"),
    "22008": (1206, "Invalid timestamp or date value"),
    "22021": (1220, "String contains invalid or unsupported UTF8 codepoints."),
    _INVALID_TEXT: (1207, "Invalid value"),
    _EXTRA_DATA: _EXTRA_COLUMN,
    "23514": (1204, "String length exceeds DDL length"),
    "22023": (1207, "Invalid value"),
}
_INTEGER_TYPES = {"integer": "Integer", "bigint": "Long", "smallint": "Short"}
_SHORT_TYPES = {
    "character varying": "varchar",
    "character": "char",
    "integer": "int4",
    "bigint": "int8",
    "smallint": "int2",
    "double precision": "float8",
    "real": "float4",
    "boolean": "bool",
    "timestamp without time zone": "timestamp",
    "timestamp with time zone": "timestamptz",
}


@dataclass
class LoadError:
    """A record that cannot be loaded: a row of STL_LOAD_ERRORS."""

    file: str
    line: int
    raw_line: str
    code: int
    reason: str
    column: str = ""
    type_name: str = ""
    length: str = "0"
    raw_value: str = ""


class LoadFailed(Exception):
    """A record cannot be loaded, and MAXERROR does not allow for it."""

    def __init__(self, error: LoadError) -> None:
        super().__init__(error.reason)
        self.error = error


def line_of(problem: BackendError, uncounted: int) -> int | None:
    """The line of the stream that PostgreSQL complains about; None if it names none.

    Args:
        uncounted: Line feeds of the first record that PostgreSQL does not count.
    """
    found = _LINE.search(problem.backend_fields.get("W", ""))
    if found is None:
        return None
    line = int(found[1])
    return line if line == 1 else line + uncounted


def load_error(
    problem: BackendError,
    line: int | None,
    recent: Iterable[SentPiece],
    rules: Rules,
    objects: Sequence[SourceObject],
    *,
    removed_lines: int = 0,
) -> LoadError | None:
    """PostgreSQL's error as a load error; None if it is not about a record.

    Args:
        line: The line of the stream, from 1.
        recent: The pieces sent last, one of which may hold the line.
        removed_lines: Lines that were taken out of the piece before it was sent.
    """
    if problem.sqlstate not in _LOAD_ERRORS:
        return None
    context = problem.backend_fields.get("W", "")
    column = _column_of(problem, context, rules)
    code, reason = _code_and_reason(problem, column)
    value = _VALUE.search(context)
    sent = find_piece(recent, line)
    raw, file_line, object_number = "", 0, 0
    if sent is not None and line is not None:
        piece_line = line - sent.first_line
        start, end = record_at(sent.piece.data, piece_line, rules.quote)
        raw = sent.piece.data[start:end].rstrip(b"\r\n").decode("utf-8", "replace")
        file_line = sent.file_line + piece_line + removed_lines
        object_number = sent.object_number
    found = LoadError(
        file=objects[object_number].url if objects else "",
        line=file_line,
        raw_line=raw,
        raw_value=value[1] if value else "",
        code=code,
        reason=reason,
    )
    if column is not None:
        found.column = column.name
        found.type_name = _SHORT_TYPES.get(column.type_name, column.type_name)[:10]
        found.length = str(column.length or 0)
    return found


def field_count_error(problem: FieldCountError, file: str, lines_before: int) -> LoadError:
    """A record with too few or too many fields; ``lines_before``: those of its file."""
    extra = problem.found > problem.expected
    code, reason = _EXTRA_COLUMN if extra else _DELIMITER_NOT_FOUND
    line = lines_before + problem.line + 1
    return LoadError(file=file, line=line, raw_line=problem.text, code=code, reason=reason)


def load_failure(statement: CopyStatement, error: LoadError) -> RedshiftError:
    """The error of a COPY that failed because of a record."""
    column = f", column {error.column}" if error.column else ""
    return RedshiftError(
        f"Load into table '{statement.table}' failed.  Check 'stl_load_errors' or"
        " 'sys_load_error_detail' system table for details.",
        detail=f"{error.file} line {error.line}{column}: {error.reason} (code {error.code})",
        hint="Correct or remove the record, or allow for errors with MAXERROR.",
    )


def _column_of(problem: BackendError, context: str, rules: Rules) -> Column | None:
    check = byte_check(problem.backend_fields.get("n", ""))
    if check is not None:
        return next((c for c in rules.columns if c.number == check[0]), None)
    name = problem.backend_fields.get("c")
    if name is None:
        found = _COLUMN.search(context)
        name = found[1] if found else None
    return next((c for c in rules.columns if c.name == name), None)


def _code_and_reason(problem: BackendError, column: Column | None) -> tuple[int, str]:
    if problem.sqlstate == _EXTRA_DATA and "missing data" in problem.message:
        return _DELIMITER_NOT_FOUND
    if problem.sqlstate == _EXTRA_DATA and "quoted field" in problem.message:
        return 1214, "Missing closing quote: " + problem.message
    if problem.sqlstate == _INVALID_TEXT and column is not None:
        return _type_error(column.type_name, problem.message)
    return _LOAD_ERRORS[problem.sqlstate]


def _type_error(type_name: str, message: str) -> tuple[int, str]:
    value = message.rsplit(': "', 1)[-1].rstrip('"') if ': "' in message else ""
    if type_name in _INTEGER_TYPES:
        kind = _INTEGER_TYPES[type_name]
        return 1207, f"Invalid digit, Value '{value[:1]}', Pos 0, Type: {kind}"
    if type_name == "numeric":
        return 1209, f"Invalid digit, Value '{value[:1]}', Pos 0, Type: Decimal"
    if type_name in ("real", "double precision"):
        return 1208, "Invalid value for a FLOAT"
    if type_name == "boolean":
        return 1210, "Unknown boolean format"
    if type_name == "date":
        return 1205, "Invalid Date Format - length must be 10 or more"
    return 1206, "Invalid timestamp format or value [YYYY-MM-DD HH24:MI:SS]"
