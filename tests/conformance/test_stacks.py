"""CloudFormation: change sets, what is replaced, what fails, what stays."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.conformance.target import Target, outcome, refusal


class Stacks:
    """Stacks of queues and of one secret in account B."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.api = target.b.client("cloudformation")
        self.sqs = target.b.client("sqs")

    def queue(self, part: str, **properties: Any) -> dict[str, Any]:
        properties = {"QueueName": self.target.name(part), **properties}
        return {"Type": "AWS::SQS::Queue", "Properties": properties}

    def create(self, part: str, resources: dict[str, Any], **options: Any) -> str:
        """Create a stack; returns the status in which it ends."""
        self.api.create_stack(**self._request(part, resources), **options)
        return self.ended(part)

    def update(self, part: str, resources: dict[str, Any]) -> str:
        self.api.update_stack(**self._request(part, resources))
        return self.ended(part)

    def delete(self, part: str, **options: Any) -> str:
        self.api.delete_stack(StackName=self.target.name(part), **options)
        return self.ended(part)

    def change_set(self, part: str, resources: dict[str, Any], **options: Any) -> dict[str, Any]:
        """Make a change set; returns its description once it is ready or has failed."""
        made = self.api.create_change_set(
            **self._request(part, resources), ChangeSetName="claims", **options
        )
        found: dict[str, Any] = {}

        def status() -> str:
            found.update(self.api.describe_change_set(ChangeSetName=made["Id"]))
            return str(found["Status"])

        self.target.becomes(
            lambda seen: seen in ("CREATE_COMPLETE", "FAILED"), status, patience=120
        )
        return found

    def status(self, part: str) -> str:
        try:
            found = self.api.describe_stacks(StackName=self.target.name(part))["Stacks"][0]
        except self.api.exceptions.ClientError as missing:
            if "does not exist" not in str(missing):
                raise
            return "gone"
        return str(found["StackStatus"])

    def ended(self, part: str) -> str:
        found: list[str] = []

        def status() -> str:
            found.append(self.status(part))
            return found[-1]

        self.target.becomes(lambda seen: not seen.endswith("PROGRESS"), status, patience=300)
        return found[-1]

    def reasons(self, part: str) -> str:
        events = self.api.describe_stack_events(StackName=self.target.name(part))["StackEvents"]
        return " ".join(event.get("ResourceStatusReason", "") for event in events)

    def attribute(self, part: str, name: str) -> str:
        url = self.sqs.get_queue_url(QueueName=self.target.name(part))["QueueUrl"]
        answer = self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=[name])
        return str(answer["Attributes"][name])

    def _request(self, part: str, resources: dict[str, Any]) -> dict[str, Any]:
        template = json.dumps({"Resources": resources})
        return {"StackName": self.target.name(part), "TemplateBody": template}


@pytest.fixture(scope="module")
def stacks(target: Target) -> Iterator[Stacks]:
    return Stacks(target)


@pytest.fixture(scope="module")
def made(stacks: Stacks) -> Stacks:
    """A stack ``stack`` with one queue."""
    status = stacks.create("stack", {"Queue": stacks.queue("cfn", VisibilityTimeout=10)})
    assert status == "CREATE_COMPLETE"
    return stacks


@pytest.mark.claim("cfn-no-changes")
def test_a_change_set_without_changes_fails_and_an_update_without_changes_is_refused(
    made: Stacks,
) -> None:
    same = {"Queue": made.queue("cfn", VisibilityTimeout=10)}
    found = made.change_set("stack", same)
    assert found["Status"] == "FAILED"
    assert "didn't contain changes" in found["StatusReason"] or (
        "No updates are to be performed" in found["StatusReason"]
    )
    made.api.delete_change_set(ChangeSetName=found["ChangeSetId"])
    code, message = refusal(made.update, part="stack", resources=same)
    assert (code, message) == ("ValidationError", "No updates are to be performed.")


