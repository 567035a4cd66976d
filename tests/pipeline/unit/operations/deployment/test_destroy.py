"""A removal deletes what the stacks created, and nothing else."""

from __future__ import annotations

import pytest

from tests.pipeline.unit.operations.deployment.conftest import KILL_STEP, Installation
from tests.support.fakes.deployed import Killed
from xacct_assets.aws.errors import AccessDenied, AwsFailure
from xacct_assets.operations.deployment.destroy import Removal
from xacct_assets.operations.deployment.ownership import PROBE
from xacct_sandbox.emulator.stacks.schemas import CREATE_ONLY


@pytest.fixture
def deployed(installation: Installation) -> Installation:
    installation.deploy()
    return installation


def stacks(installation: Installation) -> list[str]:
    return [
        *installation.accounts.a.cloudformation.stacks,
        *installation.accounts.b.cloudformation.stacks,
    ]


def test_all_that_the_stacks_created_goes_with_the_named_data(deployed: Installation) -> None:
    raw, exports, working = deployed.buckets
    assert deployed.destroy(raw, exports, working) == []
    assert deployed.accounts.a.things == deployed.accounts.b.things == {}
    assert stacks(deployed) == []


def test_a_bucket_with_objects_stays_unless_it_is_named(deployed: Installation) -> None:
    raw, _, working = deployed.buckets
    deployed.accounts.a.objects[raw] = {"products/a.csv": b"12345"}
    assert deployed.destroy(working) == []
    assert list(deployed.accounts.a.things) == [("AWS::S3::Bucket", raw)]
    assert deployed.has(f"bucket {raw}: it has 1 object versions, 5 bytes")
    assert deployed.accounts.a.objects == {raw: {"products/a.csv": b"12345"}}


def test_the_working_bucket_goes_if_it_has_nothing_but_the_jobs_files(
    deployed: Installation,
) -> None:
    account, working = deployed.accounts.b, deployed.buckets[2]
    assert sorted(account.objects[working]) == ["scripts/load.py", "scripts/load_libraries.zip"]
    assert deployed.destroy() == []
    assert ("AWS::S3::Bucket", working) not in account.things
    assert deployed.has("nothing but what xacct wrote itself")
    assert deployed.deploy() == "deployed"


def test_what_is_left_of_doctors_probes_keeps_no_export_bucket(deployed: Installation) -> None:
    """The bucket keeps versions, also of what doctor has deleted."""
    account, exports = deployed.accounts.a, deployed.buckets[1]
    account.objects[exports] = {f"{PROBE}/1/000.parquet": b"1"}
    assert deployed.destroy() == []
    assert ("AWS::S3::Bucket", exports) not in account.things


@pytest.mark.parametrize(
    ("key", "metadata"),
    [
        ("rejects/products/2026-01-31.csv", {"xacct": "test"}),
        ("scripts/load.py.bak", {"xacct": "test"}),
        ("scripts/load.py", {}),
        ("scripts/load_libraries.zip", {"xacct": "other"}),
    ],
)
def test_anything_else_in_the_working_bucket_keeps_it_with_all_it_has(
    deployed: Installation, key: str, metadata: dict[str, str]
) -> None:
    account, working = deployed.accounts.b, deployed.buckets[2]
    account.objects[working][key] = b"theirs"
    account.metadata[working, key] = metadata
    before = dict(account.objects[working])
    assert deployed.destroy() == []
    assert account.objects[working] == before
    assert deployed.has("of them written by xacct itself). To delete them with it")
    assert stacks(deployed) == []


def test_an_object_that_arrives_in_the_working_bucket_after_the_plan_keeps_it(
    deployed: Installation,
) -> None:
    account, working = deployed.accounts.b, deployed.buckets[2]
    removal = Removal(deployed.settings, deployed.feeds, print)
    plan = removal.plan()
    account.objects[working]["rejects/late.csv"] = b"1"
    problems = removal.run(plan)
    assert "not empty" in problems[0]
    assert account.objects[working] == {"rejects/late.csv": b"1"}
    assert deployed.settings.stack_b in stacks(deployed)
    # Nor is its network taken away from under it.
    assert deployed.settings.stack_network in stacks(deployed)
    assert f"{deployed.settings.stack_network}: left" in problems[-1]
    assert deployed.deploy() == "deployed"


