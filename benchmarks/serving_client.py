"""Clients of a server that cost next to nothing: one loop, connections kept, bytes prepared.

What they cost all the same is told beside what they measure, since they share the server's cores.
"""

import asyncio
import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from urllib.parse import urlsplit
from urllib.request import urlopen

_HEAD_END, _LENGTH = b"\r\n\r\n", b"content-length:"


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked and answered in some time.

    Attributes:
        requests: answered with 200.
        seconds: of wall time.
        server_seconds: processor seconds of the server.
        client_seconds: processor seconds of the clients.
    """

    requests: int
    seconds: float
    server_seconds: float
    client_seconds: float


class _Client(asyncio.Protocol):
    """Sends one request after the other over one connection."""

    def __init__(self, requests: Sequence[bytes], first: int, until: float) -> None:
        self.requests, self.at, self.until = requests, first, until
        self.done = 0
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.came = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._send()

    def data_received(self, data: bytes) -> None:
        self.came += data
        head, _, body = self.came.partition(_HEAD_END)
        _, _, length = head.lower().partition(_LENGTH)
        if not length or len(body) < int(length.partition(b"\r\n")[0]):
            return
        if not head.startswith(b"HTTP/1.1 200 "):
            self.connection_lost(RuntimeError(f"the server answered {self.came[:500]!r}"))
            return
        self.came = b""
        self.done += 1
        if time.perf_counter() < self.until:
            self._send()
        elif not self.ended.done():
            self.ended.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_exception(error or RuntimeError("the server closed a connection"))

    def _send(self) -> None:
        self.transport.write(self.requests[self.at % len(self.requests)])
        self.at += 1


def prepare(address: str, path: str, bodies: Iterable[object]) -> list[bytes]:
    """Write requests that carry JSON."""
    requests = []
    for body in bodies:
        content = json.dumps(body).encode()
        head = (
            f"POST {path} HTTP/1.1\r\nHost: {urlsplit(address).netloc}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
        )
        requests.append(head.encode() + content)
    return requests


def ask_for(address: str, requests: Sequence[bytes], clients: int, seconds: float) -> Asked:
    """Let clients ask for some seconds, each again as soon as it is answered.

    Raises:
        RuntimeError: an answer is none with 200, or a connection was closed.
    """
    start, own, served = time.perf_counter(), time.process_time(), processor_seconds(address)
    done = asyncio.run(_ask(address, requests, clients, start + seconds))
    spent, own = time.perf_counter() - start, time.process_time() - own
    return Asked(done, spent, processor_seconds(address) - served, own)


async def _ask(address: str, requests: Sequence[bytes], clients: int, until: float) -> int:
    place, loop = urlsplit(address), asyncio.get_running_loop()
    asking = [_Client(requests, at * 7, until) for at in range(clients)]
    for client in asking:
        await loop.create_connection(partial(_same, client), place.hostname or "", place.port or 0)
    try:
        await asyncio.gather(*(client.ended for client in asking))
    finally:
        for client in asking:
            client.transport.close()
    return sum(client.done for client in asking)


def _same(client: _Client) -> _Client:
    return client


def processor_seconds(address: str) -> float:
    """Return the processor seconds of a server so far, as its metrics tell."""
    with urlopen(f"{address}/metrics", timeout=60) as answer:
        for line in answer.read().decode().splitlines():
            if line.startswith("process_cpu_seconds_total "):
                return float(line.split()[1])
    raise RuntimeError(f"no processor seconds in {address}/metrics")
