"""The actions that a call needs and the resources they are on, for all services but S3.

Resource types are those of the service authorization reference ("Actions, resources, and condition
keys for AWS services"). An operation that stands in no table is refused by name.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import urlsplit

from xacct_sandbox.emulator.authorization.calls import Call, Refused
from xacct_sandbox.emulator.authorization.checks import Check, has_tags, text, unknown_operation
from xacct_sandbox.emulator.authorization.conditions import Values
from xacct_sandbox.emulator.authorization.identity_resources import iam_checks, sts_checks
from xacct_sandbox.emulator.authorization.key_checks import kms_checks, secret_uses
from xacct_sandbox.emulator.authorization.network_resources import network_checks
from xacct_sandbox.emulator.authorization.topic_resources import topic_checks
from xacct_sandbox.emulator.glue_arns import glue_resource_arns
from xacct_sandbox.emulator.loader import Emulator
from xacct_sandbox.emulator.queues import sources_of


def checks_of(emulator: Emulator, call: Call) -> list[Check]:
    """What the caller of a call must be allowed.

    Raises:
        Refused: the sandbox does not know what the operation needs.
    """
    reader = _READERS.get(call.service, _added_service)
    try:
        return reader(emulator, call)
    except (AttributeError, TypeError):
        # A parameter has another type than the service's model says.
        raise Refused(
            call.service, "SerializationException", "A parameter has the wrong type."
        ) from None


def _added_service(emulator: Emulator, call: Call) -> list[Check]:
    """A service of the sandbox's own (``json_services.py``)."""
    added = emulator.service_checks.get(call.service)
    checks = added(call.operation, dict(call.parameters)) if added else []
    if not checks:
        raise unknown_operation(call)
    return checks


# -- SQS, Secrets Manager, Logs, CloudFormation, Glue -------------------------------------------

# SQS authorizes a batch call as the single call (developer guide, "Amazon SQS API permissions").
_QUEUE_ACTIONS = {
    **{
        name: name
        for name in (
            "AddPermission",
            "ChangeMessageVisibility",
            "CreateQueue",
            "DeleteMessage",
            "DeleteQueue",
            "GetQueueAttributes",
            "GetQueueUrl",
            "ListQueueTags",
            "ListQueues",
            "PurgeQueue",
            "ReceiveMessage",
            "RemovePermission",
            "SendMessage",
            "SetQueueAttributes",
            "TagQueue",
            "UntagQueue",
        )
    },
    "ChangeMessageVisibilityBatch": "ChangeMessageVisibility",
    "DeleteMessageBatch": "DeleteMessage",
    "SendMessageBatch": "SendMessage",
}


def _sqs(emulator: Emulator, call: Call) -> list[Check]:
    if call.operation == "StartMessageMoveTask":
        return _redrive_checks(emulator, call)
    if call.operation not in _QUEUE_ACTIONS:
        raise unknown_operation(call)
    action = f"sqs:{_QUEUE_ACTIONS[call.operation]}"
    account, region = emulator.responses.get_account_id(), emulator.responses.get_region()
    if call.operation == "ListQueues":
        return [Check(action, f"arn:aws:sqs:{region}:{account}:*")]
    if call.operation in ("CreateQueue", "GetQueueUrl"):
        name, owner = text(call, "QueueName"), text(call, "QueueOwnerAWSAccountId")
        if call.operation == "CreateQueue":
            owner = ""
    else:
        owner, name = emulator.sqs._queue_ref_from_urlish(text(call, "QueueUrl"))
    if not owner or not re.fullmatch(r"\d{12}", owner):
        owner = account
    # "To be able to tag a queue on creation, you must have the sqs:CreateQueue and sqs:TagQueue
    # permissions" (CreateQueue).
    tagged = call.operation == "CreateQueue" and has_tags(call)
    actions = [action, *(["sqs:TagQueue"] if tagged else [])]
    return [Check(name_of, f"arn:aws:sqs:{region}:{owner}:{name}") for name_of in actions]


def _redrive_checks(emulator: Emulator, call: Call) -> list[Check]:
    """Developer guide, "Configuring queue permissions for dead-letter queue redrive"."""
    source, destination = text(call, "SourceArn"), text(call, "DestinationArn")
    reads = ("StartMessageMoveTask", "ReceiveMessage", "DeleteMessage", "GetQueueAttributes")
    targets = [destination] if destination else sources_of(emulator, source)
    return [
        *(Check(f"sqs:{name}", source) for name in reads),
        *(Check("sqs:SendMessage", target) for target in targets),
    ]


_SECRET_OPERATIONS = frozenset(
    {
        "CreateSecret",
        "DeleteResourcePolicy",
        "DeleteSecret",
        "DescribeSecret",
        "GetResourcePolicy",
        "GetSecretValue",
        "ListSecretVersionIds",
        "PutResourcePolicy",
        "PutSecretValue",
        "ReplicateSecretToRegions",
        "RestoreSecret",
        "RotateSecret",
        "TagResource",
        "UntagResource",
        "UpdateSecret",
        "UpdateSecretVersionStage",
        "ValidateResourcePolicy",
    }
)
_SECRETS_WITHOUT_RESOURCE = frozenset({"BatchGetSecretValue", "GetRandomPassword", "ListSecrets"})


