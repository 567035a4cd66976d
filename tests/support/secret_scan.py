"""Searches everything that a sandbox and the Dagster instances on it wrote for its secrets.

A secret is searched in its plain form and as logs, JSON, URLs and SQL literals escape it. Archives,
SQLite databases and the history of SQL statements are decoded. Each secret has allowed locations:
the files that store it.
"""

from __future__ import annotations

import bisect
import contextlib
import fnmatch
import gzip
import itertools
import json
import re
import socket
import sqlite3
import sys
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus, unquote, urlsplit

import dagster as dg
import pyarrow
import pyarrow.compute as compute
import pytest

from xacct_sandbox.redshift.api.wire_client import connect
from xacct_sandbox.redshift.storage.postgres import DATABASE, SUPERUSER

if TYPE_CHECKING:
    from tests.support.sandbox import RunningSandbox

CHUNK = 8 * 1024 * 1024
# Shorter values occur by chance; some tests have secrets like "x".
SHORTEST = 8
# Text is searched in words of 8 bytes: wherever so long a form of a secret is, it holds a word.
WORD = 8
LONG = 2 * WORD - 1
STATE = "ministack/state/"

Piece = tuple[str, bytes]
"""A location, and a part of what was written there."""


@dataclass(frozen=True)
class Secret:
    """A value that may occur at its allowed locations (patterns) only."""

    name: str
    value: str = field(repr=False)
    allowed: tuple[str, ...] = ()


@dataclass(frozen=True, order=True)
class Leak:
    """The name of a secret and the location where it must not occur; never its value."""

    location: str
    secret: str
    offset: int = field(compare=False, default=0)

    def __str__(self) -> str:
        return f"{self.location}, near byte {self.offset}: {self.secret}"


# --- secrets ---------------------------------------------------------------------------------


def secrets_of(home: Path, canaries: Iterable[str] = ()) -> list[Secret]:
    """Every secret that the sandbox in this folder issued, and those that tests added."""
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
    # The emulator stores stacks with their resolved templates.
    allowed = (f"{STATE}secretsmanager.json", f"{STATE}cloudformation.json")
    for text in _strings_of(state, "SecretString"):
        for value in _passwords(text):
            yield Secret("a password of Secrets Manager", value, allowed)


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
    # The last one is a command that prints keys.
    allowed = (
        f"{STATE}xacct-sts-sessions.json",
        f"{STATE}sts.json",
        "what xacct_sandbox.cli env --as * printed",
    )
    for name, kind in (("SecretAccessKey", "key"), ("SessionToken", "token")):
        for value in _strings_of(state, name):
            yield Secret(f"the {kind} of a session", value, allowed)


def _state(home: Path, name: str) -> Any:
    path = home / STATE / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else {}


