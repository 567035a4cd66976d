"""What every process of the Dagster instance pays for loading the code location."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

from benchmarks.location import FURTHER_FEEDS, write_feeds
from tests.support.project import ROOT

ENVIRONMENT = {
    "XACCT_ACCOUNT_A": "111111111111",
    "XACCT_ACCOUNT_B": "222222222222",
    "XACCT_SUFFIX": "test",
    "AWS_REGION": "us-east-1",
}
HEAVY = ["boto3", "botocore", "redshift_connector", "pandas", "pyarrow", "pyspark"]


def run(script: str, **environment: str) -> object:
    """What a new interpreter prints as JSON."""
    answer = subprocess.run(
        [sys.executable, "-c", script],
        env={**ENVIRONMENT, **environment},
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


#: Notes each connection and each file that is opened while the definitions are made.
WATCHED = """
import json, os, sys
from collections import Counter
from xacct_assets.definitions import defs
opened, connected = Counter(), []
def watch(event, arguments):
    if event == "open" and str(arguments[0]).endswith((".yaml", ".sql")):
        opened[os.path.realpath(arguments[0])] += 1
    elif event in ("socket.connect", "socket.getaddrinfo", "subprocess.Popen"):
        connected.append(event)
sys.addaudithook(watch)
sensors = len(defs().sensors)
print(json.dumps([sensors, opened, connected]))
"""


def test_loading_many_feeds_connects_to_nothing_and_reads_each_file_once(tmp_path: Path) -> None:
    """How long it takes: `make bench BENCH=location`."""
    write_feeds(tmp_path)
    sensors, opened, connected = cast(
        "tuple[int, dict[str, int], list[str]]",
        run(WATCHED, XACCT_EXTRA_FEEDS_DIR=str(tmp_path)),
    )
    assert sensors == FURTHER_FEEDS + 2
    assert connected == []
    in_feeds = {
        path.relative_to(tmp_path): opened.get(str(path.resolve()), 0)
        for path in tmp_path.rglob("*.*")
    }
    # Dagster reads the defs.yaml that are its components by itself.
    assert in_feeds == {path: 2 if path.suffix == ".yaml" else 1 for path in in_feeds}
    assert len(in_feeds) >= 2 * FURTHER_FEEDS


def test_a_folder_of_feeds_that_has_none_yet_is_loaded_too(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "README.md").write_text("feeds of our own")
    assert cast("list[Any]", run(WATCHED, XACCT_EXTRA_FEEDS_DIR=str(tmp_path)))[0] == 2


def test_the_command_line_reads_feeds_and_reconciles_without_dagster() -> None:
    assert run(
        "import json, sys\n"
        "import xacct_assets.feed.reconciliation.collection, xacct_assets.aws_clients\n"
        "from xacct_assets.feed.loader import load_feeds\n"
        "print(json.dumps([[feed.name for feed in load_feeds()], 'dagster' in sys.modules]))\n"
    ) == [["products"], False]
