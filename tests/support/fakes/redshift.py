"""Redshift's wire connections in memory, as `redshift_connector.connect` opens them."""

from __future__ import annotations

import socket


class FakeConnection:
    def __init__(self, database):
        self.database = database
        self.log = database.log
        self._usock = database.socket

    def cursor(self):
        return FakeCursor(self)

    def commit(self):
        self.log.append("commit")
        self.database.raise_next("commit")

    def rollback(self):
        self.log.append("rollback")
        self.database.raise_next("rollback")

    def close(self):
        self.log.append("close")


class FakeCursor:
    rowcount = 2
    description = ((b"day", 1), ("n", 2))

    def __init__(self, connection):
        self.connection = connection

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None

    def execute(self, sql, params=()):
        self.connection.log.append(sql)
        self.connection.database.raise_next("execute")

    def fetchall(self):
        return ([1, 2], [3, 4])


class FakeRedshift:
    """Fake of `redshift_connector.connect`; each query returns the same two rows.

    Attributes:
        log: statements and calls of all connections, in order.
        options: the options of each connection.
        errors: the errors to raise next, by "connect", "execute", "commit" and "rollback".
        socket: the socket of each connection; to be closed by the test.
    """

    def __init__(self):
        self.log: list[str] = []
        self.options: list[dict] = []
        self.errors: dict[str, list] = {}
        self.socket = socket.socket()

    def raise_next(self, where):
        error = self.errors.get(where, [None]).pop(0) if self.errors.get(where) else None
        if error is not None:
            raise error

    def __call__(self, **options):
        self.options.append(options)
        self.raise_next("connect")
        return FakeConnection(self)
