"""What each command of `xacct-sandbox` does. Every function returns the exit code."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, date, datetime
from pathlib import Path

from xacct_sandbox import clients, landing
from xacct_sandbox.credentials import Credentials
from xacct_sandbox.daemon import env_file, latency, lifecycle, profiles, request_log
from xacct_sandbox.daemon.config import SandboxConfig, SandboxError
from xacct_sandbox.daemon.control_client import PUBLICATIONS_PATH, call_daemon, running_sandbox
from xacct_sandbox.daemon.status import status as current_status
from xacct_sandbox.faults import cli as faults_cli

ROLES = ("orchestrator", "glue", "account-a-admin", "account-b-admin")
DEFAULT_ROWS = 1000

NOT_READY = 3
"""Exit code of `status` if the sandbox is not ready."""


# -- lifecycle ---------------------------------------------------------------------------------


def up(options: argparse.Namespace) -> int:
    say = stopwatch()
    if options.no_deploy:
        _start(say)
        return 0
    start_and_deploy(say)
    print(
        "\nNext:\n"
        "  xacct-sandbox land --days 3      put three days of products into account A\n"
        "  dg dev                           the UI; files that land are run (it reads .env)\n"
        "  xacct reconcile                  check that the row counts of every day add up\n"
        "  xacct-sandbox down               stop; the stored data is kept"
    )
    return 0


def _start(say: Callable[[str], None]) -> SandboxConfig:
    config = lifecycle.start(SandboxConfig.from_environment(), say)
    folder = Path.cwd()
    written = env_file.write(config, folder)
    if written is None:
        say(f"{folder / '.env'} is your own file, so it was not changed")
        print('  to use the sandbox in this shell: eval "$(xacct-sandbox env --as orchestrator)"')
    else:
        say(f"wrote {written}")
    return config


def start_and_deploy(say: Callable[[str], None]) -> SandboxConfig:
    """What ``up`` does: starts the sandbox, writes ``.env`` and deploys both accounts.

    Raises:
        SandboxError: the sandbox does not start, or the deployment fails.
    """
    config = _start(say)
    dagster = lifecycle.new_dagster_instance(config)  # beside the deployment, which mostly waits
    code = lifecycle.deploy(config, Path.cwd())
    if dagster is not None and dagster.wait():
        raise SandboxError(f"the Dagster instance in {config.home} could not be made (see above)")
    if code:
        raise SandboxError(
            f"`xacct deploy` failed (exit code {code}, see its message above); the sandbox itself "
            "is running. Fix the cause and run `xacct-sandbox up` again"
        )
    say("both accounts are deployed")
    return config


def down(_options: argparse.Namespace) -> int:
    say = stopwatch()
    lifecycle.stop(SandboxConfig.load(), say)
    say("the sandbox is stopped; the stored data is kept")
    return 0


def status(options: argparse.Namespace) -> int:
    config = SandboxConfig.load()
    state = current_status(config)
    code = 0 if state.ready else NOT_READY
    if options.json:
        print(json.dumps(asdict(state), indent=2))
        return code
    print(f"home      {state.home}")
    if not state.running:
        print("state     down (start it with `xacct-sandbox up`)")
    else:
        print(f"state     {'ready' if state.ready else 'NOT READY'} (pid {state.pid})")
        print(f"AWS APIs  {state.endpoint_url}")
        print(f"console   {config.console_url}")
        print(f"Redshift  127.0.0.1:{state.redshift_port} (TLS)")
        for name, healthy in state.parts.items():
            print(f"  {name:<10}{'up' if healthy else 'DOWN'}")
        for stack in state.stacks:
            print(f"  stack in {stack['account']}: {stack['name']:<28}{stack['status']}")
    if state.faults:
        print(f"faults    {faults_cli.summary(state.faults)}")
    if state.problem:
        print(f"problem   {state.problem}")
    for name, size in state.bytes_on_disk.items():
        print(f"  on disk: {name:<12}{size / 1e6:9.1f} MB")
    return code


def reset(options: argparse.Namespace) -> int:
    config = SandboxConfig.load()
    if not options.yes:
        if not sys.stdin.isatty():
            raise SandboxError("reset needs a confirmation; in a script, give --yes")
        answer = input(f"Delete both accounts and the warehouse in {config.home}? [y/N] ")
        if answer.strip().lower() not in ("y", "yes"):
            print("nothing was changed")
            return 1
    say = stopwatch()
    lifecycle.end_users_of_home(config, say)
    lifecycle.stop(config, say)
    left = lifecycle.wipe(config)
    env_file.remove(Path.cwd())
    say(f"the sandbox in {config.home} is deleted; `xacct-sandbox up` starts anew")
    for path in left:
        say(f"left: {path}, which the sandbox did not write")
    return 0


# -- data --------------------------------------------------------------------------------------


def land(options: argparse.Namespace) -> int:
    config = running_sandbox()
    days = landing.days_to_land(options.date, options.days)
    _land(options, config, days, stopwatch())
    # As in S3, files can be put anywhere. Where the pipeline will not look, nobody would be told.
    problem = lifecycle.why_not_loaded(config, options.feed, days[0], days[-1])
    if problem is not None:
        print(f"NOTE: the pipeline does not load all of this: {problem}")
    return 0


def _land(
    options: argparse.Namespace,
    config: SandboxConfig,
    days: list[date],
    say: Callable[[str], None],
) -> None:
    if options.file is not None:
        for name in ("rows", "files", "seed", "broken"):
            if getattr(options, name) is not None:
                raise SandboxError(
                    f"--{name} is for generated products; leave it out, or leave out --file"
                )
        key = options.key or options.file.name
        landing.land_file(config, options.feed, days, options.file, key, say)
        return
    if options.feed != landing.GENERATED_FEED:
        raise SandboxError(
            f"only {landing.GENERATED_FEED} can be generated; "
            f"for {options.feed}, give the file to land: --file F"
        )
    landing.land_products(
        config,
        days,
        rows=DEFAULT_ROWS if options.rows is None else options.rows,
        files=options.files or 1,
        key=options.key or "products.csv",
        seed=1 if options.seed is None else options.seed,
        say=say,
        broken=options.broken,
    )


# -- services ----------------------------------------------------------------------------------


def calls(options: argparse.Namespace) -> int:
    requests = request_log.fetch(running_sandbox(), options.since)
    if options.json:
        print(json.dumps([call.document() for call in requests], indent=2))
        return 0
    print(f"{'made by':<10}{'service':<21}{'operation':<28}{'calls':>7}{'errors':>9}")
    for origin, service, operation, count, errors in request_log.count_by_operation(requests):
        print(f"{origin:<10}{service:<21}{operation:<28}{count:>7}{errors or '':>9}")
    by_services = sum(call.origin != request_log.CALLER for call in requests)
    print(f"\n{len(requests)} requests, {by_services} of them by AWS services themselves")
    return 0


def alerts(options: argparse.Namespace) -> int:
    """Show what was published to the topic for alerts."""
    config = running_sandbox()
    topic = f"arn:aws:sns:{config.region}:{config.account_b}:xacct-alerts-{config.suffix}"
    answer = call_daemon(config, f"{PUBLICATIONS_PATH}?topic={topic}")
    found = [entry for entry in answer["publications"] if entry["at"] >= options.since]
    if options.json:
        print(json.dumps(found, indent=2))
        return 0
    for entry in found:
        at = datetime.fromtimestamp(entry["at"], UTC)
        print(f"{at:%Y-%m-%d %H:%M:%S} UTC  {entry['subject']}")
        print("".join(f"    {line}\n" for line in entry["message"].splitlines()))
    print(f"{len(found)} messages were published to {topic}")
    if not found:
        print(
            "The Dagster sensor `alerts` publishes them: start the UI with its daemon (`dg dev`)."
        )
    return 0


def times(options: argparse.Namespace) -> int:
    config = running_sandbox()
    if options.times:
        latency.write(config, latency.parse(" ".join(options.times)))
    print(latency.read(config))
    return 0


def env(options: argparse.Namespace) -> int:
    config = running_sandbox()
    keys = _credentials(config, options.role)
    print("unset AWS_PROFILE AWS_DEFAULT_PROFILE")
    for name, value in {
        "AWS_ACCESS_KEY_ID": keys.access_key_id,
        "AWS_SECRET_ACCESS_KEY": keys.secret_access_key,
        "AWS_SESSION_TOKEN": keys.session_token,
        **env_file.connection(config),
    }.items():
        print(f"export {name}={shlex.quote(value)}")
    print(f"# {options.role}, until {keys.expiration:%Y-%m-%d %H:%M:%S} UTC")
    return 0


def _credentials(config: SandboxConfig, role: str) -> Credentials:
    """Temporary credentials of one of ``ROLES``."""
    if role == "glue":
        # Only the Glue service may assume this role, so no user's keys can be used.
        return clients.service_role(
            "glue.amazonaws.com",
            config.glue_role_arn,
            source_arn=f"arn:aws:glue:{config.region}:{config.account_b}:job/terminal",
            session_name="terminal",
        )
    if role == "orchestrator":
        sts = profiles.client(config, "developer", "sts")
        try:
            response = sts.assume_role(
                RoleArn=config.orchestrator_role_arn, RoleSessionName="terminal"
            )
        except sts.exceptions.ClientError as refusal:
            raise SandboxError(
                f"developer may not assume {config.orchestrator_role_arn} ({refusal}); "
                "is account B deployed? Run `xacct-sandbox up`"
            ) from refusal
    else:
        response = profiles.client(config, role, "sts").get_session_token()
    return Credentials.from_sts(response["Credentials"])


# -- helpers -----------------------------------------------------------------------------------


def stopwatch() -> Callable[[str], None]:
    """Returns a function that prints a line, preceded by the seconds since now."""
    started = time.monotonic()

    def say(text: str) -> None:
        print(f"[{time.monotonic() - started:6.1f} s] {text}", flush=True)

    return say
