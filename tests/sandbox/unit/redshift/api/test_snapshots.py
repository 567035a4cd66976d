"""redshift-serverless: snapshots, and namespaces that are replaced."""

from __future__ import annotations

import copy

import pytest

from xacct_sandbox.redshift.api.cloudformation import namespace_type
from xacct_sandbox.service_errors import ServiceError


def restore(bench, snapshot):
    return bench.serverless.snapshots.restore(
        {"namespaceName": "ns-one", "workgroupName": "wg-one", "snapshotName": snapshot}
    )


def test_a_snapshot_holds_the_data_and_is_restored(bench):
    bench.control.set_user("worker", "Worker1234")
    made = bench.serverless.snapshots.create({"namespaceName": "ns-one", "snapshotName": "before"})
    assert made["snapshot"]["status"] == "AVAILABLE"
    assert "folder" not in made["snapshot"]
    assert bench.control.namespace["status"] == "available"
    bench.control.drop_everything()
    restore(bench, "before")
    assert set(bench.control.users) == {"xacct", "worker"}
    assert bench.control.namespace["admin_user"] == "xacct"
    # It can be restored again.
    bench.control.drop_everything()
    restore(bench, "before")
    assert set(bench.control.users) == {"xacct", "worker"}


def test_a_deleted_snapshot_is_gone(bench):
    snapshots = bench.serverless.snapshots
    arn = snapshots.create({"namespaceName": "ns-one", "snapshotName": "s"})["snapshot"][
        "snapshotArn"
    ]
    assert [s["snapshotName"] for s in snapshots.list_all({})["snapshots"]] == ["s"]
    assert snapshots.list_all({"namespaceName": "other"})["snapshots"] == []
    with pytest.raises(ServiceError, match="already exists"):
        snapshots.create({"namespaceName": "ns-one", "snapshotName": "s"})
    snapshots.delete({"snapshotName": "s"})
    with pytest.raises(ServiceError, match="There is no snapshot"):
        snapshots.get({"snapshotArn": arn})
    assert bench.folders.kept == {}


def test_operations_on_a_snapshot_are_judged_on_it(bench):
    serverless = bench.serverless
    arn = serverless.snapshots.create({"namespaceName": "ns-one", "snapshotName": "s"})["snapshot"][
        "snapshotArn"
    ]
    whole = {"namespaceName": "ns-one", "workgroupName": "wg-one", "snapshotName": "s"}
    for operation, request in (
        ("GetSnapshot", {"snapshotName": "s"}),
        ("GetSnapshot", {"snapshotArn": arn}),
        ("DeleteSnapshot", {"snapshotName": "s"}),
        ("RestoreFromSnapshot", whole),
    ):
        assert _judged_on(serverless, operation, request) == arn
    new = {"namespaceName": "ns-one", "snapshotName": "new"}
    assert _judged_on(serverless, "CreateSnapshot", new).endswith(":snapshot/*")
    assert _judged_on(serverless, "ListSnapshots", {"namespaceName": "ns-one"}) == "*"


def _judged_on(serverless, operation, request):
    (check,) = serverless.checks(operation, request)
    return check.resource


def test_a_final_snapshot_outlives_its_namespace(bench):
    bench.control.set_user("worker", "Worker1234")
    bench.serverless.workgroups.delete({"workgroupName": "wg-one"})
    bench.serverless.namespaces.delete({"namespaceName": "ns-one", "finalSnapshotName": "last"})
    assert (bench.control.users, bench.control.namespace) == ({}, None)
    bench.serverless.namespaces.create(
        {"namespaceName": "ns-one", "adminUsername": "other", "adminUserPassword": "Secret1234"}
    )
    bench.serverless.workgroups.create({"workgroupName": "wg-one", "namespaceName": "ns-one"})
    restore(bench, "last")
    assert set(bench.control.users) == {"xacct", "worker"}
    namespace = bench.serverless.namespaces.get({"namespaceName": "ns-one"})["namespace"]
    assert namespace["adminUsername"] == "xacct"


def test_a_final_snapshot_without_a_name_or_with_a_taken_one_deletes_nothing(bench):
    bench.serverless.snapshots.create({"namespaceName": "ns-one", "snapshotName": "taken"})
    bench.serverless.workgroups.delete({"workgroupName": "wg-one"})
    for options in ({"finalSnapshotName": "taken"}, {"finalSnapshotRetentionPeriod": 3}):
        with pytest.raises(ServiceError):
            bench.serverless.namespaces.delete({"namespaceName": "ns-one", **options})
    assert "xacct" in bench.control.users
    assert bench.serverless.namespaces.get({"namespaceName": "ns-one"})


def replace(bench):
    """What CloudFormation does when the names of namespace and workgroup change."""
    bench.aws.replacing = True
    bench.serverless.namespaces.create(
        {"namespaceName": "ns-two", "adminUsername": "boss", "adminUserPassword": "Secret1234"}
    )
    bench.serverless.workgroups.create({"workgroupName": "wg-two", "namespaceName": "ns-two"})
    bench.aws.replacing = False


def remove(bench, number):
    bench.serverless.workgroups.delete({"workgroupName": f"wg-{number}"})
    bench.serverless.namespaces.delete({"namespaceName": f"ns-{number}"})


def test_a_replaced_namespace_is_empty_and_its_predecessor_goes_with_its_data(bench):
    replace(bench)
    assert set(bench.control.users) == {"boss"}
    assert bench.control.namespace["namespace_name"] == "ns-two"
    shown = bench.serverless.namespaces.get({"namespaceName": "ns-one"})["namespace"]
    assert "setAside" not in shown
    remove(bench, "one")
    assert set(bench.control.users) == {"boss"}
    assert bench.control.namespace["workgroup_name"] == "wg-two"
    assert bench.folders.kept == {}


def test_a_replacement_that_is_rolled_back_leaves_the_data_as_it_was(bench):
    replace(bench)
    remove(bench, "two")
    assert set(bench.control.users) == {"xacct"}
    assert bench.control.namespace["workgroup_name"] == "wg-one"
    assert bench.folders.kept == {}


def test_a_replacement_that_cannot_be_made_leaves_the_data_as_it_was(bench, monkeypatch):
    def fail(*_args, **_options):
        raise RuntimeError("no database")

    monkeypatch.setattr(bench.control, "set_user", fail)
    with pytest.raises(RuntimeError, match="no database"):
        replace(bench)
    assert set(bench.control.users) == {"xacct"}
    assert bench.control.namespace["namespace_name"] == "ns-one"


def test_the_final_snapshot_of_a_replaced_namespace_has_its_data(bench):
    replace(bench)
    bench.serverless.workgroups.delete({"workgroupName": "wg-one"})
    namespace_type(bench.serverless).delete(
        "ns-one", {"NamespaceName": "ns-one", "FinalSnapshotName": "last"}
    )
    bench.serverless.snapshots.restore(
        {"namespaceName": "ns-two", "workgroupName": "wg-two", "snapshotName": "last"}
    )
    assert set(bench.control.users) == {"xacct"}


@pytest.mark.parametrize("recorded", [True, False])
def test_a_kill_while_data_is_moved_loses_nothing(bench, recorded):
    before = copy.deepcopy(bench.aws.states)
    replace(bench)
    if not recorded:
        bench.aws.states.clear()
        bench.aws.states.update(before)
    bench.serverless.recover_before_start()
    bench.serverless.publish_after_start()
    assert set(bench.control.users) == ({"boss"} if recorded else {"xacct"})
    if recorded:
        remove(bench, "two")
    assert set(bench.control.users) == {"xacct"}
