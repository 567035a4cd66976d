"""A crawl that may not use the key of the raw files names key, account and role."""

from __future__ import annotations

from datetime import UTC, date, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from xacct_assets.aws.denials import denial_in
from xacct_assets.aws.errors import CrawlFailed
from xacct_assets.feed.raw_files import naming_denied_key
from xacct_assets.feed.spec import FeedSpec

KEY = "arn:aws:kms:us-east-1:111111111111:key/1234"
DAY = date(2026, 4, 10)
UNNAMED = (
    "Insufficient permissions: User: arn:aws:sts::222222222222:assumed-role/xacct-glue-local/x is "
    "not authorized to perform: kms:Decrypt on the resource associated with this ciphertext "
    "because the resource does not exist in this Region"
)


class Clients:
    """Account A's raw bucket with one file under a key."""

    settings = SimpleNamespace(account_a="111111111111")

    def __init__(self, key: str | None) -> None:
        self._key, self.asked = key, 0

    def raw_bucket(self, feed: FeedSpec) -> Any:
        item = SimpleNamespace(key="products/a.csv", last_modified=datetime.now(UTC))

        def survey_all(prefixes: list[str], *_: Any, **__: Any) -> dict[str, Any]:
            return {prefix: SimpleNamespace(objects=[item]) for prefix in prefixes}

        return SimpleNamespace(bucket="raw", survey_all=survey_all)

    def client(self, service: str) -> Any:
        def head_object(**location: str) -> dict[str, str]:
            self.asked += 1
            assert location["Key"] == "products/a.csv"
            return {} if self._key is None else {"SSEKMSKeyId": self._key}

        return SimpleNamespace(head_object=head_object)


def failure_of(feed: FeedSpec, clients: Clients, message: str) -> CrawlFailed:
    with pytest.raises(CrawlFailed) as caught, naming_denied_key(feed, clients, [DAY]):  # type: ignore[arg-type]
        raise CrawlFailed("the crawl failed", reason=message, **denial_in(message))  # type: ignore[arg-type]
    return caught.value


def test_the_key_that_kms_does_not_name_is_named(feed: FeedSpec) -> None:
    text = str(failure_of(feed, Clients(KEY), UNNAMED))
    assert "principal: arn:aws:sts::222222222222:assumed-role/xacct-glue-local/x" in text
    assert f"action: kms:Decrypt\n  resource: {KEY}\n  account: 111111111111" in text


@pytest.mark.parametrize(
    "message",
    [
        UNNAMED.replace("the resource associated with this ciphertext", f"resource: {KEY}"),
        "x is not authorized to perform: s3:GetObject on resource: arn:aws:s3:::raw/a.csv",
        "the schema cannot be read",
    ],
)
def test_nothing_is_asked_of_another_failure(feed: FeedSpec, message: str) -> None:
    clients = Clients(KEY)
    failure_of(feed, clients, message)
    assert clients.asked == 0
