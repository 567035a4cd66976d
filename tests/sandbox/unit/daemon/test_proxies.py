"""Requests to the sandbox go direct, whatever proxy the shell names."""

from __future__ import annotations

import urllib.request
from pathlib import Path

import pytest
from botocore.utils import should_bypass_proxies

from xacct_sandbox.clients import _CONFIG
from xacct_sandbox.daemon import profiles, proxies
from xacct_sandbox.daemon.config import SandboxConfig

ENDPOINT = SandboxConfig(home=Path("/")).endpoint_url

SHELLS = [
    {},
    {"HTTPS_PROXY": "http://proxy:3128"},
    {"https_proxy": "http://proxy:3128"},
    {"ALL_PROXY": "socks5://proxy:1080"},
    {"HTTPS_PROXY": "http://proxy:3128", "no_proxy": "intranet"},
    {"https_proxy": "http://proxy:3128", "NO_PROXY": "intranet", "no_proxy": ""},
    {"HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": "*"},
]


@pytest.mark.parametrize("shell", SHELLS, ids=str)
def test_clients_bypass_the_proxy_for_this_machine(
    monkeypatch: pytest.MonkeyPatch, shell: dict[str, str]
) -> None:
    for name, value in {**shell, **proxies.direct(shell)}.items():
        monkeypatch.setenv(name, value)
    assert should_bypass_proxies(ENDPOINT)
    assert urllib.request.proxy_bypass("127.0.0.1")


def test_other_hosts_still_use_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    shell = {"HTTPS_PROXY": "http://proxy:3128"}
    for name, value in {**shell, **proxies.direct(shell)}.items():
        monkeypatch.setenv(name, value)
    assert not should_bypass_proxies("https://pypi.org")


def test_the_users_exceptions_are_kept_and_nothing_is_added_twice() -> None:
    once = proxies.direct({"NO_PROXY": "a.example, .b.example", "no_proxy": "c.example,a.example"})
    assert once["NO_PROXY"] == once["no_proxy"]
    assert once["NO_PROXY"] == "c.example,a.example,.b.example,127.0.0.1,localhost"
    assert proxies.direct(once) == once


def test_the_sandboxs_own_clients_have_no_proxy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, "http://proxy:3128")
    config = SandboxConfig(home=tmp_path)
    config.aws_dir.mkdir()
    config.aws_credentials_file.write_text(
        "[developer]\naws_access_key_id = a\naws_secret_access_key = b\n"
    )
    config.tls_dir.mkdir()
    config.ca_pem.touch()
    client = profiles.client(config, "developer", "sts")
    assert client._endpoint.http_session._proxy_config.proxy_url_for(ENDPOINT) is None
    assert _CONFIG.proxies == {}
