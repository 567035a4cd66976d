"""SET, RESET, SHOW and isolation levels: Redshift's settings in a PostgreSQL session.

Redshift's own settings become custom settings of PostgreSQL, named ``redshift.…``.
"""

from __future__ import annotations

from xacct_sandbox.redshift.sql import lexer
from xacct_sandbox.redshift.sql.errors import RedshiftError, sandbox_lacks
from xacct_sandbox.redshift.sql.lexer import Token
from xacct_sandbox.redshift.sql.plans import Pass, Plan, SwitchUser

# Redshift's own settings -> the values that change no answer (None: any value).
_REDSHIFT_SETTINGS: dict[str, frozenset[str] | None] = {
    "query_group": None,
    "wlm_query_slot_count": None,
    "enable_result_cache_for_session": None,
    "analyze_threshold_percent": None,
    "mv_enable_aqmv_for_session": None,
    "use_fips_ssl": None,
    "enable_vacuum_boost": None,
    "stored_proc_log_min_messages": None,
    "error_on_nondeterministic_update": None,
    "json_serialization_enable": frozenset({"false", "off"}),
    "json_serialization_parse_nested_strings": frozenset({"false", "off"}),
    "enable_case_sensitive_identifier": frozenset({"false", "off"}),
    "enable_case_sensitive_super_attribute": frozenset({"false", "off"}),
    "describe_field_name_in_uppercase": frozenset({"false", "off"}),
    "downcase_delimited_identifier": frozenset({"true", "on"}),
    "navigate_super_null_on_error": frozenset({"true", "on"}),
    "spectrum_query_maxerror": None,
    "timezone_abbreviations": None,
}
_POSTGRESQL_SETTINGS = frozenset(
    [
        "search_path",
        "statement_timeout",
        "timezone",
        "time",
        "datestyle",
        "client_encoding",
        "extra_float_digits",
        "application_name",
        "client_min_messages",
        "role",
        "seed",
        "names",
        "local",
        "session",
        "transaction",
        "intervalstyle",
        "enable_seqscan",
    ]
)
_SHOW_OBJECTS = frozenset(
    [
        "tables",
        "schemas",
        "databases",
        "columns",
        "table",
        "view",
        "procedures",
        "functions",
        "grants",
        "constraints",
        "parameters",
        "external",
        "model",
        "datashares",
    ]
)


def set_statement(sql: str, tokens: list[Token]) -> Plan | None:
    words = [token.upper for token in tokens]
    if "AUTHORIZATION" in words[:4]:
        return SwitchUser(sql)
    if words[1:3] == ["SESSION", "CHARACTERISTICS"] or words[1:2] == ["TRANSACTION"]:
        return isolation_level(sql, tokens)
    index = 2 if words[1:2] in (["SESSION"], ["LOCAL"]) else 1
    name = tokens[index].name if tokens[index].is_name() else ""
    if name in _REDSHIFT_SETTINGS:
        allowed = _REDSHIFT_SETTINGS[name]
        value = tokens[-1]
        text = lexer.unquote_literal(value) if value.kind == lexer.STRING else value.text
        if allowed is not None and text.lower() not in allowed and text.upper() != "DEFAULT":
            raise sandbox_lacks(f"SET {name} TO {text}", f"Only {' or '.join(sorted(allowed))}.")
        return Pass(lexer.edited(sql, [(tokens[index].start, tokens[index].start, "redshift.")]))
    if name not in _POSTGRESQL_SETTINGS and "." not in [t.text for t in tokens[index : index + 2]]:
        raise RedshiftError(f'unrecognized configuration parameter "{name}"', sqlstate="42704")
    return None


def isolation_level(sql: str, tokens: list[Token]) -> Plan | None:
    """Redshift runs every transaction at the database's level, SNAPSHOT here."""
    words = [token.upper for token in tokens]
    if "ISOLATION" not in words:
        return Pass(sql)
    level = words.index("LEVEL") + 1
    end = level + (2 if words[level] in ("READ", "REPEATABLE") else 1)
    return Pass(lexer.edited(sql, [(tokens[level].start, tokens[end - 1].end, "REPEATABLE READ")]))


def show_or_reset(sql: str, tokens: list[Token]) -> Plan | None:
    words = [token.upper for token in tokens]
    if words[0] == "RESET" and words[1:3] == ["SESSION", "AUTHORIZATION"]:
        return SwitchUser(sql)
    name = tokens[1].name if len(tokens) > 1 and tokens[1].is_name() else ""
    if name in _REDSHIFT_SETTINGS:
        return Pass(lexer.edited(sql, [(tokens[1].start, tokens[1].start, "redshift.")]))
    if words[0] == "SHOW" and name in _SHOW_OBJECTS:
        raise sandbox_lacks(
            f"SHOW {name.upper()}", "Query SVV_TABLES, SVV_COLUMNS or PG_TABLE_DEF."
        )
    return None
