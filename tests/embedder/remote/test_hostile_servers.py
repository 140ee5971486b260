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
from embedder.types import Role
from tests.one_line import check_one_line
from tests.servers import TEXTS, WIDTH, Request, Server, load_openai, load_tei


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
        with pytest.raises(ServerError, match=r"does not end|timed out|answered 400"):
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


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([[1.0] * WIDTH, [1e-45] * WIDTH], "text 2: ADDRESS answered a row too small or too large"),
        ([[1e30] * WIDTH, [1.0] * WIDTH], "text 1: ADDRESS answered a row too small or too large"),
    ],
)
def test_a_row_that_cannot_be_scaled_is_no_row_of_zeros(
    rows: object, said: str, server: Server
) -> None:
    encoder = load_tei(server)
    server.override = lambda request: (200, rows, {})
    said = said.replace("ADDRESS", server.url)
    check_one_line(lambda: encoder.encode(["a", "b"], Role.QUERY), ValueError, said)


@pytest.mark.parametrize("said", ["9" * 4000, "-1", "1e5", ""])
def test_a_number_of_tokens_that_is_none_counts_nothing(said: str, server: Server) -> None:
    encoder = load_tei(server)
    rows = [[1.0] * WIDTH]
    server.override = lambda request: (200, rows, {"x-compute-tokens": said})
    before = encoder.counts["tokens"]
    encoder.encode(["a"], Role.QUERY)
    assert encoder.counts["tokens"] == before


def test_a_server_that_changes_its_model_on_the_way_is_left(server: Server) -> None:
    encoder = load_openai(server)
    data = [{"index": 0, "embedding": [1.0] * WIDTH}]
    server.override = lambda request: (200, {"data": data, "model": "hash-2"}, {})
    said = f"{server.url}/v1 began with model 'hash-1', and answers by 'hash-2' now"
    check_one_line(lambda: encoder.encode(["a"], Role.QUERY), ServerError, said)
