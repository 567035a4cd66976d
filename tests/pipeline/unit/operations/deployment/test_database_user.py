"""The pipeline's database user is made, granted and dropped; another's is never taken."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import pytest

from tests.support.project import EXTRA_FEEDS_DIR
from xacct_assets.aws.errors import DeployFailed
from xacct_assets.aws.redshift.sql import qualified
from xacct_assets.feed.loader import load_feeds
from xacct_assets.feed.spec import FeedSpec
from xacct_assets.operations.deployment.database_user import LOAD, RUN, DatabaseUser
from xacct_assets.operations.deployment.warehouse_sql import SqlScript

PASSWORD = "Not-4-real"


class FakeSql:
    """A login to Redshift that records its statements.

    Args:
        users: whether each user is a superuser.
    """

    route = "wire"

    def __init__(self, **users: bool) -> None:
        self.users = users
        self.statements: list[str] = []

    def query(self, sql: str) -> list[dict[str, Any]]:
        name = sql.rsplit("'", 2)[1]
        return [{"usename": name, "usesuper": self.users[name]}] if name in self.users else []

    def apply(self, scripts: Sequence[SqlScript], feeds: Sequence[FeedSpec]) -> None:
        self.statements += [sql for script in scripts for sql in script.statements]


def make(sql: FakeSql, *, can_log_in: bool = True, secret_is_new: bool = False) -> str | None:
    return DatabaseUser("xacct_test", sql).make(
        PASSWORD, can_log_in=lambda: can_log_in, secret_is_new=secret_is_new
    )


DIGEST = "md5" + hashlib.md5(f"{PASSWORD}xacct_test".encode()).hexdigest()


@pytest.mark.parametrize("secret_is_new", [True, False])
def test_a_missing_user_is_made_and_no_statement_has_the_password(secret_is_new: bool) -> None:
    sql = FakeSql()
    assert make(sql, secret_is_new=secret_is_new) == "made"
    assert sql.statements == [f"CREATE USER \"xacct_test\" PASSWORD '{DIGEST}'"]


def test_a_user_that_can_log_in_is_left_as_it_is() -> None:
    sql = FakeSql(xacct_test=False)
    assert make(sql) is None
    assert sql.statements == []


def test_a_user_whose_password_is_not_the_secrets_gets_it() -> None:
    sql = FakeSql(xacct_test=False)
    assert make(sql, can_log_in=False) == "got the secret's password"
    assert sql.statements == [f"ALTER USER \"xacct_test\" PASSWORD '{DIGEST}'"]


@pytest.mark.parametrize(
    ("users", "secret_is_new", "told"),
    [
        ({"xacct_test": True}, False, "is a superuser"),
        ({"xacct_test": True}, True, "is a superuser"),
        ({"xacct_test": False}, True, "this installation did not make it"),
    ],
)
def test_a_user_of_somebody_else_is_never_taken(
    users: dict[str, bool], secret_is_new: bool, told: str
) -> None:
    sql = FakeSql(**users)
    with pytest.raises(DeployFailed, match=told) as refusal:
        make(sql, secret_is_new=secret_is_new)
    assert "XACCT_DATABASE_USER" in (refusal.value.fix or "")
    assert sql.statements == []


def test_the_grants_name_each_object_of_each_feed_once() -> None:
    feeds = load_feeds(extra_feeds_dir=EXTRA_FEEDS_DIR)
    statements = DatabaseUser("xacct_test", FakeSql()).grants(feeds).statements
    assert len(statements) == len(set(statements))
    text = "\n".join(statements)
    for feed in feeds:
        tables = feed.warehouse
        for name in (tables.staging, tables.fact, tables.load_audit, tables.procedure):
            assert qualified(name) in text
    # No right on a table is broader than a run needs, and none is for everybody.
    assert "ALL" not in text
    assert "PUBLIC" not in text
    assert all(statement.endswith('TO "xacct_test"') for statement in statements)


def test_a_feed_in_a_schema_of_its_own_gets_the_right_to_use_it() -> None:
    (feed, *_) = load_feeds()
    tables = feed.warehouse.model_copy(update={"fact": "shop.products_f"})
    feed = feed.model_copy(update={"warehouse": tables})
    statements = DatabaseUser("u", FakeSql()).grants([feed]).statements
    assert 'GRANT USAGE ON SCHEMA "shop" TO "u"' in statements
    assert 'GRANT USAGE, CREATE ON SCHEMA "public" TO "u"' in statements


def test_a_user_loses_its_rights_before_it_is_dropped() -> None:
    sql = FakeSql(xacct_test=False)
    assert DatabaseUser("xacct_test", sql).drop(load_feeds())
    assert [statement.split()[0] for statement in sql.statements] == ["REVOKE"] * 3 + ["DROP"]
    assert not DatabaseUser("nobody", sql).drop(load_feeds())


ROLE_USER = "IAMR:xacct-orchestrator-test"


def test_the_user_of_a_role_is_made_without_a_password_once() -> None:
    sql = FakeSql()
    assert DatabaseUser(ROLE_USER, sql).make_for_iam() == "made"
    assert sql.statements == [f'CREATE USER "{ROLE_USER}" PASSWORD DISABLE']
    # Redshift may show the name in lower case.
    sql = FakeSql(**{ROLE_USER.lower(): False})
    assert DatabaseUser(ROLE_USER, sql).make_for_iam() is None
    assert sql.statements == []


def test_a_role_that_is_a_superuser_of_the_database_is_refused() -> None:
    sql = FakeSql(**{ROLE_USER.lower(): True})
    with pytest.raises(DeployFailed, match="is a superuser") as refusal:
        DatabaseUser(ROLE_USER, sql).make_for_iam()
    assert f'ALTER USER "{ROLE_USER}" NOCREATEUSER' in (refusal.value.fix or "")


def test_the_two_users_of_a_login_by_iam_have_together_what_one_user_has() -> None:
    feeds = load_feeds(extra_feeds_dir=EXTRA_FEEDS_DIR)

    def grants(*parts: str) -> set[str]:
        statements = DatabaseUser("u", FakeSql(), parts).grants(feeds).statements
        return {right for text in statements for right in rights_in(text)}

    assert grants(RUN) | grants(LOAD) == grants(RUN, LOAD)
    assert not any("fact" in right or "PROCEDURE" in right for right in grants(LOAD))
    assert not any(right.startswith("CREATE") for right in grants(RUN))


def rights_in(grant: str) -> list[str]:
    rights, _, rest = grant.removeprefix("GRANT ").partition(" ON ")
    return [f"{right} ON {rest}" for right in rights.split(", ")]
