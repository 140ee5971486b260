"""Flip one bit of one file of an index; check must say so, and no search may crash.

The indexes hold dense vectors (Flat, HNSW, IVF-PQ), BM25's counts and impacts, by our own engine
or Lucene, in two segments with deleted documents. Each is searched by the library with FAISS and
compiled code and without,
one in five through the command line too. Another answer is legal, since a search reads no
checksums of what it only adds up; a crash, a traceback and a `check` that notices nothing are not.
"""

import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.fuzz_trial import Outcome, Trial

if TYPE_CHECKING:
    from embedder.types import Encoder

FACTORIES = ("Flat", "int8", "HNSW16", "IVF8,PQ8x4fs,RFlat")  # int8: Flat, with codes
LUCENE = "lucene"
BASES = (*FACTORIES, "front door", LUCENE)
INDEX = "x"


def campaign(seed: int, count: int) -> Iterator[Trial]:
    """Yield indexes with one bit turned over."""
    with tempfile.TemporaryDirectory(prefix="fuzz-bitflips-base-") as scratch:
        bases = [
            _make_apart(Path(scratch).resolve() / str(at), name) for at, name in enumerate(BASES)
        ]
        for number in range(count):
            rng = np.random.default_rng([seed, number])
            at = int(rng.choice(len(BASES), p=[0.22, 0.22, 0.21, 0.15, 0.2]))
            path, data = flip(bases[at] / INDEX, rng)
            name = path.relative_to(bases[at]).as_posix()
            commands: list[tuple[str, ...]] = [("check", INDEX), ("info", INDEX)]
            if BASES[at] == "front door":
                commands.append(("search", INDEX, "magma near lava", "-k", "5", "-q"))
            yield Trial(
                name=f"{BASES[at]}: {name}",
                commands=tuple(commands),
                base=bases[at],
                files={name: data},
                names=(path.name, f"/{path.parent.name} is damaged", "manifest.json"),
                seconds=300,  # the first compiles for a minute
                judge=partial(_judge, base=BASES[at]),
            )


def flip(index: Path, rng: np.random.Generator) -> tuple[Path, bytes]:
    """Choose a file, by number or by size, and a bit of it."""
    files = sorted(path for path in index.rglob("*") if path.is_file() and path.stat().st_size)
    sizes = np.array([path.stat().st_size for path in files], np.float64)
    chances = None if rng.random() < 0.7 else sizes / sizes.sum()
    path = files[int(rng.choice(len(files), p=chances))]
    data = bytearray(path.read_bytes())
    # Headers, and what leads from one place to another, stand at the front.
    most = len(data) if rng.random() < 0.6 else min(len(data), 256)
    data[int(rng.integers(most))] ^= 1 << int(rng.integers(8))
    return path, bytes(data)


def _judge(place: Path, outcomes: Sequence[Outcome], base: str) -> str:
    if outcomes[0].code != 2:
        return f"check ends with {outcomes[0].code}: {outcomes[0].stdout[:200]}"
    if base == LUCENE:
        search(place / INDEX, compiled=False)
    elif base in FACTORIES:
        for compiled in (False, True):
            search(place / INDEX, compiled)
    return ""


def search(path: Path, compiled: bool) -> None:
    """Search every channel; a crash ends the process, and any error but one line is raised.

    Args:
        path: of the index.
        compiled: by FAISS and compiled code, or by brute force and NumPy.
    """
    from index.channels.inverted import InvertedChannel
    from index.folder import Index
    from retrieval.retriever import Retriever
    from tests.synthetic import queries

    try:
        with Index.open(path) as index:
            for rows in index._channels.values():
                for channel in getattr(rows._searched, "channels", ()):
                    if compiled and isinstance(channel, InvertedChannel):
                        channel.prepare()
                    if not compiled and not isinstance(channel, InvertedChannel):
                        channel._approximate = None
            encoders = _encoders()
            Retriever(index, encoders).search(queries(), 10)
            for document in index.stream():
                if document.id == "d7":
                    break
            for passage in range(index.rows("dense")):
                index.passage("dense", passage)
    except ValueError as error:
        if "\n" in str(error):
            raise RuntimeError(f"an error of several lines: {error}") from error


def _encoders() -> "dict[str, Encoder]":
    from embedder.encoders.bm25 import BM25Encoder
    from tests.synthetic import SignEncoder

    return {"dense": SignEncoder(), "bm25": BM25Encoder(), "impacts": BM25Encoder()}


def _make_apart(folder: Path, name: str) -> Path:
    """Make an index, in another process where Java is started: it does not survive a fork."""
    if name != LUCENE:
        return make_index(folder, name)
    code = f"from benchmarks.fuzz_bitflips import *\nmake_index(Path({str(folder)!r}), {name!r})"
    subprocess.run([sys.executable, "-c", code], check=True)
    return folder


def make_index(folder: Path, name: str) -> Path:
    """Make an index of 360 documents in a folder."""
    from index.channels.weighting import Weighting
    from index.manifest import Engine
    from index.writer import IndexWriter
    from retrieval.build import build_index
    from retrieval.options import BuildOptions, ChannelOptions
    from tests.synthetic import documents

    folder.mkdir()
    if name not in (*FACTORIES, LUCENE):
        return _from_front_door(folder)
    engine: Engine = "lucene" if name == LUCENE else "native"
    options = BuildOptions(
        segment_documents=300,
        channels={
            "dense": ChannelOptions(
                "dense",
                factory="Flat" if name in (LUCENE, "int8") else name,
                dtype="int8" if name == "int8" else "float32",
            ),
            "bm25": ChannelOptions("inverted", weighting=Weighting("bm25"), engine=engine),
            "impacts": ChannelOptions("inverted", weighting=Weighting("impacts"), engine=engine),
        },
    )
    build_index(documents(560), _encoders(), folder / INDEX, options)
    with IndexWriter(folder / INDEX) as writer:
        writer.delete([f"d{at}" for at in range(3, 560, 50)])
        writer.commit()
    return folder


def _from_front_door(folder: Path) -> Path:
    """Make an index with the bundled model."""
    import json

    from lastword.main import main

    words = "lava magma bridge arch bread yeast star orbit".split()
    texts = (f"{words[at % 8]} {words[(3 * at) % 8]} number {at}" for at in range(120))
    lines = (json.dumps({"_id": f"d{at}", "text": text}) + "\n" for at, text in enumerate(texts))
    source = folder.parent / "corpus.jsonl"
    source.write_text("".join(lines))
    index = str(folder / INDEX)
    for command in (["index", str(source), "-o", index, "-q"], ["delete", index, "d5", "-q"]):
        if main(command):
            raise RuntimeError(f"lastword {' '.join(command)} failed")
    return folder
