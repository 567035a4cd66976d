"""Exactly one job run per load, whatever happens to the process that started it."""

import pytest
from botocore.exceptions import ReadTimeoutError

from tests.support.fakes.glue import CONSOLE, OPTIONS, FakeGlueJob
from xacct_assets.aws.errors import AccessDenied, JobRunFailed, NotFound, WaitTimeout
from xacct_assets.aws.glue.job import GlueJob
from xacct_assets.aws.glue.job_result import _advice, log_urls
from xacct_assets.aws.glue.job_runs import ENDED, JobRuns


@pytest.fixture
def glue():
    return FakeGlueJob()


@pytest.fixture
def job(glue, clock):
    return GlueJob(glue.client, CONSOLE, sleep=clock.sleep, clock=clock)


@pytest.fixture
def runs(glue, clock):
    return JobRuns(glue.client, sleep=clock.sleep, clock=clock)


def test_a_run_is_started_with_its_marker_and_followed_to_its_end(glue, job):
    arguments = {"--a": "b"}
    result = job.run("load", "work-1", arguments, **OPTIONS)
    (request,) = glue.client.named("start_job_run")
    assert request["Arguments"] == {"--a": "b", "--load_id": "work-1"}
    assert arguments == {"--a": "b"}
    assert (result.state, result.attached, result.execution_seconds) == ("SUCCEEDED", False, 70)
    assert result.dpu_seconds == 140


@pytest.mark.parametrize("state", ["STARTING", "RUNNING", "WAITING"])
def test_a_live_run_of_the_same_work_is_attached_to(glue, job, state):
    glue.add("work-1", [state, "SUCCEEDED"])
    seen = []
    result = job.run(
        "load", "work-1", {}, on_start=lambda run_id, old: seen.append((run_id, old)), **OPTIONS
    )
    assert result.attached
    assert seen == [("jr_1", True)]
    assert glue.started == 0


def test_a_finished_run_of_the_same_work_is_not_repeated(glue, job):
    glue.add("work-1", ["SUCCEEDED"])
    assert job.run("load", "work-1", {}, **OPTIONS).attached
    assert glue.started == 0


@pytest.mark.parametrize("state", sorted(ENDED - {"SUCCEEDED"}))
def test_a_failed_run_of_the_same_work_is_done_again(glue, job, state):
    glue.add("work-1", [state])
    assert not job.run("load", "work-1", {}, **OPTIONS).attached


def test_runs_of_other_loads_are_not_touched(glue, job):
    glue.add("work-2", ["RUNNING"])
    assert job.run("load", "work-1", {}, **OPTIONS).run_id == "jr_2"


def test_a_run_that_is_being_stopped_is_waited_for_and_then_done_again(glue, job):
    glue.add("work-1", ["STOPPING", "STOPPING", "STOPPED"])
    assert job.run("load", "work-1", {}, **OPTIONS).run_id == "jr_2"


@pytest.mark.parametrize("state", sorted(ENDED - {"SUCCEEDED"}))
def test_every_other_end_state_is_a_failure_with_the_scripts_message(glue, job, state):
    glue.plan = ["RUNNING", state]
    with pytest.raises(JobRunFailed) as caught:
        job.run("load", "work-1", {}, **OPTIONS)
    assert caught.value.result.state == state
    assert caught.value.retryable == (state in ("ERROR", "STOPPED", "EXPIRED"))


def test_the_error_has_the_scripts_message_and_the_links(glue, job):
    glue.add("work-1", ["RUNNING", "FAILED"], ErrorMessage="partition 2026-01-01 is missing")
    with pytest.raises(JobRunFailed, match="partition 2026-01-01 is missing") as caught:
        job.run("load", "work-1", {}, **OPTIONS)
    assert "gluestudio" in str(caught.value)


@pytest.mark.parametrize(
    "code", ["ConcurrentRunsExceededException", "ResourceNumberLimitExceededException"]
)
def test_a_full_job_is_waited_for(glue, job, refusal, code, clock):
    glue.start_errors = [refusal(code)] * 3
    assert job.run("load", "work-1", {}, **OPTIONS).state == "SUCCEEDED"
    assert clock.now > 0


def test_a_job_that_stays_full_is_given_up_with_advice(glue, job, refusal):
    glue.start_errors = [refusal("ConcurrentRunsExceededException")] * 10_000
    with pytest.raises(WaitTimeout, match="MaxConcurrentRuns"):
        job.run("load", "work-1", {}, queue_timeout=60, **OPTIONS)


