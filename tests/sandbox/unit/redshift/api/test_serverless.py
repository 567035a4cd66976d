"""redshift-serverless: one namespace, one workgroup, temporary passwords."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta

import pytest

from xacct_sandbox.faults import daemon as planned_faults
from xacct_sandbox.faults.planned import Injection
from xacct_sandbox.redshift.api.cloudformation import namespace_type, workgroup_type
from xacct_sandbox.redshift.api.control import md5_digest
from xacct_sandbox.redshift.api.serverless import credentials, database_user
from xacct_sandbox.service_errors import ServiceError

ROLE = "arn:aws:iam::222222222222:role/RoleB"


def test_a_namespace_creates_its_admin_and_is_written_to_the_database(bench):
    assert bench.control.users["xacct"] == {"password": "Secret1234", "superuser": True}
    assert bench.control.namespace["admin_user"] == "xacct"
    assert bench.control.namespace["status"] == "available"
    shown = bench.serverless.namespaces.get({"namespaceName": "ns-one"})["namespace"]
    assert shown["namespaceArn"].endswith(f":namespace/{shown['namespaceId']}")
    assert "Secret1234" not in str(bench.aws.states)


MANAGED = {"namespaceName": "ns-one", "adminUsername": "boss", "manageAdminPassword": True}


def managed_secret(bench):
    (arn,) = [name for name in bench.aws.secrets if "redshift!" in name]
    return arn, json.loads(bench.aws.secrets[arn])


def test_a_managed_admin_password_is_in_a_secret_that_goes_with_the_namespace(empty):
    shown = empty.serverless.namespaces.create(MANAGED)["namespace"]
    arn, login = managed_secret(empty)
    assert shown["adminPasswordSecretArn"] == arn == "arn:redshift!ns-one-boss"
    assert login == {"username": "boss", "password": empty.control.users["boss"]["password"]}
    assert login["password"] not in str(empty.aws.states)
    # An update of something else keeps it.
    empty.serverless.namespaces.update(
        {"namespaceName": "ns-one", "manageAdminPassword": True, "logExports": ["userlog"]}
    )
    assert managed_secret(empty) == (arn, login)
    empty.serverless.namespaces.delete({"namespaceName": "ns-one"})
    assert arn not in empty.aws.secrets


def test_a_password_can_be_handed_to_redshift_and_taken_back(bench):
    bench.serverless.namespaces.update({"namespaceName": "ns-one", "manageAdminPassword": True})
    arn, login = managed_secret(bench)
    assert bench.control.users["xacct"]["password"] == login["password"] != "Secret1234"
    bench.serverless.namespaces.update(
        {
            "namespaceName": "ns-one",
            "manageAdminPassword": False,
            "adminUserPassword": "Changed1234",
        }
    )
    assert bench.control.users["xacct"]["password"] == "Changed1234"
    assert arn not in bench.aws.secrets
    shown = bench.serverless.namespaces.get({"namespaceName": "ns-one"})["namespace"]
    assert "adminPasswordSecretArn" not in shown


@pytest.mark.parametrize(
    ("request_", "text"),
    [
        ({"manageAdminPassword": True, "adminUserPassword": "Secret1234"}, "cannot be given"),
        ({"adminUserPassword": "Secret1234"}, "cannot be given"),
        ({"manageAdminPassword": False}, "needs an adminUserPassword"),
    ],
)
def test_a_managed_password_cannot_be_given_too(empty, request_, text):
    empty.serverless.namespaces.create(MANAGED)
    with pytest.raises(ServiceError, match=text):
        empty.serverless.namespaces.update({"namespaceName": "ns-one", **request_})


def test_a_managed_password_needs_the_right_to_make_a_secret(empty):
    empty.aws.denied.add("secretsmanager:CreateSecret")
    with pytest.raises(ServiceError, match="secretsmanager:CreateSecret"):
        empty.serverless.namespaces.create(MANAGED)
    assert empty.control.users == {}


def test_without_a_workgroup_nobody_can_connect(bench):
    bench.serverless.workgroups.delete({"workgroupName": "wg-one"})
    assert bench.control.namespace["status"] == "paused"


def test_a_workgroup_has_the_endpoint_of_the_sandbox(bench):
    endpoint = bench.serverless.workgroups.get({"workgroupName": "wg-one"})["workgroup"]["endpoint"]
    assert (endpoint["address"], endpoint["port"]) == ("127.0.0.1", 5439)


def test_roles_are_attached_as_they_are_given_and_shown_as_aws_shows_them(bench):
    bench.serverless.namespaces.update(
        {"namespaceName": "ns-one", "iamRoles": [ROLE], "defaultIamRoleArn": ROLE}
    )
    assert bench.control.namespace["iam_roles"] == ROLE
    shown = bench.serverless.namespaces.get({"namespaceName": "ns-one"})["namespace"]["iamRoles"]
    assert shown == [f"IamRole(applyStatus=in-sync, iamRoleArn={ROLE})"]
    bench.serverless.namespaces.update({"namespaceName": "ns-one", "iamRoles": shown})
    assert bench.control.namespace["iam_roles"] == ROLE


def test_attaching_a_role_needs_pass_role(bench):
    bench.aws.denied.add("iam:PassRole")
    with pytest.raises(ServiceError, match="iam:PassRole"):
        bench.serverless.namespaces.update({"namespaceName": "ns-one", "iamRoles": [ROLE]})
    assert bench.control.namespace["iam_roles"] == ""


def test_deleting_the_namespace_deletes_its_data_but_not_before_its_workgroup(bench):
    with pytest.raises(ServiceError, match="wg-one") as refusal:
        bench.serverless.namespaces.delete({"namespaceName": "ns-one"})
    assert refusal.value.code == "ConflictException"
    assert not bench.control.dropped
    bench.serverless.workgroups.delete({"workgroupName": "wg-one"})
    bench.serverless.namespaces.delete({"namespaceName": "ns-one"})
    assert bench.control.dropped
    assert bench.control.namespace is None


@pytest.mark.parametrize(
    ("call", "request_", "code", "text"),
    [
        ("CreateNamespace", {"namespaceName": "ns-one"}, "ConflictException", "already exists"),
        ("CreateNamespace", {"namespaceName": "two"}, "ValidationException", "a second one"),
        (
            "CreateWorkgroup",
            {"workgroupName": "two", "namespaceName": "ns-one"},
            "ValidationException",
            "a second one",
        ),
        (
            "CreateWorkgroup",
            {"workgroupName": "two", "namespaceName": "nope"},
            "ResourceNotFoundException",
            "nope",
        ),
        ("GetNamespace", {"namespaceName": "nope"}, "ResourceNotFoundException", "nope"),
        ("GetWorkgroup", {"workgroupName": "nope"}, "ResourceNotFoundException", "nope"),
        (
            "UpdateWorkgroup",
            {"workgroupName": "wg-one", "port": 5440},
            "ValidationException",
            "XACCT_SANDBOX_REDSHIFT_PORT=5440",
        ),
        (
            "UpdateWorkgroup",
            {"workgroupName": "wg-one", "port": 80},
            "ValidationException",
            "5431",
        ),
        (
            "UpdateWorkgroup",
            {"workgroupName": "wg-one", "baseCapacity": 9},
            "ValidationException",
            "baseCapacity 9",
        ),
        (
            "UpdateWorkgroup",
            {"workgroupName": "wg-one", "trackName": "x"},
            "ValidationException",
            "trackName",
        ),
        (
            "UpdateNamespace",
            {"namespaceName": "ns-one", "iamRoles": ["RoleB"]},
            "ValidationException",
            "RoleB",
        ),
        (
            "UpdateNamespace",
            {"namespaceName": "ns-one", "defaultIamRoleArn": ROLE},
            "ValidationException",
            "not one of iamRoles",
        ),
        (
            "DeleteNamespace",
            {"namespaceName": "ns-one", "finalSnapshotName": "s"},
            "ConflictException",
            "wg-one",
        ),
        (
            "CreateSnapshot",
            {"namespaceName": "ns-one", "snapshotName": "Not_A_Name"},
            "ValidationException",
            "Not_A_Name",
        ),
        (
            "CreateSnapshot",
            {"namespaceName": "ns-one", "snapshotName": "s", "retentionPeriod": 7},
            "ValidationException",
            "retentionPeriod 7",
        ),
        (
            "CreateSnapshot",
            {"namespaceName": "nope", "snapshotName": "s"},
            "ResourceNotFoundException",
            "nope",
        ),
        ("GetSnapshot", {"snapshotName": "nope"}, "ResourceNotFoundException", "nope"),
        ("GetSnapshot", {}, "ValidationException", "snapshotName or snapshotArn"),
        (
            "RestoreFromSnapshot",
            {"namespaceName": "ns-one", "workgroupName": "wg-one", "snapshotName": "nope"},
            "ResourceNotFoundException",
            "nope",
        ),
        (
            "GetCredentials",
            {"workgroupName": "wg-one", "durationSeconds": 899},
            "ValidationException",
            "durationSeconds 899",
        ),
    ],
)
def test_what_cannot_be_done_is_refused_by_name(bench, call, request_, code, text):
    with pytest.raises(ServiceError) as refusal:
        bench.serverless.operations()[call](request_)
    assert refusal.value.code == code
    assert text in refusal.value.message


@pytest.mark.parametrize(
    ("option", "text"),
    [
        ({"manageAdminPassword": True, "adminUserPassword": "Secret1234"}, "cannot be given"),
        ({"kmsKeyId": "k"}, "kmsKeyId"),
        ({"dbName": "other"}, "'other'"),
        ({"adminUsername": "a"}, "together"),
        ({"adminUsername": "rdsdb", "adminUserPassword": "Secret1234"}, "rdsdb"),
        ({"adminUsername": "a", "adminUserPassword": "short1A"}, "8 to 64"),
        ({"adminUsername": "a", "adminUserPassword": "alllowercase1"}, "upper-case"),
        ({"adminUsername": "a", "adminUserPassword": "With'Quote1"}, "printable"),
    ],
)
def test_an_invalid_namespace_is_refused_and_nothing_is_created(empty, option, text):
    with pytest.raises(ServiceError, match=text):
        empty.serverless.namespaces.create({"namespaceName": "one", **option})
    assert empty.control.users == {}
    assert empty.serverless.namespaces.list_all({})["namespaces"] == []


# -- temporary credentials -------------------------------------------------------------------


def test_credentials_are_of_the_callers_own_user_and_expire(bench):
    before = datetime.now(UTC)
    answer = bench.serverless.get_credentials({"workgroupName": "wg-one", "durationSeconds": 900})
    assert answer["dbUser"] == "IAMR:orchestrator"
    ((user, password, valid_until),) = bench.control.temporary
    assert (user, password) == (answer["dbUser"], answer["dbPassword"])
    assert timedelta(seconds=890) < valid_until - before < timedelta(seconds=910)
    assert answer["expiration"] == pytest.approx(valid_until.timestamp())


def test_the_password_stays_the_same_until_its_refresh_time(bench, monkeypatch):
    ask = {"workgroupName": "wg-one", "durationSeconds": 3600}
    first = bench.serverless.get_credentials(ask)
    assert bench.serverless.get_credentials(ask) == first

    class Later(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime.now(tz) + timedelta(hours=1)

    monkeypatch.setattr(credentials, "datetime", Later)
    assert bench.serverless.get_credentials(ask)["dbPassword"] != first["dbPassword"]


def test_a_new_password_leaves_the_earlier_ones_valid(bench):
    asked = [900, 3600, 900]
    given = [
        bench.serverless.get_credentials({"workgroupName": "wg-one", "durationSeconds": seconds})
        for seconds in asked
    ]
    kept = [password for _, password, _ in bench.control.temporary]
    assert kept == [answer["dbPassword"] for answer in given]
    assert len(set(kept)) == 3


def test_a_user_that_was_dropped_is_made_again(bench):
    ask = {"workgroupName": "wg-one"}
    bench.serverless.get_credentials(ask)
    del bench.control.users["IAMR:orchestrator"]
    bench.serverless.get_credentials(ask)
    assert bench.control.user_exists("IAMR:orchestrator")


@pytest.mark.parametrize("seconds", [0, 60, 899, 3601, -1])
def test_a_duration_that_aws_does_not_give_is_refused(bench, seconds):
    with pytest.raises(ServiceError, match=r"durationSeconds .* 900\.\.3600"):
        bench.serverless.get_credentials({"workgroupName": "wg-one", "durationSeconds": seconds})
    assert bench.control.temporary == []


def test_credentials_need_a_workgroup_and_no_database(bench):
    with pytest.raises(ServiceError, match="workgroupName or customDomainName"):
        bench.serverless.get_credentials({"dbName": "dev"})
    for database in (None, "dev"):
        named = {} if database is None else {"dbName": database}
        answer = bench.serverless.get_credentials({"workgroupName": "wg-one", **named})
        assert answer["dbPassword"]


def test_a_planned_fault_lets_the_password_expire_early_and_the_answer_says_so(bench, monkeypatch):
    early = Injection("f1", "short_credentials", 20.0, "")
    monkeypatch.setattr(planned_faults, "inject", lambda *_: early)
    answer = bench.serverless.get_credentials({"workgroupName": "wg-one"})
    assert 15 < answer["expiration"] - datetime.now(UTC).timestamp() <= 20


@pytest.mark.parametrize(
    ("request_", "superusers"),
    [
        ({}, {"admin", "IAMR:orchestrator"}),
        ({"adminUsername": "xacct", "adminUserPassword": "Secret1234"}, {"xacct"}),
        ({"adminUsername": "xacct", "manageAdminPassword": True}, {"xacct"}),
    ],
    ids=["no admin", "admin with a password", "managed password"],
)
def test_without_an_admin_user_the_identity_that_makes_the_namespace_is_the_admin(
    empty, request_, superusers
):
    empty.serverless.namespaces.create({"namespaceName": "ns-one", **request_})
    assert {n for n, rights in empty.control.users.items() if rights["superuser"]} == superusers


@pytest.mark.parametrize(
    ("arn", "user"),
    [
        ("arn:aws:iam::2:user/ann", "IAM:ann"),
        ("arn:aws:iam::2:user/team/ann", "IAM:ann"),
        ("arn:aws:sts::2:assumed-role/etl/session", "IAMR:etl"),
    ],
)
def test_an_iam_identity_has_the_database_user_that_aws_gives_it(arn, user):
    assert database_user(arn) == user


def test_an_accounts_root_has_no_database_user():
    with pytest.raises(ServiceError, match="root"):
        database_user("arn:aws:iam::222222222222:root")


def test_a_password_reaches_the_database_as_its_digest_only():
    digest = md5_digest("xacct", "Secret1234")
    assert "Secret1234" not in digest
    assert digest == f"md5{hashlib.md5(b'Secret1234xacct').hexdigest()}"


# -- CloudFormation --------------------------------------------------------------------------


def test_a_stack_creates_both_and_reads_the_endpoint(empty):
    name, attributes = namespace_type(empty.serverless).create(
        "N",
        {
            "NamespaceName": "one",
            "AdminUsername": "xacct",
            "AdminUserPassword": "Secret1234",
            "IamRoles": [ROLE],
            "Tags": [{"Key": "k", "Value": "v"}],
        },
        "stack",
    )
    assert name == "one"
    assert attributes["Namespace.NamespaceArn"].startswith("arn:aws:redshift-serverless:")
    assert attributes["Namespace.NamespaceId"] in attributes["Namespace.NamespaceArn"]
    name, attributes = workgroup_type(empty.serverless).create(
        "W",
        {
            "WorkgroupName": "wg-one",
            "NamespaceName": "one",
            "BaseCapacity": "8",
            "Port": "5439",
            "PubliclyAccessible": "false",
            "ConfigParameters": [{"ParameterKey": "require_ssl", "ParameterValue": "true"}],
        },
        "stack",
    )
    assert name == "wg-one"
    assert attributes["Workgroup.Endpoint.Address"] == "127.0.0.1"
    assert attributes["Workgroup.Endpoint.Port"] == 5439
    shown = empty.serverless.workgroups.get({"workgroupName": "wg-one"})["workgroup"]
    assert shown["baseCapacity"] == 8
    assert shown["publiclyAccessible"] is False
    assert shown["configParameters"] == [{"parameterKey": "require_ssl", "parameterValue": "true"}]


def test_a_changed_property_updates_and_a_changed_database_is_refused(empty):
    namespace = namespace_type(empty.serverless)
    old = {"NamespaceName": "one", "DbName": "dev", "IamRoles": [ROLE]}
    namespace.create("N", old, "stack")
    namespace.update("one", old, {"NamespaceName": "one", "DbName": "dev"}, "stack")
    assert empty.control.namespace["iam_roles"] == ""
    with pytest.raises(ServiceError, match="DbName changed"):
        namespace.update("one", old, {"NamespaceName": "one", "DbName": "two"}, "stack")


def test_a_stack_reads_what_the_resources_are_now(empty):
    namespace, workgroup = namespace_type(empty.serverless), workgroup_type(empty.serverless)
    namespace.create("N", {"NamespaceName": "one", "IamRoles": [ROLE]}, "stack")
    workgroup.create("W", {"WorkgroupName": "wg-one", "NamespaceName": "one"}, "stack")
    empty.serverless.workgroups.update({"workgroupName": "wg-one", "baseCapacity": 16})
    assert namespace.read("one", {})["IamRoles"] == [ROLE]
    assert workgroup.read("wg-one", {})["BaseCapacity"] == 16
    assert workgroup.read("gone", {}) is None


def test_an_unknown_property_is_refused_by_name(empty):
    with pytest.raises(ServiceError, match="NamespaceResourcePolicy"):
        namespace_type(empty.serverless).create(
            "N", {"NamespaceName": "one", "NamespaceResourcePolicy": "s"}, "stack"
        )


def test_deleting_what_is_gone_already_is_no_error(empty):
    workgroup_type(empty.serverless).delete("nope", {})
    namespace_type(empty.serverless).delete("nope", {})
