"""What the caller of each operation must be allowed.

Service authorization reference: "Actions, resources, and condition keys for Amazon Redshift Data
API", "... for Amazon Redshift Serverless".
"""

from __future__ import annotations

import pytest

from xacct_sandbox import emulator
from xacct_sandbox.redshift.api.data_api.metadata import Metadata

OWNER = "redshift-data:statement-owner-iam-userid"


def of(api, operation, **request):
    """The one check of an operation: action, resource, condition keys."""
    (check,) = api.checks(operation, request)
    return check.action, check.resource, dict(check.keys)


@pytest.fixture
def tagged(bench):
    """The ARNs of the namespace and the workgroup, which have a tag each."""
    arns = [
        bench.serverless.namespaces.get({"namespaceName": "ns-one"})["namespace"]["namespaceArn"],
        bench.serverless.workgroups.get({"workgroupName": "wg-one"})["workgroup"]["workgroupArn"],
    ]
    for arn, kind in zip(arns, ("ns", "wg"), strict=True):
        bench.serverless.tag_resource(
            {"resourceArn": arn, "tags": [{"key": "Kind", "value": kind}]}
        )
    return arns


def test_every_operation_says_what_it_needs_and_an_unknown_one_nothing(bench):
    metadata = Metadata(bench.database, bench.api.find_login)
    for operation in {**bench.api.operations(), **metadata.operations()}:
        assert len(bench.api.checks(operation, {})) == 1, operation
    for operation in bench.serverless.operations():
        assert len(bench.serverless.checks(operation, {})) == 1, operation
    for unknown in ("DropEverything", "GetUsageLimit", ""):
        assert bench.api.checks(unknown, {}) == bench.serverless.checks(unknown, {}) == []


def test_an_operation_is_judged_on_what_it_changes_whatever_else_is_named(bench, tagged):
    namespace, workgroup = tagged
    both = {"namespaceName": "ns-one", "workgroupName": "wg-one"}
    for operation in ("GetNamespace", "UpdateNamespace", "DeleteNamespace"):
        action, resource, keys = of(bench.serverless, operation, **both)
        assert (action, resource) == (f"redshift-serverless:{operation}", namespace)
        assert keys == {"aws:resourcetag/kind": "ns"}
    for operation in ("GetWorkgroup", "UpdateWorkgroup", "DeleteWorkgroup", "GetCredentials"):
        assert of(bench.serverless, operation, **both)[1:] == (
            workgroup,
            {"aws:resourcetag/kind": "wg"},
        )
    untagged = of(bench.serverless, "UntagResource", resourceArn=workgroup, tagKeys=["Kind"])
    assert untagged[1:] == (workgroup, {"aws:resourcetag/kind": "wg", "aws:tagkeys": ["Kind"]})
    assert of(bench.serverless, "ListWorkgroups", **both)[1:] == ("*", {})


def test_what_is_not_there_is_any_of_its_kind(bench):
    other = bench.serverless
    assert of(other, "GetWorkgroup", workgroupName="none")[1].endswith(":workgroup/*")
    assert of(other, "GetNamespace", namespaceName="none")[1].endswith(":namespace/*")


@pytest.mark.parametrize("by", ["name", "arn"])
def test_sql_is_judged_on_its_workgroup(bench, tagged, by):
    workgroup = tagged[1]
    named = {"WorkgroupName": "wg-one" if by == "name" else workgroup}
    for operation in ("ExecuteStatement", "BatchExecuteStatement", "ListTables", "DescribeTable"):
        action, resource, keys = of(bench.api, operation, **named)
        assert (action, resource) == (f"redshift-data:{operation}", workgroup)
        assert keys == {"aws:resourcetag/kind": "wg"}


def test_a_statement_is_judged_by_its_owner(bench):
    context = emulator.caller_userid.set("AROAONE:run-1")
    identifier = bench.execute("insert")["Id"]
    emulator.caller_userid.set("AROAONE:run-2")
    for operation in ("DescribeStatement", "CancelStatement", "GetStatementResult"):
        for asked in (identifier, f"{identifier}:1"):
            assert of(bench.api, operation, Id=asked) == (
                f"redshift-data:{operation}",
                "*",
                {OWNER: "AROAONE:run-1"},
            )
    assert of(bench.api, "GetStatementResultV2", Id=identifier)[0] == (
        "redshift-data:GetStatementResult"
    )
    assert of(bench.api, "ListStatements") == (
        "redshift-data:ListStatements",
        "*",
        {OWNER: "AROAONE:run-2"},
    )
    assert of(bench.api, "DescribeStatement", Id="none")[2] == {}
    emulator.caller_userid.reset(context)


def test_the_owner_of_a_statement_outlives_a_restart(bench):
    context = emulator.caller_userid.set("AROAONE:run-1")
    identifier = bench.end(bench.execute("insert"))["Id"]
    emulator.caller_userid.reset(context)
    bench.restart()
    assert of(bench.api, "DescribeStatement", Id=identifier)[2] == {OWNER: "AROAONE:run-1"}