def lost_answer(glue, states):
    def start(arguments):
        glue.add(arguments["--load_id"], states)
        return ReadTimeoutError(endpoint_url="https://glue")

    return start


def test_an_answer_lost_after_the_start_does_not_start_a_second_run(glue, job):
    glue.start_errors = [lost_answer(glue, ["RUNNING", "SUCCEEDED"])]
    assert job.run("load", "work-1", {}, **OPTIONS).run_id == "jr_1"
    assert len(glue.runs) == 1


def test_a_run_that_shows_up_late_after_a_lost_answer_is_still_found(glue, job):
    def start(arguments):
        glue.hidden_looks = 4
        return lost_answer(glue, ["RUNNING", "SUCCEEDED"])(arguments)

    glue.start_errors = [start]
    assert job.run("load", "work-1", {}, **OPTIONS).run_id == "jr_1"
    assert len(glue.runs) == 1


@pytest.mark.parametrize("looks", [1, 2], ids=["while-ours-runs", "as-ours-ends"])
def test_a_run_that_shows_up_after_a_second_one_was_started_is_stopped(
    glue, job, monkeypatch, looks
):
    """Glue hides the first run until `looks` looks after the second one was started."""
    glue.start_errors = [lost_answer(glue, ["RUNNING"])]
    shown = glue.list

    def list_late(JobName, MaxResults, NextToken=None):
        answer = shown(JobName, MaxResults)
        late = len(glue.client.named("get_job_run")) < looks
        runs = [run for run in answer["JobRuns"] if not (late and run["Id"] == "jr_1")]
        return {"JobRuns": runs}

    monkeypatch.setattr(glue, "list", list_late)

    assert job.run("load", "work-1", {}, first_attempt=True, **OPTIONS).run_id == "jr_2"

    assert [(run["Id"], run["states"]) for run in glue.runs] == [
        ("jr_2", ["SUCCEEDED"]),
        ("jr_1", ["STOPPED"]),
    ]


def test_a_request_that_was_lost_before_the_start_is_made_again(glue, job, refusal):
    glue.start_errors = [refusal("InternalServiceException", status=500)]
    assert job.run("load", "work-1", {}, **OPTIONS).run_id == "jr_1"
    assert glue.started == 2


def test_botocore_repeats_a_start_only_if_nothing_was_started(glue, job, refusal):
    events = glue.client.meta.events.registered
    judge = events["needs-retry.glue.StartJobRun"]
    timeout = ReadTimeoutError(endpoint_url="https://glue")
    with pytest.raises(ReadTimeoutError):
        judge(response=None, caught_exception=timeout)
    answer = refusal("InternalServiceException", status=500).response
    with pytest.raises(type(refusal("x"))):
        judge(response=(None, answer), caught_exception=None)
    throttled = refusal("ThrottlingException", status=400).response
    assert judge(response=(None, throttled), caught_exception=None) is None


def test_an_interrupt_stops_the_run_and_waits_until_it_has_stopped(glue, job):
    glue.plan = ["RUNNING"]

    def interrupt(_waited):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        job.run("load", "work-1", {}, on_tick=interrupt, **OPTIONS)
    assert glue.runs[0]["states"] == ["STOPPED"]


def test_an_interrupt_while_the_start_is_out_stops_what_it_started(glue, job):
    def start(arguments):
        glue.add(arguments["--load_id"], ["RUNNING"])
        return KeyboardInterrupt()

    glue.start_errors = [start]
    with pytest.raises(KeyboardInterrupt):
        job.run("load", "work-1", {}, **OPTIONS)
    assert glue.runs[0]["states"] == ["STOPPED"]


def test_a_stop_that_fails_does_not_hide_the_interrupt(glue, job, refusal, caplog):
    glue.plan = ["RUNNING"]
    glue.stop_errors = [refusal("AccessDeniedException")]

    def interrupt(_waited):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        job.run("load", "work-1", {}, on_tick=interrupt, **OPTIONS)
    assert "glue:BatchStopJobRun" in caplog.text


@pytest.mark.parametrize("how", ["refused in the answer", "no answer", "on Glue's side"])
def test_a_stop_that_is_not_taken_is_asked_for_until_the_run_has_stopped(glue, job, refusal, how):
    glue.plan = ["RUNNING"]
    glue.stop_errors = {
        "refused in the answer": ["try later", "try later"],
        "no answer": [ReadTimeoutError(endpoint_url="https://glue")],
        "on Glue's side": [refusal("InternalServiceException", status=500)] * 3,
    }[how]

    def interrupt(_waited):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        job.run("load", "work-1", {}, on_tick=interrupt, **OPTIONS)
    assert glue.runs[0]["states"] == ["STOPPED"]


