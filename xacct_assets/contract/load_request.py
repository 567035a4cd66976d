"""The load request: what the orchestrator asks of one run of the Glue job.

It travels as the extras of a Dagster Pipes context.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import date
from typing import Any

from xacct_assets.contract import CONTRACT_VERSION
from xacct_assets.contract.column_types import ColumnType, TrailingBlanks
from xacct_assets.contract.csv_dialect import CsvDialect
from xacct_assets.contract.days import PARTITION_COLUMN
from xacct_assets.contract.file_patterns import FilePatterns
from xacct_assets.contract.headers import FileColumns

#: Job argument that identifies the load, without the leading dashes.
LOAD_ID_ARGUMENT = "load_id"

#: Stands for a value of a sensitive column where rows are shown.
MASK = "***"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_TABLE = re.compile(r"[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)?")
_COLUMN = re.compile(r"[a-z_][a-z0-9_]*")
_WAREHOUSE_URL = re.compile(r"jdbc:redshift:iam://[^/?@\s]+:\d+/\w+")
_S3_URI = re.compile(r"s3://([^/]+)/(.*)", re.DOTALL)


class InvalidLoadRequest(ValueError):
    """The request cannot be used: the field, the reason, the fix. Nothing was touched."""


@dataclass(frozen=True)
class FeedColumn:
    """A column of the feed; an empty unquoted field is NULL and needs ``nullable``.

    Attributes:
        header: its name in the files; empty if that is the name.
        format: how the files write it (`value_formats`); None for the usual way.
        null_values: texts that mean NULL, too.
        trim: whether blanks at both ends are dropped.
        default: what is loaded for NULL.
        sensitive: whether its values are shown nowhere.
        optional: whether a file may lack it.
        former_headers: its names in older files.
    """

    name: str
    type: ColumnType
    nullable: bool
    header: str = ""
    format: str | None = None
    null_values: tuple[str, ...] = ()
    trim: bool = False
    default: str | None = None
    sensitive: bool = False
    optional: bool = False
    former_headers: tuple[str, ...] = ()

    @property
    def header_name(self) -> str:
        """Its name in the files."""
        return self.header or self.name

    def to_json(self) -> dict[str, Any]:
        """The column as plain data, without what is not set."""
        unset = FeedColumn(self.name, self.type, nullable=True)
        data: dict[str, Any] = {
            "name": self.name,
            "type": str(self.type),
            "nullable": self.nullable,
        }
        for name in [field.name for field in fields(self)][len(data) :]:
            value = getattr(self, name)
            if value != getattr(unset, name):
                data[name] = list(value) if isinstance(value, tuple) else value
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> FeedColumn:
        """Read what `to_json` made."""
        lists = {name: tuple(data.get(name, ())) for name in ("null_values", "former_headers")}
        return cls(**{**data, "type": ColumnType.parse(data["type"]), **lists})


@dataclass(frozen=True)
class RequestedDay:
    """A day to load.

    Attributes:
        day: the day.
        values: of its catalog partition.
        rows: rows counted in its raw files; None if nobody counted. A crawler makes no partition
            for files without rows: such a day needs none.
        version: fingerprint of the raw files that were counted; None if nobody looked.
    """

    day: date
    values: tuple[str, ...]
    rows: int | None = None
    version: str | None = None


@dataclass(frozen=True)
class LoadRequest:
    """One load. Every name in it is checked, because some end up in SQL without parameters.

    Attributes:
        feed: name of the feed.
        load_id: identifies this load; the same for every attempt at it.
        days: which days to replace.
        catalog_database, catalog_table: where the crawler described the files.
        dialect, patterns: how the files are written, and which files of a day are data.
        columns: the feed's columns in warehouse order.
        key: columns that identify a row within a day.
        trailing_blanks: what becomes of texts that are too long by trailing blanks only.
        staging_table, load_audit_table: ``schema.table`` in Redshift.
        connection: name of the Glue connection.
        database: Redshift database that the connection must lead to.
        tmp_dir: ``s3://…/`` for temporary files of this load.
        copy_role: ARN of the role that COPY reads the temporary files with.
        rejects: ``s3://…/`` that holds the rejects of all days of the feed.
        header: of every file that is not empty, if the day's files are still those of its version;
            no names if the files differ, or if nobody looked.
        relaxed_header: whether names in headers are compared without case and outer blanks.
        ignores_other_columns: whether a file may have columns that are not the feed's.
        former_columns: headers of such columns that older files may have in any case.
        splittable_files: URIs of large files that may be read in parts: they are not compressed,
            and the count has proved that no line break is inside quotes.
        warehouse_url: of JDBC, for a login by IAM as the job's role; empty if the connection has
            the login.

    Raises:
        InvalidLoadRequest: naming the field that cannot be used.
    """

    feed: str
    load_id: str
    days: tuple[RequestedDay, ...]
    catalog_database: str
    catalog_table: str
    dialect: CsvDialect
    patterns: tuple[str, ...]
    columns: tuple[FeedColumn, ...]
    key: tuple[str, ...]
    trailing_blanks: TrailingBlanks
    staging_table: str
    load_audit_table: str
    connection: str
    database: str
    tmp_dir: str
    copy_role: str
    rejects: str
    header: tuple[str, ...] = ()
    splittable_files: tuple[str, ...] = ()
    relaxed_header: bool = False
    ignores_other_columns: bool = False
    former_columns: tuple[str, ...] = ()
    warehouse_url: str = ""

    def __post_init__(self) -> None:
        for field, text in (("feed", self.feed), ("load_id", self.load_id)):
            _require(_NAME.fullmatch(text), field, text, f"must match {_NAME.pattern}")
        for field, text in (
            ("staging table", self.staging_table),
            ("load_audit", self.load_audit_table),
        ):
            _require(_TABLE.fullmatch(text), field, text, "must be schema.table in lower case")
        for field, text in (("tmp_dir", self.tmp_dir), ("rejects", self.rejects)):
            is_prefix = _S3_URI.fullmatch(text) and text.endswith("/")
            _require(is_prefix, field, text, "must be s3://bucket/prefix/")
        is_url = not self.warehouse_url or _WAREHOUSE_URL.match(self.warehouse_url)
        _require(is_url, "warehouse_url", self.warehouse_url, "must be jdbc:redshift:iam://…")
        days = [str(item.day) for item in self.days]
        _require(days, "days", days, "must name at least one day")
        _require(len(set(days)) == len(days), "days", days, "must not repeat")
        FilePatterns(self.patterns)
        self._check_splittable_files()
        self._check_columns()

    def _check_splittable_files(self) -> None:
        files, field = self.splittable_files, "splittable_files"
        _require(len(set(files)) == len(files), field, list(files), "must not repeat")
        for uri in files:
            found = _S3_URI.fullmatch(uri)
            is_file = found and found[2] and not found[2].endswith("/")
            _require(is_file, field, uri, "must be s3://bucket/key of a file")
            _require(not uri.endswith(".gz"), field, uri, "must not be compressed")

    def _check_columns(self) -> None:
        names = [column.name for column in self.columns]
        _require(PARTITION_COLUMN not in names, "columns", names, f"{PARTITION_COLUMN} is reserved")
        _require(names and len(set(names)) == len(names), "columns", names, "must not repeat")
        for name in names:
            _require(_COLUMN.fullmatch(name), "column", name, "must be lower case")
        if self.header:
            is_header = self.file_columns.problem(self.header, self.dialect) is None
            _require(is_header, "header", self.header, "must be the feed's columns in any order")
        by_name = {column.name: column for column in self.columns}
        for name in self.key:
            _require(name in by_name, "key", name, "must be a column of the feed")
            _require(not by_name[name].nullable, "key", name, "must be a column that is not null")

    @property
    def column_names(self) -> list[str]:
        """Names of the columns, in warehouse order."""
        return [column.name for column in self.columns]

    @property
    def file_columns(self) -> FileColumns:
        """Which columns the files have."""
        return FileColumns(
            names=tuple(column.header_name for column in self.columns),
            optional=tuple(column.header_name for column in self.columns if column.optional),
            is_relaxed=self.relaxed_header,
            ignores_others=self.ignores_other_columns,
            former=tuple(
                (old, column.header_name)
                for column in self.columns
                for old in column.former_headers
            ),
            ignored=self.former_columns,
        )

    @property
    def null_marker(self) -> str:
        """Stands for NULL in CSV text. It contains the load's id, so that no value equals it."""
        return f"@NULL-{self.load_id}@"

    def to_json(self) -> dict[str, Any]:
        """The request as plain data, with the version of this contract."""
        return {
            "contract_version": CONTRACT_VERSION,
            "feed": self.feed,
            "load_id": self.load_id,
            "days": [
                {
                    "day": item.day.isoformat(),
                    "values": list(item.values),
                    "rows": item.rows,
                    **({} if item.version is None else {"version": item.version}),
                }
                for item in self.days
            ],
            "catalog": {"database": self.catalog_database, "table": self.catalog_table},
            "source": {
                "delimiter": self.dialect.delimiter,
                "quote": self.dialect.quote,
                "escape": self.dialect.escape,
                "encoding": self.dialect.encoding,
                "pattern": list(self.patterns),
                **({} if self.dialect.header_row else {"header_row": False}),
                **_if_set("preamble_lines", self.dialect.preamble_lines),
                **_if_set("relaxed_header", self.relaxed_header),
                **_if_set("ignores_other_columns", self.ignores_other_columns),
                **_if_set("former_columns", list(self.former_columns)),
            },
            "columns": [column.to_json() for column in self.columns],
            "key": list(self.key),
            "trailing_blanks": self.trailing_blanks.value,
            "staging": {"table": self.staging_table, "load_audit": self.load_audit_table},
            "connection": self.connection,
            "database": self.database,
            "tmp_dir": self.tmp_dir,
            "copy_role": self.copy_role,
            "rejects": self.rejects,
            "header": list(self.header),
            "splittable_files": list(self.splittable_files),
            **_if_set("warehouse_url", self.warehouse_url),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> LoadRequest:
        """Read what `to_json` made, on the other side.

        Raises:
            InvalidLoadRequest: the other side has another version of this contract, or a field is
                missing or cannot be used.
        """
        version = data.get("contract_version")
        if version != CONTRACT_VERSION:
            raise InvalidLoadRequest(
                f"the load request has contract version {version}, the zip of this Glue job has "
                f"version {CONTRACT_VERSION}: deploy them together with `xacct deploy`"
            )
        try:
            return cls._parse(data)
        except InvalidLoadRequest:
            raise
        except KeyError as missing:
            raise InvalidLoadRequest(
                f"the load request has no {missing}; job script and orchestrator are of different "
                "versions: deploy them together with `xacct deploy`"
            ) from missing
        except (TypeError, ValueError, AttributeError) as problem:
            raise InvalidLoadRequest(f"the load request cannot be read: {problem}") from problem

    @classmethod
    def _parse(cls, data: Mapping[str, Any]) -> LoadRequest:
        source = data["source"]
        return cls(
            feed=data["feed"],
            load_id=data["load_id"],
            days=tuple(
                RequestedDay(
                    date.fromisoformat(item["day"]),
                    tuple(item["values"]),
                    item.get("rows"),
                    item.get("version"),
                )
                for item in data["days"]
            ),
            catalog_database=data["catalog"]["database"],
            catalog_table=data["catalog"]["table"],
            dialect=CsvDialect(
                *(source["delimiter"], source["quote"], source["escape"], source["encoding"]),
                *(source.get("header_row", True), source.get("preamble_lines", 0)),
            ),
            patterns=tuple(source["pattern"]),
            columns=tuple(FeedColumn.from_json(item) for item in data["columns"]),
            key=tuple(data["key"]),
            trailing_blanks=TrailingBlanks(data["trailing_blanks"]),
            staging_table=data["staging"]["table"],
            load_audit_table=data["staging"]["load_audit"],
            connection=data["connection"],
            database=data["database"],
            tmp_dir=data["tmp_dir"],
            copy_role=data["copy_role"],
            rejects=data["rejects"],
            header=tuple(data.get("header", ())),
            splittable_files=tuple(data.get("splittable_files", ())),
            relaxed_header=source.get("relaxed_header", False),
            ignores_other_columns=source.get("ignores_other_columns", False),
            former_columns=tuple(source.get("former_columns", ())),
            warehouse_url=data.get("warehouse_url", ""),
        )


def _if_set(name: str, value: int | bool | str | list[str]) -> dict[str, Any]:
    return {name: value} if value else {}


def _require(condition: object, field: str, value: object, rule: str) -> None:
    if not condition:
        raise InvalidLoadRequest(f"{field} {value!r}: {rule}")
