"""`xacct feed new`: from sample files to ``defs.yaml``, SQL and the next commands."""

from __future__ import annotations

import builtins
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.support.samples import shopify
from tests.support.samples.csv_text import csv_text, excel_text
from xacct_assets.feed.loader import load_feed
from xacct_assets.feed.sql_files.writing import compare_files
from xacct_assets.operations import cli

ORDERS = csv_text(
    [
        ["Order No", "Placed On", "Amount"],
        *([f"O{n}", f"{n % 12 + 1:02}/{n % 9 + 1:02}/2026", f"{n}.50"] for n in range(60)),
    ]
)


@pytest.fixture
def feeds(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder of one's own feeds, beside the sample files of the current directory."""
    folder = tmp_path / "feeds"
    folder.mkdir()
    for name, value in {
        "XACCT_ACCOUNT_A": "111111111111",
        "XACCT_ACCOUNT_B": "222222222222",
        "XACCT_SUFFIX": "local",
        "AWS_REGION": "us-east-1",
        "XACCT_EXTRA_FEEDS_DIR": str(folder),
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    Path("orders.csv").write_bytes(ORDERS.encode())
    return folder


def feed_new(*arguments: str) -> int:
    return cli.main(["--no-env-file", "feed", "new", *arguments])


def test_a_feed_is_written_with_its_sql_and_is_a_feed(feeds: Path) -> None:
    assert feed_new("orders", "--from", "orders.csv", "--date-order", "dmy") == 0
    feed = load_feed("orders", extra_feeds_dir=feeds)
    assert [(column.name, column.type) for column in feed.columns] == [
        ("order_no", "varchar(16)"),
        ("placed_on", "date"),
        ("amount", "decimal(12,2)"),
    ]
    assert feed.columns[1].format == "DD/MM/YYYY"
    assert feed.key == ["order_no"]
    assert compare_files(feed, feeds / "orders") == []


def test_it_shows_samples_reasons_and_the_next_commands(
    feeds: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    feed_new("orders", "--from", "orders.csv", "--date-order", "dmy")
    shown = capsys.readouterr().out
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    assert "order_no   Order No     varchar(16)      no    O0 | O1 | O2\n" in shown
    assert shown.partition("Next, on the laptop:\n")[2].splitlines()[:4] == [
        "  xacct deploy",
        f"  xacct-sandbox land --feed orders --date {yesterday} --file orders.csv",
        f"  dg launch --assets 'group:orders' --partition {yesterday}",
        f"  xacct reconcile --feed orders --partition {yesterday}",
    ]


def test_what_only_a_person_knows_is_named_with_its_flag_and_nothing_is_written(
    feeds: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert feed_new("orders", "--from", "orders.csv", "--yes") == 2
    error = capsys.readouterr().err
    assert "Is the day or the month first in '10/01/2026' (column placed_on)?" in error
    assert "--date-order dmy: the day is first" in error
    assert list(feeds.iterdir()) == []


def test_a_terminal_is_asked_until_all_is_known(
    feeds: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given = iter(["tomorrow", "mdy"])
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(builtins, "input", lambda _: next(given))
    assert feed_new("orders", "--from", "orders.csv") == 0
    assert "Please give one of: dmy  mdy" in capsys.readouterr().out
    assert load_feed("orders", extra_feeds_dir=feeds).columns[1].format == "MM/DD/YYYY"


@pytest.mark.parametrize("shop", shopify.SHOPS)
def test_a_shopify_export_needs_no_line_by_hand(feeds: Path, shop: str) -> None:
    Path(f"{shop}.csv").write_bytes(shopify.export(shop))
    assert feed_new(shop, "--from", f"{shop}.csv", "--yes") == 0
    feed = load_feed(shop, extra_feeds_dir=feeds)
    assert [column.header_name for column in feed.columns] == list(shopify.COLUMNS)
    assert compare_files(feed, feeds / shop) == []


def test_two_files_are_two_days(feeds: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for day in (1, 2):
        Path(f"a{day}.csv").write_bytes(shopify.export("jewelry", day=day))
    assert (
        feed_new("jewelry", "--from", "a1.csv", "a2.csv", "--yes", "--start-date", "2026-03-01")
        == 0
    )
    shown = capsys.readouterr().out
    assert "--date 2026-03-01 --file a1.csv" in shown
    assert "--date 2026-03-02 --file a2.csv" in shown
    assert "--partition-range 2026-03-01...2026-03-02" in shown
    assert load_feed("jewelry", extra_feeds_dir=feeds).start_date == "2026-03-01"


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("Orders", "--from", "orders.csv"), "'Orders' is not a feed name"),
        (("orders", "--from", "missing.csv"), "missing.csv cannot be read: No such file"),
        (("orders", "--from", "feeds"), "feeds cannot be read: Is a directory"),
        (("orders", "--from", "orders.csv", "--key", "Nr"), "there is no column 'Nr'; there are"),
        (("orders", "--from", "orders.csv", "--type", "amount"), "write COLUMN=TYPE"),
        (("orders", "--from", "s3://other/a.csv"), "is in none of the installation's buckets"),
        (("orders", "--from", "orders.csv", "--encoding", "cp1251"), "ask for UTF-8"),
    ],
)
def test_what_cannot_be_done_is_said_and_nothing_is_written(
    feeds: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    reason: str,
) -> None:
    assert feed_new(*arguments, "--date-order", "dmy") == 1
    assert reason in capsys.readouterr().err
    assert list(feeds.iterdir()) == []


@pytest.mark.parametrize(
    ("types", "reason"),
    [("amount=money", "'money' is not a supported type"), ("amount=date:DDD", "is no token")],
)
def test_a_type_that_a_feed_cannot_have_is_refused(
    feeds: Path, capsys: pytest.CaptureFixture[str], types: str, reason: str
) -> None:
    arguments = ("orders", "--from", "orders.csv", "--date-order", "dmy", "--type", types)
    assert feed_new(*arguments) == 2
    assert reason in capsys.readouterr().err
    assert list(feeds.iterdir()) == []


def test_types_and_a_key_are_taken_as_given(feeds: Path) -> None:
    arguments = ("--date-order", "dmy", "--type", "amount=varchar(40)", "--key", "Order No,amount")
    assert feed_new("orders", "--from", "orders.csv", *arguments) == 0
    feed = load_feed("orders", extra_feeds_dir=feeds)
    assert feed.columns[2].type == "varchar(40)"
    assert feed.key == ["order_no", "amount"]


def test_a_feed_that_is_there_is_not_overwritten(
    feeds: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    feed_new("orders", "--from", "orders.csv", "--date-order", "dmy")
    before = (feeds / "orders" / "defs.yaml").read_text()
    assert feed_new("orders", "--from", "orders.csv", "--date-order", "mdy") == 1
    assert "is there already, and nothing was changed" in capsys.readouterr().err
    assert (feeds / "orders" / "defs.yaml").read_text() == before


def test_what_another_feed_has_is_not_claimed(
    feeds: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert feed_new("products", "--from", "orders.csv", "--date-order", "dmy") == 2
    assert "is also claimed by" in capsys.readouterr().err
    assert list(feeds.iterdir()) == []


def test_a_sample_in_the_raw_bucket_tells_prefix_layout_and_day(
    feeds: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("xacct_assets.aws_clients.AwsClients.client", lambda *_: None)
    monkeypatch.setattr(
        "xacct_assets.aws.s3.bucket.Bucket.read_start",
        lambda bucket, key, _: (ORDERS.encode(), True) if bucket.owner == "111111111111" else None,
    )
    bucket = "sample-inp-bucket-etl-local-111111111111"
    address = f"s3://{bucket}/shop/orders/year=2026/month=02/day=03/a.csv"
    assert feed_new("orders", "--from", address, "--date-order", "dmy") == 0
    feed = load_feed("orders", extra_feeds_dir=feeds)
    assert (feed.source.prefix, feed.source.layout) == ("shop/orders", "year=YYYY/month=MM/day=DD")
    assert feed.start_date == "2026-02-03"
    shown = capsys.readouterr().out
    assert "xacct-sandbox land" not in shown
    assert "dg launch --assets 'group:orders' --partition 2026-02-03" in shown


@pytest.fixture
def objects(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every object of the raw bucket has orders in it, with a column named year."""
    data = ORDERS.replace("Order No,Placed On", "Order No,Year").encode()
    monkeypatch.setattr("xacct_assets.aws_clients.AwsClients.client", lambda *_: None)
    monkeypatch.setattr("xacct_assets.aws.s3.bucket.Bucket.read_start", lambda *_: (data, True))


BUCKET = "s3://sample-inp-bucket-etl-local-111111111111"


@pytest.mark.usefixtures("objects")
@pytest.mark.parametrize(
    ("folders", "table", "column"),
    [
        ("shop/my-orders/2026/02/03", "my_orders", "year"),
        ("shop/Orders.v1/year=2026/month=02/day=03", "orders_v1", "year_in_file"),
    ],
)
def test_the_folders_of_a_sample_tell_the_crawlers_table_and_columns(
    feeds: Path, folders: str, table: str, column: str
) -> None:
    assert feed_new("orders", "--from", f"{BUCKET}/{folders}/a.csv", "--date-order", "dmy") == 0
    feed = load_feed("orders", extra_feeds_dir=feeds)
    assert feed.catalog.table == table
    assert feed.columns[1].name == column


@pytest.mark.usefixtures("objects")
@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (["2026/02/03/a.csv"], "is not in the folder of a day below a prefix"),
        (["orders/dt=2026-02-03/a.csv"], "is not in the folder of a day below a prefix"),
        (["our orders/2026/02/03/a.csv"], "'our orders' is not a prefix"),
        (["a/2026/02/03/a.csv", "b/2026/02/03/a.csv"], "they are in a/YYYY/MM/DD and b/YYYY/MM/DD"),
    ],
)
def test_folders_that_a_feed_cannot_have_are_refused(
    feeds: Path, capsys: pytest.CaptureFixture[str], names: list[str], reason: str
) -> None:
    samples = [f"{BUCKET}/{name}" for name in names]
    assert feed_new("orders", "--from", *samples, "--date-order", "dmy") == 1
    assert reason in capsys.readouterr().err
    assert list(feeds.iterdir()) == []


def test_doubts_are_comments_in_the_file(feeds: Path) -> None:
    rows = [["Nr", "PLZ", "Preis"], *([n, f"0{n:04}", f"{n},50"] for n in range(60))]
    Path("kunden.csv").write_bytes(("sep=;\r\n" + excel_text(rows)).encode())
    assert feed_new("kunden", "--from", "kunden.csv") == 0
    text = (feeds / "kunden" / "defs.yaml").read_text()
    assert "    # ? a code, not a number: '00000' has a leading zero\n    - {name: plz," in text
    assert "# ? its first line is Excel's sep=;: skipped (preamble_lines: 1)" in text
