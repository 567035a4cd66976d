"""The wire client: verified TLS, whole transactions, errors that name the hop."""

import socket
import ssl
import struct
import threading
from dataclasses import replace

import pytest
import redshift_connector

from tests.support.fakes.redshift import FakeRedshift
from xacct_assets.aws.errors import (
    CommitUnknown,
    ConnectionFailed,
    LoginFailed,
    StatementFailed,
)
from xacct_assets.aws.redshift.keepalive import DEAD_AFTER
from xacct_assets.aws.redshift.probes import probe, probe_tls
from xacct_assets.aws.redshift.warehouse import Warehouse
from xacct_assets.aws.secretsmanager import WarehouseCredentials
from xacct_assets.contract.logins import ROTATION_WINDOW

LOGIN = WarehouseCredentials("h.example", 5439, "dev", "etl", "s3cr3t")


def server_error(code, message, **more):
    fields = {"S": "ERROR", "C": code, "M": message, **more}
    return redshift_connector.ProgrammingError(fields)


LOST = redshift_connector.InterfaceError("BrokenPipe: server socket closed.")
CONFLICT = server_error("XX000", "1023", D="Serializable isolation violation on table - 100")


@pytest.fixture
def database():
    database = FakeRedshift()
    yield database
    database.socket.close()


@pytest.fixture
def warehouse(database):
    return Warehouse(lambda: LOGIN, connector=database, sleep=lambda _seconds: None)


def test_tls_is_always_verified_to_the_host_name(database, warehouse):
    warehouse.execute("DELETE FROM t")
    (options,) = database.options
    assert (options["ssl"], options["sslmode"]) == (True, "verify-full")


def test_a_transaction_is_committed_once_and_its_connection_serves_the_next(database, warehouse):
    assert warehouse.execute("DELETE FROM t") == 2
    assert warehouse.execute("DELETE FROM u") == 2
    assert database.log == ["DELETE FROM t", "commit", "DELETE FROM u", "commit"]
    assert len(database.options) == 1


def test_a_connection_that_was_idle_is_closed_and_not_used_again(database, clock):
    warehouse = Warehouse(lambda: LOGIN, connector=database, sleep=clock.sleep, clock=clock)
    warehouse.execute("DELETE FROM t")
    clock.sleep(30)
    warehouse.execute("DELETE FROM u")
    assert database.log == ["DELETE FROM t", "commit", "close", "DELETE FROM u", "commit"]
    assert len(database.options) == 2


def test_a_connection_that_failed_is_not_used_again(database, warehouse):
    database.errors = {"execute": [CONFLICT]}
    warehouse.execute("DELETE FROM t")
    assert len(database.options) == 2


def test_rows_come_by_column_name(warehouse):
    assert warehouse.query("SELECT …") == [{"day": 1, "n": 2}, {"day": 3, "n": 4}]


@pytest.mark.parametrize(
    "conflict",
    [CONFLICT, server_error("40001", "could not serialize access"), server_error("40P01", "dead")],
)
def test_a_conflict_runs_the_whole_transaction_again(database, warehouse, conflict):
    database.errors = {"execute": [conflict, conflict]}
    warehouse.execute("DELETE FROM t")
    assert database.log == [
        *["DELETE FROM t", "rollback", "close"] * 2,
        "DELETE FROM t",
        "commit",
    ]


def test_a_conflict_at_commit_runs_the_whole_transaction_again(database, warehouse):
    database.errors = {"commit": [CONFLICT]}
    warehouse.execute("DELETE FROM t")
    assert database.log.count("DELETE FROM t") == 2


def test_conflicts_without_end_are_given_up_as_retryable(database, warehouse):
    database.errors = {"execute": [CONFLICT] * 100}
    with pytest.raises(StatementFailed, match="Serializable isolation violation") as caught:
        warehouse.execute("DELETE FROM t")
    assert caught.value.retryable


def test_a_connection_lost_before_the_commit_is_opened_again(database, warehouse):
    database.errors = {"execute": [LOST], "rollback": [LOST]}
    warehouse.execute("DELETE FROM t")
    assert database.log.count("commit") == 1


@pytest.mark.parametrize(
    "lost",
    [
        server_error("57P05", "terminating connection due to idle-session timeout"),
        server_error("25P03", "terminating connection due to idle-in-transaction timeout"),
        server_error("57P01", "terminating connection due to administrator command"),
        server_error("53300", "too many connections"),
        server_error("08006", "connection failure"),
        struct.error("unpack_from requires a buffer of at least 5 bytes"),
        TimeoutError("timed out"),
    ],
    ids=["57P05", "25P03", "57P01", "53300", "08006", "within-a-message", "silence"],
)
def test_however_the_server_ends_the_session_the_whole_transaction_is_run_again(
    database, warehouse, lost
):
    database.errors = {"execute": [lost]}
    warehouse.execute("DELETE FROM t")
    assert database.log == [
        "DELETE FROM t",
        "rollback",
        "close",
        "DELETE FROM t",
        "commit",
    ]


