"""Log groups, alarm and quotas, compared with templates and feeds."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from tests.support.fakes.modelled_client import ModelledClient
from tests.support.project import ROOT
from xacct_assets.aws.errors import InvalidRequest, NotFound
from xacct_assets.feed.spec import FeedSpec
from xacct_assets.operations.deployment.templates import Template
from xacct_assets.operations.doctor import quotas, watching
from xacct_assets.operations.doctor.findings import Caution
from xacct_assets.settings import Settings

PSEUDO = {
    "AWS::Partition": "aws",
    "AWS::Region": "us-east-1",
    "AWS::AccountId": "222222222222",
    "AWS::URLSuffix": "amazonaws.com",
}


class Here:
    """An installation whose services answer with what a test puts here."""

    def __init__(self, settings: Settings, feed: FeedSpec) -> None:
        self.settings = settings
        self.feeds = (feed,)
        suffix = settings.suffix
        template = self.template_b().properties("DeadLettersAlarm")
        self.alarm: dict[str, Any] | None = {**template, "ActionsEnabled": True}
        prefix = feed.log_group(suffix)
        self.groups: dict[str, int | None] = {f"{prefix}/output": 90, f"{prefix}/error": 90}
        self.quotas = {quotas.RUNS: 200.0, quotas.RUNS_OF_A_JOB: 1000.0, quotas.CRAWLS: 150.0}
        self.aws = SimpleNamespace(client=lambda name: self._clients[name])
        self._clients = {
            "cloudwatch": ModelledClient("cloudwatch", describe_alarms=self._alarms),
            "logs": ModelledClient("logs", describe_log_groups=self._groups),
            "service-quotas": ModelledClient("service-quotas", list_service_quotas=self._quotas),
        }

    def template_b(self) -> Template:
        text = (ROOT / "infra" / "account_b.yaml").read_text(encoding="utf-8")
        return Template(text, {"Suffix": self.settings.suffix}, PSEUDO)

    def template_of(self, feed: FeedSpec) -> Template:
        text = (ROOT / "infra" / "feed.yaml").read_text(encoding="utf-8")
        job = feed.job_name(self.settings.suffix)
        return Template(text, {"JobName": job, "Feed": feed.name}, PSEUDO)

    def _alarms(self, AlarmNames: list[str]) -> dict[str, Any]:
        assert AlarmNames == [f"xacct-arrivals-dead-{self.settings.suffix}"]
        found = [{**self.alarm, "StateValue": "OK"}] if self.alarm else []
        return {"MetricAlarms": found, "CompositeAlarms": []}

    def _groups(self, logGroupNamePrefix: str) -> dict[str, Any]:
        return {
            "logGroups": [
                {"logGroupName": name, **({"retentionInDays": days} if days else {})}
                for name, days in self.groups.items()
                if name.startswith(logGroupNamePrefix)
            ]
        }

    def _quotas(self, ServiceCode: str, MaxResults: int, NextToken: str = "0") -> dict[str, Any]:
        code, value = list(self.quotas.items())[int(NextToken)]
        last = int(NextToken) == len(self.quotas) - 1
        more = {} if last else {"NextToken": str(int(NextToken) + 1)}
        return {
            "Quotas": [{"QuotaCode": code, "QuotaName": f"name {code}", "Value": value}],
            **more,
        }


@pytest.fixture
def here(settings: Settings, feed: FeedSpec) -> Any:
    return Here(settings, feed)


def test_the_alarm_tells_the_topic(here: Any) -> None:
    assert here.settings.alerts_topic_arn in watching.dead_letters_alarm(here)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"AlarmActions": []}, "AlarmActions"),
        ({"ActionsEnabled": False}, "ActionsEnabled"),
        ({"Threshold": 5.0}, "Threshold"),
        ({"TreatMissingData": "missing"}, "TreatMissingData"),
    ],
)
def test_an_alarm_that_would_not_tell_is_named_field_by_field(
    here: Any, change: dict[str, Any], named: str
) -> None:
    here.alarm.update(change)
    with pytest.raises(InvalidRequest, match=named) as failure:
        watching.dead_letters_alarm(here)
    assert "`xacct deploy --account b`" in str(failure.value)


def test_an_alarm_that_is_gone_is_named(here: Any) -> None:
    here.alarm = None
    with pytest.raises(NotFound, match="there is no alarm xacct-arrivals-dead-"):
        watching.dead_letters_alarm(here)


def test_log_groups_have_the_retention_of_the_template(here: Any, feed: FeedSpec) -> None:
    assert "are kept for 90 days" in watching.log_groups(here, feed)


@pytest.mark.parametrize(("days", "said"), [(None, "for ever"), (1, "for 1 days")])
def test_another_retention_is_named(here: Any, feed: FeedSpec, days: int | None, said: str) -> None:
    here.groups[f"{feed.log_group(here.settings.suffix)}/error"] = days
    with pytest.raises(InvalidRequest, match=f"/error keeps its lines {said}"):
        watching.log_groups(here, feed)


def test_a_log_group_that_is_gone_is_named(here: Any, feed: FeedSpec) -> None:
    del here.groups[f"{feed.log_group(here.settings.suffix)}/output"]
    with pytest.raises(NotFound, match=r"there is no log group .*/output"):
        watching.log_groups(here, feed)


def test_quotas_that_are_enough_are_told(here: Any) -> None:
    assert "within" in str(quotas.glue_quotas(here))


@pytest.mark.parametrize("code", [quotas.RUNS, quotas.RUNS_OF_A_JOB, quotas.CRAWLS])
def test_a_quota_that_a_backfill_would_meet_is_a_warning_with_the_request(
    here: Any, code: str
) -> None:
    here.quotas[code] = 0.0
    found = quotas.glue_quotas(here)
    assert isinstance(found, Caution)
    assert f"--quota-code {code}" in found.fix
    assert "load.max_concurrent_runs" in found.fix