def test_a_run_that_glue_does_not_stop_fails_with_glues_reason_and_the_manual_command(glue, runs):
    run = glue.add("work-1", ["RUNNING"])
    glue.stop_errors = ["the run is locked"] * 10_000
    with pytest.raises(WaitTimeout, match="the run is locked") as caught:
        runs.stop("load", run["Id"])
    assert "aws glue batch-stop-job-run --job-name load --job-run-ids jr_1" in caught.value.fix


def test_a_run_that_has_ended_already_needs_no_stop(glue, runs):
    run = glue.add("work-1", ["SUCCEEDED"])
    assert runs.stop("load", run["Id"]) == "SUCCEEDED"
    assert glue.client.named("batch_stop_job_run") == []


def test_a_started_run_that_shows_up_after_the_interrupt_is_stopped(glue, job):
    def start(arguments):
        glue.add(arguments["--load_id"], ["RUNNING"])
        glue.hidden_looks = 2
        return KeyboardInterrupt()

    glue.start_errors = [start]
    with pytest.raises(KeyboardInterrupt):
        job.run("load", "work-1", {}, **OPTIONS)
    assert glue.runs[0]["states"] == ["STOPPED"]


def test_a_short_outage_before_the_start_is_waited_out(glue, job, refusal):
    glue.list_errors = [refusal("InternalServiceException", status=500)] * 3
    assert job.run("load", "work-1", {}, **OPTIONS).state == "SUCCEEDED"
    assert glue.started == 1


GLUE, REDSHIFT, SERVICE, PATH, OURS, TOO_BIG, LOGIN = (
    "Glue lost a machine or had none, on its own side",
    "another transaction got in the way, in Redshift",
    "on AWS's side",
    "at its other end or on the way",
    "the script failed, on our side",
    "larger worker_type",
    "hold different passwords, also after the time that a rotation takes",
)
LOST_EXECUTOR = (
    "LoadError: Job aborted due to stage failure: Task 0 in stage 4.0 failed 4 times, most recent "
    "failure: Lost task 0.3 in stage 4.0 (TID 9) (10.0.0.5 executor 2): ExecutorLostFailure "
    "(executor 2 exited caused by one of the running tasks) Reason: "
)


@pytest.mark.parametrize(
    ("message", "side"),
    [
        ("LoadError: ERROR: 1023 DETAIL: Serializable isolation violation on table", REDSHIFT),
        ("LoadError: could not serialize access due to concurrent update", REDSHIFT),
        ("LoadError: terminating connection due to administrator command", PATH),
        ("Rate exceeded (Service: AmazonS3; Status Code: 503; Error Code: SlowDown)", SERVICE),
        ("Internal service error: the job run failed before it ended.", SERVICE),
        ("Command failed with exit code 10", GLUE),
        (f"{LOST_EXECUTOR}Remote RPC client disassociated.", GLUE),
        (f"{LOST_EXECUTOR}Executor heartbeat timed out after 139520 ms", GLUE),
        (f"{LOST_EXECUTOR}Container from a bad node: Slave lost", GLUE),
        ("SparkException: Job 3 cancelled because SparkContext was shut down", GLUE),
        ("Resource unavailable: not enough capacity for this run", GLUE),
        ("ResourceUnavailable", GLUE),
        ("The specified subnet does not have enough free addresses to satisfy the request.", GLUE),
        (
            "LoadError: Redshift refused the login of Glue connection c for 90 s: password "
            'authentication failed for user "etl". fix: secret s and the database …',
            LOGIN,
        ),
        ("LoadError: partition 2026-01-01 is missing", OURS),
        ("LoadError: 1023 rows were read", OURS),
        ("LoadError: java.lang.StackOverflowError", OURS),
        ("the Spark worker ended with exit code 1: java.lang.StackOverflowError", OURS),
        (f"{LOST_EXECUTOR}Command exited with code 50", OURS),
        (f"{LOST_EXECUTOR}Container from a bad node. Exit status: 51.", OURS),
        (f"{LOST_EXECUTOR}Command exited with code 52", TOO_BIG),
        (f"{LOST_EXECUTOR}Command exited with code 1", GLUE),
        ("Command failed with exit code 1", OURS),
        ("Command failed with exit code 101", OURS),
        (f"{LOST_EXECUTOR}Container killed by YARN for exceeding memory limits.", TOO_BIG),
        ("java.lang.OutOfMemoryError: Java heap space; SparkContext was shut down", TOO_BIG),
    ],
)
def test_a_failed_run_says_which_side_failed_and_is_retryable_if_not_ours(glue, job, message, side):
    glue.add("work-1", ["RUNNING", "FAILED"], ErrorMessage=message)
    with pytest.raises(JobRunFailed) as caught:
        job.run("load", "work-1", {}, **OPTIONS)
    assert side in caught.value.fix
    assert caught.value.retryable == (side not in (OURS, TOO_BIG, LOGIN))


