"""What the checks look at: the settings, the feeds, the clients, and what was deployed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from xacct_assets.aws.errors import AwsFailure, NotFound
from xacct_assets.aws.stack_reading import StackDescription, describe_stack
from xacct_assets.operations.deployment import plan
from xacct_assets.operations.deployment.accounts import Accounts
from xacct_assets.operations.deployment.templates import Template
from xacct_assets.operations.doctor.findings import NotProven
from xacct_assets.sources import sources_root

if TYPE_CHECKING:
    from xacct_assets.aws.sessions import Sessions
    from xacct_assets.aws_clients import AwsClients
    from xacct_assets.feed.spec import FeedSpec
    from xacct_assets.settings import Settings

T = TypeVar("T")


class Installation:
    """One installation, as the orchestrator sees it, and account A's part as its profile sees it.

    Args:
        aws: the pipeline's clients, with the credentials that runs use.
        feeds: all feeds of the settings.
        checked: names of the feeds to check; empty for all.
    """

    def __init__(
        self, aws: AwsClients, feeds: Sequence[FeedSpec], checked: Collection[str] = ()
    ) -> None:
        self.aws = aws
        self.feeds = tuple(feeds)
        self.checked = tuple(feed for feed in feeds if not checked or feed.name in checked)
        self._lock = threading.Lock()
        self._locks: dict[str, threading.Lock] = {}
        self._read: dict[str, Any] = {}

    @property
    def settings(self) -> Settings:
        """Names of the installation."""
        return self.aws.settings

    @cached_property
    def root(self) -> Path:
        """The folder with infra/, glue/ and sql/."""
        return sources_root()

    def admin_of_a(self) -> Sessions:
        """Clients of XACCT_ACCOUNT_A_PROFILE.

        Raises:
            NotProven: there is none, or it is of another account.
        """
        profile = self.settings.account_a_profile
        if profile is None:
            raise NotProven(
                "XACCT_ACCOUNT_A_PROFILE is not set, and only account A can read this",
                "set it to a profile that may read account A, or let account A's administrator run "
                "`xacct deploy --account a`, which changes nothing where nothing differs",
            )
        try:
            return self._once("account A", self._verified_a)
        except AwsFailure as failure:
            raise NotProven(failure.what, failure.fix) from failure

    def _verified_a(self) -> Sessions:
        accounts = Accounts(self.settings)
        accounts.verify("a")
        return accounts.sessions["a"]

    def stack(self, name: str) -> StackDescription:
        """A stack of account B.

        Raises:
            NotFound: there is none.
        """
        stack = self._once(
            f"stack {name}", lambda: describe_stack(self.aws.client("cloudformation"), name)
        )
        if stack is None:
            raise NotFound(f"there is no stack {name}", fix="`xacct deploy`")
        return stack

    def template_b(self) -> Template:
        """Account B's template, with the parameters that are deployed."""
        return self._once("template of B", self._template_b)

    def _template_b(self) -> Template:
        settings = self.settings
        stack = self.stack(settings.stack_b)
        text = plan.template(self.root, "account_b.yaml")
        known = {}
        if secret := stack.outputs.get("RedshiftSecretArn"):
            known["RedshiftSecret"] = secret
        for name, arn in self._warehouse_arns().items():
            known[name] = arn
        return Template(text, stack.parameters, self._pseudo(settings.account_b), known)

    def template_of(self, feed: FeedSpec) -> Template:
        """The feed's template, with the parameters that its settings give."""
        return self._once(f"template of {feed.name}", lambda: self._template_of(feed))

    def _template_of(self, feed: FeedSpec) -> Template:
        outputs = self.stack(self.settings.stack_b).outputs
        planned = plan.feed_stack(self.settings, self.root, feed, outputs)
        deployed = self.stack(planned.name).parameters
        return Template(
            planned.template,
            {**deployed, **planned.parameters},
            self._pseudo(self.settings.account_b),
        )

    def template_a(self) -> Template:
        """Account A's template, with the parameters that the settings give."""
        return self._once("template of A", self._template_a)

    def _template_a(self) -> Template:
        outputs = self.stack(self.settings.stack_b).outputs
        planned = plan.account_a(self.settings, self.root, outputs, self.feeds)
        pseudo = self._pseudo(self.settings.account_a)
        return Template(planned.template, planned.parameters, pseudo)

    def _warehouse_arns(self) -> dict[str, str]:
        """The ARNs of workgroup and namespace, as far as they can be read."""
        client = self.aws.client("redshift-serverless")

        def read() -> dict[str, str]:
            workgroup = client.get_workgroup(workgroupName=self.settings.workgroup)["workgroup"]
            found = {"Workgroup.Workgroup.WorkgroupArn": str(workgroup["workgroupArn"])}
            namespace = client.get_namespace(namespaceName=workgroup["namespaceName"])["namespace"]
            return {**found, "Namespace.Namespace.NamespaceArn": str(namespace["namespaceArn"])}

        try:
            return self._once("warehouse ARNs", read)
        except Exception:  # noqa: BLE001 -- its own check reports it; here the ARNs stay unknown
            return {}

    def _pseudo(self, account: str) -> dict[str, str]:
        return {
            "AWS::Partition": self.settings.partition,
            "AWS::Region": self.settings.region,
            "AWS::AccountId": account,
            "AWS::URLSuffix": "amazonaws.com" + (".cn" if "cn-" in self.settings.region else ""),
        }

    def _once(self, key: str, read: Callable[[], T]) -> T:
        """The answer to a question that several checks ask. A failure is not kept."""
        with self._lock:
            own = self._locks.setdefault(key, threading.Lock())
        with own:
            if key not in self._read:
                self._read[key] = read()
            return self._read[key]  # type: ignore[no-any-return]
