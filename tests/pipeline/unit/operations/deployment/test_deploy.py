"""A deployment shows what it changes, asks, loses no data unasked, and repairs what was changed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.pipeline.unit.operations.deployment.conftest import KILL_STEP, Installation
from tests.support.fakes.deployed import Killed
from tests.support.fakes.stack_service import UNREADABLE
from xacct_assets.aws.errors import DeployFailed
from xacct_assets.key_settings import IN_ACCOUNT_A, Keys


@pytest.fixture
def deployed(installation: Installation) -> Installation:
    assert installation.deploy() == "deployed"
    return installation


def test_a_new_installation_is_shown_and_asked_about_once(installation: Installation) -> None:
    assert installation.deploy() == "deployed"
    assert installation.questions == ["Make these changes?"]
    assert installation.has("stack xacct-account-b-test (account B): new")
    assert installation.has("added: RawBucket (AWS::S3::Bucket)")
    assert installation.has("stack xacct-feed-products-test (account B): created")


def test_what_is_deployed_is_not_asked_about(deployed: Installation) -> None:
    assert deployed.deploy() == "up to date"
    assert deployed.questions == []
    assert deployed.has("stack xacct-account-a-test (account A): nothing to change")


@pytest.mark.parametrize("new", [True, False])
def test_nothing_is_changed_if_the_answer_is_no(installation: Installation, new: bool) -> None:
    if not new:
        installation.deploy()
    before = dict(installation.accounts.b.things)
    installation.overrides = {"BaseCapacity": "16"}
    installation.answer = False
    assert installation.deploy() == "declined"
    assert installation.accounts.b.things == before
    assert (installation.settings.stack_b in installation.accounts.b.cloudformation.stacks) != new


def test_a_changed_parameter_is_shown_with_the_property_and_asked_about(
    deployed: Installation,
) -> None:
    deployed.overrides = {"BaseCapacity": "16"}
    deployed.deploy()
    assert deployed.questions == ["Make these changes?"]
    assert deployed.has(
        "changed: Workgroup (AWS::RedshiftServerless::Workgroup) xacct-test [BaseCapacity]"
    )


@pytest.mark.parametrize(
    ("setting", "account"),
    [
        ("namespace", "b"),
        ("redshift_secret", "b"),
        ("input_bucket", "a"),
        ("export_bucket", "a"),
        ("processing_bucket", "b"),
    ],
)
def test_a_namespace_bucket_or_secret_is_not_replaced_without_a_flag_that_names_it(
    deployed: Installation, setting: str, account: str
) -> None:
    name = getattr(deployed.settings, setting)
    deployed.change_settings(**{setting: f"{name}2"})
    if setting == "namespace":
        # A workgroup that keeps its name cannot be replaced, and it cannot change its namespace.
        deployed.change_settings(workgroup="xacct-test2")
    things = getattr(deployed.accounts, account).things
    before = dict(things)
    for flags in ((), ("another",)):
        with pytest.raises(DeployFailed) as refused:
            deployed.deploy(*flags)
        assert f"--allow-data-loss {name}" in str(refused.value)
        assert things == before
        assert deployed.questions == []
    assert deployed.deploy(name) == "deployed"
    assert deployed.has("DATA AT RISK")


def test_a_bucket_that_is_replaced_stays_in_the_account(deployed: Installation) -> None:
    old = deployed.settings.export_bucket
    deployed.change_settings(export_bucket="elsewhere")
    deployed.deploy(old)
    assert ("AWS::S3::Bucket", old) in deployed.accounts.a.things
    assert deployed.has("the present one stays in the account")


def test_the_flag_of_one_loss_does_not_allow_another(deployed: Installation) -> None:
    deployed.change_settings(namespace="other", redshift_secret="other")
    with pytest.raises(DeployFailed, match="--allow-data-loss xacct-test") as refused:
        deployed.deploy("xacct/redshift-test")
    assert "--allow-data-loss xacct/redshift-test" not in str(refused.value)


def test_nothing_of_account_b_is_changed_if_account_a_would_lose_data(
    deployed: Installation,
) -> None:
    before = dict(deployed.accounts.b.things)
    deployed.change_settings(input_bucket="other-raw")
    with pytest.raises(DeployFailed):
        deployed.deploy()
    assert deployed.accounts.b.things == before


@pytest.mark.parametrize("user", ["etl", "loader2"])
@pytest.mark.parametrize("route", ["setting", "parameter"])
def test_role_a_trusts_the_database_user_that_is_deployed(
    deployed: Installation, user: str, route: str
) -> None:
    if route == "setting":
        deployed.change_settings(database_user=user)
    else:
        deployed.overrides = {"DatabaseUser": user}
    deployed.deploy()
    role = deployed.accounts.a.things["AWS::IAM::Role", "xacct-RoleA-test"]
    assert f"/{user}" in str(role["AssumeRolePolicyDocument"])


@pytest.mark.parametrize(
    ("field", "value"), [("prefix", "products/v2"), ("prefix", "elsewhere"), ("bucket", None)]
)
def test_another_folder_of_a_feed_makes_its_crawler_anew(
    deployed: Installation, field: str, value: str | None
) -> None:
    """Glue refuses to change the target of a crawler that crawls new folders only."""
    raw = deployed.settings.input_bucket
    if value is None:
        deployed.change_settings(input_bucket="raw2")
        value = "s3://raw2/"
    else:
        deployed.change_feed(
            lambda feed: feed.model_copy(
                update={"source": feed.source.model_copy(update={field: value})}
            )
        )
    assert deployed.deploy(raw) == "deployed"
    assert deployed.has("replaced: Crawler (AWS::Glue::Crawler)")
    crawler = deployed.accounts.b.things["AWS::Glue::Crawler", "xacct-test-products"]
    assert value in crawler["Targets"]["S3Targets"][0]["Path"]


@pytest.mark.parametrize("status", ["CREATE_COMPLETE", "ROLLBACK_COMPLETE", "CREATE_FAILED"])
@pytest.mark.parametrize("tags", [{}, {"xacct": "other"}])
def test_a_stack_of_the_same_name_that_somebody_else_made_is_not_touched(
    installation: Installation, status: str, tags: dict[str, str]
) -> None:
    """One that failed at its creation would be deleted if it were the installation's."""
    cloudformation = installation.accounts.b.cloudformation
    stack = cloudformation.add_stack(installation.settings.stack_b, status)
    stack["tags"] = tags
    with pytest.raises(DeployFailed, match="somebody else made it"):
        installation.deploy()
    assert cloudformation.stacks == {stack["name"]: stack}


