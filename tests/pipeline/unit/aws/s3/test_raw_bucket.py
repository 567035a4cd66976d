"""A day's raw files: what is listed, and the verdict on each."""

import dataclasses
import gzip
import threading

import pytest

from tests.support.fakes.s3 import FakeBucket
from xacct_assets.aws.errors import AccessDenied, ObjectChanged, Unavailable
from xacct_assets.aws.s3 import inspection_process
from xacct_assets.aws.s3.file_inspection import END_BYTES
from xacct_assets.aws.s3.raw_bucket import RawBucket, ReadingStopped
from xacct_assets.contract.csv_dialect import CsvDialect
from xacct_assets.contract.gzip_stream import CHUNK
from xacct_assets.contract.headers import FileColumns

A = "111111111111"
COLUMNS = FileColumns(("id", "name"))
GOOD = b"id,name\n1,a\n2,b\n"


@pytest.fixture
def bucket():
    return lambda objects: FakeBucket(objects, owner=A)


def raw_bucket(fake: FakeBucket) -> RawBucket:
    return RawBucket(fake.client, "raw", A)


def verdict(fake: FakeBucket, key: str = "p/a.csv", columns=COLUMNS, **dialect):
    listed = raw_bucket(fake).list_objects("p/", ["*.csv", "*.csv.gz"])
    (item,) = [each for each in listed if each.key == key]
    (found,) = raw_bucket(fake).inspect([item], CsvDialect(**dialect), columns)
    return found


def test_a_listing_takes_all_pages_and_leaves_out_what_is_no_data_file(bucket):
    keys = ["p/b.csv", "p/a.csv.gz", "p/_SUCCESS", "p/.x.csv", "p/sub/c.csv", "p/d.txt", "q/e.csv"]
    listing = raw_bucket(bucket(dict.fromkeys(keys, b"x"))).survey("p/", ["*.csv", "*.csv.gz"])
    assert [item.key for item in listing.objects] == ["p/a.csv.gz", "p/b.csv"]
    assert listing.unmatched == ["d.txt", "sub/c.csv"]


def test_a_denied_listing_names_bucket_and_account(modelled, refusal):
    def refuse(**_):
        raise refusal("AccessDenied", "Access Denied", 403)

    fake = RawBucket(modelled("s3", list_objects_v2=refuse), "raw", A)
    with pytest.raises(AccessDenied) as caught:
        fake.list_objects("p/", ["*.csv"])
    assert "arn:aws:s3:::raw" in str(caught.value)
    assert A in str(caught.value)


def test_a_good_file_has_its_rows_and_its_header(bucket):
    found = verdict(bucket({"p/a.csv": GOOD}))
    assert (found.rows, found.header, found.problem, found.note) == (2, ("id", "name"), None, None)
    assert found.size == len(GOOD)


def test_columns_may_stand_in_another_order(bucket):
    assert verdict(bucket({"p/a.csv": b"name,id\na,1\n"})).rows == 1


def test_a_gzip_file_is_counted_by_its_content(bucket):
    found = verdict(bucket({"p/a.csv.gz": gzip.compress(GOOD, mtime=0)}), "p/a.csv.gz")
    assert (found.rows, found.size) == (2, len(GOOD))


def test_a_gzip_file_of_several_members_is_read_whole(bucket):
    data = gzip.compress(b"id,name\n1,a\n", mtime=0) + gzip.compress(b"2,b\n")
    assert verdict(bucket({"p/a.csv.gz": data}), "p/a.csv.gz").rows == 2


def test_a_gzip_bomb_is_read_in_small_pieces(bucket):
    data = gzip.compress(b"id,name\n" + b"1,a\n" * 1_500_000, mtime=0)
    assert len(data) < CHUNK
    assert verdict(bucket({"p/a.csv.gz": data}), "p/a.csv.gz").rows == 1_500_000


@pytest.mark.parametrize(
    ("data", "note"),
    [(b"", "zero bytes"), (b"id,name\n", "a header and no rows"), (b"\n\n", "only empty lines")],
)
def test_a_file_without_rows_is_no_problem_but_noted(bucket, data, note):
    found = verdict(bucket({"p/a.csv": data}))
    assert (found.rows, found.problem, found.note) == (0, None, note)


