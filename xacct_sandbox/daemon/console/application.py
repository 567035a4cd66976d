"""The ASGI application of the console: GET only, to this machine's own names only."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import parse_qsl

from botocore.exceptions import BotoCoreError, ClientError

from xacct_sandbox.daemon.asgi import Receive, Scope, Send, decoded_headers, send_response
from xacct_sandbox.daemon.config import HOST, SandboxConfig
from xacct_sandbox.daemon.console import addresses, job_pages, redaction, request_pages, s3_pages
from xacct_sandbox.daemon.console.accounts import Accounts, NotHere, reason_of
from xacct_sandbox.daemon.console.addresses import Address
from xacct_sandbox.daemon.console.html import (
    CONTENT_SECURITY_POLICY,
    SCRIPT,
    Markup,
    element,
    page,
)
from xacct_sandbox.daemon.request_log import RequestLog

logger = logging.getLogger(__name__)

HEADERS = {
    "content-type": "text/html; charset=utf-8",
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "cache-control": "no-store",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}

THREADS = 2
"""The pages ask the AWS APIs of this process, so they must not use its other threads up."""


class Console:
    """Serves the pages."""

    def __init__(self, config: SandboxConfig, request_log: RequestLog) -> None:
        self._config = config
        self._log = request_log
        self._accounts = Accounts()
        self._threads = ThreadPoolExecutor(THREADS, "console")
        # A page of another site may give its own name this machine's address, and would then be
        # allowed to read what is served here ("DNS rebinding"). The browser still sends that name.
        self._hosts = {f"{name}:{config.console_port}" for name in (HOST, "localhost")}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if decoded_headers(scope).get("host") not in self._hosts:
            status, text = 403, page("Not served", f"Open {self._config.console_url}")
        elif scope["method"] != "GET":
            status, text = 405, page("Not served", "These pages can only be read.")
        else:
            query = dict(parse_qsl(scope["query_string"].decode("latin-1")))
            loop = asyncio.get_running_loop()
            status, text = await loop.run_in_executor(
                self._threads, self.answer, scope["path"], query
            )
        body = redaction.without_secrets(text, self._config).encode()
        await send_response(send, status, HEADERS, body)

    def answer(self, path: str, options: dict[str, str]) -> tuple[int, str]:
        """The status and the page of a GET request."""
        try:
            return 200, self._page(addresses.parse(path, options))
        except (NotHere, ValueError) as problem:
            return 404, page("Not found", element("p", str(problem)))
        except ClientError as refusal:
            return 404, page("Not found", element("p", reason_of(refusal)))
        except BotoCoreError as problem:
            logger.warning("%s: %s", path, problem)
            return 503, page("The sandbox does not answer", element("p", str(problem)))
        except Exception:
            logger.exception("%s failed", path)
            return 500, page("This page failed", element("p", "See the log of the daemon."))

    def _page(self, address: Address) -> str:
        names, options = address.names, address.options
        match address.kind:
            case "index":
                return job_pages.index(self._accounts)
            case "home":
                script = Markup(f"<script>{SCRIPT}</script>")
                return page("Sandbox console", script, element("p", "This page needs JavaScript."))
            case "job-run":
                return job_pages.job_run(self._accounts, self._log, *names)
            case "crawler":
                return job_pages.crawler(self._accounts, names[0], options.get("crawl", ""))
            case "log-stream":
                return job_pages.log_stream(self._accounts, *names)
            case "folder":
                return s3_pages.folder(self._accounts, *names)
            case "object":
                return s3_pages.object_page(self._accounts, *names)
            case "requests":
                return request_pages.requests(self._log, options)
        raise NotHere(
            f"The sandbox has no page {names[0]}. It has pages of job runs, crawlers, log streams, "
            "folders of S3 and requests."
        )