@pytest.mark.claim("cfn-change-set-tells-replacement")
def test_a_change_set_tells_what_is_changed_and_what_is_replaced(made: Stacks) -> None:
    for properties, replacement, attribute in (
        ({"part": "cfn", "VisibilityTimeout": 11}, "False", "VisibilityTimeout"),
        ({"part": "cfn-other", "VisibilityTimeout": 10}, "True", "QueueName"),
    ):
        found = made.change_set("stack", {"Queue": made.queue(**properties)})
        (change,) = [entry["ResourceChange"] for entry in found["Changes"]]
        assert (change["Action"], change["Replacement"]) == ("Modify", replacement)
        assert [detail["Target"]["Name"] for detail in change["Details"]] == [attribute]
        made.api.delete_change_set(ChangeSetName=found["ChangeSetId"])
    assert made.attribute("cfn", "VisibilityTimeout") == "10"


@pytest.mark.claim("cfn-review-in-progress")
def test_a_change_set_for_a_new_stack_makes_an_empty_one(stacks: Stacks) -> None:
    found = stacks.change_set("new", {"Queue": stacks.queue("new")}, ChangeSetType="CREATE")
    assert found["Status"] == "CREATE_COMPLETE"
    assert stacks.status("new") == "REVIEW_IN_PROGRESS"
    (change,) = [entry["ResourceChange"] for entry in found["Changes"]]
    assert (change["Action"], change["LogicalResourceId"]) == ("Add", "Queue")
    assert stacks.delete("new") == "gone"


@pytest.mark.claim("cfn-taken-name-rolls-back")
def test_a_name_that_is_taken_fails_the_creation_and_the_stack_can_only_be_deleted(
    made: Stacks,
) -> None:
    resources = {
        "First": made.queue("cfn-first"),
        "Taken": {**made.queue("cfn", VisibilityTimeout=99), "DependsOn": "First"},
    }
    assert made.create("taken", resources) == "ROLLBACK_COMPLETE"
    assert made.target.name("cfn") in made.reasons("taken")
    assert made.attribute("cfn", "VisibilityTimeout") == "10"
    first = {"QueueName": made.target.name("cfn-first")}
    made.target.becomes(
        lambda seen: seen.endswith(("NonExistentQueue", "QueueDoesNotExist")),
        lambda: outcome(made.sqs.get_queue_url, **first),
        patience=90,
    )
    code, message = refusal(made.update, part="taken", resources=resources)
    assert code == "ValidationError"
    assert "ROLLBACK_COMPLETE" in message
    assert made.delete("taken") == "gone"


@pytest.mark.claim("cfn-failed-update-is-undone")
def test_an_update_that_fails_is_undone(made: Stacks) -> None:
    other = {"Other": made.queue("cfn-other")}
    assert made.create("other", other) == "CREATE_COMPLETE"
    resources = {
        "Queue": made.queue("cfn", VisibilityTimeout=12),
        "Taken": {**made.queue("cfn-other"), "DependsOn": "Queue"},
    }
    assert made.update("stack", resources) == "UPDATE_ROLLBACK_COMPLETE"
    made.target.becomes("10", lambda: made.attribute("cfn", "VisibilityTimeout"), patience=90)
    assert made.delete("other") == "gone"


@pytest.mark.claim("cfn-drift-is-put-back")
def test_a_change_by_hand_is_seen_and_put_back_by_a_drift_aware_change_set(made: Stacks) -> None:
    url = made.sqs.get_queue_url(QueueName=made.target.name("cfn"))["QueueUrl"]
    made.sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "77"})
    made.target.becomes("77", lambda: made.attribute("cfn", "VisibilityTimeout"), patience=90)
    same = {"Queue": made.queue("cfn", VisibilityTimeout=10)}
    found = made.change_set("stack", same, DeploymentMode="REVERT_DRIFT")
    (change,) = [entry["ResourceChange"] for entry in found["Changes"]]
    assert (change["LogicalResourceId"], change["Action"]) == ("Queue", "Modify")
    made.api.execute_change_set(ChangeSetName=found["ChangeSetId"])
    made.target.becomes(
        ("UPDATE_COMPLETE", "10"),
        lambda: (made.ended("stack"), made.attribute("cfn", "VisibilityTimeout")),
        patience=120,
    )


