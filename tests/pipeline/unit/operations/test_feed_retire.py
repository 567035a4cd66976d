"""`xacct feed retire`: says what goes and what stays, asks, and deletes that alone."""

from pathlib import Path

import pytest

from tests.support.fakes.modelled_client import ModelledClient, client_error
from tests.support.fakes.stacks import FakeStacks
from xacct_assets.operations import cli
from xacct_assets.operations.deployment.accounts import Accounts


class FakeSessions:
    """Clients of account B: its stacks, and a catalog with the tables of each database."""

    profile = None

    def __init__(self) -> None:
        self.stacks = FakeStacks()
        self.tables = {"orders_raw": ["orders", "a_table_of_ours"]}
        self.glue = ModelledClient("glue", get_tables=self._get_tables)

    def _get_tables(self, DatabaseName: str, NextToken: str = "0") -> dict[str, object]:
        if DatabaseName not in self.tables:
            raise client_error("EntityNotFoundException", "Database not found")
        tables, at = self.tables[DatabaseName], int(NextToken)
        more = {"NextToken": str(at + 1)} if len(tables) > at + 1 else {}
        return {"TableList": [{"Name": name} for name in tables[at : at + 1]], **more}

    def client(self, service: str) -> ModelledClient:
        return {"cloudformation": self.stacks.client, "glue": self.glue}[service]

    def identity(self) -> tuple[str, str]:
        return "222222222222", "arn:aws:iam::222222222222:user/admin"


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeSessions:
    monkeypatch.chdir(tmp_path)
    variables = {
        "XACCT_ACCOUNT_A": "111111111111",
        "XACCT_ACCOUNT_B": "222222222222",
        "XACCT_SUFFIX": "local",
        "AWS_REGION": "us-east-1",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("XACCT_EXTRA_FEEDS_DIR", raising=False)
    sessions = FakeSessions()
    sessions.stacks.add_feed("products", "local")
    sessions.stacks.add_feed("orders", "local")

    def init(self: Accounts, settings: object) -> None:
        self._settings = settings  # type: ignore[assignment]
        self.sessions = {"b": sessions}  # type: ignore[dict-item]

    monkeypatch.setattr(Accounts, "__init__", init)
    return sessions


def retire(name: str, *options: str) -> int:
    return cli.main(["--no-env-file", "feed", "retire", name, *options])


def answer(monkeypatch: pytest.MonkeyPatch, text: str) -> list[str]:
    asked: list[str] = []

    def reply(question: str) -> str:
        asked.append(question)
        return text

    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("builtins.input", reply)
    return asked


def test_a_retired_feed_is_removed_after_what_goes_and_stays_was_printed(
    account: FakeSessions, capsys: pytest.CaptureFixture[str]
) -> None:
    assert retire("orders", "--yes") == 0
    shown = capsys.readouterr().out
    goes, _, stays = shown.partition("This stays:")
    for part in (
        "crawler xacct-local-orders",
        "Glue job xacct-local-orders",
        "catalog database orders_raw with its tables a_table_of_ours, orders",
        "stack xacct-feed-orders-local",
    ):
        assert part in goes
    for part in (
        "s3://inp/orders/",
        "s3://opt/orders/",
        "public.orders, public.orders_f, public.sp_orders()",
        "s3://processing/rejects/orders/",
        "Feed orders is retired.",
    ):
        assert part in stays
    assert list(account.stacks.stacks) == ["xacct-feed-products-local"]


def test_a_feed_that_is_in_the_settings_is_refused(
    account: FakeSessions, capsys: pytest.CaptureFixture[str]
) -> None:
    assert retire("products", "--yes") == 2
    assert "feed products is in the settings; nothing was deleted" in capsys.readouterr().err
    assert account.stacks.client.calls == []


@pytest.mark.parametrize("name", ["Products", "PRODUCTS", "Orders", "nothing", "", "*"])
def test_a_name_that_is_no_retired_feed_is_refused_with_those_there_are(
    account: FakeSessions, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    assert retire(name, "--yes") == 2
    assert "retired feeds that have one: orders" in capsys.readouterr().err
    assert account.stacks.client.named("delete_stack") == []


def test_nothing_is_deleted_if_nobody_can_answer(
    account: FakeSessions, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: False)
    assert retire("orders") == 2
    assert "nothing was deleted; answer y, or add --yes" in capsys.readouterr().err
    assert account.stacks.client.named("delete_stack") == []


@pytest.mark.parametrize(
    ("reply", "code"), [("y", 0), ("Yes ", 0), ("", 2), ("n", 2), ("orders", 2)]
)
def test_the_question_is_answered_with_y_or_with_anything_else(
    account: FakeSessions, monkeypatch: pytest.MonkeyPatch, reply: str, code: int
) -> None:
    asked = answer(monkeypatch, reply)
    assert retire("orders") == code
    assert asked == ["Retire feed orders? [y/N] "]
    assert ("xacct-feed-orders-local" in account.stacks.stacks) is (code != 0)


def test_of_several_retired_feeds_only_the_named_one_goes(account: FakeSessions) -> None:
    account.stacks.add_feed("prices", "local")
    assert retire("prices", "--yes") == 0
    assert sorted(account.stacks.stacks) == [
        "xacct-feed-orders-local",
        "xacct-feed-products-local",
    ]


@pytest.mark.parametrize("status", ["ROLLBACK_COMPLETE", "DELETE_FAILED", "UPDATE_ROLLBACK_FAILED"])
def test_a_stack_whose_last_operation_failed_is_removed(account: FakeSessions, status: str) -> None:
    account.stacks.add_feed("orders", "local", status)
    account.tables.clear()
    assert retire("orders", "--yes") == 0
    assert list(account.stacks.stacks) == ["xacct-feed-products-local"]


def test_what_cannot_be_deleted_is_named_and_the_next_attempt_goes_on(
    account: FakeSessions, capsys: pytest.CaptureFixture[str]
) -> None:
    account.stacks.undeletable["xacct-feed-orders-local"] = "Crawler is running"
    assert retire("orders", "--yes") == 1
    error = capsys.readouterr().err
    assert "Crawler (AWS::Glue::Crawler): Crawler is running" in error
    assert "run the same command again" in error
    account.stacks.undeletable.clear()
    assert retire("orders", "--yes") == 0
    assert "DELETE_FAILED" in capsys.readouterr().out


def test_a_stack_of_an_older_version_is_removed_too(
    account: FakeSessions, capsys: pytest.CaptureFixture[str]
) -> None:
    account.stacks.stacks["xacct-feed-orders-local"]["Outputs"] = []
    assert retire("orders", "--yes") == 0
    assert "the feed's tables and procedure" in capsys.readouterr().out