def test_a_bucket_that_exists_is_not_taken_and_the_next_deployment_goes_on(
    installation: Installation,
) -> None:
    raw = installation.settings.input_bucket
    installation.accounts.a.by_hand("AWS::S3::Bucket", raw)
    with pytest.raises(DeployFailed, match=f"{raw} exists, and this installation did not make it"):
        installation.deploy()
    del installation.accounts.a.things["AWS::S3::Bucket", raw]
    assert installation.deploy() == "deployed"


def every_resource() -> list[tuple[str, str]]:
    from xacct_assets.operations.deployment.plan import resource_types, template
    from xacct_assets.sources import sources_root

    return [
        (file, logical_id)
        for file in ("account_a", "account_b", "feed")
        for logical_id in resource_types(template(sources_root(), f"{file}.yaml"))
        # Made only of an adopted secret that is a URI, and only if the settings ask for keys.
        if logical_id != "JsonSecret" and not logical_id.endswith(("Key", "KeyAlias"))
    ]


@pytest.mark.parametrize(("file", "logical_id"), every_resource())
@pytest.mark.parametrize("deleted", [True, False], ids=["deleted", "changed"])
def test_what_was_changed_by_hand_is_restored(
    deployed: Installation, file: str, logical_id: str, deleted: bool
) -> None:
    account = deployed.accounts.a if file == "account_a" else deployed.accounts.b
    name = {"account_a": deployed.settings.stack_a, "account_b": deployed.settings.stack_b}.get(
        file, "xacct-feed-products-test"
    )
    resource = account.cloudformation.stacks[name]["resources"][logical_id]
    key = (resource["type"], resource["id"])
    before = dict(account.things[key])
    if deleted:
        del account.things[key]
    else:
        account.things[key] = {**before, "Description": "changed by hand"}
    deployed.deploy()
    if resource["type"] in UNREADABLE:
        assert deployed.has("not compared with reality, since CloudFormation cannot read it: ")
        assert deployed.has(f"{logical_id} ({resource['type']})")
        return
    assert deployed.questions == ["Make these changes?"]
    assert deployed.has("it was deleted by hand" if deleted else "reverts a change by hand")
    assert account.things[key] == before


