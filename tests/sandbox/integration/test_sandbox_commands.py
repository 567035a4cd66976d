"""The sandbox's commands and its control endpoint, as a user and a stranger see them."""

from __future__ import annotations

import csv
import io
import json
import shutil
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from dotenv import dotenv_values

from tests.support import secret_scan
from tests.support.project import ROOT
from tests.support.sandbox import RunningSandbox
from xacct_sandbox.daemon.control_client import call_daemon
from xacct_sandbox.sample_data import ProductFile

WHO = "import boto3; print(boto3.client('sts').get_caller_identity()['Arn'])"
LOGIN = """
import boto3, redshift_connector, sys
serverless = boto3.client("redshift-serverless")
keys = serverless.get_credentials(workgroupName="xacct-local", dbName="dev")
connection = redshift_connector.connect(
    host="127.0.0.1", port=int(sys.argv[1]), database="dev", sslmode="verify-full",
    user=keys["dbUser"], password=keys["dbPassword"],
)
cursor = connection.cursor()
cursor.execute("SELECT current_user")
print(cursor.fetchone()[0])
"""
PROXY = dict.fromkeys(("HTTPS_PROXY", "https_proxy", "ALL_PROXY"), "http://127.0.0.1:9")
"""Nothing listens there."""


def request_status(sandbox: RunningSandbox, path: str, method: str = "GET", token: str = "") -> int:
    """The HTTP status of a request to the control endpoint."""
    request = urllib.request.Request(
        sandbox.config.endpoint_url + path, method=method, headers={"x-sandbox-token": token}
    )
    context = ssl.create_default_context(cafile=str(sandbox.config.ca_pem))
    try:
        with urllib.request.urlopen(request, context=context, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refusal:
        return refusal.code


# -- control endpoint --------------------------------------------------------------------------


def test_the_control_endpoint_requires_the_token(bare_sandbox: RunningSandbox) -> None:
    token = bare_sandbox.config.token_path.read_text().strip()
    assert request_status(bare_sandbox, "/_sandbox/health", token=token) == 200
    assert request_status(bare_sandbox, "/_sandbox/health") == 403
    assert request_status(bare_sandbox, "/_sandbox/health", token=token[:-1]) == 403
    assert request_status(bare_sandbox, "/_sandbox/service-role", method="POST") == 403
    assert request_status(bare_sandbox, "/_sandbox/calls") == 403


@pytest.mark.parametrize(
    "path", ["/_ministack/reset", "/_ministack/config", "/_localstack/health", "/_aws/sqs/messages"]
)
def test_the_emulators_own_pages_are_not_served(bare_sandbox: RunningSandbox, path: str) -> None:
    assert request_status(bare_sandbox, path, method="POST") == 403


def test_only_the_owner_can_read_secrets_in_the_home(bare_sandbox: RunningSandbox) -> None:
    config = bare_sandbox.config
    state = config.ministack_dir / "state"
    for path in (config.token_path, config.server_key, config.aws_credentials_file):
        assert path.stat().st_mode & 0o077 == 0, path
    assert state.stat().st_mode & 0o077 == 0


# -- status ------------------------------------------------------------------------------------


def test_status_has_the_same_facts_as_json_and_as_text(sandbox: RunningSandbox) -> None:
    status = json.loads(sandbox.run("xacct_sandbox.cli", "status", "--json").stdout)
    assert status["ready"]
    assert status["parts"] == {"aws": True, "redshift": True, "glue": True}
    assert status["aws_port"] == sandbox.config.aws_port
    stacks = {(stack["account"], stack["name"]): stack["status"] for stack in status["stacks"]}
    for stack in (("A", "xacct-account-a-local"), ("B", "xacct-account-b-local")):
        assert stacks[stack] in ("CREATE_COMPLETE", "UPDATE_COMPLETE")
    output = sandbox.run("xacct_sandbox.cli", "status").stdout
    assert str(sandbox.config.aws_port) in output
    assert "xacct-account-a-local" in output


# -- up, reset, the command itself -------------------------------------------------------------


@pytest.mark.parametrize(
    ("variable", "port"), [("XACCT_SANDBOX_PORT", "4600"), ("XACCT_SANDBOX_REDSHIFT_PORT", "5430")]
)
def test_up_with_a_port_that_it_cannot_have_is_refused(
    bare_sandbox: RunningSandbox, variable: str, port: str
) -> None:
    asked = replace(bare_sandbox, extra_settings={variable: port})
    refused = asked.run("xacct_sandbox.cli", "up", check=False)
    assert refused.returncode == 1
    assert f"{variable}={port}" in refused.stderr
    assert bare_sandbox.run("xacct_sandbox.cli", "status").returncode == 0


def test_reset_is_refused_while_dagster_uses_the_home(bare_sandbox: RunningSandbox) -> None:
    home = bare_sandbox.variables["DAGSTER_HOME"]
    with subprocess.Popen(
        [sys.executable, "-c", "input()", "-m", "dagster", "dev"],
        env={"DAGSTER_HOME": home},
        stdin=subprocess.PIPE,
    ) as dagster:
        refused = bare_sandbox.run("xacct_sandbox.cli", "reset", "--yes", check=False)
        dagster.kill()
    assert refused.returncode == 1
    assert f"(pid {dagster.pid})" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert bare_sandbox.run("xacct_sandbox.cli", "status").returncode == 0


def test_the_command_finds_its_python_in_a_folder_with_any_name(tmp_path: Path) -> None:
    commands = tmp_path / "it's my repo dir é" / ".venv" / "bin"
    commands.mkdir(parents=True)
    shutil.copy(ROOT / "xacct_sandbox" / "bin" / "xacct-sandbox", commands)
    (commands / "python").write_text('#!/bin/sh\nprintf "%s|" "$0" "$@"\n')
    (commands / "python").chmod(0o755)
    link = tmp_path / "xs"
    link.symlink_to(commands / "xacct-sandbox")
    for command in (commands / "xacct-sandbox", link):
        done = subprocess.run([command, "land", "a b"], capture_output=True, text=True, check=True)
        assert done.stdout == f"{commands}/python|-m|xacct_sandbox.cli|land|a b|"


# -- env ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("role", "arn"),
    [
        ("account-a-admin", "arn:aws:iam::111111111111:user/admin"),
        ("account-b-admin", "arn:aws:iam::222222222222:user/admin"),
        ("orchestrator", "arn:aws:sts::222222222222:assumed-role/xacct-orchestrator-local/"),
        ("glue", "arn:aws:sts::222222222222:assumed-role/xacct-glue-local/"),
    ],
)
def test_the_exports_of_env_make_a_shell_that_principal(
    sandbox: RunningSandbox, role: str, arn: str
) -> None:
    exports = sandbox.run("xacct_sandbox.cli", "env", "--as", role).stdout
    done = subprocess.run(
        ["bash", "-c", f'{exports}\nexec "$0" -c "$1"', sys.executable, WHO],
        env={"PATH": "/usr/bin:/bin", "AWS_PROFILE": "someone-else", **PROXY},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.startswith(arn), done.stderr


def test_the_exports_of_env_let_redshift_connector_verify_the_server(
    sandbox: RunningSandbox,
) -> None:
    exports = sandbox.run("xacct_sandbox.cli", "env", "--as", "account-b-admin").stdout
    port = str(sandbox.config.redshift_port)
    done = subprocess.run(
        ["bash", "-c", f'{exports}\nexec "$0" -c "$1" "$2"', sys.executable, LOGIN, port],
        env={"PATH": "/usr/bin:/bin", "SSL_CERT_FILE": "/etc/ssl/certs/ca-certificates.crt"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "shell",
    [
        PROXY,
        {**PROXY, "no_proxy": "intranet.example"},
        {"AWS_ACCESS_KEY_ID": "AKIAREAL", "AWS_SECRET_ACCESS_KEY": "real"},
        {"AWS_PROFILE": "work", "AWS_CA_BUNDLE": "/nowhere.pem"},
    ],
)
def test_dotenv_makes_a_client_the_orchestrator_in_any_shell(
    sandbox: RunningSandbox, shell: dict[str, str]
) -> None:
    variables = {name: str(value) for name, value in dotenv_values(sandbox.folder / ".env").items()}
    done = subprocess.run(
        [sys.executable, "-c", WHO],
        env={**shell, **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "assumed-role/xacct-orchestrator-local" in done.stdout, done.stderr


# -- calls -------------------------------------------------------------------------------------


def test_calls_lists_requests_by_principal_and_those_of_services_separately(
    sandbox: RunningSandbox,
) -> None:
    config = sandbox.config
    since = datetime.now(UTC).isoformat()
    sandbox.client("account-a-admin", "s3").list_objects_v2(Bucket=config.input_bucket)
    with pytest.raises(ClientError):
        sandbox.client("developer", "s3").head_object(Bucket=config.input_bucket, Key="private")
    _as_redshift_at_an_unload(sandbox, "s3").list_objects_v2(Bucket="sample-opt-bucket-etl-local")
    done = sandbox.run("xacct_sandbox.cli", "calls", "--since", since, "--json")
    found = [
        (call["origin"], call["principal"], call["service"], call["operation"], call["resource"])
        for call in json.loads(done.stdout)
    ]
    role_b = "arn:aws:sts::222222222222:assumed-role/xacct-RoleB-local/test"
    role_a = "arn:aws:sts::111111111111:assumed-role/xacct-RoleA-local/unload"
    assert found == [
        (
            *("caller", "arn:aws:iam::111111111111:user/admin", "s3", "ListObjectsV2"),
            "sample-inp-bucket-etl-local/",
        ),
        (
            *("caller", "arn:aws:iam::222222222222:user/developer", "s3", "HeadObject"),
            "sample-inp-bucket-etl-local/private",
        ),
        (
            *("redshift", role_b, "sts", "AssumeRole"),
            "arn:aws:iam::111111111111:role/xacct-RoleA-local",
        ),
        ("redshift", role_a, "s3", "ListObjectsV2", "sample-opt-bucket-etl-local/"),
    ]
    statuses = [call["status"] for call in json.loads(done.stdout)]
    assert statuses == [200, 403, 200, 200]
    output = sandbox.run("xacct_sandbox.cli", "calls", "--since", since).stdout
    assert "4 requests, 2 of them by AWS services themselves" in output
    assert sandbox.run("xacct_sandbox.cli", "calls", "--since", "soon", check=False).returncode == 2


def _as_redshift_at_an_unload(sandbox: RunningSandbox, service: str) -> Any:
    """A client with the credentials of Redshift at the end of its role chain."""
    region, account = sandbox.config.region, sandbox.config.account_b
    user = f"arn:aws:redshift:{region}:{account}:dbuser:serverless-{account}-n/xacct_local"
    role_b = call_daemon(
        sandbox.config,
        "/_sandbox/service-role",
        {
            "service": "redshift.amazonaws.com",
            "role_arn": f"arn:aws:iam::{account}:role/xacct-RoleB-local",
            "source_arn": f"arn:aws:redshift-serverless:{region}:{account}:namespace/n",
            "external_id": user,
            "session_name": "test",
        },
    )
    first = boto3.Session(
        role_b["access_key_id"], role_b["secret_access_key"], role_b["session_token"], region
    )
    role_a = sandbox.client_of(first, "sts").assume_role(
        RoleArn=f"arn:aws:iam::{sandbox.config.account_a}:role/xacct-RoleA-local",
        RoleSessionName="unload",
        ExternalId=user,
    )["Credentials"]
    last = boto3.Session(
        role_a["AccessKeyId"], role_a["SecretAccessKey"], role_a["SessionToken"], region
    )
    return sandbox.client_of(last, service)


# -- the console -------------------------------------------------------------------------------


def console_page(sandbox: RunningSandbox, target: str, **headers: str) -> tuple[int, str]:
    """Status and body of a page."""
    request = urllib.request.Request(sandbox.config.console_url + target, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return int(answer.status), answer.read().decode()
    except urllib.error.HTTPError as refusal:
        return refusal.code, refusal.read().decode()


def test_the_console_is_served_by_this_machines_own_names_only(sandbox: RunningSandbox) -> None:
    assert console_page(sandbox, "/")[0] == 200
    assert console_page(sandbox, "/", Host="evil.example")[0] == 403


@pytest.mark.parametrize(
    "target", ["/sample-inp-bucket-etl-local/", "/_sandbox/health", "/_ministack/config"]
)
def test_the_services_are_not_served_without_tls(sandbox: RunningSandbox, target: str) -> None:
    status, body = console_page(sandbox, target)
    assert status == 404
    assert "The sandbox has no page" in body


def test_no_page_of_the_console_shows_a_secret(sandbox: RunningSandbox) -> None:
    password = "Canary1in2a3statement"
    sandbox.client("account-b-admin", "redshift-data").execute_statement(
        WorkgroupName="xacct-local",
        Database="dev",
        SecretArn="xacct/redshift-local",
        Sql=f"CREATE USER nobody PASSWORD '{password}'",
    )
    pages = [console_page(sandbox, target) for target in ("/", "/requests")]
    assert [status for status, _ in pages] == [200, 200]
    assert "CREATE USER nobody PASSWORD &#x27;***&#x27;" in pages[1][1]
    for secret in secret_scan.secrets_of(sandbox.config.home, [password]):
        assert not [body for _, body in pages if secret.value in body], secret.name


# -- times -------------------------------------------------------------------------------------


def test_a_statement_takes_its_fixed_time(sandbox: RunningSandbox) -> None:
    data = sandbox.client("account-b-admin", "redshift-data")
    secret = "xacct/redshift-local"
    try:
        assert sandbox.run("xacct_sandbox.cli", "times", "statement=0.4").stdout == (
            "statement=0.4\n"
        )
        given = data.execute_statement(
            WorkgroupName="xacct-local", Database="dev", SecretArn=secret, Sql="SELECT 1"
        )
        described = data.describe_statement(Id=given["Id"], WaitTimeSeconds=20)
        assert described["Status"] == "FINISHED"
        assert described["Duration"] >= 0.4e9
        refused = sandbox.run("xacct_sandbox.cli", "times", "statements=1", check=False)
        assert refused.returncode == 1
        assert "statement=SECONDS" in refused.stderr
    finally:
        sandbox.run("xacct_sandbox.cli", "times", "true")
    assert sandbox.run("xacct_sandbox.cli", "times").stdout == "true\n"


# -- land --------------------------------------------------------------------------------------


def objects(sandbox: RunningSandbox, prefix: str) -> dict[str, bytes]:
    s3 = sandbox.client("account-a-admin", "s3")
    bucket = sandbox.config.input_bucket
    listed = s3.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])
    return {
        entry["Key"]: s3.get_object(Bucket=bucket, Key=entry["Key"])["Body"].read()
        for entry in listed
    }


@pytest.fixture(scope="module", autouse=True)
def _landed_files_are_removed(sandbox: RunningSandbox) -> Iterator[None]:
    """Other tests crawl the same bucket."""
    yield
    s3 = sandbox.client("account-a-admin", "s3")
    for prefix in ("products/2020/", "orders/2020/", "products/2026/01/01/_hidden.csv"):
        for key in objects(sandbox, prefix):
            s3.delete_object(Bucket=sandbox.config.input_bucket, Key=key)


def test_land_puts_generated_days_where_the_feed_looks(sandbox: RunningSandbox) -> None:
    landed = sandbox.run(
        *("xacct_sandbox.cli", "land", "--date", "2020-02-29"),
        *("--days", "2", "--rows", "150", "--seed", "4"),
    )
    found = objects(sandbox, "products/2020/")
    assert found == {
        f"products/2020/{day:%m/%d}/products.csv": b"".join(ProductFile(4, day, 150).chunks())
        for day in (date(2020, 2, 29), date(2020, 3, 1))
    }
    assert (
        "NOTE: the pipeline does not load all of this: 2020-02-29 to 2020-03-01 are not days of "
        "feed products (it starts 2026-01-01 and its last day is "
    ) in landed.stdout


def test_land_says_nothing_of_days_that_the_feed_has(sandbox: RunningSandbox) -> None:
    landed = sandbox.run(
        *("xacct_sandbox.cli", "land", "--date", "2026-01-01", "--rows", "1"),
        *("--key", "_hidden.csv"),
    )
    assert "NOTE" not in landed.stdout


def test_land_spreads_a_day_over_files_that_share_no_row(sandbox: RunningSandbox) -> None:
    sandbox.run(
        *("xacct_sandbox.cli", "land", "--date", "2020-04-01"),
        *("--rows", "10", "--files", "3", "--key", "part.csv"),
    )
    found = objects(sandbox, "products/2020/04/01/")
    assert [key.rpartition("/")[2] for key in found] == [
        "part-001.csv",
        "part-002.csv",
        "part-003.csv",
    ]
    rows = [row for body in found.values() for row in csv.reader(io.StringIO(body.decode()))]
    keys = [row[0] for row in rows if row[0] != "id"]
    assert len(keys) == len(set(keys)) == 10


def test_land_takes_a_file_as_it_is(sandbox: RunningSandbox, tmp_path: Path) -> None:
    path = tmp_path / "anything.csv.gz"
    path.write_bytes(b"\x00not gzip\xff")
    landed = sandbox.run(
        *("xacct_sandbox.cli", "land", "--file", str(path)),
        *("--date", "2020-05-01", "--feed", "orders"),
    )
    assert "There is no feed 'orders'" in landed.stdout
    assert objects(sandbox, "orders/2020/") == {
        "orders/2020/05/01/anything.csv.gz": b"\x00not gzip\xff"
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--file", "/nowhere.csv"), "/nowhere.csv"),
        (("--feed", "orders"), "--file"),
        (("--file", "/dev/null", "--rows", "3"), "--rows"),
        (("--rows", "2", "--files", "3"), "2 rows"),
    ],
)
def test_land_refuses_contradictory_options_by_name(
    sandbox: RunningSandbox, arguments: tuple[str, ...], message: str
) -> None:
    refused = sandbox.run("xacct_sandbox.cli", "land", *arguments, check=False)
    assert refused.returncode == 1
    assert message in refused.stderr
    assert "Traceback" not in refused.stderr


# -- the emulator ------------------------------------------------------------------------------

OTHER_EMULATOR = """
import ministack.services.s3 as s3
del s3._foreign_bucket_allows
from xacct_sandbox import emulator
from xacct_sandbox.daemon.config import SandboxConfig, SandboxError
from pathlib import Path
import sys
try:
    emulator.boot(SandboxConfig(home=Path(sys.argv[1])))
except SandboxError as refusal:
    print(refusal)
"""


def test_an_emulator_without_a_hook_is_refused_by_the_name_of_the_hook(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", OTHER_EMULATOR, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "has no ministack.services.s3._foreign_bucket_allows" in done.stdout, done.stderr
    assert "ministack 1." in done.stdout
