"""A Glue crawler in memory."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

from botocore.exceptions import ReadTimeoutError

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


class Crawls:
    """A crawler whose crawls end after some polls."""

    def __init__(self, modelled, refusal, *, looks=3, outcome="COMPLETED", lag=0):
        self.refusal = refusal
        self.crawls: list[dict] = []
        self.looks_left = 0
        self.looks, self.outcome, self.lag = looks, outcome, lag
        self.stopped = 0
        self.lag_from = 1
        self.lost: list[str] = []
        self.stop_errors: list = []
        self.words = "Access Denied"
        self.client = modelled(
            "glue",
            start_crawler=self.start,
            get_crawler=self.get,
            list_crawls=self.list,
            stop_crawler=self.stop,
        )

    def begin(self):
        number = len(self.crawls) + 1
        self.crawls.append(
            {
                "CrawlId": f"crawl-{number}",
                "State": "RUNNING",
                "StartTime": NOON + timedelta(minutes=number),
            }
        )
        self.looks_left = self.looks

    def start(self, Name):
        if self.looks_left > 0:
            raise self.refusal("CrawlerRunningException")
        if self.lost:
            error = self.lost.pop(0)
            if error == "after":
                self.begin()
            raise ReadTimeoutError(endpoint_url="https://glue")
        self.begin()
        return {}

    def look(self):
        """Count a poll of the running crawl; True if it was running."""
        if self.looks_left > 0:
            self.looks_left -= 1
            if self.looks_left == 0:
                self.crawls[-1] |= {
                    "State": self.outcome,
                    "EndTime": NOON,
                    "DPUHour": 0.02,
                    "Summary": r'{"PARTITION": "{\"ADD\": \"{\\\"Count\\\": 1}\"}"}',
                    **({"ErrorMessage": self.words} if self.outcome == "FAILED" else {}),
                }
            return True
        return False

    def get(self, Name):
        running = "STOPPING" if self.outcome == "STOPPED" else "RUNNING"
        return {"Crawler": {"Name": Name, "State": running if self.look() else "READY"}}

    def list(self, CrawlerName, MaxResults):
        if self.crawls and self.crawls[-1]["State"] == "RUNNING":
            self.look()
        shown = self.crawls
        if len(self.crawls) >= self.lag_from and self.lag > 0 and self.looks_left == 0:
            self.lag -= 1
            shown = self.crawls[:-1]
        date = format_datetime(NOON, usegmt=True)
        return {
            "Crawls": list(reversed(shown)),
            "ResponseMetadata": {"HTTPHeaders": {"date": date}},
        }

    def stop(self, Name):
        self.stopped += 1
        if self.looks_left == 0:
            raise self.refusal("CrawlerNotRunningException")
        if self.stop_errors:
            raise self.stop_errors.pop(0)
        self.looks_left = 1
        self.outcome = "STOPPED"
        return {}
