"""A listing server: S3's ListObjectsV2 and PutObject over keys in memory, for very large buckets.

A bucket of a million objects is a sorted list of strings here; size and ETag of an object that was
not put follow from its key (as if its body were the key). Signatures are not checked, and anything
but the two operations is refused by name. Semantics as in the API reference of ListObjectsV2:
https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import sys
import threading
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache, lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, quote, unquote, urlsplit
from xml.sax.saxutils import escape

HOST = "127.0.0.1"
#: Keys of a page at most, whatever is asked for.
PAGE = 1000
_XML = '<?xml version="1.0" encoding="UTF-8"?>\n'
_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
_KNOWN = frozenset(
    {"list-type", "prefix", "start-after", "continuation-token", "max-keys", "encoding-type"}
)

#: HTTP status and body.
Answer = tuple[int, str]


class Refusal(Exception):
    """A request that S3 would refuse, or that this server does not serve."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


@dataclass(frozen=True, slots=True)
class Stored:
    """What a listing shows of an object besides its key."""

    size: int
    etag: str
    modified: str


@dataclass
class Bucket:
    """Sorted keys, and the objects whose content is not their key.

    Python compares strings by code point, which is the byte order of UTF-8 that S3 lists in.

    Attributes:
        keys: ascending, each once.
        modified: time of every object that was not put.
    """

    keys: list[str]
    modified: str
    put_objects: dict[str, Stored] = field(default_factory=dict)

    def put(self, key: str, body: bytes, at: datetime) -> Stored:
        """Store an object; one of the same key is replaced."""
        stored = Stored(len(body), _etag(body), _time(at))
        if key not in self.put_objects:
            place = bisect_left(self.keys, key)
            if place == len(self.keys) or self.keys[place] != key:
                insort(self.keys, key)
        self.put_objects[key] = stored
        return stored

    def page(self, prefix: str, after: str, limit: int) -> tuple[list[str], bool]:
        """Keys under the prefix that sort after ``after``, and whether there are more."""
        start = bisect_left(self.keys, prefix)
        if after:
            start = max(start, bisect_right(self.keys, after))
        end = bisect_left(self.keys, True, lo=start, key=lambda key: key[: len(prefix)] > prefix)
        stop = min(start + limit, end)
        # S3 says of a page of no keys that nothing follows: it could never be gone on from.
        return self.keys[start:stop], stop < end and limit > 0


def list_objects_v2(name: str, bucket: Bucket, query: Mapping[str, str]) -> str:
    """The answer's XML.

    Raises:
        Refusal: a parameter is unknown here, or not valid in S3.
    """
    if unknown := sorted(set(query) - _KNOWN):
        raise Refusal(501, "NotImplemented", f"the listing server knows no {', '.join(unknown)}")
    if query.get("list-type") != "2":
        raise Refusal(501, "NotImplemented", "the listing server knows list-type=2 only")
    if query.get("encoding-type", "url") != "url":
        raise Refusal(400, "InvalidArgument", "Invalid Encoding Method specified in Request")
    try:
        limit = int(query.get("max-keys", str(PAGE)))
    except ValueError:
        limit = -1
    if limit < 0:
        raise Refusal(400, "InvalidArgument", "max-keys must be an integer from 0 to 2147483647")
    limit = min(limit, PAGE)
    prefix, start_after = query.get("prefix", ""), query.get("start-after", "")
    token = query.get("continuation-token")
    after = start_after if token is None else _read_token(token)
    keys, more = bucket.page(prefix, after, limit)

    url = "encoding-type" in query
    parts = [
        _XML,
        f'<ListBucketResult xmlns="{_NAMESPACE}"><Name>{name}</Name>',
        f"<Prefix>{_shown(prefix, url)}</Prefix>",
        "<EncodingType>url</EncodingType>" if url else "",
        f"<MaxKeys>{limit}</MaxKeys><KeyCount>{len(keys)}</KeyCount>",
        f"<IsTruncated>{'true' if more else 'false'}</IsTruncated>",
        "" if token is None else f"<ContinuationToken>{escape(token)}</ContinuationToken>",
        f"<StartAfter>{_shown(start_after, url)}</StartAfter>" if start_after else "",
    ]
    if more:
        parts.append(f"<NextContinuationToken>{_token(keys[-1])}</NextContinuationToken>")
    for key in keys:
        put = bucket.put_objects.get(key)
        parts.append(_contents(key, put, url) if put else _generated(key, bucket.modified, url))
    parts.append("</ListBucketResult>")
    return "".join(parts)