def test_a_missing_permission_is_not_waited_for(glue, job, refusal):
    glue.start_errors = [refusal("AccessDeniedException")]
    with pytest.raises(AccessDenied, match="glue:StartJobRun"):
        job.run("load", "work-1", {}, **OPTIONS)


def test_a_missing_job_is_named(modelled, refusal, clock):
    def missing(**_):
        raise refusal("EntityNotFoundException")

    client = modelled("glue", get_job_runs=missing)
    with pytest.raises(NotFound, match="job load"):
        GlueJob(client, CONSOLE, sleep=clock.sleep, clock=clock).run("load", "w", {}, **OPTIONS)


def test_log_lines_are_shown_while_the_run_goes_on_and_to_their_end(glue, modelled, clock, refusal):
    lines = {"/aws-glue/jobs/output": ["one\n", "two\n"], "/aws-glue/jobs/error": []}

    def events(logGroupName, logStreamName, startFromHead, nextToken="0"):
        if not lines[logGroupName]:
            raise refusal("ResourceNotFoundException")
        at = int(nextToken)
        return {
            "events": [{"timestamp": 1, "message": m} for m in lines[logGroupName][at : at + 1]],
            "nextForwardToken": str(min(at + 1, len(lines[logGroupName]))),
        }

    shown: list[str] = []
    job = GlueJob(
        glue.client,
        CONSOLE,
        modelled("logs", get_log_events=events),
        sleep=clock.sleep,
        clock=clock,
    )
    job.run("load", "work-1", {}, on_log=shown.append, past_seconds=[30], **OPTIONS)
    assert shown == ["one", "two"]


def test_a_run_of_usual_length_takes_one_poll_and_no_search(glue, job, clock):
    glue.plan = ["RUNNING", "SUCCEEDED"]
    job.run("load", "work-1", {}, first_attempt=True, past_seconds=[75.0, 60.0], **OPTIONS)
    assert [name for name, _ in glue.client.calls] == ["start_job_run", "get_job_run"]
    assert clock() == pytest.approx(60, abs=3)


def test_a_first_attempt_whose_answer_got_lost_is_looked_for(glue, job):
    glue.start_errors = [lost_answer(glue, ["RUNNING", "SUCCEEDED"])]
    assert job.run("load", "work-1", {}, first_attempt=True, **OPTIONS).run_id
    assert len(glue.runs) == 1
    assert glue.client.named("get_job_runs")


def test_a_log_that_may_not_be_read_does_not_fail_the_work(glue, modelled, clock, refusal, caplog):
    def denied(**_):
        raise refusal("AccessDeniedException")

    job = GlueJob(
        glue.client,
        CONSOLE,
        modelled("logs", get_log_events=denied),
        sleep=clock.sleep,
        clock=clock,
    )
    job.run("load", "work-1", {}, on_log=lambda _line: None, past_seconds=[30], **OPTIONS)
    assert caplog.text.count("cannot be shown") == 1


def test_links_lead_to_the_run_and_its_two_logs():
    urls = log_urls(CONSOLE, "load", "jr_1", "/aws-glue/jobs")
    assert urls["job run"].endswith("#/job/load/run/jr_1")
    assert urls["error log"].endswith("log-group/$252Faws-glue$252Fjobs$252Ferror/log-events/jr_1")


@pytest.mark.parametrize(
    "message",
    [
        "VPC S3 endpoint validation failed for SubnetId: subnet-1. VPC: vpc-1. Reason: Could not "
        "find S3 endpoint or NAT gateway for subnetId: subnet-1 in Vpc vpc-1",
        "At least one security group must open all ingress ports. To limit traffic, the source …",
        'ConnectTimeoutError: Connect timeout on endpoint URL: "https://sts.us-east-1.amazonaws…"',
        "InterfaceError: cannot connect to Redshift at h:5439/dev as u (connection c): connection "
        "timed out [08001]",
    ],
)
def test_a_job_whose_network_has_a_gap_is_told_who_names_it(message):
    assert "xacct doctor" in _advice(message)