@pytest.mark.parametrize("kind", ["input", "export", "processing", "secret", "log"])
def test_a_key_that_is_pending_deletion_is_not_replaced_without_a_flag_that_names_it(
    installation: Installation, kind: str
) -> None:
    keys = Keys(**{kind: "create"})
    installation.settings = replace(installation.settings, keys=keys)
    installation.deploy()
    accounts = installation.accounts
    things = (accounts.a if kind in IN_ACCOUNT_A else accounts.b).things
    (key,) = (id_ for type_, id_ in things if type_ == "AWS::KMS::Key")
    kept = things.pop(("AWS::KMS::Key", key))
    with pytest.raises(DeployFailed) as refused:
        installation.deploy()
    for text in (f"cancel-key-deletion --key-id {key}`", f"--allow-data-loss {key}"):
        assert text in str(refused.value)
    assert "undo the setting" not in str(refused.value)
    assert ("AWS::KMS::Key", key) not in things
    # Its deletion was cancelled: there is nothing to do.
    things["AWS::KMS::Key", key] = kept
    assert installation.deploy() == "up to date"
    del things["AWS::KMS::Key", key]
    assert installation.deploy(key) == "deployed"
    assert installation.has("DATA AT RISK: another key is made")


def test_what_cloudformation_cannot_read_is_named(deployed: Installation) -> None:
    deployed.deploy()
    for name in ("GlueConnection (AWS::Glue::Connection)", "ArrivalQueuePolicy (AWS::SQS::"):
        assert deployed.has(name)


