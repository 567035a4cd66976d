"""The scanner that ends every suite finds a secret wherever and however it was written."""

from __future__ import annotations

import gzip
import json
import sqlite3
import zipfile
from pathlib import Path
from urllib.parse import quote, quote_plus

import dagster as dg
import pytest

from tests.support import secret_scan
from tests.support.secret_scan import (
    Secret,
    events_of,
    files_below,
    leaks,
    require_none,
    secrets_of,
)

KEY = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
PASSWORD = "p'ä\"ss\\w@r:d/%41 \n{x}"


def sqlite(path: Path, text: str) -> None:
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE event_logs (id INTEGER, event TEXT)")
        # Longer than a page: in the file's bytes the text is in pieces.
        database.execute("INSERT INTO event_logs VALUES (1, ?)", ("x" * 4000 + text + "y" * 9000,))
    database.close()


def archive(path: Path, text: str) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("inside.txt", text)


WRITERS = {
    "a line of a log": lambda path, text: path.write_text(f"2026 INFO login with {text} failed"),
    "gzip": lambda path, text: path.write_bytes(gzip.compress(text.encode())),
    "zip": archive,
    "SQLite": sqlite,
    "where two pieces meet": lambda path, text: path.write_bytes(
        b" " * (secret_scan.CHUNK - 7) + text.encode() + b" " * 100
    ),
    "within a longer word": lambda path, text: path.write_text(f"abc{text}def"),
    "binary": lambda path, text: path.write_bytes(b"\xff\x00\xfe" + text.encode() + b"\x00"),
}
FORMS = {
    "as it is": str,
    "in JSON": json.dumps,
    "in JSON as UTF-8": lambda value: json.dumps(value, ensure_ascii=False),
    "in JSON in JSON": lambda value: json.dumps(json.dumps({"m": value})),
    "in a URL": lambda value: f"redshift://u:{quote(value, safe='')}@h/",
    "in a query": quote_plus,
    "as Python shows it": repr,
    "in an SQL literal": lambda value: "'" + value.replace("'", "''") + "'",
}


@pytest.mark.parametrize("value", [KEY, PASSWORD], ids=["key", "password"])
@pytest.mark.parametrize("writer", WRITERS)
def test_a_secret_is_found_in_every_kind_of_file(tmp_path: Path, writer: str, value: str) -> None:
    (tmp_path / "deep").mkdir()
    WRITERS[writer](tmp_path / "deep" / "file", value)
    (leak,) = leaks(files_below(tmp_path), [Secret("it", value), Secret("no", "not there at all")])
    assert leak.location.split("!")[0] == "deep/file"
    assert leak.secret == "it"


@pytest.mark.parametrize("value", [KEY, PASSWORD], ids=["key", "password"])
@pytest.mark.parametrize("form", FORMS)
def test_a_secret_is_found_in_every_way_of_writing_it(form: str, value: str) -> None:
    pieces = [("place", f"before {FORMS[form](value)} after".encode())]
    assert [leak.location for leak in leaks(pieces, [Secret("it", value)])] == ["place"]


@pytest.mark.parametrize("before", range(9))
@pytest.mark.parametrize("value", [KEY, "p@ss w0rd", "fifteen-letters"])
def test_a_secret_is_found_at_every_offset_to_the_last_byte(before: int, value: str) -> None:
    pieces = [("another", b"zzz"), ("place", b"x" * before + value.encode()), ("third", b"y")]
    (leak,) = leaks(pieces, [Secret("it", value), Secret("like it", value[:8] + "*" * 20)])
    assert (leak.location, leak.secret, leak.offset) == ("place", "it", before)


def test_two_halves_in_two_places_are_no_secret() -> None:
    halves = [("first", KEY[:20].encode()), ("second", KEY[20:].encode())]
    assert leaks(halves, [Secret("it", KEY)]) == []
    assert leaks([], [Secret("it", KEY)]) == leaks(halves, []) == []


def test_a_run_that_was_given_a_secret_or_told_one_is_found() -> None:
    @dg.op(config_schema={"password": str})
    def careless(context) -> None:
        context.log.info(f"logging in with {KEY}")

    @dg.job
    def job() -> None:
        careless()

    with dg.DagsterInstance.ephemeral() as instance:
        config = {"ops": {"careless": {"config": {"password": PASSWORD}}}}
        run = job.execute_in_process(instance=instance, run_config=config)
        found = leaks(events_of(instance), [Secret("key", KEY), Secret("password", PASSWORD)])
    places = {leak.secret: leak.location for leak in found}
    assert places == {
        "key": f"event log of run {run.run_id}",
        "password": f"Dagster run {run.run_id}",
    }


def test_a_secret_may_be_at_its_allowed_locations_only(tmp_path: Path) -> None:
    (tmp_path / "aws").mkdir()
    (tmp_path / "log").mkdir()
    (tmp_path / "aws" / "credentials").write_text(f"[x]\naws_secret_access_key = {KEY}\n")
    (tmp_path / "token").write_text("a-token-that-is-long-enough\n")
    assert leaks(files_below(tmp_path), secrets_of(tmp_path)) == []
    (tmp_path / "log" / "daemon.log").write_text("a-token-that-is-long-enough")
    (tmp_path / "aws" / "config").write_text(KEY)
    found = leaks(files_below(tmp_path), secrets_of(tmp_path))
    assert [(leak.location, leak.secret) for leak in found] == [
        ("aws/config", "access key 1"),
        ("log/daemon.log", "the daemon's token"),
    ]


def test_all_that_the_sandbox_ever_gave_out_is_looked_for(tmp_path: Path) -> None:
    state = tmp_path / "ministack" / "state"
    state.mkdir(parents=True)
    secrets = [
        json.dumps({"username": "u", "password": PASSWORD}),
        f"redshift://u:{quote('an@other pass', safe='')}@host:5439/dev",
        json.dumps({"password": "short"}),
    ]
    (state / "secretsmanager.json").write_text(
        json.dumps({"payload": {n: [{"SecretString": s}] for n, s in enumerate(secrets)}})
    )
    (state / "xacct-sts-sessions.json").write_text(
        json.dumps({"payload": {"ASIA1": {"SecretAccessKey": KEY, "SessionToken": "T" * 40}}})
    )
    values = {secret.value for secret in secrets_of(tmp_path, ["a canary"])}
    assert values == {
        *(PASSWORD, "an@other pass", quote("an@other pass", safe="")),
        *(KEY, "T" * 40, "a canary"),
    }
    assert leaks(files_below(tmp_path), secrets_of(tmp_path)) == []


def test_the_suite_fails_with_file_and_name_and_never_the_value() -> None:
    found = leaks([("log/daemon.log", f"x{KEY}".encode())], [Secret("access key 1", KEY)])
    with pytest.raises(AssertionError) as failure:
        require_none(found)
    assert "log/daemon.log, near byte 1: access key 1" in str(failure.value)
    assert KEY not in str(failure.value)
    assert KEY not in repr(found)
    require_none([])
