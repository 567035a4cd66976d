"""The Data API: states, idempotency, batches, cancelling, identity, listing."""

from __future__ import annotations

import threading
import time

import pytest

from tests.support.refusals import refused
from xacct_sandbox.redshift.api.data_api import operations
from xacct_sandbox.service_errors import ServiceError

# -- one statement ---------------------------------------------------------------------------


def test_a_submit_answers_at_once_and_the_statement_ends_later(bench):
    answer = bench.execute("wait")
    assert answer["Status"] in ("SUBMITTED", "PICKED", "STARTED")
    assert bench.database.waiting.wait(5)
    assert bench.api.describe_statement({"Id": answer["Id"]})["Status"] == "STARTED"
    bench.database.sessions[1000].cancelled.set()
    assert bench.end(answer)["Status"] == "FAILED"


def test_a_statement_that_ended_well_says_so(bench):
    described = bench.end(bench.execute("insert", StatementName="load"))
    assert described["Status"] == "FINISHED"
    assert described["HasResultSet"] is False
    assert described["ResultRows"] == 7
    assert described["Duration"] > 0
    assert described["RedshiftPid"] == 1000
    assert described["QueryString"] == "insert"
    assert bench.database.released == [True]


def test_a_failed_statement_has_the_error_of_the_database(bench):
    described = bench.end(bench.execute('fail relation "t" does not exist'))
    assert (described["Status"], described["Error"]) == (
        "FAILED",
        'ERROR: relation "t" does not exist',
    )


def test_a_refused_login_fails_the_statement_not_the_call(bench):
    bench.database.refuse = 'FATAL: password authentication failed for user "xacct"'
    described = bench.end(bench.execute("select"))
    assert described["Status"] == "FAILED"
    assert "password authentication failed" in described["Error"]


def test_waiting_returns_the_end_in_one_call(bench):
    answer = bench.execute("rows 1", WaitTimeSeconds=10)
    assert (answer["Status"], answer["HasResultSet"]) == ("FINISHED", True)


def test_a_wait_that_is_too_short_returns_the_current_status(bench):
    started = time.monotonic()
    answer = bench.execute("wait", WaitTimeSeconds=1)
    assert answer["Status"] == "STARTED"
    assert 0.9 < time.monotonic() - started < 4
    bench.api.cancel_statement({"Id": answer["Id"]})


def test_parameters_are_bound_and_never_written_into_the_text(bench):
    parameters = [{"name": "a", "value": "x' or '1'='1"}]
    answer = bench.execute("insert :a, ':a'", Parameters=parameters)
    described = bench.end(answer)
    assert bench.database.log[-1] == ("insert $1, ':a'", ("x' or '1'='1",))
    assert described["QueryParameters"] == parameters
    assert described["QueryString"] == "insert :a, ':a'"


@pytest.mark.parametrize(
    ("request_", "text"),
    [
        ({"Sql": " "}, "Sql"),
        ({"Sql": "x" * (100 * 1024 + 1)}, "larger than 100kB"),
        ({"Database": None}, "Database"),
        ({"WorkgroupName": None}, "WorkgroupName"),
        ({"WorkgroupName": "other"}, "Redshift endpoint doesn't exist in this region"),
        ({"Parameters": [{"name": "a", "value": "1"}]}, "unused parameters"),
        ({"Sql": "x :b", "Parameters": [{"name": "a", "value": "1"}]}, "Cannot find parameter: b"),
        ({"WaitTimeSeconds": 31}, "WaitTimeSeconds 31"),
        ({"ResultFormat": "CSV"}, "CSV"),
        ({"SessionKeepAliveSeconds": 5}, "SessionKeepAliveSeconds"),
        ({"SessionId": "x"}, "SessionId"),
        ({"ClusterIdentifier": "c"}, "ClusterIdentifier"),
        ({"DbUser": "u"}, "DbUser"),
        ({"WithEvent": True}, "WithEvent"),
        ({"ClientToken": "x" * 65}, "64"),
    ],
)
def test_a_request_that_cannot_be_served_is_refused_by_name(bench, request_, text):
    with refused("ValidationException", text):
        bench.execute(request_.pop("Sql", "select"), **request_)
    assert bench.database.log == []