@pytest.mark.claim("cfn-retain")
def test_what_is_to_be_retained_stays_without_its_stack(stacks: Stacks) -> None:
    kept = {**stacks.queue("kept", VisibilityTimeout=10), "DeletionPolicy": "Retain"}
    assert stacks.create("retain", {"Kept": kept}) == "CREATE_COMPLETE"
    assert stacks.delete("retain") == "gone"
    assert stacks.attribute("kept", "VisibilityTimeout") == "10"


@pytest.mark.claim("cfn-delete-failed")
def test_a_stack_with_a_full_bucket_is_not_deleted_until_the_bucket_is_left_out(
    stacks: Stacks,
) -> None:
    name = stacks.target.name("cfn-bucket")
    bucket = {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": name}}
    assert stacks.create("full", {"Bucket": bucket}) == "CREATE_COMPLETE"
    stacks.target.b.client("s3").put_object(Bucket=name, Key="kept", Body=b"1")
    assert stacks.delete("full") == "DELETE_FAILED"
    assert "not empty" in stacks.reasons("full")
    assert stacks.delete("full", RetainResources=["Bucket"]) == "gone"
    stacks.target.b.client("s3").head_object(Bucket=name, Key="kept")


@pytest.mark.claim("cfn-named-iam-needs-capability")
def test_a_role_with_a_name_needs_the_capability(stacks: Stacks) -> None:
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "glue.amazonaws.com"},
                "Action": "sts:AssumeRole",
            }
        ],
    }
    role = {
        "Type": "AWS::IAM::Role",
        "Properties": {
            "RoleName": stacks.target.name("cfn-role"),
            "AssumeRolePolicyDocument": trust,
        },
    }
    code, message = refusal(stacks.create, part="role", resources={"Role": role})
    assert code == "InsufficientCapabilitiesException"
    assert "CAPABILITY_NAMED_IAM" in message
    made = stacks.create("role", {"Role": role}, Capabilities=["CAPABILITY_NAMED_IAM"])
    assert made == "CREATE_COMPLETE"


@pytest.mark.claim("cfn-secret-reference")
def test_a_reference_to_a_secret_is_resolved_in_the_resource_only(stacks: Stacks) -> None:
    secrets, name = stacks.target.b.client("secretsmanager"), stacks.target.name("cfn-secret")
    secrets.create_secret(Name=name, SecretString='{"timeout": "33"}')
    reference = f"{{{{resolve:secretsmanager:{name}:SecretString:timeout}}}}"
    queue = stacks.queue("referring", VisibilityTimeout=reference)
    made = stacks.create("secret", {"Queue": queue})
    assert made == "CREATE_COMPLETE", stacks.reasons("secret")
    assert stacks.attribute("referring", "VisibilityTimeout") == "33"
    body = stacks.api.get_template(StackName=stacks.target.name("secret"))["TemplateBody"]
    assert "33" not in json.dumps(body)


@pytest.mark.claim("cfn-generated-secret")
def test_a_stack_generates_a_secret_once(stacks: Stacks) -> None:
    name = stacks.target.name("cfn-generated")
    generate = {"SecretStringTemplate": '{"username": "u"}', "GenerateStringKey": "password"}

    def resources(description: str) -> dict[str, Any]:
        properties = {
            "Name": name,
            "Description": description,
            "GenerateSecretString": {**generate, "PasswordLength": 32},
        }
        return {"Secret": {"Type": "AWS::SecretsManager::Secret", "Properties": properties}}

    def value() -> dict[str, str]:
        secrets = stacks.target.b.client("secretsmanager")
        found: dict[str, str] = json.loads(secrets.get_secret_value(SecretId=name)["SecretString"])
        return found

    assert stacks.create("generated", resources("one")) == "CREATE_COMPLETE"
    first = value()
    assert first["username"] == "u"
    assert len(first["password"]) == 32
    assert stacks.update("generated", resources("two")) == "UPDATE_COMPLETE"
    assert value() == first


@pytest.mark.claim("cfn-missing-stack")
def test_a_stack_that_is_not_there_is_a_validation_error(stacks: Stacks) -> None:
    code, message = refusal(stacks.api.describe_stacks, StackName=stacks.target.name("never"))
    assert code == "ValidationError"
    assert "does not exist" in message
