"""How fast the sandbox's COPY and UNLOAD are beside PostgreSQL's own COPY over a socket.

The same rows, table and format, in the same PostgreSQL, turn by turn. `main` fails if the two
leave different tables or write different rows.
"""

from __future__ import annotations

import gzip
import hashlib
import itertools
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from statistics import median

from benchmarks import processes, report, results
from benchmarks.own_sandbox import Progress, environment, fresh_home, own_sandbox
from benchmarks.postgres_socket import PostgresSocket
from benchmarks.redshift import redshift
from xacct_sandbox.daemon import env_file, lifecycle, profiles
from xacct_sandbox.daemon.config import SandboxConfig
from xacct_sandbox.daemon.instance_lock import daemon_pid
from xacct_sandbox.sample_data import ProductFile, Record
from xacct_sandbox.sample_values import quoted

ROWS = 1_000_000
FILES = 4
REPEATS = 5
NULL = "@NULL@"
#: Small requests to S3, and how many callers make them at once.
TRIPS = 300
CALLERS = 4
#: Rows are made once and repeated: making a million takes longer than loading them.
DIFFERENT_ROWS = 50_000
TABLE = (
    "(id BIGINT NOT NULL, name VARCHAR(256) NOT NULL, category VARCHAR(64) NOT NULL,"
    " brand VARCHAR(128), price DECIMAL(12, 2) NOT NULL, currency VARCHAR(3) NOT NULL,"
    " stock INTEGER, description VARCHAR(4096), updated_at TIMESTAMP NOT NULL)"
)
#: The values of all rows in one number: the sum over rows of a hash of each.
FINGERPRINT = "SELECT count(*)::text || ' ' || coalesce(sum(hashtextextended(t::text, 0)), 0)::text"


class NotEqual(Exception):
    """The two ways do not come to the same rows."""


@dataclass(frozen=True)
class Written:
    """The rows in one way of writing them."""

    name: str
    files: list[Path]
    options: str
    postgres: str

    @property
    def size(self) -> int:
        return sum(path.stat().st_size for path in self.files)


@dataclass
class Measured:
    """Turns of one case: seconds of ours and of PostgreSQL's, and processor seconds of ours."""

    name: str
    size: int
    ours: list[float] = field(default_factory=list)
    postgres: list[float] = field(default_factory=list)
    processor: dict[str, list[float]] = field(default_factory=dict)

    @property
    def ratios(self) -> list[float]:
        """Speed of ours by PostgreSQL's, turn by turn."""
        return [postgres / ours for ours, postgres in zip(self.ours, self.postgres, strict=True)]


@dataclass(frozen=True)
class Trips:
    """Requests a second."""

    name: str
    alone: float
    together: float


def main() -> int:
    """Measure, compare, write the section; about three minutes."""
    say = Progress()
    settings = {"XACCT_SANDBOX_SPARK_WARM": "0"}  # nothing here is loaded by a job
    with (
        tempfile.TemporaryDirectory(prefix="xacct-bench-") as scratch,
        own_sandbox(say, settings) as config,
        environment(env_file.variables(config)),
    ):
        rig = Rig(config, Path(scratch), say)
        copies = rig.copies()
        unloads = rig.unloads()
        trips = rig.round_trips()
    starts = start_up(say)
    runs = spark_runs(say)
    results.save(
        "copy",
        {
            name: min(median(case.ratios) for case in cases)
            for name, cases in (("copy_ratio", copies), ("unload_ratio", unloads))
        },
    )
    report.write_section("copy", _section(copies, unloads, trips, starts, runs, say))
    say(f"{report.REPORT.name} is written")
    return 0


