"""Framing of the PostgreSQL 3.0 protocol, which Redshift uses too.

A message is one type byte (none for startup packets), a big-endian length that counts itself, and
a body. Source: PostgreSQL documentation, chapter "Frontend/Backend Protocol".
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence

from xacct_sandbox.redshift.sql.errors import RedshiftError

PROTOCOL_3 = 196608
SSL_REQUEST = 80877103
GSS_REQUEST = 80877104
CANCEL_REQUEST = 80877102

PARSE_COMPLETE = b"1\x00\x00\x00\x04"
BIND_COMPLETE = b"2\x00\x00\x00\x04"
CLOSE_COMPLETE = b"3\x00\x00\x00\x04"
NO_DATA = b"n\x00\x00\x00\x04"
NO_PARAMETERS = b"t\x00\x00\x00\x06\x00\x00"
SYNC = b"S\x00\x00\x00\x04"
COPY_DONE = b"c\x00\x00\x00\x04"
NEGOTIATE_PROTOCOL_VERSION = b"v\x00\x00\x00\x0c\x00\x03\x00\x00\x00\x00\x00\x00"
"""Protocol 3.0, no protocol options."""

_HEADER = struct.Struct(">cI")
_INT32 = struct.Struct(">I")
unpack_int32 = _INT32.unpack_from


def message(kind: bytes, body: bytes = b"") -> bytes:
    """One framed message."""
    return _HEADER.pack(kind, len(body) + 4) + body


def copy_data_header(size: int) -> bytes:
    """The header of a CopyData message whose ``size`` bytes follow."""
    return _HEADER.pack(b"d", size + 4)


def query(sql: str) -> bytes:
    return message(b"Q", sql.encode() + b"\x00")


def command_complete(tag: str) -> bytes:
    return message(b"C", tag.encode() + b"\x00")


def error_response(error: RedshiftError) -> bytes:
    return fields_message(b"E", error.fields())


def notice(text: str, *, severity: str = "INFO", sqlstate: str = "00000") -> bytes:
    return fields_message(b"N", {"S": severity, "V": severity, "C": sqlstate, "M": text})


def fields_message(kind: bytes, fields: Mapping[str, str]) -> bytes:
    """An ErrorResponse (E) or NoticeResponse (N)."""
    body = b"".join(
        key.encode() + value.replace("\x00", "").encode() + b"\x00" for key, value in fields.items()
    )
    return message(kind, body + b"\x00")


def parse_fields(body: bytes) -> dict[str, str]:
    """The fields of an ErrorResponse or NoticeResponse body."""
    return {
        part[:1].decode(): part[1:].decode("utf-8", "replace")
        for part in body.split(b"\x00")
        if part
    }


def startup(parameters: Mapping[str, str]) -> bytes:
    body = _INT32.pack(PROTOCOL_3)
    for key, value in parameters.items():
        body += key.encode() + b"\x00" + value.encode() + b"\x00"
    body += b"\x00"
    return _INT32.pack(len(body) + 4) + body


def parse_startup(body: bytes) -> dict[str, str]:
    """Parameters of a startup packet's body (after its length and protocol number)."""
    parts = body.split(b"\x00")
    pairs: dict[str, str] = {}
    for key, value in zip(parts[::2], parts[1::2], strict=False):
        if not key:
            break
        pairs[key.decode("utf-8", "replace")] = value.decode("utf-8", "replace")
    return pairs


def cancel_request(key_data: bytes) -> bytes:
    return _INT32.pack(8 + len(key_data)) + _INT32.pack(CANCEL_REQUEST) + key_data


def parse_parse(body: bytes) -> tuple[bytes, str, bytes]:
    """The statement name, SQL text and parameter types (raw) in the body of a Parse."""
    name, _, rest = body.partition(b"\x00")
    sql, _, types = rest.partition(b"\x00")
    return name, sql.decode("utf-8"), types


def parse_message(name: bytes, sql: str, types: bytes) -> bytes:
    return message(b"P", name + b"\x00" + sql.encode() + b"\x00" + types)


def parse_bind(body: bytes) -> tuple[bytes, bytes, int]:
    """The portal, the statement and the number of parameter values in the body of a Bind."""
    portal, _, rest = body.partition(b"\x00")
    statement, _, rest = rest.partition(b"\x00")
    formats = struct.unpack_from(">H", rest)[0]
    return portal, statement, struct.unpack_from(">H", rest, 2 + 2 * formats)[0]


def row_description_names(body: bytes) -> list[str]:
    names, position = [], 2
    for _ in range(struct.unpack_from(">H", body)[0]):
        end = body.index(b"\x00", position)
        names.append(body[position:end].decode())
        position = end + 19
    return names


def row_description_types(body: bytes) -> list[tuple[str, int, int]]:
    """The name, type OID and type modifier of every column of a RowDescription."""
    columns, position = [], 2
    for _ in range(struct.unpack_from(">H", body)[0]):
        end = body.index(b"\x00", position)
        oid, _, typmod = struct.unpack_from(">Ihi", body, end + 7)
        columns.append((body[position:end].decode(), oid, typmod))
        position = end + 19
    return columns


def replace_type_oids(body: bytes, replacements: Mapping[int, int]) -> bytes | None:
    """The body of a RowDescription with type OIDs replaced; None if none of them occurs."""
    position = 2
    changed: bytearray | None = None
    for _ in range(struct.unpack_from(">H", body)[0]):
        end = body.index(b"\x00", position)
        type_oid = end + 7
        replacement = replacements.get(_INT32.unpack_from(body, type_oid)[0])
        if replacement is not None:
            if changed is None:
                changed = bytearray(body)
            _INT32.pack_into(changed, type_oid, replacement)
        position = end + 19
    return None if changed is None else bytes(changed)


def data_row_values(body: bytes) -> list[str | None]:
    """The text values of a DataRow body."""
    values: list[str | None] = []
    position = 2
    for _ in range(struct.unpack_from(">H", body)[0]):
        size = struct.unpack_from(">i", body, position)[0]
        position += 4
        if size < 0:
            values.append(None)
            continue
        values.append(body[position : position + size].decode())
        position += size
    return values


def data_row(values: Sequence[str | None]) -> bytes:
    body = struct.pack(">H", len(values))
    for value in values:
        if value is None:
            body += struct.pack(">i", -1)
        else:
            encoded = value.encode()
            body += struct.pack(">i", len(encoded)) + encoded
    return message(b"D", body)
