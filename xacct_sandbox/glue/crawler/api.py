"""The Glue operations on crawlers: definitions, start and stop, history, metrics.

States, fields and errors are those of the Glue API reference.
"""

from __future__ import annotations

from xacct_sandbox import emulator
from xacct_sandbox.faults import daemon as planned_faults
from xacct_sandbox.glue.crawler import definitions, history, runs
from xacct_sandbox.glue.crawler.settings import CRAWL_NEW_FOLDERS_ONLY
from xacct_sandbox.glue.responses import Request, Response, invalid_input, page_response
from xacct_sandbox.service_errors import ServiceError

CRAWLS_PAGE, CRAWLS_DEFAULT = 100, 20
CRAWLERS_PAGE = 100


def install() -> None:
    """Replace the emulator's operations by these."""
    emulator.add_glue_operations(
        {
            "CreateCrawler": create_crawler,
            "UpdateCrawler": update_crawler,
            "DeleteCrawler": delete_crawler,
            "GetCrawler": get_crawler,
            "GetCrawlers": get_crawlers,
            "BatchGetCrawlers": batch_get_crawlers,
            "ListCrawlers": list_crawlers,
            "StartCrawler": start_crawler,
            "StopCrawler": stop_crawler,
            "ListCrawls": list_crawls,
            "GetCrawlerMetrics": get_crawler_metrics,
        }
    )


# -- definitions -----------------------------------------------------------------------------


def create_crawler(request: Request) -> Response:
    """CreateCrawler; an option that the sandbox's crawler does not support is refused."""
    definition = {**request, "Role": emulator.role_arn(request.get("Role") or "")}
    definitions.settings_of(definition)
    return emulator.emulated_glue("CreateCrawler", definition)


def update_crawler(request: Request) -> Response:
    """UpdateCrawler; fields that the request leaves out keep their value."""
    name = request["Name"]
    with runs.lock:
        current = definitions.find(name)
        if runs.running(name):
            raise _running_error(name, "cannot be updated while it is running")
        changes = dict(request)
        if changes.get("Role"):
            changes["Role"] = emulator.role_arn(changes["Role"])
        updated = {**current, **changes}
        definitions.settings_of(updated)
        recrawl = (current.get("RecrawlPolicy") or {}).get("RecrawlBehavior")
        if recrawl == CRAWL_NEW_FOLDERS_ONLY and current["Targets"] != updated["Targets"]:
            raise invalid_input(
                "The Amazon S3 targets of a crawler that crawls new folders only cannot be changed"
            )
        return emulator.emulated_glue("UpdateCrawler", changes)


def delete_crawler(request: Request) -> Response:
    """DeleteCrawler, with its history."""
    name = request["Name"]
    with runs.lock:
        definitions.find(name)
        if runs.running(name):
            raise _running_error(name, "cannot be deleted while it is running")
        response = emulator.emulated_glue("DeleteCrawler", {"Name": name})
        history.delete(name)
        return response


def get_crawler(request: Request) -> Response:
    """GetCrawler."""
    return {"Crawler": definitions.describe(definitions.find(request["Name"]))}


def get_crawlers(request: Request) -> Response:
    """GetCrawlers."""
    return page_response(
        "Crawlers",
        definitions.find_all(),
        request,
        limit=CRAWLERS_PAGE,
        render=definitions.describe,
    )


def batch_get_crawlers(request: Request) -> Response:
    """BatchGetCrawlers."""
    by_name = {crawler["Name"]: crawler for crawler in definitions.find_all()}
    names = request["CrawlerNames"]
    return {
        "Crawlers": [definitions.describe(by_name[name]) for name in names if name in by_name],
        "CrawlersNotFound": [name for name in names if name not in by_name],
    }


def list_crawlers(request: Request) -> Response:
    """ListCrawlers; Tags is refused."""
    if request.get("Tags"):
        raise invalid_input("Tags is not supported by the sandbox")
    names = [crawler["Name"] for crawler in definitions.find_all()]
    return page_response("CrawlerNames", names, request, limit=CRAWLERS_PAGE)


# -- runs ------------------------------------------------------------------------------------


def start_crawler(request: Request) -> Response:
    """StartCrawler: starts a crawl and returns."""
    name = request["Name"]
    with runs.lock:
        definition = definitions.find(name)
        settings = definitions.settings_of(definition)
        if not runs.running(name):
            busy = planned_faults.inject("glue", "StartCrawler", name, "crawler_busy")
            runs.start(settings, definition["Role"], min_seconds=busy.seconds if busy else 0)
            if busy is None:
                return {}
        raise _running_error(name, "has already started")


def stop_crawler(request: Request) -> Response:
    """StopCrawler: the crawl ends at its next step."""
    name = request["Name"]
    with runs.lock:
        definitions.find(name)
        run = runs.running(name)
        if run is None:
            raise ServiceError(
                "CrawlerNotRunningException", f"Crawler with name {name} isn't running"
            )
        if run.stop.is_set():
            raise ServiceError(
                "CrawlerStoppingException", f"Crawler with name {name} is already stopping"
            )
        run.stop.set()
    return {}


# -- history ---------------------------------------------------------------------------------


def list_crawls(request: Request) -> Response:
    """ListCrawls, the newest first, with Filters and paging."""
    name = request["CrawlerName"]
    definitions.find(name)
    runs.running(name)  # closes a crawl that an earlier process left open
    filters = [history.crawl_filter(entry) for entry in request.get("Filters") or []]
    crawls = [crawl for crawl in history.crawls(name) if all(matches(crawl) for matches in filters)]
    return page_response("Crawls", crawls, request, limit=CRAWLS_PAGE, default=CRAWLS_DEFAULT)


def get_crawler_metrics(request: Request) -> Response:
    """GetCrawlerMetrics, from the history."""
    names = request.get("CrawlerNameList")
    return {
        "CrawlerMetricsList": [
            history.metrics(crawler["Name"], running=runs.running(crawler["Name"]) is not None)
            for crawler in definitions.find_all()
            if not names or crawler["Name"] in names
        ]
    }


def _running_error(name: str, reason: str) -> ServiceError:
    return ServiceError("CrawlerRunningException", f"Crawler with name {name} {reason}")
