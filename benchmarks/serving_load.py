"""Load a server beyond its queue, with clients that are slow and clients that leave.

python -m benchmarks.serving_load [--index my.index] [--clients 200] [--queue 64] [--seconds 60]
    [--dry]

Of ten clients seven ask again as soon as they are answered, one sends its body and reads its
answer slowly, one leaves before its answer, and one waits a little between requests. Every answer
is compared with that of the library: ids, their order, and scores to 1e-5, the batch of one and
the batch of many being equal to about 1e-7. Goals: no other answer, no status but 200 and 429,
memory flat over the second half, and the server answers /health at the end.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import lastword as lw
from benchmarks.record import append
from benchmarks.serving import DATA, build, read_texts, serving

TOLERANCE, HITS, QUERIES = 1e-5, 5, 64
KINDS = ("eager",) * 7 + ("slow", "leaving", "pausing")
Expected = dict[str, list[tuple[str, float]]]


@dataclass
class Tally:
    """What came back."""

    statuses: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)  # of accepted requests of eager clients
    memory: list[float] = field(default_factory=list)  # MB, of the server

    def check(self, query: str, answer: bytes, expected: Expected) -> None:
        """Compare an answer with that of the library."""
        found = [(hit["id"], hit["score"]) for hit in json.loads(answer)["hits"]]
        right = [name for name, _ in found] == [name for name, _ in expected[query]] and all(
            abs(score - other) < TOLERANCE
            for (_, score), (_, other) in zip(found, expected[query], strict=True)
        )
        if not right:
            self.wrong.append(query)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the load, print what came out, and append it to results.jsonl; 1 if a goal is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--index", type=Path, help="of a collection like that of --data")
    parser.add_argument("--data", type=Path, default=DATA, help="folder in the layout of BEIR")
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--queue", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--dry", action="store_true", help="append nothing to results.jsonl")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        path = options.index or build(options.data, Path(folder) / "served.index")
        queries = read_texts(options.data / "queries.jsonl")[:QUERIES]
        with lw.open(path) as engine:
            expected = {
                query: [(hit.id, hit.score) for hit in engine.search(query, k=HITS)]
                for query in queries
            }
        settings = ("--queue", str(options.queue), "--timeout", "600")
        with serving(path, Path(folder) / "log", *settings) as address:
            tally = asyncio.run(load(address, expected, options.clients, options.seconds))
    return tell(tally, options)


async def load(address: str, expected: Expected, clients: int, seconds: float) -> Tally:
    """Let clients ask for some seconds; return what they got."""
    tally, until = Tally(), time.monotonic() + seconds
    tasks = [
        asyncio.create_task(run_client(at, address, expected, until, tally))
        for at in range(clients)
    ]
    while time.monotonic() < until:
        tally.memory.append(await read_memory(address))
        await asyncio.sleep(min(1.0, seconds / 20))
    await asyncio.gather(*tasks)
    tally.memory.append(await read_memory(address))
    tally.statuses[f"health {(await ask(address, 'GET', '/health'))[0]}"] += 1
    return tally


async def run_client(
    number: int, address: str, expected: Expected, until: float, tally: Tally
) -> None:
    """Ask again and again, as the kind of this client does."""
    kind, queries = KINDS[number % len(KINDS)], list(expected)
    asked = number
    while time.monotonic() < until:
        query = queries[asked % len(queries)]
        asked += 1
        start = time.monotonic()
        status, body = await ask(
            address, "POST", "/v1/search", json.dumps({"query": query, "k": HITS}).encode(), kind
        )
        tally.statuses[str(status)] += 1
        if status == 200:
            tally.check(query, body, expected)
            if kind == "eager":
                tally.seconds.append(time.monotonic() - start)
        if status == 429 or kind in ("leaving", "pausing"):
            await asyncio.sleep(0.2)


async def ask(
    address: str, method: str, path: str, body: bytes = b"", kind: str = "eager"
) -> tuple[int | str, bytes]:
    """Send one request by a connection of its own; return status and body."""
    place = urlsplit(address)
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    try:
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: {place.netloc}\r\nConnection: close\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        writer.write(head.encode())
        step = max(1, len(body) // 5) if kind == "slow" else max(1, len(body))
        for at in range(0, len(body), step):
            if kind == "slow":
                await asyncio.sleep(0.2)
            writer.write(body[at : at + step])
        await writer.drain()
        if kind == "leaving":
            await asyncio.sleep(0.01)
            return "left", b""
        answer = b""
        while part := await reader.read(512 if kind == "slow" else 65536):
            answer += part
            if kind == "slow":
                await asyncio.sleep(0.02)
        first, _, content = answer.partition(b"\r\n\r\n")
        return (int(first.split()[1]) if first else "closed"), content
    except ConnectionError:
        return "reset", b""
    finally:
        writer.close()


async def read_memory(address: str) -> float:
    """Return the resident memory of the server in MB."""
    status, body = await ask(address, "GET", "/metrics")
    for line in body.decode().splitlines():
        if line.startswith("process_resident_memory_bytes "):
            return float(line.split()[1]) / 1e6
    raise RuntimeError(f"no memory in /metrics, status {status}: {body[:200]!r}")


def tell(tally: Tally, options: argparse.Namespace) -> int:
    """Print and record what came out; return 1 if a goal is missed."""
    times = sorted(tally.seconds) or [0.0]
    p50, p99 = (times[int(share * (len(times) - 1))] for share in (0.5, 0.99))
    half = tally.memory[len(tally.memory) // 2]
    growth = tally.memory[-1] - half
    allowed = {"200", "429", "left", "health 200"}
    good = not tally.wrong and set(tally.statuses) <= allowed and tally.statuses["200"] > 0
    sys.stdout.write(
        f"{dict(tally.statuses)}; wrong answers {len(tally.wrong)}; eager clients p50 "
        f"{p50:.3f} s, p99 {p99:.3f} s; memory {tally.memory[0]:.0f} MB at first, {half:.0f} in "
        f"the middle, {growth:+.1f} from there to the end: {'as it should' if good else 'MISSED'}\n"
    )
    if not options.dry:
        append(
            {
                "name": "serving_load",
                "clients": options.clients,
                "queue": options.queue,
                "seconds": options.seconds,
                "statuses": dict(tally.statuses),
                "wrong": len(tally.wrong),
                "p50_seconds": p50,
                "p99_seconds": p99,
                "memory_mb": tally.memory[:: max(1, len(tally.memory) // 12)],
                "memory_growth_mb": growth,
            }
        )
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
