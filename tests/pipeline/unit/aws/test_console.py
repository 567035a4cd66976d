"""Addresses of pages of the AWS Console."""

import pytest

from xacct_assets.aws.console import Console, default_url

US = Console("https://us-east-1.console.aws.amazon.com", "us-east-1")


@pytest.mark.parametrize(
    ("region", "partition", "url"),
    [
        ("eu-west-1", "aws", "https://eu-west-1.console.aws.amazon.com"),
        ("cn-north-1", "aws-cn", "https://cn-north-1.console.amazonaws.cn"),
        ("us-gov-west-1", "aws-us-gov", "https://us-gov-west-1.console.amazonaws-us-gov.com"),
    ],
)
def test_each_partition_has_a_console_of_its_own(region: str, partition: str, url: str) -> None:
    assert default_url(region, partition) == url


def test_pages_have_the_addresses_that_the_console_gives_them() -> None:
    base = "https://us-east-1.console.aws.amazon.com"
    assert US.job_run("load", "jr_1") == (
        f"{base}/gluestudio/home?region=us-east-1#/job/load/run/jr_1"
    )
    assert US.crawler("daily") == (
        f"{base}/glue/home?region=us-east-1#/v2/data-catalog/crawlers/view/daily"
    )
    assert US.log_stream("/aws-glue/jobs/error", "jr_1") == (
        f"{base}/cloudwatch/home?region=us-east-1"
        "#logsV2:log-groups/log-group/$252Faws-glue$252Fjobs$252Ferror/log-events/jr_1"
    )
    assert US.s3_folder("work", "rejects/products/2026/01/31/") == (
        f"{base}/s3/buckets/work?region=us-east-1&prefix=rejects/products/2026/01/31/"
    )


def test_names_with_unusual_characters_stay_in_their_place() -> None:
    assert US.job_run("a/b c#d", "jr").endswith("#/job/a%2Fb%20c%23d/run/jr")
    assert US.crawler("a&b?").endswith("/view/a%26b%3F")
    assert US.log_stream("/a b", "s/t").endswith("log-group/$252Fa$2520b/log-events/s$252Ft")
    assert US.s3_folder("work", "a&b=é/").endswith("&prefix=a%26b%3D%C3%A9/")


def test_another_console_takes_the_place_of_awss() -> None:
    ours = Console("http://127.0.0.1:4567", "us-east-1")
    assert ours.job_run("load", "jr_1").startswith("http://127.0.0.1:4567/gluestudio/home?")
