"""What is deployed follows from settings and feeds, and fits the templates."""

import re

import pytest

from xacct_assets.aws.errors import DeployFailed
from xacct_assets.aws.redshift.sql import split_statements
from xacct_assets.contract.days import DayLayout
from xacct_assets.feed.loader import load_feeds
from xacct_assets.operations.deployment import plan
from xacct_assets.operations.discover_partitions import days_in
from xacct_assets.settings import Settings

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
}
ROOT = plan.repository_root()


def declared(template: str) -> dict[str, bool]:
    """Parameters of a template: name -> has it a default."""
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


def test_every_parameter_that_is_given_is_one_of_the_template(planned):
    assert set(planned.parameters) <= set(declared(planned.template))


def test_every_parameter_without_a_default_is_given(planned):
    needed = {name for name, has_default in declared(planned.template).items() if not has_default}
    assert needed <= set(planned.parameters)


def test_the_outputs_that_are_used_are_made_by_account_b():
    template = plan.template(ROOT, "account_b.yaml")
    outputs = template.partition("\nOutputs:\n")[2]
    assert all(f"  {name}:" in outputs for name in OUTPUTS_B)


def test_a_parameter_of_the_command_line_goes_to_the_templates_that_have_it():
    planned_b = plan.with_overrides(
        plan.account_b(SETTINGS, ROOT), {"BaseCapacity": "16", "WorkerType": "G.2X"}
    )
    assert planned_b.parameters["BaseCapacity"] == "16"
    assert "WorkerType" not in planned_b.parameters


def test_host_and_port_of_the_settings_reach_the_template():
    parameters = plan.account_b(SETTINGS, ROOT).parameters
    assert (parameters["WarehouseHost"], parameters["WarehousePort"]) == ("127.0.0.1", "5440")


@pytest.mark.parametrize(
    ("mode", "queue", "told"),
    [
        ("poll", None, ""),
        ("events", None, OUTPUTS_B["ArrivalQueueArn"]),
        ("events", "xacct-arrivals-local", OUTPUTS_B["ArrivalQueueArn"]),
        ("events", "a-queue-of-our-own", ""),
    ],
)
def test_the_queue_is_told_of_new_objects_only_if_a_feed_takes_them_off_it(mode, queue, told):
    (feed, *_) = load_feeds()
    arrival = feed.arrival.model_copy(update={"mode": mode, "queue": queue})
    feeds = [feed, feed.model_copy(update={"arrival": arrival})]
    parameters = plan.account_a(SETTINGS, ROOT, OUTPUTS_B, feeds).parameters
    assert parameters["ArrivalQueueArn"] == told


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
    more = ROOT / "tests" / "feeds"
    feeds = load_feeds(more=more)
    assert [feed.name for feed in feeds] == ["customers", "orders", "products"]
    paths = plan.scripts(ROOT, feeds, more)
    assert all(split_statements(path.read_text()) for path in paths)
    for name in ("customers", "orders"):
        own = [path.name for path in paths if path.parent == more / name]
        assert own == ["fact.sql", "staging.sql", "procedure.sql"]


def test_a_feed_without_sql_is_named():
    (feed, *_) = load_feeds()
    with pytest.raises(DeployFailed, match="feed nothing has no SQL"):
        plan.scripts(ROOT, [feed.model_copy(update={"name": "nothing"})])


class Tree:
    """Folders by prefix."""

    def __init__(self, *paths: str) -> None:
        self.paths = paths

    def folders(self, prefix: str) -> list[str]:
        below = [path[len(prefix) :] for path in self.paths if path.startswith(prefix)]
        return sorted({rest.split("/")[0] for rest in below if "/" in rest})


@pytest.mark.parametrize(
    ("layout", "folder"),
    [(DayLayout.PLAIN, "2026/01/31"), (DayLayout.KEY_VALUE, "year=2026/month=01/day=31")],
)
def test_days_are_found_by_their_folders_and_nothing_else_is(layout, folder):
    tree = Tree(f"p/{folder}/a.csv", "p/2026/1/3/a.csv", "p/2026/02/30/a", "p/tmp/x/y/z", "p/a")
    assert [day.isoformat() for day in days_in(tree, "p", layout)] == ["2026-01-31"]


def test_no_parameter_can_make_another_password():
    """Another one would be generated, and the namespace would not be told of it."""
    template = plan.template(ROOT, "account_b.yaml")
    (generated,) = re.findall(r"(?m)^      GenerateSecretString:\n((?:        .*\n)+)", template)
    assert "PasswordLength" in generated
    assert not re.search(r"!|Fn::|\$\{", generated)
    references = re.findall(r"\{\{resolve:secretsmanager:[^}]*\}[^}]*\}\}", template)
    assert references == ["{{resolve:secretsmanager:${AdminPassword}:SecretString}}"] * 2