def _secretsmanager(emulator: Emulator, call: Call) -> list[Check]:
    action = f"secretsmanager:{call.operation}"
    if call.operation in _SECRETS_WITHOUT_RESOURCE:
        return [Check(action, "*")]
    if call.operation not in _SECRET_OPERATIONS:
        raise unknown_operation(call)
    secret = text(call, "Name" if call.operation == "CreateSecret" else "SecretId")
    arn = secret_arn(emulator, secret)
    keys: dict[str, Values] = {"secretsmanager:secretid": arn}
    if call.operation == "GetSecretValue":
        keys = secret_value_keys(arn, text(call, "VersionStage"), text(call, "VersionId"))
    elif call.operation == "CreateSecret":
        keys = {}
    for parameter in ("Name", "Description", "KmsKeyId"):
        if call.operation == "CreateSecret" and call.parameters.get(parameter):
            keys[f"secretsmanager:{parameter.lower()}"] = text(call, parameter)
    checks = [Check(action, arn, keys)]
    if call.operation == "CreateSecret" and has_tags(call):
        # "If you include tags in the secret, you also need secretsmanager:TagResource."
        checks.append(Check("secretsmanager:TagResource", arn, keys))
    account = emulator.responses.get_account_id()
    return checks + secret_uses(
        emulator, call.operation, arn, account, str(call.parameters.get("KmsKeyId") or "")
    )


def secret_value_keys(arn: str, stage: str = "", version: str = "") -> dict[str, Values]:
    """The condition keys of reading the value of a secret.

    "VersionStage: If you don't specify either a VersionStage or VersionId, … AWSCURRENT."
    """
    keys: dict[str, Values] = {"secretsmanager:secretid": arn}
    if version:
        keys["secretsmanager:versionid"] = version
    if stage or not version:
        keys["secretsmanager:versionstage"] = stage or "AWSCURRENT"
    return keys


def secret_arn(emulator: Emulator, secret: str) -> str:
    """The ARN of a secret, of the current account or of the one that an ARN names."""
    account, region = emulator.responses.get_account_id(), emulator.responses.get_region()
    parts = secret.split(":")
    owner = parts[4] if secret.startswith("arn:") and len(parts) == 7 else account
    with emulator.responses.request_scope(owner, region):
        _, stored = emulator.secrets._resolve(secret)
    if stored:
        return str(stored["ARN"])
    prefix = f"arn:aws:secretsmanager:{region}:{account}:secret:"
    return secret if secret.startswith("arn:") else prefix + secret


# Operation: the parameters with the log group and, if it has one, the stream.
_LOG_OPERATIONS = {
    "CreateLogGroup": "logGroupName",
    "CreateLogStream": "logGroupName",
    "DeleteLogGroup": "logGroupName",
    "DeleteLogStream": "logGroupName",
    "DeleteMetricFilter": "logGroupName",
    "DeleteRetentionPolicy": "logGroupName",
    "DeleteSubscriptionFilter": "logGroupName",
    "DescribeLogStreams": "logGroupName",
    "DescribeSubscriptionFilters": "logGroupName",
    "FilterLogEvents": "logGroupName",
    "GetLogEvents": "logGroupName",
    "GetLogGroupFields": "logGroupName",
    "ListTagsForResource": "resourceArn",
    "ListTagsLogGroup": "logGroupName",
    "PutLogEvents": "logGroupName",
    "PutMetricFilter": "logGroupName",
    "PutRetentionPolicy": "logGroupName",
    "TagLogGroup": "logGroupName",
    "TagResource": "resourceArn",
    "UntagLogGroup": "logGroupName",
    "UntagResource": "resourceArn",
}
_STREAM_OPERATIONS = frozenset(
    {"CreateLogStream", "DeleteLogStream", "GetLogEvents", "PutLogEvents"}
)


def _logs(emulator: Emulator, call: Call) -> list[Check]:
    action = f"logs:{call.operation}"
    account, region = emulator.responses.get_account_id(), emulator.responses.get_region()
    prefix = f"arn:aws:logs:{region}:{account}:log-group:"
    if call.operation == "DescribeLogGroups":
        return [Check(action, f"{prefix}:log-stream:")]
    if call.operation not in _LOG_OPERATIONS:
        raise unknown_operation(call)
    group = text(call, _LOG_OPERATIONS[call.operation])
    if not group:
        raise Refused(
            "logs",
            "InvalidParameterException",
            f"The sandbox needs {_LOG_OPERATIONS[call.operation]} for {call.operation}.",
        )
    if call.parameters.get("logGroupIdentifier"):
        raise Refused(
            "logs",
            "InvalidParameterException",
            "The sandbox supports logGroupName only, without logGroupIdentifier.",
        )
    if group.startswith("arn:"):
        return [Check(action, group)]
    stream = text(call, "logStreamName") if call.operation in _STREAM_OPERATIONS else ""
    return [Check(action, f"{prefix}{group}" + (f":log-stream:{stream}" if stream else ""))]


