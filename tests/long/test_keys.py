"""With keys of our own in both accounts a day runs; without a grant of one, what needs it names it.

The templates make a key for each bucket and for the login. Their policies are changed through KMS,
as an administrator of the account would.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest

from tests.support.misconfigurations import keys
from tests.support.misconfigurations.case import Case as DoctorCase
from tests.support.misconfigurations.case import Hands
from tests.support.misconfigurations.trial import heal, try_out
from tests.support.pipeline import CHAIN, Pipeline
from tests.support.sandbox import RunningSandbox, running_sandbox

DAY, NEXT = "2026-04-10", "2026-04-11"
A, B = "111111111111", "222222222222"
GLUE, ORCHESTRATOR = "xacct-glue-local", "xacct-orchestrator-local"
ROLE_A, ROLE_B = "xacct-RoleA-local", "xacct-RoleB-local"
RAW_KEY, EXPORT_KEY = "alias/xacct-raw-local", "alias/xacct-export-local"
WORK_KEY, LOGIN_KEY = "alias/xacct-processing-local", "alias/xacct-login-local"
OWNER = {RAW_KEY: A, EXPORT_KEY: A, WORK_KEY: B, LOGIN_KEY: B}
KEYS = keys.SETTINGS


@dataclass(frozen=True)
class Case:
    """A grant of a key, and what fails without it.

    Attributes:
        key: its alias.
        sid: the statement of its policy.
        asset: that fails.
        who: the role that lacks the grant.
        action: that the error names.
    """

    key: str
    sid: str
    asset: str
    who: str
    action: str = "kms:Decrypt"

    def __str__(self) -> str:
        return self.sid


CASES = [
    Case(RAW_KEY, "OrchestratorReadsRawObjects", "raw_partition", ORCHESTRATOR),
    Case(RAW_KEY, "GlueReadsRawObjects", "staging_table", GLUE),
    Case(WORK_KEY, "GlueUsesWorkingBucket", "staging_table", GLUE),
    Case(WORK_KEY, "OrchestratorUsesWorkingBucket", "staging_table", ORCHESTRATOR),
    Case(WORK_KEY, "RoleBReadsTemporaryFiles", "staging_table", ROLE_B),
    Case(LOGIN_KEY, "GlueReadsLogin", "staging_table", GLUE),
    Case(LOGIN_KEY, "OrchestratorReadsLogin", "fact_table", ORCHESTRATOR),
    Case(EXPORT_KEY, "RoleAWritesExports", "s3_export", ROLE_A, "kms:GenerateDataKey"),
    Case(EXPORT_KEY, "OrchestratorReadsExports", "s3_export", ORCHESTRATOR),
    # OrchestratorFindsKey is asked for once per process: see test_keys.py of the sandbox.
]


@pytest.fixture(scope="module")
def with_keys() -> Iterator[RunningSandbox]:
    """A sandbox of its own, deployed with keys in both accounts."""
    with running_sandbox() as bare:
        running = replace(bare, extra_settings={**bare.extra_settings, **KEYS})
        running.run("xacct_assets.operations.cli", "--no-env-file", "deploy", "--yes")
        yield running


@pytest.fixture(scope="module")
def keyed(with_keys: RunningSandbox) -> Pipeline:
    """The pipeline on it, after a day."""
    pipeline = Pipeline(with_keys, KEYS)
    pipeline.land(DAY)
    run = pipeline.run(DAY)
    assert run.success, run.why
    return pipeline


def kms_of(sandbox: RunningSandbox, key: str) -> Any:
    return sandbox.client(f"account-{'a' if OWNER[key] == A else 'b'}-admin", "kms")


def arn_of(sandbox: RunningSandbox, key: str) -> str:
    return str(kms_of(sandbox, key).describe_key(KeyId=key)["KeyMetadata"]["Arn"])


@contextmanager
def without(sandbox: RunningSandbox, case: Case) -> Iterator[str]:
    """The policy of a key without a statement; the ARN of the key."""
    kms, arn = kms_of(sandbox, case.key), arn_of(sandbox, case.key)
    text = kms.get_key_policy(KeyId=arn, PolicyName="default")["Policy"]
    document = json.loads(text)
    kept = [one for one in document["Statement"] if one["Sid"] != case.sid]
    assert len(kept) == len(document["Statement"]) - 1
    changed = json.dumps({**document, "Statement": kept})
    kms.put_key_policy(KeyId=arn, PolicyName="default", Policy=changed)
    try:
        yield arn
    finally:
        kms.put_key_policy(KeyId=arn, PolicyName="default", Policy=text)


def test_everything_of_a_day_is_under_the_key_of_its_bucket(keyed: Pipeline) -> None:
    sandbox = keyed.sandbox
    for profile, bucket, key in (
        ("account-a-admin", "sample-inp-bucket-etl-local", RAW_KEY),
        ("account-a-admin", "sample-opt-bucket-etl-local", EXPORT_KEY),
        ("account-b-admin", "xacct-processing-local", WORK_KEY),
    ):
        s3, arn = sandbox.client(profile, "s3"), arn_of(sandbox, key)
        names = [item["Key"] for item in s3.list_objects_v2(Bucket=bucket)["Contents"]]
        assert {s3.head_object(Bucket=bucket, Key=name).get("SSEKMSKeyId") for name in names} == {
            arn
        }
    secrets = sandbox.client("account-b-admin", "secretsmanager")
    login = secrets.describe_secret(SecretId="xacct/redshift-local")
    assert login["KmsKeyId"] == arn_of(sandbox, LOGIN_KEY)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_without_a_grant_of_a_key_what_needs_it_names_key_account_and_role(
    keyed: Pipeline, case: Case
) -> None:
    with without(keyed.sandbox, case) as key:
        run = keyed.run(DAY, assets=CHAIN[CHAIN.index(case.asset) :])
    failed = {name for name in run.failures if name in CHAIN}
    assert failed == {case.asset}, run.why
    text = run.failures[case.asset]
    session = f"assumed-role/{case.who}/"
    for part in (session, f"action: {case.action}\n", f"resource: {key}", f"statement {case.sid}"):
        assert part in text, f"{part} not in:\n{text}"
    assert f":{OWNER[case.key]}:key/" in text


@pytest.mark.parametrize(
    ("operation", "text"),
    [("disable_key", "is disabled"), ("schedule_key_deletion", "is pending deletion")],
)
def test_a_key_that_cannot_be_used_is_named(keyed: Pipeline, operation: str, text: str) -> None:
    kms, arn = kms_of(keyed.sandbox, RAW_KEY), arn_of(keyed.sandbox, RAW_KEY)
    getattr(kms, operation)(KeyId=arn)
    try:
        run = keyed.run(DAY, assets=("raw_partition",))
    finally:
        if operation == "schedule_key_deletion":
            kms.cancel_key_deletion(KeyId=arn)
        kms.enable_key(KeyId=arn)
    assert f"{arn} {text}" in run.failures["raw_partition"]


def test_a_crawl_that_may_not_read_names_the_key(keyed: Pipeline) -> None:
    case = Case(RAW_KEY, "GlueReadsRawObjects", "catalog_table", GLUE)
    keyed.land(NEXT)
    assert keyed.run(NEXT, assets=("raw_partition",)).success
    with without(keyed.sandbox, case) as key:
        run = keyed.run(NEXT, assets=("catalog_table",))
    text = run.failures["catalog_table"]
    for part in (f"assumed-role/{GLUE}/", "action: kms:Decrypt\n", f"resource: {key}"):
        assert part in text, f"{part} not in:\n{text}"


@pytest.mark.parametrize("case", keys.cases()[::4], ids=lambda case: case.name)
def test_doctor_names_it_first_and_its_repair_mends_it(
    with_keys: RunningSandbox, keyed: Pipeline, case: DoctorCase
) -> None:
    hands = Hands(with_keys)
    trial = try_out(hands, case)
    problems = trial.problems()
    if problems:
        heal(hands, case)
    assert problems == []


def test_every_grant_is_back(keyed: Pipeline) -> None:
    run = keyed.run(DAY)
    assert run.success, run.why
