"""Filters on 100,000 documents: equal to brute force on every channel, and how long they take.

python -m benchmarks.filters [--documents 100000] [--filters 200] [--folder FOLDER] [--dry]

Times are seconds of CPU, since other programs may share the cores; filtered and plain searches are
taken in turns, a query at a time, with the depth of 1,000 that searches have by default, after
enough of them that postings are searched by compiled code ("at first" they are not) and that Java
has compiled its own. The first filter of a channel is timed apart. Channels of FAISS are
approximate with and without a filter: of them scores and membership are compared, and the share of
the best 10 that they find.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from random import Random
from statistics import median
from typing import Any

import numpy as np

from benchmarks.random_filters import random_filter, random_metadata
from benchmarks.record import append
from embedder.encoders.bm25 import BM25Encoder
from embedder.lucene.anserini import index_collection
from embedder.types import Encoder, Representation, Role, fingerprint_of
from index.channels.weighting import Weighting
from index.documents import Document
from index.filters.kept import KeptDocuments
from index.folder import Index
from retrieval.build import build_index
from retrieval.options import BuildOptions, ChannelOptions
from retrieval.outside.lucene import open_lucene
from retrieval.retriever import Retriever

K, QUERIES, WIDTH, WORDS = 10, 2, 64, 20_000
EARLY, ROUNDS = 60, 300  # filters before code is compiled, and searches that make it so
APPROXIMATE = ("graph", "lists")
CHANNELS = {
    "graph": ChannelOptions("dense", factory="HNSW16"),
    "lists": ChannelOptions("dense", factory="IVF256,Flat"),
    "sparse": ChannelOptions("inverted", weighting=Weighting("impacts")),
    "lucene": ChannelOptions("inverted", weighting=Weighting("bm25"), engine="lucene"),
}
_random = np.random.default_rng(0)
_VECTORS = _random.standard_normal((WORDS, WIDTH)).astype(np.float32)
_CHANCES = 1 / np.arange(1, WORDS + 1)


class WordSums:
    """Unit rows: the sums of random vectors of the words of a text."""

    fingerprint = fingerprint_of(kind="word sums")

    def encode(self, texts: Sequence[str], role: Role) -> Representation:
        """Return a row for each text."""
        rows = np.stack(
            [_VECTORS[[int(word[1:]) for word in text.split()]].sum(0) for text in texts]
        )
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        return Representation(rows, None, np.arange(len(texts)))


_SUMS = WordSums()
ENCODERS: Mapping[str, Encoder] = {
    **{"dense": _SUMS, "graph": _SUMS, "lists": _SUMS},
    **dict.fromkeys(("sparse", "bm25", "lucene"), BM25Encoder()),
}


def main() -> None:
    """Build, compare, time, and append a line to results.jsonl."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=100_000)
    parser.add_argument("--filters", type=int, default=200)
    parser.add_argument("--folder", type=Path, help="kept, and used again")
    parser.add_argument(
        "--part", choices=("equal", "times"), help="one of the two; by default both"
    )
    parser.add_argument("--dry", action="store_true", help="append nothing")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="filters-") as made:
        folder = args.folder or Path(made)
        if not (folder / "index").exists():
            _build(folder, args.documents)
        for part, measure in (("times", measure_times), ("equal", measure_equality)):
            if args.part in (part, None):
                facts = {"name": f"filters_{part}", "documents": args.documents}
                record = facts | {"filters": args.filters} | measure(folder, args)
                print(record, flush=True)
                if not args.dry:
                    append(record)


def measure_times(folder: Path, args: argparse.Namespace) -> dict[str, Any]:
    """Return what the first use of fields, a mask and filtered searches take."""
    queries = {f"q{at}": text for at, text in enumerate(texts(QUERIES, seed=1))}
    chosen = [random_filter(Random(seed))[0] for seed in range(args.filters)]
    with Index.open(folder / "index") as index:
        first = _seconds(partial(KeptDocuments.of, index, " or ".join(f"({t})" for t in chosen)))
        again = [_seconds(partial(KeptDocuments.of, index, text)) for text in chosen]
        retriever = _retriever(folder, index)
        parts = {name: Retriever(index, {name: each}) for name, each in ENCODERS.items()}
        outside = {"beside": retriever.outside["beside"]}
        parts |= {"beside": Retriever(index, {}, outside=outside), "fused": retriever}
        begun = {name: _first_filter(each, queries, chosen[0]) for name, each in parts.items()}
        ratios = {
            f"{name} at first": _ratio(parts[name], queries, chosen[:EARLY])
            for name in ("sparse", "bm25")
        }
        for name, each in parts.items():
            each.search({f"w{at}": queries[f"q{at % QUERIES}"] for at in range(ROUNDS)}, K)
            ratios[name] = _ratio(each, queries, chosen)
        return {
            "first_use_of_all_fields_s": round(first, 3),
            "mask_ms_median": round(1000 * median(again), 3),
            "first_filter_s": begun,
            "filtered_to_plain_sum_median_9th_decile_and_plain_ms": ratios,
        }


