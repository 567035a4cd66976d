"""Dockerfile, dagster.yaml, workspace.yaml and the task definitions fit together."""

from __future__ import annotations

import importlib.util
import re
import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.support.fakes.templates import Evaluation, load_template
from tests.support.project import ROOT

DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
TEMPLATE = load_template((ROOT / "infra" / "orchestrator.yaml").read_text(encoding="utf-8"))
TASKS = ("RunTask", "CodeLocationTask", "DaemonTask", "WebserverTask")
SERVICES = ("CodeLocationService", "DaemonService", "WebserverService")
PUBLIC = {
    "PublicHostName": "ui.example.com",
    "PublicSubnetIds": "subnet-8,subnet-9",
    "CertificateArn": "arn:aws:acm:us-east-1:222222222222:certificate/1",
    "OidcIssuer": "https://login.example.com",
    "OidcAuthorizationEndpoint": "https://login.example.com/authorize",
    "OidcTokenEndpoint": "https://login.example.com/token",
    "OidcUserInfoEndpoint": "https://login.example.com/userinfo",
    "OidcClientId": "client",
    "OidcClientSecretArn": "arn:aws:secretsmanager:us-east-1:222222222222:secret:oidc",
}


def resources(**parameters: str) -> dict[str, Any]:
    values = {
        name: parameters.get(name, str(declared.get("Default", name.lower())))
        for name, declared in TEMPLATE["Parameters"].items()
    }
    return Evaluation(TEMPLATE, values, "222222222222").resources


DEPLOYED = resources(Image="registry/xacct:1", **PUBLIC)


def container(task: str) -> dict[str, Any]:
    (found,) = DEPLOYED[task]["properties"]["ContainerDefinitions"]
    return dict(found)


def references(node: Any) -> Iterator[str]:
    """The environment variables that a settings file names."""
    if isinstance(node, dict):
        if set(node) == {"env"}:
            yield node["env"]
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


# -- the image ---------------------------------------------------------------------------------


def test_the_base_is_pinned_by_digest_and_the_packages_by_constraints() -> None:
    bases = re.findall(r"^(?:ARG BASE=|FROM )(\S+)", DOCKERFILE, re.MULTILINE)
    assert re.fullmatch(r"python:3\.11\.\d+-slim-\w+@sha256:[0-9a-f]{64}", bases[0])
    assert set(bases[1:]) == {"${BASE}"}
    assert "--constraint /tmp/install/constraints.txt" in DOCKERFILE


def test_every_package_of_the_image_is_pinned() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*extras["dependencies"], *extras["optional-dependencies"]["orchestrator"]]
    pinned = {
        line.partition("==")[0].lower().replace("_", "-")
        for line in (ROOT / "constraints.txt").read_text().splitlines()
    }
    names = {re.split(r"[<>=\[]", text)[0].lower().replace("_", "-") for text in wanted}
    assert names - pinned == set()


def test_the_image_is_nobodys_who_is_root_and_has_no_secret() -> None:
    users = re.findall(r"^USER (\S+)", DOCKERFILE, re.MULTILINE)
    assert users == ["10001:10001"]
    assert DOCKERFILE.index("\nUSER ") > DOCKERFILE.rindex("\nRUN ")
    assert not re.search(r"(?i)secret|password|token|aws_", DOCKERFILE.replace("nologin", ""))


def test_what_is_copied_is_let_through_by_dockerignore() -> None:
    allowed = {
        line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] == "!"
    }
    copied = {
        word.rstrip("/").partition("/")[0]
        for line in re.findall(r"^COPY (?!--from)(.+)", DOCKERFILE, re.MULTILINE)
        for word in line.split()[:-1]
        if not word.startswith("--")
    }
    assert copied == allowed
    assert all((ROOT / name).exists() for name in copied)


# -- the task definitions ----------------------------------------------------------------------


@pytest.mark.parametrize("task", TASKS)
def test_every_variable_that_the_settings_name_is_set(task: str) -> None:
    given = {entry["Name"] for entry in container(task)["Environment"]}
    given |= {entry["Name"] for entry in container(task)["Secrets"]}
    folder = ROOT / "orchestrator"
    settings = yaml.safe_load((folder / "dagster.yaml").read_text())
    # Runs and ticks start no run: only daemon and web server make the launcher.
    launcher = set(references(settings.pop("run_launcher")))
    needed = set(references(settings))
    if task in ("DaemonTask", "WebserverTask"):
        workspace = yaml.safe_load((folder / "workspace.yaml").read_text())
        needed |= launcher | set(references(workspace))
    assert needed - given == set()


@pytest.mark.parametrize("task", TASKS)
def test_a_task_is_not_root_and_writes_only_below_tmp(task: str) -> None:
    found = container(task)
    assert found["User"] == "10001:10001"
    assert found["ReadonlyRootFilesystem"] is True
    assert found["LinuxParameters"]["Capabilities"] == {"Drop": ["ALL"]}
    assert [point["ContainerPath"] for point in found["MountPoints"]] == ["/tmp"]
    assert found["Image"] == "registry/xacct:1"


@pytest.mark.parametrize("task", TASKS)
def test_secrets_are_references(task: str) -> None:
    for entry in container(task)["Environment"]:
        assert not re.search("PASSWORD|SECRET_ACCESS|TOKEN|ALERT_URLS", entry["Name"]), entry
    assert all(
        "arn:aws:secretsmanager:" in entry["ValueFrom"] for entry in container(task)["Secrets"]
    )


