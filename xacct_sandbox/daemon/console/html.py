"""HTML from text: everything is escaped, unless a function of this module made it."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from html import escape
from string import Template

STYLE = (
    "body{font:15px/1.45 system-ui,sans-serif;margin:0 auto;max-width:1200px;padding:16px 24px;"
    "color:#16191f}"
    "nav{border-bottom:1px solid #d5dbdb;padding-bottom:8px;color:#545b64}"
    "h1{font-size:22px;overflow-wrap:anywhere}h2{font-size:17px;margin-top:28px}"
    "table{border-collapse:collapse;width:100%}"
    "th,td{border-bottom:1px solid #e3e6e6;padding:5px 10px 5px 0;text-align:left;"
    "vertical-align:top;overflow-wrap:anywhere}"
    "th{color:#545b64;font-weight:600;white-space:nowrap}"
    "pre{background:#f6f8f8;padding:10px;white-space:pre-wrap;overflow-wrap:anywhere;"
    "font-size:13px}"
    "code{font:13px/1.45 ui-monospace,monospace;white-space:pre-wrap;display:block;"
    "max-height:9em;min-width:16em;overflow:auto}"
    ".whole{white-space:nowrap}"
    ".bad{color:#b0191e;font-weight:600}.good{color:#1b660f;font-weight:600}"
)
# The part of an AWS Console's address behind "#" is not sent to the server. This sends it.
SCRIPT = (
    "if(location.hash.length>1){const to=new URL(location.href);"
    "to.searchParams.set('page',location.hash.slice(1));to.hash='';location.replace(to)}"
)

_PAGE = Template(
    "<!doctype html><html lang=en><meta charset=utf-8>"
    "<meta name=viewport content='width=device-width'>"
    "<title>$title - xacct sandbox</title><style>$style</style>"
    "<nav><a href='/'>Sandbox console</a> &middot; <a href='/requests'>Requests</a></nav>"
    "<h1>$title</h1>$body</html>"
)


def _hash(text: str) -> str:
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"


CONTENT_SECURITY_POLICY = (
    f"default-src 'none'; style-src {_hash(STYLE)}; script-src {_hash(SCRIPT)}; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class Markup(str):
    """Text that is HTML already."""


Cell = str | int | float | None


def html(value: Cell) -> Markup:
    """The value as HTML: `Markup` as it is, anything else escaped; None is a dash."""
    if isinstance(value, Markup):
        return value
    return Markup("&ndash;" if value is None else escape(str(value)))


def page(title: str, *parts: Cell) -> str:
    """A whole page."""
    body = "".join(html(part) for part in parts)
    return _PAGE.substitute(title=escape(title), style=STYLE, body=body)


def element(tag: str, content: Cell, css_class: str = "") -> Markup:
    """One element."""
    attribute = f' class="{escape(css_class)}"' if css_class else ""
    return Markup(f"<{tag}{attribute}>{html(content)}</{tag}>")


def whole(content: Cell) -> Markup:
    """Content that is not broken into lines."""
    return element("span", content, "whole")


def moment(time: datetime | None) -> Markup | None:
    """A time in UTC."""
    return whole(f"{time.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC") if time else None


def link(href: str, text: str) -> Markup:
    """A link to another page of the console."""
    return Markup(f'<a href="{escape(href)}">{escape(text)}</a>')


def table(headers: Sequence[str], rows: Iterable[Sequence[Cell]]) -> Markup:
    """A table with a line of headings; a sentence if it has no rows."""
    lines = ["<tr>" + "".join(f"<td>{html(cell)}</td>" for cell in row) + "</tr>" for row in rows]
    if not lines:
        return element("p", "None.")
    heading = "".join(f"<th>{escape(header)}</th>" for header in headers)
    return Markup(f"<table><tr>{heading}</tr>{''.join(lines)}</table>")


def facts(rows: Iterable[tuple[str, Cell]]) -> Markup:
    """A table of names and values."""
    lines = [f"<tr><th>{escape(name)}</th><td>{html(value)}</td></tr>" for name, value in rows]
    return Markup(f"<table>{''.join(lines)}</table>")