def test_an_empty_object_named_gz_has_no_rows(bucket):
    assert verdict(bucket({"p/a.csv.gz": b""}), "p/a.csv.gz").note == "zero bytes"


@pytest.mark.parametrize(
    ("key", "data", "message"),
    [
        ("p/a.csv", b"id;name\n1;a\n", "separated by a semicolon"),
        ("p/a.csv", b"id\tname\n1\ta\n", "separated by a tab"),
        ("p/a.csv", b"id\n1\n", "missing 'name'"),
        ("p/a.csv", b"id,name,colour\n1,a,red\n", "not of the feed 'colour'"),
        ("p/a.csv", b"id,name,name\n1,a,b\n", "repeated 'name'"),
        ("p/a.csv", b"ID,name\n1,a\n", "equal to the letter"),
        ("p/a.csv", b"id,name\n1,caf\xe9\n", "not UTF-8"),
        ("p/a.csv", b'id,name\n1,"open\n', "never closed"),
        ("p/a.csv", gzip.compress(GOOD, mtime=0), "rename it to *.csv.gz"),
        ("p/a.csv.gz", GOOD, "not gzip"),
        ("p/a.csv.gz", gzip.compress(GOOD, mtime=0)[:-9], "cut off"),
        ("p/a.csv.gz", gzip.compress(GOOD, mtime=0)[:-8] + b"xxxxxxxx", "damaged"),
        ("p/a.csv.gz", gzip.compress(GOOD, mtime=0) + b"tail", "damaged"),
    ],
)
def test_a_malformed_file_is_named_with_reason_and_fix(bucket, key, data, message):
    found = verdict(bucket({key: data}), key)
    assert found.rows == 0
    assert found.problem.startswith(f"s3://raw/{key}: ")
    assert message in found.problem


def test_all_bad_files_of_a_day_are_reported_at_once_in_order(bucket):
    fake = bucket({f"p/{n}.csv": (b"x\n" if n % 2 else GOOD) for n in range(6)})
    listed = raw_bucket(fake).list_objects("p/", ["*.csv"])
    found = raw_bucket(fake).inspect(listed, CsvDialect(), COLUMNS)
    assert [each.object.key for each in found] == [f"p/{n}.csv" for n in range(6)]
    assert [bool(each.problem) for each in found] == [False, True] * 3


@pytest.mark.parametrize("character", ["\n", "\r", "\t", "\x00", "\x1b", "\x7f"])
def test_a_key_with_a_control_character_is_refused_in_one_line(bucket, character):
    fake = bucket({f"p/a{character}b.csv": GOOD, "p/good.csv": GOOD})
    bad, good = verdict(fake, f"p/a{character}b.csv"), verdict(fake, "p/good.csv")
    assert good.problem is None
    assert character not in bad.problem
    assert "s3://raw/p/a\\" in bad.problem
    assert "copy it to a key without" in bad.problem


def test_a_file_replaced_between_listing_and_reading_is_noticed(bucket):
    fake = bucket({"p/a.csv": GOOD})
    listed = raw_bucket(fake).list_objects("p/", ["*.csv"])
    fake.objects["p/a.csv"] = GOOD + b"3,c\n"
    with pytest.raises(ObjectChanged, match=r"p/a\.csv is no longer what was listed") as caught:
        raw_bucket(fake).inspect(listed, CsvDialect(), COLUMNS)
    assert caught.value.retryable


def test_a_file_deleted_between_listing_and_reading_is_noticed(bucket):
    fake = bucket({"p/a.csv": GOOD, "p/b.csv": GOOD})
    listed = raw_bucket(fake).list_objects("p/", ["*.csv"])
    del fake.objects["p/b.csv"]
    with pytest.raises(ObjectChanged, match=r"p/b\.csv"):
        raw_bucket(fake).inspect(listed, CsvDialect(), COLUMNS)


class Endless:
    """The body of a file that takes for ever to read."""

    def __init__(self):
        self.reads = 0
        self.closed = threading.Event()

    def read(self, amount):
        self.reads += 1
        return b"1,a\n" * 1000

    def close(self):
        self.closed.set()