def test_the_runs_are_what_the_code_location_is() -> None:
    run, location = (DEPLOYED[task]["properties"] for task in ("RunTask", "CodeLocationTask"))
    assert run["TaskRoleArn"] == location["TaskRoleArn"]
    assert container("RunTask")["Environment"] == container("CodeLocationTask")["Environment"]
    launcher = yaml.safe_load((ROOT / "orchestrator" / "dagster.yaml").read_text())["run_launcher"]
    assert container("RunTask")["Name"] == launcher["config"]["container_name"]


def test_every_setting_of_the_pipeline_reaches_it() -> None:
    """Those of .env.example, besides what only the deploying machine or one machine needs."""
    documented = set(
        re.findall(r"^#?(XACCT_\w+)=", (ROOT / ".env.example").read_text(), re.MULTILINE)
    )
    elsewhere = {
        "XACCT_ACCOUNT_A_PROFILE",
        "XACCT_ACCOUNT_B_PROFILE",
        "XACCT_ORCHESTRATOR_TRUSTED_ARNS",
        "XACCT_WAREHOUSE_HOST",
        "XACCT_WAREHOUSE_PORT",
        "XACCT_ADOPT",
        "XACCT_ADMIN_SECRET",
        "XACCT_NETWORK",
        "XACCT_ORCHESTRATOR",
        "XACCT_INPUT_KEY",  # of buckets, secret and logs: `xacct deploy` sets them there
        "XACCT_PROCESSING_KEY",
        "XACCT_SECRET_KEY",
        "XACCT_LOG_KEY",
        "XACCT_UI_HOSTS",  # of the web server
        "XACCT_EXTRA_FEEDS_DIR",  # of an image with such a folder
        "XACCT_ARRIVAL_INTERVAL_SECONDS",  # of the feeds
        "XACCT_ARRIVAL_SETTLE_SECONDS",
        "XACCT_REDSHIFT_HOST",
        "XACCT_REDSHIFT_PORT",
        "XACCT_REDSHIFT_USER",
        "XACCT_REDSHIFT_PASSWORD",
    }
    every = resources(
        Image="registry/xacct:1",
        AlertUrlsSecretArn="arn:aws:secretsmanager:us-east-1:222222222222:secret:alerts",
        JsonSecretName="json",
        DagsterUrl="https://ui.example.com",
        ArrivalStartRunning="true",
        ExportKey="create",
    )
    (found,) = every["RunTask"]["properties"]["ContainerDefinitions"]
    given = {entry["Name"] for entry in [*found["Environment"], *found["Secrets"]]}
    assert documented - elsewhere - given == set()


def test_the_commands_exist() -> None:
    scripts = {"dagster", "dagster-daemon", "dagster-webserver"}
    for task in TASKS[1:]:
        for command in (container(task)["Command"], container(task)["HealthCheck"]["Command"][1:]):
            program, first, second, *_ = [*command, "", ""]
            assert program in scripts | {"python"}
            if (program, first) == ("python", "-m"):
                assert importlib.util.find_spec(second) is not None


@pytest.mark.parametrize("service", SERVICES)
def test_no_service_has_a_public_address(service: str) -> None:
    network = DEPLOYED[service]["properties"]["NetworkConfiguration"]["AwsvpcConfiguration"]
    assert network["AssignPublicIp"] == "DISABLED"


# -- who reaches the UI ------------------------------------------------------------------------


def test_without_sign_in_there_is_no_load_balancer_and_no_way_in() -> None:
    private = resources(Image="registry/xacct:1")
    assert not [r for r in private.values() if r["type"].startswith("AWS::ElasticLoadBalancing")]
    open_ports = [
        resource["properties"]["FromPort"]
        for resource in private.values()
        if resource["type"] == "AWS::EC2::SecurityGroupIngress"
    ]
    assert open_ports == [4000]  # among the tasks


def test_the_load_balancer_signs_in_before_it_forwards() -> None:
    actions = DEPLOYED["Listener"]["properties"]["DefaultActions"]
    assert [(action["Order"], action["Type"]) for action in actions] == [
        (1, "authenticate-oidc"),
        (2, "forward"),
    ]
    config = actions[0]["AuthenticateOidcConfig"]
    assert config["OnUnauthenticatedRequest"] == "authenticate"
    assert config["ClientSecret"].startswith("{{resolve:secretsmanager:")
    hosts = {e["Name"]: e["Value"] for e in container("WebserverTask")["Environment"]}
    assert "ui.example.com" in hosts["XACCT_UI_HOSTS"].split(",")


def test_half_a_sign_in_is_refused() -> None:
    """Each of the parameters is asserted with the others, both ways."""
    with_host, without_host = (
        TEMPLATE["Rules"][name]["Assertions"] for name in ("PublicUiHasSignIn", "SignInHasPublicUi")
    )
    others = set(PUBLIC) - {"PublicHostName"}
    assert {a["Assert"]["Fn::Not"][0]["Fn::Equals"][0]["Ref"] for a in with_host} == others
    # The network's stack gives its public subnets whether they are used or not.
    assert {a["Assert"]["Fn::Equals"][0]["Ref"] for a in without_host} == others - {
        "PublicSubnetIds"
    }


def test_without_an_image_everything_but_the_tasks_is_made() -> None:
    kinds = {resource["type"] for resource in resources().values()}
    assert {"AWS::ECR::Repository", "AWS::ECS::Cluster", "AWS::RDS::DBInstance"} <= kinds
    assert not {"AWS::ECS::TaskDefinition", "AWS::ECS::Service"} & kinds
