"""The queue of S3's notifications, its policy and its dead-letter queue."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from xacct_assets.aws.errors import InvalidRequest, NotFound
from xacct_assets.aws.queue_attributes import messages_in, queue_attributes
from xacct_assets.operations.doctor.comparison import differences, policy_differences
from xacct_assets.operations.doctor.findings import Caution

if TYPE_CHECKING:
    from xacct_assets.operations.doctor.installation import Installation

_FIELDS = ("VisibilityTimeout", "MessageRetentionPeriod", "RedrivePolicy")


def arrival_queue(here: Installation) -> str:
    """The queue is there, with the attributes and the policy that its template gives it."""
    template = here.template_b()
    expected = template.properties("ArrivalQueue")
    document = template.properties("ArrivalQueuePolicy")["PolicyDocument"]
    try:
        url, found = _attributes(here, expected["QueueName"])
    except NotFound as absent:
        there = here.stack(here.settings.stack_b).outputs.get("ArrivalQueueUrl", "")
        absent.fix = f"{absent.fix}, then {_set_policy(there, document)}"
        raise
    wanted = {key: expected[key] for key in _FIELDS}
    actual = {key: _parsed(found[key]) for key in _FIELDS if key in found}
    if problems := differences(wanted, actual):
        raise InvalidRequest(
            f"queue {expected['QueueName']} is not as infra/account_b.yaml says: "
            f"{'; '.join(problems)}",
            fix="`xacct deploy --account b`",
        )
    if problems := policy_differences(document, json.loads(found.get("Policy", "{}"))):
        raise InvalidRequest(
            f"the policy of queue {expected['QueueName']} is not as infra/account_b.yaml says: "
            f"{'; '.join(problems)}",
            reason="S3 cannot notify it",
            fix=_set_policy(url, document),
        )
    return f"{expected['QueueName']} may be written to by {here.settings.input_bucket} only"


def _set_policy(url: str, document: dict[str, Any]) -> str:
    """The command that writes the policy: CloudFormation does not see its changes by hand."""
    attributes = json.dumps({"Policy": json.dumps(document)})
    return f"`aws sqs set-queue-attributes --queue-url {url} --attributes '{attributes}'`"


def dead_letters(here: Installation) -> str | Caution:
    """The dead-letter queue is there and empty."""
    expected = here.template_b().properties("ArrivalDeadLetters")
    name = expected["QueueName"]
    url, found = _attributes(here, name)
    if problems := differences(
        {"MessageRetentionPeriod": expected["MessageRetentionPeriod"]}, found
    ):
        raise InvalidRequest(
            f"queue {name} is not as infra/account_b.yaml says: {'; '.join(problems)}",
            fix="`xacct deploy --account b`",
        )
    count = messages_in(found)
    if count:
        return Caution(
            f"{name} holds {count} message{'' if count == 1 else 's'}",
            f"read them (aws sqs receive-message --queue-url {url}); a redrive is harmless",
        )
    return f"{name} is empty"


def _attributes(here: Installation, name: str) -> tuple[str, dict[str, str]]:
    account, fix = here.settings.account_b, "`xacct deploy --account b`"
    return queue_attributes(here.aws.client("sqs"), name, account, fix=fix)


def _parsed(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) and value.startswith("{") else value
