"""An index pushed into Milvus Lite, killed and repeated: equal to exact search in its folder.

python -m benchmarks.milvus [--documents 20000] [--queries 300] [--kills 3] [--dry]

Documents are made text, the frequencies of whose words fall as in language, with BM25 and dense
rows that are random unit vectors. The command `lastword push` is killed (SIGKILL) once a random
number of rows is new there, several times, then run to its end. Ids and rows are counted, and the
best 10 of every query are compared with those of the folder: scores to 1e-5 of their size, and
documents but for those that tie with the last. Times are of Milvus Lite, one process in Python,
and say nothing of a cluster.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from random import Random

import numpy as np

from benchmarks.record import append
from embedder.encoders.bm25 import BM25Encoder
from embedder.types import Encoder, Representation, Role, fingerprint_of
from index.documents import Document
from index.folder import Index
from retrieval.build import build_index
from retrieval.milvus.connection import MilvusCollection
from retrieval.milvus.opening import open_index
from retrieval.milvus.place import MilvusPlace
from retrieval.milvus.push import PushOptions, PushReport, push_index
from retrieval.retriever import Retriever
from retrieval.run import Run
from tests.milvus_server import serve_milvus

K, WIDTH, WORDS = 10, 384, 20_000
_CLOSE = 1e-5
_CHANCES = 1 / np.arange(1, WORDS + 1)


class RandomRows:
    """Unit rows that the texts are the seeds of."""

    fingerprint = fingerprint_of(kind="random rows", width=WIDTH)

    def encode(self, texts: Sequence[str], role: Role) -> Representation:
        """Return a row for each text."""
        seeds = [int.from_bytes(sha256(text.encode()).digest()[:8], "big") for text in texts]
        drawn = [np.random.default_rng(seed).standard_normal(WIDTH) for seed in seeds]
        rows = np.stack(drawn).astype(np.float32)
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        return Representation(rows, None, np.arange(len(texts)))


def made_documents(count: int) -> Iterator[Document]:
    """Yield documents of 20 to 120 words."""
    random = np.random.default_rng(1)
    for at in range(count):
        yield Document(f"d{at}", "", _words(random, int(random.integers(20, 121))), {"number": at})


def made_queries(count: int) -> dict[str, str]:
    """Return queries of 2 to 6 words."""
    random = np.random.default_rng(2)
    return {f"q{at}": _words(random, int(random.integers(2, 7))) for at in range(count)}


def _words(random: np.random.Generator, count: int) -> str:
    drawn = random.choice(WORDS, count, p=_CHANCES / _CHANCES.sum())
    return " ".join(f"w{number}" for number in drawn)


def push_and_kill(folder: Path, place: str, rows: int, random: Random) -> int:
    """Push until some more rows are there, kill it, and return how many are."""
    collection = MilvusCollection(MilvusPlace.parse(place))
    before = collection.count("row >= 0") if collection.exists() else 0
    least = before + random.randrange(1, max(2, (rows - before) // 2))
    command = [sys.executable, "-m", "lastword", "push", str(folder), "--to", place, "--quiet"]
    process = subprocess.Popen([*command, "--dense-index", "flat", "--batch", "100"])
    while process.poll() is None:
        with suppress(ConnectionError):  # a server that writes may not count for a minute
            if collection.exists() and collection.count("row >= 0") >= least:
                process.kill()
        time.sleep(0.3)
    return collection.count("row >= 0")


def same(here: Mapping[str, float], there: Mapping[str, float]) -> bool:
    """Tell whether one query found the same, but for documents that tie with the last."""
    if not np.allclose(list(here.values()), list(there.values()), rtol=_CLOSE, atol=_CLOSE):
        return False
    last = min(here.values(), default=0.0) * (1 + _CLOSE)
    return {name for name, score in here.items() if score > last} <= there.keys()


def compare(
    folder: Path, place: str, encoders: Mapping[str, Encoder], count: int
) -> dict[str, object]:
    """Return for each channel how many queries find the same, and the time of one."""
    queries = made_queries(count)
    found: dict[str, object] = {}
    with Index.open(folder) as here, open_index(place) as there:
        found["same_ids"] = sorted(here.ids()) == there.ids()
        for name, encoder in encoders.items():
            runs: list[Run] = []
            for index in (here, there):
                start = time.perf_counter()
                runs.append(Retriever(index, {name: encoder}, depth=K).search(queries, K))
                seconds = time.perf_counter() - start
            found[f"{name}_same"] = sum(same(runs[0][each], runs[1][each]) for each in queries)
            found[f"{name}_milvus_ms"] = round(1000 * seconds / count, 2)
    return found


def measure(documents: int, queries: int, kills: int, work: Path) -> dict[str, object]:
    """Push, kill, repeat and compare."""
    encoders: dict[str, Encoder] = {"dense": RandomRows(), "bm25": BM25Encoder("none")}
    folder, random = work / "index", Random(0)
    build_index(made_documents(documents), encoders, folder)
    with serve_milvus(work) as server:
        place = server.place("made")
        left = [push_and_kill(folder, place, documents, random) for _ in range(kills)]
        start = time.perf_counter()
        report: PushReport = push_index(folder, place, PushOptions(dense_index="flat"))
        seconds = time.perf_counter() - start
        again = push_index(folder, place, PushOptions(dense_index="flat"))
        return {
            "name": "milvus lite push",
            "documents": documents,
            "rows_after_kills": left,
            "rows": report.rows,
            "written_at_last": report.written,
            "last_push_seconds": round(seconds, 1),
            "written_again": again.written,
            "same_digest": again.digest == report.digest,
            "queries": queries,
            **compare(folder, place, encoders, queries),
        }


def main() -> None:
    """Measure, print and append."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=20_000)
    parser.add_argument("--queries", type=int, default=300)
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--dry", action="store_true", help="append nothing")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        record = measure(options.documents, options.queries, options.kills, Path(work))
    print(record)
    if not options.dry:
        append(record)


if __name__ == "__main__":
    main()
