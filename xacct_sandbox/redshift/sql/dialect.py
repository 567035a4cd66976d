"""Redshift SQL to PostgreSQL's: one statement in, one plan out.

Most statements need no change. One regular expression over the text finds that out, and the text
goes to PostgreSQL as it came. Plans are cached by text.

Translation edits tokens (``rewriting``), or for DDL rebuilds the statement. There is no syntax
tree: rebuilding every statement from one would change texts that need no change, and PostgreSQL
reports its syntax errors about the client's own text.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable

from xacct_sandbox.redshift.copy.options import parse_copy
from xacct_sandbox.redshift.sql import lexer, procedures, users
from xacct_sandbox.redshift.sql.alter_table import alter_table
from xacct_sandbox.redshift.sql.create_table import create_table
from xacct_sandbox.redshift.sql.errors import (
    SYNTAX_ERROR,
    RedshiftError,
    not_supported,
    sandbox_lacks,
)
from xacct_sandbox.redshift.sql.lexer import Token
from xacct_sandbox.redshift.sql.plans import Pass, Plan, Refuse, Steps
from xacct_sandbox.redshift.sql.refusals import NOT_CREATED, refusing
from xacct_sandbox.redshift.sql.rewriting import rewrite_expressions
from xacct_sandbox.redshift.sql.session_settings import (
    isolation_level,
    set_statement,
    show_or_reset,
)
from xacct_sandbox.redshift.unload.options import parse_unload

CACHED_STATEMENTS = 2048
LONGEST_CACHED = 64 * 1024

# A statement without any of these, and without upper case in quoted names, needs no change.
_INTERESTING = re.compile(
    r"""(?ix)
    \b(?: copy | unload | create | alter | drop | truncate | vacuum | analyze | set | reset | show
        | grant | revoke | lock | isolation | savepoint | release | prepare | listen | notify
        | unlisten | do | merge | cancel | cluster | reindex | checkpoint | load | security
        | import | refresh | discard | comment | call
        | dateadd | datediff | date_add | date_diff | date_part | pgdate_part | nvl | nvl2 | decode
        | convert | listagg | median | cast | try_cast | sysdate | minus | approximate | top
        | returning | conflict | lateral | filter | array | tablesample | qualify | overlaps
        | string_agg | array_agg | json_agg | jsonb_agg | row_to_json | to_jsonb
        | jsonb_build_object | json_build_object | gen_random_uuid | clock_timestamp
        | statement_timestamp | transaction_timestamp | make_date | make_timestamp | age | format
        | pg_read_file | pg_ls_dir | query_to_xml | pivot | unpivot | ratio_to_report | hll
        | fnv_hash | sha1 | func_sha1 | object_transform
        | information_schema
    )\b
    | rollback\s+\w | distinct\s+on | for\s+(?:update|share|no|key)
    | :: | -> | "[^"]*[A-Z][^"]*"
    """
)


def translate(sql: str) -> Plan:
    """The plan of one statement. An error is a ``Refuse``; nothing is raised."""
    if _INTERESTING.search(sql) is None:
        return Pass(sql)
    return _translate_cached(sql) if len(sql) <= LONGEST_CACHED else _translate(sql)


def translate_script(sql: str) -> list[Plan]:
    """The plans of a simple query, which may hold several statements."""
    if _INTERESTING.search(sql) is None:
        return [Pass(sql)]
    try:
        statements = lexer.split_statements(sql)
    except RedshiftError as error:
        return [Refuse(error)]
    return [translate(statement) for statement in statements] or [Pass(sql)]


def _translate(sql: str) -> Plan:
    try:
        tokens = lexer.tokenize(sql)
        if not tokens:
            return Pass(sql)
        if tokens[-1].text == ";":
            body_end = len(tokens) - 1
            while body_end and tokens[body_end - 1].text == ";":
                body_end -= 1
            tokens = tokens[:body_end]
            if not tokens:
                return Pass(sql)
        if any(token.text == ";" for token in tokens):
            raise RedshiftError(
                "cannot insert multiple commands into a prepared statement", sqlstate=SYNTAX_ERROR
            )
        handler = _STATEMENTS.get(tokens[0].upper)
        if handler is not None:
            plan = handler(sql, tokens)
            if plan is not None:
                return plan
        return Pass(lexer.edited(sql, rewrite_expressions(sql, tokens)))
    except RedshiftError as error:
        return Refuse(error)
    except IndexError:
        return Refuse(RedshiftError("syntax error at end of input", sqlstate=SYNTAX_ERROR))


_translate_cached = functools.lru_cache(CACHED_STATEMENTS)(_translate)


# -- handlers: a plan, or None if only the expressions need rewriting ----------------------------


def _create(sql: str, tokens: list[Token]) -> Plan | None:
    words = [token.upper for token in tokens[1:4]]
    if words[:2] == ["OR", "REPLACE"]:
        words = [token.upper for token in tokens[3:6]]
    word = words[0]
    if word in NOT_CREATED:
        refusal, fix = NOT_CREATED[word]
        raise refusal(f"CREATE {' '.join(words[: 2 if word == 'EXTERNAL' else 1])}", fix)
    if word == "TABLE" or words[:2] in (
        ["TEMP", "TABLE"],
        ["TEMPORARY", "TABLE"],
        ["LOCAL", "TEMP"],
        ["LOCAL", "TEMPORARY"],
    ):
        return create_table(sql, tokens)
    if word == "PROCEDURE":
        return procedures.create_procedure(sql, tokens, translate)
    if word == "FUNCTION":
        return procedures.create_function(sql, tokens)
    if word == "USER":
        return users.create_user(tokens)
    if word in ("GROUP", "ROLE"):
        return users.create_group(tokens)
    if word == "MATERIALIZED":
        return _create_materialized_view(sql, tokens)
    if word == "SCHEMA":
        return _create_schema(sql, tokens)
    if word in ("VIEW", "TEMP", "TEMPORARY"):
        tail = [token.upper for token in tokens[-4:]]
        if tail == ["WITH", "NO", "SCHEMA", "BINDING"]:
            raise sandbox_lacks("a late-binding view (WITH NO SCHEMA BINDING)", "Leave it out.")
        return None
    raise RedshiftError(f'syntax error at or near "{tokens[1].text}"', sqlstate=SYNTAX_ERROR)


def _create_materialized_view(sql: str, tokens: list[Token]) -> Plan:
    """BACKUP, DISTSTYLE and the like are dropped; AUTO REFRESH YES is refused."""
    name_end = lexer.qualified_name_end(tokens, 3)
    index = name_end
    while index < len(tokens) and tokens[index].upper != "AS":
        words = [token.upper for token in tokens[index : index + 3]]
        if words == ["AUTO", "REFRESH", "YES"]:
            raise sandbox_lacks("AUTO REFRESH YES", "Run REFRESH MATERIALIZED VIEW.")
        index = lexer.closing(tokens, index) + 1 if tokens[index].text == "(" else index + 1
    if index >= len(tokens):
        raise RedshiftError("CREATE MATERIALIZED VIEW needs AS", sqlstate=SYNTAX_ERROR)
    edits = rewrite_expressions(sql, tokens)
    start, end = tokens[name_end - 1].end, tokens[index].start
    edits = [edit for edit in edits if not start <= edit[0] < end]
    return Pass(lexer.edited(sql, [*edits, (start, end, " ")]))


def _create_schema(sql: str, tokens: list[Token]) -> Plan | None:
    for index, token in enumerate(tokens):
        if token.upper == "QUOTA":
            return Pass(sql[: tokens[index].start])  # the sandbox limits no storage
        if token.is_name() and token.name == "sandbox_internal":
            raise RedshiftError('unacceptable schema name "sandbox_internal"', sqlstate="42939")
    return None


def _alter(sql: str, tokens: list[Token]) -> Plan | None:
    word = tokens[1].upper
    if word == "TABLE":
        return alter_table(sql, tokens)
    if word == "USER":
        return users.alter_user(sql, tokens)
    if word == "GROUP":
        return None
    if word in ("SYSTEM", "INDEX", "SEQUENCE", "DATABASE", "TYPE", "DOMAIN", "ROLE", "EXTENSION"):
        raise not_supported(f"ALTER {word}", "See the Redshift documentation for ALTER.")
    if word in ("DATASHARE", "EXTERNAL", "IDENTITY", "MASKING", "RLS"):
        raise sandbox_lacks(f"ALTER {word}", "Leave it out.")
    return None


def _drop(sql: str, tokens: list[Token]) -> Plan | None:
    word = tokens[1].upper
    if word == "USER":
        return users.drop_user(tokens)
    if word in ("GROUP", "ROLE"):
        return users.drop_group(tokens)
    if word == "SCHEMA":
        return None
    if word in NOT_CREATED:
        refusal, fix = NOT_CREATED[word]
        raise refusal(f"DROP {word}", fix)
    if word == "OWNED":
        raise not_supported("DROP OWNED", "Drop the objects one by one.")
    return None


def _truncate(sql: str, tokens: list[Token]) -> Plan:
    """TRUNCATE commits the transaction it runs in."""
    index = 2 if tokens[1].upper == "TABLE" else 1
    end = lexer.qualified_name_end(tokens, index)
    if end != len(tokens):
        raise not_supported(
            f"TRUNCATE … {tokens[end].text}", "TRUNCATE takes one table and no options."
        )
    name = lexer.qualified_name(tokens, index, end)
    return Steps((f"TRUNCATE TABLE {name}",), "TRUNCATE", commits=True)


def _vacuum(sql: str, tokens: list[Token]) -> Plan:
    index = 1
    if tokens[1:] and tokens[1].upper in ("FULL", "SORT", "DELETE", "REINDEX", "RECLUSTER"):
        index += 2 if tokens[1].upper in ("SORT", "DELETE") else 1
    name = ""
    if (
        index < len(tokens)
        and tokens[index].is_name()
        and tokens[index].upper not in ("TO", "BOOST")
    ):
        end = lexer.qualified_name_end(tokens, index)
        name = " " + lexer.qualified_name(tokens, index, end)
    return Steps((f"VACUUM{name}",), "VACUUM", alone="VACUUM")


def _analyze(sql: str, tokens: list[Token]) -> Plan:
    words = [token.upper for token in tokens]
    if "COMPRESSION" in words:
        raise sandbox_lacks("ANALYZE COMPRESSION", "Use ENCODE AUTO.")
    index = 2 if words[1:2] == ["VERBOSE"] else 1
    if index >= len(tokens):
        return Pass("ANALYZE")
    end = lexer.qualified_name_end(tokens, index)
    name = lexer.qualified_name(tokens, index, end)
    columns = ""
    if end < len(tokens) and tokens[end].text == "(":
        listed, _ = lexer.column_list(tokens, end)
        columns = f" ({', '.join(lexer.quote_name(column) for column in listed)})"
    return Pass(f"ANALYZE {name}{columns}")


def _grant(sql: str, tokens: list[Token]) -> Plan | None:
    words = [token.upper for token in tokens]
    if "ASSUMEROLE" in words:
        raise sandbox_lacks(f"{words[0]} ASSUMEROLE", "Every user may name the attached roles.")
    if "DATASHARE" in words or "EXTERNAL" in words or "MODEL" in words:
        raise sandbox_lacks(f"{words[0]} on external objects", "Leave it out.")
    edits = rewrite_expressions(sql, tokens)
    direction = "TO" if words[0] == "GRANT" else "FROM"
    if words[1] == "ROLE":  # GRANT ROLE r TO …
        edits.append((tokens[1].start, tokens[1].end, ""))
    if direction in words:
        start = len(words) - 1 - words[::-1].index(direction)
        edits += [
            (token.start, token.end, "")
            for token in tokens[start + 1 :]
            if token.upper == "ROLE" and token.kind == lexer.WORD
        ]
    return Pass(lexer.edited(sql, edits))


def _merge(sql: str, tokens: list[Token]) -> Plan | None:
    words = [token.upper for token in tokens]
    if words[:2] != ["MERGE", "INTO"]:
        raise RedshiftError("syntax error: MERGE INTO is expected", sqlstate=SYNTAX_ERROR)
    using = words.index("USING") if "USING" in words else len(words)
    if words[using + 1 : using + 2] == ["("]:
        raise not_supported("MERGE … USING (subquery)", "Put the rows in a (temporary) table.")
    if "REMOVE" in words and "DUPLICATES" in words:
        raise sandbox_lacks("MERGE … REMOVE DUPLICATES", "Write WHEN MATCHED … WHEN NOT MATCHED.")
    for index, word in enumerate(words):
        if word == "BY" and words[index + 1 : index + 2] in (["SOURCE"], ["TARGET"]):
            raise not_supported("WHEN NOT MATCHED BY …", "Use DELETE in a statement of its own.")
        if word == "DO" and words[index + 1 : index + 2] == ["NOTHING"]:
            raise not_supported("MERGE … DO NOTHING", "Leave the clause out.")
    return None


def _cancel(sql: str, tokens: list[Token]) -> Plan:
    return Steps((f"SELECT pg_catalog.pg_cancel_backend({int(tokens[1].text)})",), "CANCEL")


def _rollback(sql: str, tokens: list[Token]) -> Plan | None:
    if any(token.upper in ("TO", "PREPARED") for token in tokens):
        raise not_supported("ROLLBACK TO SAVEPOINT", "Roll the whole transaction back.")
    return None


def _prepare(sql: str, tokens: list[Token]) -> Plan | None:
    if len(tokens) > 1 and tokens[1].upper == "TRANSACTION":
        raise not_supported("PREPARE TRANSACTION", "Commit in one phase.")
    return None


_STATEMENTS: dict[str, Callable[[str, list[Token]], Plan | None]] = {
    "CREATE": _create,
    "ALTER": _alter,
    "DROP": _drop,
    "TRUNCATE": _truncate,
    "VACUUM": _vacuum,
    "ANALYZE": _analyze,
    "ANALYSE": _analyze,
    "SET": set_statement,
    "RESET": show_or_reset,
    "SHOW": show_or_reset,
    "BEGIN": isolation_level,
    "START": isolation_level,
    "ROLLBACK": _rollback,
    "ABORT": _rollback,
    "GRANT": _grant,
    "REVOKE": _grant,
    "MERGE": _merge,
    "COPY": parse_copy,
    "UNLOAD": parse_unload,
    "CANCEL": _cancel,
    "PREPARE": _prepare,
    "DISCARD": refusing("DISCARD", "Open a new connection."),
    "SAVEPOINT": refusing("SAVEPOINT", "Roll the whole transaction back."),
    "RELEASE": refusing("RELEASE SAVEPOINT", "Roll the whole transaction back."),
    "LISTEN": refusing("LISTEN", "Poll a table."),
    "UNLISTEN": refusing("UNLISTEN", "Poll a table."),
    "NOTIFY": refusing("NOTIFY", "Write to a table."),
    "DO": refusing("DO", "Create a procedure and CALL it."),
    "CLUSTER": refusing("CLUSTER", "Use a SORTKEY and VACUUM."),
    "REINDEX": refusing("REINDEX", "There are no indexes; use VACUUM REINDEX."),
    "CHECKPOINT": refusing("CHECKPOINT", "Storage is managed."),
    "LOAD": refusing("LOAD", "There are no libraries to load."),
    "SECURITY": refusing("SECURITY LABEL", "Use GRANT."),
    "IMPORT": refusing("IMPORT FOREIGN SCHEMA", "Load with COPY."),
    "REASSIGN": refusing("REASSIGN OWNED", "Alter the owners one by one."),
}
