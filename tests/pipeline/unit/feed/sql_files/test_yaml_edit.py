"""A change of a feed's columns leaves the rest of its defs.yaml as a person wrote it."""

from __future__ import annotations

import difflib

import pytest
import yaml

from xacct_assets.feed.sql_files.yaml_edit import ColumnsText, YamlNotEditable

TEXT = """\
type: xacct_assets.feed.CrossAccountFeed

attributes:
  name: goods  # as the shop calls it
  source:
    prefix: goods
    csv: {delimiter: ";"}
  columns:
    # What identifies it.
    - {name: id, type: bigint, nullable: false}  # never changes
    - name: body
      header: 'Body (HTML)'   # as Shopify has it
      type: varchar(256)

    - {name: price, type: "decimal(12,2)",
       description: "of one: piece"}
  # How rows are told apart.
  key: [id]

  max_days_per_run: 31
"""


def edited(*changes: tuple[str, tuple[object, ...]]) -> tuple[list[str], dict[str, object]]:
    """The changed lines (as a diff), and the attributes that the changed text says."""
    text = ColumnsText(TEXT)
    for method, arguments in changes:
        getattr(text, method)(*arguments)
    lines = difflib.ndiff(TEXT.splitlines(), text.text.splitlines())
    return [line for line in lines if line[0] in "+-"], yaml.safe_load(text.text)["attributes"]


def test_a_field_is_replaced_where_it_is() -> None:
    assert edited(("set_field", ("body", "type", "varchar(512)")))[0] == [
        "-       type: varchar(256)",
        "+       type: varchar(512)",
    ]
    lines, attributes = edited(("set_field", ("price", "type", "decimal(14,4)")))
    assert lines == [
        '-     - {name: price, type: "decimal(12,2)",',
        '+     - {name: price, type: "decimal(14,4)",',
    ]
    assert attributes["columns"][2]["type"] == "decimal(14,4)"


def test_a_field_is_added_in_the_style_of_its_column() -> None:
    assert edited(("set_field", ("id", "optional", True)))[0] == [
        "-     - {name: id, type: bigint, nullable: false}  # never changes",
        "+     - {name: id, type: bigint, nullable: false, optional: true}  # never changes",
    ]
    lines, attributes = edited(("set_field", ("body", "null_values", ["N/A", "-"])))
    assert lines == ['+       null_values: ["N/A", "-"]']
    assert attributes["columns"][1]["null_values"] == ["N/A", "-"]


def test_a_column_is_added_after_the_last_one() -> None:
    lines, attributes = edited(
        ("add", ({"name": "order", "header": "Größe: (cm)", "type": "decimal(8,2)"},)),
        ("add", ({"name": "on_hand", "type": "integer"},)),
    )
    assert lines == [
        '+     - {name: order, header: "Größe: (cm)", type: "decimal(8,2)"}',
        "+     - {name: on_hand, type: integer}",
    ]
    assert attributes["columns"][3] == {
        "name": "order",
        "header": "Größe: (cm)",
        "type": "decimal(8,2)",
    }
    assert attributes["key"] == ["id"]


def test_a_column_is_removed_with_its_lines_only() -> None:
    lines, attributes = edited(("remove", ("body",)))
    assert [line[2:].strip() for line in lines] == [
        "- name: body",
        "header: 'Body (HTML)'   # as Shopify has it",
        "type: varchar(256)",
    ]
    assert [column["name"] for column in attributes["columns"]] == ["id", "price"]
    lines, attributes = edited(("remove", ("price",)))
    assert len(lines) == 2
    assert attributes["max_days_per_run"] == 31


def test_a_renamed_column_is_renamed_in_the_key_too() -> None:
    lines, attributes = edited(("rename", ("id", "number")))
    assert [line for line in lines if line[0] == "+"] == [
        "+     - {name: number, type: bigint, nullable: false}  # never changes",
        "+   key: [number]",
    ]
    assert attributes["columns"][0]["name"] == "number"


def test_the_dialect_is_changed_where_it_is_or_added() -> None:
    assert edited(("set_csv", ("extra_columns", "ignore")))[0] == [
        '-     csv: {delimiter: ";"}',
        '+     csv: {delimiter: ";", extra_columns: ignore}',
    ]
    text = ColumnsText(TEXT.replace('    csv: {delimiter: ";"}\n', ""))
    text.set_csv("extra_columns", "ignore")
    assert "    prefix: goods\n    csv: {extra_columns: ignore}\n  columns:" in text.text


def test_words_that_yaml_reads_as_something_else_are_quoted() -> None:
    _, attributes = edited(
        ("add", ({"name": "a", "header": "No"},)),
        ("add", ({"name": "b", "header": "1e3"},)),
        ("add", ({"name": "c", "header": "null"},)),
    )
    assert [column["header"] for column in attributes["columns"][3:]] == ["No", "1e3", "null"]


def test_a_form_that_is_not_understood_is_refused() -> None:
    with pytest.raises(YamlNotEditable, match="no column nothing"):
        ColumnsText(TEXT).remove("nothing")
    with pytest.raises(YamlNotEditable, match="several feeds"):
        ColumnsText(f"{TEXT}---\n{TEXT}").remove("body")
    with pytest.raises(YamlNotEditable, match="in one line"):
        ColumnsText("attributes: {columns: [{name: a}], key: []}").add({"name": "b"})