def test_a_deployment_that_is_killed_at_any_call_is_finished_by_the_next(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    kills = 0
    for calls in range(1, 400, KILL_STEP):
        installation.accounts.kill_after(calls)
        try:
            installation.deploy()
        except Killed:
            kills += 1
        else:
            break
        installation.accounts.kill_after(None)
        installation.deploy()
        assert len(installation.accounts.a.cloudformation.stacks) == 1
        assert len(installation.accounts.b.cloudformation.stacks) == 4
        installation.destroy(*installation.buckets, final_snapshot=False)
        assert not installation.accounts.a.things
    assert kills > 20 / KILL_STEP


# -- the network -------------------------------------------------------------------------------


def test_the_network_is_made_first_and_the_warehouse_is_placed_in_it(
    deployed: Installation,
) -> None:
    made = [line for line in deployed.shown if line.endswith(": created")]
    assert "xacct-network-test" in made[0]
    stacks = deployed.accounts.b.cloudformation.stacks
    network = stacks[deployed.settings.stack_network]["outputs"]
    parameters = stacks[deployed.settings.stack_b]["parameters"]
    assert parameters["WarehouseSubnetIds"] == network["WarehouseSubnetIds"]
    assert parameters["WarehouseSecurityGroupIds"] == network["WarehouseSecurityGroupId"]
    assert parameters["GlueSubnetId"] == network["GlueSubnetId"]


def test_a_route_that_was_deleted_by_hand_is_restored(deployed: Installation) -> None:
    del deployed.accounts.b.things["AWS::EC2::Route", "RouteToWarehouse"]
    deployed.deploy()
    assert deployed.has("restored: RouteToWarehouse (AWS::EC2::Route)")
    assert ("AWS::EC2::Route", "RouteToWarehouse") in deployed.accounts.b.things


def test_with_a_network_of_ones_own_none_is_made_and_its_ids_are_kept(
    installation: Installation,
) -> None:
    installation.change_settings(network="own")
    installation.overrides = OWN_NETWORK
    installation.deploy()
    installation.overrides = {}
    installation.deploy()
    stacks = installation.accounts.b.cloudformation.stacks
    assert installation.settings.stack_network not in stacks
    assert stacks[installation.settings.stack_b]["parameters"]["GlueSubnetId"] == "subnet-1"


def test_ids_of_another_network_are_refused_while_one_is_made(installation: Installation) -> None:
    installation.overrides = {"GlueSubnetId": "subnet-1"}
    with pytest.raises(DeployFailed, match="XACCT_NETWORK=own"):
        installation.deploy()
    assert not installation.accounts.b.cloudformation.stacks


def test_an_installation_in_a_network_of_ones_own_is_not_moved_out_of_it(
    installation: Installation,
) -> None:
    """One of an earlier release, in which there was no such setting."""
    installation.change_settings(network="own")
    installation.overrides = OWN_NETWORK
    installation.deploy()
    installation.change_settings(network="create")
    installation.overrides = {}
    with pytest.raises(DeployFailed, match="XACCT_NETWORK=own") as refused:
        installation.deploy()
    assert "GlueSubnetId=subnet-1" in str(refused.value)


OWN_NETWORK = {
    "WarehouseSubnetIds": "subnet-1,subnet-2,subnet-3",
    "WarehouseSecurityGroupIds": "sg-1",
    "GlueSubnetId": "subnet-1",
    "GlueSecurityGroupId": "sg-2",
    "GlueAvailabilityZone": "us-east-1a",
}


@pytest.mark.parametrize(
    ("metadata", "whose"),
    [({}, "somebody else"), ({"xacct": "other"}, "installation other")],
)
def test_a_script_of_somebody_else_in_an_adopted_bucket_is_not_overwritten(
    installation: Installation, metadata: dict[str, str], whose: str
) -> None:
    account, working = installation.accounts.b, installation.buckets[2]
    account.by_hand("AWS::S3::Bucket", working)
    account.objects[working] = {"scripts/load.py": b"theirs"}
    account.metadata[working, "scripts/load.py"] = metadata
    installation.change_settings(adopted=frozenset({"processing-bucket"}))  # type: ignore[arg-type]
    with pytest.raises(DeployFailed, match=f"{whose} wrote it") as refusal:
        installation.deploy()
    assert "XACCT_PROCESSING_BUCKET" in str(refusal.value)
    assert account.objects[working] == {"scripts/load.py": b"theirs"}
    assert not account.cloudformation.stacks


def test_a_script_of_an_earlier_release_gets_the_installations_name(
    installation: Installation,
) -> None:
    account, working = installation.accounts.b, installation.buckets[2]
    account.by_hand("AWS::S3::Bucket", working)
    account.objects[working] = {"scripts/load.py": b"old"}
    account.metadata[working, "scripts/load.py"] = {"sha256": "0"}
    installation.change_settings(adopted=frozenset({"processing-bucket"}))  # type: ignore[arg-type]
    assert installation.deploy() == "deployed"
    assert account.metadata[working, "scripts/load.py"]["xacct"] == "test"


SECRET = "AWS::SecretsManager::Secret"


@pytest.mark.parametrize("kind", ["RedshiftSecret", "AdminPassword"])
def test_a_secret_of_the_stack_that_is_marked_for_deletion_is_restored_first(
    installation: Installation, kind: str
) -> None:
    installation.deploy()
    account = installation.accounts.b
    stack = account.cloudformation.stacks[installation.settings.stack_b]
    account.marked_secrets = {stack["resources"][kind]["id"]}
    things = dict(account.things)
    with pytest.raises(DeployFailed, match="is marked for deletion; nothing was") as refusal:
        installation.deploy()
    assert "aws secretsmanager restore-secret --secret-id" in str(refusal.value)
    assert "XACCT_ADOPT" not in str(refusal.value)
    assert account.things == things
    account.marked_secrets = set()
    assert installation.deploy() == "up to date"


def test_a_secret_of_an_earlier_installation_that_is_marked_is_told_before_anything_is_made(
    installation: Installation,
) -> None:
    account = installation.accounts.b
    name = installation.settings.redshift_secret
    arn = f"arn:aws:secretsmanager:us-east-1:{account.id}:secret:{name}-AbCdEf"
    account.by_hand(SECRET, arn, Name=name)
    account.marked_secrets = {arn}
    with pytest.raises(DeployFailed, match=f"secret {name} is marked for deletion") as refusal:
        installation.deploy()
    assert "and add secret to XACCT_ADOPT" in str(refusal.value)
    assert not account.cloudformation.stacks
    del account.things[SECRET, arn]
    assert installation.deploy() == "deployed"
