"""The AWS clients of one installation, built from the settings when first used.

Knows nothing of Dagster: the command line uses the same object. One instance per process is enough;
the clients refresh their credentials.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from xacct_assets.aws.denials import set_permission_hints
from xacct_assets.contract.logins import ROTATION_WINDOW
from xacct_assets.iam_hints import grant_hint
from xacct_assets.key_settings import CREATE

if TYPE_CHECKING:
    from xacct_assets.aws.console import Console
    from xacct_assets.aws.glue.catalog import Catalog
    from xacct_assets.aws.glue.crawler import Crawler
    from xacct_assets.aws.glue.job import GlueJob
    from xacct_assets.aws.redshift.data_api import DataApi
    from xacct_assets.aws.redshift.serverless import WorkgroupDescription
    from xacct_assets.aws.redshift.warehouse import Warehouse
    from xacct_assets.aws.s3.exports import Exports
    from xacct_assets.aws.s3.raw_bucket import RawBucket
    from xacct_assets.aws.s3.rejects import Rejects
    from xacct_assets.aws.secretsmanager import WarehouseCredentials
    from xacct_assets.aws.sessions import Sessions
    from xacct_assets.aws.sqs import Notifications
    from xacct_assets.feed.spec import FeedSpec
    from xacct_assets.settings import Settings

logger = logging.getLogger(__name__)

T = TypeVar("T")


class AwsClients:
    """Clients for one installation (two accounts, one suffix). Thread-safe.

    Args:
        settings: names, accounts and Region of the installation.
        env: environment variables with the fall-back login to Redshift; default: the process's.
        rotation_window: seconds for which a refused login to Redshift is tried again.
        answer_within: seconds in which Redshift must answer over the wire; None: those of
            `Warehouse`, which suit long statements.
    """

    def __init__(
        self,
        settings: Settings,
        env: Mapping[str, str] | None = None,
        *,
        rotation_window: float = ROTATION_WINDOW,
        answer_within: float | None = None,
    ) -> None:
        set_permission_hints(grant_hint)
        self.settings = settings
        self._env = os.environ if env is None else env
        self._rotation_window = rotation_window
        self._answer_within = answer_within
        self._lock = threading.RLock()
        self._built: dict[object, Any] = {}

    def _once(self, key: object, build: Callable[[], T]) -> T:
        with self._lock:
            if key not in self._built:
                self._built[key] = build()
            return self._built[key]  # type: ignore[no-any-return]

    @property
    def sessions(self) -> Sessions:
        """boto3 clients with the identity of this process."""
        from xacct_assets.aws.sessions import Sessions

        return self._once("sessions", lambda: Sessions(self.settings.region))

    def client(self, service: str) -> Any:
        """The boto3 client of an AWS service."""
        return self.sessions.client(service)

    @property
    def console(self) -> Console:
        """Addresses of pages of the AWS Console."""
        from xacct_assets.aws.console import Console

        return Console(self.settings.console_url, self.settings.region)

    def input_bucket(self, feed: FeedSpec) -> str:
        """Name of the feed's raw bucket, in account A."""
        return feed.source.bucket or self.settings.input_bucket

    def export_bucket(self, feed: FeedSpec) -> str:
        """Name of the feed's export bucket, in account A."""
        return feed.export.bucket or self.settings.export_bucket

    def raw_bucket(self, feed: FeedSpec) -> RawBucket:
        """The feed's raw files in account A."""
        from xacct_assets.aws.s3.raw_bucket import RawBucket

        bucket = self.input_bucket(feed)
        return self._once(
            ("raw_bucket", bucket),
            lambda: RawBucket(self.client("s3"), bucket, self.settings.account_a),
        )

    def notifications(self, feed: FeedSpec) -> Notifications:
        """S3's notifications of new raw files; one object for each queue.

        Raises:
            NotFound, AccessDenied: the queue is missing or must not be read.
        """
        from xacct_assets.aws.botocore_errors import aws_call
        from xacct_assets.aws.sqs import Notifications

        name = self.queue_name(feed)

        def build() -> Notifications:
            sqs = self.client("sqs")
            account = self.settings.account_b
            arn = f"arn:{self.settings.partition}:sqs:{self.settings.region}:{account}:{name}"
            with aws_call("sqs:GetQueueUrl", arn, account=account):
                url = sqs.get_queue_url(QueueName=name, QueueOwnerAWSAccountId=account)["QueueUrl"]
            return Notifications(sqs, url)

        return self._once(("notifications", name), build)

    def queue_name(self, feed: FeedSpec) -> str:
        """Name of the queue in account B that S3 notifies of the feed's new files."""
        return feed.arrival.queue or f"xacct-arrivals-{self.settings.suffix}"

    def dead_letters(self, queue: str) -> tuple[str, int]:
        """Name of the dead-letter queue of a queue in account B, and how many messages it holds.

        Raises:
            NotFound, AccessDenied: a queue is missing or must not be read.
        """
        from xacct_assets.aws.queue_attributes import count_dead_letters

        return count_dead_letters(self.client("sqs"), queue, self.settings.account_b)

    def publish_alert(
        self, subject: str, text: str, attributes: Mapping[str, str | Sequence[str]]
    ) -> None:
        """Publish a message to the installation's topic for alerts.

        Raises:
            NotFound, AccessDenied: the topic is missing or must not be published to.
        """
        from xacct_assets.aws.sns import publish

        publish(self.client("sns"), self.settings.alerts_topic_arn, subject, text, attributes)

    def alert_urls(self) -> list[str]:
        """Addresses of Apprise that get the alerts too. They hold tokens: never show them."""
        return self._env.get("XACCT_ALERT_URLS", "").split()

    @property
    def crawler(self) -> Crawler:
        """Glue crawlers."""
        from xacct_assets.aws.glue.crawler import Crawler

        return self._once("crawler", lambda: Crawler(self.client("glue")))

    @property
    def catalog(self) -> Catalog:
        """The Glue Data Catalog."""
        from xacct_assets.aws.glue.catalog import Catalog

        return self._once("catalog", lambda: Catalog(self.client("glue")))

    @property
    def glue_job(self) -> GlueJob:
        """Glue jobs and their logs."""
        from xacct_assets.aws.glue.job import GlueJob

        return self._once(
            "glue_job",
            lambda: GlueJob(self.client("glue"), self.console, self.client("logs")),
        )

    @property
    def data_api(self) -> DataApi:
        """The Redshift Data API. It reads the secret itself, or logs in as the caller, by IAM."""
        from xacct_assets.aws.redshift.data_api import DataApi

        return self._once(
            "data_api",
            lambda: DataApi(
                self.client("redshift-data"),
                self.settings.workgroup,
                self.settings.database,
                self._data_api_secret(),
                rotation_window=self._rotation_window,
            ),
        )

    @property
    def warehouse(self) -> Warehouse:
        """Redshift over its wire protocol. A refused login is read anew."""
        return self._once("warehouse", self._new_warehouse)

    def _new_warehouse(self) -> Warehouse:
        from xacct_assets.aws.redshift.warehouse import Warehouse
        from xacct_assets.network_paths import missing_in_network

        seconds, window = self._answer_within, self._rotation_window
        if seconds is None:
            return Warehouse(
                self.warehouse_credentials,
                rotation_window=window,
                explain=partial(missing_in_network, self.settings, self.client),
            )
        return Warehouse(
            self.warehouse_credentials,
            connect_timeout=seconds,
            login_timeout=seconds,
            statement_timeout=seconds,
            rotation_window=window,
        )

    def exports(self, feed: FeedSpec) -> Exports:
        """The feed's exports in account A."""
        from xacct_assets.aws.s3.exports import Exports

        bucket = self.export_bucket(feed)
        return self._once(
            ("exports", bucket),
            lambda: Exports(self.client("s3"), bucket, self.settings.account_a),
        )

    def export_key(self, feed: FeedSpec | None = None) -> str | None:
        """The ARN of the KMS key that UNLOAD encrypts a feed's files with; None: S3's own keys.

        A key that the template of account A made is found by its alias: UNLOAD takes key ids, and
        an alias would be looked for in the account of the caller.

        Args:
            feed: whose own ``export.kms_key`` takes precedence.

        Raises:
            AccessDenied, NotFound: the key cannot be looked up.
        """
        from xacct_assets.aws.botocore_errors import aws_call

        settings = self.settings
        given = (feed and feed.export.kms_key) or settings.keys.export
        if given != CREATE:
            return given or None
        alias = settings.alias_of("export")

        def find() -> str:
            with aws_call("kms:DescribeKey", alias, account=settings.account_a):
                return str(self.client("kms").describe_key(KeyId=alias)["KeyMetadata"]["Arn"])

        return self._once("export_key", find)

    def rejects(self, feed: FeedSpec) -> Rejects:
        """The feed's rejected rows in account B."""
        from xacct_assets.aws.s3.rejects import Rejects

        return self._once(
            ("rejects", feed.name),
            lambda: Rejects(
                self.client("s3"),
                self.settings.processing_bucket,
                self.settings.account_b,
                feed.name,
            ),
        )

    def warehouse_credentials(self) -> WarehouseCredentials:
        """The login to Redshift: by IAM if the settings say so, else from the secret.

        Without the secret it is from XACCT_REDSHIFT_HOST and its siblings.

        Raises:
            NotFound: there is no way to log in.
            AccessDenied, SecretInvalid: the secret, or the identity, cannot be used.
        """
        if self.settings.logs_in_by_iam:
            from xacct_assets.aws.redshift.iam_login import temporary_credentials

            client = self.client("redshift-serverless")
            return temporary_credentials(client, self.workgroup(), self.settings.database)
        from xacct_assets.aws.errors import AccessDenied, NotFound
        from xacct_assets.aws.secretsmanager import from_environment, read_warehouse_credentials

        name = self.settings.redshift_secret
        try:
            return read_warehouse_credentials(self.client("secretsmanager"), name)
        except (NotFound, AccessDenied) as absent:
            # Secrets Manager denies access to a secret that the role may not read, whether or not
            # it exists. So a role that may read one secret gets AccessDenied for any other name.
            if not self._env.get("XACCT_REDSHIFT_HOST"):
                raise
            logger.info("XACCT_REDSHIFT_* is used to log in to Redshift: %s", absent.what)
            return from_environment(self._env, database=self.settings.database)

    def workgroup(self) -> WorkgroupDescription:
        """The workgroup, and where clients connect to; looked up once.

        Raises:
            NotFound, AccessDenied: it is missing or must not be seen.
        """
        from xacct_assets.aws.redshift.serverless import Serverless

        settings = self.settings

        def look_up() -> WorkgroupDescription:
            found = Serverless(self.client("redshift-serverless")).workgroup(settings.workgroup)
            return found.reached_at(settings.warehouse_host, settings.warehouse_port)

        return self._once("workgroup", look_up)

    def job_warehouse_url(self) -> str:
        """Where the load job logs in by IAM; empty if its Glue connection has the login."""
        if not self.settings.logs_in_by_iam:
            return ""
        from xacct_assets.aws.redshift.iam_login import jdbc_url

        return jdbc_url(self.workgroup(), self.settings.database)

    def _data_api_secret(self) -> str | None:
        if self.settings.logs_in_by_iam:
            return None
        if self.settings.data_api_secret:
            return self.settings.data_api_secret
        credentials = self.warehouse.credentials
        if credentials.secret_arn is None or not credentials.data_api_compatible:
            return self._json_form_of_adopted_secret()
        return credentials.secret_arn

    def _json_form_of_adopted_secret(self) -> str:
        """The JSON secret that `xacct deploy` made of an adopted secret that is a URI."""
        from xacct_assets.aws.botocore_errors import aws_call
        from xacct_assets.aws.errors import AccessDenied, NotFound, SecretInvalid

        name = self.settings.json_secret
        try:
            with aws_call("secretsmanager:DescribeSecret", name):
                return str(self.client("secretsmanager").describe_secret(SecretId=name)["ARN"])
        except (NotFound, AccessDenied) as absent:
            raise SecretInvalid(
                f"The Data API cannot log in with {self.settings.redshift_secret}",
                reason='it reads only JSON secrets with "username" and "password", and there is '
                f"no {name}",
                fix="add secret to XACCT_ADOPT and run `xacct deploy`, which makes one; or set "
                "XACCT_DATA_API_SECRET to such a secret of the same database user",
            ) from absent
