"""Evaluates CloudFormation templates, as far as those in ``infra/`` go."""

from __future__ import annotations

import functools
import ipaddress
import itertools
import re
from collections.abc import Mapping
from typing import Any

import yaml

from xacct_sandbox.emulator.authorization.stack_resources import RESOURCE_TYPES


class _Loader(yaml.CSafeLoader):
    pass


def _construct(loader: _Loader, tag: str, node: yaml.Node) -> dict[str, Any]:
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    return {tag if tag in ("Ref", "Condition") else f"Fn::{tag}": value}


_Loader.add_multi_constructor("!", _construct)


@functools.cache
def load_template(text: str) -> dict[str, Any]:
    """The template, with intrinsic functions in their long form; it must not be changed."""
    return yaml.load(text, _Loader)


def at(properties: Mapping[str, Any], path: str) -> Any:
    """The value at a dotted path; None if there is none."""
    node: Any = properties
    for part in path.split("."):
        node = node.get(part) if isinstance(node, dict) else None
    return node


class Evaluation:
    """A template with values for its parameters.

    Args:
        template: as `load_template` gives it.
        parameters: values by name; the others have the template's defaults.
        account: id of the account.

    Attributes:
        resources: type, physical id and properties of each resource, by logical id.
        outputs: value by name.
    """

    def __init__(
        self, template: Mapping[str, Any], parameters: Mapping[str, str], account: str
    ) -> None:
        self._account = account
        self.parameters = {
            name: str(parameters.get(name, declared.get("Default")))
            for name, declared in template["Parameters"].items()
        }
        assert set(parameters) <= set(template["Parameters"])
        self._lists = {
            name
            for name, declared in template["Parameters"].items()
            if declared["Type"] == "CommaDelimitedList"
        }
        self._conditions = template.get("Conditions", {})
        self._definitions = {
            name: definition
            for name, definition in template["Resources"].items()
            if "Condition" not in definition or self._holds(definition["Condition"])
        }
        self.resources = {
            name: {
                "type": definition["Type"],
                "id": self._id(name),
                "properties": self._resolve(definition.get("Properties", {})),
                "retained": definition.get("DeletionPolicy") == "Retain",
            }
            for name, definition in self._definitions.items()
        }
        self.outputs = {
            name: self._resolve(output["Value"])
            for name, output in template["Outputs"].items()
            if "Condition" not in output or self._holds(output["Condition"])
        }

    def _holds(self, condition: str) -> bool:
        return bool(self._resolve(self._conditions[condition]))

    def _id(self, logical_id: str) -> str:
        definition = self._definitions[logical_id]
        properties = definition.get("Properties", {})
        path = RESOURCE_TYPES[definition["Type"]].name
        name = self._resolve(at(properties, path)) if path else None
        if definition["Type"] == "AWS::S3::BucketPolicy":
            name = self._resolve(properties["Bucket"])
        if definition["Type"] == "AWS::SecretsManager::Secret":
            name = name or f"{logical_id}-generated"
            return f"arn:aws:secretsmanager:us-east-1:{self._account}:secret:{name}-AbC123"
        return str(name or logical_id)

    def _resolve(self, node: Any) -> Any:
        if isinstance(node, list):
            resolved = [self._resolve(item) for item in node]
            return [item for item in resolved if item is not None]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            ((name, value),) = node.items()
            function = getattr(self, "_" + name.removeprefix("Fn::").lower(), None)
            if function and (name in ("Ref", "Condition") or name.startswith("Fn::")):
                return function(value)
        resolved = {key: self._resolve(value) for key, value in node.items()}
        return {key: value for key, value in resolved.items() if value is not None}

    def _ref(self, name: str) -> Any:
        pseudo = {
            "AWS::AccountId": self._account,
            "AWS::Region": "us-east-1",
            "AWS::Partition": "aws",
            "AWS::URLSuffix": "amazonaws.com",
        }
        if name == "AWS::NoValue":
            return None
        if name in self._lists:
            return self.parameters[name].split(",")
        if name in self.parameters:
            return self.parameters[name]
        return pseudo.get(name) or self._id(name)

    def _getatt(self, path: str) -> str:
        logical_id, _, attribute = path.partition(".")
        type_, name = self._definitions[logical_id]["Type"], self._id(logical_id)
        services = {
            "AWS::ECR::Repository": ("ecr", "repository/"),
            "AWS::ECS::Cluster": ("ecs", "cluster/"),
            "AWS::IAM::Role": ("iam", "role/"),
            "AWS::KMS::Key": ("kms", "key/"),
            "AWS::RedshiftServerless::Namespace": ("redshift-serverless", "namespace/"),
            "AWS::RedshiftServerless::Workgroup": ("redshift-serverless", "workgroup/"),
            "AWS::SNS::Topic": ("sns", ""),
            "AWS::SQS::Queue": ("sqs", ""),
        }
        if type_ not in services or not attribute.endswith("Arn"):
            return f"{name}.{attribute}"
        service, kind = services[type_]
        region = "" if service == "iam" else "us-east-1"
        return f"arn:aws:{service}:{region}:{self._account}:{kind}{name}"

    def _sub(self, value: Any) -> str:
        text, local = (value, {}) if isinstance(value, str) else value
        known = {name: self._resolve(given) for name, given in local.items()}
        return re.sub(
            r"\$\{([\w:]+)\}", lambda match: str(known.get(match[1]) or self._ref(match[1])), text
        )

    def _if(self, value: list[Any]) -> Any:
        return self._resolve(value[1] if self._holds(value[0]) else value[2])

    def _equals(self, value: list[Any]) -> bool:
        first, second = (self._resolve(item) for item in value)
        return bool(first == second)

    def _not(self, value: list[Any]) -> bool:
        return not self._resolve(value[0])

    def _condition(self, value: str) -> bool:
        return self._holds(value)

    def _and(self, value: list[Any]) -> bool:
        return all(self._resolve(item) for item in value)

    def _split(self, value: list[Any]) -> list[str]:
        return str(self._resolve(value[1])).split(value[0])

    def _or(self, value: list[Any]) -> bool:
        return any(self._resolve(item) for item in value)

    def _select(self, value: list[Any]) -> Any:
        items = self._resolve(value[1])
        return (items if isinstance(items, list) else items.split(","))[int(value[0])]

    def _getazs(self, _value: Any) -> list[str]:
        return [f"us-east-1{letter}" for letter in "abc"]

    def _cidr(self, value: list[Any]) -> list[str]:
        block, count, bits = (self._resolve(item) for item in value)
        subnets = ipaddress.ip_network(block).subnets(new_prefix=32 - int(bits))
        return [str(subnet) for subnet in itertools.islice(subnets, int(count))]

    def _join(self, value: list[Any]) -> str:
        items = self._resolve(value[1])
        return str(value[0]).join([items] if isinstance(items, str) else items)
