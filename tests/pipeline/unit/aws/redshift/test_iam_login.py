"""The login by IAM: a temporary password, renewed in time, whatever the clock here says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import redshift_connector

from tests.support.fakes.clock import Clock
from tests.support.fakes.modelled_client import ModelledClient, client_error
from tests.support.fakes.redshift import FakeRedshift
from xacct_assets.aws.errors import AccessDenied, LoginFailed
from xacct_assets.aws.redshift.iam_login import jdbc_url, role_user, temporary_credentials
from xacct_assets.aws.redshift.serverless import WorkgroupDescription
from xacct_assets.aws.redshift.warehouse import Warehouse
from xacct_assets.aws.secretsmanager import WarehouseCredentials

ARN = "arn:aws:redshift-serverless:us-east-1:222222222222:workgroup/0f1e"
HOST = "team.222222222222.us-east-1.redshift-serverless.amazonaws.com"
WORKGROUP = WorkgroupDescription("team", ARN, "team", HOST, 5439)
USER = "IAMR:xacct-orchestrator-test"


class Service:
    """GetCredentials, whose clock may be another one than the machine's.

    Attributes:
        valid: seconds for which a password is valid.
        given: the number of passwords so far.
    """

    def __init__(self, clock: Clock, valid: float = 900, ahead: timedelta = timedelta()) -> None:
        self.valid = valid
        self.given = 0
        self._clock = clock
        self._ahead = ahead
        self._until: dict[str, float] = {}

    def get_credentials(self, **_: Any) -> dict[str, Any]:
        self.given += 1
        self._until[f"p{self.given}"] = self._clock.now + self.valid
        now = datetime.now(UTC).replace(microsecond=0) + self._ahead
        return {
            "dbUser": USER,
            "dbPassword": f"p{self.given}",
            "expiration": now + timedelta(seconds=self.valid),
            "ResponseMetadata": {"HTTPHeaders": {"date": format_datetime(now, usegmt=True)}},
        }

    def accepts(self, password: str) -> bool:
        return self._clock.now < self._until[password]

    def log_in(self) -> WarehouseCredentials:
        client = ModelledClient("redshift-serverless", get_credentials=self.get_credentials)
        return temporary_credentials(client, WORKGROUP, "dev")  # type: ignore[arg-type]


@pytest.fixture
def database() -> Iterator[FakeRedshift]:
    database = FakeRedshift()
    yield database
    database.socket.close()


@pytest.fixture
def warehouse_of(database: FakeRedshift, clock: Clock) -> Callable[[Service], Warehouse]:
    def new(service: Service) -> Warehouse:
        def connector(**options: Any) -> Any:
            connection = database(**options)
            if not service.accepts(options["password"]):
                message = f'password authentication failed for user "{USER}"'
                raise redshift_connector.InterfaceError({"C": "28000", "M": message})
            return connection

        return Warehouse(service.log_in, connector=connector, sleep=clock.sleep, clock=clock)

    return new


def test_the_password_is_asked_for_the_workgroup_and_database_with_the_shortest_validity() -> None:
    asked: list[dict[str, Any]] = []

    def get_credentials(**request: Any) -> dict[str, Any]:
        asked.append(request)
        return Service(Clock()).get_credentials()

    client = ModelledClient("redshift-serverless", get_credentials=get_credentials)
    login = temporary_credentials(client, WORKGROUP, "dev")  # type: ignore[arg-type]
    assert asked == [{"workgroupName": "team", "dbName": "dev", "durationSeconds": 900}]
    assert (login.host, login.port, login.database, login.user) == (HOST, 5439, "dev", USER)
    assert login.valid_seconds == 900
    assert login.secret_arn is None
    assert "p1" not in repr(login)


@pytest.mark.parametrize("hours", [-30, 0, 30])
def test_the_validity_is_by_the_clock_of_the_service(clock: Clock, hours: int) -> None:
    service = Service(clock, valid=777, ahead=timedelta(hours=hours))
    assert service.log_in().valid_seconds == 777


def test_a_denial_names_the_workgroup_and_the_statement_that_allows_it() -> None:
    def denied(**_: Any) -> Any:
        raise client_error(
            "AccessDeniedException",
            "User: arn:aws:sts::222222222222:assumed-role/xacct-orchestrator-test/run is not "
            f"authorized to perform: redshift-serverless:GetCredentials on resource: {ARN}",
        )

    client = ModelledClient("redshift-serverless", get_credentials=denied)
    with pytest.raises(AccessDenied) as caught:
        temporary_credentials(client, WORKGROUP, "dev")  # type: ignore[arg-type]
    assert ARN in str(caught.value)


def test_connections_of_hours_are_never_refused_and_few_passwords_are_asked_for(
    clock: Clock, warehouse_of: Callable[[Service], Warehouse]
) -> None:
    service = Service(clock)
    warehouse = warehouse_of(service)
    for _ in range(4 * 60):
        warehouse.execute("DELETE FROM t")
        clock.sleep(60)
    assert 4 * 3600 / 900 <= service.given <= 4 * 3600 / 900 * 1.3


@pytest.mark.parametrize("valid", [5.0, 100.0, 3600.0])
def test_a_password_is_renewed_before_it_expires_however_short_it_is_valid(
    clock: Clock, warehouse_of: Callable[[Service], Warehouse], valid: float
) -> None:
    service = Service(clock, valid)
    warehouse = warehouse_of(service)
    assert warehouse.credentials.password == "p1"
    clock.sleep(valid * 0.4)
    assert warehouse.credentials.password == "p1"
    clock.sleep(valid * 0.59)
    assert warehouse.credentials.password == "p2"
    warehouse.execute("DELETE FROM t")


def test_a_password_that_expired_unseen_is_replaced_at_once(
    clock: Clock, warehouse_of: Callable[[Service], Warehouse]
) -> None:
    """On a machine that was suspended the clock stood still, and the password expired."""
    service = Service(clock)
    warehouse = warehouse_of(service)
    assert warehouse.credentials.password == "p1"
    service._until["p1"] = clock.now
    before = clock.now
    warehouse.execute("DELETE FROM t")
    assert (warehouse.credentials.password, clock.now) == ("p2", before)


def test_an_open_connection_outlives_its_password(
    clock: Clock, warehouse_of: Callable[[Service], Warehouse], database: FakeRedshift
) -> None:
    service = Service(clock)
    warehouse = warehouse_of(service)

    def work(connection: Any) -> None:
        connection.cursor().execute("INSERT 1")
        clock.sleep(2000)
        connection.cursor().execute("INSERT 2")

    warehouse.transaction(work)
    assert database.log[-3:] == ["INSERT 1", "INSERT 2", "commit"]
    assert service.given == 1


def test_a_login_that_stays_refused_is_not_told_as_a_wrong_secret(
    clock: Clock, warehouse_of: Callable[[Service], Warehouse]
) -> None:
    with pytest.raises(LoginFailed) as caught:
        warehouse_of(Service(clock, valid=0)).query("SELECT 1")
    text = str(caught.value)
    assert USER in text
    assert "its password is temporary" in text
    assert "XACCT_REDSHIFT_" not in text


@pytest.mark.parametrize(
    ("arn", "user"),
    [
        ("arn:aws:iam::222222222222:role/xacct-glue-test", "IAMR:xacct-glue-test"),
        ("arn:aws-cn:iam::222222222222:role/team/a/loader", "IAMR:loader"),
    ],
)
def test_the_database_user_of_a_role_has_its_name_without_path(arn: str, user: str) -> None:
    assert role_user(arn) == user


def test_the_jobs_address_names_the_workgroup_also_behind_another_host() -> None:
    url = jdbc_url(WORKGROUP.reached_at("10.0.0.9", 8191), "dev")
    assert url.startswith("jdbc:redshift:iam://10.0.0.9:8191/dev?")
    options = parse_qs(urlsplit(url.removeprefix("jdbc:redshift:")).query)
    assert options == {
        "IsServerless": ["true"],
        "ServerlessAcctId": ["222222222222"],
        "ServerlessWorkGroup": ["team"],
        "Region": ["us-east-1"],
        "ssl": ["true"],
        "sslmode": ["verify-full"],
    }
