"""SQL through the Data API: run once, followed to its end, all rows read."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from tests.support.fakes.redshift_data import STATEMENT, FakeRedshiftData
from xacct_assets.aws.errors import (
    AccessDenied,
    LoginFailed,
    ResultExpired,
    StatementFailed,
    Throttled,
    WaitTimeout,
)
from xacct_assets.aws.redshift.data_api import DataApi, token_of
from xacct_assets.contract.logins import ROTATION_WINDOW

SECRET = "arn:aws:secretsmanager:us-east-1:222222222222:secret:xacct/redshift-local-AbCdEf"
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def redshift():
    return FakeRedshiftData()


@pytest.fixture
def api(redshift, clock):
    return DataApi(redshift.client, "xacct-local", "dev", SECRET, sleep=clock.sleep, clock=clock)


def test_a_statement_is_submitted_once_with_its_token_and_bound_values(redshift, api):
    result = api.execute(
        "CALL p(:day)", {"day": "2026-01-01"}, client_token="run-1/fact", name="fact of 2026-01-01"
    )
    (request,) = redshift.client.named("execute_statement")
    assert request["ClientToken"] == "run-1/fact"
    assert request["Parameters"] == [{"name": "day", "value": "2026-01-01"}]
    assert (request["WorkgroupName"], request["SecretArn"]) == ("xacct-local", SECRET)
    assert (result.id, result.row_count, result.duration) == (STATEMENT, 3, 2.0)


def test_waiting_is_a_long_poll(redshift, api):
    api.execute("SELECT 1")
    assert all(
        call["WaitTimeSeconds"] == 10 for call in redshift.client.named("describe_statement")
    )


def test_a_statement_that_ends_while_it_is_submitted_is_not_asked_about(redshift, api):
    redshift.answer = {"Status": "FINISHED", "HasResultSet": False}
    assert api.execute("CALL p()").id == STATEMENT
    (submitted,) = redshift.submits
    assert submitted[1]["WaitTimeSeconds"] == 10
    assert redshift.client.named("describe_statement") == []


def test_a_batch_that_ends_while_it_is_submitted_has_a_result_for_each_statement(redshift, api):
    redshift.answer = {"Status": "FINISHED", "HasResultSet": False}
    results = api.batch(["UNLOAD 1", "UNLOAD 2"])
    assert [result.id for result in results] == [f"{STATEMENT}:1", f"{STATEMENT}:2"]
    assert redshift.client.named("describe_statement") == []


def test_a_batch_with_rows_is_described_so_that_they_are_read(redshift, api):
    redshift.answer = {"Status": "FINISHED", "HasResultSet": True}
    redshift.facts = {
        "SubStatements": [{"Id": f"{STATEMENT}:1", "Status": "FINISHED", "HasResultSet": True}]
    }
    redshift.pages = [{"ColumnMetadata": [{"name": "n"}], "Records": [[{"longValue": 7}]]}]
    (result,) = api.batch(["SELECT 7"])
    assert result.rows == [{"n": 7}]


def test_a_statement_that_fails_while_it_is_submitted_is_asked_why(redshift, api):
    redshift.answer = {"Status": "FAILED", "HasResultSet": False}
    redshift.statuses = ["FAILED"]
    redshift.facts = {"Error": "ERROR: no such table"}
    with pytest.raises(StatementFailed, match="no such table"):
        api.execute("SELECT 1")


def test_too_many_waiting_submits_fall_back_to_plain_ones(redshift, api, refusal):
    redshift.submit_errors = [refusal("ActiveWaitingRequestsExceededException")]
    api.execute("SELECT 1")
    first, second = redshift.submits
    assert "WaitTimeSeconds" in first[1]
    assert "WaitTimeSeconds" not in second[1]


def test_too_many_long_polls_fall_back_to_plain_ones(redshift, api, refusal):
    redshift.describe_errors = [refusal("ActiveWaitingRequestsExceededException")]
    api.execute("SELECT 1")
    assert "WaitTimeSeconds" not in redshift.client.named("describe_statement")[-1]


def test_a_token_that_is_too_long_becomes_one_that_fits_and_stays_the_same(redshift, api):
    api.execute("SELECT 1", client_token="x" * 100)
    api.execute("SELECT 1", client_token="x" * 100)
    tokens = {request["ClientToken"] for request in redshift.client.named("execute_statement")}
    assert len(tokens) == 1
    assert len(tokens.pop()) == 64


def test_tokens_of_different_parts_differ():
    assert token_of("a", "bc") != token_of("ab", "c")


def test_all_pages_of_a_result_are_read_with_their_types(redshift, api):
    columns = [
        {"name": "n", "label": "n", "typeName": "int8"},
        {"name": "p", "label": "price", "typeName": "numeric"},
        {"name": "t", "label": "t", "typeName": "varchar"},
        {"name": "b", "label": "b", "typeName": "bool"},
    ]
    redshift.facts = {"HasResultSet": True}
    redshift.pages = [
        {
            "ColumnMetadata": columns,
            "Records": [
                [
                    {"longValue": 1},
                    {"stringValue": "1.50"},
                    {"stringValue": ""},
                    {"booleanValue": False},
                ]
            ],
        },
        {
            "ColumnMetadata": columns,
            "Records": [
                [{"longValue": 2}, {"isNull": True}, {"isNull": True}, {"booleanValue": True}]
            ],
        },
    ]
    assert api.execute("SELECT …").rows == [
        {"n": 1, "price": Decimal("1.50"), "t": "", "b": False},
        {"n": 2, "price": None, "t": None, "b": True},
    ]


def test_a_batch_gives_a_result_for_each_statement(redshift, api):
    redshift.facts = {
        "SubStatements": [
            {"Id": f"{STATEMENT}:{n}", "Status": "FINISHED", "ResultRows": n} for n in (1, 2)
        ]
    }
    results = api.batch(["DELETE 1", "DELETE 2"])
    assert [result.row_count for result in results] == [1, 2]


@pytest.mark.parametrize("count", [0, 41])
def test_a_batch_that_cannot_be_one_transaction_is_refused(api, count):
    with pytest.raises(ValueError, match=f"not {count}"):
        api.batch(["SELECT 1"] * count)


def test_a_failed_statement_has_the_databases_message(redshift, api):
    redshift.statuses = ["FAILED"]
    redshift.facts = {
        "Error": 'ERROR: relation "x" does not exist',
        "QueryString": "SELECT * \nFROM x",
    }
    with pytest.raises(StatementFailed) as caught:
        api.execute("SELECT * FROM x", name="looking")
    assert 'relation "x" does not exist' in str(caught.value)
    assert "looking" in str(caught.value)
    assert "SELECT * FROM x" in str(caught.value)
    assert not caught.value.retryable


def test_a_denial_inside_redshift_names_principal_action_resource_and_grant(redshift, api):
    redshift.statuses = ["FAILED"]
    role_a = "arn:aws:iam::111111111111:role/xacct-RoleA-local"
    redshift.facts = {
        "Error": "ERROR: User: arn:aws:sts::222222222222:assumed-role/xacct-RoleB-local/x is not "
        f"authorized to perform: sts:AssumeRole on resource: {role_a}"
    }
    with pytest.raises(StatementFailed) as caught:
        api.execute("UNLOAD …")
    assert caught.value.action == "sts:AssumeRole"
    assert caught.value.resource == role_a
    assert "xacct-RoleB-local" in caught.value.principal
    assert "trust policy" in caught.value.fix


def test_a_failed_batch_names_the_statement_that_failed(redshift, api):
    redshift.statuses = ["FAILED"]
    redshift.facts = {
        "SubStatements": [
            {"Id": f"{STATEMENT}:1", "Status": "ABORTED"},
            {"Id": f"{STATEMENT}:2", "Status": "FAILED", "Error": "ERROR: no"},
        ]
    }
    with pytest.raises(StatementFailed, match="statement 2 of 2"):
        api.batch(["SELECT 1", "SELECT 2"])


CONFLICTS = [
    "ERROR: 1023 DETAIL: Serializable isolation violation on table - 100",
    "ERROR: could not serialize access due to concurrent update",
    "ERROR: deadlock detected",
]


@pytest.mark.parametrize("text", CONFLICTS)
@pytest.mark.parametrize("how", ["execute", "batch"])
def test_after_a_conflict_the_whole_is_run_again_under_a_token_of_its_own(redshift, api, text, how):
    redshift.outcomes = [{"Status": "FAILED", "Error": text}] * 2
    ask = {
        "execute": lambda: api.execute("CALL p()", client_token="t"),
        "batch": lambda: api.batch(["DELETE 1", "DELETE 2"], client_token="t"),
    }[how]
    ask()
    ask()  # the same work once more, as by whoever takes it up
    tokens = [request["ClientToken"] for _, request in redshift.submits]
    assert len(set(tokens[:3])) == 3
    assert tokens[0] == tokens[3] == "t"


def test_conflicts_without_end_are_given_up_as_retryable(redshift, api):
    redshift.statuses = ["FAILED"]
    redshift.facts = {"Error": CONFLICTS[0]}
    with pytest.raises(StatementFailed, match="Serializable isolation violation") as caught:
        api.execute("CALL p()")
    assert caught.value.retryable
    assert len(redshift.submits) == 6


@pytest.mark.parametrize(
    "text",
    [
        "FATAL: terminating connection due to administrator command",
        "Could not connect to the database: connection attempt failed",
        "ERROR: terminating connection due to idle-in-transaction timeout",
    ],
)
def test_a_session_that_the_database_ended_is_retryable_and_not_repeated_here(redshift, api, text):
    redshift.statuses = ["FAILED"]
    redshift.facts = {"Error": text}
    with pytest.raises(StatementFailed) as caught:
        api.execute("CALL p()")
    assert caught.value.retryable
    assert len(redshift.submits) == 1


def test_the_databases_text_keeps_the_position_it_names(redshift, api):
    redshift.statuses = ["FAILED"]
    redshift.facts = {"Error": 'ERROR: syntax error at or near "FORM"\n  Position: 10'}
    with pytest.raises(StatementFailed, match="Position: 10"):
        api.execute("SELECT * FORM x")


def test_a_statement_that_somebody_cancelled_says_so(redshift, api):
    redshift.statuses = ["ABORTED"]
    with pytest.raises(StatementFailed, match="ended as ABORTED") as caught:
        api.execute("SELECT 1")
    assert caught.value.retryable


@pytest.mark.parametrize(
    "code", ["ActiveStatementsExceededException", "ActiveSessionsExceededException"]
)
def test_a_full_workgroup_is_waited_for(redshift, api, refusal, code, clock):
    redshift.submit_errors = [refusal(code)] * 3
    assert api.execute("SELECT 1").id == STATEMENT
    assert len(clock.slept) >= 3


def test_a_workgroup_that_stays_full_is_given_up(redshift, api, refusal):
    redshift.submit_errors = [refusal("ActiveStatementsExceededException")] * 10_000
    with pytest.raises(Throttled, match="too many active statements"):
        api.execute("SELECT 1")


def test_a_submit_whose_answer_is_lost_is_repeated_under_the_same_token(redshift, api, refusal):
    redshift.submit_errors = [refusal("InternalServerException", status=500)]
    api.execute("SELECT 1")
    tokens = [request["ClientToken"] for request in redshift.client.named("execute_statement")]
    assert len(tokens) == 2
    assert len(set(tokens)) == 1


def test_an_interrupt_cancels_the_statement(redshift, api):
    redshift.statuses = ["STARTED"]

    def interrupt(_waited):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        api.execute("SELECT 1", on_tick=interrupt)
    assert redshift.cancelled == [STATEMENT]


def test_an_interrupt_while_the_submit_is_out_cancels_what_it_submitted(redshift, api):
    redshift.submit_errors = [KeyboardInterrupt()]
    with pytest.raises(KeyboardInterrupt):
        api.execute("SELECT 1")
    assert redshift.cancelled == [STATEMENT]


@pytest.mark.parametrize(
    "code", ["InternalServerException", "DatabaseConnectionException", "QueryTimeoutException"]
)
def test_a_cancel_that_got_lost_is_asked_for_again(redshift, api, refusal, code):
    redshift.statuses = ["STARTED"]
    redshift.cancel_errors = [refusal(code, status=500)] * 2
    with pytest.raises(WaitTimeout):
        api.execute("SELECT 1", timeout=60)
    assert redshift.statuses == ["ABORTED"]


def test_a_statement_that_takes_too_long_is_cancelled(redshift, api):
    redshift.statuses = ["STARTED"]
    with pytest.raises(WaitTimeout):
        api.execute("SELECT 1", timeout=60)
    assert redshift.cancelled == [STATEMENT]


def test_an_expired_result_says_so(redshift, api, refusal):
    redshift.describe_errors = [refusal("ResourceNotFoundException")]
    with pytest.raises(ResultExpired, match="24 hours"):
        api.execute("SELECT 1")


def test_a_denied_submit_names_action_and_workgroup(redshift, api, refusal):
    redshift.submit_errors = [refusal("AccessDeniedException")]
    with pytest.raises(
        AccessDenied, match="redshift-data:ExecuteStatement on workgroup xacct-local"
    ):
        api.execute("SELECT 1")


@pytest.mark.parametrize("value", ["", None, 5])
def test_a_parameter_that_the_api_would_refuse_is_refused_by_name(api, value):
    with pytest.raises(ValueError, match="parameter :day"):
        api.execute("SELECT :day", {"day": value})


def test_a_statement_that_is_too_long_is_refused(api):
    with pytest.raises(ValueError, match="100,000"):
        api.execute("x" * 100_001)


REFUSED = {
    "Status": "FAILED",
    "SecretArn": SECRET,
    "Error": 'FATAL: password authentication failed for user "etl"',
}


@pytest.mark.parametrize("refusals", [1, 2, 5])
def test_a_login_refused_during_a_rotation_runs_the_statement_again(redshift, api, clock, refusals):
    redshift.outcomes = [dict(REFUSED) for _ in range(refusals)]
    assert api.execute("CALL p()", client_token="run-1/fact").row_count == 3
    tokens = [request["ClientToken"] for _, request in redshift.submits]
    assert len(set(tokens)) == refusals + 1
    assert tokens[0] == "run-1/fact"
    assert clock.now <= 30


def test_the_second_attempt_at_the_same_work_takes_the_same_tokens(redshift, api):
    for _ in range(2):
        redshift.outcomes = [dict(REFUSED)]
        api.execute("CALL p()", client_token="run-1/fact")
    tokens = [request["ClientToken"] for _, request in redshift.submits]
    assert tokens[:2] == tokens[2:]


def test_a_login_that_stays_refused_is_an_error_of_its_own_kind(redshift, api, clock):
    redshift.statuses, redshift.facts = ["FAILED"], REFUSED
    with pytest.raises(LoginFailed) as caught:
        api.batch(["CALL p()", "CALL q()"], name="products fact_table")
    for part in ("products fact_table", SECRET, "etl", "ALTER USER"):
        assert part in str(caught.value)
    assert not caught.value.retryable
    assert ROTATION_WINDOW - 5 <= clock.now <= ROTATION_WINDOW + 5


def test_a_conflict_after_a_refused_login_is_run_again_too(redshift, api):
    conflict = {"Status": "FAILED", "Error": "ERROR: 1023 Serializable isolation violation"}
    redshift.outcomes = [dict(REFUSED), conflict]
    assert api.execute("CALL p()").row_count == 3
    assert len({request["ClientToken"] for _, request in redshift.submits}) == 3
