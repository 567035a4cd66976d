"""`xacct` from the terminal: exit codes, .env files, output as text and as JSON."""

import json
from datetime import UTC, date, datetime, timedelta

import pytest

from tests.support.fakes.aws_clients import FakeAwsClients
from tests.support.fakes.aws_state import AwsState
from xacct_assets.aws.errors import AccessDenied
from xacct_assets.feed.loader import load_feed, load_feeds
from xacct_assets.feed.reconciliation.equation import DayReconciliation, judge_outside
from xacct_assets.operations import cli
from xacct_assets.operations.doctor.findings import Finding
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


@pytest.mark.parametrize("command", ["reconcile", "days"])
@pytest.mark.parametrize("text", ["yesterday", "2026-01-02...2026-01-01", "2026-13-01"])
def test_an_invalid_day_is_refused_by_name(configured, command, text, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main([command, "--partition", text])
    assert ended.value.code == 2
    assert text in capsys.readouterr().err


@pytest.mark.parametrize("command", ["reconcile", "days"])
@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("2025-12-31", "2025-12-31 is not a day of feed products (it starts 2026-01-01 and its"),
        ("9999-01-01", "9999-01-01 is not a day of feed products"),
        ("2025-12-30...2026-01-02", "2025-12-30 to 2025-12-31 are not days of feed products"),
        ("2026-01-01...9999-12-31", "to 9999-12-31 are not days of feed products"),
    ],
)
def test_days_that_are_none_of_the_feed_are_refused_with_those_that_are(
    configured, monkeypatch, command, text, named, capsys
):
    requested = reconciled(monkeypatch)
    assert cli.main([command, "--partition", "2026-01-05", "--partition", text]) == 2
    assert named in capsys.readouterr().err
    assert requested == []


@pytest.fixture
def later_feed(monkeypatch):
    """A second feed, which starts two months after products."""
    feeds = load_feeds()
    later = feeds[0].model_copy(update={"name": "later", "start_date": "2026-03-01"})
    everything = [*feeds, later]
    monkeypatch.setattr("xacct_assets.feed.loader.load_feeds", lambda *_, **__: everything)


def test_without_a_feed_each_feed_is_asked_for_the_days_that_it_has(
    configured, monkeypatch, later_feed, capsys
):
    requested = reconciled(monkeypatch)
    assert cli.main(["reconcile", "--partition", "2026-02-28...2026-03-01"]) == 0
    assert requested == [date(2026, 2, 28), date(2026, 3, 1), date(2026, 3, 1)]
    assert "2026-02-28 is not a day of feed later" in capsys.readouterr().err


def test_a_day_of_no_feed_is_refused_for_each_of_them(configured, later_feed, capsys):
    assert cli.main(["reconcile", "--partition", "2025-12-31"]) == 2
    shown = capsys.readouterr().err
    assert "of feed products" in shown
    assert "of feed later" in shown


def test_a_named_feed_must_have_every_day(configured, later_feed, capsys):
    arguments = ["--feed", "later", "--partition", "2026-02-28...2026-03-01"]
    assert cli.main(["reconcile", *arguments]) == 2
    assert "of the named days, 2026-03-01 are" in capsys.readouterr().err


def test_days_shows_the_first_and_the_last_day_of_each_feed(configured, capsys):
    assert cli.main(["days"]) == 0
    tomorrow = datetime.now(UTC).date() + timedelta(days=1)
    assert capsys.readouterr().out == f"products: 2026-01-01 to {tomorrow}\n"


def test_what_is_said_of_many_days_is_one_line(configured, monkeypatch, capsys):
    gone = {"raw_files": 0, "raw_rows": None, "raw_state": "gone", "warnings": ["files are gone"]}
    days = [f"2026-01-{n:02}" for n in range(1, 31)]
    reconciled(monkeypatch, *(verdict(day, **gone) for day in days))
    assert cli.main(["reconcile", "--partition", "2026-01-01"]) == 0
    *table, said, _, summary = capsys.readouterr().out.splitlines()
    assert said == "products 2026-01-01 to 2026-01-30: files are gone"
    assert summary == "30 days are right, 30 of them with a warning."
    assert len(table) == 31
    assert table[1].split() == [
        *("products", "2026-01-01", "gone", "-", "0", "1", "9", "9", "whole", "warning")
    ]


