"""Judge collections: build or reuse its index, search, measure every channel and the fusion."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from embedder.arguments import check_fields
from embedder.progress import Progress
from embedder.types import Counted, Encoder
from eval.data.beir import holds_queries
from eval.data.collections import Collection
from eval.data.qrels import Qrels
from eval.measures.measures import STANDARD, evaluate
from eval.runs.collection_index import (
    IndexedDocuments,
    build_report,
    judgements_digest,
    manifest_digest,
    open_or_build,
)
from eval.runs.record import FUSED, RERANKED, Record, RunCost, peak_bytes
from eval.runs.run_folder import RetrievalRecordFiles
from index.filters.parse import parse_filter
from index.folder import Index
from retrieval.feedback.read import check_served, read_feedback
from retrieval.fusion import fusion_by_name
from retrieval.fusion_choice import AUTO, choose_fusion
from retrieval.options import BuildOptions
from retrieval.outside.joined import close_channels
from retrieval.outside.opening import outside_channels
from retrieval.outside.specs import read_specs
from retrieval.rerank.reranking import Reranking
from retrieval.retriever import Retriever
from retrieval.run import Run, drop_self, timed

Watch = Callable[[Collection, int], AbstractContextManager[Progress]]

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
        feedback: how queries learn from what they find first, as `read_feedback` reads it.
        filter: only documents are found whose metadata meet it, see `index.filters.parse`; all
            judgements count.
        also: channels outside of the index, see `retrieval.outside.specs.read_spec`.
        rerank: what reads the best documents of each query again, or None; its run counts then,
            beside the one that it was made of.
    """

    fusion: str = AUTO
    depth: int = 1000
    measures: tuple[str, ...] = STANDARD
    out: Path | None = None
    build: BuildOptions = field(
        default_factory=lambda: BuildOptions(on_empty="keep", passages=None)
    )
    latencies: int = 100
    feedback: str = ""
    filter: str = ""
    also: tuple[str, ...] = ()
    rerank: Reranking | None = None

    def __post_init__(self) -> None:
        check_fields(self)


def _unwatched(collection: Collection, queries: int) -> AbstractContextManager[Progress]:
    return nullcontext(lambda documents: None)


@dataclass(frozen=True)
class _Search:
    """Every run of a search of all queries, its cost, and how it was made; see `_details`."""

    channels: Sequence[str]
    runs: Mapping[str, Run]
    fusion: str | None
    feedback: dict[str, Any]
    counts: Mapping[str, Mapping[str, int]]
    latencies: tuple[float, ...]
    also: Mapping[str, Any]


def judge_collections(
    collections: Iterable[tuple[Collection, Path]],
    encoders: Mapping[str, Encoder],
    options: JudgeOptions | None = None,
    watch: Watch = _unwatched,
) -> list[Record]:
    """Judge collections one by one, each with its index, see `judge`.

    Args:
        collections: each with the place of its index.
        encoders: channel name -> encoder.
        options: see `JudgeOptions`.
        watch: shows progress: called with the collection and the number of queries that have
            text, and of documents read again for them; returns the function that is called with
            the number of documents consumed.

    Raises:
        ValueError: as `judge`; collections judged before are written.
    """
    records = []
    for collection, index_path in collections:
        queries = sum(bool(text.strip()) for text in collection.queries().values())
        again = options.rerank.depth if options and options.rerank else 0
        with watch(collection, queries * (1 + again)) as progress:
            records.append(judge(collection, encoders, index_path, options, progress))
    return records


def judge(
    collection: Collection,
    encoders: Mapping[str, Encoder],
    index_path: Path,
    options: JudgeOptions | None = None,
    progress: Progress | None = None,
) -> Record:
    """Judge a collection: every judged query counts, answered or not; see `_details` on details.

    Where the queries are documents too, a query's own document is dropped from each run, fused
    or not, after fusion and before it is measured, as PromptReps does.

    Args:
        collection: with queries and judgements.
        encoders: channel name -> encoder; one encoder may serve two channels.
        index_path: of its index by these encoders, or where to build it, see `open_or_build`.
        options: see `JudgeOptions`.
        progress: called with the number of documents consumed while an index is built.

    Raises:
        ValueError: nothing is judged, or the index is of other encoders or another collection.
    """
    options = options or JudgeOptions()
    seconds: dict[str, float] = {}
    qrels, queries = collection.qrels(), collection.queries()
    outside = read_specs(options.also)
    _check_options(qrels, list(encoders), list(outside), options)
    with timed(seconds, "index"):
        built = open_or_build(collection.documents, encoders, index_path, options.build, progress)
    with built.index:
        with outside_channels(outside, encoders, built.index.channels) as channels:
            fusion = options.fusion if len(encoders) + len(channels) > 1 else AUTO
            retriever = Retriever(built.index, encoders, fusion, options.depth, outside=channels)
        try:
            narrowed = retriever.with_feedback(options.feedback).with_filter(options.filter)
            search = _search(narrowed, queries, options, seconds)
        finally:
            close_channels(retriever.outside)
        details = _details(built, queries, search) | search.feedback
        if (kept := narrowed.kept) is not None:
            facts = {"text": options.filter, "documents": len(kept), "remarks": kept.remarks()}
            details["filter"] = facts
        own = holds_queries(collection.name)
        runs = {name: drop_self(run) if own else run for name, run in search.runs.items()}
        counts = dict(search.counts)
        if options.rerank is not None:
            details["rerank"] = options.rerank.facts
            counts[RERANKED] = _rerank(options.rerank, runs, queries, built.index, seconds)
    details["source"] = {"documents": built.digest, "judgements": judgements_digest(collection)}
    with timed(seconds, "evaluate"):
        values = {name: evaluate(run, qrels, options.measures) for name, run in runs.items()}
    cost = RunCost(seconds, counts, peak_bytes(), search.latencies)
    fingerprints = {name: encoder.fingerprint for name, encoder in encoders.items()}
    counted = list(values)[-1]  # the run that was made of all before
    record = Record("retrieval", collection.name, values, counted, fingerprints, cost, details)
    files = RetrievalRecordFiles(record, runs, qrels, queries)
    return record if options.out is None else files.write(options.out)


