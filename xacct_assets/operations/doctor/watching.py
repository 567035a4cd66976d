"""What tells people while nobody looks: the job's log groups, and the alarm of the dead letters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xacct_assets.aws.botocore_errors import aws_call
from xacct_assets.aws.errors import InvalidRequest, NotFound
from xacct_assets.operations.doctor.comparison import differences

if TYPE_CHECKING:
    from xacct_assets.feed.spec import FeedSpec
    from xacct_assets.operations.doctor.installation import Installation

_DEPLOY = "`xacct deploy --account b`"
#: Fields that change nothing of what is told.
_WORDS = {"AlarmDescription"}
_LOG_GROUPS = ("JobOutputLog", "JobErrorLog")


def dead_letters_alarm(here: Installation) -> str:
    """The alarm is there, tells the topic, and is as its template says."""
    expected = here.template_b().properties("DeadLettersAlarm")
    name = expected["AlarmName"]
    with aws_call("cloudwatch:DescribeAlarms", f"alarm {name}"):
        answer = here.aws.client("cloudwatch").describe_alarms(AlarmNames=[name])
    if not answer["MetricAlarms"]:
        raise NotFound(f"there is no alarm {name}", fix=_DEPLOY)
    alarm = answer["MetricAlarms"][0]
    wanted = {key: value for key, value in expected.items() if key not in _WORDS}
    if problems := differences(wanted, alarm):
        raise InvalidRequest(
            f"alarm {name} is not as infra/account_b.yaml says: {'; '.join(problems)}", fix=_DEPLOY
        )
    return f"{name} tells {here.settings.alerts_topic_arn}; its state is {alarm['StateValue']}"


def log_groups(here: Installation, feed: FeedSpec) -> str:
    """The log groups of the job's runs are there, and forget after their retention."""
    template = here.template_of(feed)
    groups = [template.properties(logical_id) for logical_id in _LOG_GROUPS]
    prefix = f"{feed.log_group(here.settings.suffix)}/"
    with aws_call("logs:DescribeLogGroups", f"log groups {prefix}*"):
        answer = here.aws.client("logs").describe_log_groups(logGroupNamePrefix=prefix)
    present = {group["logGroupName"]: group for group in answer["logGroups"]}
    for expected in groups:
        name = expected["LogGroupName"]
        if name not in present:
            raise NotFound(f"there is no log group {name}", fix=_DEPLOY)
        days = present[name].get("retentionInDays")
        if str(days) != str(expected["RetentionInDays"]):
            kept = "for ever" if days is None else f"for {days} days"
            raise InvalidRequest(
                f"log group {name} keeps its lines {kept}, infra/feed.yaml says "
                f"{expected['RetentionInDays']} days",
                fix=_DEPLOY,
            )
    return f"{prefix}* are kept for {groups[0]['RetentionInDays']} days"