def _strings_of(value: Any, name: str) -> Iterator[str]:
    """Every text with this name, at any depth."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == name and isinstance(inner, str):
                yield inner
            else:
                yield from _strings_of(inner, name)
    elif isinstance(value, list):
        for inner in value:
            yield from _strings_of(inner, name)


# --- locations -------------------------------------------------------------------------------


def written_by(sandbox: RunningSandbox) -> Iterator[Piece]:
    """What can be read while the sandbox runs: statements, command lines, runs and their events."""
    yield from _statements(sandbox)
    yield from _command_lines()
    for command, text in sandbox.outputs:
        yield f"what {command} printed", text.encode()
    for instance in sandbox.instances:
        yield from events_of(instance)


def files_below(folder: Path) -> Iterator[Piece]:
    """The content of every file; archives and databases are decoded."""
    for path in sorted(folder.rglob("*")):
        location = path.relative_to(folder).as_posix()
        # The file may be deleted meanwhile.
        with contextlib.suppress(FileNotFoundError):
            if path.is_file() and not path.is_symlink():
                yield from _file(path, location)


def events_of(instance: dg.DagsterInstance) -> Iterator[Piece]:
    """Runs with their configuration and tags, and every entry of their event logs."""
    for run in instance.get_runs():
        yield f"Dagster run {run.run_id}", dg.serialize_value(run).encode()
        for entry in instance.all_logs(run.run_id):
            yield f"event log of run {run.run_id}", dg.serialize_value(entry).encode()


def _statements(sandbox: RunningSandbox) -> Iterator[Piece]:
    config = sandbox.config
    if not _answers(config.host, config.redshift_port):
        return  # a test stopped it; its files are searched anyway
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


def _file(path: Path, location: str) -> Iterator[Piece]:
    with path.open("rb") as file:
        head = file.read(16)
        file.seek(0)
        if head.startswith(b"SQLite format 3\0"):
            yield from _database(path, location)
        elif head.startswith(b"PK\3\4") and zipfile.is_zipfile(path):
            with zipfile.ZipFile(file) as archive:
                for member in archive.namelist():
                    yield f"{location}!{member}", archive.read(member)
        elif head.startswith(b"\x1f\x8b"):
            # Tests write broken gzip files; the readable part is searched.
            with contextlib.suppress(EOFError, OSError, zlib.error), gzip.open(file) as text:
                yield from ((location, piece) for piece in _pieces(text))
        else:
            yield from ((location, piece) for piece in _pieces(file))


def _pieces(file: Any) -> Iterator[bytes]:
    """A file in overlapping parts, so that no secret is cut."""
    kept = b""
    while piece := file.read(CHUNK):
        yield kept + piece
        kept = piece[-4096:]


def _database(path: Path, location: str) -> Iterator[Piece]:
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.text_factory = bytes
        names = "SELECT name FROM sqlite_master WHERE type = 'table'"
        for (name,) in database.execute(names).fetchall():
            table = name.decode()
            for row in database.execute(f'SELECT * FROM "{table}"'):
                cells = (c if isinstance(c, bytes) else str(c).encode() for c in row)
                yield f"{location}!{table}", b"\n".join(cells)


# --- search ----------------------------------------------------------------------------------


def leaks(pieces: Iterable[Piece], secrets: Sequence[Secret]) -> list[Leak]:
    """Secrets at locations where they are not allowed, each once per location."""
    search = _Search(secrets)
    found: dict[tuple[str, str], Leak] = {}
    for text, locations, starts in _batches(pieces):
        for position, secret in search.occurrences(text):
            number = bisect.bisect_right(starts, position) - 1
            location, offset = locations[number], position - starts[number]
            if not any(fnmatch.fnmatchcase(location, pattern) for pattern in secret.allowed):
                found.setdefault((location, secret.name), Leak(location, secret.name, offset))
    return sorted(found.values())


def _batches(pieces: Iterable[Piece]) -> Iterator[tuple[bytes, list[str], list[int]]]:
    """Many pieces in one text, with the location and the start of each.

    No form of a secret has the byte that separates them.
    """
    texts: list[bytes] = []
    locations: list[str] = []
    starts: list[int] = []
    size = 0
    for location, piece in pieces:
        texts.append(piece)
        locations.append(location)
        starts.append(size)
        size += len(piece) + 1
        if size >= CHUNK:
            yield b"\0".join(texts), locations, starts
            texts, locations, starts, size = [], [], [], 0
    yield b"\0".join(texts), locations, starts


class _Search:
    """Finds thousands of secrets in about the time of one."""

    def __init__(self, secrets: Sequence[Secret]) -> None:
        self._short: list[tuple[bytes, Secret]] = []
        self._words: dict[int, list[tuple[bytes, int, Secret]]] = {}
        for secret in secrets:
            for form in _forms(secret.value):
                if len(form) < LONG:
                    self._short.append((form, secret))
                    continue
                # The end of the form: tokens begin alike.
                for at in range(len(form) - LONG, len(form) - WORD + 1):
                    word = int.from_bytes(form[at : at + WORD], sys.byteorder)
                    self._words.setdefault(word, []).append((form, at, secret))
        self._wanted = pyarrow.array(self._words, pyarrow.uint64())

    def occurrences(self, text: bytes) -> Iterator[tuple[int, Secret]]:
        """Each position of each secret."""
        for form, secret in self._short:
            position = text.find(form)
            while position >= 0:
                yield position, secret
                position = text.find(form, position + 1)
        count, buffer = len(text) // WORD, pyarrow.py_buffer(text)
        words = pyarrow.Array.from_buffers(pyarrow.uint64(), count, [None, buffer])
        hits = compute.indices_nonzero(compute.is_in(words, value_set=self._wanted))
        for number in hits.to_pylist():
            for form, at, secret in self._words[words[number].as_py()]:
                position = number * WORD - at
                if position >= 0 and text.startswith(form, position):
                    yield position, secret


def leaks_of(sandbox: RunningSandbox, written: Iterable[Piece]) -> list[Leak]:
    """Secrets of a sandbox in its files, in Dagster's files, and in what was written elsewhere."""
    home = sandbox.config.home
    secrets = secrets_of(home, sorted(sandbox.canaries))
    below = itertools.chain.from_iterable(map(files_below, (home, *sandbox.folders)))
    return leaks(itertools.chain(written, below), secrets)


def _forms(value: str) -> set[bytes]:
    """The forms in which a value may be written."""
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
    """Fail with locations and names of the leaked secrets, never their values.

    Raises:
        AssertionError: something leaked.
    """
    if found:
        listed = "\n".join(f"- {leak}" for leak in found)
        raise AssertionError(f"secrets were written where they must not be:\n{listed}")