@pytest.mark.parametrize("files", [1, 2])
def test_reading_ends_within_a_chunk_once_it_is_stopped(bucket, files):
    fake = bucket({f"p/{number}.csv": GOOD for number in range(files)})
    listed = raw_bucket(fake).list_objects("p/", ["*.csv"])
    stop, bodies = threading.Event(), []

    def get(**_):
        bodies.append(Endless())
        stop.set()
        return {"Body": bodies[-1]}

    fake.client._operations["get_object"] = get
    endless = [dataclasses.replace(item, size=10**12) for item in listed]
    with pytest.raises(ReadingStopped, match="was stopped"):
        raw_bucket(fake).inspect(endless, CsvDialect(), COLUMNS, stop=stop)
    assert all(body.closed.wait(10) for body in bodies)


def test_a_replaced_file_is_reported_though_another_one_never_ends(bucket):
    fake = bucket({"p/a.csv": GOOD, "p/b.csv": GOOD})
    listed = raw_bucket(fake).list_objects("p/", ["*.csv"])
    fake.objects["p/a.csv"] = GOOD + b"3,c\n"
    endless, get = Endless(), fake.client._operations["get_object"]
    opened = []

    def open_object(Key, **request):
        if Key != "p/b.csv":
            return get(Key=Key, **request)
        opened.append(endless)
        return {"Body": endless}

    fake.client._operations["get_object"] = open_object
    listed = [listed[0], dataclasses.replace(listed[1], size=10**12)]
    with pytest.raises(ObjectChanged, match=r"p/a\.csv"):
        raw_bucket(fake).inspect(listed, CsvDialect(), COLUMNS)
    # The other file may not have been opened yet; if it was, it is not read on.
    assert all(body.closed.wait(10) for body in opened)


def broken(position: int):
    from botocore.exceptions import ResponseStreamingError

    return position, ResponseStreamingError(error="reset")


def test_a_connection_that_breaks_is_continued_where_it_broke(bucket):
    fake = bucket({"p/a.csv": GOOD})
    fake.breaks = [broken(5), broken(4)]
    assert verdict(fake).rows == 2
    assert [each.get("Range") for each in fake.client.named("get_object")] == [
        None,
        "bytes=5-",
        "bytes=9-",
    ]


def test_a_connection_without_progress_is_given_up(bucket):
    fake = bucket({"p/a.csv": GOOD})
    fake.breaks = [broken(0)] * 20
    with pytest.raises(Unavailable):
        verdict(fake)


def test_a_listing_can_be_taken_up_after_any_key():
    keys = ["p/a", "p/b", "p/c", "p/é", "p/😀", "q/a"]
    bucket = FakeBucket(dict.fromkeys(keys, b"1"), owner=A)
    bucket.empty_page_after = "p/b"
    raw = RawBucket(bucket.client, "raw", A)
    seen, after, more = [], None, True
    while more:
        objects, more = raw.list_page("p/", after, 2)
        assert objects
        seen += [item.key for item in objects]
        after = objects[-1].key
    assert seen == keys[:5]


def test_a_page_of_a_denied_listing_names_the_bucket(modelled, refusal):
    def refuse(**_):
        raise refusal("AccessDenied", status=403, operation="ListObjectsV2")

    raw = RawBucket(modelled("s3", list_objects_v2=refuse), "raw", A)
    with pytest.raises(AccessDenied) as refused:
        raw.list_page("p/", None, 1000)
    assert "arn:aws:s3:::raw" in refused.value.resource


@pytest.mark.parametrize("workers", [1, 3, 16])
def test_as_many_files_are_read_at_the_same_time_as_asked_each_in_one_request(bucket, workers):
    fake = bucket({f"p/{number:02}.csv": GOOD for number in range(32)})
    listed = raw_bucket(fake).list_objects("p/", ["*.csv"])
    get, lock = fake.client._operations["get_object"], threading.Lock()
    together = threading.Barrier(workers)
    running, most = 0, 0

    def counted(**request):
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        if request["Key"] < f"p/{workers:02}.csv":
            together.wait(10)  # the first files wait for each other
        with lock:
            running -= 1
        return get(**request)

    fake.client._operations["get_object"] = counted
    found = raw_bucket(fake).inspect(listed, CsvDialect(), COLUMNS, workers=workers)
    assert most == workers
    assert [each.rows for each in found] == [2] * 32
    assert sorted(fake.reads) == sorted(fake.objects)


