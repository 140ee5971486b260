"""Measure the memory that indexing takes against documents, and against the length of their text.

python -m benchmarks.memory [--documents 200000] [--dry]

Each measurement is a process of its own. "10 x text" is the same index with each text repeated ten
times: as many rows and postings, ten times the text to read and store.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.record import append
from embedder.encoders.bm25 import BM25Encoder
from embedder.types import Representation, Role, fingerprint_of
from index.documents import Document
from index.folder import Index
from retrieval.build import build_index

_DIM = 256
_WORDS = 30  # of a document
_VOCABULARY = 50_000
_STATUS = Path("/proc/self/status")


class RandomEncoder:
    """Random unit rows: all the memory of a dense encoder's output, none of its time."""

    def __init__(self) -> None:
        self._rng = np.random.default_rng(0)

    @property
    def fingerprint(self) -> str:
        """What it is."""
        return fingerprint_of(kind="random", dim=_DIM)

    def encode(self, texts: Sequence[str], role: Role) -> Representation:
        """Return one random row for each text."""
        rows = self._rng.standard_normal((len(texts), _DIM), np.float32)
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        return Representation(rows, None, np.arange(len(texts)))


def documents(n: int, repeats: int) -> Iterator[Document]:
    """Yield documents of words drawn as Zipf has it; each text comes `repeats` times over."""
    rng = np.random.default_rng(1)
    for start in range(0, n, 1000):
        drawn = np.minimum(rng.zipf(1.2, (min(1000, n - start), _WORDS)), _VOCABULARY)
        for at, row in enumerate(drawn, start=start):
            text = " ".join(f"w{word}" for word in row)
            yield Document(str(at), "", " ".join([text] * repeats))


def measure(n: int, repeats: int) -> dict[str, object]:
    """Index in this process and return what it took; sizes in MB of 10**6 bytes."""
    before = _mb("VmHWM")
    curve: dict[int, float] = {}

    def progress(done: int) -> None:
        if done // 25_000 > max(curve, default=-1) // 25_000:
            curve[done] = _mb("RssAnon")

    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "index"
        start = time.perf_counter()
        build_index(
            documents(n, repeats),
            {"dense": RandomEncoder(), "bm25": BM25Encoder()},
            path,
            progress=progress,
        )
        seconds = time.perf_counter() - start
        stored = sum(file.stat().st_size for file in path.rglob("documents.sqlite")) / 1e6
        with Index.open(path) as index:
            size = index.bytes / 1e6
    return {
        "documents": n,
        "text_repeats": repeats,
        "texts_on_disk_mb": stored,
        "rows_on_disk_mb": size - stored,
        "peak_rss_mb": _mb("VmHWM"),
        "rss_before_mb": before,
        "anonymous_mb_by_documents": curve,
        "seconds": seconds,
    }


def main() -> None:
    """Measure, print a table, and append to the record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=200_000)
    parser.add_argument("--dry", action="store_true", help="do not append to results.jsonl")
    parser.add_argument("--one", nargs=2, type=int, metavar=("N", "REPEATS"))
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(*options.one)))
        return
    n = options.documents
    measured = [_apart(*case) for case in ((n // 4, 1), (n // 2, 1), (n, 1), (n, 10))]
    Console().print(_table(measured))
    if not options.dry:
        append({"name": "indexing_memory", "dense_dim": _DIM, "words": _WORDS, "cases": measured})


def _apart(n: int, repeats: int) -> dict[str, object]:
    command = [sys.executable, "-m", "benchmarks.memory", "--one", str(n), str(repeats)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    case: dict[str, object] = json.loads(done.stdout)
    return case


def _mb(field: str) -> float:
    """Return a field of /proc/self/status in MB of 10**6 bytes."""
    for line in _STATUS.read_text().splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return int(value.split()[0]) * 1024 / 1e6
    raise OSError(f"{_STATUS} has no {field}; this needs Linux")


def _table(measured: list[dict[str, object]]) -> Table:
    keys = ("documents", "text_repeats", "texts_on_disk_mb", "rows_on_disk_mb", "peak_rss_mb")
    table = Table(*keys, "seconds")
    for case in measured:
        table.add_row(*(f"{case[key]:,.0f}" for key in (*keys, "seconds")))
    return table


if __name__ == "__main__":
    main()
