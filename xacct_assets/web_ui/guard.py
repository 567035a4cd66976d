"""Refuses requests that a page of another site can make a browser send.

Dagster's web server has no sign-in, executes GraphQL mutations from a plain GET, and looks at
neither Host nor Origin. So any page that is open in the browser of somebody who can reach the UI
could start and stop runs. The guard stands before the web server's own application and takes

* only requests whose Host is a name of the UI (against DNS rebinding);
* from a page, only requests of the UI's own origin (Origin, and Sec-Fetch-Site for requests
  without one, such as those of ``<img>``); a link to the UI works from anywhere;
* GraphQL only by POST, and bodies only of content types that no form and no request without
  preflight can have (Fetch standard, "CORS-safelisted request-header").

Requests without Origin and Sec-Fetch-Site are not from a browser's page: scripts may use the API
as before, with ``Content-Type: application/json``. Who they are is decided in front of the guard,
by the network or by a load balancer with sign-in.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from xacct_assets.web_ui.hosts import HOSTS_VARIABLE, Host, UiHosts

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

#: Answered under any IP address: load balancers check targets by their address.
HEALTH_PATH = "/server_info"
_BODY_TYPES = ("application/json", "application/graphql")
_READING = ("GET", "HEAD")
_SINGLE = ("host", "origin", "content-type", "sec-fetch-site", "x-forwarded-proto")
_DEFAULT_PORTS = {"http": "80", "https": "443"}
_RESPONSE_HEADERS = (
    # Another site's page must neither frame the UI (and have its buttons clicked) nor embed it.
    (b"x-frame-options", b"SAMEORIGIN"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"x-content-type-options", b"nosniff"),
)


@dataclass(frozen=True)
class Refusal:
    """Why a request is not answered.

    Attributes:
        status: of the HTTP response.
        text: of the response: the reason and the fix.
    """

    status: int
    text: str


class Guard:
    """An ASGI application in front of another one.

    Args:
        application: Dagster's web server.
        hosts: the names of the UI.
    """

    def __init__(self, application: Application, hosts: UiHosts) -> None:
        self._application = application
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] == "lifespan":
            await self._application(scope, receive, send)
            return
        refusal = refuse(scope, self._hosts)
        if refusal is not None and scope["type"] == "http":
            await _send_refusal(refusal, send)
        elif refusal is not None:
            await receive()  # websocket.connect
            await send({"type": "websocket.close", "code": 1008, "reason": ""})
        else:
            await self._application(scope, receive, _with_headers(send))


def refuse(scope: Scope, hosts: UiHosts) -> Refusal | None:
    """Why the request of an ASGI scope is refused; None if it is answered."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name = raw_name.decode("latin-1").lower()
        if name in headers and name in _SINGLE:
            return Refusal(400, f"The request has more than one header {name}.")
        # Of several, the first counts, as for the application behind.
        headers.setdefault(name, raw_value.decode("latin-1").strip())
    host = Host.parse(headers.get("host", ""))
    method = "GET" if scope["type"] == "websocket" else scope["method"]
    return (
        _foreign_host(host, headers, scope, hosts)
        or _foreign_origin(host, headers)
        or _foreign_page(headers, method)
        or (None if scope["type"] == "websocket" else _unsafe_form(headers, method, scope["path"]))
    )


def _foreign_host(
    host: Host | None, headers: dict[str, str], scope: Scope, hosts: UiHosts
) -> Refusal | None:
    if host is not None:
        is_health_check = (
            scope["type"] == "http"
            and scope["method"] in _READING
            and scope["path"] == HEALTH_PATH
            and host.address is not None
        )
        if is_health_check or hosts.includes(host):
            return None
    return Refusal(
        403,
        f"{_shown(headers.get('host', ''))} is not a name of this Dagster UI. If it should be one, "
        f"add the name to {HOSTS_VARIABLE} of the web server.",
    )


def _foreign_origin(host: Host | None, headers: dict[str, str]) -> Refusal | None:
    if "origin" not in headers or _is_own_origin(host, headers):
        return None
    return Refusal(
        403,
        f"The request is from a page of {_shown(headers['origin'])}, not of this UI "
        f"({_shown(headers['host'])}). A proxy in front of it must pass the Host header on.",
    )


def _is_own_origin(host: Host | None, headers: dict[str, str]) -> bool:
    """Whether Origin and Host are the same site.

    The scheme of the page is what the browser says. Where a proxy says that it was asked over
    https, a page over plain http is another one.
    """
    scheme, _, rest = headers["origin"].partition("://")
    page = Host.parse(rest)
    if page is None or host is None or scheme not in _DEFAULT_PORTS:
        return False
    if headers.get("x-forwarded-proto", "").lower() == "https" and scheme != "https":
        return False
    default = _DEFAULT_PORTS[scheme]
    return page.name == host.name and (page.port or default) == (host.port or default)


def _foreign_page(headers: dict[str, str], method: str) -> Refusal | None:
    """Requests of other sites that have no Origin: images, scripts, frames, forms by GET.

    Fetch Metadata, "Sec-Fetch-Site": ``none`` is typed or a bookmark.
    """
    if headers.get("sec-fetch-site", "none") in ("none", "same-origin"):
        return None
    is_link = (
        method in _READING
        and headers.get("sec-fetch-mode") == "navigate"
        and headers.get("sec-fetch-dest") == "document"
    )
    if is_link:
        return None
    return Refusal(403, "The request is from a page of another site, not of this UI.")


def _unsafe_form(headers: dict[str, str], method: str, path: str) -> Refusal | None:
    if method in _READING:
        is_graphql = urlsplit(path).path.rstrip("/").rpartition("/")[2] == "graphql"
        # A browser that opens the address gets the playground: a page, whatever the query.
        if is_graphql and "text/html" not in headers.get("accept", ""):
            return Refusal(
                405, "GraphQL is taken by POST, with Content-Type: application/json, not by GET."
            )
        return None
    if headers.get("content-type", "").partition(";")[0].strip().lower() in _BODY_TYPES:
        return None
    return Refusal(
        415,
        f"Content-Type {_shown(headers.get('content-type', ''))} is refused, since a form of "
        "another site can send it. Send Content-Type: application/json with a JSON body.",
    )


def _shown(text: str) -> str:
    return repr(text[:100]) if text else "(none)"


def _with_headers(send: Send) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            ours = {name for name, _ in _RESPONSE_HEADERS}
            others = [pair for pair in message.get("headers", ()) if pair[0].lower() not in ours]
            message = {**message, "headers": [*others, *_RESPONSE_HEADERS]}
        await send(message)

    return send_with_headers


async def _send_refusal(refusal: Refusal, send: Send) -> None:
    body = (refusal.text + "\n").encode("utf-8", "replace")
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        # The request's body is not read.
        (b"connection", b"close"),
        *_RESPONSE_HEADERS,
    ]
    if refusal.status == 405:
        headers.append((b"allow", b"POST"))
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
