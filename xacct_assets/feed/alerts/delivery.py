"""Delivers a message: to the SNS topic of the installation, and to the addresses in the settings.

XACCT_ALERT_URLS holds addresses of Apprise (Slack, Teams, PagerDuty, webhooks and a hundred more).
They contain tokens, so only their schemes are ever shown.
"""

from __future__ import annotations

from collections.abc import Iterator

from xacct_assets.aws.errors import AwsFailure
from xacct_assets.aws_clients import AwsClients
from xacct_assets.feed.alerts.message import Message, NotSent

URLS = "XACCT_ALERT_URLS"


def deliver(message: Message, aws: AwsClients) -> list[str]:
    """Deliver a message to everyone.

    Returns:
        Why it could not be delivered to some of them.

    Raises:
        NotSent: nobody got it.
    """
    failures, reached = [], 0
    for failure in _attempts(message, aws):
        if failure is None:
            reached += 1
        else:
            failures.append(failure)
    if not reached:
        raise NotSent(f"{message.subject!r} was not sent. " + "\n".join(failures))
    return failures


def _attempts(message: Message, aws: AwsClients) -> Iterator[str | None]:
    """For each address why the message could not be delivered to it, or None."""
    try:
        aws.publish_alert(message.subject, message.text, message.attributes)
        yield None
    except AwsFailure as failure:
        yield str(failure)
    for url in aws.alert_urls():
        yield _notify(url, message)


def _notify(url: str, message: Message) -> str | None:
    scheme = url.partition("://")[0]
    try:
        import apprise
    except ImportError:
        return f"{URLS} needs Apprise: pip install 'xacct-assets[alerts]'"
    notifier = apprise.Apprise()
    if not notifier.add(url):
        return (
            f"{URLS}: an address {scheme}://… is none that Apprise knows; see "
            "https://github.com/caronc/apprise/wiki for its form"
        )
    if not notifier.notify(title=message.subject, body=message.text):
        return (
            f"{scheme}://… of {URLS} did not take the message; try `apprise -vv -b test <address>` "
            "for the reason"
        )
    return None
