"""Reads CSV as PostgreSQL's COPY does (its function CopyReadAttributesCSV)."""

from __future__ import annotations

from xacct_sandbox.redshift.copy.rules import Form, Piece, Rules


def rows_read(piece: Piece, rules: Rules) -> list[list[str | None]]:
    """The values of every record, NULL as None, under the options of the piece's COPY."""
    null = rules.null if piece.form is Form.MARKED else ""
    never_null = [piece.form is Form.EMPTY and column.is_text for column in rules.columns]
    rows: list[list[str | None]] = []
    for record in _records(piece.data.decode(), rules.delimiter, rules.quote):
        rows.append(
            [
                None if text == null and not quoted and not force else text
                for (text, quoted), force in zip(record, never_null, strict=True)
            ]
        )
    return rows


def _records(text: str, delimiter: str, quote: str) -> list[list[tuple[str, bool]]]:
    records: list[list[tuple[str, bool]]] = []
    fields: list[tuple[str, bool]] = []
    value, inside, quoted, position = "", False, False, 0
    while position < len(text):
        sign = text[position]
        position += 1
        if inside and sign == quote and text[position : position + 1] == quote:
            value += quote
            position += 1
        elif sign == quote:
            inside, quoted = not inside, True
        elif inside or sign not in (delimiter, "\n"):
            value += sign
        else:
            fields.append((value, quoted))
            value, quoted = "", False
            if sign == "\n":
                records.append(fields)
                fields = []
    assert (inside, fields, value) == (False, [], ""), "the text ends in the middle of a record"
    return records
