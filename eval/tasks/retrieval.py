"""Judge one collection: build or reuse its index, search, measure every channel and the fusion."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from embedder.progress import Progress
from embedder.types import Counted, Encoder
from eval.data.beir import holds_queries
from eval.data.collections import Collection
from eval.measures.measures import STANDARD, evaluate
from eval.runs.collection_index import (
    IndexedDocuments,
    build_report,
    judgements_digest,
    manifest_digest,
    open_or_build,
)
from eval.runs.record import FUSED, Record, RunCost, peak_bytes
from eval.runs.run_folder import RetrievalRecordFiles
from retrieval.build import BuildOptions
from retrieval.fusion import fusion_by_name
from retrieval.fusion_choice import AUTO, choose_fusion
from retrieval.retriever import Retriever
from retrieval.run import drop_self

LATENCY_SECONDS = 5.0  # a large model on a slow machine must not be asked for minutes


@dataclass(frozen=True)
class JudgeOptions:
    """How a collection is judged.

    Attributes:
        fusion: how channels are fused, as a `Retriever` takes it; not used with one channel.
        depth: documents searched per channel and query; BEIR's is 1000.
        measures: names for `evaluate`; the first is the one that counts.
        out: the run folder, see `eval.run_folder`; None writes nothing.
        build: how the index is made where there is none. A document without text is kept: a
            collection is judged whole.
        latencies: queries that are timed one at a time afterwards, for 5 seconds at most.
    """

    fusion: str = AUTO
    depth: int = 1000
    measures: tuple[str, ...] = STANDARD
    out: Path | None = None
    build: BuildOptions = field(default_factory=lambda: BuildOptions(on_empty="keep"))
    latencies: int = 100


def judge(
    collection: Collection,
    encoders: Mapping[str, Encoder],
    index_path: Path,
    options: JudgeOptions | None = None,
    progress: Progress | None = None,
) -> Record:
    """Judge a collection: every judged query counts, answered or not.

    Where the queries are documents too, a query's own document is dropped from each run, fused
    or not, after fusion and before it is measured, as PromptReps does.

    Args:
        collection: with queries and judgements.
        encoders: channel name -> encoder; one encoder may serve two channels.
        index_path: an index of this collection by these encoders, or where to build it, see
            `open_or_build`; a build that was interrupted is continued.
        options: see `JudgeOptions`.
        progress: told the number of documents consumed while an index is built.

    Returns:
        The record. Its details: channels, in the order in which they are fused; fusion, None
        with one channel; queries and documents, how many, and empty_queries, which find nothing
        and count 0; source, digests of what was judged; index, where it is; index_state, whether
        it was "reused", "built" or "rebuilt"; index_holds, a digest of its files; build, what
        indexing did and took, None where that is not known.

    Raises:
        ValueError: nothing is judged, or the index is of other encoders or another collection.
    """
    options = options or JudgeOptions()
    qrels, queries = collection.qrels(), collection.queries()
    several = len(encoders) > 1
    fusion = options.fusion if several else AUTO
    # What is misspelt must not cost hours of encoding.
    evaluate({}, qrels, options.measures)
    fusion_by_name(choose_fusion(fusion, list(encoders)), list(encoders))
    seconds: dict[str, float] = {}
    with _timed(seconds, "index"):
        made = open_or_build(collection.documents, encoders, index_path, options.build, progress)
    asked = {query_id: text for query_id, text in queries.items() if text.strip()}
    with made.index as index:
        retriever = Retriever(index, encoders, fusion, options.depth)
        before = _counts(encoders)
        with _timed(seconds, "search"):
            runs = dict(retriever.channel_runs(asked, options.depth))
        counts = _counts(encoders, before)
        latencies = _latencies(retriever, asked, options.latencies)
        facts: dict[str, Any] = {"queries": len(queries)}
        facts |= {"empty_queries": len(queries) - len(asked)}
        facts |= _facts(made, encoders, retriever.fusion if several else None)
        facts["source"] = {"documents": made.digest, "judgements": judgements_digest(collection)}
    if several:
        with _timed(seconds, "fuse"):
            runs[FUSED] = retriever.fuse([runs[channel] for channel in encoders])
    if holds_queries(collection.name):
        runs = {name: drop_self(run) for name, run in runs.items()}
    with _timed(seconds, "evaluate"):
        values = {name: evaluate(run, qrels, options.measures) for name, run in runs.items()}
    record = Record(
        benchmark="retrieval",
        dataset=collection.name,
        values=values,
        counted=FUSED if several else next(iter(encoders)),
        fingerprints={name: encoder.fingerprint for name, encoder in encoders.items()},
        cost=RunCost(seconds, counts, peak_bytes(), latencies),
        details=facts,
    )
    if options.out is not None:
        return RetrievalRecordFiles(record, runs, qrels, queries).write(options.out)
    return record


def _facts(
    made: IndexedDocuments, encoders: Mapping[str, Encoder], fusion: str | None
) -> dict[str, Any]:
    index = made.index
    return {
        "channels": list(encoders),
        "fusion": fusion,
        "documents": index.documents,
        "index": str(index.path.resolve()),
        "index_state": made.state,
        "index_holds": manifest_digest(index.manifest),
        "build": build_report(index.path),
    }


def _counts(
    encoders: Mapping[str, Encoder], before: Mapping[str, Mapping[str, int]] | None = None
) -> dict[str, dict[str, int]]:
    """Return what encoders have counted, by channel; less what they had counted before."""
    return {
        name: {
            what: count - (before or {}).get(name, {}).get(what, 0)
            for what, count in encoder.counts.items()
        }
        for name, encoder in encoders.items()
        if isinstance(encoder, Counted)
    }


def _latencies(retriever: Retriever, queries: Mapping[str, str], most: int) -> tuple[float, ...]:
    """Time queries one at a time, in milliseconds: encoded, searched in all channels, fused."""
    taken: list[float] = []
    started = time.perf_counter()
    for query_id, text in islice(queries.items(), most):
        begun = time.perf_counter()
        retriever.search({query_id: text}, 10)
        now = time.perf_counter()
        taken.append(1000 * (now - begun))
        if now - started > LATENCY_SECONDS:
            break
    return tuple(taken)


@contextmanager
def _timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    seconds[name] = time.perf_counter() - start
