"""Kill -9 a process that changes an index, and tell what is left of it.

Run as a program it is the process that gets killed: `python -m tests.killed WORK ENGINE FOLDER`.
"""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from embedder.encoders.bm25 import BM25Encoder
from embedder.types import Encoder
from index.channels.weighting import Weighting
from index.folder import Index
from index.manifest import Engine
from index.manifest_file import MANIFEST
from index.storage.layout import LUCENE_FILE
from index.writer import IndexWriter
from retrieval.build import add_documents, build_index
from retrieval.options import BuildOptions, ChannelOptions
from retrieval.retriever import Retriever
from retrieval.run import Run
from tests.folders import ROOT
from tests.synthetic import SignEncoder, documents, queries

Work = Literal["build", "add", "merge"]
WORKS: tuple[Work, ...] = get_args(Work)
BUILT, ADDED = 240, 180
OPTIONS: dict[Engine, BuildOptions] = {
    engine: BuildOptions(
        {"bm25": ChannelOptions("inverted", weighting=Weighting("bm25"), engine=engine)},
        segment_documents=30,
        window=12,
        cache=True,
    )
    for engine in get_args(Engine)
}


@dataclass(frozen=True)
class Finished:
    """What a piece of work leaves when nobody interrupts it.

    Attributes:
        results: of a fixed set of queries.
        files: relative path -> contents of every file that a reader reads.
        seconds: how long the work took.
    """

    results: Run
    files: dict[str, bytes]
    seconds: float


@dataclass(frozen=True)
class Kill:
    """What was found after a kill.

    Attributes:
        work: what was going on.
        seconds: when the process was killed, after it had begun to work.
        ended: it had finished before.
        generation: the last commit; 0 where there was none yet.
        documents: live documents in it.
        problems: what was wrong, in words.
    """

    work: Work
    seconds: float
    ended: bool
    generation: int
    documents: int
    problems: tuple[str, ...]


def encoders() -> dict[str, Encoder]:
    """Return fast encoders with exact scores."""
    return {"dense": SignEncoder(), "bm25": BM25Encoder()}


def prepare(work: Work, folder: Path, engine: Engine) -> None:
    """Make what the work begins with."""
    if work == "build":
        return
    build_index(documents(BUILT), encoders(), folder, OPTIONS[engine])
    if work == "merge":
        with IndexWriter(folder) as writer:
            writer.delete([f"d{i}" for i in range(0, BUILT, 7)])
            writer.commit()


def carry_out(work: Work, folder: Path, engine: Engine) -> None:
    """Do the work, or what is left of it."""
    if work == "build":
        if _unfinished(folder):
            build_index(documents(BUILT), encoders(), folder, OPTIONS[engine])
    elif work == "add":
        if _unfinished(folder) or _count(folder) == BUILT:
            add_documents(documents(ADDED, start=BUILT), encoders(), folder, OPTIONS[engine])
    else:
        with IndexWriter(folder) as writer:
            if len(writer.manifest.segments) > 1:
                writer.merge()
                writer.commit()
            writer.compact()


def finished(work: Work, folder: Path, engine: Engine = "native") -> Finished:
    """Do the work in another process without interruption, and keep what it left."""
    prepare(work, folder, engine)
    process = _begun(work, folder, engine)
    start = time.perf_counter()
    if process.wait() != 0:
        raise RuntimeError(f"{work} failed where nobody killed it")
    seconds = time.perf_counter() - start
    return Finished(search(folder), files(folder), seconds)


def kill(
    work: Work,
    folder: Path,
    whole: Finished,
    rng: np.random.Generator,
    engine: Engine = "native",
) -> Kill:
    """Kill the work at a random moment; see whether the index stands and can be finished."""
    prepare(work, folder, engine)
    process = _begun(work, folder, engine)
    seconds = float(rng.uniform(0, 0.85 * whole.seconds))
    time.sleep(seconds)
    process.send_signal(signal.SIGKILL)
    ended = process.wait() == 0
    problems: list[str] = []
    generation = live = 0
    if (folder / MANIFEST).exists():
        with Index.open(folder) as index:
            generation, live = index.generation, index.documents
            problems += index.check()
            problems += _misplaced(work, index)
            Retriever(index, encoders()).search(queries(), 10)
    elif work != "build":
        problems.append("the manifest is gone")
    carry_out(work, folder, engine)
    if search(folder) != whole.results:
        problems.append("results differ from those of an uninterrupted run")
    left = files(folder)
    if left != whole.files:
        differing = {
            name for name in left.keys() | whole.files if left.get(name) != whole.files.get(name)
        }
        problems.append(f"files differ: {', '.join(sorted(differing))}")
    return Kill(work, seconds, ended, generation, live, tuple(problems))


def search(folder: Path) -> Run:
    """Return the results of a fixed set of queries."""
    with Index.open(folder) as index:
        return Retriever(index, encoders()).search(queries(), 50)


def files(folder: Path) -> dict[str, bytes]:
    """Return the contents of everything but the lock; Lucene writes ids and times into its own."""
    found = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != "lock")
    return {path.relative_to(folder).as_posix(): _content(path) for path in found}


def _content(path: Path) -> bytes:
    if path.name != MANIFEST:
        return b"" if LUCENE_FILE.fullmatch(path.name) else path.read_bytes()
    content = json.loads(path.read_bytes())["content"]
    files = [segment["files"] for segment in content["segments"]]
    lucene = [
        (records, name)
        for records in files
        for name in records
        if LUCENE_FILE.fullmatch(name.rpartition("/")[2])
    ]
    for records, name in lucene:
        records[name] = None
    return json.dumps(content).encode() if lucene else path.read_bytes()


def _misplaced(work: Work, index: Index) -> list[str]:
    """Compare the documents of a generation with those that one commit or another leaves."""
    if work == "merge":
        expected = [f"d{i}" for i in range(BUILT) if i % 7]
    else:
        expected = [f"d{i}" for i in range(index.documents)]
        size = OPTIONS["native"].segment_documents
        if index.documents % size or (work == "add" and index.documents < BUILT):
            return [f"{index.documents} documents are not a whole number of segments"]
    if [document.id for document in index.stream()] != expected:
        return ["the documents are not those of a commit"]
    return []


def _unfinished(folder: Path) -> bool:
    if not (folder / MANIFEST).exists():
        return True
    with Index.open(folder) as index:
        return index.unfinished is not None


def _count(folder: Path) -> int:
    with Index.open(folder) as index:
        return index.documents


def _begun(work: Work, folder: Path, engine: Engine) -> "subprocess.Popen[bytes]":
    """Start the process and wait until everything is imported and the work begins."""
    command = [sys.executable, "-m", "tests.killed", work, engine, str(folder)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE)
    if process.stdout is None or process.stdout.readline() != b"begun\n":
        raise RuntimeError(f"the process that was to {work} did not start")
    process.stdout.close()
    return process


if __name__ == "__main__":
    os.write(1, b"begun\n")
    engine: Engine = "lucene" if sys.argv[2] == "lucene" else "native"
    carry_out(next(work for work in WORKS if work == sys.argv[1]), Path(sys.argv[3]), engine)
