"""HTTP whose answers end in time: the timeout is of a whole answer, not of each of its bytes."""

import http.client
import io
import socket
import time
import urllib.request
from typing import Any


def in_time() -> tuple[urllib.request.BaseHandler, ...]:
    """Return what asks by http and https, for urllib.

    Reading raises TimeoutError once the request's timeout has passed since it was sent.
    """
    return _Plain(), _Secure()


class _InTime(io.RawIOBase):
    """What comes from a socket until its timeout is over.

    A socket's own timeout begins anew with every byte, so that a server that sends one now and
    then, of the headers, of a refusal or of an answer, would hold whoever asked for ever.
    """

    def __init__(self, connection: socket.socket, incoming: io.RawIOBase) -> None:
        self._connection, self._incoming = connection, incoming
        timeout = connection.gettimeout()
        self._until = time.monotonic() + (timeout or 0.0)

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def readinto(self, buffer: Any) -> int | None:  # noqa: ANN401 - whatever has bytes
        """Read what has come, or comes in the time that is left."""
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError("its answer does not end in time")
        self._connection.settimeout(left)
        return self._incoming.readinto(buffer)

    def close(self) -> None:
        """Let go of the connection."""
        self._incoming.close()
        super().close()


class _Response(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **options: Any) -> None:  # noqa: ANN401
        super().__init__(sock, *args, **options)
        self.fp = io.BufferedReader(_InTime(sock, self.fp.detach()))


class _PlainConnection(http.client.HTTPConnection):
    response_class = _Response


class _SecureConnection(http.client.HTTPSConnection):
    response_class = _Response


class _Plain(urllib.request.HTTPHandler):
    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        """Ask as every handler does."""
        return self.do_open(_PlainConnection, req)


class _Secure(urllib.request.HTTPSHandler):
    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        """Ask as every handler does."""
        return self.do_open(_SecureConnection, req)
