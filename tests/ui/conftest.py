"""A sandbox with six days of raw files, `dg dev` on it, and a browser.

Ports, folders and browser belong to the test session. Screenshots are written to
``build/ui/*.png``, beside the log of `dg dev`.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests.support.project import DAGSTER_YAML, ROOT
from tests.support.sandbox import RunningSandbox, free_port, running_sandbox
from tests.ui.dagster_ui import DagsterUi
from xacct_sandbox.daemon import env_file

PICTURES = ROOT / "build" / "ui"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
ROWS_A_DAY = 400

# Timeouts in seconds, long enough for a busy machine.
SERVED_WITHIN, SEEN_WITHIN = 180, 60


@pytest.fixture(scope="session")
def pictures() -> Path:
    """The folder of the screenshots, emptied first."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    for old in PICTURES.glob("*.png"):
        old.unlink()
    return PICTURES


@pytest.fixture(scope="session")
def landed_days() -> list[date]:
    """Six days up to yesterday, oldest first: the dialog offers recent days."""
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    return [yesterday - timedelta(days=back) for back in range(5, -1, -1)]


@pytest.fixture(scope="session")
def feeds_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of further feeds: empty until a test makes one."""
    return tmp_path_factory.mktemp("feeds")


@pytest.fixture(scope="session")
def sandbox(landed_days: list[date]) -> Iterator[RunningSandbox]:
    """Both accounts deployed, the six days landed."""
    with running_sandbox() as running:
        running.run("xacct_assets.operations.cli", "deploy", "--yes")
        running.run(
            *("xacct_sandbox.cli", "land", "--rows", str(ROWS_A_DAY)),
            *("--date", str(landed_days[0]), "--days", str(len(landed_days))),
        )
        yield running


@pytest.fixture(scope="session")
def address(sandbox: RunningSandbox, pictures: Path, feeds_folder: Path) -> Iterator[str]:
    """Where `dg dev` serves the project, with the project's own instance settings."""
    home = env_file.dagster_home(sandbox.config)
    home.mkdir(parents=True, exist_ok=True)
    shutil.copy(DAGSTER_YAML, home)
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    log = pictures / "dagster-dev.log"
    command = [
        *(str(Path(sys.executable).with_name("dg")), "dev"),
        *("--workspace", str(ROOT / "workspace.yaml")),
        *("--host", "127.0.0.1", "--port", str(port), "--log-level", "warning"),
    ]
    with (
        log.open("wb") as output,
        _ended(
            subprocess.Popen(
                command,
                cwd=pictures,  # its own .env would start the sensor
                env={**sandbox.environment, "XACCT_EXTRA_FEEDS_DIR": str(feeds_folder)},
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        ) as served,
    ):
        _wait_until_served(url, served, log)
        yield url


@contextmanager
def _ended(process: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """End a process group as Ctrl-C does when the context closes."""
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(30)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _wait_until_served(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + SERVED_WITHIN
    while time.monotonic() < deadline:
        if process.poll() is not None:
            pytest.fail(f"`dg dev` ended with {process.returncode}:\n{log.read_text()}")
        try:
            with urllib.request.urlopen(f"{url}/server_info", timeout=5):
                return
        except (urllib.error.URLError, TimeoutError):
            time.sleep(0.25)
    pytest.fail(f"`dg dev` did not answer in {SERVED_WITHIN} s:\n{log.read_text()}")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A headless Chromium that connects to this machine only."""
    executable = next(filter(None, map(shutil.which, BROWSERS)), None)
    if executable is None:
        pytest.fail(
            f"no browser: none of {', '.join(BROWSERS)} is on the PATH. "
            "Install Debian's package `chromium` (apt-get install chromium)."
        )
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=executable,
            args=[
                # Chromium's own sandbox does not start for root or inside most containers; it
                # shows our pages only.
                "--no-sandbox",
                "--disable-gpu",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                "--no-first-run",
            ],
        )
        yield started
        started.close()


@pytest.fixture
def ui(browser: Browser, address: str, pictures: Path) -> Iterator[DagsterUi]:
    """A fresh tab, without memory of the others."""
    with open_tab(browser, address, pictures, width=1440, height=900) as tab:
        yield tab


@pytest.fixture
def wide_ui(browser: Browser, address: str, pictures: Path) -> Iterator[DagsterUi]:
    """A low and wide tab, drawn at twice the size, for pictures of the graph."""
    with open_tab(browser, address, pictures, width=1440, height=420, sharpness=2) as tab:
        yield tab


@contextmanager
def open_tab(
    browser: Browser,
    address: str,
    pictures: Path,
    *,
    width: int,
    height: int,
    sharpness: float = 1,
) -> Iterator[DagsterUi]:
    """A tab of the UI at an address."""
    expect.set_options(timeout=SEEN_WITHIN * 1000)
    with browser.new_context(
        base_url=address,
        viewport={"width": width, "height": height},
        device_scale_factor=sharpness,
        locale="en-US",
        timezone_id="UTC",
        color_scheme="light",
    ) as context:
        page = context.new_page()
        page.set_default_timeout(SEEN_WITHIN * 1000)
        yield DagsterUi(page, pictures)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Function, call: pytest.CallInfo[None]
) -> Iterator[pytest.TestReport]:
    """A test that failed leaves a picture of what it saw last."""
    report = yield
    tabs = [use for use in item.funcargs.values() if isinstance(use, DagsterUi)]
    if report.when == "call" and report.failed:
        for tab in tabs:
            tab.keep(f"failed-{item.name}")
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name what was kept."""
    kept = sorted(PICTURES.glob("*.png"))
    if kept:
        terminalreporter.section("screenshots")
        for picture in kept:
            terminalreporter.write_line(str(picture.relative_to(ROOT)))
