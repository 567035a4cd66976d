"""Fakes of the emulator and of the database, for the APIs of Redshift."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from xacct_sandbox import emulator
from xacct_sandbox.daemon.config import SandboxConfig
from xacct_sandbox.redshift.api.data_api.operations import DataApi
from xacct_sandbox.redshift.api.data_api.results import Column, ResultStore
from xacct_sandbox.redshift.api.data_api.runner import Login, Outcome
from xacct_sandbox.redshift.api.serverless import Serverless
from xacct_sandbox.redshift.api.wire_client import DatabaseError
from xacct_sandbox.service_errors import ServiceError

ROLE_SESSION = "arn:aws:sts::222222222222:assumed-role/orchestrator/run-1"
EMULATOR_FUNCTIONS = (
    "account_id",
    "region",
    "caller_arn",
    "scoped_state",
    "require_permission",
    "require_pass_role",
    "secret_of_caller",
    "create_service_secret",
    "delete_service_secret",
    "acting_in",
    "is_replacing",
)
SECRET = "arn:aws:secretsmanager:us-east-1:222222222222:secret:redshift-AbCdEf"


@dataclass
class FakeAws:
    """The emulator's side: the caller, its permissions, and the state."""

    caller: str = ROLE_SESSION
    denied: set[str] = field(default_factory=set)
    secrets: dict[str, str] = field(default_factory=dict)
    states: dict[str, dict[str, Any]] = field(default_factory=dict)
    replacing: bool = False

    def is_replacing(self) -> bool:
        return self.replacing

    def account_id(self) -> str:
        return "222222222222"

    def region(self) -> str:
        return "us-east-1"

    def caller_arn(self) -> str:
        return self.caller

    def scoped_state(self, name: str) -> dict[str, Any]:
        return self.states.setdefault(name, {})

    def require_permission(self, action: str, resource: str, context: Any = None) -> None:
        if action in self.denied:
            raise ServiceError(
                "AccessDeniedException",
                f"User: {self.caller} is not authorized to perform: {action} on resource: "
                f"{resource}",
            )

    def require_pass_role(self, role: str, service: str) -> None:
        self.require_permission("iam:PassRole", role)

    def secret_of_caller(self, secret_id: str) -> tuple[str, str]:
        self.require_permission("secretsmanager:GetSecretValue", secret_id)
        if secret_id not in self.secrets:
            raise ServiceError("ResourceNotFoundException", "can't find the specified secret")
        return secret_id, self.secrets[secret_id]

    def create_service_secret(self, name: str, text: str, description: str) -> str:
        self.require_permission("secretsmanager:CreateSecret", name)
        self.secrets[f"arn:{name}"] = text
        return f"arn:{name}"

    def delete_service_secret(self, arn: str) -> None:
        del self.secrets[arn]

    @contextmanager
    def acting_in(self, account: str) -> Iterator[None]:
        yield


class FakeControl:
    """The Redshift process as the APIs control it."""

    def __init__(self) -> None:
        self.users: dict[str, dict[str, Any]] = {}
        self.temporary: list[tuple[str, str, datetime]] = []
        self.namespace: dict[str, Any] | None = None
        self.dropped = False

    def set_user(self, name: str, password: str, **rights: Any) -> None:
        self.users[name] = {"password": password, **rights}

    def user_exists(self, name: str) -> bool:
        return name in self.users

    def add_temporary_password(self, name: str, password: str, valid_until: datetime) -> None:
        self.users.setdefault(name, {})
        self.temporary.append((name, password, valid_until))

    def set_namespace(self, values: dict[str, Any]) -> None:
        self.namespace = values

    def clear_namespace(self) -> None:
        self.namespace = None

    def drop_everything(self) -> None:
        self.dropped = True
        self.users.clear()

    def run(self, sql: str, parameters: Any = ()) -> list[tuple[Any, ...]]:
        if self.namespace is None:
            return []
        names = ("account_id", "region", "namespace_name")
        return [tuple(self.namespace[name] for name in names)]


class FakeFolders:
    """The data of the namespace in use, which is the set of its users, and what is kept."""

    def __init__(self, control: FakeControl) -> None:
        self._control = control
        self.kept: dict[str, Any] = {}

    def copy_to(self, name: str) -> int:
        self.kept[name] = dict(self._control.users)
        return 1 << 20

    def move_to(self, name: str) -> int:
        size = self.copy_to(name)
        self._control.users = {}
        self._control.namespace = None
        return size

    def size(self, name: str) -> int:
        assert name in self.kept
        return 1 << 20

    def undo_move(self, name: str) -> None:
        if name in self.kept:
            self.use(name, keep=False)

    def use(self, name: str, *, keep: bool) -> None:
        self._control.users = dict(self.kept[name])
        self._control.namespace = None
        if not keep:
            self.drop(name)

    def drop(self, name: str) -> None:
        del self.kept[name]