# -- idempotency -----------------------------------------------------------------------------


def test_the_same_token_gives_the_same_statement_and_runs_once(bench):
    first = bench.execute("insert", ClientToken="token")
    bench.end(first)
    again = bench.execute("insert", ClientToken="token", WaitTimeSeconds=5)
    assert again["Id"] == first["Id"]
    assert again["Status"] == "FINISHED"
    assert [sql for sql, _ in bench.database.log] == ["insert"]


def test_twenty_submits_of_one_token_at_once_run_once(bench):
    answers: list[str] = []
    threads = [
        threading.Thread(
            target=lambda: answers.append(bench.execute("insert", ClientToken="token")["Id"])
        )
        for _ in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(answers)) == 1
    bench.end({"Id": answers[0]})
    assert len(bench.database.log) == 1


def test_the_same_token_for_another_request_is_refused(bench):
    bench.execute("insert", ClientToken="token")
    with refused("ValidationException", "ClientToken"):
        bench.execute("delete", ClientToken="token")
    with refused("ValidationException", "ClientToken"):
        bench.batch("insert", ClientToken="token")


def test_another_callers_token_is_another_token(bench):
    first = bench.execute("insert", ClientToken="token")
    bench.aws.caller = "arn:aws:iam::222222222222:user/ann"
    assert bench.execute("delete", ClientToken="token")["Id"] != first["Id"]


def test_a_token_counts_for_eight_hours_and_over_a_restart(bench, monkeypatch):
    first = bench.execute("insert", ClientToken="token")
    bench.end(first)
    bench.restart()
    assert bench.execute("insert", ClientToken="token")["Id"] == first["Id"]
    later = time.time() + 8 * 3600 + 1
    monkeypatch.setattr(operations.time, "time", lambda: later)
    assert bench.execute("insert", ClientToken="token")["Id"] != first["Id"]


# -- batches ---------------------------------------------------------------------------------


def test_a_batch_is_one_transaction(bench):
    answer = bench.batch("insert", "rows 2")
    described = bench.end(answer)
    assert [sql for sql, _ in bench.database.log] == ["BEGIN", "insert", "rows 2", "COMMIT"]
    assert described["Status"] == "FINISHED"
    assert [sub["Status"] for sub in described["SubStatements"]] == ["FINISHED", "FINISHED"]
    assert [sub["HasResultSet"] for sub in described["SubStatements"]] == [False, True]
    second = described["SubStatements"][1]["Id"]
    assert second == f"{answer['Id']}:2"
    assert bench.api.get_statement_result({"Id": second})["TotalNumRows"] == 2
    assert bench.api.describe_statement({"Id": second})["QueryString"] == "rows 2"


def test_a_failed_batch_is_rolled_back_and_what_follows_is_not_run(bench):
    described = bench.end(bench.batch("insert", "fail no", "insert"))
    assert [sql for sql, _ in bench.database.log] == ["BEGIN", "insert", "fail no", "ROLLBACK"]
    assert described["Status"] == "FAILED"
    assert described["Error"] == "Query #2 failed with ERROR: no"
    assert [sub["Status"] for sub in described["SubStatements"]] == [
        "FINISHED",
        "FAILED",
        "ABORTED",
    ]
    assert described["SubStatements"][2]["Error"] == "Connection or an prior query failed."


def test_results_of_a_batch_that_was_rolled_back_are_not_given(bench):
    answer = bench.batch("rows 1", "fail no")
    bench.end(answer)
    with refused("ResourceNotFoundException", "FAILED"):
        bench.api.get_statement_result({"Id": f"{answer['Id']}:1"})


def test_a_conflict_at_commit_fails_the_batch(bench):
    bench.database.fail_commit = True
    described = bench.end(bench.batch("insert"))
    assert (described["Status"], described["Error"]) == ("FAILED", "ERROR: 1023")
    assert bench.database.released == [False]


