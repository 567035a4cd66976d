"""One boto3 session per account and role, with credentials that refresh themselves.

botocore refreshes temporary credentials from a profile or a container itself; a role assumed here
uses the same mechanism. Keys are never copied out of botocore, because a run of six hours outlives
any set of temporary keys. See `credentials` for keys that expire early.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from xacct_assets.aws.botocore_errors import aws_call, error_code
from xacct_assets.aws.credentials import RenewableCredentials, install
from xacct_assets.aws.service_models import use_shared
from xacct_assets.contract.denied_keys import name_denied_keys, name_denied_secret_keys

if TYPE_CHECKING:
    import boto3
    from botocore.config import Config
    from botocore.session import Session

#: Seconds. Above the longest long poll of the services used, which is 30 s.
READ_TIMEOUT = 75
CONNECT_TIMEOUT = 10
MAX_ATTEMPTS = 6
#: The longest a role assumed from a role's credentials may last (AWS limit on role chaining).
ROLE_SECONDS = 3600


class Sessions:
    """Builds and keeps boto3 clients. Safe to share between threads.

    Args:
        region: the Region of all clients.
        profile: an AWS profile; without it botocore's own search order applies.
        session_name: name of assumed-role sessions, shown in CloudTrail.
        now: clock for the expiry of a role's credentials; for tests.
    """

    def __init__(
        self,
        region: str,
        profile: str | None = None,
        *,
        session_name: str = "xacct-assets",
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.region = region
        self.profile = profile
        self._session_name = session_name
        self._lock = threading.RLock()
        self._now = now
        self._sessions: dict[tuple[str | None, str | None], Any] = {}
        self._credentials: dict[tuple[str | None, str | None], RenewableCredentials | None] = {}
        self._clients: dict[tuple[str, str | None, str | None], Any] = {}
        self._principals: dict[tuple[str | None, str | None], str] = {}

    def client(
        self, service: str, *, role_arn: str | None = None, external_id: str | None = None
    ) -> Any:
        """The boto3 client of a service, as the base identity or as a role assumed from it.

        Raises:
            CredentialsProblem: the profile does not exist.
        """
        key = (service, role_arn, external_id)
        with self._lock:
            if key not in self._clients:
                session = self._session(role_arn, external_id)
                client = session.client(service, config=_config())
                name = client.meta.service_model.service_id.hyphenize()
                credentials = self._credentials[role_arn, external_id]
                if credentials is not None:
                    # Before botocore's own rule, which does not repeat a denied request.
                    client.meta.events.register_first(
                        f"needs-retry.{name}", credentials.renew_if_expired
                    )
                client.meta.events.register(
                    f"after-call.{name}",
                    lambda parsed, model, http_response, **_: (
                        self._add_principal(parsed, model.name, role_arn, external_id)
                        # A successful answer may have a field "Error" too.
                        if http_response.status_code >= 300
                        else None
                    ),
                )
                if service == "s3":
                    name_denied_keys(client)
                name_denied_secret_keys(
                    client,
                    service,
                    partial(
                        self.client, "secretsmanager", role_arn=role_arn, external_id=external_id
                    ),
                    partial(self._principal, role_arn, external_id),
                )
                self._clients[key] = client
            return self._clients[key]

    def identity(
        self, *, role_arn: str | None = None, external_id: str | None = None
    ) -> tuple[str, str]:
        """(account id, principal ARN) of the credentials in use."""
        with aws_call("sts:GetCallerIdentity", "the credentials in use"):
            answer = self.client(
                "sts", role_arn=role_arn, external_id=external_id
            ).get_caller_identity()
        return answer["Account"], answer["Arn"]

    def _session(self, role_arn: str | None, external_id: str | None) -> Any:
        key = (role_arn, external_id)
        if key not in self._sessions:
            if role_arn is None:
                with aws_call("sts:GetCallerIdentity", f"AWS profile {self.profile!r}"):
                    boto_session, core_session = self._new_session()
                    found = core_session.get_component("credential_provider").load_credentials()
                search: Callable[[], Any] = self._base_credentials
            else:
                boto_session, core_session = self._new_session()
                search = partial(self._role_credentials, role_arn, external_id)
                found = search()
            self._credentials[key] = install(core_session, found, search)
            self._sessions[key] = boto_session
        return self._sessions[key]

    def _new_session(self) -> tuple[boto3.Session, Session]:
        """A new boto3 session, and the botocore session in it."""
        import boto3
        from botocore.session import Session

        core_session = _parse_times_fast(Session())
        use_shared(core_session)
        boto_session = boto3.Session(
            profile_name=self.profile, region_name=self.region, botocore_session=core_session
        )
        return boto_session, core_session

    def _base_credentials(self) -> Any:
        boto_session, _ = self._new_session()
        return boto_session.get_credentials()

    def _role_credentials(self, role_arn: str, external_id: str | None) -> Any:
        from botocore.credentials import DeferredRefreshableCredentials

        sts = self.client("sts")
        request = {
            "RoleArn": role_arn,
            "RoleSessionName": self._session_name,
            "DurationSeconds": ROLE_SECONDS,
        }
        if external_id is not None:
            request["ExternalId"] = external_id

        def refresh() -> dict[str, str]:
            with aws_call("sts:AssumeRole", role_arn):
                credentials = sts.assume_role(**request)["Credentials"]
            return {
                "access_key": credentials["AccessKeyId"],
                "secret_key": credentials["SecretAccessKey"],
                "token": credentials["SessionToken"],
                "expiry_time": credentials["Expiration"].isoformat(),
            }

        return DeferredRefreshableCredentials(
            refresh_using=refresh, method="assume-role", time_fetcher=self._now
        )

    def _add_principal(
        self,
        parsed: dict[str, Any],
        operation: str,
        role_arn: str | None,
        external_id: str | None,
    ) -> None:
        """Add the caller to a denial, because S3 says only "Access Denied"."""
        error = parsed.get("Error", {})
        denied = "AccessDenied" in str(error.get("Code", "")) or error.get("Code") == "403"
        if denied and operation != "GetCallerIdentity":
            error["Principal"] = self._principal(role_arn, external_id)

    def _principal(self, role_arn: str | None, external_id: str | None) -> str:
        key = (role_arn, external_id)
        if key not in self._principals:
            from botocore.exceptions import BotoCoreError, ClientError

            try:
                answer = self.client(
                    "sts", role_arn=role_arn, external_id=external_id
                ).get_caller_identity()
            except (BotoCoreError, ClientError) as error:
                # The denial is still reported, without the caller.
                return f"unknown (asking who we are failed: {error_code(error) or error})"
            self._principals[key] = str(answer["Arn"])
        return self._principals[key]


def profile_of_role(role_arn: str) -> str | None:
    """The first profile of the configuration files that assumes the role; None if there is none."""
    from botocore.exceptions import BotoCoreError
    from botocore.session import Session

    try:
        profiles = Session().full_config["profiles"]
    except BotoCoreError:
        return None
    return next(
        (name for name, fields in profiles.items() if fields.get("role_arn") == role_arn), None
    )


def _parse_times_fast(session: Session) -> Session:
    """Make the session's clients parse ISO times without dateutil.

    dateutil guesses the format of every time, which is half of the work on a page of an S3 listing
    with up to 1,000 objects. The AWS CLI sets a parser in the same way.
    """
    session.get_component("response_parser_factory").set_parser_defaults(
        timestamp_parser=_parse_time
    )
    return session


def _parse_time(value: Any) -> datetime:
    from botocore.utils import parse_timestamp

    if isinstance(value, str):
        try:
            read = datetime.fromisoformat(value)
        except ValueError:
            # Seconds since 1970, or the format of HTTP headers: few of these in an answer.
            return parse_timestamp(value)
        # Only with a zone: botocore returns naive times otherwise, and takes a number such as
        # 20260101 for seconds where Python takes it for a date.
        if read.tzinfo is not None:
            return read
    return parse_timestamp(value)


def _config() -> Config:
    from botocore.config import Config

    return Config(
        retries={"mode": "standard", "total_max_attempts": MAX_ATTEMPTS},
        connect_timeout=CONNECT_TIMEOUT,
        read_timeout=READ_TIMEOUT,
        max_pool_connections=20,
        tcp_keepalive=True,
        user_agent_extra="xacct_assets",
    )
