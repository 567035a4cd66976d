"""Dagster's own web server, stock and guarded: what a page in somebody's browser can do with it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import dagster as dg
import pytest
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import EmptyWorkspaceTarget
from dagster_webserver import app, cli
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from xacct_assets.web_ui import serve

FACTORY = "create_app_from_workspace_process_context"
OWN = "http://127.0.0.1:3000"
FOREIGN = "https://evil.example"
JSON = {"content-type": "application/json"}
POOL = "POOL"
MUTATION = f'mutation {{ setConcurrencyLimit(concurrencyKey: "{POOL}", limit: 7) }}'
QUERY = "{ version }"
# The test client's own Host for web sockets is another one.
OWN_HOST = {"host": "127.0.0.1:3000"}
REPORT = f"/report_asset_materialization/{POOL}"
_NUMBERS = itertools.count()


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.DagsterInstance]:
    home = tmp_path_factory.mktemp("home")
    (home / "dagster.yaml").touch()
    with dg.DagsterInstance.from_config(str(home)) as made:
        yield made


@pytest.fixture(scope="module")
def served(instance: dg.DagsterInstance) -> Iterator[dict[str, TestClient]]:
    """The application as the command builds it: ``stock``, and after `install_guard`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XACCT_UI_HOSTS", "ui.example.com")
        patch.setattr(cli, FACTORY, getattr(app, FACTORY))
        with WorkspaceProcessContext(instance, EmptyWorkspaceTarget()) as context:
            stock = getattr(cli, FACTORY)(context)
            serve.install_guard()
            guarded = getattr(cli, FACTORY)(context)
            with TestClient(stock, OWN) as first, TestClient(guarded, OWN) as second:
                yield {"stock": first, "guarded": second}


@pytest.fixture
def ui(served: dict[str, TestClient]) -> TestClient:
    return served["guarded"]