def test_auto_commit_runs_each_statement_for_itself(bench):
    answer = bench.batch("insert", "fail no", "rows 1", ExecutionMode="AUTO_COMMIT")
    described = bench.end(answer)
    assert [sql for sql, _ in bench.database.log] == ["insert", "fail no", "rows 1"]
    assert described["Status"] == "FAILED"
    assert [sub["Status"] for sub in described["SubStatements"]] == [
        "FINISHED",
        "FAILED",
        "FINISHED",
    ]
    assert bench.api.get_statement_result({"Id": f"{answer['Id']}:3"})["TotalNumRows"] == 1


def test_each_parameter_of_a_batch_is_used_by_one_statement_at_least(bench):
    parameters = [{"name": "a", "value": "1"}, {"name": "b", "value": "2"}]
    bench.end(bench.batch("x :a", "y :b :a", Parameters=parameters))
    assert bench.database.log[1:3] == [("x $1", ("1",)), ("y $1 $2", ("2", "1"))]


@pytest.mark.parametrize("sqls", [[], ["x"] * 41, ["x", " "]])
def test_a_batch_has_one_to_forty_statements(bench, sqls):
    with refused("ValidationException", "Sqls"):
        bench.batch(*sqls)


# -- cancelling ------------------------------------------------------------------------------


def test_cancelling_stops_the_query_in_the_database(bench):
    answer = bench.execute("wait")
    assert bench.database.waiting.wait(5)
    assert bench.api.cancel_statement({"Id": answer["Id"]}) == {"Status": True}
    described = bench.end(answer)
    assert described["Status"] == "ABORTED"
    assert bench.database.sessions[1000].cancelled.is_set()
    assert bench.database.released == [False], "a late cancel could hit the session's next user"


def test_a_cancelled_batch_is_rolled_back(bench):
    answer = bench.batch("insert", "wait", "insert")
    assert bench.database.waiting.wait(5)
    bench.api.cancel_statement({"Id": answer["Id"]})
    described = bench.end(answer)
    assert described["Status"] == "ABORTED"
    assert bench.database.log[-1][0] == "ROLLBACK"
    assert [sub["Status"] for sub in described["SubStatements"]] == [
        "FINISHED",
        "ABORTED",
        "ABORTED",
    ]


def test_a_cancel_that_meets_no_sql_in_the_database_is_sent_again(bench):
    bench.database.missed_cancels = 2
    answer = bench.batch("insert", "wait")
    assert bench.database.waiting.wait(5)
    bench.api.cancel_statement({"Id": answer["Id"]})
    assert bench.end(answer)["Status"] == "ABORTED"
    assert bench.database.sessions[1000].cancelled.is_set()


def test_a_batch_that_is_cancelled_after_its_last_statement_is_aborted_as_it_is_undone(bench):
    answer = bench.batch("insert", "last")
    assert bench.database.waiting.wait(5)
    bench.api.cancel_statement({"Id": answer["Id"]})
    described = bench.end(answer)
    assert (described["Status"], bench.database.log[-1][0]) == ("ABORTED", "ROLLBACK")
    assert "canceled" in described["Error"]


def test_a_statement_that_waits_for_its_turn_is_cancelled_without_running(bench, monkeypatch):
    bench.api._runner._turns = threading.BoundedSemaphore(1)
    first = bench.execute("wait")
    assert bench.database.waiting.wait(5)
    second = bench.execute("insert")
    assert bench.api.describe_statement({"Id": second["Id"]})["Status"] == "SUBMITTED"
    bench.api.cancel_statement({"Id": second["Id"]})
    assert bench.end(second)["Status"] == "ABORTED"
    bench.api.cancel_statement({"Id": first["Id"]})
    bench.end(first)
    assert ("insert", ()) not in bench.database.log


def test_what_has_ended_cannot_be_cancelled(bench):
    answer = bench.execute("insert")
    bench.end(answer)
    with refused("ValidationException", "already in FINISHED state"):
        bench.api.cancel_statement({"Id": answer["Id"]})


