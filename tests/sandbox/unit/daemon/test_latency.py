"""Fixed latencies are parsed strictly and delay shorter work; overruns are reported."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from xacct_sandbox.daemon import latency
from xacct_sandbox.daemon.config import SandboxConfig, SandboxError
from xacct_sandbox.daemon.latency import FixedLatency, parse


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
        ("crawl=5,job=6.5,statement=0.2", FixedLatency(5, 6.5, 0.2)),
        ("job=1 crawl=0", FixedLatency(crawl=0, job=1)),
        ("true", FixedLatency()),
    ],
)
def test_the_named_latencies_are_fixed_and_the_others_real(text: str, times: FixedLatency) -> None:
    assert parse(text) == times
    assert parse(str(times)) == times


@pytest.mark.parametrize(
    "text",
    [
        *("", ",", "crawl", "crawl=", "crawl=x", "crawl=-1", "crawl=nan", "crawl=inf", "jobs=1"),
        *("crawl=1,crawl=2", "crawl=3601", "true,job=1", "False"),
    ],
)
def test_anything_else_is_refused_with_the_valid_forms(text: str) -> None:
    with pytest.raises(SandboxError, match="real times"):
        parse(text)


def test_an_unreadable_variable_is_refused_by_its_name(
    config: SandboxConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XACCT_SANDBOX_SERVICE_TIMES", "craw=1")
    with pytest.raises(SandboxError, match="XACCT_SANDBOX_SERVICE_TIMES"):
        latency.reset(config)


def test_a_start_without_the_variable_resets_the_latencies(
    config: SandboxConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XACCT_SANDBOX_SERVICE_TIMES", raising=False)
    latency.write(config, FixedLatency(job=3))
    latency.reset(config)
    assert latency.read(config) == FixedLatency()


def test_work_ends_no_sooner_than_its_fixed_time(config: SandboxConfig) -> None:
    latency.write(config, FixedLatency(crawl=5))
    latency.wait(config, "crawl", "c", 98.5, lambda: False)
    assert latency.time.monotonic() == pytest.approx(103.5)
    latency.wait(config, "job", "j", 103.0, lambda: False)
    assert latency.time.monotonic() == pytest.approx(103.5)
    assert not latency.overruns_path(config).exists()


def test_waiting_ends_when_the_work_is_stopped(config: SandboxConfig) -> None:
    latency.write(config, FixedLatency(job=5))
    latency.wait(config, "job", "j", 100.0, lambda: latency.time.monotonic() > 101)
    assert latency.time.monotonic() < 101.2


@pytest.mark.parametrize(("lifted", "end"), [(FixedLatency(), 103.0), (FixedLatency(job=4), 104.0)])
def test_waiting_ends_when_the_latency_is_lifted_or_shortened(
    config: SandboxConfig, lifted: FixedLatency, end: float
) -> None:
    latency.write(config, FixedLatency(job=600))

    def stopped() -> bool:
        if 102.99 < latency.time.monotonic() < 103.01:
            latency.write(config, lifted)
        return False

    latency.wait(config, "job", "j", 100.0, stopped)
    assert latency.time.monotonic() == pytest.approx(end, abs=0.1)
    assert not latency.overruns_path(config).exists()


def test_an_overrun_is_logged_and_recorded(
    config: SandboxConfig, caplog: pytest.LogCaptureFixture
) -> None:
    latency.write(config, FixedLatency(statement=0.5))
    assert latency.remaining(config, "statement", "UNLOAD 7", 98.0) == 0
    assert "UNLOAD 7 took 2.00 s" in caplog.text
    overrun = json.loads(latency.overruns_path(config).read_text())
    assert overrun == {"kind": "statement", "name": "UNLOAD 7", "seconds": 2.0, "fixed": 0.5}
