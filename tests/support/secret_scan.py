"""Looks for a sandbox's secrets in everything that it, and the Dagster instances on it, wrote.

A secret is looked for as it is and as logs, JSON, URLs and SQL literals write it. Archives, SQLite
databases and the warehouse's history of statements are read as what they are, not as bytes only.
Each secret has homes: the files whose business it is to keep it.
"""

from __future__ import annotations

import contextlib
import fnmatch
import gzip
import itertools
import json
import re
import socket
import sqlite3
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus, unquote, urlsplit

import dagster as dg
import pytest

from xacct_sandbox.redshift.api.control import DATABASE
from xacct_sandbox.redshift.api.wire_client import connect
from xacct_sandbox.redshift.storage.postgres import SUPERUSER

if TYPE_CHECKING:
    from tests.support.sandbox import RunningSandbox

CHUNK = 8 * 1024 * 1024
# Less is found by chance, and protects nothing: tests name some of their secrets "x".
SHORTEST = 8
# Keys and tokens consist of these; text is cut into such runs, so that thousands of keys are looked
# for in the time of one.
RUN = re.compile(rb"[A-Za-z0-9+/=%_-]{16,}")
HEAD = 12
STATE = "ministack/state/"

Piece = tuple[str, bytes]
"""Where something was written, and a piece of it."""


@dataclass(frozen=True)
class Secret:
    """A value that may stand in its homes only (patterns of places)."""

    name: str
    value: str = field(repr=False)
    homes: tuple[str, ...] = ()


@dataclass(frozen=True, order=True)
class Leak:
    """Which secret stands where it must not; never its value."""

    place: str
    secret: str
    offset: int = field(compare=False, default=0)

    def __str__(self) -> str:
        return f"{self.place}, near byte {self.offset}: {self.secret}"


# --- what is looked for ----------------------------------------------------------------------


def secrets_of(home: Path, canaries: Iterable[str] = ()) -> list[Secret]:
    """Every secret that the sandbox in this folder ever gave out, and those that tests planted."""
    return [
        secret
        for secret in (
            *_files_of_keys(home),
            *_secrets_manager(_state(home, "secretsmanager")),
            *_sessions(_state(home, "xacct-sts-sessions")),
            *(
                Secret(f"canary {number}", value, (f"{STATE}secretsmanager.json",))
                for number, value in enumerate(canaries, 1)
            ),
        )
        if len(secret.value) >= SHORTEST
    ]


def _files_of_keys(home: Path) -> Iterator[Secret]:
    credentials = home / "aws" / "credentials"
    text = credentials.read_text() if credentials.exists() else ""
    for number, value in enumerate(re.findall(r"aws_secret_access_key = (\S+)", text), 1):
        yield Secret(f"access key {number}", value, ("aws/credentials", f"{STATE}iam.json"))
    token = home / "token"
    if token.exists():
        yield Secret("the daemon's token", token.read_text().strip(), ("token",))
    key = home / "tls" / "server.key"
    if key.exists():
        yield Secret("the server's TLS key", key.read_text().split("\n")[2], ("tls/server.key",))


def _secrets_manager(state: Any) -> Iterator[Secret]:
    # The emulator's own record of a stack holds what its template was resolved to.
    homes = (f"{STATE}secretsmanager.json", f"{STATE}cloudformation.json")
    for text in _strings_of(state, "SecretString"):
        for value in _passwords(text):
            yield Secret("a password of Secrets Manager", value, homes)


def _passwords(text: str) -> Iterator[str]:
    with contextlib.suppress(ValueError):
        document = json.loads(text)
        if isinstance(document, dict) and "password" in document:
            yield str(document["password"])
        return
    with contextlib.suppress(ValueError):
        if password := urlsplit(text).password:
            yield password
            yield unquote(password)


def _sessions(state: Any) -> Iterator[Secret]:
    # The last is asked for keys, and prints them to be exported.
    homes = (
        f"{STATE}xacct-sts-sessions.json",
        f"{STATE}sts.json",
        "what xacct_sandbox.cli env --as * printed",
    )
    for name, what in (("SecretAccessKey", "key"), ("SessionToken", "token")):
        for value in _strings_of(state, name):
            yield Secret(f"the {what} of a session", value, homes)


def _state(home: Path, name: str) -> Any:
    path = home / STATE / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else {}


