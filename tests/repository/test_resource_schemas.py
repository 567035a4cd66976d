"""What the sandbox says of CloudFormation's resource types is what their schemas say.

cfn-lint carries the schemas of the CloudFormation registry.
"""

from __future__ import annotations

import pytest
from cfnlint.schema import PROVIDER_SCHEMA_MANAGER

from xacct_sandbox.emulator.authorization.stack_resources import RESOURCE_TYPES
from xacct_sandbox.emulator.stacks.schemas import CREATE_ONLY


def create_only(type_name: str) -> set[str]:
    """The properties that replace a resource, by its schema; a dot leads into one."""
    document = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", type_name).schema
    paths = document.get("createOnlyProperties", [])
    return {path.removeprefix("/properties/").replace("/", ".") for path in paths}


def test_every_type_of_the_sandbox_has_its_create_only_properties() -> None:
    assert set(CREATE_ONLY) == set(RESOURCE_TYPES)


@pytest.mark.parametrize("type_name", sorted(CREATE_ONLY))
def test_the_create_only_properties_are_those_of_the_schema(type_name: str) -> None:
    assert set(CREATE_ONLY[type_name]) == create_only(type_name)
