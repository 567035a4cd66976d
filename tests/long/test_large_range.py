"""A thousand days, a hundred columns and twenty thousand files, launched as one range.

`dg launch` makes one run of a range, however long; its load is split by `max_days_per_run`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.project import EXTRA_FEEDS_DIR, ROOT
from tests.support.sandbox import RunningSandbox, running_sandbox

FEED = "wide"
DAYS = [date(2024, 1, 1) + timedelta(days=number) for number in range(1000)]
FILES_PER_DAY = 20
MAX_DAYS_PER_RUN = 366
# Twenty minutes if the machine has nothing else to do.
SECONDS = 5400

pytestmark = pytest.mark.timeout(SECONDS + 600)

TYPES = [
    ("bigint", "BIGINT", "9223372036854775807"),
    ("integer", "INTEGER", "-5"),
    ("decimal(18,4)", "DECIMAL(18, 4)", "12.3400"),
    ("double precision", "DOUBLE PRECISION", "1e300"),
    ("boolean", "BOOLEAN", "yes"),
    ("date", "DATE", "2028-02-29"),
    ("timestamp", "TIMESTAMP", "2028-02-29T10:00:00"),
    ("varchar(20)", "VARCHAR(20)", "text"),
]
# With the eight columns of orders, a hundred.
MORE = [(f"c{number}", *TYPES[number % len(TYPES)]) for number in range(92)]
NAMES = [name for name, _, _, _ in MORE]


def write_feed(folder: Path) -> None:
    """The feed of orders under another name, with many more columns."""
    changes = {
        "defs.yaml": {
            "    - {name: ordered_at": "".join(
                f'    - {{name: {name}, type: "{kind}"}}\n' for name, kind, _, _ in MORE
            ),
            "  reject_threshold": f"  max_days_per_run: {MAX_DAYS_PER_RUN}\n",
        },
        "staging.sql": {
            "    ordered_at": "".join(f"    {name} {sql},\n" for name, _, sql, _ in MORE)
        },
        "procedure.sql": {
            "ordered_at,\n        partition": f"{', '.join(NAMES)}, ",
            "s.ordered_at,\n": f"{', '.join(f's.{name}' for name in NAMES)}, ",
        },
    }
    changes["fact.sql"] = changes["staging.sql"]
    folder.mkdir(parents=True)
    for name, additions in changes.items():
        text = (EXTRA_FEEDS_DIR / "orders" / name).read_text()
        for before, added in additions.items():
            assert text.count(before) == 1, (name, before)
            text = text.replace(before, added + before)
        (folder / name).write_text(text.replace("orders", FEED))


def file_of(day: date, number: int) -> bytes:
    header = "order_id,line_no,sku,quantity,amount,gift,note,ordered_at"
    row = f"{number},1,S,1,1.50,true,,{day} 10:00:00"
    values = ",".join(value for _, _, _, value in MORE)
    return f"{header},{','.join(NAMES)}\n{row},{values}\n".encode()


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSandbox]:
    """Both accounts with the feed deployed and all files landed."""
    feeds = tmp_path_factory.mktemp("feeds")
    write_feed(feeds / FEED)
    with running_sandbox() as running:
        settings = {**running.extra_settings, "XACCT_EXTRA_FEEDS_DIR": str(feeds)}
        deployed = replace(running, extra_settings=settings)
        deployed.run("xacct_assets.operations.cli", "--no-env-file", "deploy", "--yes")
        s3 = deployed.client("account-a-admin", "s3")

        def put(day: date) -> None:
            for number in range(FILES_PER_DAY):
                s3.put_object(
                    Bucket=deployed.config.input_bucket,
                    Key=f"shop/wide/year={day:%Y}/month={day:%m}/day={day:%d}/{number}.csv",
                    Body=file_of(day, number),
                )

        with ThreadPoolExecutor(4) as threads:
            list(threads.map(put, DAYS))
        yield deployed


def test_a_thousand_days_of_twenty_thousand_wide_files_are_one_right_run(
    sandbox: RunningSandbox, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    sandbox.folders.append(home)
    launched = subprocess.run(
        [
            *(str(Path(sys.executable).with_name("dg")), "launch", "--assets", f"group:{FEED}"),
            *("--partition-range", f"{DAYS[0]}...{DAYS[-1]}"),
        ],
        cwd=ROOT,
        env={**sandbox.environment, "DAGSTER_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )
    assert launched.returncode == 0, (launched.stdout + launched.stderr)[-20_000:]
    runs = sandbox.client("account-b-admin", "glue").get_job_runs(JobName=f"xacct-local-{FEED}")
    assert [run["JobRunState"] for run in runs["JobRuns"]] == ["SUCCEEDED"] * 3
    rows = reconciled(sandbox)
    assert [row["partition"] for row in rows] == [str(day) for day in DAYS]
    assert [row for row in rows if not row["ok"]] == []
    assert {row["exported_rows"] for row in rows} == {FILES_PER_DAY}


def reconciled(sandbox: RunningSandbox) -> list[dict[str, Any]]:
    completed = sandbox.run(
        *("xacct_assets.operations.cli", "--no-env-file", "reconcile", "--json", "--feed", FEED),
        check=False,
    )
    answer: list[dict[str, Any]] = json.loads(completed.stdout)
    return answer