# -- a large day: its ends are read, and the load job counts --------------------------------------

MIDDLE = b"1,a\n" * END_BYTES


def ends(fake: FakeBucket, key: str = "p/a.csv"):
    (item,) = raw_bucket(fake).list_objects("p/", ["*.csv", "*.csv.gz"])
    (found,) = raw_bucket(fake).inspect([item], CsvDialect(), COLUMNS, is_counted=False)
    return found


def test_of_a_large_file_that_is_not_counted_both_ends_are_read(bucket):
    fake = bucket({"p/a.csv": b"id,name\n" + MIDDLE})
    size = len(fake.objects["p/a.csv"])
    found = ends(fake)
    assert (found.rows, found.header, found.problem) == (None, ("id", "name"), None)
    assert [each["Range"] for each in fake.client.named("get_object")] == [
        f"bytes={size - END_BYTES}-",
        f"bytes=0-{END_BYTES - 1}",
    ]


def test_a_small_file_of_a_large_day_is_counted_in_its_one_request(bucket):
    fake = bucket({"p/a.csv": GOOD})
    assert ends(fake).rows == 2
    assert [each.get("Range") for each in fake.client.named("get_object")] == [None]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"id;name\n" + MIDDLE, "separated by a semicolon"),
        (b"id,colour\n" + MIDDLE, "not of the feed 'colour'"),
        (b"id,name\r" + MIDDLE, "carriage return alone"),
        (b"\r\nid,name\r\n" + MIDDLE, "begins with an empty line"),
        (("id,name\n" + "1,a\n" * END_BYTES).encode("utf-16"), "UTF-16"),
        (("id,name\n" + "1,a\n" * END_BYTES).encode("utf-16-le"), "UTF-16"),
        (b"id,name\n1,\xe9\n" + MIDDLE, "not UTF-8: byte 10"),
        (b"id,name\n" + MIDDLE + b"2,\xe9\n", "not UTF-8 near its end"),
        (b"id,name\n" + MIDDLE + b"2,b\r", "cut off between"),
        (b"id,name\n" + MIDDLE + b"2,b\f", "form feed"),
        (b"\n" * END_BYTES + b"id,name\n" + MIDDLE, "does not end within its first 65,536 bytes"),
        (b"x" * 3 * END_BYTES, "does not end within its first 65,536 bytes"),
        (b"PK\x03\x04" + MIDDLE, "a zip archive"),
        (gzip.compress(b"id,name\n" + MIDDLE, 0, mtime=0), "rename it to *.csv.gz"),
    ],
)
def test_the_ends_of_a_malformed_file_are_named_with_reason_and_fix(bucket, data, message):
    found = ends(bucket({"p/a.csv": data}))
    assert found.rows == 0
    assert found.problem.startswith("s3://raw/p/a.csv: ")
    assert message in found.problem


def test_of_a_large_gzip_file_the_header_is_proven(bucket):
    def packed(data: bytes) -> bytes:
        return gzip.compress(data + MIDDLE, 0, mtime=0)

    fake = bucket({"p/a.csv.gz": packed(b"id,name\n")})
    found = ends(fake)
    assert (found.rows, found.header, found.problem) == (None, ("id", "name"), None)
    assert len(fake.client.named("get_object")) == 1
    assert "not of the feed" in ends(bucket({"p/a.csv.gz": packed(b"id,nom\n")})).problem
    assert "not gzip" in ends(bucket({"p/a.csv.gz": b"id,name\n" + MIDDLE})).problem


