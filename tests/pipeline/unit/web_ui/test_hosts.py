"""XACCT_UI_HOSTS, and what is a host at all."""

from __future__ import annotations

import pytest

from xacct_assets.web_ui.hosts import Host, UiHosts, UiHostsError


def test_names_are_separated_by_commas_whatever_their_case() -> None:
    hosts = UiHosts.from_environment({"XACCT_UI_HOSTS": " Dagster.Example.com, ui ,"})
    assert hosts.names == {"dagster.example.com", "ui"}
    assert UiHosts.from_environment({}) == UiHosts.from_environment({"XACCT_UI_HOSTS": " "})


@pytest.mark.parametrize(
    "wrong",
    ["https://ui.example.com", "ui.example.com:443", "*", "*.example.com", "ui/", "a b", "-a.com"],
)
def test_what_is_no_name_is_refused_with_the_fix(wrong: str) -> None:
    with pytest.raises(UiHostsError, match=r"XACCT_UI_HOSTS.*not a host name.*e\.g\."):
        UiHosts.from_environment({"XACCT_UI_HOSTS": f"good.example.com,{wrong}"})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("localhost", Host("localhost", "")),
        ("LOCALHOST:3000", Host("localhost", "3000")),
        ("[::1]:3000", Host("::1", "3000")),
        ("a@b", None),
        ("a:b", None),
        ("a/b", None),
        ("a, b", None),
        ("a\n", None),
        ("", None),
    ],
)
def test_a_host_is_a_name_with_an_optional_port(text: str, expected: Host | None) -> None:
    assert Host.parse(text) == expected


@pytest.mark.parametrize("own", ["127.0.0.1", "127.8.8.8", "::1", "localhost", "ui.example.com"])
def test_this_machine_and_the_named_hosts_are_the_uis_own(own: str) -> None:
    assert UiHosts(frozenset({"ui.example.com"})).includes(Host(own, "3000"))


@pytest.mark.parametrize("other", ["0.0.0.0", "10.0.0.1", "::", "example.com", "a.ui.example.com"])
def test_other_hosts_are_not(other: str) -> None:
    assert not UiHosts(frozenset({"ui.example.com"})).includes(Host(other, "3000"))
