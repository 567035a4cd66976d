"""The pages of folders and objects in S3. Rejected rows are shown as a table."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from xacct_sandbox.daemon.console import addresses
from xacct_sandbox.daemon.console.accounts import Accounts, Content
from xacct_sandbox.daemon.console.html import Markup, element, link, moment, page, table

MAX_ROWS = 200
MAX_PREVIEWS = 5
"""A folder with more objects shows their names only."""


def folder(accounts: Accounts, bucket: str, prefix: str) -> str:
    """The objects below a prefix, and what is in them if they are few."""
    objects = accounts.objects(bucket, prefix)
    rows = [
        (
            link(addresses.s3_object(bucket, item["Key"]), item["Key"].removeprefix(prefix)),
            item["Size"],
            moment(item["LastModified"]),
        )
        for item in objects
    ]
    previews = []
    if len(objects) <= MAX_PREVIEWS:
        for item in objects:
            previews.append(element("h2", item["Key"].removeprefix(prefix)))
            previews.append(preview(accounts.content(bucket, item["Key"])))
    return page(f"s3://{bucket}/{prefix}", table(("object", "bytes", "written"), rows), *previews)


def object_page(accounts: Accounts, bucket: str, key: str) -> str:
    """The beginning of an object."""
    folder_of = key.rpartition("/")[0] + "/" if "/" in key else ""
    return page(
        f"s3://{bucket}/{key}",
        element("p", link(addresses.s3_folder(bucket, folder_of), "The folder")),
        preview(accounts.content(bucket, key)),
    )


def preview(content: Content) -> Markup:
    """The content as a table of JSON rows, as text, or in a sentence if it is neither."""
    try:
        # An incomplete last character or line is left out.
        end = len(content.data) if content.is_whole else content.data.rfind(b"\n") + 1
        text = content.data[:end].decode()
    except UnicodeDecodeError:
        return element("p", "These bytes are no text.")
    lines = text.removesuffix("\n").split("\n")
    rows = _json_rows(lines)
    shown = table(*_as_table(rows)) if rows else element("pre", "\n".join(lines[:MAX_ROWS]))
    if content.is_whole and len(lines) <= MAX_ROWS:
        return shown
    return Markup(shown + element("p", f"The first {min(len(lines), MAX_ROWS)} lines are shown."))


def _json_rows(lines: Sequence[str]) -> list[dict[str, Any]]:
    """The lines as JSON objects; empty if one of them is not."""
    try:
        rows = [json.loads(line) for line in lines[:MAX_ROWS]]
    except ValueError:
        return []
    return rows if all(isinstance(row, dict) for row in rows) else []


def _as_table(rows: list[dict[str, Any]]) -> tuple[list[str], list[list[Markup]]]:
    """Headers and cells, the columns with short values first."""
    longest: dict[str, int] = {}
    for row in rows:
        for name, value in row.items():
            longest[name] = max(longest.get(name, 0), len(str(value)))
    names = sorted(longest, key=longest.__getitem__)
    return names, [[_value(row.get(name)) for name in names] for row in rows]


def _value(value: Any) -> Markup:
    """A value, its blanks and control characters visible."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return element("code", "".join(c if c.isprintable() else repr(c)[1:-1] for c in text))