@dataclass
class ListingService:
    """Buckets, and the two operations on them as HTTP has them."""

    buckets: dict[str, Bucket]

    def get(self, target: str) -> Answer:
        """``/bucket?list-type=2&…``."""
        name, key, query = self._parsed(target)
        try:
            if key:
                raise Refusal(501, "NotImplemented", "the listing server has no GetObject")
            return 200, list_objects_v2(name, self._bucket(name), query)
        except Refusal as refusal:
            return _refused(refusal)

    def put(self, target: str, body: bytes, at: datetime) -> tuple[int, str, str]:
        """``/bucket/key`` with its body; the third value is the ETag."""
        name, key, query = self._parsed(target)
        try:
            if not key or query:
                raise Refusal(501, "NotImplemented", "the listing server puts whole objects only")
            return 200, "", self._bucket(name).put(key, body, at).etag
        except Refusal as refusal:
            return *_refused(refusal), ""

    def _parsed(self, target: str) -> tuple[str, str, dict[str, str]]:
        parts = urlsplit(target)
        name, _, key = unquote(parts.path.removeprefix("/")).partition("/")
        return name, key, dict(parse_qsl(parts.query, keep_blank_values=True))

    def _bucket(self, name: str) -> Bucket:
        if name not in self.buckets:
            raise Refusal(404, "NoSuchBucket", f"The specified bucket {name} does not exist")
        return self.buckets[name]


def _refused(refusal: Refusal) -> Answer:
    text = f"<Error><Code>{refusal.code}</Code><Message>{escape(str(refusal))}</Message></Error>"
    return refusal.status, _XML + text


def _contents(key: str, item: Stored, url: bool) -> str:
    return (
        f"<Contents><Key>{_shown(key, url)}</Key><LastModified>{item.modified}</LastModified>"
        f"<ETag>&quot;{item.etag}&quot;</ETag><Size>{item.size}</Size>"
        "<StorageClass>STANDARD</StorageClass></Contents>"
    )


# Kept, so that it is the sensor's own time that is measured on a machine with few cores.
@lru_cache(maxsize=200_000)
def _generated(key: str, modified: str, url: bool) -> str:
    body = key.encode()
    return _contents(key, Stored(len(body), _etag(body), modified), url)


def _shown(text: str, url: bool) -> str:
    return quote(text, safe="/") if url else escape(text)


def _etag(body: bytes) -> str:
    return hashlib.md5(body, usedforsecurity=False).hexdigest()


def _time(at: datetime) -> str:
    # S3 shows whole seconds.
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def _token(key: str) -> str:
    return base64.b64encode(key.encode()).decode()


def _read_token(token: str) -> str:
    try:
        return base64.b64decode(token, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise Refusal(
            400, "InvalidArgument", "The continuation token provided is incorrect"
        ) from None


# -- the process -------------------------------------------------------------------------------

#: Folder in a bucket (with its slash) and the number of objects in it.
Folder = tuple[str, int]


def keys_of(folders: Iterable[Folder]) -> list[str]:
    """The keys of generated objects, in order."""
    return sorted(key for prefix, count in folders for key in _folder(prefix, count))


@cache
def _folder(prefix: str, count: int) -> list[str]:
    # Buckets that hold the same folder share its strings.
    return [f"{prefix}part-{number:07d}.csv" for number in range(count)]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    service: ListingService

    def do_GET(self) -> None:
        status, text = self.service.get(self.path)
        self._send(status, text, {})

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        status, text, etag = self.service.put(self.path, body, datetime.now(UTC))
        self._send(status, text, {"ETag": f'"{etag}"'} if etag else {})

    def _send(self, status: int, text: str, headers: Mapping[str, str]) -> None:
        body = text.encode()
        lines = {"Content-Type": "application/xml", "Content-Length": str(len(body)), **headers}
        head = f"HTTP/1.1 {status} {self.responses[status][0]}\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        self.wfile.write(head.encode() + b"\r\n" + body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the benchmark counts requests on the client's side."""


def main() -> int:
    """Serve what the first line of the standard input describes, until that input ends.

    The line is JSON: {"modified": ISO time, "buckets": {name: {"folders": [[folder, count], …],
    "keys": [key, …]}}}. Once the port is open its number is printed.
    """
    description = json.loads(sys.stdin.readline())
    modified = _time(datetime.fromisoformat(description["modified"]))
    _Handler.service = ListingService(
        {
            name: Bucket(sorted([*keys_of(content["folders"]), *content["keys"]]), modified)
            for name, content in description["buckets"].items()
        }
    )
    server = ThreadingHTTPServer((HOST, 0), _Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdout.write(f"{server.server_address[1]}\n")
    sys.stdout.flush()
    # Ends with the benchmark, however that ends.
    sys.stdin.read()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
