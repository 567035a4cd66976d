"""`xacct deploy` and `xacct destroy` from the terminal: what is asked, and the exit codes."""

from __future__ import annotations

import pytest

from tests.pipeline.unit.operations.deployment.conftest import Installation
from xacct_assets.operations import cli


@pytest.fixture(autouse=True)
def variables(monkeypatch: pytest.MonkeyPatch, installation: Installation) -> None:
    settings = installation.settings
    for name, value in (
        ("XACCT_ACCOUNT_A", settings.account_a),
        ("XACCT_ACCOUNT_B", settings.account_b),
        ("XACCT_SUFFIX", settings.suffix),
        ("AWS_REGION", settings.region),
    ):
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.stdin.isatty", lambda: False)


def xacct(*arguments: str) -> int:
    return cli.main(["--no-env-file", *arguments])


def answer(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("builtins.input", lambda _: text)


def test_nothing_is_deployed_if_nobody_can_answer(
    installation: Installation, capsys: pytest.CaptureFixture[str]
) -> None:
    assert xacct("deploy") == 2
    assert "answer y, or add --yes" in capsys.readouterr().err
    assert installation.accounts.a.things == installation.accounts.b.things == {}


@pytest.mark.parametrize(("reply", "code"), [("y", 0), ("yes", 0), ("n", 2), ("", 2)])
def test_the_answer_decides(
    installation: Installation, monkeypatch: pytest.MonkeyPatch, reply: str, code: int
) -> None:
    answer(monkeypatch, reply)
    assert xacct("deploy") == code
    assert bool(installation.accounts.b.things) == (code == 0)


def test_yes_does_not_allow_a_loss(
    installation: Installation,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert xacct("deploy", "--yes") == 0
    monkeypatch.setenv("XACCT_WORKGROUP", "renamed")
    assert xacct("deploy", "--yes") == 1
    assert "--allow-data-loss xacct-test" in capsys.readouterr().err
    assert xacct("deploy", "--yes", "--allow-data-loss", "xacct-test") == 0


def test_destroy_shows_what_goes_and_stays_and_asks(
    installation: Installation,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    xacct("deploy", "--yes")
    capsys.readouterr()
    working = installation.settings.processing_bucket
    installation.accounts.b.objects[working]["rejects/products.csv"] = b"1"
    before = dict(installation.accounts.b.things)
    assert xacct("destroy") == 2
    shown = capsys.readouterr()
    goes, _, stays = shown.out.partition("this stays:")
    for part in ("AWS::IAM::Role xacct-glue-test", "crawler xacct-test-products", "snapshot of"):
        assert part in goes
    assert f"bucket {working}: it has 3 object versions" in stays
    assert "nothing was deleted" in shown.err
    assert installation.accounts.b.things == before
    answer(monkeypatch, "y")
    assert xacct("destroy", "--delete-data", working) == 0
    assert installation.accounts.b.things == {}


def test_a_bucket_that_no_stack_created_is_refused(
    installation: Installation, capsys: pytest.CaptureFixture[str]
) -> None:
    xacct("deploy", "--yes")
    installation.accounts.a.by_hand("AWS::S3::Bucket", "theirs")
    assert xacct("destroy", "--yes", "--delete-data", "theirs") == 2
    assert "no stack of installation test created bucket theirs" in capsys.readouterr().err
    assert len(installation.accounts.b.cloudformation.stacks) == 4


def test_nothing_to_destroy_is_no_failure(capsys: pytest.CaptureFixture[str]) -> None:
    assert xacct("destroy", "--yes") == 0
    assert "There is nothing to delete." in capsys.readouterr().out