@pytest.mark.parametrize("cut", [0, 1, 2, 3])
def test_an_end_that_begins_within_a_character_is_text(bucket, cut):
    body = "id,name\n" + "1,a\n" * END_BYTES + "1,😀" * (END_BYTES // 4) + "x" * cut + "\n"
    assert ends(bucket({"p/a.csv": body.encode()})).problem is None


def test_a_file_that_was_replaced_before_its_ends_were_read_is_noticed(bucket):
    fake = bucket({"p/a.csv": b"id,name\n" + MIDDLE})
    listed = raw_bucket(fake).list_objects("p/", ["*.csv"])
    fake.objects["p/a.csv"] += b"3,c\n"
    with pytest.raises(ObjectChanged):
        raw_bucket(fake).inspect(listed, CsvDialect(), COLUMNS, is_counted=False)


# -- files large enough for a process of their own ------------------------------------------------


@pytest.fixture
def processes(monkeypatch):
    """Every file is counted in a process of its own."""
    monkeypatch.setattr("xacct_assets.aws.s3.raw_bucket.WORTH_A_PROCESS_BYTES", 1)
    monkeypatch.setattr(inspection_process, "_CORES", 2)


@pytest.mark.parametrize(
    ("key", "data"),
    [
        ("p/a.csv", GOOD * 3),
        ("p/a.csv", b"id,name\n"),
        ("p/a.csv.gz", gzip.compress(GOOD, mtime=0)),
        ("p/a.csv.gz", gzip.compress(GOOD, mtime=0)[:-9]),
        ("p/a.csv", b"id,nom\n" + MIDDLE * 20),
        ("p/a.csv", b'id,name\n1,"open\n' + MIDDLE),
        ("p/a.csv", "id,name\n1,é\n".encode("latin-1")),
    ],
)
def test_a_file_has_the_same_verdict_in_a_process_of_its_own(bucket, processes, key, data):
    fake = bucket({key: data})
    (item,) = raw_bucket(fake).list_objects("p/", ["*.csv", "*.csv.gz"])
    dialect = CsvDialect()
    (found,) = raw_bucket(fake).inspect([item], dialect, COLUMNS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inspection_process, "_CORES", 1)
        (expected,) = raw_bucket(fake).inspect([item], dialect, COLUMNS)
    assert dataclasses.replace(found, size=0) == dataclasses.replace(expected, size=0)
    assert found.problem or found.size == expected.size


def test_large_files_are_counted_by_as_many_processes_at_once_as_there_are_cores(
    bucket, processes, monkeypatch
):
    monkeypatch.setattr(inspection_process, "_SLOTS", threading.BoundedSemaphore(2))
    fake = bucket({f"p/{number}.csv": GOOD for number in range(6)})
    listed = raw_bucket(fake).list_objects("p/", ["*.csv"])
    get, together, children = fake.client._operations["get_object"], threading.Barrier(2), set()
    popen = inspection_process.subprocess.Popen

    def started(*args, **settings):
        children.add(child := popen(*args, **settings))
        assert sum(each.poll() is None for each in children) <= 2
        return child

    def get_both(**request):
        together.wait(30)  # of another file, whose process runs at the same time
        return get(**request)

    monkeypatch.setattr(inspection_process.subprocess, "Popen", started)
    fake.client._operations["get_object"] = get_both
    found = raw_bucket(fake).inspect(listed, CsvDialect(), COLUMNS)
    assert [each.rows for each in found] == [2] * 6
    assert len(children) == 6


def test_a_process_that_is_killed_fails_the_reading_by_name(bucket, processes, monkeypatch):
    monkeypatch.setattr(inspection_process, "_CODE", "import os; os.kill(os.getpid(), 9)")
    fake = bucket({"p/a.csv": GOOD})
    listed = raw_bucket(fake).list_objects("p/", ["*.csv"])
    with pytest.raises(Unavailable, match=r"counting p/a\.csv was interrupted.*code -9") as killed:
        raw_bucket(fake).inspect(listed, CsvDialect(), COLUMNS)
    assert killed.value.retryable
    assert "source.count_until_mb" in str(killed.value)


def test_a_process_ends_with_a_reading_that_is_stopped(bucket, processes):
    fake = bucket({"p/a.csv": GOOD})
    listed = raw_bucket(fake).list_objects("p/", ["*.csv"])
    stop, body = threading.Event(), Endless()

    def get(**_):
        stop.set()
        return {"Body": body}

    fake.client._operations["get_object"] = get
    endless = [dataclasses.replace(item, size=10**12) for item in listed]
    with pytest.raises(ReadingStopped):
        raw_bucket(fake).inspect(endless, CsvDialect(), COLUMNS, stop=stop)
    assert body.closed.wait(10)
