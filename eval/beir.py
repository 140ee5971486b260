"""Judge one collection: build or reuse its index, search, measure every channel and the fusion."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from embedder.types import Counted, Encoder
from eval.beir_names import holds_queries
from eval.datasets import Collection
from eval.judged import FUSED, Judged
from eval.measures import STANDARD, evaluate
from index.folder import MANIFEST, Index
from retrieval.build import BuildOptions, build_index
from retrieval.fusion import DEFAULT, fusion_by_name
from retrieval.retriever import Retriever
from retrieval.run import drop_self

Progress = Callable[[int], None]


@dataclass(frozen=True)
class JudgeOptions:
    """How a collection is judged.

    Attributes:
        fusion: how channels are fused, as `fusion_by_name` reads it; not used with one channel.
        depth: documents searched per channel and query; BEIR's is 1000.
        measures: names for `evaluate`.
        out: folder for DATASET.json and the TREC runs; None writes nothing.
        build: how the index is made where there is none. A document without text is kept: a
            collection is judged whole.
    """

    fusion: str = DEFAULT
    depth: int = 1000
    measures: tuple[str, ...] = STANDARD
    out: Path | None = None
    build: BuildOptions = field(default_factory=lambda: BuildOptions(on_empty="keep"))


def judge(
    collection: Collection,
    encoders: Mapping[str, Encoder],
    index_path: Path,
    options: JudgeOptions | None = None,
    progress: Progress | None = None,
) -> Judged:
    """Judge a collection: every judged query counts, answered or not.

    Where the queries are documents too, a query's own document is dropped from each run, fused
    or not, after fusion and before it is measured, as PromptReps does.

    Args:
        collection: with queries and judgements.
        encoders: channel name -> encoder; one encoder may serve two channels.
        index_path: an index of this collection by these encoders, or where to build it; a build
            that was interrupted is continued.
        options: see `JudgeOptions`.
        progress: told the number of documents consumed while an index is built.

    Raises:
        ValueError: nothing is judged, or the index is of other encoders or another collection.
    """
    options = options or JudgeOptions()
    qrels, queries = collection.qrels(), collection.queries()
    fuse = fusion_by_name(options.fusion, list(encoders)) if len(encoders) > 1 else None
    evaluate({}, qrels, options.measures)  # a misspelt measure must not cost hours of encoding
    seconds: dict[str, float] = {}
    with _timed(seconds, "index"):
        index = _indexed(collection, encoders, index_path, options.build, progress)
    with index:
        documents = index.documents
        retriever = Retriever(index, encoders, depth=options.depth)
        with _timed(seconds, "search"):
            runs = dict(retriever.channel_runs(queries, options.depth))
    if fuse is not None:
        with _timed(seconds, "fuse"):
            runs[FUSED] = fuse([runs[channel] for channel in encoders])
    if holds_queries(collection.name):
        runs = {name: drop_self(run) for name, run in runs.items()}
    with _timed(seconds, "evaluate"):
        values = {name: evaluate(run, qrels, options.measures) for name, run in runs.items()}
    judged = Judged(
        dataset=collection.name,
        channels=tuple(encoders),
        fusion=options.fusion if fuse is not None else None,
        values=values,
        documents=documents,
        seconds=seconds,
        fingerprints={name: encoder.fingerprint for name, encoder in encoders.items()},
        counts={
            name: dict(encoder.counts)
            for name, encoder in encoders.items()
            if isinstance(encoder, Counted)
        },
    )
    if options.out is not None:
        judged.write(options.out, runs)
    return judged


def _indexed(
    collection: Collection,
    encoders: Mapping[str, Encoder],
    path: Path,
    build: BuildOptions,
    progress: Progress | None,
) -> Index:
    """Open the index, built if it is missing or unfinished."""
    if (path / MANIFEST).exists():
        index = Index.open(path)
        if index.unfinished is None:
            return _of_this(index, collection)
        index.close()
    build_index(collection.documents(), encoders, path, build, progress)
    return Index.open(path)


def _of_this(index: Index, collection: Collection) -> Index:
    """Refuse an index that lacks the collection's first document."""
    first = next(collection.documents(), None)
    try:
        if first is not None:
            index.document(first.id)
    except ValueError as error:
        index.close()
        raise ValueError(
            f"{index.path} is not an index of {collection.name}: {error}; give another folder"
        ) from error
    return index


@contextmanager
def _timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    seconds[name] = time.perf_counter() - start
