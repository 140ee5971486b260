"""Ask a server by one client and by many, beside the library called in a loop in the same run.

python -m benchmarks.serving [--index my.index] [--seconds 20] [--clients 32] [--dry]

Rounds alternate: the library in batches as large as there are clients, then one client, then many.
The server is a process of its own, and so are the clients: one process with a thread each. An
index of the bundled model over Cranfield is made where none is given. Goals: many clients get at
least .9 of what the library does in batches, and 4 times what one client gets.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx

import lastword as lw
from benchmarks.record import append

DATA = Path(__file__).parents[1] / "../shared/data/retrieval/cranfield"
FLOOR_LIBRARY, FLOOR_ONE = 0.9, 4.0
ROUNDS = 3
Ask = Callable[[httpx.Client, int], None]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print what came out, and append it to results.jsonl."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--index", type=Path, help="of a collection like that of --data")
    parser.add_argument("--data", type=Path, default=DATA, help="folder in the layout of BEIR")
    parser.add_argument("--seconds", type=float, default=20, help="of each measurement")
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--dry", action="store_true", help="append nothing to results.jsonl")
    options = parser.parse_args(arguments)
    queries = read_texts(options.data / "queries.jsonl")
    with tempfile.TemporaryDirectory() as folder:
        path = options.index or build(options.data, Path(folder) / "served.index")
        share = options.seconds / ROUNDS
        with lw.open(path) as engine, serving(path, Path(folder) / "log") as address:
            for name, library, ask in measured(engine, queries):
                rates: dict[str, list[float]] = {"library": [], "one": [], "many": []}
                for _ in range(ROUNDS):
                    rates["library"].append(per_second(library, options.clients, share))
                    rates["one"].append(asked_per_second(address, ask, 1, share))
                    rates["many"].append(asked_per_second(address, ask, options.clients, share))
                tell(name, rates, options)


def measured(
    engine: lw.SearchEngine, queries: Sequence[str]
) -> Iterator[tuple[str, Callable[[int, int], object], Ask]]:
    """Yield for each path its name, a call of the library for some queries, and a request."""

    def some(start: int, count: int) -> list[str]:
        return [queries[(start + at) % len(queries)] for at in range(count)]

    def search(client: httpx.Client, at: int) -> None:
        body = {"query": some(at, 1)[0], "k": 10}
        client.post("/v1/search", json=body).raise_for_status()

    yield "/v1/search", lambda at, n: engine.search_many(some(at, n), k=10), search
    encoders = [each for each in engine.encoders.values() if hasattr(each, "backbone")]
    if not encoders:
        return

    def embed(client: httpx.Client, at: int) -> None:
        client.post("/embed", json={"inputs": some(at, 1)[0]}).raise_for_status()

    yield "/embed", lambda at, n: encoders[0].encode(some(at, n), "document"), embed  # type: ignore[arg-type]


def tell(name: str, rates: dict[str, list[float]], options: argparse.Namespace) -> None:
    """Print and record the medians."""
    library, one, many = (statistics.median(rates[kind]) for kind in ("library", "one", "many"))
    sys.stdout.write(
        f"{name}: library in batches {library:.1f}/s; 1 client {one:.1f}/s; {options.clients} "
        f"clients {many:.1f}/s, {many / library:.2f} of the library (goal {FLOOR_LIBRARY}), "
        f"{many / one:.1f} x one client (goal {FLOOR_ONE})\n"
    )
    if not options.dry:
        append(
            {
                "name": "serving",
                "path": name,
                "clients": options.clients,
                "seconds": options.seconds,
                "library_per_second": library,
                "one_client_per_second": one,
                "many_clients_per_second": many,
                "many_per_library": many / library,
                "many_per_one": many / one,
                "rates": rates,
            }
        )


def per_second(call: Callable[[int, int], object], batch: int, seconds: float) -> float:
    """Return how many queries a second the library answers in batches."""
    done, start = 0, time.perf_counter()
    while (spent := time.perf_counter() - start) < seconds:
        call(done, batch)
        done += batch
    return done / spent


def asked_per_second(address: str, ask: Ask, clients: int, seconds: float) -> float:
    """Return how many requests a second are answered to clients that ask again at once."""
    done, until = [0] * clients, time.perf_counter() + seconds

    def client(at: int) -> None:
        with httpx.Client(base_url=address, timeout=60) as http:
            while time.perf_counter() < until:
                ask(http, at * 7 + done[at])
                done[at] += 1

    threads = [threading.Thread(target=client, args=(at,)) for at in range(clients)]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(done) / (time.perf_counter() - start)


def build(data: Path, path: Path) -> Path:
    """Make an index of a collection with the bundled model."""
    documents = [
        {"id": one["_id"], "title": one.get("title", ""), "text": one["text"]}
        for one in map(json.loads, (data / "corpus.jsonl").read_text().splitlines())
        if one["text"]
    ]
    lw.build(path, documents).close()
    return path


def read_texts(path: Path) -> list[str]:
    """Read the texts of a file of queries."""
    return [json.loads(line)["text"] for line in path.read_text().splitlines()]


@contextmanager
def serving(path: Path, log: Path, *options: str) -> Iterator[str]:
    """Give the address of a server in a process of its own."""
    with log.open("w") as file:
        command = [sys.executable, "-m", "lastword", "serve", str(path), "--port", "0", *options]
        process = subprocess.Popen(command, stderr=file)
    try:
        while " serves " not in log.read_text():
            if process.poll() is not None:
                raise RuntimeError(log.read_text())
            time.sleep(0.1)
        yield log.read_text().partition(" serves ")[0].split()[-1]
    finally:
        process.terminate()
        process.wait(60)


if __name__ == "__main__":
    main()
