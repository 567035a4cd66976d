"""Dagster as infra/orchestrator.yaml runs it, in processes instead of tasks.

Commands, health checks, environment and secrets are read from the template's task definitions;
``dagster.yaml`` and ``workspace.yaml`` are those of the image. What must differ on a machine is in
`_here` and `_command_here`; and the launcher of runs: `EcsRunLauncher` needs ECS.
"""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import pwd
import shutil
import signal
import socket
import socketserver
import subprocess
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.support.fakes.templates import Evaluation, load_template
from tests.support.installation import Installation
from tests.support.project import ROOT
from tests.support.sandbox import RunningSandbox, free_port
from tests.support.stock_dagster import POSTGRES_OPTIONS, StockDagster
from xacct_sandbox.credentials import Credentials
from xacct_sandbox.daemon import env_file
from xacct_sandbox.daemon.control_client import SERVICE_ROLE_PATH, call_daemon
from xacct_sandbox.redshift.storage.postgres import SUPERUSER

TASKS = {"code-location": "CodeLocationTask", "daemon": "DaemonTask", "webserver": "WebserverTask"}
USER = "nobody"
_SETUP = """
import os, psycopg2
connection = psycopg2.connect(host=os.environ["SOCKET"], user=os.environ["ADMIN"],
    password=os.environ["PASSWORD"], dbname="postgres")
connection.autocommit = True
connection.cursor().execute("CREATE ROLE dagster LOGIN PASSWORD %s", [os.environ["PASSWORD"]])
connection.cursor().execute("CREATE DATABASE dagster OWNER dagster")
"""