class Rig:
    """A sandbox with the rows in its S3 and on disk."""

    def __init__(self, config: SandboxConfig, scratch: Path, say: Callable[[str], None]) -> None:
        self._config = config
        self._scratch = scratch
        self._say = say
        self._s3 = profiles.client(config, "account-b-admin", "s3")
        self._bucket = f"xacct-processing-{config.suffix}"
        self._exports = f"sample-opt-bucket-etl-{config.suffix}"
        self._role_b = f"arn:aws:iam::{config.account_b}:role/xacct-RoleB-{config.suffix}"
        self._role_a = f"arn:aws:iam::{config.account_a}:role/xacct-RoleA-{config.suffix}"
        self._postgres = PostgresSocket(config)
        connection = redshift(config)
        connection.autocommit = True
        self._cursor = connection.cursor()
        self._execute(f"CREATE TABLE bench_ours {TABLE}")
        self._execute(f"CREATE TABLE bench_postgres {TABLE}")

    def _execute(self, sql: str) -> None:
        self._cursor.execute(sql)

    # -- COPY ----------------------------------------------------------------------------------

    def written(self, rows: int = ROWS) -> list[Written]:
        """The rows as Glue's connector writes them, as a supplier does, and packed."""
        options = f"FORMAT csv, NULL '{NULL}'"
        glue = self._write("glue", rows, glue_line, packed=False)
        packed = [path.with_suffix(".csv.gz") for path in glue]
        for path, target in zip(glue, packed, strict=True):
            target.write_bytes(gzip.compress(path.read_bytes(), 6))
        supplier = self._write("supplier", rows, supplier_line, packed=False)
        texts = "name, category, brand, currency, description"
        return [
            Written("CSV as Glue's connector writes it", glue, f"CSV NULL AS '{NULL}'", options),
            Written(
                "CSV as a supplier writes it (empty fields)",
                supplier,
                "CSV",
                f"FORMAT csv, NULL '', FORCE_NOT_NULL ({texts})",
            ),
            Written("the first, GZIP", packed, f"CSV GZIP NULL AS '{NULL}'", options),
        ]

    def _write(
        self, name: str, rows: int, line: Callable[[Record], str], *, packed: bool
    ) -> list[Path]:
        block = "".join(line(record) for record in good_records(min(DIFFERENT_ROWS, rows)))
        data = block.encode()
        per_file = rows // FILES // DIFFERENT_ROWS or 1
        paths = []
        for number in range(FILES):
            path = self._scratch / f"{name}-{number}.csv"
            with path.open("wb") as file:
                for _ in range(per_file):
                    file.write(data)
            paths.append(path)
        return paths

    def copies(self) -> list[Measured]:
        measured = []
        for number, written in enumerate(self.written()):
            prefix = f"glue-tmp/bench/{number}/"
            for path in written.files:
                self._s3.upload_file(str(path), self._bucket, prefix + path.name)
            plain = [
                path.with_suffix("") if path.suffix == ".gz" else path for path in written.files
            ]
            sql = (
                f"COPY bench_ours FROM 's3://{self._bucket}/{prefix}' IAM_ROLE '{self._role_b}'"
                f" {written.options}"
            )
            case = Measured(written.name, written.size)
            for turn in range(REPEATS + 1):  # the first is a rehearsal
                self._execute("TRUNCATE bench_ours")
                self._execute("TRUNCATE bench_postgres")
                postgres, _ = self._timed(
                    lambda plain=plain, written=written: self._postgres.copy_in(
                        f"COPY bench_postgres FROM STDIN ({written.postgres})", plain
                    )
                )
                ours, spent = self._timed(lambda sql=sql: self._execute(sql))
                if turn == 0:
                    self._compare()
                    continue
                self._note(case, ours, postgres, spent)
            measured.append(case)
        return measured

    def _compare(self) -> None:
        one, other = (
            self._postgres.run(f"{FINGERPRINT} FROM {table} AS t")
            for table in ("bench_ours", "bench_postgres")
        )
        if one != other:
            raise NotEqual(f"COPY loaded {one}, PostgreSQL {other}")

    # -- UNLOAD --------------------------------------------------------------------------------

    def unloads(self) -> list[Measured]:
        """The table that is there, as CSV and as packed CSV, to account A's bucket."""
        measured = []
        out = self._scratch / "out.bin"
        for name, more in (("CSV", ""), ("CSV GZIP", "GZIP")):
            folder = f"products/bench/{more or 'plain'}/"
            sql = (
                "UNLOAD ('SELECT * FROM bench_ours')"  # noqa: S608 -- all of it is ours
                f" TO 's3://{self._exports}/{folder}'"
                f" IAM_ROLE '{self._role_b},{self._role_a}' FORMAT CSV {more} CLEANPATH"
                " MANIFEST VERBOSE"
            )
            case = Measured(name, 0)
            for turn in range(REPEATS + 1):
                postgres, _ = self._timed(
                    lambda: self._postgres.copy_out(
                        "COPY (SELECT * FROM bench_ours) TO STDOUT (FORMAT csv)", out
                    )
                )
                ours, spent = self._timed(lambda sql=sql: self._execute(sql))
                if turn == 0:
                    case.size = self._compare_export(folder)
                    continue
                self._note(case, ours, postgres, spent)
            measured.append(case)
        return measured

    def _compare_export(self, folder: str) -> int:
        """The export and PostgreSQL's own hold the same lines; the bytes of them."""
        s3 = profiles.client(self._config, "account-a-admin", "s3")
        manifest = json.loads(
            s3.get_object(Bucket=self._exports, Key=f"{folder}manifest")["Body"].read()
        )
        lines: list[bytes] = []
        for entry in manifest["entries"]:
            key = entry["url"].partition(f"{self._exports}/")[2]
            data = s3.get_object(Bucket=self._exports, Key=key)["Body"].read()
            lines += (gzip.decompress(data) if key.endswith(".gz") else data).splitlines()
        wanted = self._scratch / "wanted.csv"
        self._postgres.copy_out("COPY (SELECT * FROM bench_ours) TO STDOUT (FORMAT csv)", wanted)
        found = hashlib.sha256(b"\n".join(sorted(lines))).hexdigest()
        expected = hashlib.sha256(b"\n".join(sorted(rows_of(wanted)))).hexdigest()
        if found != expected or manifest["meta"]["record_count"] != ROWS:
            raise NotEqual(f"UNLOAD wrote other rows than PostgreSQL to {folder}")
        return sum(len(line) + 1 for line in lines)

    # -- S3 ------------------------------------------------------------------------------------

    def round_trips(self) -> list[Trips]:
        """Requests a second, with small objects, for one caller and for several at once."""
        keys = [f"glue-tmp/trips/{number:04d}" for number in range(TRIPS)]
        works: dict[str, Callable[[str], object]] = {
            "PutObject, 1 kB": lambda key: self._s3.put_object(
                Bucket=self._bucket, Key=key, Body=b"x" * 1024
            ),
            "GetObject, 1 kB": lambda key: self._s3.get_object(Bucket=self._bucket, Key=key)[
                "Body"
            ].read(),
            f"ListObjectsV2, {TRIPS} keys": lambda _: self._s3.list_objects_v2(
                Bucket=self._bucket, Prefix="glue-tmp/trips/"
            ),
        }
        found = []
        for name, work in works.items():
            wanted = keys if "kB" in name else keys[: TRIPS // 5]
            rates = []
            for callers in (1, CALLERS):
                with ThreadPoolExecutor(callers) as pool:
                    began = time.monotonic()
                    list(pool.map(work, wanted))
                    rates.append(len(wanted) / (time.monotonic() - began))
            found.append(Trips(name, *rates))
            self._say(f"{name}: {rates[0]:.0f} a second, {rates[1]:.0f} with {CALLERS} callers")
        return found

    # -- measuring -----------------------------------------------------------------------------

    def _timed(self, work: Callable[[], object]) -> tuple[float, dict[str, float]]:
        """(seconds, processor seconds of each process of the sandbox and of this one)."""
        pid = daemon_pid(self._config)
        assert pid is not None
        before = self._processor(pid)
        began = time.monotonic()
        work()
        seconds = time.monotonic() - began
        after = self._processor(pid)
        return seconds, {kind: after[kind] - before.get(kind, 0.0) for kind in after}

    @staticmethod
    def _processor(pid: int) -> dict[str, float]:
        found: dict[str, float] = {}
        for one in processes.tree(pid):
            kind = _PARTS.get(processes.name(one))
            if kind:
                found[kind] = found.get(kind, 0.0) + processes.processor_seconds([one])
        return found

    def _note(self, case: Measured, ours: float, postgres: float, spent: dict[str, float]) -> None:
        case.ours.append(ours)
        case.postgres.append(postgres)
        for kind, seconds in spent.items():
            case.processor.setdefault(kind, []).append(seconds)
        shares = ", ".join(f"{kind} {seconds:.1f}" for kind, seconds in spent.items())
        self._say(
            f"{case.name}: {ours:.2f} s, PostgreSQL {postgres:.2f} s, ratio {postgres / ours:.2f}"
            f" (processor: {shares})"
        )


def start_up(say: Progress) -> dict[str, list[float]]:
    """Seconds until a sandbox answers: in a new home, and in one that was used before."""
    found: dict[str, list[float]] = {"new home": [], "again": []}
    for _ in range(REPEATS):
        with fresh_home() as config:
            for name, seconds in found.items():
                began = time.monotonic()
                lifecycle.start(config, _silent)
                seconds.append(time.monotonic() - began)
                lifecycle.stop(config, _silent)
                say(f"up, {name}: {seconds[-1]:.1f} s")
    return found


def spark_runs(say: Progress) -> dict[str, list[float]]:
    """Seconds of a small job from StartJobRun to its end: the first one, and in warm Spark."""
    found: dict[str, list[float]] = {"first, Spark not started": [], "warm": []}
    with own_sandbox(say, {"XACCT_SANDBOX_SPARK_WARM": "0"}) as config:
        glue = profiles.client(config, "account-b-admin", "glue")
        s3 = profiles.client(config, "account-b-admin", "s3")
        bucket = f"xacct-processing-{config.suffix}"
        rows = "".join(f"{number},a row\n" for number in range(1000))
        s3.put_object(Bucket=bucket, Key="glue-tmp/bench/rows.csv", Body=rows.encode())
        s3.put_object(
            Bucket=bucket,
            Key="glue-tmp/bench/job.py",
            Body=_JOB.format(path=f"s3://{bucket}/glue-tmp/bench/rows.csv").encode(),
        )
        known = glue.get_jobs()["Jobs"][0]
        glue.create_job(
            Name="bench",
            Role=known["Role"],
            Command={**known["Command"], "ScriptLocation": f"s3://{bucket}/glue-tmp/bench/job.py"},
            GlueVersion=known["GlueVersion"],
            WorkerType="G.1X",
            NumberOfWorkers=2,
        )
        for turn in range(1 + REPEATS):
            began = time.monotonic()
            run = glue.start_job_run(JobName="bench")["JobRunId"]
            state = ""
            while state not in ("SUCCEEDED", "FAILED", "ERROR", "TIMEOUT", "STOPPED"):
                time.sleep(0.05)
                answer = glue.get_job_run(JobName="bench", RunId=run)["JobRun"]
                state = answer["JobRunState"]
            if state != "SUCCEEDED":
                raise NotEqual(f"the small job ended {state}: {answer.get('ErrorMessage')}")
            kind = "warm" if turn else "first, Spark not started"
            found[kind].append(time.monotonic() - began)
            say(f"small job, {kind}: {found[kind][-1]:.1f} s")
    return found


_JOB = """from awsglue.context import GlueContext
from pyspark.context import SparkContext

spark = GlueContext(SparkContext.getOrCreate()).spark_session
assert spark.read.csv("{path}").count() == 1000
"""


def _silent(_: str) -> None:
    """Nobody is shares."""


_PARTS = {
    "xacct_sandbox.daemon.server": "S3",
    "xacct_sandbox.redshift": "front",
    "postgres": "PostgreSQL",
}


def good_records(rows: int) -> Iterator[Record]:
    """Rows that load, of the sample data."""
    source = ProductFile(seed=1, day=date(2026, 1, 1), rows=rows + rows // 100)
    return itertools.islice((r for r in source.records() if r.reject is None), rows)


def supplier_line(record: Record) -> str:
    """NULL is an empty field, an empty string two quotes."""
    return ",".join(quoted(value) for value in record.values) + "\n"


def glue_line(record: Record) -> str:
    """NULL is the marker."""
    return ",".join(NULL if value is None else quoted(value) for value in record.values) + "\n"


def rows_of(path: Path) -> Iterator[bytes]:
    """The lines in a file of CopyData messages."""
    data = path.read_bytes()
    position = 0
    while data[position : position + 1] == b"d":
        end = position + 1 + int.from_bytes(data[position + 1 : position + 5], "big")
        yield from data[position + 5 : end].splitlines()
        position = end


# -- what is written -------------------------------------------------------------------------------


def _section(
    copies: list[Measured],
    unloads: list[Measured],
    trips: list[Trips],
    starts: dict[str, list[float]],
    runs: dict[str, list[float]],
    say: Progress,
) -> str:
    least = min(median(case.ratios) for case in (*copies, *unloads))
    parts = [
        "## COPY and UNLOAD beside PostgreSQL's own COPY (`make bench BENCH=copy`)",
        f"{report.circumstances(('ministack', 'pyarrow', 'boto3'))} {REPEATS} turns of each kind "
        f"after a rehearsal; the whole benchmark took {say.seconds:.0f} s.",
        f"{ROWS:,} rows of products in {FILES} objects. PostgreSQL's own COPY: the same rows from "
        "a file, through its unix socket, into a table of the same definition in the same "
        "server, by a client that only reads and sends (`benchmarks/postgres_socket.py`). Ours: "
        "the statement over the wire, roles assumed, objects listed and fetched from (or put "
        "into) the sandbox's S3 over TLS, each request signed and authorized. The two alternate. "
        "In the rehearsal, both tables are compared row by row through a hash, and both exports "
        "line by line. The ratio is PostgreSQL's seconds divided by ours; the smallest median is "
        f"**{least:.2f}**.",
        "Processor seconds show which process does the work. PostgreSQL's own COPY takes "
        "PostgreSQL's seconds too; the front is the sandbox's COPY and UNLOAD.",
        report.table(
            (
                "",
                "MB",
                "ours (s)",
                "PostgreSQL (s)",
                "ratio",
                "processor: front",
                "PostgreSQL",
                "S3",
            ),
            [_row("COPY", case) for case in copies] + [_row("UNLOAD", case) for case in unloads],
        ),
        "The front compresses a GZIP export (zlib). PostgreSQL does not compress at all.",
        "### S3, Spark, start-up",
        report.table(
            ("requests a second", "one caller", f"{CALLERS} callers"),
            [[trip.name, f"{trip.alone:.0f}", f"{trip.together:.0f}"] for trip in trips],
        ),
        "A Glue job that counts 1,000 rows of a CSV object, from StartJobRun until GetJobRun "
        "reports SUCCEEDED; and `xacct-sandbox up` until everything answers, without waiting for "
        "Spark:",
        report.table(
            ("", "seconds"),
            [[f"job, {name}", report.spread(seconds, 2)] for name, seconds in runs.items()]
            + [[f"up, {name}", report.spread(seconds, 2)] for name, seconds in starts.items()],
        ),
    ]
    return "\n\n".join(report.wrapped(part) for part in parts)


def _row(what: str, case: Measured) -> list[str]:
    processor = (f"{median(case.processor[kind]):.1f}" for kind in ("front", "PostgreSQL", "S3"))
    return [
        f"{what} {case.name}",
        f"{case.size / 1e6:.0f}",
        report.spread(case.ours, 2),
        report.spread(case.postgres, 2),
        report.spread(case.ratios, 2),
        *processor,
    ]
