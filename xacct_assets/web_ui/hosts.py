"""The names under which the web UI may be asked for."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

HOSTS_VARIABLE = "XACCT_UI_HOSTS"

_HOST = re.compile(r"(?P<name>\[[0-9a-f:.]+\]|[a-z0-9_.-]+)(?::(?P<port>[0-9]{1,5}))?", re.ASCII)
_NAME = re.compile(
    r"(?=.{1,253}$)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?\.)*[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
)


class UiHostsError(Exception):
    """`XACCT_UI_HOSTS` is not usable; says what to give instead."""


@dataclass(frozen=True)
class Host:
    """The value of a Host header, or the host of an Origin.

    Attributes:
        name: in lower case; an IPv6 address without its brackets.
        port: as it was written; "" if none was.
    """

    name: str
    port: str

    @classmethod
    def parse(cls, value: str) -> Host | None:
        """The host; None if the value is no host with an optional port."""
        match = _HOST.fullmatch(value.lower())
        if match is None:
            return None
        return cls(match["name"].strip("[]"), match["port"] or "")

    @property
    def address(self) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
        """The host as an IP address, if it is one."""
        try:
            return ipaddress.ip_address(self.name)
        except ValueError:
            return None


@dataclass(frozen=True)
class UiHosts:
    """Decides which Host headers are the UI's own.

    This machine's own addresses always are: a web page can point its name at 127.0.0.1 (DNS
    rebinding), but then it is that name that the browser sends.

    Attributes:
        names: further host names, in lower case.
    """

    names: frozenset[str] = frozenset()

    @classmethod
    def from_environment(cls, env: Mapping[str, str]) -> UiHosts:
        """Read ``XACCT_UI_HOSTS``.

        Raises:
            UiHostsError: an entry is no host name.
        """
        entries = [part.strip().lower() for part in env.get(HOSTS_VARIABLE, "").split(",")]
        names = frozenset(filter(None, entries))
        _require_names(names)
        return cls(names)

    def includes(self, host: Host) -> bool:
        """Whether the UI may be asked for under this host. The port may be a forwarded one."""
        address = host.address
        is_this_machine = host.name == "localhost" or (address is not None and address.is_loopback)
        return is_this_machine or host.name in self.names


def _require_names(names: Iterable[str]) -> None:
    for name in sorted(names):
        if not _NAME.fullmatch(name):
            raise UiHostsError(
                f"{HOSTS_VARIABLE}: {name!r} is not a host name; give the names that people type "
                "into the browser, without https://, port, path or *, joined with commas, e.g. "
                f"{HOSTS_VARIABLE}=dagster.example.com"
            )