def _check_options(
    qrels: Qrels, channels: Sequence[str], outside: Sequence[str], options: JudgeOptions
) -> None:
    """Refuse misspelt options before hours of encoding."""
    evaluate({}, qrels, options.measures)
    if options.filter:
        parse_filter(options.filter)
    if feedback := read_feedback(options.feedback):
        kinds = {name: options.build.channel(name).kind for name in channels}
        check_served(feedback, kinds, outside)
    names = [*channels, *outside]
    fusion = options.fusion if len(names) > 1 else AUTO
    fusion_by_name(choose_fusion(fusion, names), names)


def _search(
    retriever: Retriever,
    queries: Mapping[str, str],
    options: JudgeOptions,
    seconds: dict[str, float],
) -> _Search:
    """Search the queries that have text in every channel, and fuse where there are several."""
    channels = retriever.channels
    texts = {query_id: text for query_id, text in queries.items() if text.strip()}
    before = _counts(retriever.encoders)
    with timed(seconds, "search"):
        runs = dict(retriever.channel_runs(texts, options.depth))
    counts = _counts(retriever.encoders, before)
    unexpanded = dict(retriever.unexpanded)
    latencies = _latencies(retriever, texts, options.latencies)
    fusion = None
    if len(channels) > 1:
        fusion = retriever.fusion
        with timed(seconds, "fuse"):
            runs[FUSED] = retriever.fuse([runs[channel] for channel in channels])
    feedback = (
        {"feedback": str(retriever.feedback), "unexpanded": unexpanded}
        if retriever.feedback
        else {}
    )
    also = {name: dict(channel.facts) for name, channel in retriever.outside.items()}
    return _Search(channels, runs, fusion, feedback, counts, latencies, also)


def _details(
    built: IndexedDocuments, queries: Mapping[str, str], search: _Search
) -> dict[str, Any]:
    """Return the facts of a retrieval record beside the fields of every record.

    That is: numbers of queries and of empty_queries, which find nothing and count 0; channels, in
    the order in which they are fused; fusion, None with one channel; number of documents; index,
    its path; index_state, "reused", "built" or "rebuilt"; index_holds, a digest of its files;
    build, the report of indexing, None where it is not known; also, where there are channels
    outside of the index, their facts by name; and, which `judge` adds, source: digests of documents
    and judgements, and where a reranker was used, rerank: what it is. With feedback there are
    feedback, as it is written, and unexpanded: channel -> queries that were searched as they were.
    """
    index = built.index
    return {
        "queries": len(queries),
        "empty_queries": sum(not text.strip() for text in queries.values()),
        "channels": list(search.channels),
        "fusion": search.fusion,
        "documents": index.documents,
        "index": str(index.path.resolve()),
        "index_state": built.state,
        "index_holds": manifest_digest(index.manifest),
        "build": build_report(index.path),
        **({"also": search.also} if search.also else {}),
    }


def _rerank(
    reranking: Reranking,
    runs: dict[str, Run],
    queries: Mapping[str, str],
    index: Index,
    seconds: dict[str, float],
) -> dict[str, int]:
    """Add the run that a reranker makes of the last one; return what it counted."""
    before = reranking.counts
    with timed(seconds, "rerank"):
        runs[RERANKED] = reranking.apply(list(runs.values())[-1], queries, index)
    return _less(reranking.counts, before)


def _counts(
    encoders: Mapping[str, Encoder], before: Mapping[str, Mapping[str, int]] | None = None
) -> dict[str, dict[str, int]]:
    """Return the counts of encoders by channel, less those of before."""
    return {
        channel: _less(encoder.counts, (before or {}).get(channel, {}))
        for channel, encoder in encoders.items()
        if isinstance(encoder, Counted)
    }


def _less(counts: Mapping[str, int], before: Mapping[str, int]) -> dict[str, int]:
    return {name: count - before.get(name, 0) for name, count in counts.items()}


def _latencies(retriever: Retriever, queries: Mapping[str, str], limit: int) -> tuple[float, ...]:
    """Time queries one at a time, in milliseconds: encoded, searched in all channels, fused."""
    latencies: list[float] = []
    start = time.perf_counter()
    for query_id, text in islice(queries.items(), limit):
        query_start = time.perf_counter()
        retriever.search({query_id: text}, 10)
        now = time.perf_counter()
        latencies.append(1000 * (now - query_start))
        if now - start > LATENCY_SECONDS:
            break
    return tuple(latencies)