def measure_equality(folder: Path, args: argparse.Namespace) -> dict[str, Any]:
    """Compare with brute force; return what was equal, and what FAISS finds."""
    queries = {f"q{at}": text for at, text in enumerate(texts(QUERIES, seed=1))}
    chosen = [random_filter(Random(seed)) for seed in range(args.filters)]
    metadata = {document.id: document.metadata for document in documents(args.documents)}
    with Index.open(folder / "index") as index:
        return _compare(_retriever(folder, index), queries, chosen, metadata)


def _retriever(folder: Path, index: Index) -> Retriever:
    channel = open_lucene(str(folder / "beside" / "lucene"))
    retriever = Retriever(index, ENCODERS, outside={"beside": channel})
    channel.close()
    return retriever


def texts(count: int, seed: int = 0) -> Iterator[str]:
    """Yield texts of 4 to 29 words that are as unequally frequent as those of languages."""
    random = np.random.default_rng(seed)
    chances = _CHANCES / _CHANCES.sum()
    words = random.choice(WORDS, 30 * count, p=chances).reshape(count, 30)
    for row, length in zip(words.tolist(), random.integers(4, 30, count).tolist(), strict=True):
        yield " ".join(f"w{word}" for word in row[:length])


def documents(count: int) -> Iterator[Document]:
    """Yield documents with random metadata."""
    random = Random(7)
    for at, text in enumerate(texts(count)):
        yield Document(f"d{at}", "", text, random_metadata(random))


def _build(folder: Path, count: int) -> None:
    build_index(documents(count), ENCODERS, folder / "index", BuildOptions(CHANNELS, window=4096))
    source = folder / "beside" / "collection"
    source.mkdir(parents=True)
    lines = (f'{{"id": "{each.id}", "contents": "{each.text}"}}\n' for each in documents(count))
    (source / "documents.jsonl").write_text("".join(lines), encoding="utf-8")
    index_collection(source, folder / "beside" / "lucene", "JsonCollection")


def _compare(
    retriever: Retriever,
    queries: Mapping[str, str],
    chosen: Sequence[tuple[str, Callable[[Mapping[str, Any]], bool]]],
    metadata: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any]:
    """Compare runs of filters with the run of everything, filtered in Python.

    Raises:
        SystemExit: they differ.
    """
    exact = {name: each for name, each in retriever.encoders.items() if name not in APPROXIMATE}
    whole_retriever = Retriever(retriever.index, exact, outside=retriever.outside)
    everything = whole_retriever.channel_runs(queries, len(metadata))
    found: dict[str, list[float]] = {name: [] for name in APPROXIMATE}
    for text, meets in chosen:
        kept = {name for name, data in metadata.items() if meets(data)}
        for name, run in retriever.with_filter(text).channel_runs(queries, K).items():
            truth = everything["dense" if name in APPROXIMATE else name]
            for query_id, scores in run.items():
                whole = truth[query_id]
                best = sorted((whole[each] for each in kept & whole.keys()), reverse=True)[:K]
                same = {each: whole.get(each) for each in scores} == scores
                if not (same and scores.keys() <= kept and len(scores) == len(best)):
                    raise SystemExit(f"{name}: {text}: {query_id} differs")
                if name in APPROXIMATE:
                    good = sum(score >= best[-1] for score in scores.values())
                    found[name] += [good / len(best)] if best else []
                elif sorted(scores.values(), reverse=True) != best:
                    raise SystemExit(f"{name}: {text}: {query_id} has not the best")
    plain = {}
    for name in APPROXIMATE:
        run = retriever.channel_runs(queries, K)[name]
        best_of = {query: sorted(everything["dense"][query].values())[-K] for query in run}
        hits = [
            score >= best_of[query] for query, scores in run.items() for score in scores.values()
        ]
        plain[name] = round(float(np.mean(hits)), 4)
    return {
        "equal": sorted(everything),
        "approximate_found": {name: round(float(np.mean(each)), 4) for name, each in found.items()},
        "approximate_found_plain": plain,
    }


def _first_filter(retriever: Retriever, queries: Mapping[str, str], text: str) -> float:
    """Return how long the first filtered search takes, once all ids that are found are read."""
    retriever.search(queries, retriever.index.documents)
    return round(_seconds(partial(_search_filtered, retriever, text, queries)), 3)


def _ratio(retriever: Retriever, queries: Mapping[str, str], chosen: Sequence[str]) -> list[float]:
    """Return how much longer filtered searches take: sum, median, 9th of 10; and plain ms."""
    names = list(queries)
    plain, filtered = [], []
    for at, text in enumerate(chosen):
        query = {names[at % len(names)]: queries[names[at % len(names)]]}
        plain.append(_seconds(partial(retriever.search, query, K)))
        filtered.append(_seconds(partial(_search_filtered, retriever, text, query)))
    usual = median(plain)
    each = sorted(time / usual for time in filtered)
    figures = sum(filtered) / sum(plain), median(each), each[int(0.9 * len(each))]
    return [round(figure, 3) for figure in (*figures, 1000 * usual)]


def _search_filtered(retriever: Retriever, text: str, query: Mapping[str, str]) -> None:
    retriever.with_filter(text).search(query, K)


def _seconds(call: Callable[[], object]) -> float:
    started = time.process_time()
    call()
    return time.process_time() - started


if __name__ == "__main__":
    main()
