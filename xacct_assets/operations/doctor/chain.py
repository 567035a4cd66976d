"""The checks of an installation, in the order of the chain: causes before effects."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from xacct_assets.feed.deployment import FeedNotDeployed, naming_what_is_not_deployed
from xacct_assets.operations.doctor import (
    account_a,
    arrivals,
    buckets,
    glue,
    keys,
    machine,
    network,
    probe,
    quotas,
    roles,
    settings_link,
    sql_files,
    tables,
    warehouse,
    watching,
)
from xacct_assets.operations.doctor.adopted_buckets import adopted_bucket, needs_of_buckets
from xacct_assets.operations.doctor.findings import Caution, Check
from xacct_assets.operations.doctor.installation import Installation

if TYPE_CHECKING:
    from xacct_assets.feed.spec import FeedSpec

# The commands in the one line of a feed that is not deployed.
_COMMAND = re.compile(r"(xacct deploy|aws cloudformation delete-stack --stack-name [\w-]+)")

KEYS = tuple(what for what, _ in keys.MADE.values())
RAW_KEY, EXPORT_KEY, WORKING_KEY, LOGIN_KEY = KEYS
FeedCheck = Callable[[Installation, "FeedSpec"], str | Caution]

# Names that others need.
FILES = "files of the environment"
CREDENTIALS = "credentials"
INSTALLATION = "installation"
SETTINGS = "settings"
DEPLOYMENT = "deployment"
ORCHESTRATOR = "orchestrator role"
GLUE_ROLE = "Glue role"
ROLE_B = "RoleB"
ROLE_A = "RoleA"
RAW_POLICY = "policy of the raw bucket"
EXPORT_POLICY = "policy of the export bucket"
WORKGROUP = "workgroup"
ATTACHED = "role chain of UNLOAD"
SECRET = "login for Redshift"  # noqa: S105 -- the name of a check
PIECES = "routes, rules, endpoints and peering"
NETWORK = "network path and TLS to Redshift"
LOGIN = "login to Redshift"
DATA_API = "Data API"
SQL_FILES = "SQL files"
TABLES = "tables and procedure"


def checks(here: Installation) -> list[Check]:
    """All checks of an installation."""
    return [
        *_first_links(here),
        *_policies(here),
        *_warehouse(here),
        *_services(here),
        *_by_doing(here),
        Check("Dagster home", "runs and events are kept safely", machine.dagster_home),
        Check(
            "limits of a backfill",
            "no more runs of a feed are started than its Glue job may have",
            partial(machine.backfill_limits, here.checked),
            needs=("Dagster home",),
        ),
        Check(
            "quotas of Glue",
            "the account may have the job runs and crawls that a backfill asks for",
            partial(quotas.glue_quotas, here),
            needs=(SETTINGS,),
            explained_by=(ORCHESTRATOR,),
        ),
    ]


def _first_links(here: Installation) -> list[Check]:
    return [
        Check(FILES, "the files that the environment names are there", settings_link.named_files),
        Check(
            CREDENTIALS,
            "the credentials are the orchestrator's",
            partial(settings_link.credentials, here),
            needs=(FILES,),
        ),
        Check(
            INSTALLATION,
            "account B's stack is there, under this suffix, in this Region",
            partial(settings_link.installation, here),
            needs=(CREDENTIALS,),
        ),
        Check(
            SETTINGS,
            "the settings name what is deployed",
            partial(settings_link.settings_match, here),
            needs=(INSTALLATION,),
        ),
        _role_of_b(here, ORCHESTRATOR, "OrchestratorRole"),
        *_per_feed(
            here,
            DEPLOYMENT,
            "the feed's stack is there, of the feed's settings",
            settings_link.deployment,
            needs=(SETTINGS,),
            explained_by=(ORCHESTRATOR,),
        ),
        Check(
            "retired feeds",
            "every feed with a stack is in the settings",
            partial(settings_link.retired_feeds, here),
            needs=(INSTALLATION,),
        ),
    ]


def _policies(here: Installation) -> list[Check]:
    adopted = here.settings.adopted
    found = [_role_of_b(here, GLUE_ROLE, "GlueRole"), _role_of_b(here, ROLE_B, "RoleB")]
    found.append(
        Check(
            ROLE_A,
            "its trust, with the ExternalId, and its policy are those of the template",
            partial(roles.role_a, here),
            needs=(SETTINGS,),
            explained_by=(ROLE_B,),
        )
    )
    for name, logical_id, kind, principals in (
        (RAW_POLICY, "RawBucketPolicy", "input-bucket", (ORCHESTRATOR, GLUE_ROLE)),
        (EXPORT_POLICY, "ExportsBucketPolicy", "export-bucket", (ORCHESTRATOR,)),
    ):
        if kind not in adopted:
            found.append(
                Check(
                    name,
                    "it has every statement of the template, and denies nothing besides",
                    partial(account_a.bucket_policy, here, logical_id),
                    needs=(SETTINGS,),
                    explained_by=principals,
                )
            )
    found += _keys(here)
    found.append(
        Check(
            "encryption of the buckets in A",
            "new objects are under the keys of the settings",
            partial(account_a.encryption, here),
            needs=(SETTINGS,),
            explained_by=(RAW_POLICY, EXPORT_POLICY, *KEYS),
        )
    )
    if "input-bucket" not in adopted:
        found.append(
            Check(
                "notifications of the raw bucket",
                "the queue is told of new files, if a feed reads it",
                partial(account_a.notifications, here),
                needs=(SETTINGS,),
                explained_by=(RAW_POLICY,),
            )
        )
    found += [
        Check(
            name,
            "the owner's policy and notifications have this installation's entries",
            partial(adopted_bucket, here.settings, access),
            needs=(CREDENTIALS,),
        )
        for name, access in needs_of_buckets(here.settings, here.feeds).items()
    ]
    return found


def _keys(here: Installation) -> list[Check]:
    return [
        Check(
            what,
            "it is enabled, and its policy has every statement of the template",
            partial(keys.key, here, kind),
            needs=(SETTINGS,),
            explained_by=(ORCHESTRATOR, GLUE_ROLE, ROLE_A, ROLE_B),
        )
        for kind, what in keys.made(here).items()
    ]


def _role_of_b(here: Installation, name: str, logical_id: str) -> Check:
    return Check(
        name,
        "its trust and policies are those of the template, statement by statement",
        partial(roles.role_of_b, here, logical_id),
        needs=(SETTINGS,),
        explained_by=() if name == ORCHESTRATOR else (ORCHESTRATOR,),
    )


def _warehouse(here: Installation) -> list[Check]:
    return [
        Check(
            WORKGROUP,
            "it is there and available",
            partial(warehouse.workgroup, here),
            needs=(SETTINGS,),
            explained_by=(ORCHESTRATOR,),
        ),
        Check(
            PIECES,
            "Dagster, Glue's jobs, the warehouse and AWS's services reach each other",
            partial(network.network, here),
            needs=(SETTINGS,),
            explained_by=(ORCHESTRATOR,),
        ),
        Check(
            ATTACHED,
            "RoleB is attached to the namespace",
            partial(warehouse.role_chain, here),
            needs=(WORKGROUP,),
            explained_by=(ORCHESTRATOR, ROLE_B),
        ),
        Check(
            SECRET,
            "IAM gives this identity a temporary password"
            if here.settings.logs_in_by_iam
            else "it holds a login, and leads to the workgroup",
            partial(
                warehouse.iam_login if here.settings.logs_in_by_iam else warehouse.redshift_secret,
                here,
            ),
            needs=(SETTINGS,),
            explained_by=(ORCHESTRATOR, LOGIN_KEY, WORKGROUP),
        ),
        Check(
            NETWORK,
            "name, route, port and certificate are right",
            partial(warehouse.redshift_network, here),
            needs=(SECRET,),
            explained_by=(WORKGROUP, PIECES),
            if_silent=warehouse.SILENT,
        ),
        Check(
            LOGIN,
            "user and password are accepted",
            partial(warehouse.redshift_login, here),
            needs=(NETWORK,),
            explained_by=(WORKGROUP, PIECES),
            if_silent=warehouse.SILENT,
        ),
        *_per_feed(
            here,
            SQL_FILES,
            "they have the feed's columns",
            sql_files.sql_files,
        ),
        *_per_feed(
            here,
            TABLES,
            "columns, types and signature are the feed's",
            tables.tables_and_procedure,
            needs=(LOGIN,),
            explained_by=(f"{{feed}}: {SQL_FILES}",),
            if_silent=warehouse.SILENT,
        ),
        *_per_feed(
            here,
            "rights of the database user",
            "a run may use its tables and call its procedure",
            tables.grants,
            needs=(LOGIN, f"{{feed}}: {TABLES}"),
            if_silent=warehouse.SILENT,
        ),
        Check(
            DATA_API,
            "it logs in and runs a statement",
            partial(warehouse.data_api, here),
            needs=(WORKGROUP, SECRET),
            explained_by=(ORCHESTRATOR, NETWORK, LOGIN),
            if_silent=warehouse.SILENT,
        ),
    ]


def _services(here: Installation) -> list[Check]:
    return [
        Check(
            "Glue connection",
            "it leads to the warehouse, with the pipeline's secret",
            partial(glue.connection, here),
            needs=(SETTINGS,),
            explained_by=(ORCHESTRATOR,),
        ),
        Check(
            "script and libraries of the job",
            "they are in the working bucket, of this version",
            partial(glue.job_files, here),
            needs=(SETTINGS,),
            explained_by=(ORCHESTRATOR, WORKING_KEY),
        ),
        *_per_feed(
            here, "crawler", "folder, role, database and recrawl policy", glue.crawler,
            explained_by=(ORCHESTRATOR,),
        ),
        *_per_feed(
            here, "Glue job", "role, script, connection, workers and time-out", glue.glue_job,
            explained_by=(ORCHESTRATOR,),
        ),
        *_per_feed(
            here, "catalog database", "it is there; its table is of the feed's folder",
            glue.catalog_database,
            explained_by=(ORCHESTRATOR, "{feed}: crawler"),
        ),
        Check(
            "arrival queue",
            "its attributes and its policy are those of the template",
            partial(arrivals.arrival_queue, here),
            needs=(SETTINGS,),
            explained_by=(ORCHESTRATOR,),
        ),
        Check(
            "dead-letter queue",
            "it is there and empty",
            partial(arrivals.dead_letters, here),
            needs=(SETTINGS,),
            explained_by=(ORCHESTRATOR,),
        ),
        Check(
            "alarm of the dead-letter queue",
            "it is there, and tells the topic",
            partial(watching.dead_letters_alarm, here),
            needs=(SETTINGS,),
            explained_by=(ORCHESTRATOR,),
        ),
        *_per_feed(
            here, "log groups of the job", "they are there, and have a retention",
            watching.log_groups,
            explained_by=(ORCHESTRATOR,),
        ),
    ]  # fmt: skip


def _by_doing(here: Installation) -> list[Check]:
    def on_clients(check: Callable[..., str | Caution]) -> FeedCheck:
        return lambda here, feed: check(here.aws, feed)

    adopted = [f"adopted {kind}" for kind in ("input-bucket", "export-bucket")]
    return [
        *_per_feed(
            here,
            "raw files in A",
            "the orchestrator lists and reads them, and each can be loaded",
            on_clients(buckets.raw_files),
            needs=(SETTINGS,),
            explained_by=(ORCHESTRATOR, RAW_POLICY, RAW_KEY, adopted[0]),
        ),
        *_per_feed(
            here,
            "exports in A",
            "the orchestrator lists and reads them",
            on_clients(buckets.exports),
            needs=(SETTINGS,),
            explained_by=(ORCHESTRATOR, EXPORT_POLICY, EXPORT_KEY, adopted[1]),
        ),
        Check(
            "working bucket in B",
            "the orchestrator exchanges messages with the job in it",
            lambda: buckets.working_bucket(here.aws),
            needs=(SETTINGS,),
            explained_by=(ORCHESTRATOR, WORKING_KEY),
        ),
        Check(
            "UNLOAD to A",
            "Redshift writes, replaces and deletes as RoleB, then RoleA",
            partial(probe.unload, here),
            needs=(DATA_API, ATTACHED, ROLE_A, ROLE_B),
            explained_by=(ORCHESTRATOR, EXPORT_POLICY, EXPORT_KEY, PIECES),
            if_silent=warehouse.SILENT,
        ),
        Check(
            "COPY in B",
            "Redshift reads the job's temporary files as RoleB",
            partial(probe.copy, here),
            needs=(LOGIN, ATTACHED, ROLE_B),
            explained_by=(ORCHESTRATOR, WORKING_KEY, PIECES),
            if_silent=warehouse.SILENT,
        ),
    ]


def _per_feed(
    here: Installation,
    name: str,
    proves: str,
    check: FeedCheck,
    *,
    needs: Sequence[str] = (),
    explained_by: Sequence[str] = (),
    if_silent: str | None = None,
) -> list[Check]:
    """The check of each feed. All but the first need the feed to be deployed."""
    own = {} if if_silent is None else {"if_silent": if_silent}
    found = []
    for feed in here.checked:
        first = () if name == DEPLOYMENT else (f"{feed.name}: {DEPLOYMENT}",)
        if name in ("raw files in A", "exports in A", SQL_FILES):
            first = ()
        found.append(
            Check(
                f"{feed.name}: {name}",
                proves,
                partial(_of_feed, here, check, feed),
                needs=tuple(need.format(feed=feed.name) for need in (*first, *needs)),
                explained_by=tuple(other.format(feed=feed.name) for other in explained_by),
                **own,
            )
        )
    return found


def _of_feed(here: Installation, check: FeedCheck, feed: FeedSpec) -> str | Caution:
    try:
        with naming_what_is_not_deployed(feed, here.aws):
            return check(here, feed)
    except FeedNotDeployed as cause:
        cause.fix = _COMMAND.sub(r"`\1`", cause.fix or "")
        raise