class FakeSession:
    """A session that understands a few commands instead of SQL."""

    def __init__(self, database: FakeDatabase, pid: int) -> None:
        self.pid = pid
        self._database = database
        self.cancelled = threading.Event()

    def execute(self, sql: str, values: Sequence[str]) -> Outcome:
        self._database.log.append((sql, tuple(values)))
        word, _, rest = sql.partition(" ")
        if word == "fail":
            raise DatabaseError(f"ERROR: {rest}")
        if word == "wait":
            self._database.waiting.set()
            if self.cancelled.wait(timeout=5):
                raise DatabaseError("ERROR: canceling statement due to user request", "57014")
        if word == "last":
            self._database.waiting.set()
            self.cancelled.wait(timeout=5)
        if word == "rows":
            columns = [Column("n", 23), Column("text", 1043, 14)]
            return Outcome(columns, [(n, f"row {n}") for n in range(int(rest))], int(rest))
        if word == "wide":
            return Outcome([Column("text", 25)], [("x" * int(rest),)], 1)
        return Outcome(None, (), 7)

    def begin(self) -> None:
        self._database.log.append(("BEGIN", ()))

    def commit(self) -> None:
        self._database.log.append(("COMMIT", ()))
        if self._database.fail_commit:
            raise DatabaseError("ERROR: 1023", "40001")

    def rollback(self) -> None:
        self._database.log.append(("ROLLBACK", ()))


class FakeDatabase:
    def __init__(self) -> None:
        self.log: list[tuple[str, tuple[str, ...]]] = []
        self.logins: list[Login] = []
        self.released: list[bool] = []
        self.sessions: dict[int, FakeSession] = {}
        self.waiting = threading.Event()
        self.refuse: str | None = None
        self.fail_commit = False
        self.missed_cancels = 0
        """Cancels that come before the session runs anything."""

    def acquire(self, login: Login) -> FakeSession:
        self.logins.append(login)
        if self.refuse:
            raise DatabaseError(self.refuse)
        session = FakeSession(self, pid=1000 + len(self.sessions))
        self.sessions[session.pid] = session
        return session

    def release(self, login: Login, session: FakeSession, *, reusable: bool) -> None:
        self.released.append(reusable)

    def cancel(self, session: FakeSession) -> None:
        if self.missed_cancels:
            self.missed_cancels -= 1
        else:
            session.cancelled.set()


def spawn(function: Any, *arguments: Any, name: str) -> threading.Thread:
    thread = threading.Thread(target=function, args=arguments, name=name, daemon=True)
    thread.start()
    return thread


@dataclass
class Bench:
    aws: FakeAws
    control: FakeControl
    serverless: Serverless
    database: FakeDatabase
    api: DataApi
    folder: Path
    folders: FakeFolders

    def execute(self, sql: str, **options: Any) -> dict[str, Any]:
        request = {"Sql": sql, "WorkgroupName": "wg-one", "Database": "dev", "SecretArn": SECRET}
        return self.api.execute_statement({**request, **options})

    def batch(self, *sqls: str, **options: Any) -> dict[str, Any]:
        request = {"WorkgroupName": "wg-one", "Database": "dev", "SecretArn": SECRET}
        return self.api.batch_execute_statement({"Sqls": list(sqls), **request, **options})

    def end(self, answer: dict[str, Any]) -> dict[str, Any]:
        """Describe the statement when it has ended."""
        return self.api.describe_statement({"Id": answer["Id"], "WaitTimeSeconds": 10})

    def restart(self) -> None:
        """Restart the daemon over the same state and files."""
        self.api = DataApi(
            self.serverless, self.database, ResultStore(self.folder / "results"), spawn=spawn
        )


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """No namespace, no workgroup yet."""
    aws, control, database = FakeAws(), FakeControl(), FakeDatabase()
    for function in EMULATOR_FUNCTIONS:
        monkeypatch.setattr(emulator, function, getattr(aws, function))
    aws.secrets[SECRET] = '{"username": "xacct", "password": "Secret1234", "host": "h"}'
    config = SandboxConfig(home=tmp_path, redshift_port=5439)
    folders = FakeFolders(control)
    api = Serverless(config, control, folders)  # type: ignore[arg-type]
    bench = Bench(aws, control, api, database, None, tmp_path, folders)  # type: ignore[arg-type]
    bench.restart()
    return bench


@pytest.fixture
def bench(empty: Bench) -> Bench:
    """A namespace and its workgroup ``wg-one``."""
    empty.serverless.namespaces.create(
        {"namespaceName": "ns-one", "adminUsername": "xacct", "adminUserPassword": "Secret1234"}
    )
    empty.serverless.workgroups.create({"workgroupName": "wg-one", "namespaceName": "ns-one"})
    return empty
