"""Servers that mean ill, or are broken beyond what HTTP allows: nothing waits for them."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Event, Thread

import pytest

from embedder.remote.http_client import ONCE, JsonClient, ServerError
from tests.servers import TEXTS, Request, Server


@contextmanager
def dripping(begin: bytes, drop: bytes) -> Iterator[str]:
    """Run a server that answers `begin`, and then a drop every tenth of a second, for ever."""
    ended = Event()

    def answer(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.recv(65536)
            connection.sendall(begin)
            while not ended.wait(0.1):
                connection.sendall(drop)

    def accept() -> None:
        with suppress(OSError):
            while True:
                Thread(target=answer, args=(listening.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        ended.set()


@pytest.mark.parametrize(
    ("begin", "drop"),
    [
        (b"HTTP/1.1 200 OK\r\n", b"X"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", b" "),
        (b"HTTP/1.1 400 Bad\r\nContent-Length: 1000\r\n\r\n", b" "),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    ],
)
def test_no_answer_that_drips_holds_longer_than_the_timeout(begin: bytes, drop: bytes) -> None:
    with dripping(begin, drop) as url:
        begun = time.monotonic()
        with pytest.raises(ServerError, match="does not end|timed out|answered 400"):
            JsonClient(url, ("TEI_API_KEY",), 0.5, ONCE).ask("/info")
        assert time.monotonic() - begun < 3


def test_a_process_ends_though_a_server_is_silent(server: Server) -> None:
    """Python waited at its end for the threads that were asking: after an error, after Ctrl-C."""
    over = Event()

    def hold(request: Request) -> None:
        if "text number 5" in request.body.get("inputs", ()):
            over.wait(60)

    server.override = hold
    code = (
        "from embedder.remote.encoder import RemoteEncoder\n"
        f"encoder = RemoteEncoder.load('tei:{server.url}')\n"
        f"encoder.encode({['unreadable', *TEXTS]!r}, 'document')"
    )
    begun = time.monotonic()
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=50)
    over.set()
    assert "RefusedTextError: text 1" in ended.stderr
    assert time.monotonic() - begun < 45