class ProductionDagster(StockDagster):
    """Web server, daemon and code location, each with the role of its task."""

    def __init__(
        self, sandbox: RunningSandbox, folder: Path, installation: Installation, stack: str
    ) -> None:
        super().__init__(sandbox, folder, installation)
        self._containers = _containers(sandbox, stack)
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self.port = free_port()
        self._grpc_port = free_port()
        self._relay = _PostgresRelay(self._postgres.socket_path)
        self._roles = _TaskRoles(sandbox)
        self._ca = folder / "ca.pem"
        shutil.copy(sandbox.config.ca_bundle, self._ca)
        for path in (folder, self.home, *self.home.iterdir(), self._ca, self._workspace):
            path.chmod(0o755 if path.is_dir() else 0o644)
        self._scratch = folder / "tmp"
        self._scratch.mkdir()
        self._scratch.chmod(0o777)
        installation.import_log.touch()
        installation.import_log.chmod(0o666)
        self._make_database()

    def start(self, name: str) -> None:
        """Start one of `TASKS` and wait until its own health check passes."""
        container = self._containers[name]
        with (self._folder / f"{name}.log").open("ab") as log:
            self._running[name] = subprocess.Popen(
                self._command_here(container["Command"]),
                cwd=self.home,
                env=self.environment_of(name),
                stdout=log,
                stderr=log,
                **as_user(),
            )
        self.wait_for(f"{name} to be healthy", lambda: self.is_healthy(name), 300)

    def is_healthy(self, name: str) -> bool:
        """What the health check of the task definition says."""
        assert self._running[name].poll() is None, self._tail()
        kind, *command = self._containers[name]["HealthCheck"]["Command"]
        assert kind == "CMD"
        done = subprocess.run(
            self._command_here(command),
            cwd=self.home,
            env=self.environment_of(name),
            capture_output=True,
            check=False,
            **as_user(),
        )
        return done.returncode == 0

    def restart(self, name: str) -> None:
        """Kill it, as when its machine is lost, and start it again."""
        self._running[name].send_signal(signal.SIGKILL)
        self._running[name].wait()
        self.start(name)

    def process_ids(self) -> set[int]:
        """The three processes and all that they have started."""
        parents = {}
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
        found = {process.pid for process in self._running.values()}
        while more := {pid for pid, parent in parents.items() if parent in found} - found:
            found |= more
        return found

    def environment_of(self, name: str) -> dict[str, str]:
        """Of a task: what its definition says, and what ECS or this machine gives it."""
        container = self._containers[name]
        defined = {entry["Name"]: str(entry["Value"]) for entry in container["Environment"]}
        (secret,) = container["Secrets"]
        assert secret["Name"] == "DAGSTER_POSTGRES_PASSWORD"
        return {
            **defined,
            secret["Name"]: self.password,
            **self._here(),
            # As ECS gives a task its role: temporary keys, which its clients fetch anew.
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": self._roles.url(container["TaskRoleArn"]),
        }

    def kill(self) -> None:
        """Kill everything."""
        for pid in self.process_ids() if self._running else ():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for process in self._running.values():
            process.wait()
        self._running.clear()
        self._roles.close()
        self._relay.close()
        super().kill()

    def _here(self) -> dict[str, str]:
        connection = env_file.connection(self._sandbox.config)
        return {
            **connection,
            "AWS_CA_BUNDLE": str(self._ca),
            "SSL_CERT_FILE": str(self._ca),
            "DAGSTER_CODE_LOCATION_HOST": "127.0.0.1",
            "DAGSTER_CODE_LOCATION_PORT": str(self._grpc_port),
            "DAGSTER_HOME": str(self.home),
            "DAGSTER_POSTGRES_HOST": "127.0.0.1",
            "DAGSTER_POSTGRES_PORT": str(self._relay.port),
            "HOME": str(self._scratch),
            "PATH": f"{self._installation.commands}:/usr/bin:/bin",
            "PGOPTIONS": POSTGRES_OPTIONS,
            # The relay has no certificate.
            "PGSSLMODE": "disable",
            "PYTHONDONTWRITEBYTECODE": "1",
            "TMPDIR": str(self._scratch),
        }

    def _command_here(self, command: list[str]) -> list[str]:
        """A command of the template on this machine: its addresses, ports and folder are others."""
        program, *arguments = command
        here = {
            "/opt/dagster": str(self.home),
            "0.0.0.0": "127.0.0.1",
            "3000": str(self.port),
            "4000": str(self._grpc_port),
        }
        for there, ours in here.items():
            arguments = [argument.replace(there, ours) for argument in arguments]
        return [str(self._installation.commands / program), *arguments]

    def _prepare_home(self) -> None:
        settings = yaml.safe_load((ROOT / "orchestrator" / "dagster.yaml").read_text())
        del settings["run_launcher"]
        # It asks the launcher about a run: ECS knows the run's task, whatever else is restarted;
        # the default launcher asks the code location, which forgets its runs in a restart.
        settings["run_monitoring"]["enabled"] = False
        for storage, key in (("compute_logs", "local_dir"), ("local_artifact_storage", "base_dir")):
            path = settings[storage]["config"][key]
            assert path.startswith("/tmp/")
            settings[storage]["config"][key] = str(self._folder / "tmp" / Path(path).name)
        (self.home / "dagster.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
        shutil.copy(ROOT / "orchestrator" / "workspace.yaml", self.home)

    @property
    def _workspace(self) -> Path:
        return self.home / "workspace.yaml"

    def _make_database(self) -> None:
        variables = {
            "SOCKET": str(self._postgres.socket_folder),
            "ADMIN": SUPERUSER,
            "PASSWORD": self.password,
        }
        self._installation.run("python", "-c", _SETUP, variables=variables)

    def _tail(self) -> str:
        logs = sorted(self._folder.glob("*.log"))
        return "\n".join(
            f"--- {log.name}\n" + "\n".join(log.read_text(errors="replace").splitlines()[-30:])
            for log in logs
        )


def _containers(sandbox: RunningSandbox, stack: str) -> dict[str, Any]:
    """The container of each task of the deployed stack, with the role of the task."""
    cloudformation = sandbox.client("account-b-admin", "cloudformation")
    (deployed,) = cloudformation.describe_stacks(StackName=stack)["Stacks"]
    text = (ROOT / "infra" / "orchestrator.yaml").read_text(encoding="utf-8")
    values = {entry["ParameterKey"]: entry["ParameterValue"] for entry in deployed["Parameters"]}
    resources = Evaluation(load_template(text), values, sandbox.config.account_b).resources
    found = {}
    for name, task in TASKS.items():
        properties = resources[task]["properties"]
        (container,) = properties["ContainerDefinitions"]
        found[name] = {**container, "TaskRoleArn": properties["TaskRoleArn"]}
    return found


def as_user() -> dict[str, Any]:
    """Options of a process that must not be root's."""
    if os.geteuid() != 0:
        return {}
    account = pwd.getpwnam(USER)
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


class _TaskRoles:
    """Gives tasks the credentials of their roles, as the endpoint of ECS does."""

    def __init__(self, sandbox: RunningSandbox) -> None:
        config = sandbox.config
        task = f"arn:aws:ecs:{config.region}:{config.account_b}:task/xacct-{config.suffix}/1"

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                role = f"arn:aws:iam::{config.account_b}:role{self.path}"
                request = {
                    "service": "ecs-tasks.amazonaws.com",
                    "role_arn": role,
                    "source_arn": task,
                    "session_name": "task",
                    "source_account": config.account_b,
                }
                keys = call_daemon(config, SERVICE_ROLE_PATH, request)
                body = json.dumps(_as_ecs(keys)).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def url(self, role_arn: str) -> str:
        """Where the credentials of a role are."""
        return f"http://127.0.0.1:{self._server.server_port}/{role_arn.rpartition('/')[2]}"

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()


def _as_ecs(document: Mapping[str, str]) -> dict[str, str]:
    """Credentials in the form that ECS's endpoint answers with."""
    keys = Credentials.from_document(document)
    return {
        "AccessKeyId": keys.access_key_id,
        "SecretAccessKey": keys.secret_access_key,
        "Token": keys.session_token,
        "Expiration": keys.expiration.isoformat(),
    }


class _PostgresRelay:
    """A port that leads to a server's unix socket: the production settings name host and port."""

    def __init__(self, path: Path) -> None:
        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                with socket.socket(socket.AF_UNIX) as server:
                    server.connect(str(path))
                    other = threading.Thread(target=_copy, args=(server, self.request), daemon=True)
                    other.start()
                    _copy(self.request, server)
                    other.join()

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = int(self._server.server_address[1])
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Stop taking connections."""
        self._server.shutdown()
        self._server.server_close()


def _copy(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        for data in _received(source):
            sink.sendall(data)
    for end in (source, sink):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


def _received(source: socket.socket) -> Iterator[bytes]:
    while data := source.recv(65536):
        yield data
