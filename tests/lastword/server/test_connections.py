"""Clients that send half of a request, or read no answer, hold no connection forever."""

import errno
import os
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

import lastword as lw
from lastword.server import connections, listening
from lastword.server.app import make_app
from lastword.server.listening import open_socket
from tests.lastword.server.live import live

WHOLE = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
PATIENCE = 20  # seconds until a connection that is still open fails a test


@pytest.fixture(scope="module")
def hasty(engine: lw.SearchEngine) -> Iterator[tuple[str, int]]:
    """A server that waits .3 s for the head of a request; its end is that of its app."""
    with pytest.MonkeyPatch.context() as patch, live(make_app({"notes": engine})) as address:
        patch.setattr(connections, "HEAD_SECONDS", 0.3)
        place = urlsplit(address)
        yield str(place.hostname), int(place.port or 0)


def read_to_end(client: socket.socket) -> bytes:
    """Read until the server closes, which must be before `PATIENCE` has run out."""
    data = b""
    while part := client.recv(65536):
        data += part
    return data


@pytest.mark.parametrize("sent", [b"", b"GET", WHOLE[:-2], b"\r\n", b"POST / HTTP/1.1\r\nHost: x"])
def test_half_of_a_head_is_not_waited_for_forever(hasty: tuple[str, int], sent: bytes) -> None:
    """uvicorn alone waits for ever: its limit is on the time after an answer."""
    with socket.create_connection(hasty, PATIENCE) as client:
        client.sendall(sent)
        assert read_to_end(client) == b""


def test_a_head_that_drips_in_is_late(hasty: tuple[str, int]) -> None:
    """Bytes do not begin the time anew: a byte each tenth of a second would be two minutes."""
    with socket.create_connection(hasty, 0.1) as client, pytest.raises((OSError, AssertionError)):
        for byte in WHOLE[:-2] * 30:
            client.sendall(bytes([byte]))
            try:
                assert client.recv(1)
            except TimeoutError:
                pass
        pytest.fail("the connection was still open at the last byte")


def test_half_of_a_second_request_is_late_too(hasty: tuple[str, int]) -> None:
    with socket.create_connection(hasty, PATIENCE) as client:
        client.sendall(WHOLE)
        assert client.recv(65536).startswith(b"HTTP/1.1 200")
        client.sendall(WHOLE[:-2])
        assert b"200 OK" not in read_to_end(client)


def test_whole_requests_are_answered_one_after_the_other(hasty: tuple[str, int]) -> None:
    """The head of each may come in parts, and pipelined ones are not taken for late."""
    with socket.create_connection(hasty, PATIENCE) as client:
        for part in (WHOLE[:9], WHOLE[9:], WHOLE + WHOLE[:5]):
            client.sendall(part)
        client.sendall(WHOLE[5:])
        assert read_to_end(client).count(b"HTTP/1.1 200") == 3


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="an option of Linux")
def test_an_answer_that_nobody_reads_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "UNREAD_SECONDS", 1)
    with (
        open_socket("127.0.0.1", 0) as listener,
        socket.create_connection(listener.getsockname()),
        listener.accept()[0] as server,
        pytest.raises(TimeoutError) as error,
    ):
        server.settimeout(PATIENCE)
        for _ in range(1000):
            server.sendall(bytes(1 << 20))
    assert error.value.errno == errno.ETIMEDOUT  # of the connection, not of `settimeout`


def test_an_address_that_is_taken_is_told_once() -> None:
    """Python adds the address to the error, which named it twice."""
    with open_socket("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(OSError, match=rf"port {port}: {os.strerror(errno.EADDRINUSE)}$"):
            open_socket("127.0.0.1", port)
    with pytest.raises(OSError, match=r"cannot listen at no\.such\.host\.invalid, port 0: .*[a-z]"):
        open_socket("no.such.host.invalid", 0)
