"""`xacct-sandbox`: a two-account AWS on this machine, from the terminal."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, date, datetime
from pathlib import Path

from xacct_sandbox import demo, landing
from xacct_sandbox.clients import ask_daemon
from xacct_sandbox.credentials import Credentials
from xacct_sandbox.daemon import env_file, latency, lifecycle, request_log
from xacct_sandbox.daemon.config import SandboxConfig, SandboxError
from xacct_sandbox.faults import cli as faults_cli
from xacct_sandbox.service_errors import ServiceError

ROLES = ("orchestrator", "glue", "account-a-admin", "account-b-admin")
DEFAULT_ROWS = 1000


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code."""
    options = _parser().parse_args(arguments)
    # Whatever AWS this shell points at is not ours to use.
    for variable in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[variable]
    try:
        return int(options.run(options) or 0)
    except (SandboxError, ServiceError) as problem:
        print(f"xacct-sandbox {options.command}: {problem}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"xacct-sandbox {options.command}: interrupted", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="xacct-sandbox", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)

    up = commands.add_parser("up", help="start it, deploy both accounts, write .env")
    up.add_argument("--no-deploy", action="store_true", help="start the bare services only")
    up.set_defaults(run=_up)

    whole = commands.add_parser("demo", help="up, a few days through the whole pipeline, UI")
    whole.add_argument("--days", type=_positive, default=3, help="days up to yesterday (default 3)")
    whole.add_argument("--rows", type=_count, default=DEFAULT_ROWS, help="rows a day")
    whole.add_argument("--no-ui", action="store_true", help="end after the reconciliation table")
    whole.add_argument("--ui-port", type=_positive, default=3000, help="where the UI is served")
    whole.set_defaults(run=_demo)

    down = commands.add_parser("down", help="stop everything; what is stored stays")
    down.set_defaults(run=_down)

    status = commands.add_parser("status", help="ports, parts, stacks and sizes")
    status.add_argument("--json", action="store_true", help="as JSON")
    status.set_defaults(run=_status)

    reset = commands.add_parser("reset", help="stop it and forget everything stored")
    reset.add_argument("--yes", action="store_true", help="do not ask")
    reset.set_defaults(run=_reset)

    land = commands.add_parser(
        "land",
        help="put files into account A's raw bucket",
        description="Without --file, products made from --seed; by default for yesterday.",
    )
    land.add_argument("--date", type=_date, help="the (last) day, YYYY-MM-DD; default yesterday")
    land.add_argument("--days", type=_positive, default=1, help="how many days, up to --date")
    land.add_argument("--rows", type=_count, help=f"rows a day (default {DEFAULT_ROWS})")
    land.add_argument("--files", type=_positive, help="files a day (default 1)")
    land.add_argument("--file", type=Path, help="land this file as it is")
    land.add_argument("--feed", default=landing.GENERATED_FEED, help="folder in the bucket")
    land.add_argument("--key", help="name of the object in the day's folder")
    land.add_argument("--seed", type=int, help="another seed, other products (default 1)")
    land.set_defaults(run=_land)

    called = commands.add_parser(
        "calls",
        help="which AWS operations were called, and by whom",
        description=f"Since the daemon started; the newest {request_log.CAPACITY:,} are kept.",
    )
    called.add_argument("--since", type=_moment, default=0.0, help="ISO time, or seconds ago: 90s")
    called.add_argument("--json", action="store_true", help="every request, as JSON")
    called.set_defaults(run=_calls)

    times = commands.add_parser(
        "times",
        help="fix how long crawls, job runs and statements take",
        description="Without arguments, says what holds. The work is still done; where it takes "
        f"longer, the daemon's log says so. {latency.VARIABLE} says the same at the start.",
    )
    times.add_argument(
        "times",
        nargs="*",
        metavar="crawl=5",
        help="seconds of crawl, job or statement; or `true`: as long as it takes",
    )
    times.set_defaults(run=_times)

    faults_cli.add_command(commands)

    env = commands.add_parser("env", help="print exports that point any AWS client at it")
    env.add_argument("--as", dest="role", choices=ROLES, required=True, help="who to be")
    env.set_defaults(run=_env)
    return parser


# -- commands ----------------------------------------------------------------------------------


def _up(options: argparse.Namespace) -> int:
    say = _stopwatch()
    if options.no_deploy:
        _start(say)
        return 0
    _start_and_deploy(say)
    print(
        "\nNext:\n"
        "  xacct-sandbox land --days 3      put three days of products into account A\n"
        "  dagster dev                      see and run the pipeline (reads .env by itself)\n"
        "  xacct reconcile                  does every day add up?\n"
        "  xacct-sandbox down               stop; everything stored stays"
    )
    return 0


def _start(say: Callable[[str], None]) -> SandboxConfig:
    config = lifecycle.start(SandboxConfig.from_environment(), say)
    folder = Path.cwd()
    written = env_file.write(config, folder)
    if written is None:
        say(f"{folder / '.env'} is your own and was left alone")
        print('  for this shell instead: eval "$(xacct-sandbox env --as orchestrator)"')
    else:
        say(f"{written} written")
    return config


def _start_and_deploy(say: Callable[[str], None]) -> SandboxConfig:
    config = _start(say)
    code = lifecycle.deploy(config, Path.cwd())
    if code:
        raise SandboxError(
            f"`xacct deploy` failed (exit code {code}, its message is above); the sandbox itself "
            "runs. Mend the cause and run `xacct-sandbox up` again"
        )
    say("both accounts are deployed")
    return config


def _demo(options: argparse.Namespace) -> int:
    if not options.no_ui:
        demo.check_ui_port(options.ui_port)
    say = _stopwatch()
    config = _start_and_deploy(say)
    days = landing.days_to_land(None, options.days)
    landing.land_products(
        config,
        demo.days_without_files(config, days),
        rows=options.rows,
        files=1,
        key="products.csv",
        seed=1,
        say=say,
    )
    environment = lifecycle.client_environment(config)
    verdicts = demo.reconciliation(days, environment)
    open_days = [date.fromisoformat(row["partition"]) for row in verdicts if not row["ok"]]
    for first, last in demo.ranges(open_days):
        say(f"materializing {first} to {last} through all five assets")
        demo.materialize(first, last, environment, config.log_dir / "demo.log", say)
    if not open_days:
        say("every day is there already and adds up")
    print()
    code = demo.show_reconciliation(days, environment)
    if code:
        raise SandboxError(
            "a day does not add up (see its problem above); materialize it again: "
            f"dg launch --assets 'group:{demo.FEED}' --partition DAY"
        )
    today = datetime.now(UTC).date()
    print(
        "\nTry next, in another terminal:\n"
        "  . .venv/bin/activate\n"
        f"  xacct-sandbox land --date {today}     then materialize that day in the UI\n"
        f"  dg launch --assets 'group:products' --partition {today}\n"
        "  xacct reconcile                          does every day add up?\n"
        "  xacct doctor                             every hop, one line each\n"
    )
    if options.no_ui:
        print("The sandbox keeps running; `make run` adds the UI, `make stop` ends everything.")
        return 0
    return demo.serve_ui(config, options.ui_port, environment, say)


def _down(_options: argparse.Namespace) -> int:
    say = _stopwatch()
    lifecycle.stop(SandboxConfig.load(), say)
    say("nothing of the sandbox is running")
    return 0


def _status(options: argparse.Namespace) -> int:
    status = lifecycle.status(SandboxConfig.load())
    if options.json:
        print(json.dumps(asdict(status), indent=2))
        return 0 if status.ready else 3
    print(f"home      {status.home}")
    if not status.running:
        print("state     down")
    else:
        print(f"state     {'ready' if status.ready else 'NOT READY'} (pid {status.pid})")
        print(f"AWS APIs  {status.endpoint_url}")
        print(f"Redshift  127.0.0.1:{status.redshift_port} (TLS)")
        for name, healthy in status.parts.items():
            print(f"  {name:<10}{'up' if healthy else 'DOWN'}")
        for stack in status.stacks:
            print(f"  stack in {stack['account']}: {stack['name']:<28}{stack['status']}")
    if status.faults:
        print(f"faults    {faults_cli.summary(status.faults)}")
    if status.problem:
        print(f"problem   {status.problem}")
    for name, size in status.bytes_on_disk.items():
        print(f"  on disk: {name:<12}{size / 1e6:9.1f} MB")
    return 0 if status.ready else 3


def _reset(options: argparse.Namespace) -> int:
    config = SandboxConfig.load()
    if not options.yes:
        if not sys.stdin.isatty():
            raise SandboxError("reset asks before it forgets everything; give --yes in a script")
        answer = input(f"Forget both accounts and the warehouse in {config.home}? [y/N] ")
        if answer.strip().lower() not in ("y", "yes"):
            print("nothing was changed")
            return 1
    say = _stopwatch()
    lifecycle.stop(config, say)
    lifecycle.wipe(config)
    env_file.remove(Path.cwd())
    say(f"{config.home} is gone; `xacct-sandbox up` begins anew")
    return 0


def _land(options: argparse.Namespace) -> int:
    config = SandboxConfig.load()
    lifecycle.health(config)
    say = _stopwatch()
    days = landing.days_to_land(options.date, options.days)
    if options.file is not None:
        for name in ("rows", "files", "seed"):
            if getattr(options, name) is not None:
                raise SandboxError(f"--{name} is for generated products, not for --file")
        key = options.key or options.file.name
        landing.land_file(config, options.feed, days, options.file, key, say)
        return 0
    if options.feed != landing.GENERATED_FEED:
        raise SandboxError(
            f"there is a generator for {landing.GENERATED_FEED} only; "
            f"for {options.feed} give the file to land: --file F"
        )
    landing.land_products(
        config,
        days,
        rows=DEFAULT_ROWS if options.rows is None else options.rows,
        files=options.files or 1,
        key=options.key or "products.csv",
        seed=1 if options.seed is None else options.seed,
        say=say,
    )
    return 0


def _calls(options: argparse.Namespace) -> int:
    found = request_log.fetch(SandboxConfig.load(), options.since)
    if options.json:
        print(json.dumps([call.document() for call in found], indent=2))
        return 0
    print(f"{'asked by':<10}{'service':<21}{'operation':<28}{'calls':>7}{'refused':>9}")
    for origin, service, operation, count, refused in request_log.counted(found):
        print(f"{origin:<10}{service:<21}{operation:<28}{count:>7}{refused or '':>9}")
    mine = sum(call.origin == request_log.CALLER for call in found)
    print(f"\n{len(found)} requests, {len(found) - mine} of them by AWS services themselves")
    return 0


def _times(options: argparse.Namespace) -> int:
    config = SandboxConfig.load()
    lifecycle.health(config)
    if options.times:
        latency.write(config, latency.parse(" ".join(options.times)))
    print(latency.read(config))
    return 0


def _env(options: argparse.Namespace) -> int:
    config = SandboxConfig.load()
    lifecycle.health(config)
    keys = _credentials(config, options.role)
    print("unset AWS_PROFILE AWS_DEFAULT_PROFILE")
    for name, value in {
        "AWS_ACCESS_KEY_ID": keys.access_key_id,
        "AWS_SECRET_ACCESS_KEY": keys.secret_access_key,
        "AWS_SESSION_TOKEN": keys.session_token,
        "AWS_REGION": config.region,
        "AWS_DEFAULT_REGION": config.region,
        "AWS_ENDPOINT_URL": config.endpoint_url,
        "AWS_CA_BUNDLE": str(config.ca_bundle),
    }.items():
        print(f"export {name}={shlex.quote(value)}")
    print(f"# {options.role}, until {keys.expiration:%Y-%m-%d %H:%M:%S} UTC")
    return 0


def _credentials(config: SandboxConfig, role: str) -> Credentials:
    """Temporary keys of one of the roles or admins."""
    if role == "glue":
        # Nobody but Glue may be the Glue role: only the sandbox itself can be asked for it.
        answer = ask_daemon(
            "/_sandbox/service-role",
            {
                "service": "glue.amazonaws.com",
                "role_arn": config.glue_role_arn,
                "source_arn": f"arn:aws:glue:{config.region}:{config.account_b}:job/terminal",
                "session_name": "terminal",
            },
            config=config,
        )
        return Credentials(
            answer["access_key_id"],
            answer["secret_access_key"],
            answer["session_token"],
            datetime.fromisoformat(answer["expiration"]),
        )
    if role == "orchestrator":
        sts = lifecycle.client(config, "developer", "sts")
        try:
            given = sts.assume_role(
                RoleArn=config.orchestrator_role_arn, RoleSessionName="terminal"
            )["Credentials"]
        except sts.exceptions.ClientError as refusal:
            raise SandboxError(
                f"developer may not become {config.orchestrator_role_arn} ({refusal}); "
                "is account B deployed? Run `xacct-sandbox up`"
            ) from refusal
    else:
        given = lifecycle.client(config, role, "sts").get_session_token()["Credentials"]
    return Credentials(
        given["AccessKeyId"],
        given["SecretAccessKey"],
        given["SessionToken"],
        given["Expiration"],
    )


# -- words -------------------------------------------------------------------------------------


def _stopwatch() -> Callable[[str], None]:
    """Prints a line with the seconds since the command began."""
    started = time.monotonic()

    def say(text: str) -> None:
        print(f"[{time.monotonic() - started:6.1f} s] {text}", flush=True)

    return say


def _moment(text: str) -> float:
    """Seconds since the epoch."""
    if text.endswith("s") and text[:-1].replace(".", "", 1).isdecimal():
        return time.time() - float(text[:-1])
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as problem:
        raise argparse.ArgumentTypeError(
            f"{text!r} is neither a time like 2026-01-31T12:00:00 nor seconds ago like 90s"
        ) from problem
    return moment.astimezone().timestamp()


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as problem:
        raise argparse.ArgumentTypeError(f"{text!r} is not a day like 2026-01-31") from problem


def _positive(text: str) -> int:
    number = _count(text)
    if number == 0:
        raise argparse.ArgumentTypeError("at least 1")
    return number


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 on")
    return int(text)


if __name__ == "__main__":
    raise SystemExit(main())
