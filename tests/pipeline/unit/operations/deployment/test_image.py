"""The orchestrator's stack: when it is made, and which image its tasks get."""

from __future__ import annotations

import pytest

from tests.pipeline.unit.operations.deployment.conftest import Installation
from xacct_assets.operations.deployment import image
from xacct_assets.operations.deployment.accounts import Accounts

REGISTRY = "222222222222.dkr.ecr.us-east-1.amazonaws.com/xacct-test"
DIGEST = f"@sha256:{'0' * 64}"


@pytest.mark.parametrize(
    "good", [f"{REGISTRY}:3f2a9c1", f"{REGISTRY}{DIGEST}", f"{REGISTRY}:1.0{DIGEST}", "a:5000/b:1"]
)
def test_a_tag_that_stays_or_a_digest_is_taken(good: str) -> None:
    assert image.problem_of(good) is None


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (f"{REGISTRY}:latest", "moves"),
        (f"{REGISTRY}:main", "moves"),
        (REGISTRY, "REGISTRY/NAME:TAG"),
        ("xacct", "REGISTRY/NAME:TAG"),
        (f"{REGISTRY}@sha256:12", "REGISTRY/NAME:TAG"),
        (f"{REGISTRY}:a b", "REGISTRY/NAME:TAG"),
        ("", "REGISTRY/NAME:TAG"),
    ],
)
def test_what_may_be_another_image_tomorrow_is_refused(bad: str, reason: str) -> None:
    assert reason in str(image.problem_of(bad))


def test_the_orchestrator_is_made_last_and_says_how_to_get_an_image(
    installation: Installation,
) -> None:
    installation.deploy()
    made = [line for line in installation.shown if line.endswith(": created")]
    assert "xacct-orchestrator-test" in made[-1]
    settings = installation.settings
    steps = image.how_to_give_one(settings, Accounts(settings).sessions["b"])
    assert any(line.strip().startswith("docker build ") for line in steps)
    assert steps[-1].strip() == "xacct deploy --image $image"
    parameters = installation.accounts.b.cloudformation.stacks[settings.stack_orchestrator][
        "parameters"
    ]
    assert (
        parameters["SubnetIds"]
        == installation.accounts.b.cloudformation.stacks[settings.stack_network]["outputs"][
            "OrchestratorSubnetIds"
        ]
    )


def test_an_image_makes_the_tasks_and_later_deployments_keep_it(
    installation: Installation,
) -> None:
    installation.overrides = {image.PARAMETER: f"{REGISTRY}:1"}
    installation.deploy()
    installation.overrides = {}
    installation.deploy()
    things = installation.accounts.b.things
    services = {id_ for type_, id_ in things if type_ == "AWS::ECS::Service"}
    assert services == {"code-location", "daemon", "webserver"}
    settings = installation.settings
    assert image.how_to_give_one(settings, Accounts(settings).sessions["b"]) == []


def test_a_dagster_of_ones_own_gets_no_stack(installation: Installation) -> None:
    installation.change_settings(orchestrator="own")
    installation.deploy()
    settings = installation.settings
    assert settings.stack_orchestrator not in installation.accounts.b.cloudformation.stacks
    assert image.how_to_give_one(settings, Accounts(settings).sessions["b"]) == []


def test_destroy_takes_it_down_too(installation: Installation) -> None:
    installation.deploy()
    installation.destroy(*installation.buckets, final_snapshot=False)
    assert not [id_ for type_, id_ in installation.accounts.b.things if "RDS" in type_]