def test_a_sub_statement_cannot_be_cancelled_alone(bench):
    answer = bench.batch("wait")
    with refused("ValidationException", "batch"):
        bench.api.cancel_statement({"Id": f"{answer['Id']}:1"})
    bench.api.cancel_statement({"Id": answer["Id"]})
    bench.end(answer)


def test_more_than_the_limit_of_active_statements_is_refused(bench, monkeypatch):
    monkeypatch.setattr(operations, "MAX_ACTIVE", 2)
    active = [bench.execute("wait") for _ in range(2)]
    with refused("ActiveStatementsExceededException"):
        bench.execute("insert")
    for answer in active:
        bench.api.cancel_statement({"Id": answer["Id"]})
        bench.end(answer)
    assert bench.end(bench.execute("insert"))["Status"] == "FINISHED"


# -- identity --------------------------------------------------------------------------------


def test_a_secret_gives_the_database_user(bench):
    bench.end(bench.execute("select"))
    (login,) = bench.database.logins
    assert (login.user, login.password, login.database) == ("xacct", "Secret1234", "dev")
    assert "Secret1234" not in repr(login)


def test_without_a_secret_the_role_is_the_database_user(bench):
    described = bench.end(bench.execute("select", SecretArn=None))
    (login,) = bench.database.logins
    assert login.user == described["DbUser"] == "IAMR:orchestrator"
    ((user, password, _),) = bench.control.temporary
    assert (user, password) == (login.user, login.password)


@pytest.mark.parametrize(
    ("secret", "action"),
    [("given", "secretsmanager:GetSecretValue"), (None, "redshift-serverless:GetCredentials")],
)
def test_a_caller_without_the_right_to_log_in_is_denied_by_name(bench, secret, action):
    bench.aws.denied.add(action)
    more = {} if secret else {"SecretArn": None}
    with refused("AccessDeniedException", action):
        bench.execute("select", **more)


def test_a_secret_without_username_and_password_is_refused_without_showing_it(bench):
    bench.aws.secrets = dict.fromkeys(bench.aws.secrets, '{"user": "x", "password": "Hidden99"}')
    with pytest.raises(ServiceError, match="username and password") as problem:
        bench.execute("select")
    assert "Hidden99" not in str(problem.value)


def test_nobody_sees_the_statements_of_another_role(bench):
    answer = bench.execute("rows 1")
    bench.end(answer)
    bench.aws.caller = "arn:aws:sts::222222222222:assumed-role/other/run-1"
    for call in (
        bench.api.describe_statement,
        bench.api.get_statement_result,
        bench.api.cancel_statement,
    ):
        with refused("ResourceNotFoundException", "Query does not exist"):
            call({"Id": answer["Id"]})
    assert bench.api.list_statements({"Status": "ALL"})["Statements"] == []


def test_another_session_of_the_same_role_sees_them(bench):
    answer = bench.execute("rows 1")
    bench.end(answer)
    bench.aws.caller = "arn:aws:sts::222222222222:assumed-role/orchestrator/run-2"
    assert bench.api.get_statement_result({"Id": answer["Id"]})["TotalNumRows"] == 1
    assert len(bench.api.list_statements({})["Statements"]) == 1
    assert bench.api.list_statements({"RoleLevel": False})["Statements"] == []


# -- listing ---------------------------------------------------------------------------------


def test_statements_are_listed_by_state_and_name_the_newest_first(bench):
    for name in ("load 1", "load 2", "other"):
        bench.end(bench.execute("insert", StatementName=name))
    bench.end(bench.execute("fail x", StatementName="load 3"))
    listed = bench.api.list_statements({"StatementName": "load"})["Statements"]
    assert [entry["StatementName"] for entry in listed] == ["load 2", "load 1"]
    everything = bench.api.list_statements({"Status": "ALL", "MaxResults": 3})
    assert len(everything["Statements"]) == 3
    rest = bench.api.list_statements(
        {"Status": "ALL", "MaxResults": 3, "NextToken": everything["NextToken"]}
    )
    assert len(rest["Statements"]) == 1