class Trace:
    """What one test's mutation would leave behind: a pool, or a materialization, of its name."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self._instance = instance
        self.name = f"mutated{next(_NUMBERS)}"
        self.mutation = MUTATION.replace(POOL, self.name)

    def request(self, case: str) -> dict[str, Any]:
        """One of `BY_OTHER_SITES`, with this name."""
        made = dict(BY_OTHER_SITES[case])
        made["url"] = made["url"].replace(POOL, self.name)
        if "json" in made:
            made["json"] = {"query": self.mutation}
        return made

    @property
    def is_left(self) -> bool:
        storage = self._instance.event_log_storage
        return self.name in storage.get_concurrency_keys() or storage.has_asset_key(
            dg.AssetKey(self.name)
        )


@pytest.fixture
def trace(instance: dg.DagsterInstance) -> Trace:
    return Trace(instance)


def graphql(ui: TestClient, headers: dict[str, str], query: str) -> Any:
    return ui.post("/graphql", json={"query": query}, headers=headers)


# What a page of another site can make a browser send, without asking the server first.
BY_OTHER_SITES: dict[str, dict[str, Any]] = {
    "GET of a mutation under a foreign Host": {
        "method": "GET",
        "url": f"/graphql?query={quote(MUTATION)}",
        "headers": {"host": "evil.example", "origin": FOREIGN},
    },
    "image": {"method": "GET", "url": f"/graphql?query={quote(MUTATION)}"},
    "link to a mutation, answered as JSON": {
        "method": "GET",
        "url": f"/graphql?query={quote(MUTATION)}",
        "headers": {
            "accept": "application/json",
            "sec-fetch-site": "cross-site",
            "sec-fetch-mode": "navigate",
            "sec-fetch-dest": "document",
        },
    },
    "form": {
        "method": "POST",
        "url": f"/graphql?query={quote(MUTATION)}",
        "data": {"a": "b"},
        "headers": {"origin": FOREIGN},
    },
    "form of a page without an origin": {
        "method": "POST",
        "url": f"/graphql?query={quote(MUTATION)}",
        "data": {"a": "b"},
        "headers": {"origin": "null"},
    },
    "form that hides its origin": {
        "method": "POST",
        "url": f"/graphql?query={quote(MUTATION)}",
        "data": {"a": "b"},
    },
    "form with a file": {
        "method": "POST",
        "url": f"/graphql?query={quote(MUTATION)}",
        "files": {"a": b"b"},
    },
    "text that says it is JSON": {
        "method": "POST",
        "url": "/graphql",
        "content": b'{"query": "{ version }"}',
        "headers": {"content-type": "text/plain; a=application/json"},
    },
    "body without a type": {"method": "POST", "url": f"/graphql?query={quote(MUTATION)}"},
    "report of a materialization without a body": {"method": "POST", "url": REPORT},
    "JSON of a rebound name": {
        "method": "POST",
        "url": "/graphql",
        "json": {"query": MUTATION},
        "headers": {"host": "evil.example:3000", "origin": "http://evil.example:3000"},
    },
    "JSON with a foreign Origin": {
        "method": "POST",
        "url": "/graphql",
        "json": {"query": MUTATION},
        "headers": {"origin": FOREIGN},
    },
}


@pytest.mark.parametrize("case", BY_OTHER_SITES)
def test_a_page_of_another_site_changes_nothing(ui: TestClient, trace: Trace, case: str) -> None:
    answer = ui.request(**trace.request(case))
    assert answer.status_code in (403, 405, 415), answer.text
    assert "version" not in answer.text
    assert not trace.is_left


@pytest.mark.parametrize(
    "case",
    [
        "GET of a mutation under a foreign Host",
        "image",
        "form",
        "form that hides its origin",
        "body without a type",
        "report of a materialization without a body",
        "JSON of a rebound name",
    ],
)
def test_the_stock_web_server_executes_it(
    served: dict[str, TestClient], trace: Trace, case: str
) -> None:
    """Were it not so, there would be nothing to guard: each request above is a real one."""
    assert served["stock"].request(**trace.request(case)).status_code == 200
    assert trace.is_left


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example", "origin": "http://evil.example"},
        {"host": "127.0.0.1.evil.example:3000"},
        {"host": "10.0.0.7:3000"},
        {"host": "0.0.0.0:3000"},
        {"host": "[fd00::7]:3000"},
        {"host": "localhost:3000@evil.example"},
        {"host": ""},
        {"origin": FOREIGN},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:8080"},
        {"host": "ui.example.com", "origin": "http://ui.example.com.evil.example"},
        {
            "host": "ui.example.com",
            "origin": "http://ui.example.com",
            "x-forwarded-proto": "https",
        },
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_another_site_can_neither_read_nor_subscribe(
    ui: TestClient, headers: dict[str, str]
) -> None:
    for answer in (graphql(ui, headers, QUERY), ui.get("/runs", headers=headers)):
        assert answer.status_code == 403
        assert "version" not in answer.text
    with (
        pytest.raises(WebSocketDisconnect),
        ui.websocket_connect(
            "/graphql", headers={**OWN_HOST, **headers}, subprotocols=["graphql-ws"]
        ),
    ):
        pass


@pytest.mark.parametrize(
    "headers",
    [
        {},  # a script
        {"origin": OWN},
        {"host": "localhost:3000", "origin": "http://localhost:3000"},
        {"host": "LocalHost:3000", "origin": "http://localhost:3000"},
        # A forwarded port: only its own page names it.
        {"host": "localhost:8080", "origin": "http://localhost:8080"},
        {"host": "[::1]:3000", "origin": "http://[::1]:3000"},
        {"host": "ui.example.com", "origin": "https://ui.example.com"},
        {"host": "ui.example.com:443", "origin": "https://ui.example.com"},
        {
            "host": "ui.example.com",
            "origin": "https://ui.example.com",
            "x-forwarded-proto": "https",
            "sec-fetch-site": "same-origin",
        },
    ],
)
def test_the_ui_and_scripts_work(ui: TestClient, trace: Trace, headers: dict[str, str]) -> None:
    assert graphql(ui, headers, trace.mutation).status_code == 200
    assert trace.is_left
    with ui.websocket_connect(
        "/graphql", headers={**OWN_HOST, **headers}, subprotocols=["graphql-ws"]
    ) as socket:
        socket.send_json({"type": "connection_init"})
        assert socket.receive_json() == {"type": "connection_ack"}


def test_a_link_from_another_site_opens_the_ui(ui: TestClient) -> None:
    link = {
        "accept": "text/html",
        "sec-fetch-site": "cross-site",
        "sec-fetch-mode": "navigate",
        "sec-fetch-dest": "document",
    }
    answer = ui.get("/runs", headers=link)
    assert answer.status_code == 200
    assert answer.headers["x-frame-options"] == "SAMEORIGIN"
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    assert ui.get("/runs", headers={**link, "sec-fetch-dest": "iframe"}).status_code == 403


@pytest.mark.parametrize("query", [MUTATION, QUERY])
@pytest.mark.parametrize("path", ["/graphql", "/graphql/", "/%67raphql"])
def test_graphql_is_not_read_by_get(ui: TestClient, trace: Trace, path: str, query: str) -> None:
    query = query.replace(POOL, trace.name)
    answer = ui.get(f"{path}?query={quote(query)}", headers={"accept": "*/*"})
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    page = ui.get(f"{path}?query={quote(query)}", headers={"accept": "text/html,*/*"})
    assert "<!doctype html>" in page.text.lower()
    assert not trace.is_left


def test_a_load_balancer_sees_the_health_and_nothing_else(ui: TestClient) -> None:
    for host in ("10.0.0.7:3000", "10.0.0.7", "[fd00::7]:3000"):
        assert ui.get("/server_info", headers={"host": host}).status_code == 200
        for path in ("/", "/runs", "/server_info/x", "/graphql"):
            assert ui.get(path, headers={"host": host}).status_code == 403
        assert ui.post("/server_info", json={}, headers={"host": host}).status_code == 403
    assert ui.get("/server_info", headers={"host": "evil.example"}).status_code == 403


def test_two_values_of_a_header_that_decides_are_refused(ui: TestClient) -> None:
    for name, first, second in (
        ("Origin", OWN, FOREIGN),
        ("Content-Type", "application/json", "text/plain"),
        ("Host", "127.0.0.1", "evil.example"),
    ):
        answer = ui.post("/graphql", content=b"{}", headers=[(name, first), (name, second)])
        assert answer.status_code == 400, name


def test_a_web_server_that_builds_its_application_otherwise_is_not_started(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cli, FACTORY, lambda *_: None)
    with pytest.raises(RuntimeError, match="not served, since it would be unguarded"):
        serve.install_guard()
    monkeypatch.delattr(cli, FACTORY)
    with pytest.raises(RuntimeError, match="not served, since it would be unguarded"):
        serve.install_guard()