def test_a_connection_lost_at_the_commit_leaves_the_outcome_unknown(database, warehouse):
    database.errors = {"commit": [LOST]}
    with pytest.raises(CommitUnknown, match="lost during COMMIT"):
        warehouse.execute("DELETE FROM t")
    assert database.log.count("DELETE FROM t") == 1


def test_a_connection_lost_at_the_commit_of_idempotent_work_runs_it_again(database, warehouse):
    database.errors = {"commit": [LOST]}
    warehouse.transaction(lambda connection: connection.cursor().execute("X"), idempotent=True)
    assert database.log.count("X") == 2


def test_a_refused_statement_has_the_databases_words_and_place_and_is_not_repeated(
    database, warehouse
):
    error = server_error("42P01", 'relation "x" does not exist', P="15", H="Look again")
    database.errors = {"execute": [error]}
    with pytest.raises(StatementFailed) as caught:
        warehouse.execute("DELETE FROM x")
    for part in ('relation "x" does not exist', "character 15", "Look again", "42P01"):
        assert part in str(caught.value)
    assert database.log == ["DELETE FROM x", "rollback", "close"]


def test_an_interrupt_closes_the_connection_and_waits_for_no_answer(database, warehouse):
    database.errors = {"execute": [KeyboardInterrupt()]}
    with pytest.raises(KeyboardInterrupt):
        warehouse.execute("DELETE FROM t")
    assert database.log == ["DELETE FROM t", "close"]


def test_errors_of_our_own_code_are_not_taken_for_the_databases(warehouse):
    def broken(_connection):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        warehouse.transaction(broken)


@pytest.mark.parametrize(
    "error",
    [
        redshift_connector.InterfaceError({"C": "28000", "M": "password authentication failed"}),
        server_error("28P01", "password authentication failed"),
    ],
)
def test_a_wrong_password_names_user_secret_and_host_and_never_the_password(database, clock, error):
    login = replace(LOGIN, secret_arn="arn:secret")
    warehouse = Warehouse(lambda: login, connector=database, sleep=clock.sleep, clock=clock)
    database.errors = {"connect": [error] * 100}
    with pytest.raises(LoginFailed) as caught:
        warehouse.query("SELECT 1")
    for part in ("etl", "h.example:5439", "arn:secret", "ALTER USER"):
        assert part in str(caught.value)
    assert "s3cr3t" not in str(caught.value)
    assert not caught.value.retryable
    assert ROTATION_WINDOW - 5 <= clock.now <= ROTATION_WINDOW


def test_a_login_refused_for_another_reason_is_refused_at_once(database, warehouse):
    error = server_error("28000", "no pg_hba.conf entry for host, SSL off")
    database.errors = {"connect": [error]}
    with pytest.raises(LoginFailed, match="SSL off"):
        warehouse.query("SELECT 1")
    assert len(database.options) == 1


def test_a_certificate_that_does_not_hold_is_not_retried(database, warehouse):
    error = redshift_connector.InterfaceError(
        "communication error", ssl.SSLCertVerificationError(1, "certificate verify failed")
    )
    database.errors = {"connect": [error]}
    with pytest.raises(ConnectionFailed, match=r"TLS to Redshift at h\.example:5439 failed"):
        warehouse.query("SELECT 1")
    assert len(database.options) == 1


def test_the_login_is_read_once_and_again_when_it_is_refused(database):
    passwords = iter(["old", "new"])
    read = []

    def provider():
        read.append(WarehouseCredentials("h", 5439, "dev", "etl", next(passwords)))
        return read[-1]

    warehouse = Warehouse(provider, connector=database)
    warehouse.query("SELECT 1")
    with warehouse.connect(), warehouse.connect():
        assert len(read) == 1
    database.errors = {"connect": [server_error("28P01", "password authentication failed")]}
    with warehouse.connect():
        assert [options["password"] for options in database.options][-2:] == ["old", "new"]
    assert warehouse.credentials.password == "new"


