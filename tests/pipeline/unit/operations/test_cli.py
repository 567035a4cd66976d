"""`xacct` from the terminal: exit codes, .env files, output as text and as JSON."""

import json
from datetime import date

import pytest

from tests.support.fakes.aws_clients import FakeAwsClients
from tests.support.fakes.aws_state import AwsState
from xacct_assets.aws.errors import AccessDenied
from xacct_assets.feed.loader import load_feed
from xacct_assets.feed.reconciliation.equation import DayReconciliation
from xacct_assets.operations import cli
from xacct_assets.operations.doctor import Finding
from xacct_assets.operations.env_file import EnvFileError, load_env_file
from xacct_assets.settings import Settings

REQUIRED = {
    "XACCT_ACCOUNT_A": "111111111111",
    "XACCT_ACCOUNT_B": "222222222222",
    "XACCT_SUFFIX": "local",
    "AWS_REGION": "us-east-1",
}


@pytest.fixture
def here(monkeypatch, tmp_path):
    """An empty directory without settings; the environment is restored afterwards."""
    for name in (*REQUIRED, "AWS_DEFAULT_REGION"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def configured(here):
    text = "".join(f"{name}={value}\n" for name, value in REQUIRED.items())
    (here / ".env").write_text(text)
    return here


def verdict(day="2026-01-01", ok=True, **changes):
    values = {
        "partition": day,
        "raw_files": 1,
        "raw_rows": 10,
        "staged_rows": 0,
        "rejected_rows": 1,
        "fact_rows": 9,
        "exported_rows": 9,
        "manifest": "whole",
        "ok": ok,
        "problems": [] if ok else ["the export holds 8 rows, but fact has 9"],
    }
    return DayReconciliation(**values | changes)


def test_missing_settings_end_with_2_and_are_all_named(here, capsys):
    assert cli.main(["doctor"]) == 2
    error = capsys.readouterr().err
    assert all(name in error for name in REQUIRED)


def test_the_env_file_wins_over_the_shell_as_it_does_for_dagster(configured, monkeypatch):
    environ = {"XACCT_SUFFIX": "other"}
    load_env_file(environ=environ)
    assert environ["XACCT_SUFFIX"] == "local"


def test_no_env_file_is_no_error_but_a_named_one_must_exist(here):
    assert load_env_file(environ={}) == []
    with pytest.raises(EnvFileError, match=r"other\.env does not exist"):
        load_env_file(here / "other.env", environ={})


def test_the_env_file_can_be_left_unread(configured, capsys):
    assert cli.main(["--no-env-file", "doctor"]) == 2
    assert "XACCT_SUFFIX" in capsys.readouterr().err


def test_destroy_does_nothing_without_yes_and_lists_what_it_would_delete(configured, capsys):
    assert cli.main(["destroy"]) == 2
    assert "sample-opt-bucket-etl-local" in capsys.readouterr().err


def test_an_aws_failure_ends_with_1_and_shows_its_fix(configured, capsys, monkeypatch):
    def fail(*_args, **_options):
        raise AccessDenied("s3:ListBucket on raw was denied", fix="let it")

    monkeypatch.setattr(
        "xacct_assets.feed.reconciliation.discover_partitions.discover_partitions", fail
    )
    assert cli.main(["reconcile"]) == 1
    assert "fix: let it" in capsys.readouterr().err


def test_an_interrupt_ends_with_130(configured, monkeypatch):
    def interrupt(*_args, **_options):
        raise KeyboardInterrupt

    monkeypatch.setattr(
        "xacct_assets.feed.reconciliation.discover_partitions.discover_partitions", interrupt
    )
    assert cli.main(["reconcile"]) == 130


def reconciled(monkeypatch, *verdicts):
    requested = []

    def answer(_feed, _aws_clients, days):
        requested.extend(days)
        return list(verdicts)

    monkeypatch.setattr("xacct_assets.feed.reconciliation.collection.reconcile", answer)
    return requested


def test_reconcile_takes_days_and_ranges(configured, monkeypatch):
    requested = reconciled(monkeypatch, verdict())
    assert (
        cli.main(
            ["reconcile", "--partition", "2026-01-05", "--partition", "2026-01-01...2026-01-03"]
        )
        == 0
    )
    assert requested == [date(2026, 1, day) for day in (1, 2, 3, 5)]


def test_a_wrong_day_makes_reconcile_end_with_1_and_say_why(configured, monkeypatch, capsys):
    reconciled(monkeypatch, verdict(), verdict("2026-01-02", ok=False, exported_rows=None))
    assert cli.main(["reconcile", "--partition", "2026-01-01"]) == 1
    shown = capsys.readouterr().out
    assert "products 2026-01-02: the export holds 8 rows, but fact has 9" in shown
    assert "1 of 2 days are wrong" in shown


def test_a_note_about_a_right_day_is_shown(configured, monkeypatch, capsys):
    reconciled(monkeypatch, verdict(notes=["not loaded: A.CSV"]))
    assert cli.main(["reconcile", "--partition", "2026-01-01"]) == 0
    assert "products 2026-01-01: note: not loaded: A.CSV" in capsys.readouterr().out


def test_reconcile_as_json_is_a_list_with_every_number(configured, monkeypatch, capsys):
    reconciled(monkeypatch, verdict())
    assert cli.main(["reconcile", "--partition", "2026-01-01", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["feed"] == "products"
    assert (row["raw_rows"], row["manifest"], row["ok"]) == (10, "whole", True)


@pytest.mark.parametrize(
    "text", ["yesterday", "2026-01-02...2026-01-01", "2026-13-01", "9999-01-01"]
)
def test_an_invalid_day_is_refused_by_name(configured, text, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(["reconcile", "--partition", text])
    assert ended.value.code == 2
    assert text in capsys.readouterr().err


def test_an_unknown_feed_is_named(configured, capsys):
    assert cli.main(["reconcile", "--feed", "nothing"]) == 2
    assert "nothing" in capsys.readouterr().err


def test_a_failed_check_makes_doctor_end_with_1_and_show_the_fix(configured, monkeypatch, capsys):
    def run(self):
        finding = Finding("login to Redshift", "FAIL", "refused", "reset the password")
        self._report(finding)
        return [finding]

    monkeypatch.setattr("xacct_assets.operations.doctor.Doctor.run", run)
    assert cli.main(["doctor"]) == 1
    shown = capsys.readouterr().out
    assert "FAIL     login to Redshift: refused" in shown
    assert "fix: reset the password" in shown


@pytest.mark.parametrize(
    ("outcomes", "closing"),
    [
        (["ok"] * 14, "14 checks passed. Next: `dagster dev`"),
        (["ok", "warn"], "2 checks: 1 passed, 1 warned. Next: `dagster dev`"),
        (["FAIL"], "1 check failed. Next: the fixes above, in order."),
        (
            ["ok", "FAIL", "skipped", "ok", "warn", "skipped"],
            "6 checks: 2 passed, 1 warned, 1 failed, 2 skipped. Next: the fixes above, in order.",
        ),
    ],
)
def test_the_closing_line_of_doctor_counts_what_stands_above_it(
    configured, monkeypatch, capsys, outcomes, closing
):
    def run(self):
        findings = [Finding(f"check {n}", outcome, "x") for n, outcome in enumerate(outcomes)]
        for finding in findings:
            self._report(finding)
        return findings

    monkeypatch.setattr("xacct_assets.operations.doctor.Doctor.run", run)
    assert cli.main(["doctor"]) == ("FAIL" in outcomes)
    shown = capsys.readouterr().out
    assert closing in shown
    assert len(shown.partition("\n\n")[0].splitlines()) == len(outcomes)


@pytest.fixture
def undeployed(configured, monkeypatch):
    """Two feeds, of which the first is not deployed."""
    feed = load_feed("products")
    state = AwsState(feed, Settings.load(REQUIRED))
    state.undeploy()
    deployed = feed.model_copy(
        update={
            "name": "customers",
            "warehouse": feed.warehouse.model_copy(
                update={"staging": "public.c", "fact": "public.c_f"}
            ),
        }
    )
    monkeypatch.setattr("xacct_assets.aws_clients.AwsClients", lambda _: FakeAwsClients(state))
    monkeypatch.setattr(
        "xacct_assets.feed.loader.load_feeds", lambda extra_feeds_dir: [feed, deployed]
    )
    return state


@pytest.mark.parametrize("as_json", [False, True])
def test_reconcile_names_a_feed_that_is_not_deployed_and_shows_the_others(
    undeployed, capsys, as_json
):
    options = ["--json"] if as_json else []
    assert cli.main(["reconcile", "--partition", "2026-01-01", *options]) == 1
    shown = capsys.readouterr()
    assert shown.err == "xacct: feed products is not deployed: xacct deploy\n"
    if as_json:
        assert [row["feed"] for row in json.loads(shown.out)] == ["customers"]
    else:
        assert "customers" in shown.out
        assert "1 days are right" in shown.out


def test_reconcile_of_a_feed_that_is_not_deployed_says_only_that(undeployed, capsys, monkeypatch):
    monkeypatch.setattr(
        "xacct_assets.feed.loader.load_feeds", lambda extra_feeds_dir: [undeployed.feed]
    )
    assert cli.main(["reconcile", "--partition", "2026-01-01"]) == 1
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", "xacct: feed products is not deployed: xacct deploy\n")


def test_a_parameter_without_a_value_is_refused(configured, capsys):
    assert cli.main(["deploy", "--parameter", "BaseCapacity"]) == 2
    assert "BaseCapacity" in capsys.readouterr().err
