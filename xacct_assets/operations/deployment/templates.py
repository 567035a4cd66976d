"""Reads this repository's CloudFormation templates: what a resource is with given parameters.

Resolves the functions that infra/*.yaml use. What only AWS knows (the random end of an ARN) is
`UNKNOWN`, unless the caller names it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import yaml

NO_VALUE: Final = object()
"""Stands for ``AWS::NoValue``: the property, or the entry of a list, is left out."""


class Unknown:
    """A value that only AWS knows; it is compared with nothing."""

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN: Final = Unknown()


# PyYAML's loader in C, where it has one, takes a third of the time.
_SafeLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _TemplateLoader(_SafeLoader):  # type: ignore[misc]
    """Reads CloudFormation's short forms: ``!Ref x`` as ``{"Ref": x}``."""


def _short_form(loader: yaml.SafeLoader, tag: str, node: yaml.Node) -> dict[str, Any]:
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        assert isinstance(node, yaml.MappingNode)
        value = loader.construct_mapping(node, deep=True)
    return {tag if tag == "Ref" else f"Fn::{tag}": value}


_TemplateLoader.add_multi_constructor("!", _short_form)


def parse(template: str) -> dict[str, Any]:
    """The template, with its functions in the long form."""
    # SafeLoader with constructors for the short forms, which make plain dictionaries.
    return dict(yaml.load(template, Loader=_TemplateLoader))  # noqa: S506


class Template:
    """A template with its parameters.

    Args:
        text: of the template.
        parameters: values; of those that are missing, the template's defaults are taken.
        pseudo: values of ``AWS::Region`` and its like.
        known: values that only AWS knows: ``Resource`` for a Ref, ``Resource.Attribute`` for a
            GetAtt.
    """

    def __init__(
        self,
        text: str,
        parameters: Mapping[str, str],
        pseudo: Mapping[str, str],
        known: Mapping[str, str] | None = None,
    ) -> None:
        document = parse(text)
        self._resources: dict[str, Any] = document["Resources"]
        self._conditions: dict[str, Any] = document.get("Conditions", {})
        self._values: dict[str, Any] = {**pseudo, "AWS::NoValue": NO_VALUE}
        for name, declared in document.get("Parameters", {}).items():
            value = str(parameters.get(name, declared.get("Default", "")))
            if declared["Type"] == "CommaDelimitedList":
                self._values[name] = [part.strip() for part in value.split(",")] if value else []
            else:
                self._values[name] = value
        self._known = dict(known or {})

    def properties(self, logical_id: str) -> dict[str, Any]:
        """The properties of a resource."""
        return dict(self.resolve(self._resources[logical_id]["Properties"]))

    def makes(self, logical_id: str) -> bool:
        """Whether the condition of a resource holds, if it has one."""
        condition = self._resources[logical_id].get("Condition")
        return condition is None or self._condition(condition)

    def resolve(self, value: Any) -> Any:
        """The value with its functions evaluated."""
        if isinstance(value, list):
            items = [self.resolve(item) for item in value]
            return [item for item in items if item is not NO_VALUE]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            (name, argument), *_ = value.items()
            if name == "Ref" or name.startswith("Fn::"):
                return self._function(name, argument)
        resolved = {key: self.resolve(item) for key, item in value.items()}
        return {key: item for key, item in resolved.items() if item is not NO_VALUE}

    def _function(self, name: str, argument: Any) -> Any:
        if name == "Ref":
            return self._ref(argument)
        if name == "Fn::Sub":
            return self._sub(argument)
        if name == "Fn::If":
            condition, yes, no = argument
            return self.resolve(yes if self._condition(condition) else no)
        if name == "Fn::GetAtt":
            return self._attribute(argument)
        if name == "Fn::Join":
            parts = self.resolve(argument[1])
            return UNKNOWN if UNKNOWN in parts else argument[0].join(parts)
        if name == "Fn::Equals":
            first, second = self.resolve(argument)
            return first == second
        if name == "Fn::Not":
            return not self.resolve(argument[0])
        if name in ("Fn::And", "Fn::Or"):
            return (all if name == "Fn::And" else any)(self.resolve(argument))
        return UNKNOWN

    def _condition(self, name: str) -> bool:
        return bool(self.resolve(self._conditions[name]))

    def _ref(self, name: str) -> Any:
        if name in self._values:
            return self._values[name]
        if name in self._known:
            return self._known[name]
        properties = self._resources[name].get("Properties", {})
        if "TopicName" in properties:
            return self._arn("sns", self.resolve(properties["TopicName"]))
        # Ref of these types is the name (CloudFormation user guide, "Return values").
        for key in ("BucketName", "RoleName", "NamespaceName", "WorkgroupName", "Name"):
            if key in properties and self._resources[name]["Type"] not in _REF_IS_NO_NAME:
                return self.resolve(properties[key])
        return UNKNOWN

    def _attribute(self, argument: Any) -> Any:
        path = argument if isinstance(argument, str) else ".".join(argument)
        if path in self._known:
            return self._known[path]
        name, _, attribute = path.partition(".")
        properties = self._resources[name].get("Properties", {})
        if attribute == "Arn" and "RoleName" in properties:
            return self._arn("iam", f"role/{self.resolve(properties['RoleName'])}", region="")
        if attribute == "Arn" and "QueueName" in properties:
            return self._arn("sqs", self.resolve(properties["QueueName"]))
        return UNKNOWN

    def _arn(self, service: str, resource: str, region: str | None = None) -> str:
        partition, here, account = (
            self._values[f"AWS::{key}"] for key in ("Partition", "Region", "AccountId")
        )
        return (
            f"arn:{partition}:{service}:{here if region is None else region}:{account}:{resource}"
        )

    def _sub(self, argument: Any) -> Any:
        text, own = (argument, {}) if isinstance(argument, str) else argument
        values = {key: self.resolve(value) for key, value in own.items()}
        names = re.findall(r"\$\{([\w:.]+)\}", text)
        for name in names:
            if name not in values:
                values[name] = self._attribute(name) if "." in name else self._ref(name)
        if any(isinstance(values[name], Unknown) for name in names):
            return UNKNOWN
        return re.sub(r"\$\{([\w:.]+)\}", lambda match: str(values[match[1]]), text)


_REF_IS_NO_NAME = ("AWS::SecretsManager::Secret", "AWS::SQS::Queue")