def test_an_object_that_arrives_after_the_plan_is_not_deleted(
    deployed: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw, _, working = deployed.buckets
    removal = Removal(deployed.settings, deployed.feeds, print, delete_data=[working])
    plan = removal.plan()
    deployed.accounts.a.objects[raw] = {"late.csv": b"1"}
    problems = removal.run(plan)
    assert "not empty" in problems[0]
    assert deployed.accounts.a.objects[raw] == {"late.csv": b"1"}
    # Its stack stays: it tells that the bucket is the installation's.
    assert stacks(deployed) == [deployed.settings.stack_a]
    assert deployed.destroy(raw) == []
    assert stacks(deployed) == []


@pytest.mark.parametrize("type_", sorted(CREATE_ONLY))
def test_what_was_made_by_hand_inside_the_naming_scheme_stays(
    deployed: Installation, type_: str
) -> None:
    names = (
        "xacct-test-more",
        "xacct/redshift-test2",
        "sample-inp-bucket-etl-test2",
        "xacct-x-test",
    )
    for account in (deployed.accounts.a, deployed.accounts.b):
        for name in names:
            account.by_hand(type_, name)
    made = {(type_, name) for name in names}
    assert deployed.destroy(*deployed.buckets) == []
    assert set(deployed.accounts.a.things) == set(deployed.accounts.b.things) == made


def test_what_was_made_by_hand_under_the_very_names_of_the_settings_stays(
    installation: Installation,
) -> None:
    settings = installation.settings
    for account, type_, name in (
        (installation.accounts.a, "AWS::S3::Bucket", settings.input_bucket),
        (installation.accounts.a, "AWS::S3::Bucket", settings.export_bucket),
        (installation.accounts.b, "AWS::S3::Bucket", settings.processing_bucket),
        (installation.accounts.b, "AWS::RedshiftServerless::Namespace", settings.workgroup),
        (installation.accounts.b, "AWS::SecretsManager::Secret", settings.redshift_secret),
        (installation.accounts.a, "AWS::IAM::Role", "xacct-RoleA-test"),
    ):
        account.by_hand(type_, name)
    before = dict(installation.accounts.a.things), dict(installation.accounts.b.things)
    assert installation.destroy() == []
    assert (installation.accounts.a.things, installation.accounts.b.things) == before
    assert installation.has(f"bucket {settings.input_bucket}: no stack of this installation")
    assert installation.accounts.b.snapshots == []


@pytest.mark.parametrize("name", ["stack_a", "stack_b"])
def test_a_stack_of_the_installations_name_without_its_tag_stays(
    installation: Installation, name: str
) -> None:
    account = installation.accounts.a if name == "stack_a" else installation.accounts.b
    account.cloudformation.add_stack(getattr(installation.settings, name))
    assert installation.destroy() == []
    assert stacks(installation) == [getattr(installation.settings, name)]
    assert installation.has("it has no tag xacct=test, so somebody else made it")


def test_a_bucket_that_no_stack_created_cannot_be_named(deployed: Installation) -> None:
    deployed.accounts.a.by_hand("AWS::S3::Bucket", "theirs")
    removal = Removal(
        deployed.settings,
        deployed.feeds,
        print,
        delete_data=["theirs", "gone", deployed.buckets[0]],
    )
    # One that is gone is no mistake: an interrupted removal may have deleted it.
    assert removal.foreign_buckets(removal.plan()) == ["theirs"]


@pytest.mark.parametrize("wanted", [True, False])
def test_a_snapshot_of_the_warehouse_is_taken_first(deployed: Installation, wanted: bool) -> None:
    deployed.destroy(*deployed.buckets, final_snapshot=wanted)
    assert [name.startswith("xacct-test-final-") for name in deployed.accounts.b.snapshots] == (
        [True] if wanted else []
    )


def test_without_its_snapshot_the_warehouse_stays(
    deployed: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AwsFailure("no snapshot today")

    monkeypatch.setattr("xacct_assets.operations.deployment.destroy.take_snapshot", refuse)
    problems = deployed.destroy(*deployed.buckets)
    assert "no snapshot today" in problems[0]
    assert stacks(deployed) == [deployed.settings.stack_network, deployed.settings.stack_b]
    assert ("AWS::RedshiftServerless::Namespace", "xacct-test") in deployed.accounts.b.things
    monkeypatch.undo()


def test_a_namespace_that_is_gone_needs_no_snapshot(deployed: Installation) -> None:
    del deployed.accounts.b.things["AWS::RedshiftServerless::Namespace", "xacct-test"]
    assert deployed.destroy(*deployed.buckets) == []
    assert stacks(deployed) == []


def test_stacks_of_retired_feeds_go_and_those_of_other_installations_stay(
    deployed: Installation,
) -> None:
    cloudformation = deployed.accounts.b.cloudformation
    for feed, suffix in (("orders", "test"), ("orders", "other-test"), ("bare", "test")):
        stack = cloudformation.add_stack(f"xacct-feed-{feed}-{suffix}")
        stack["parameters"] = {"Feed": feed}
        stack["tags"] = {} if feed == "bare" else {"xacct": suffix}
    assert deployed.destroy(*deployed.buckets) == []
    assert stacks(deployed) == ["xacct-feed-orders-other-test", "xacct-feed-bare-test"]


def test_nothing_is_removed_if_the_stacks_cannot_be_listed(
    deployed: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    def deny(*_: object) -> None:
        raise AccessDenied("cloudformation:ListStacks was denied")

    monkeypatch.setattr("xacct_assets.operations.deployment.destroy.find_retired", deny)
    with pytest.raises(AccessDenied):
        deployed.destroy()
    assert len(stacks(deployed)) == 5


def test_a_removal_that_is_killed_at_any_call_is_finished_by_the_next(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    kills = 0
    for calls in range(1, 400, KILL_STEP):
        installation.deploy()
        installation.accounts.kill_after(calls)
        try:
            installation.destroy(*installation.buckets)
        except Killed:
            kills += 1
        else:
            break
        installation.accounts.kill_after(None)
        assert installation.destroy(*installation.buckets) == []
        assert installation.accounts.a.things == installation.accounts.b.things == {}
        assert stacks(installation) == []
    assert kills > 20 / KILL_STEP


def test_an_adopted_working_bucket_is_left_as_it_was(installation: Installation) -> None:
    account, working = installation.accounts.b, installation.buckets[2]
    account.by_hand("AWS::S3::Bucket", working)
    account.objects[working] = {"scripts/theirs.py": b"1"}
    installation.change_settings(adopted=frozenset({"processing-bucket"}))  # type: ignore[arg-type]
    installation.deploy()
    assert len(account.objects[working]) == 3
    assert installation.destroy() == []
    assert account.objects[working] == {"scripts/theirs.py": b"1"}
    assert ("AWS::S3::Bucket", working) in account.things
