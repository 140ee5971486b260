"""Ask a server by one client and by many, beside the library called in a loop in the same run.

python -m benchmarks.serving [--index my.index] [--seconds 20] [--clients 32] [--dry]

Rounds alternate: the library in batches as large as there are clients, then one client, then many.
The server is a process of its own, and the clients are one, of one thread. All share the cores:
the last figures are per processor second, of the library and of the server without its clients.
The library does the same work as the server where it lists hits with passages and matches;
`search_many`, which gives ids and scores, is told beside it. An index of the bundled model over
Cranfield is made where none is given. Goals: many clients get at least .9 of what the library does
in batches, and 4 times what one client gets.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import lastword as lw
from benchmarks.record import append
from benchmarks.serving_client import Asked, ask_for, prepare
from embedder.types import Role
from lastword.hits import list_hits

DATA = Path(__file__).parents[1] / "../shared/data/retrieval/cranfield"
FLOOR_LIBRARY, FLOOR_ONE = 0.9, 4.0
ROUNDS, HITS = 3, 10
Call = Callable[[Sequence[str]], object]


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
        with lw.open(path) as engine, serving(path, Path(folder) / "log") as address:
            for work in works(engine):
                tell(measure(work, address, queries, options), options)


@dataclass(frozen=True, slots=True)
class Work:
    """What a path of the server does, as the library does it.

    Attributes:
        path: of the server.
        body: what a request for a text carries.
        library: name -> a call with a batch of texts; the first does all that the server does.
    """

    path: str
    body: Callable[[str], object]
    library: Mapping[str, Call]


def works(engine: lw.SearchEngine) -> Iterator[Work]:
    """Yield what is measured."""

    def list_all(texts: Sequence[str]) -> object:
        queries = {str(at): text for at, text in enumerate(texts)}
        with engine.reading() as retriever:
            listed = list_hits(retriever.answer(queries, HITS), queries, retriever)
        return [
            (hit.passage.find_matches(hit.title), hit.passage.matches)
            for hits in listed.values()
            for hit in hits
        ]

    def search(texts: Sequence[str]) -> object:
        return engine.search_many(texts, k=HITS)

    calls = {"hits with passages": list_all, "search_many": search}
    yield Work("/v1/search", lambda text: {"query": text, "k": HITS}, calls)
    models = [encoder for encoder in engine.encoders.values() if hasattr(encoder, "backbone")]
    if models:
        rows = {"encode": lambda texts: models[0].encode(texts, Role.DOCUMENT)}
        yield Work("/embed", lambda text: {"inputs": text}, rows)


@dataclass(frozen=True, slots=True)
class Measured:
    """Rounds of one path.

    Attributes:
        path: of the server.
        library: name of a call -> each round; its processor seconds are the "client's".
        one: each round of one client.
        many: each round of many.
    """

    path: str
    library: dict[str, list[Asked]]
    one: list[Asked] = field(default_factory=list)
    many: list[Asked] = field(default_factory=list)


def measure(
    work: Work, address: str, queries: Sequence[str], options: argparse.Namespace
) -> Measured:
    """Measure the library, one client and many in turn."""
    measured = Measured(work.path, {name: [] for name in work.library})
    share, clients = options.seconds / ROUNDS, options.clients
    requests = prepare(address, work.path, map(work.body, queries))
    for _ in range(ROUNDS):
        for name, call in work.library.items():
            measured.library[name].append(call_for(call, queries, clients, share))
        measured.one.append(ask_for(address, requests, 1, share))
        measured.many.append(ask_for(address, requests, clients, share))
    return measured


def call_for(call: Call, queries: Sequence[str], batch: int, seconds: float) -> Asked:
    """Let the library answer batches for some seconds."""
    done, start, own = 0, time.perf_counter(), time.process_time()
    while (spent := time.perf_counter() - start) < seconds:
        call([queries[(done + at) % len(queries)] for at in range(batch)])
        done += batch
    return Asked(done, spent, 0.0, time.process_time() - own)


def tell(measured: Measured, options: argparse.Namespace) -> None:
    """Print and record the medians."""
    library = {name: rate(rounds) for name, rounds in measured.library.items()}
    same, *_ = library.values()
    own, *_ = (per_core(rounds) for rounds in measured.library.values())
    one, many, core = rate(measured.one), rate(measured.many), per_core(measured.many)
    clients = sum(each.client_seconds for each in measured.many)
    share = clients / (clients + sum(each.server_seconds for each in measured.many))
    listed = ", ".join(f"{name} {value:.1f}/s" for name, value in library.items())
    sys.stdout.write(
        f"{measured.path}: library in batches: {listed}; 1 client {one:.1f}/s; {options.clients} "
        f"clients {many:.1f}/s, {many / same:.2f} of the library (goal {FLOOR_LIBRARY}), "
        f"{many / one:.1f} x one client (goal {FLOOR_ONE}); per processor second: library "
        f"{own:.1f}, server {core:.1f}, {core / own:.2f} of it; the clients took {share:.0%} of "
        "the processor time\n"
    )
    if not options.dry:
        append(
            {
                "name": "serving",
                "path": measured.path,
                "clients": options.clients,
                "seconds": options.seconds,
                "library_per_second": library,
                "one_client_per_second": one,
                "many_clients_per_second": many,
                "many_per_library": many / same,
                "many_per_one": many / one,
                "library_per_processor_second": own,
                "server_per_processor_second": core,
                "clients_share_of_processor": share,
                "rates": {
                    kind: [each.requests / each.seconds for each in rounds]
                    for kind, rounds in (
                        *measured.library.items(),
                        ("one", measured.one),
                        ("many", measured.many),
                    )
                },
            }
        )


def rate(rounds: Sequence[Asked]) -> float:
    """Return the median of answers per second."""
    return statistics.median(each.requests / each.seconds for each in rounds)


def per_core(rounds: Sequence[Asked]) -> float:
    """Return the median of answers per processor second, of the server where there is one."""
    return statistics.median(
        each.requests / (each.server_seconds or each.client_seconds) for each in rounds
    )


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
