"""`make run` and the tests pass wherever the repository is cloned, and whoever's shell it is.

Clones that differ in the shell only are one clone, ``plain``. Each case starts with an empty
sandbox, runs the whole pipeline, and then the tests that need no processes. The clone ``odd`` runs
the whole of `make test`.
"""

from __future__ import annotations

import logging

import pytest

from tests.support.clone import DEBIAN_12, Clone, finished, newest, python_311

logger = logging.getLogger(__name__)
pytestmark = pytest.mark.timeout(2400)

RUN = ("run", "UI=0")
NO_PROXY = "http://127.0.0.1:9"
"""Nothing listens there: each request that is sent to this proxy fails."""


def run_pipeline(*clones: Clone, **shell: str) -> None:
    """`make run` in all clones at once, from nothing; then the state is removed again."""
    try:
        started = [clone.start("make", f"PYTHON={clone.python}", *RUN, **shell) for clone in clones]
        for output in [finished(process) for process in started]:
            assert "3 days are right." in output
        for clone in clones:
            assert "state     ready" in clone.run(".venv/bin/xacct-sandbox", "status", **shell)
    finally:
        for clone in clones:
            clone.reset()


def test_on_the_newest_python_3_11(plain: Clone) -> None:
    assert plain.run(".venv/bin/python", "--version").split()[1] == newest("3.11")
    run_pipeline(plain)
    plain.make("test-unit")


@pytest.mark.parametrize(
    "shell",
    [
        {"HTTPS_PROXY": NO_PROXY, "HTTP_PROXY": NO_PROXY, "ALL_PROXY": NO_PROXY},
        {"https_proxy": NO_PROXY, "http_proxy": NO_PROXY, "all_proxy": NO_PROXY},
        {"TZ": "Asia/Kolkata"},
        {"LC_ALL": "C"},
    ],
    ids="-".join,
)
def test_in_a_shell_with(plain: Clone, shell: dict[str, str]) -> None:
    run_pipeline(plain, **shell)
    plain.make("test-unit", **shell)


def test_on_debians_python_3_11_2(odd: Clone) -> None:
    python_311(DEBIAN_12)
    assert odd.run(".venv/bin/python", "--version").split()[1] == DEBIAN_12
    run_pipeline(odd)


def test_two_clones_at_once(plain: Clone, odd: Clone) -> None:
    run_pipeline(plain, odd)


def test_in_a_folder_with_blank_apostrophe_and_accent(odd: Clone) -> None:
    run_pipeline(odd, LC_ALL="C")
    odd.make("test")


def test_as_a_user_without_root_and_home(unprivileged: Clone) -> None:
    run_pipeline(unprivileged)
    unprivileged.make("test-unit")


def test_with_umask_077(private: Clone) -> None:
    run_pipeline(private)
    private.make("test-unit")