@pytest.mark.parametrize(
    ("in_database", "in_secret"), [(5, 15), (15, 5)], ids=["database first", "secret first"]
)
def test_a_rotation_is_waited_out_in_either_order(database, clock, in_database, in_secret):
    """Both change to the new password, ten seconds apart; the work begins between the two."""

    def password(changed_at):
        return "new" if clock.now >= changed_at else "old"

    def connector(**options):
        connection = database(**options)
        if options["password"] != password(in_database):
            raise server_error("28000", 'password authentication failed for user "etl"')
        return connection

    def provider():
        return replace(LOGIN, password=password(in_secret))

    warehouse = Warehouse(provider, connector=connector, sleep=clock.sleep, clock=clock)
    assert warehouse.credentials.password == "old"
    clock.sleep(7)
    assert warehouse.execute("DELETE FROM t") == 2
    # Secret first: what was read before the rotation is still right.
    assert clock.now == (7 if in_secret < in_database else pytest.approx(15, abs=5))
    clock.sleep(60)
    before = clock.now
    assert warehouse.execute("DELETE FROM t") == 2
    assert (clock.now, warehouse.credentials.password) == (before, "new")


def test_a_process_that_starts_between_secret_and_database_waits_for_the_database(database, clock):
    def connector(**options):
        if clock.now < 10:
            raise server_error("28000", 'password authentication failed for user "etl"')
        return database(**options)

    warehouse = Warehouse(lambda: LOGIN, connector=connector, sleep=clock.sleep, clock=clock)
    assert warehouse.execute("DELETE FROM t") == 2
    assert 10 <= clock.now <= 15


def test_a_closed_port_is_distinguished_from_a_missing_route():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(ConnectionFailed, match="connection refused"):
        probe("127.0.0.1", port, 1)


def test_a_missing_route_is_a_connection_timeout_with_what_to_check(monkeypatch):
    def hang(*_args, **_options):
        raise TimeoutError

    monkeypatch.setattr(socket, "create_connection", hang)
    with pytest.raises(ConnectionFailed, match="Connection Timeout") as caught:
        probe("127.0.0.1", 5439, 1)
    for part in ("VPC peering", "route tables", "security group", "publicly accessible", "port"):
        assert part in str(caught.value)


def test_an_unknown_host_name_is_reported_as_such(monkeypatch):
    def unknown(*_args):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(ConnectionFailed, match="not known here"):
        probe("nowhere.example", 5439, 1)


@pytest.mark.parametrize("greeting", [b"", b"S"], ids=["at-once", "in-the-tls-handshake"])
def test_a_server_that_falls_silent_at_the_login_is_given_up_soon(greeting):
    with socket.create_server(("127.0.0.1", 0)) as server:
        login = WarehouseCredentials("127.0.0.1", server.getsockname()[1], "dev", "etl", "s3cr3t")
        warehouse = Warehouse(lambda: login, login_timeout=0.2)

        def greet():
            server.accept()[0].close()  # the probe
            with server.accept()[0] as there:
                there.sendall(greeting)
                while there.recv(1024):
                    pass

        greeter = threading.Thread(target=greet)
        greeter.start()
        with (
            pytest.raises(ConnectionFailed, match=r"was lost: .*time") as caught,
            warehouse.connect(),
        ):
            pass
        greeter.join()
    assert caught.value.retryable


def test_a_silent_statement_goes_on_but_a_dead_server_is_detected(database):
    with Warehouse(lambda: LOGIN, connector=database, statement_timeout=77).connect():
        pass
    (options,) = database.options
    noticed = (
        options["tcp_keepalive_idle"]
        + options["tcp_keepalive_interval"] * options["tcp_keepalive_count"]
    )
    assert options["tcp_keepalive"]
    assert noticed == DEAD_AFTER <= 30
    assert database.socket.gettimeout() == 77
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        unanswered = database.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
        assert unanswered == DEAD_AFTER * 1000


def test_a_server_that_refuses_tls_is_reported_as_such(monkeypatch):
    here, there = socket.socketpair()
    there.sendall(b"N")
    monkeypatch.setattr("xacct_assets.aws.redshift.probes.probe", lambda *_: None)
    monkeypatch.setattr(socket, "create_connection", lambda *_args, **_options: here)
    with pytest.raises(ConnectionFailed, match="refuses TLS"):
        probe_tls("127.0.0.1", 5439, 1)
    there.close()


@pytest.mark.parametrize("missing", [None, "Dagster cannot reach the warehouse; missing: a route"])
def test_a_connection_that_fails_names_what_the_network_lacks(clock, missing):
    def no_way(**_):
        raise TimeoutError("timed out")

    warehouse = Warehouse(
        lambda: LOGIN, explain=lambda: missing, connector=no_way, sleep=clock.sleep, clock=clock
    )
    with pytest.raises(ConnectionFailed) as failed:
        warehouse.query("SELECT 1")
    assert (missing or "was lost") in str(failed.value)
    assert ("xacct doctor" in str(failed.value)) == bool(missing)
