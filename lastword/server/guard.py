"""What every request meets first, and every answer last; plain ASGI, so that nothing is buffered.

The body is read here as a whole, bounded in size and time, before a request takes any place.
"""

import asyncio
import hashlib
import hmac
import re
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lastword.server.errors import ServedError, error_response
from lastword.server.settings import (
    BODY_BYTES,
    BODY_SECONDS,
    MOST_REQUESTS,
    ServerSettings,
    is_loopback,
)

if TYPE_CHECKING:
    from lastword.server.state import ServerState

OPEN_PATHS = ("/", "/health")
"""Answered without a key; so are files below `OPEN_FOLDER`, which say nothing of an index."""
OPEN_FOLDER = "/page/"
_HOST = re.compile(r"(?:\[([^\[\]]+)\]|([^:\[\]]+))(?::[0-9]*)?")
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_HEADERS = {
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    b"referrer-policy": b"no-referrer",
    b"cross-origin-resource-policy": b"same-origin",
    b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'",
    b"cache-control": b"no-store",
}


class Guard:
    """Checks requests before the app sees them, adds headers, measures and logs."""

    def __init__(self, app: ASGIApp, state: "ServerState") -> None:
        self._app, self._state, self._inside = app, state, 0
        self._digests = [_digest(key.encode()) for key in state.settings.keys]
        self._hosts = _served_hosts(state.settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request; other kinds of connections are the app's."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start, status, begun = time.perf_counter(), 500, False
        method = scope["method"]
        if method == "HEAD":  # is answered as GET, of which the server below drops the body
            scope = dict(scope, method="GET")
        self._inside += 1

        async def send_guarded(message: Message) -> None:
            nonlocal status, begun
            if message["type"] == "http.response.start":
                status, begun = message["status"], True
                given = {name for name, _ in message["headers"]}
                own = [(name, value) for name, value in _HEADERS.items() if name not in given]
                message["headers"] = [*message["headers"], *own]
            await send(message)

        try:
            headers = Headers(scope=scope)
            self._check(scope, headers)
            body = await _read_body(headers, receive)
            await self._app(scope, _replayed(body, receive), send_guarded)
        except ServedError as error:
            headers_of_it = dict(error.headers or {})
            refusal = error_response(error.status_code, error.detail, headers_of_it, scope["path"])
            await refusal(scope, receive, send_guarded)
        except Exception as error:
            self._state.log.fault(error)
            if not begun:
                text = "a fault of the server, which its log tells"
                fault = error_response(500, text, path=scope["path"])
                await fault(scope, receive, send_guarded)
        finally:
            self._inside -= 1
            seconds = time.perf_counter() - start
            self._state.note_request(dict(scope, method=method), status, seconds)

    def _check(self, scope: Scope, headers: Headers) -> None:
        if self._state.stopping:
            raise ServedError(503, "the server is stopping", {"Connection": "close"})
        if self._inside > MOST_REQUESTS:
            raise ServedError(429, "too many requests at a time", {"Retry-After": "1"})
        if not self._is_served(headers.get("host", "")):
            raise ServedError(421, "the Host header names another server than this")
        path = scope["path"]
        is_open = path in OPEN_PATHS or path.startswith(OPEN_FOLDER)
        if self._digests and not (is_open and scope["method"] == "GET"):
            self._check_key(headers)

    def _is_served(self, host: str) -> bool:
        if self._hosts is None:
            return True
        match = _HOST.fullmatch(host)
        return match is not None and (match[1] or match[2]).lower() in self._hosts

    def _check_key(self, headers: Headers) -> None:
        scheme, _, key = headers.get("authorization", "").partition(" ")
        given = _digest(key.strip().encode("latin-1"))
        # All are compared, each in the same time whatever was given.
        known = [hmac.compare_digest(given, digest) for digest in self._digests]
        if scheme.lower() != "bearer" or not any(known):
            text = "a key is needed: give the header Authorization: Bearer KEY"
            raise ServedError(401, text, {"WWW-Authenticate": "Bearer"})


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()


def _served_hosts(settings: ServerSettings) -> frozenset[str] | None:
    """Return the names in a Host header that are this server's; None is any.

    Pages elsewhere can make names of theirs ours. Beyond this machine a key is needed, which such
    a page does not have: any name is right there.
    """
    if not is_loopback(settings.host) and not settings.hosts:
        return None
    return frozenset({*_LOOPBACK, settings.host, *settings.hosts})


async def _read_body(headers: Mapping[str, str], receive: Receive) -> bytes:
    """Read the body of a request.

    Raises:
        ServedError: 413 it is too long, 408 it does not come in time, 499 the client has left.
    """
    too_long = ServedError(
        413, f"the body is longer than {BODY_BYTES} bytes", {"Connection": "close"}
    )
    if headers.get("content-length", "0").isdecimal():
        if int(headers.get("content-length", "0")) > BODY_BYTES:
            raise too_long
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(BODY_SECONDS):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ServedError(499, "the client has left")
                parts.append(message.get("body", b""))
                size += len(parts[-1])
                if size > BODY_BYTES:
                    raise too_long
                if not message.get("more_body", False):
                    return b"".join(parts)
    except TimeoutError:
        text = f"the body did not come in {BODY_SECONDS:g} seconds"
        raise ServedError(408, text, {"Connection": "close"}) from None


def _replayed(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that gives the body once, then what really comes: that the client left."""
    messages: list[dict[str, Any]] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return messages.pop() if messages else await receive()

    return replay
