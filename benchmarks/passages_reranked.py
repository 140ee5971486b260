"""What a reranker makes of long documents: read from their beginnings, or the passages found.

    python -m benchmarks.passages_reranked [--data FOLDER] [--rerank NAME] [--model NAME]

The collections are those of `benchmarks.passages`; an index of words, cut as by default, finds the
documents.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.passages import DATA, MEASURE
from benchmarks.passages_collections import join_collection
from benchmarks.record import append
from embedder.encoders.bm25 import BM25Encoder
from embedder.rerank.load import load_reranker
from eval.measures.measures import evaluate
from eval.statistics.significance import mean_interval
from index.folder import Index
from retrieval.build import build_index
from retrieval.options import BuildOptions
from retrieval.rerank.reranking import Reranking, answer_reranked
from retrieval.retriever import Retriever


def main(arguments: list[str] | None = None) -> None:
    """Measure, print a line, and append one to results.jsonl."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--collection", default="cranfield")
    parser.add_argument("--kind", default="random", choices=("random", "related"))
    parser.add_argument("--rerank", default="maxsim")
    parser.add_argument("--model", default="bundled")
    parser.add_argument("--depth", type=int, default=10)
    parser.add_argument("--queries", type=int, default=60, help="the first of the collection")
    parser.add_argument("--dry", action="store_true", help="append nothing to results.jsonl")
    options = parser.parse_args(arguments)
    if not options.data.is_dir():
        sys.exit(f"no collections at {options.data}: give --data")
    joined = join_collection(options.data / options.collection, options.kind == "related", 0)
    queries = dict(list(joined.queries.items())[: options.queries])
    qrels = {name: joined.qrels[name] for name in queries}
    encoders = {"bm25": BM25Encoder()}
    reranker = load_reranker(options.rerank, options.model)
    reranking = Reranking(reranker, options.depth)
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "i"
        build_index(joined.documents, encoders, path, BuildOptions(passages="auto"))
        with Index.open(path) as index:
            retriever = Retriever(index, encoders)
            first = retriever.search(queries, 1000)
            runs = {"first": first, "whole": reranking.apply(first, queries, index)}
            runs["passage"] = answer_reranked(retriever, queries, 1000, reranking).run
    values = {name: evaluate(run, qrels, [MEASURE])[MEASURE] for name, run in runs.items()}
    by_query = {name: np.array([each[q] for q in queries]) for name, each in values.items()}
    figures: dict[str, object] = {n: round(float(each.mean()), 4) for n, each in by_query.items()}
    gain = by_query["passage"] - by_query["whole"]
    if span := mean_interval([gain], np.random.default_rng(0)):
        figures["gain"] = [round(float(gain.mean()), 4), round(span.low, 4), round(span.high, 4)]
    facts = {"collection": joined.name, "queries": len(queries), "depth": options.depth}
    facts |= {"rerank": options.rerank, "model": options.model, **reranking.counts}
    print({**facts, **figures}, flush=True)
    if not options.dry:
        append({"name": "passages_reranked", "measure": MEASURE, **facts, **figures})


if __name__ == "__main__":
    main()
