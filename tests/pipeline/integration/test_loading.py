"""What every process of the Dagster instance pays for loading the code location."""

import json
import subprocess
import sys

from tests.support.project import ROOT

ENVIRONMENT = {
    "XACCT_ACCOUNT_A": "111111111111",
    "XACCT_ACCOUNT_B": "222222222222",
    "XACCT_SUFFIX": "test",
    "AWS_REGION": "us-east-1",
}
HEAVY = ["boto3", "botocore", "redshift_connector", "pandas", "pyarrow", "pyspark"]


def run(script: str) -> object:
    """What a new interpreter prints as JSON."""
    answer = subprocess.run(
        [sys.executable, "-c", script],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    return json.loads(answer.stdout)


def test_loading_the_code_location_imports_no_aws_library() -> None:
    assert (
        run(
            "import json, sys\n"
            "from xacct_assets.definitions import defs\n"
            "defs()\n"
            f"print(json.dumps([name for name in {HEAVY!r} if name in sys.modules]))\n"
        )
        == []
    )


def test_the_code_location_loads_in_under_two_seconds() -> None:
    seconds = run(
        "import json, time\n"
        "begun = time.process_time()\n"
        "from xacct_assets.definitions import defs\n"
        "defs()\n"
        "print(json.dumps(time.process_time() - begun))\n"
    )
    assert isinstance(seconds, float)
    assert seconds < 2


def test_the_command_line_reads_feeds_and_reconciles_without_dagster() -> None:
    assert run(
        "import json, sys\n"
        "import xacct_assets.feed.reconciliation.collection, xacct_assets.aws_clients\n"
        "from xacct_assets.feed.loader import load_feeds\n"
        "print(json.dumps([[feed.name for feed in load_feeds()], 'dagster' in sys.modules]))\n"
    ) == [["products"], False]
