"""Options of a crawler that the sandbox does not support are refused by name."""

from __future__ import annotations

import pytest

from xacct_sandbox.glue.crawler.settings import CrawlerSettings, InvalidCrawler


@pytest.mark.parametrize(
    ("option", "named"),
    [
        ({"RecrawlPolicy": {"RecrawlBehavior": "CRAWL_EVENT_MODE"}}, "CRAWL_EVENT_MODE"),
        (
            {
                "RecrawlPolicy": {"RecrawlBehavior": "CRAWL_NEW_FOLDERS_ONLY"},
                "SchemaChangePolicy": {"UpdateBehavior": "UPDATE_IN_DATABASE"},
            },
            "only LOG",
        ),
        ({"Classifiers": ["custom"]}, "Classifiers"),
        ({"Schedule": "cron(0 0 * * ? *)"}, "Schedule"),
        ({"Targets": {"JdbcTargets": [{"Path": "x"}]}}, "JdbcTargets"),
        ({"Targets": {"S3Targets": []}}, "crawl target"),
        ({"Targets": {"S3Targets": [{"Path": "s3://b/", "SampleSize": 250}]}}, "SampleSize 250"),
        ({"Targets": {"S3Targets": [{"Path": "s3://b/", "EventQueueArn": "q"}]}}, "EventQueueArn"),
        ({"Targets": {"S3Targets": [{"Path": "s3://b/", "Exclusions": ["["]}]}}, "exclude pattern"),
        ({"Targets": {"S3Targets": [{"Path": "file:///x"}]}}, "not an S3 path"),
        ({"Configuration": "{"}, "not JSON"),
        ({"Configuration": '{"Version": 2.0}'}, "Version"),
        (
            {"Configuration": '{"Version": 1.0, "CreatePartitionIndex": "no"}'},
            "CreatePartitionIndex",
        ),
        (
            {"Configuration": '{"Version": 1.0, "Grouping": {"TableLevelConfiguration": 2}}'},
            "Grouping.TableLevelConfiguration",
        ),
        ({"LineageConfiguration": {"CrawlerLineageSettings": "ENABLE"}}, "Lineage"),
        ({"TablePrefix": "x" * 65}, "TablePrefix"),
    ],
)
def test_an_unsupported_option_of_a_crawler_is_refused_by_name(option, named):
    definition = {"Name": "c", "Targets": {"S3Targets": [{"Path": "s3://b/p"}]}, **option}
    with pytest.raises(InvalidCrawler, match=named):
        CrawlerSettings.from_definition(definition)
