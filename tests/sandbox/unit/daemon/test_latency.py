"""Fixed service times are read strictly, hold for work that is shorter, and are too short aloud."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from xacct_sandbox.daemon import latency
from xacct_sandbox.daemon.config import SandboxConfig, SandboxError
from xacct_sandbox.daemon.latency import ServiceTimes, parse


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SandboxConfig:
    clock = [100.0]
    monkeypatch.setattr(latency.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(
        latency.time, "sleep", lambda seconds: clock.__setitem__(0, clock[0] + seconds)
    )
    return SandboxConfig(home=tmp_path)


@pytest.mark.parametrize(
    ("text", "times"),
    [
        ("crawl=5,job=6.5,statement=0.2", ServiceTimes(5, 6.5, 0.2)),
        ("job=1 crawl=0", ServiceTimes(crawl=0, job=1)),
        ("true", ServiceTimes()),
    ],
)
def test_what_is_named_is_fixed_and_the_rest_true(text: str, times: ServiceTimes) -> None:
    assert parse(text) == times
    assert parse(str(times)) == times


@pytest.mark.parametrize(
    "text",
    [
        *("", ",", "crawl", "crawl=", "crawl=x", "crawl=-1", "crawl=nan", "crawl=inf", "jobs=1"),
        *("crawl=1,crawl=2", "crawl=3601", "true,job=1", "False"),
    ],
)
def test_anything_else_is_refused_with_what_could_be_said(text: str) -> None:
    with pytest.raises(SandboxError, match="true times"):
        parse(text)


def test_the_variable_is_named_when_it_cannot_be_read(
    config: SandboxConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XACCT_SANDBOX_SERVICE_TIMES", "craw=1")
    with pytest.raises(SandboxError, match="XACCT_SANDBOX_SERVICE_TIMES"):
        latency.begin(config)


def test_a_start_without_the_variable_forgets_what_was_fixed(
    config: SandboxConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XACCT_SANDBOX_SERVICE_TIMES", raising=False)
    latency.write(config, ServiceTimes(job=3))
    latency.begin(config)
    assert latency.read(config) == ServiceTimes()


def test_work_ends_no_sooner_than_its_fixed_time(config: SandboxConfig) -> None:
    latency.write(config, ServiceTimes(crawl=5))
    latency.wait(config, "crawl", "c", 98.5, lambda: False)
    assert latency.time.monotonic() == pytest.approx(103.5)
    latency.wait(config, "job", "j", 103.0, lambda: False)
    assert latency.time.monotonic() == pytest.approx(103.5)
    assert not latency.overruns_path(config).exists()


def test_waiting_ends_when_the_work_is_stopped(config: SandboxConfig) -> None:
    latency.write(config, ServiceTimes(job=5))
    latency.wait(config, "job", "j", 100.0, lambda: latency.time.monotonic() > 101)
    assert latency.time.monotonic() < 101.2


def test_work_that_takes_longer_is_told(
    config: SandboxConfig, caplog: pytest.LogCaptureFixture
) -> None:
    latency.write(config, ServiceTimes(statement=0.5))
    assert latency.remaining(config, "statement", "UNLOAD 7", 98.0) == 0
    assert "UNLOAD 7 took 2.00 s" in caplog.text
    note = json.loads(latency.overruns_path(config).read_text())
    assert note == {"kind": "statement", "name": "UNLOAD 7", "seconds": 2.0, "fixed": 0.5}