def _strings_of(value: Any, name: str) -> Iterator[str]:
    """Every text under this name, however deep."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == name and isinstance(inner, str):
                yield inner
            else:
                yield from _strings_of(inner, name)
    elif isinstance(value, list):
        for inner in value:
            yield from _strings_of(inner, name)


# --- where it is looked for ------------------------------------------------------------------


def written_by(sandbox: RunningSandbox) -> Iterator[Piece]:
    """What can be asked for while it runs: statements, command lines, runs and their events."""
    yield from _statements(sandbox)
    yield from _command_lines()
    for command, text in sandbox.outputs:
        yield f"what {command} printed", text.encode()
    for instance in sandbox.instances:
        yield from events_of(instance)


def files_below(folder: Path) -> Iterator[Piece]:
    """Every file, archives and databases as what they are."""
    for path in sorted(folder.rglob("*")):
        place = path.relative_to(folder).as_posix()
        # Deleted meanwhile, or none that can be read (a socket, a pipe).
        with contextlib.suppress(FileNotFoundError):
            if path.is_file() and not path.is_symlink():
                yield from _file(path, place)


def events_of(instance: dg.DagsterInstance) -> Iterator[Piece]:
    """Runs with their configuration and tags, and every entry of their event logs."""
    for run in instance.get_runs():
        yield f"Dagster run {run.run_id}", dg.serialize_value(run).encode()
        for entry in instance.all_logs(run.run_id):
            yield f"event log of run {run.run_id}", dg.serialize_value(entry).encode()


def _statements(sandbox: RunningSandbox) -> Iterator[Piece]:
    config = sandbox.config
    if not _answers(config.host, config.redshift_port):
        return  # a test stopped it; its files are scanned all the same
    token = config.token_path.read_text().strip()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(config.ca_bundle))
        connection = connect(config, database=DATABASE, user=SUPERUSER, password=token)
    with contextlib.closing(connection):
        cursor = connection.cursor()
        cursor.execute("SELECT query_text, error_message FROM sys_query_history")
        for row in cursor.fetchall():
            yield "sys_query_history", " ".join(filter(None, row)).encode()


def _answers(host: str, port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((host, port)) == 0


def _command_lines() -> Iterator[Piece]:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            yield f"command line of process {path.parent.name}", path.read_bytes()


def _file(path: Path, place: str) -> Iterator[Piece]:
    with path.open("rb") as file:
        head = file.read(16)
    if head.startswith(b"SQLite format 3\0"):
        yield from _database(path, place)
        return
    if head.startswith(b"PK\3\4") and zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            for member in archive.namelist():
                yield f"{place}!{member}", archive.read(member)
        return
    if head.startswith(b"\x1f\x8b"):
        # A gzip that is broken is one on purpose: what can be read of it is.
        with contextlib.suppress(EOFError, OSError, zlib.error), gzip.open(path) as text:
            yield from ((place, piece) for piece in _pieces(text))
        return
    with path.open("rb") as file:
        yield from ((place, piece) for piece in _pieces(file))


def _pieces(file: Any) -> Iterator[bytes]:
    """A file in pieces that overlap, so that nothing is cut where nobody looks."""
    kept = b""
    while piece := file.read(CHUNK):
        yield kept + piece
        kept = piece[-4096:]


def _database(path: Path, place: str) -> Iterator[Piece]:
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.text_factory = bytes
        names = "SELECT name FROM sqlite_master WHERE type = 'table'"
        for (name,) in database.execute(names).fetchall():
            table = name.decode()
            for row in database.execute(f'SELECT * FROM "{table}"'):
                cells = (c if isinstance(c, bytes) else str(c).encode() for c in row)
                yield f"{place}!{table}", b"\n".join(cells)


# --- looking ---------------------------------------------------------------------------------


def leaks(pieces: Iterable[Piece], secrets: Sequence[Secret]) -> list[Leak]:
    """Where secrets stand that are not at home there; each secret once a place."""
    heads: dict[bytes, list[tuple[bytes, Secret]]] = {}
    odd: list[tuple[bytes, Secret]] = []
    for secret in secrets:
        for form in _forms(secret.value):
            if RUN.fullmatch(form):
                heads.setdefault(form[:HEAD], []).append((form, secret))
            else:
                odd.append((form, secret))
    found: dict[tuple[str, str], Leak] = {}

    def note(place: str, secret: Secret, offset: int) -> None:
        if not any(fnmatch.fnmatchcase(place, home) for home in secret.homes):
            found.setdefault((place, secret.name), Leak(place, secret.name, offset))

    for place, piece in pieces:
        for form, secret in odd:
            if (offset := piece.find(form)) >= 0:
                note(place, secret, offset)
        if not heads:
            continue
        for match in RUN.finditer(piece):
            run = match[0]
            for start in range(len(run) - HEAD + 1):
                for form, secret in heads.get(run[start : start + HEAD], ()):
                    if run.startswith(form, start):
                        note(place, secret, match.start() + start)
    return sorted(found.values())


def leaks_of(sandbox: RunningSandbox, said: Iterable[Piece]) -> list[Leak]:
    """What leaked from a sandbox, in its files, in those of Dagster, and in what was said."""
    home = sandbox.config.home
    secrets = secrets_of(home, sorted(sandbox.canaries))
    below = itertools.chain.from_iterable(map(files_below, (home, *sandbox.folders)))
    return leaks(itertools.chain(said, below), secrets)


def _forms(value: str) -> set[bytes]:
    """The ways in which a value may be written down."""
    return {
        form.encode()
        for form in (
            value,
            json.dumps(value)[1:-1],
            json.dumps(value, ensure_ascii=False)[1:-1],
            json.dumps(json.dumps(value))[3:-3],
            repr(value)[1:-1],
            value.replace("'", "''"),
            quote(value, safe=""),
            quote(value),
            quote_plus(value),
        )
    }


def require_none(found: Sequence[Leak]) -> None:
    """Fail with the places and the names of what leaked, never the values.

    Raises:
        AssertionError: something leaked.
    """
    if found:
        listed = "\n".join(f"- {leak}" for leak in found)
        raise AssertionError(f"secrets were written where they must not be:\n{listed}")
