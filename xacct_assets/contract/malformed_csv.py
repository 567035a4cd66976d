"""Problems of a CSV file as a whole. The messages are for the user: the reason, and the fix."""

from __future__ import annotations

from xacct_assets.contract.csv_dialect import MAX_FIELDS

UTF8_BOM = b"\xef\xbb\xbf"
OTHER_MARKS = (b"\xff\xfe", b"\xfe\xff")


class MalformedCsv(Exception):
    """The file cannot be read as the feed's CSV. The message is for the user."""


def never_closed(open_quote: int | None) -> MalformedCsv:
    """The problem of a file that ends inside a quoted field.

    Args:
        open_quote: offset of its quote.
    """
    where = "" if open_quote is None else f" that is open at byte {open_quote:,}"
    return MalformedCsv(
        f"the quoted field{where} is never closed: somewhere a quote is missing, or a quote inside "
        "a field is not doubled"
    )


def check_end(last: bytes) -> None:
    """Check the end of a file.

    Args:
        last: the text after its last line end.

    Raises:
        MalformedCsv: the line is cut, or Spark would lose something of it.
    """
    if last.endswith(b"\r"):
        raise MalformedCsv(
            "it is cut off between the carriage return and the line feed of its last line: "
            "upload it again"
        )
    if last.endswith(b"\f"):
        raise MalformedCsv("its last character is a form feed without a line end: remove it")


def without_mark(data: bytes) -> bytes:
    """The first bytes of a file without a byte order mark."""
    if data.startswith(b"\x1f\x8b"):
        raise MalformedCsv(
            "its content is gzip but its name does not end in .gz, so readers would take the "
            "compressed bytes for text: rename it to *.csv.gz"
        )
    if data.startswith(OTHER_MARKS):
        raise MalformedCsv(
            "it is UTF-16, not UTF-8: convert it to UTF-8, or set the feed's source.csv.encoding: "
            "utf-16"
        )
    return data.removeprefix(UTF8_BOM)


def check_encoding(chunk: bytes, offset: int) -> None:
    """Check that whole lines of a file, at this offset, are UTF-8.

    Raises:
        MalformedCsv: with the place of the first byte that is not.
    """
    if chunk.isascii():
        return
    try:
        chunk.decode("utf-8")
    except UnicodeDecodeError as error:
        raise MalformedCsv(
            f"it is not UTF-8: byte {offset + error.start:,} is 0x{chunk[error.start]:02x} "
            f"({error.reason}); convert the file to UTF-8, or set the feed's source.csv.encoding "
            "to that of the file, e.g. windows-1252"
        ) from None


def check_preamble(line: bytes, offset: int, quote: bytes) -> None:
    """Check a line of the preamble, without its line end.

    Raises:
        MalformedCsv: it has an odd number of quotes, so that other readers read on behind its end.
    """
    if line.count(quote) % 2:
        raise MalformedCsv(
            f"the line at byte {offset:,} is one of the preamble (source.csv.preamble_lines) and "
            f"has a quote that is not closed ({quote.decode()}): remove the quote"
        )


def check_first_line_end(text: bytes, offset: int) -> None:
    """Check how the first line ends.

    Args:
        text: the beginning of the file, with a line end.
        offset: of the text in the file.

    Raises:
        MalformedCsv: with a carriage return alone.
    """
    newline, carriage = text.find(b"\n"), text.find(b"\r")
    if -1 < carriage < newline - 1:
        raise lone_carriage_return(offset + carriage)


def lone_carriage_return(offset: int) -> MalformedCsv:
    """The problem of a file whose first line ends with one, at this offset."""
    return MalformedCsv(
        f"its first line end, at byte {offset:,}, is a carriage return alone: write line ends as "
        "\\n or \\r\\n"
    )


def too_many_fields(offset: int) -> MalformedCsv:
    """The problem of a file with such a record behind this offset."""
    return MalformedCsv(
        f"a record after byte {offset:,} has more than {MAX_FIELDS:,} fields: line ends are "
        "missing, or this is not a CSV file"
    )
