"""Every change that replaces a resource is shown by name; cfn-lint's schemas are the judge."""

from __future__ import annotations

from typing import Any

import pytest
from cfnlint.schema import PROVIDER_SCHEMA_MANAGER

from tests.pipeline.unit.operations.deployment.conftest import Installation
from tests.support.fakes.templates import at, load_template
from xacct_assets.operations.deployment import plan
from xacct_assets.operations.deployment.changes import GUARDED, UNREADABLE
from xacct_assets.operations.deployment.plan import NETWORK_OF_B
from xacct_assets.sources import sources_root
from xacct_sandbox.emulator.stacks.schemas import CREATE_ONLY

ROOT = sources_root()
FILES = ("network", "account_a", "account_b", "feed")
TEMPLATES = {file: load_template(plan.template(ROOT, f"{file}.yaml")) for file in FILES}
ORCHESTRATOR = load_template(plan.template(ROOT, "orchestrator.yaml"))
TYPES = sorted(
    {
        resource["Type"]
        for template in (*TEMPLATES.values(), ORCHESTRATOR)
        for resource in template["Resources"].values()
    }
)


@pytest.mark.parametrize("type_", TYPES)
def test_every_type_that_cannot_be_read_back_is_known(type_: str) -> None:
    schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", type_).schema
    assert "read" in schema["handlers"] or type_ in UNREADABLE


def parameters() -> list[tuple[str, str]]:
    return [(file, name) for file in FILES for name in TEMPLATES[file]["Parameters"]]


def uses(node: Any, parameter: str) -> bool:
    """Whether a parameter occurs in a part of a template."""
    if isinstance(node, dict):
        return node == {"Ref": parameter} or any(uses(value, parameter) for value in node.values())
    if isinstance(node, list):
        return any(uses(item, parameter) for item in node)
    return isinstance(node, str) and f"${{{parameter}}}" in node


def replaced_by(file: str, parameter: str) -> set[str]:
    """Resources with a create-only property that is made of the parameter."""
    return {
        name
        for name, resource in TEMPLATES[file]["Resources"].items()
        for path in CREATE_ONLY[resource["Type"]]
        if uses(at(resource.get("Properties", {}), path), parameter)
    }


VALUES = {
    "AccountAId": "333333333333",
    "AccountBId": "444444444444",
    "AvailabilityZones": "us-east-1d,us-east-1e,us-east-1f",
    "NatGateway": "true",
    "OrchestratorCidr": "10.9.0.0/16",
    "PublicSubnets": "true",
    "WarehouseCidr": "10.8.0.0/16",
}


@pytest.mark.parametrize(("file", "parameter"), parameters())
def test_every_parameter_that_replaces_a_resource_is_asked_about_by_its_name(
    installation: Installation, file: str, parameter: str
) -> None:
    if parameter in NETWORK_OF_B:
        installation.change_settings(network="own")
    installation.deploy()
    expected = replaced_by(file, parameter)
    account = installation.accounts.a if file == "account_a" else installation.accounts.b
    settings = installation.settings
    name = {
        "account_a": settings.stack_a,
        "account_b": settings.stack_b,
        "network": settings.stack_network,
    }
    stack = account.cloudformation.stacks[name.get(file, "xacct-feed-products-test")]
    expected &= set(stack["resources"])
    ids = {logical_id: stack["resources"][logical_id]["id"] for logical_id in expected}
    guarded = [
        resource["id"] for resource in stack["resources"].values() if resource["type"] in GUARDED
    ]
    installation.overrides = {parameter: VALUES.get(parameter, "7771")}
    installation.answer = False
    # Every loss is allowed, and the question is answered with no.
    allowed = [*guarded, *_all_guarded(installation)]
    assert installation.deploy(*allowed) == "declined" or not expected
    for logical_id, id_ in ids.items():
        shown = [line for line in installation.shown if f"replaced: {logical_id} " in line]
        assert shown, f"{logical_id} is replaced, and not shown"
        assert any(id_ in line or "secret" in id_ for line in shown)


def _all_guarded(installation: Installation) -> list[str]:
    return [
        resource["id"]
        for account in (installation.accounts.a, installation.accounts.b)
        for stack in account.cloudformation.stacks.values()
        for resource in stack["resources"].values()
    ]


def feed_settings() -> list[tuple[str, str]]:
    return [
        ("source", "prefix"),
        ("catalog", "database"),
        ("load", "worker_type"),
        ("load", "number_of_workers"),
        ("load", "timeout_minutes"),
        ("load", "max_concurrent_runs"),
        ("export", "prefix"),
        ("warehouse", "staging"),
        ("warehouse", "fact"),
        ("warehouse", "procedure"),
    ]


@pytest.mark.parametrize(("part", "field"), feed_settings())
def test_every_feed_setting_that_changes_a_resource_is_asked_about(
    installation: Installation, part: str, field: str
) -> None:
    installation.deploy()
    installation.change_feed(
        lambda feed: feed.model_copy(
            update={part: getattr(feed, part).model_copy(update={field: "7771"})}
        )
    )
    installation.answer = False
    assert installation.deploy() == "declined"
    # The crawler's target is fixed; the other settings change what is there.
    assert installation.has("replaced: Crawler ") == ((part, field) == ("source", "prefix"))
