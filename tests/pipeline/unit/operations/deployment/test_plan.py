"""The plan of a deployment follows from settings and feeds, and fits the templates."""

import re

import pytest

from xacct_assets.aws.errors import DeployFailed
from xacct_assets.aws.redshift.sql import split_statements
from xacct_assets.feed.loader import load_feeds
from xacct_assets.operations.deployment import plan
from xacct_assets.settings import Settings
from xacct_assets.sources import sources_root

SETTINGS = Settings.load(
    {
        "XACCT_ACCOUNT_A": "111111111111",
        "XACCT_ACCOUNT_B": "222222222222",
        "XACCT_SUFFIX": "local",
        "AWS_REGION": "us-east-1",
        "XACCT_WAREHOUSE_HOST": "127.0.0.1",
        "XACCT_WAREHOUSE_PORT": "5440",
        "XACCT_ORCHESTRATOR_TRUSTED_ARNS": "arn:aws:iam::222222222222:user/developer",
    }
)
OUTPUTS_B = {
    "GlueRoleArn": SETTINGS.glue_role_arn,
    "OrchestratorRoleArn": SETTINGS.orchestrator_role_arn,
    "RoleBArn": SETTINGS.role_b_arn,
    "ArrivalQueueArn": "arn:aws:sqs:us-east-1:222222222222:q",
    "DatabaseUser": "etl",
}
ROOT = sources_root()


def declared(template: str) -> dict[str, bool]:
    """Parameters of a template: name -> whether it has a default."""
    section = template.partition("\nParameters:\n")[2]
    section = re.split(r"\n(?=\S)", section)[0]
    blocks = re.split(r"(?m)^  (?=\w+:$)", section)
    return {block.split(":")[0]: "    Default:" in block for block in blocks if block.strip()}


@pytest.fixture(params=["b", "a", *[feed.name for feed in load_feeds()]])
def planned(request):
    if request.param == "b":
        return plan.account_b(SETTINGS, ROOT)
    if request.param == "a":
        return plan.account_a(SETTINGS, ROOT, OUTPUTS_B, load_feeds())
    (feed,) = [feed for feed in load_feeds() if feed.name == request.param]
    return plan.feed_stack(SETTINGS, ROOT, feed, OUTPUTS_B)


def test_every_planned_parameter_is_declared_by_the_template(planned):
    assert set(planned.parameters) <= set(declared(planned.template))


def test_every_parameter_without_a_default_is_planned(planned):
    needed = {name for name, has_default in declared(planned.template).items() if not has_default}
    assert needed <= set(planned.parameters)


def test_account_b_has_the_outputs_that_other_stacks_use():
    template = plan.template(ROOT, "account_b.yaml")
    outputs = template.partition("\nOutputs:\n")[2]
    assert all(f"  {name}:" in outputs for name in OUTPUTS_B)


def test_a_parameter_of_the_command_line_is_passed_to_the_templates_that_declare_it():
    planned_b = plan.with_overrides(
        plan.account_b(SETTINGS, ROOT), {"BaseCapacity": "16", "WorkerType": "G.2X"}
    )
    assert planned_b.parameters["BaseCapacity"] == "16"
    assert "WorkerType" not in planned_b.parameters


def test_host_and_port_of_the_settings_reach_the_template():
    parameters = plan.account_b(SETTINGS, ROOT).parameters
    assert (parameters["WarehouseHost"], parameters["WarehousePort"]) == ("127.0.0.1", "5440")


@pytest.mark.parametrize(
    ("mode", "queue", "notified"),
    [
        ("poll", None, ""),
        ("events", None, OUTPUTS_B["ArrivalQueueArn"]),
        ("events", "xacct-arrivals-local", OUTPUTS_B["ArrivalQueueArn"]),
        ("events", "a-queue-of-our-own", ""),
    ],
)
def test_s3_notifies_the_queue_only_if_a_feed_reads_it(mode, queue, notified):
    (feed, *_) = load_feeds()
    arrival = feed.arrival.model_copy(update={"mode": mode, "queue": queue})
    feeds = [feed, feed.model_copy(update={"arrival": arrival})]
    parameters = plan.account_a(SETTINGS, ROOT, OUTPUTS_B, feeds).parameters
    assert parameters["ArrivalQueueArn"] == notified


def test_role_a_trusts_the_user_that_is_deployed_in_account_b():
    planned = plan.account_a(SETTINGS, ROOT, OUTPUTS_B, load_feeds())
    assert planned.parameters["DatabaseUser"] == "etl"
    assert not declared(planned.template)["DatabaseUser"]


@pytest.mark.parametrize(
    ("outputs", "told"),
    [
        ({}, "it is not deployed"),
        ({name: OUTPUTS_B[name] for name in OUTPUTS_B if name != "DatabaseUser"}, "DatabaseUser"),
    ],
    ids=["no stack", "an earlier release's"],
)
def test_account_a_is_not_planned_before_account_b(outputs, told):
    with pytest.raises(DeployFailed, match=told) as refusal:
        plan.account_a(SETTINGS, ROOT, outputs, load_feeds())
    assert "xacct deploy --account b" in refusal.value.fix


def test_the_admins_password_is_redshifts_to_keep():
    template = plan.template(ROOT, "account_b.yaml")
    assert "ManageAdminPassword: !If [AdminHasSecret, true, !Ref AWS::NoValue]" in template
    assert "AdminUserPassword" not in template


def test_a_feed_in_another_bucket_is_refused_since_no_policy_covers_it():
    (feed, *_) = load_feeds()
    other = feed.model_copy(
        update={"source": feed.source.model_copy(update={"bucket": "elsewhere"})}
    )
    with pytest.raises(DeployFailed, match="elsewhere"):
        plan.feed_stack(SETTINGS, ROOT, other, OUTPUTS_B)


def test_every_feed_has_sql_that_splits_and_tables_come_before_procedures():
    paths = plan.scripts(ROOT, load_feeds())
    assert all(split_statements(path.read_text()) for path in paths)
    names = [path.name for path in paths if path.parent.name == "products"]
    assert names[-1].startswith("procedure")


def test_a_feed_of_another_folder_has_its_sql_beside_its_yaml():
    extra_feeds_dir = ROOT / "tests" / "feeds"
    feeds = load_feeds(extra_feeds_dir=extra_feeds_dir)
    assert [feed.name for feed in feeds] == ["customers", "orders", "products"]
    paths = plan.scripts(ROOT, feeds, extra_feeds_dir)
    assert all(split_statements(path.read_text()) for path in paths)
    for name in ("customers", "orders"):
        own = [path.name for path in paths if path.parent == extra_feeds_dir / name]
        view = ["latest.sql"] if name == "customers" else []
        assert own == ["fact.sql", "staging.sql", *view, "procedure.sql"]


def test_a_feed_without_sql_is_named():
    (feed, *_) = load_feeds()
    with pytest.raises(DeployFailed, match="feed nothing has no SQL"):
        plan.scripts(ROOT, [feed.model_copy(update={"name": "nothing"})])


def test_no_parameter_can_change_the_generated_password():
    """A change would generate a new password, and the Redshift secret would keep the old one."""
    template = plan.template(ROOT, "account_b.yaml")
    (generated,) = re.findall(r"(?m)^      GenerateSecretString:\n((?:        .*\n)+)", template)
    assert "PasswordLength" in generated
    assert not re.search(r"!|Fn::|\$\{", generated)
    references = re.findall(r"\{\{resolve:secretsmanager:[^}]*\}[^}]*\}\}", template)
    assert references == ["{{resolve:secretsmanager:${AdminPassword}:SecretString}}"]
