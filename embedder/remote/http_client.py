"""Ask a server for JSON: no redirects, a bounded answer, and another try where that may help."""

import email.utils
import http.client
import json
import math
import os
import random
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from threading import Event
from typing import Any

from embedder.checkpoints.addresses import LOCAL, check_address
from embedder.files.config_file import parse_json
from embedder.remote.in_time import in_time

TIMEOUT = 120.0  # seconds for one answer
MOST_BYTES = 64 << 20  # of an answer
TOO_LARGE = 413  # the status of a request that is too long as a whole, or in a text
_PART = 1 << 20
_SHOWN = 300  # characters of what a server says is wrong


class ServerError(ConnectionError):
    """A server cannot be asked, refuses, or says what is no answer; one line with its address."""


class RefusedRequestError(ServerError):
    """A server says that the request itself is wrong; the same request would be refused again."""

    def __init__(self, reason: str, status: int) -> None:
        super().__init__(reason)
        self.status = status


@dataclass(frozen=True, slots=True)
class RetryRules:
    """How often a server that is busy, failing or silent is asked again.

    The wait doubles from try to try, and is a random share of that, between half and all, lest
    requests that failed together come again together. What the server itself says counts.

    Attributes:
        tries: in all.
        first_wait: seconds.
        longest_wait: seconds; a server that says to wait longer is not asked again.
    """

    tries: int = 6
    first_wait: float = 0.5
    longest_wait: float = 60.0


ONCE = RetryRules(tries=1)


@dataclass(frozen=True, slots=True)
class ServerAnswer:
    """What a server answered.

    Attributes:
        value: the JSON; None where it is empty.
        headers: of the answer.
    """

    value: Any
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Unanswered:
    """Why there is no answer; `wait` is seconds that the server says, None where trying is idle."""

    error: ServerError
    wait: float | None = None


class JsonClient:
    """Asks the routes under one address.

    Args:
        address: as `check_address` takes it.
        keys: environment variables of which the first that is set holds the key. It goes nowhere
            but to the address, and into no message.
        timeout: seconds for one answer, until its last byte.
        retries: see there.

    Raises:
        ValueError: it is no address, or the key is none that a header can hold.
    """

    def __init__(
        self,
        address: str,
        keys: Sequence[str],
        timeout: float = TIMEOUT,
        retries: RetryRules = ONCE,
    ) -> None:
        parts = check_address(address, keys[0])
        self.address = address.rstrip("/")
        self._timeout, self._retries = timeout, retries
        self._key = _read_key(keys)
        ways: list[urllib.request.BaseHandler] = [_NoRedirect(), *in_time()]
        if parts.hostname in LOCAL:  # what is meant for this machine does not go through a proxy
            ways.append(urllib.request.ProxyHandler({}))
        self._opener = urllib.request.build_opener(*ways)

    def ask(
        self, route: str, body: Mapping[str, object] | None = None, stopped: Event | None = None
    ) -> ServerAnswer:
        """Get a route, or post a body to it; safe to call from several threads.

        Args:
            route: such as "/embed".
            body: sent as JSON; None gets.
            stopped: once it is set, nothing is tried again.

        Raises:
            RefusedRequestError: the server finds fault with the request.
            ServerError: whatever else left it without an answer.
        """
        data = None if body is None else json.dumps(body, ensure_ascii=False).encode()
        attempt = 1
        while not isinstance(result := self._try(route, data), ServerAnswer):
            wait = self._pause(attempt, result.wait)
            if wait is None or (stopped or Event()).wait(wait):
                # Here, after what was caught: a broken connection is no broken pipe of stdout.
                raise result.error
            attempt += 1
        return result

    def _pause(self, attempt: int, told: float | None) -> float | None:
        """Return the seconds before the next try, or None where there is none."""
        rules = self._retries
        if told is None or attempt == rules.tries or told > rules.longest_wait:
            return None
        doubled = min(rules.longest_wait, rules.first_wait * 2.0 ** (attempt - 1))
        return max(told, doubled * random.uniform(0.5, 1.0))

    def _try(self, route: str, data: bytes | None) -> "ServerAnswer | _Unanswered":
        headers = {"Accept": "application/json"}
        headers |= {} if data is None else {"Content-Type": "application/json"}
        headers |= {"Authorization": f"Bearer {self._key}"} if self._key else {}
        request = urllib.request.Request(f"{self.address}{route}", data, headers)
        try:
            with self._opener.open(request, timeout=self._timeout) as response:
                data = _read(response)
                value = parse_json(data, "its answer", finite=False) if data else None
                return ServerAnswer(value, response.headers)
        except urllib.error.HTTPError as error:
            with error:
                return self._refusal(error)
        except (OSError, http.client.HTTPException, ValueError) as error:
            cause = error.reason if isinstance(error, urllib.error.URLError) else error
            reason = " ".join(str(cause).split()) or type(cause).__name__
            failure = ServerError(f"{self.address} cannot be asked: {self._without_key(reason)}")
            refused = isinstance(cause, ConnectionRefusedError)  # nobody is there
            passing = isinstance(cause, TimeoutError | ConnectionError | http.client.IncompleteRead)
            return _Unanswered(failure, 0.0 if passing and not refused else None)

    def _refusal(self, error: urllib.error.HTTPError) -> _Unanswered:
        """Say what a server answered in place of what it was asked for."""
        try:
            told = _message(error.read(_PART))
        except (OSError, http.client.HTTPException):
            told = ""
        reason = f"{self.address} answered {error.code} {error.reason}{told and ': '}{told}"
        reason = self._without_key(" ".join(reason.split()))
        if error.code == http.client.TOO_MANY_REQUESTS or error.code >= 500:
            return _Unanswered(ServerError(reason), _seconds(error.headers.get("Retry-After", "")))
        return _Unanswered(RefusedRequestError(reason, error.code))

    def _without_key(self, text: str) -> str:
        return text.replace(self._key, "***") if self._key else text


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: urllib would take the key along to wherever it leads."""

    def redirect_request(self, *_: object) -> None:
        """Make no other request, so that the redirect becomes an error with its code."""


def _read_key(names: Sequence[str]) -> str:
    """Return the key of the first variable that is set, "" where none is."""
    for name in names:
        if key := os.environ.get(name, "").strip():
            if not key.isascii() or not key.isprintable():
                raise ValueError(f"the key in {name} holds characters that no key has")
            return key
    return ""


def _read(response: http.client.HTTPResponse) -> bytes:
    """Read an answer that is not too long.

    Raises:
        ValueError: it is too long.
        IncompleteRead: it ends before its end.
    """
    data = response.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise ValueError(f"its answer is longer than {MOST_BYTES >> 20} MiB")
    if response.length:
        raise http.client.IncompleteRead(b"", response.length)
    return data


def _message(data: bytes) -> str:
    """Return what an error says: {"error": "..."} or {"error": {"message": "..."}}, or its text."""
    try:
        value = parse_json(data, "", finite=False)
    except ValueError:
        return data.decode("utf-8", "replace")[:_SHOWN]
    error = value.get("error", value) if isinstance(value, dict) else value
    text = error.get("message", error) if isinstance(error, dict) else error
    return (text if isinstance(text, str) else json.dumps(text))[:_SHOWN]


def _seconds(text: str) -> float:
    """Read Retry-After, seconds or a date; 0 where it says nothing."""
    try:
        seconds = float(text)
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(text).timestamp() - time.time()
        except (ValueError, OverflowError):
            return 0.0
    return max(0.0, seconds) if math.isfinite(seconds) else 0.0
