"""Finds and removes everything that a run of the claims has made, by the prefix of its names."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from botocore.exceptions import ClientError

from tests.conformance.target import Account, Target

GONE = {
    "EntityNotFoundException",
    "NoSuchBucket",
    "NoSuchEntity",
    "NotFound",
    "ResourceNotFoundException",
    "AWS.SimpleQueueService.NonExistentQueue",
    "QueueDoesNotExist",
}


@dataclass(frozen=True)
class Leftover:
    """Something that a run has made.

    Attributes:
        kind: for people.
        name: as AWS calls it.
        account: its id.
        remove: deletes it; once it returns, it is gone or going.
    """

    kind: str
    name: str
    account: str
    remove: Callable[[], Any]

    def __str__(self) -> str:
        return f"{self.kind} {self.name} (account {self.account})"


def leftovers(target: Target) -> list[Leftover]:
    """What is there of a run, in the order in which it can be removed."""
    found: list[Leftover] = []
    for account in (target.a, target.b):
        for kind, name, remove in _of(account, target.prefix):
            found.append(Leftover(kind, name, account.id, remove))
    return found


def remove_everything(target: Target, patience: float = 900) -> list[Leftover]:
    """Remove what a run has made, again and again until nothing is left.

    Returns:
        What is left after ``patience`` seconds.
    """
    deadline = time.monotonic() + patience
    while left := leftovers(target):
        for item in left:
            try:
                item.remove()
            except ClientError as refused:
                # It is used by something before it in the list, or is being deleted: once more.
                if refused.response["Error"]["Code"] not in GONE:
                    print(f"{item} is not removed yet: {refused}")
        if time.monotonic() > deadline:
            return leftovers(target)
        time.sleep(target.pause)
    return []


_Found = Iterator[tuple[str, str, Callable[[], Any]]]


def _of(account: Account, prefix: str) -> _Found:
    yield from _stacks(account.client("cloudformation"), prefix)
    yield from _glue(account.client("glue"), prefix)
    yield from _warehouse(account.client("redshift-serverless"), prefix)
    yield from _queues_and_topics(account.client("sqs"), account.client("sns"), prefix)
    yield from _secrets(account.client("secretsmanager"), prefix)
    yield from _buckets(account.client("s3"), prefix)
    yield from _roles(account.client("iam"), prefix)


def _pages(client: Any, operation: str, member: str, **request: Any) -> Iterator[Any]:
    for page in client.get_paginator(operation).paginate(**request):
        yield from page.get(member, ())


def _named(kind: str, names: Iterable[str], prefix: str, remove: Callable[[str], Any]) -> _Found:
    for name in names:
        if name.startswith(prefix):
            yield kind, name, partial(remove, name)


def _stacks(cloudformation: Any, prefix: str) -> _Found:
    names = _member("StackName", _pages(cloudformation, "describe_stacks", "Stacks"))
    yield from _named("stack", names, prefix, lambda n: cloudformation.delete_stack(StackName=n))


def _glue(glue: Any, prefix: str) -> _Found:
    crawlers = _listed(glue.list_crawlers, "CrawlerNames")
    yield from _named("crawler", crawlers, prefix, partial(_stop_and_delete_crawler, glue))
    jobs = _listed(glue.list_jobs, "JobNames")
    yield from _named("Glue job", jobs, prefix, lambda n: glue.delete_job(JobName=n))
    databases = _member("Name", _pages(glue, "get_databases", "DatabaseList"))
    prefix = prefix.replace("-", "_")
    yield from _named("Glue database", databases, prefix, lambda n: glue.delete_database(Name=n))


def _member(name: str, items: Iterable[Any]) -> Iterator[str]:
    return (item[name] for item in items)


def _listed(call: Callable[..., Any], member: str) -> Iterator[Any]:
    """The items of an operation that botocore has no paginator for."""
    token: dict[str, str] = {}
    while True:
        answer = call(**token)
        yield from answer.get(member, ())
        if not answer.get("NextToken"):
            return
        token = {"NextToken": answer["NextToken"]}


def _stop_and_delete_crawler(glue: Any, name: str) -> None:
    if glue.get_crawler(Name=name)["Crawler"]["State"] == "RUNNING":
        glue.stop_crawler(Name=name)
    glue.delete_crawler(Name=name)


def _warehouse(serverless: Any, prefix: str) -> _Found:
    workgroups = _member("workgroupName", _pages(serverless, "list_workgroups", "workgroups"))
    yield from _named(
        "workgroup", workgroups, prefix, lambda n: serverless.delete_workgroup(workgroupName=n)
    )
    namespaces = _member("namespaceName", _pages(serverless, "list_namespaces", "namespaces"))
    yield from _named(
        "namespace", namespaces, prefix, lambda n: serverless.delete_namespace(namespaceName=n)
    )


def _queues_and_topics(sqs: Any, sns: Any, prefix: str) -> _Found:
    for url in sqs.list_queues(QueueNamePrefix=prefix).get("QueueUrls", ()):
        yield "queue", url, lambda url=url: sqs.delete_queue(QueueUrl=url)
    for topic in _pages(sns, "list_topics", "Topics"):
        arn = topic["TopicArn"]
        if arn.rpartition(":")[2].startswith(prefix):
            yield "topic", arn, lambda arn=arn: sns.delete_topic(TopicArn=arn)


def _secrets(secrets: Any, prefix: str) -> _Found:
    def delete(name: str) -> None:
        secrets.delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)

    names = _member("Name", _pages(secrets, "list_secrets", "SecretList"))
    yield from _named("secret", names, prefix, delete)


def _buckets(s3: Any, prefix: str) -> _Found:
    names = _member("Name", s3.list_buckets()["Buckets"])
    yield from _named("bucket", names, prefix, partial(_empty_and_delete, s3))


def _empty_and_delete(s3: Any, bucket: str) -> None:
    for upload in s3.list_multipart_uploads(Bucket=bucket).get("Uploads", ()):
        s3.abort_multipart_upload(Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])
    for stored in _pages(s3, "list_objects_v2", "Contents", Bucket=bucket):
        s3.delete_object(Bucket=bucket, Key=stored["Key"])
    s3.delete_bucket(Bucket=bucket)


def _roles(iam: Any, prefix: str) -> _Found:
    names = _member("RoleName", _pages(iam, "list_roles", "Roles"))
    yield from _named("role", names, prefix, partial(_delete_role, iam))


def _delete_role(iam: Any, name: str) -> None:
    for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]:
        iam.delete_role_policy(RoleName=name, PolicyName=policy)
    iam.delete_role(RoleName=name)
