"""What a template makes of given parameters, as CloudFormation resolves it."""

from __future__ import annotations

import pytest

from tests.support.project import ROOT
from xacct_assets.operations.deployment.templates import UNKNOWN, Template, parse

PSEUDO = {
    "AWS::Partition": "aws",
    "AWS::Region": "us-east-1",
    "AWS::AccountId": "222222222222",
    "AWS::URLSuffix": "amazonaws.com",
}
TEXT = """
Parameters:
  Suffix: {Type: String}
  Names: {Type: CommaDelimitedList, Default: ""}
  Port: {Type: Number, Default: 5439}
Conditions:
  HasNames: !Not [!Equals [!Join ["", !Ref Names], ""]]
Resources:
  Role:
    Type: AWS::IAM::Role
    Properties: {RoleName: !Sub "role-${Suffix}"}
  Secret:
    Type: AWS::SecretsManager::Secret
    Properties: {Name: secret}
  Queue:
    Type: AWS::SQS::Queue
    Condition: HasNames
    Properties: {QueueName: !Sub "queue-${Suffix}"}
  User:
    Type: AWS::Any::Thing
    Properties:
      Role: !GetAtt Role.Arn
      RoleName: !Ref Role
      Queue: !GetAtt Queue.Arn
      Secret: !Ref Secret
      Random: !Sub "${Secret}/x"
      Url: !Sub ["jdbc://${Host}:${Port}", {Host: here}]
      Names: !If [HasNames, !Ref Names, !Ref AWS::NoValue]
      List: [a, !If [HasNames, b, !Ref AWS::NoValue]]
"""


def user(**parameters: str) -> dict[str, object]:
    return Template(TEXT, {"Suffix": "dev", **parameters}, PSEUDO).properties("User")


def test_references_are_resolved() -> None:
    found = user()
    assert found["Role"] == "arn:aws:iam::222222222222:role/role-dev"
    assert found["RoleName"] == "role-dev"
    assert found["Queue"] == "arn:aws:sqs:us-east-1:222222222222:queue-dev"
    assert found["Url"] == "jdbc://here:5439"


def test_what_only_aws_knows_stays_unknown_unless_it_is_given() -> None:
    assert user()["Secret"] is UNKNOWN
    assert user()["Random"] is UNKNOWN
    known = Template(TEXT, {"Suffix": "dev"}, PSEUDO, {"Secret": "arn:s"}).properties("User")
    assert known["Random"] == "arn:s/x"


def test_no_value_leaves_a_property_and_an_entry_out() -> None:
    assert "Names" not in user()
    assert user()["List"] == ["a"]
    assert user(Names="x,y")["Names"] == ["x", "y"]
    assert user(Names="x,y")["List"] == ["a", "b"]


@pytest.mark.parametrize("name", ["account_a.yaml", "account_b.yaml", "feed.yaml"])
def test_every_resource_of_our_templates_can_be_resolved(name: str) -> None:
    text = (ROOT / "infra" / name).read_text(encoding="utf-8")
    template = Template(text, {}, PSEUDO)
    for logical_id in parse(text)["Resources"]:
        template.properties(logical_id)
