"""Spark SQL that names what suppliers send besides rows, in records that are no good row.

Records that are no rows are a kind of reject each, with a condition over the column raw_record.
What may be wrong with a value is said behind it, in the file of rejects (`hint`).
"""

from __future__ import annotations

from xacct_load.sql_texts import sql_text

#: A row whose fields are all empty.
EMPTY_ROW = "a row of delimiters only"
BACKSLASH_QUOTE = (
    "a quote behind a backslash, as MySQL writes it (double it instead: in MySQL, FIELDS ESCAPED "
    "BY '\"')"
)
TEXT_AFTER_QUOTE = "text after a closing quote (a quote inside a quoted field must be doubled)"
WRONG_WIDTH = "wrong number of fields"
#: Words with which the last line of a file begins that counts its rows.
_TRAILER = r'^"?(?i:trailer|trl|tlr|eof|end of file|end-of-file|totals?|grand total|summe|total:)\b'
#: A field that is MySQL's NULL, and the kind of reject of its row.
MYSQL_NULL = "\\N"
MYSQL_NULL_KIND = "\\N, which is MySQL's NULL: add it to the feed's null_values"
_NUMBER = "not an? (bigint|integer|smallint|decimal|double precision|real)"
_MOMENT = "not a (date|timestamp|timestamptz)"


def has_backslash_quote(quote: str, delimiter: str) -> str:
    """SQL that is true of a record with a quote behind a backslash, and text behind that."""
    marks = [f"\\x{ord(mark):02x}" for mark in (quote, delimiter)]
    return f"raw_record RLIKE {sql_text(f'[{chr(92) * 2}]{marks[0]}[^{marks[0]}{marks[1]}]')}"


def wrong_width() -> list[tuple[str, str]]:
    """(kind, condition) of records with a wrong number of fields; of all others, `WRONG_WIDTH`."""
    return [
        ("Ctrl-Z (U+001A), DOS's mark of a file's end", "raw_record RLIKE '^\\\\x1a+\\\\s*$'"),
        ("a trailer line, which is no row", f"raw_record RLIKE {sql_text(_TRAILER)}"),
    ]


def hint(kind: str, shown: str) -> str:
    """SQL of what is said of a value that is not one of its type; NULL if there is nothing to say.

    Args:
        kind: SQL of the kind of the reject.
        shown: SQL of the value.
    """
    is_number = f"{kind} RLIKE {sql_text(': ' + _NUMBER)}"
    is_plain = f"{kind} NOT RLIKE ' as '"
    comma = sql_text(r"^[+-]?[0-9]{1,3}(?:[. ]?[0-9]{3})*,[0-9]+$|^[+-]?[0-9]+,[0-9]+$")
    order = sql_text(r"^[0-9]{1,2}([./-])[0-9]{1,2}\1([0-9]{4}|[0-9]{2})([ T,].*)?$")
    return (
        f"CASE WHEN {is_number} AND {shown} RLIKE '[\u00a0\u202f]' "
        "THEN ' (it has a no-break space, U+00A0 or U+202F: set the column\\'s trim or format)' "
        f"WHEN {is_number} AND {is_plain} AND {shown} RLIKE {comma} "
        "THEN ' (a decimal comma: set the column\\'s format, e.g. \\'1.234,56\\')' "
        f"WHEN {kind} RLIKE {sql_text(': ' + _MOMENT)} AND {is_plain} AND {shown} RLIKE {order} "
        "THEN ' (another order: set the column\\'s format, e.g. DD/MM/YYYY or MM/DD/YYYY)' END"
    )
