"""Archived objects: a verdict of their own with the command that restores them."""

import json
import shlex

import botocore.session
import pytest
from botocore.validate import ParamValidator

from tests.support.fakes.s3 import LAST_MODIFIED, FakeBucket
from xacct_assets.aws.s3.archived import describe_archived
from xacct_assets.aws.s3.file_inspection import FileVerdict
from xacct_assets.aws.s3.raw_bucket import RawBucket
from xacct_assets.contract.csv_dialect import CsvDialect
from xacct_assets.contract.headers import FileColumns

A = "111111111111"
KEY = "p/a.csv"
GOOD = b"id,name\n1,a\n2,b\n"
RESTORED = {"IsRestoreInProgress": False, "RestoreExpiryDate": LAST_MODIFIED}


def stored(storage_class: str, **status: object) -> FakeBucket:
    fake = FakeBucket({KEY: GOOD}, owner=A)
    fake.storage_classes[KEY] = storage_class
    if status:
        fake.restores[KEY] = status
    return fake


def verdicts(fake: FakeBucket) -> list[FileVerdict]:
    raw = RawBucket(fake.client, "raw", A)
    return raw.inspect(raw.list_objects("p/", ["*.csv"]), CsvDialect(), FileColumns(("id", "name")))


@pytest.mark.parametrize("storage_class", ["GLACIER", "DEEP_ARCHIVE"])
def test_an_archived_file_is_named_with_its_class_and_the_fix(storage_class: str) -> None:
    (found,) = verdicts(stored(storage_class))
    assert found.is_archived
    assert found.rows == 0
    assert found.problem
    assert found.problem.startswith(f"s3://raw/{KEY}: archived in {storage_class}: restore it")
    assert f"as account {A}" in found.problem
    assert "materialize the day again" in found.problem


@pytest.mark.parametrize(
    "storage_class",
    ["STANDARD", "GLACIER_IR", "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING"],
)
def test_a_class_that_can_be_read_is_read(storage_class: str) -> None:
    (found,) = verdicts(stored(storage_class))
    assert (found.rows, found.problem, found.is_archived) == (2, None, False)


def test_a_restored_file_is_read_although_its_class_is_unchanged() -> None:
    (found,) = verdicts(stored("GLACIER", **RESTORED))
    assert (found.rows, found.problem) == (2, None)


def test_a_file_that_is_being_restored_needs_no_second_request() -> None:
    (found,) = verdicts(stored("DEEP_ARCHIVE", IsRestoreInProgress=True))
    assert found.problem
    assert "archived in DEEP_ARCHIVE, and being restored" in found.problem
    assert "head-object" in found.problem
    assert "restore-object" not in found.problem


def test_an_archive_tier_shows_only_when_the_file_is_read() -> None:
    fake = stored("INTELLIGENT_TIERING")
    fake.archive_tiers[KEY] = "DEEP_ARCHIVE_ACCESS"
    (found,) = verdicts(fake)
    assert found.is_archived
    assert found.problem
    assert "archived in INTELLIGENT_TIERING, DEEP_ARCHIVE_ACCESS: restore it" in found.problem


def test_a_copy_that_expired_after_the_listing_is_an_archived_file() -> None:
    fake = stored("GLACIER", **RESTORED)
    raw = RawBucket(fake.client, "raw", A)
    listed = raw.list_objects("p/", ["*.csv"])
    fake.restores.clear()
    (found,) = raw.inspect(listed, CsvDialect(), FileColumns(("id", "name")))
    assert found.is_archived


def test_an_archived_file_among_others_does_not_stop_their_verdicts() -> None:
    fake = stored("GLACIER")
    fake.objects |= {"p/b.csv": GOOD, "p/c.csv": b"x\n"}
    assert [(found.rows, found.is_archived) for found in verdicts(fake)] == [
        (0, True),
        (2, False),
        (0, False),
    ]


@pytest.mark.parametrize(
    ("archive", "days"),
    [("GLACIER", 7), ("DEEP_ARCHIVE", 7), ("INTELLIGENT_TIERING, ARCHIVE_ACCESS", None)],
)
@pytest.mark.parametrize("key", ["p/a.csv", 'p/it\'s "a" $(b).csv', "p/ü 😀.csv"])
def test_the_command_is_one_that_a_shell_and_s3_accept(
    archive: str, days: int | None, key: str
) -> None:
    command = describe_archived("raw", key, archive, A).split("`")[1]
    words = shlex.split(command)
    assert words[:3] == ["aws", "s3api", "restore-object"]
    options = dict(zip(words[3::2], words[4::2], strict=True))
    assert (options["--bucket"], options["--key"]) == ("raw", key)
    request = json.loads(options["--restore-request"])
    # Days is needed for the archive classes and not allowed for the tiers (RestoreObject).
    assert request.get("Days") == days
    model = botocore.session.get_session().get_service_model("s3")
    shape = model.operation_model("RestoreObject").input_shape
    report = ParamValidator().validate(
        {"Bucket": "raw", "Key": key, "RestoreRequest": request}, shape
    )
    assert not report.has_errors(), report.generate_report()
