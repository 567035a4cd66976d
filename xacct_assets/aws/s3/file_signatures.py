"""Names the format of a file that is no CSV, from its first bytes.

Without it, such a file is only "not UTF-8", or has a header of control characters. Signatures that
could begin a CSV header (``PAR1``) count only if control characters follow.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

#: First bytes of a file that are needed.
SIGNATURE_BYTES = 4096

_UNPACK = "upload the file inside it, as it is or compressed with gzip and named *.csv.gz"
_AS_CSV = "export it as CSV"
_AS_UTF8 = "convert it to UTF-8"
_CONTROL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]")


@dataclass(frozen=True)
class _Signature:
    start: bytes
    name: str
    fix: str
    is_text: bool = False

    def fits(self, head: bytes) -> bool:
        start = head[: len(self.start)]
        if (start.lower() if start.startswith(b"<") else start) != self.start:
            return False
        return not self.is_text or _CONTROL.search(head, len(self.start)) is not None


# From the formats' specifications. gzip and marked UTF-16 are found when the records are counted.
_SIGNATURES = (
    _Signature(b"PK\x03\x04", "a zip archive", _UNPACK),
    _Signature(b"PK\x05\x06", "an empty zip archive", _UNPACK),
    _Signature(b"BZh", "compressed with bzip2", _UNPACK, is_text=True),
    _Signature(b"\xfd7zXZ\x00", "compressed with xz", _UNPACK),
    _Signature(b"\x28\xb5\x2f\xfd", "compressed with Zstandard", _UNPACK),
    _Signature(b"\x04\x22\x4d\x18", "compressed with LZ4", _UNPACK),
    _Signature(b"\xff\x06\x00\x00sNaPpY", "compressed with Snappy", _UNPACK),
    _Signature(b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", _UNPACK),
    _Signature(b"Rar!\x1a\x07", "a RAR archive", _UNPACK),
    _Signature(b"PAR1", "Parquet", _AS_CSV, is_text=True),
    _Signature(b"ORC", "ORC", _AS_CSV, is_text=True),
    _Signature(b"Obj\x01", "Avro", _AS_CSV),
    _Signature(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an Excel workbook (or a Word file)", _AS_CSV),
    _Signature(b"SQLite format 3\x00", "an SQLite database", _AS_CSV),
    _Signature(b"%PDF-", "a PDF", _AS_CSV),
    _Signature(b"<?xml", "XML", _AS_CSV),
    _Signature(b"<!doctype html", "an HTML page", _AS_CSV),
    _Signature(b"<html", "an HTML page", _AS_CSV),
    _Signature(b"\xff\xfe\x00\x00", "UTF-32", _AS_UTF8),
    _Signature(b"\x00\x00\xfe\xff", "UTF-32", _AS_UTF8),
)
_EXCEL = _Signature(b"PK\x03\x04", "an Excel workbook", _AS_CSV)
# A workbook's first entries lie in these places (ECMA-376, Open Packaging Conventions).
_EXCEL_ENTRIES = (b"[Content_Types].xml", b"_rels/.rels", b"xl/")
_TAR_MAGIC = slice(257, 262)
_UTF16_BYTES = 64


def foreign_format(head: bytes, encoding: str = "utf-8") -> str | None:
    """What a file is instead of CSV, and the fix; None if it may be CSV.

    Args:
        head: its first `SIGNATURE_BYTES` bytes, or all of them.
        encoding: that the file must have.
    """
    found = next((signature for signature in _SIGNATURES if signature.fits(head)), None)
    if found is not None and found.start == _EXCEL.start:
        if any(entry in head for entry in _EXCEL_ENTRIES):
            found = _EXCEL
    elif head[_TAR_MAGIC] == b"ustar":
        found = _Signature(b"", "a tar archive", _UNPACK)
    elif found is None and encoding != "utf-16" and _is_unmarked_utf16(head):
        found = _Signature(b"", "UTF-16 without a byte order mark", _AS_UTF8)
    if found is None:
        return None
    expected = encoding.upper() if found.fix == _AS_UTF8 else "CSV"
    return f"it is {found.name}, not {expected}: {found.fix}"


def _is_unmarked_utf16(head: bytes) -> bool:
    """Whether every second byte is NUL, as in UTF-16 of ASCII text."""
    start = head[:_UTF16_BYTES]
    start = start[: len(start) // 2 * 2]
    nul, other = (start[0::2], start[1::2]) if start[:1] == b"\x00" else (start[1::2], start[0::2])
    return len(start) >= 4 and not any(nul) and all(other)