_ALARM_OPERATIONS = ("DeleteAlarms", "DescribeAlarms", "PutMetricAlarm", "SetAlarmState")


def _alarms(emulator: Emulator, call: Call) -> list[Check]:
    if call.operation not in _ALARM_OPERATIONS:
        raise unknown_operation(call)
    action = f"cloudwatch:{call.operation}"
    account, region = emulator.responses.get_account_id(), emulator.responses.get_region()
    prefix = f"arn:aws:cloudwatch:{region}:{account}:alarm:"
    if call.operation in ("PutMetricAlarm", "SetAlarmState"):
        return [Check(action, prefix + text(call, "AlarmName"))]
    if call.operation == "DescribeAlarms":
        return [Check(action, f"{prefix}*")]
    # As JSON and as a form.
    names = list(call.parameters.get("AlarmNames") or ())
    names += [value for key, value in call.parameters.items() if key.startswith("AlarmNames.")]
    return [Check(action, f"{prefix}{name}") for name in names or ("*",)]


# Their handlers read no StackName.
_STACKLESS = frozenset(
    {
        "DescribeStackDriftDetectionStatus",
        "ListExports",
        "ListImports",
        "ListStacks",
        "ValidateTemplate",
    }
)
CLOUDFORMATION_SERVICE = "cloudformation.amazonaws.com"


def _cloudformation(emulator: Emulator, call: Call) -> list[Check]:
    operation = call.operation
    if operation not in emulator.cloudformation_handlers._ACTION_HANDLERS:
        raise unknown_operation(call)
    # A change set that is named by its ARN is found by that alone.
    change_set = text(call, "ChangeSetName")
    name = change_set if change_set.startswith("arn:") else text(call, "StackName")
    if operation in _STACKLESS:
        name = ""
    action = f"cloudformation:{operation}"
    if not name and operation not in _STACKLESS | {"DescribeStacks", "GetTemplateSummary"}:
        raise Refused("cloudformation", "ValidationError", f"{operation} needs StackName.")
    keys: dict[str, Values] = {}
    for parameter, key in (
        ("ChangeSetName", "changesetname"),
        ("RoleARN", "rolearn"),
        ("StackPolicyURL", "stackpolicyurl"),
        ("TemplateURL", "templateurl"),
    ):
        if call.parameters.get(parameter):
            keys[f"cloudformation:{key}"] = text(call, parameter)
    resource = _stack_arn(emulator, name) if name else "*"
    checks = [Check(action, resource, keys)]
    for parameter in ("TemplateURL", "StackPolicyURL"):
        if call.parameters.get(parameter):
            # As ministack reads it: /bucket/key.
            stored = urlsplit(text(call, parameter)).path.lstrip("/")
            checks.append(Check("s3:GetObject", f"arn:aws:s3:::{stored}"))
    role = text(call, "RoleARN")
    if role:
        # "iam:PassRole" (CloudFormation user guide, "CloudFormation service role").
        checks.append(Check("iam:PassRole", role, {"iam:passedtoservice": CLOUDFORMATION_SERVICE}))
    return checks


def _stack_arn(emulator: Emulator, name: str) -> str:
    account, region = emulator.responses.get_account_id(), emulator.responses.get_region()
    if name.startswith("arn:"):
        if ":changeSet/" not in name:
            return name
        change_set = emulator.cloudformation._change_sets.get(name) or {}
        name = str(change_set.get("StackName", ""))
    stored = emulator.cloudformation._stacks.get(name)
    if stored:
        return str(stored["StackId"])
    return f"arn:aws:cloudformation:{region}:{account}:stack/{name}/*"


def _glue(emulator: Emulator, call: Call) -> list[Check]:
    catalog = text(call, "CatalogId")
    if catalog not in ("", emulator.responses.get_account_id()):
        # Most handlers ignore it; what is judged must be what they read.
        raise Refused(
            "glue",
            "InvalidInputException",
            f"CatalogId {catalog} is another account's catalog; in the sandbox an account can use "
            "its own catalog only",
        )
    arns = glue_resource_arns(
        call.operation,
        dict(call.parameters),
        emulator.responses.get_region(),
        emulator.responses.get_account_id(),
    )
    if not arns:
        raise unknown_operation(call)
    return [Check(f"glue:{call.operation}", arn) for arn in arns]


_READERS: dict[str, Callable[[Emulator, Call], list[Check]]] = {
    "cloudformation": _cloudformation,
    "ec2": network_checks,
    "glue": _glue,
    "iam": iam_checks,
    "kms": kms_checks,
    "logs": _logs,
    "monitoring": _alarms,
    "secretsmanager": _secretsmanager,
    "sns": topic_checks,
    "sqs": _sqs,
    "sts": sts_checks,
}
