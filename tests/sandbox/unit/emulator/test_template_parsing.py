"""CloudFormation's YAML is read by libyaml, to the same values as by ministack's own loader."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.sandbox.unit.emulator.conftest import B, InProcess
from tests.support.project import ROOT

TEMPLATES = sorted((ROOT / "infra").glob("*.yaml"))
SHORT_FORMS = """
Getting: [!GetAtt One.Arn, !GetAtt [One, Arn], !GetAtt One]
Joining: !Join [",", [!Ref One, !Sub "${One}-x", !Sub ["${y}", {y: !Ref One}]]]
Choosing: !If [IsOne, !Ref "AWS::NoValue", !FindInMap [Map, key, value]]
Deciding: !And [!Not [!Equals [a, b]], !Condition Other, !Or [!Condition C, !Condition D]]
Dates: [2012-10-17, 2012-10-17 10:00:00, "2012-10-17"]
Scalars: [yes, 1, 1.5, 0x1f, 1_000, ~, "1", 'é "x"', !Base64 text]
Anchors: {first: &first {a: 1}, second: *first, third: {<<: *first, b: 2}}
Block: |
  one
    two
Folded: >-
  one
  two
"""


@pytest.fixture
def parse(aws: InProcess) -> Any:
    from ministack.services.cloudformation import engine

    return engine._parse_template


def as_ministack_reads_it(text: str) -> Any:
    from ministack.services.cloudformation import engine

    class Loader(yaml.SafeLoader):
        yaml_constructors = engine.CfnLoader.yaml_constructors
        yaml_implicit_resolvers = engine.CfnLoader.yaml_implicit_resolvers

    return yaml.load(text, Loader)


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.stem)
def test_each_template_of_the_project_reads_the_same(parse: Any, template: Path) -> None:
    text = template.read_text(encoding="utf-8")
    assert parse(text) == as_ministack_reads_it(text)


def test_each_short_form_reads_the_same(parse: Any) -> None:
    found = parse(SHORT_FORMS)
    assert found == as_ministack_reads_it(SHORT_FORMS)
    assert found["Getting"] == [{"Fn::GetAtt": ["One", end]} for end in ("Arn", "Arn", "")]
    assert found["Dates"] == ["2012-10-17", "2012-10-17 10:00:00", "2012-10-17"]


def test_templates_are_read_by_libyaml(aws: InProcess) -> None:
    from ministack.services.cloudformation import engine

    assert issubclass(engine.CfnLoader, yaml.CSafeLoader)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("Resources:\n  A: [1, 2\n", "line 3, column 1"),
        ("Resources:\n\tA: 1\n", "line 2, column 1"),
        ("Resources: !Unknown x\n", "!Unknown"),
    ],
)
def test_a_template_that_is_not_yaml_is_refused_with_the_place(
    aws: InProcess, text: str, place: str
) -> None:
    answer = aws.query_call(
        aws.keys[B], "cloudformation", Action="ValidateTemplate", TemplateBody=text
    )
    assert answer.status == 400
    assert place in answer.body.decode()
