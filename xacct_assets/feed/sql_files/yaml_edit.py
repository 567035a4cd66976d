"""Changes the columns in the text of a ``defs.yaml``; everything else stays as a person wrote it.

The places of values come from PyYAML's nodes. The caller reads the changed text again and compares
it with what it should say, so that a form that is not understood here is refused, not damaged.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import yaml


class YamlNotEditable(ValueError):
    """The text has a form that is not changed here; the message names it."""


class ColumnsText:
    """The text of a file with one feed, whose columns are changed.

    Args:
        text: of the file.
    """

    def __init__(self, text: str) -> None:
        self.text = text

    def set_field(self, column: str, field: str, value: Any) -> None:
        """Give a column's field a value; the field may be there or not."""
        node = self._column(column)
        for key, old in node.value:
            if key.value == field:
                self._replace(old.start_mark.index, _end(old), _scalar(value))
                return
        _, last = node.value[-1]
        if node.flow_style:
            self._replace(_end(last), _end(last), f", {field}: {_scalar(value)}")
        else:
            indent = " " * node.value[0][0].start_mark.column
            self._replace(_end(last), _end(last), f"\n{indent}{field}: {_scalar(value)}")

    def add(self, fields: Mapping[str, Any]) -> None:
        """Add a column at the end, as a line of its own."""
        columns = self._attribute("columns")
        if columns.flow_style or not columns.value:
            raise YamlNotEditable("columns is written in one line")
        last = columns.value[-1]
        line = self.text.rindex("\n", 0, columns.value[0].start_mark.index) + 1
        dash = re.match(r" *", self.text[line:])
        indent = dash.group() if dash else ""
        values = ", ".join(f"{name}: {_scalar(value)}" for name, value in fields.items())
        at = self._line_end(_end(last))
        self._replace(at, at, f"\n{indent}- {{{values}}}")

    def remove(self, column: str) -> None:
        """Remove a column with its lines."""
        node = self._column(column)
        start = self.text.rindex("\n", 0, node.start_mark.index)
        end = self._line_end(_end(node))
        if self.text[start:end].count("- ") < 1:
            raise YamlNotEditable(f"column {column} does not begin with - on its line")
        self._replace(start, end, "")

    def rename(self, column: str, name: str) -> None:
        """Give a column another name, in the key too."""
        key = next((item for item in self._attribute("key").value if item.value == column), None)
        if key is not None:
            self._replace(key.start_mark.index, _end(key), name)
        self.set_field(column, "name", name)

    def set_csv(self, field: str, value: Any) -> None:
        """Give a field of ``source.csv`` a value."""
        source = self._attribute("source")
        csv = next((value for key, value in source.value if key.value == "csv"), None)
        at = csv if csv is not None and csv.value else source
        given = value if at is csv else {field: value}
        name = field if at is csv else "csv"
        for key, old in at.value:
            if key.value == name:
                self._replace(old.start_mark.index, _end(old), _scalar(given))
                return
        _, last = at.value[-1]
        separator = ", " if at.flow_style else "\n" + " " * at.value[0][0].start_mark.column
        self._replace(_end(last), _end(last), f"{separator}{name}: {_scalar(given)}")

    def _attribute(self, name: str) -> Any:
        documents = [node for node in yaml.compose_all(self.text, yaml.SafeLoader) if node]
        if len(documents) != 1:
            raise YamlNotEditable("the file has several feeds")
        attributes = dict(_items(documents[0]))["attributes"]
        found = dict(_items(attributes)).get(name)
        if found is None:
            raise YamlNotEditable(f"it has no {name}")
        return found

    def _column(self, name: str) -> Any:
        for node in self._attribute("columns").value:
            if dict(_items(node))["name"].value == name:
                return node
        raise YamlNotEditable(f"it has no column {name}")

    def _line_end(self, index: int) -> int:
        end = self.text.find("\n", index)
        return len(self.text) if end < 0 else end

    def _replace(self, start: int, end: int, new: str) -> None:
        self.text = self.text[:start] + new + self.text[end:]


def _items(node: Any) -> Sequence[tuple[str, Any]]:
    return [(key.value, value) for key, value in node.value]


def _end(node: Any) -> int:
    """Where a node's own text ends: block collections reach up to the next token."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return _end(last[1] if isinstance(last, tuple) else last)
    return int(node.end_mark.index)


def _scalar(value: Any) -> str:
    """A value in YAML's flow style: plain if it is a word or a type, else quoted."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_scalar, value))}]"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_scalar(item)}" for key, item in value.items()) + "}"
    text = str(value)
    is_plain = re.fullmatch(r"[A-Za-z][\w ()]*[\w)]", text) and yaml.safe_load(text) == text
    return text if is_plain else json.dumps(text, ensure_ascii=False)
