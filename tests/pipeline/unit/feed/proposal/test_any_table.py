"""Any table written as CSV in any dialect is read back, value by value, by what is proposed.

Questions are answered truthfully. A wrong proposal without a question fails. The values are read in
Python here, by the load job in `tests/pipeline/integration/test_load_formats.py`.
"""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings

from tests.support.samples.written_tables import WrittenTable, read_back, written_tables


def comparable(kind: str, value: Any) -> Any:
    return float(value) if kind in ("integer", "decimal") and value is not None else value


@settings(max_examples=120, deadline=None)
@given(table=written_tables())
def test_a_table_in_any_dialect_is_read_back_value_by_value(table: WrittenTable) -> None:
    read = read_back(table.data, table.proposed())
    assert [[comparable(k, v) for k, v in zip(table.kinds, row, strict=True)] for row in read] == [
        [comparable(k, v) for k, v in zip(table.kinds, row, strict=True)] for row in table.rows
    ]
