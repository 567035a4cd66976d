"""String types of a feed's file: names, prefixes, dates. Each refuses what cannot be used."""

import re
from datetime import date
from typing import Annotated, Any
from zoneinfo import available_timezones

from pydantic import AfterValidator, BeforeValidator


def feed_stack_name(feed: str, suffix: str) -> str:
    """Name of a feed's CloudFormation stack (stack names allow no underscore)."""
    return f"xacct-feed-{feed.replace('_', '-')}-{suffix}"


def _matching(pattern: str, expected: str) -> AfterValidator:
    """A validator: the whole value must match. ``expected`` completes "'x' is not …"."""
    compiled = re.compile(pattern)

    def validate(value: str) -> str:
        if not compiled.fullmatch(value):
            raise ValueError(f"{value!r} is not {expected}")
        return value

    return AfterValidator(validate)


def _validate_prefix(value: str) -> str:
    # Tools that normalise paths would resolve "." and "..", possibly to outside of the prefix.
    parts = value.split("/")
    if any(part in ("", ".", "..") for part in parts) or not all(
        re.fullmatch(r"[A-Za-z0-9_.=-]+", part) for part in parts
    ):
        raise ValueError(
            f"{value!r} is not a prefix: give folder names of letters, digits and _ . = - joined "
            "by single slashes, with no slash at either end"
        )
    return value


def _validate_file_pattern(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_.*?\[\]!-]+", value) or "**" in value:
        raise ValueError(
            f"{value!r} is not a file pattern: it is matched against the file's name alone, so "
            "give something like *.csv, without a slash or **"
        )
    return value


def _validate_delimiter(value: str) -> str:
    # Spark, UNLOAD and the row counter all accept one ASCII character.
    if len(value) != 1 or not value.isascii() or value.isalnum() or value in '\n\r\0"\\':
        raise ValueError(f"{value!r} is not a delimiter: give one ASCII character, e.g. ',' or ';'")
    return value


def _date_as_text(value: Any) -> Any:
    # YAML parses an unquoted 2026-01-01 as a date.
    return value.isoformat() if isinstance(value, date) else value


def _validate_date(value: str) -> str:
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", value):
        raise ValueError(f"{value!r} is not a date: write it as 2026-01-31")
    try:
        date.fromisoformat(value)
    except ValueError as error:
        raise ValueError(f"{value!r} is not a date in the calendar: {error}") from None
    return value


def _validate_timezone(value: str) -> str:
    # Listing them reads a folder of files.
    if value != "UTC" and value not in available_timezones():
        raise ValueError(f"{value!r} is not a time zone: use a name such as UTC or Europe/Berlin")
    return value


def _only_text(value: Any) -> Any:
    # YAML makes other values of NULL, yes and 0.
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is not a text: put it in quotes, e.g. 'N/A'")
    return value


Identifier = Annotated[
    str,
    _matching(
        r"[a-z_][a-z0-9_]{0,126}",
        "an identifier: give lower-case letters, digits and _ (Redshift folds names to lower "
        "case; at most 127 characters)",
    ),
]
QualifiedName = Annotated[
    str,
    _matching(
        r"[a-z_][a-z0-9_]{0,126}\.[a-z_][a-z0-9_]{0,126}",
        "a qualified name: give schema.name in lower case, e.g. public.products",
    ),
]
FeedName = Annotated[
    str,
    _matching(
        r"(?=.{1,40}$)[a-z][a-z0-9]*(_[a-z0-9]+)*",
        "a feed name: give up to 40 lower-case letters, digits and single _, starting with a "
        "letter (it names assets, stacks, crawlers and jobs)",
    ),
]
BucketName = Annotated[
    str,
    _matching(
        r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]",
        "an S3 bucket name: give 3 to 63 lower-case letters, digits, dots and hyphens",
    ),
]
ResourceName = Annotated[
    str,
    _matching(
        r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}",
        "a Glue resource name: give letters, digits, _ and - only",
    ),
]
QueueName = Annotated[
    str,
    _matching(
        r"[A-Za-z0-9_-]{1,80}",
        "the name of a standard SQS queue: give letters, digits, _ and - (S3 notifies no FIFO "
        "queue)",
    ),
]
FileName = Annotated[
    str,
    _matching(r"[A-Za-z0-9_.-]{1,128}", "a file name: give letters, digits, _ . and -"),
]
QuotedText = Annotated[str, BeforeValidator(_only_text)]
OptionalText = Annotated[
    str | None, BeforeValidator(lambda value: value if value is None else _only_text(value))
]
Quote = Annotated[str, _matching(r"[\"']", "a quote: give '\"' or \"'\"")]
Delimiter = Annotated[str, AfterValidator(_validate_delimiter)]
Prefix = Annotated[str, AfterValidator(_validate_prefix)]
FilePattern = Annotated[str, AfterValidator(_validate_file_pattern)]
IsoDate = Annotated[str, BeforeValidator(_date_as_text), AfterValidator(_validate_date)]
TimeZone = Annotated[str, AfterValidator(_validate_timezone)]
