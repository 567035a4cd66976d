"""What AWS bills, in US dollars: list prices of us-east-1 (N. Virginia), without free tiers.

As remembered from the services' pricing pages of 2025, not looked up since: check them against your
Region's before you rely on sums. Only what differs between two orchestrators is here: S3, Redshift
and the network cost both the same.
"""

from __future__ import annotations

from collections.abc import Iterable

HOURS_A_MONTH = 730

GLUE_DPU_HOUR = 0.44
"""AWS Glue pricing: Spark jobs (Glue 2.0 and later) and crawlers, a DPU-hour."""
JOB_MINIMUM_SECONDS = 60.0
"""The same page: jobs are billed by the second, with a 1-minute minimum."""
CRAWL_MINIMUM_SECONDS = 600.0
"""The same page: crawlers are billed by the second, with a 10-minute minimum for each crawl."""
CRAWL_DPUS = 2
"""What Glue gives a small crawl (DPUHour of its history divided by its hours)."""
JOB_DPUS = 2
"""Two workers of type G.1X, with which both jobs run."""

MWAA_SMALL_HOUR = 0.49
"""Amazon MWAA pricing: environment of class mw1.small: scheduler, web server and one worker."""
MWAA_METADATA_GB_MONTH = 0.10
"""The same page: metadata database storage; 10 GB are assumed."""
MWAA_METADATA_GB = 10

FARGATE_VCPU_HOUR = 0.04048
"""AWS Fargate pricing: Linux/x86."""
FARGATE_GB_HOUR = 0.004445
FARGATE_VCPUS, FARGATE_GB = 1, 2
"""One task that holds web server, daemon, code location and up to eight runs (120 MB each)."""
RDS_T4G_MICRO_HOUR = 0.016
"""Amazon RDS for PostgreSQL pricing: db.t4g.micro, Single-AZ, for Dagster's storage."""
RDS_GP3_GB_MONTH = 0.115
RDS_GB = 20


def jobs(seconds: Iterable[float]) -> float:
    """Dollars for job runs of these lengths."""
    return _glue(JOB_DPUS, JOB_MINIMUM_SECONDS, seconds)


def crawls(seconds: Iterable[float]) -> float:
    """Dollars for crawls of these lengths."""
    return _glue(CRAWL_DPUS, CRAWL_MINIMUM_SECONDS, seconds)


def _glue(dpus: int, least: float, seconds: Iterable[float]) -> float:
    return sum(max(least, each) for each in seconds) / 3600 * dpus * GLUE_DPU_HOUR


def billed_minutes(least: float, seconds: Iterable[float]) -> float:
    """Minutes that are billed for work of these lengths."""
    return sum(max(least, each) for each in seconds) / 60


def mwaa_month() -> float:
    """Dollars a month for the smallest environment, with nothing to do."""
    return MWAA_SMALL_HOUR * HOURS_A_MONTH + MWAA_METADATA_GB_MONTH * MWAA_METADATA_GB


def dagster_month() -> float:
    """Dollars a month for Dagster on ECS with its database, with nothing to do."""
    task = FARGATE_VCPUS * FARGATE_VCPU_HOUR + FARGATE_GB * FARGATE_GB_HOUR
    return (task + RDS_T4G_MICRO_HOUR) * HOURS_A_MONTH + RDS_GP3_GB_MONTH * RDS_GB