def test_days_that_are_none_of_the_feed_are_told_beside_the_table(configured, monkeypatch, capsys):
    others = [judge_outside(date(2025, 12, n), "not a day of the feed") for n in (30, 31)]
    reconciled(monkeypatch, *others, verdict())
    assert cli.main(["reconcile", "--partition", "2026-01-01"]) == 0
    shown = capsys.readouterr().out
    assert "products 2025-12-30 to 2025-12-31: not a day of the feed" in shown
    assert "\n1 day is right." in shown
    reconciled(monkeypatch, *others)
    assert cli.main(["reconcile", "--partition", "2026-01-01"]) == 0
    assert capsys.readouterr().out == "products 2025-12-30 to 2025-12-31: not a day of the feed\n"


@pytest.mark.parametrize("command", ["reconcile", "days"])
def test_an_unknown_feed_is_named(configured, command, capsys):
    assert cli.main([command, "--feed", "nothing"]) == 2
    assert "nothing" in capsys.readouterr().err


def test_a_failed_check_makes_doctor_end_with_1_and_show_the_fix(configured, monkeypatch, capsys):
    def run(self):
        finding = Finding("login to Redshift", "FAIL", "refused", "reset the password")
        self._report(finding)
        return [finding]

    monkeypatch.setattr("xacct_assets.operations.doctor.runner.Runner.run", run)
    assert cli.main(["doctor"]) == 1
    shown = capsys.readouterr().out
    assert "FAIL     login to Redshift: refused" in shown
    assert "fix: reset the password" in shown


@pytest.fixture
def repairs(configured, monkeypatch):
    """Doctor finds a failure until a deployment was run; the deployments."""
    deployed = []

    def run(self):
        outcome = "ok" if deployed else "FAIL"
        return [
            Finding("RoleB", outcome, "policy missing", "`xacct deploy --account b` restores it")
        ]

    def deploy(options, _settings):
        deployed.append((options.account, options.yes))
        return 0

    monkeypatch.setattr("xacct_assets.operations.doctor.runner.Runner.run", run)
    monkeypatch.setattr("xacct_assets.operations.commands.deploy.run", deploy)
    return deployed


def test_doctor_repairs_what_a_deployment_can_and_checks_again(repairs, monkeypatch, capsys):
    monkeypatch.setattr("xacct_assets.operations.commands.doctor.confirmed", lambda _: True)
    assert cli.main(["doctor", "--fix"]) == 0
    assert repairs == [("b", False)]
    assert "1 check passed" in capsys.readouterr().out


def test_doctor_repairs_nothing_unasked(repairs, monkeypatch, capsys):
    asked = []
    monkeypatch.setattr("xacct_assets.operations.commands.doctor.confirmed", asked.append)
    assert cli.main(["doctor", "--fix"]) == 1
    assert asked == ["Run `xacct deploy --account b`?"]
    assert repairs == []
    assert cli.main(["doctor"]) == 1
    assert len(asked) == 1


@pytest.mark.parametrize("name", ["--feed", "--only"])
def test_doctor_refuses_a_feed_or_a_check_that_does_not_exist(configured, name, capsys):
    assert cli.main(["doctor", name, "nothing"]) == 2
    assert "nothing" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("outcomes", "closing"),
    [
        (["ok"] * 14, "14 checks passed. Next: `dg dev`"),
        (["ok", "warn"], "2 checks: 1 passed, 1 warned. Next: `dg dev`"),
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

    monkeypatch.setattr("xacct_assets.operations.doctor.runner.Runner.run", run)
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
        assert "1 day is right" in shown.out


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
