"""RM3 and Rocchio beside plain search: by Anserini and natively, on words and on every channel.

    python -m benchmarks.feedback [--data FOLDER] [--runs FOLDER] [--dry]

On words, four ways of each: Anserini's own program; our channel that Lucene searches; ours on the
tokens of Anserini's analyzer, which differs in the lengths of documents, that Lucene keeps to about
4 bits; and ours. Then every channel of the bundled model, and their fusion, taught by what the
channel or the fusion finds.
Nothing is chosen on these queries: settings are Anserini's.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.feedback_anserini import Anserini, AnseriniTokens
from benchmarks.record import append
from embedder.encoders.load import load_encoder
from embedder.types import Encoder
from eval.data.collections import Collection, open_collection
from eval.measures.measures import Values, evaluate, means
from eval.statistics.compare import compare
from index.channels.weighting import Weighting
from index.documents import Document
from index.folder import Index
from lastword.cli.encoders import make_encoders
from lastword.cli.options import EncoderOptions
from retrieval.build import build_index
from retrieval.feedback.read import read_feedback
from retrieval.options import BuildOptions, ChannelOptions
from retrieval.retriever import Retriever
from retrieval.run import Run

DATA = Path("../shared/data/retrieval")
RUNS = Path("runs/feedback")
WORDS = ("cranfield", "cisi")
CHANNELS = ("cranfield", "cisi", "vaswani", "scifact")
METHODS = ("", "rm3", "rocchio")
TAUGHT = ("", "rm3", "rocchio", "rocchio:from=fused", "rocchio:documents=3,from=fused")
MEASURES = ("nDCG@10", "R@1000", "AP")
DEPTH = 1000

Systems = dict[str, Values]
"""Name of a system, whose first part is of what is compared together -> its values."""


def main(arguments: list[str] | None = None) -> None:
    """Measure, print tables, and append two lines to results.jsonl."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--runs", type=Path, default=RUNS, help="indexes are kept here")
    parser.add_argument("--words", nargs="*", default=WORDS, help="collections of the first table")
    parser.add_argument("--channels", nargs="*", default=CHANNELS, help="of the second")
    parser.add_argument("--dry", action="store_true", help="append nothing to results.jsonl")
    options = parser.parse_args(arguments)
    if not options.data.is_dir():
        sys.exit(f"no collections at {options.data}: give --data")
    for part, names in (("words", options.words), ("channels", options.channels)):
        record: dict[str, Any] = {"name": f"feedback/{part}", "collections": {}}
        for name in names:
            collection = open_collection(options.data / name)
            if part == "words":
                systems = search_words(collection)
            else:
                systems = search_channels(collection, options.runs / name)
            record["collections"][name] = rows = list(describe(name, systems))
            sys.stdout.write("\n".join(written(name, rows)) + "\n\n")
        if names and not options.dry:
            append(record)


def search_words(collection: Collection) -> Systems:
    """Judge plain search, RM3 and Rocchio on words, each in four ways."""
    documents, queries = with_text(collection), collection.queries()
    texts = [*(document.content for document in documents), *queries.values()]
    runs: dict[str, Run] = {}
    with tempfile.TemporaryDirectory() as folder:
        anserini = Anserini(documents, Path(folder) / "anserini")
        for method in METHODS:
            runs[f"Anserini {method}"] = anserini.search(queries, DEPTH, read_feedback(method))
        lucene = ChannelOptions("inverted", weighting=Weighting("bm25"), engine="lucene")
        ways: dict[str, tuple[Encoder, BuildOptions]] = {
            "bm25 by Lucene": (
                load_encoder("lucene"),
                BuildOptions(channels={"bm25": lucene}, passages=None),
            ),
            "ours, its tokens": (AnseriniTokens(texts), BuildOptions(passages=None)),
            "ours": (load_encoder("bm25"), BuildOptions(passages=None)),
        }
        for way, (encoder, options) in ways.items():
            place = Path(folder) / way
            build_index(documents, {"bm25": encoder}, place, options)
            with Index.open(place) as index:
                retriever = Retriever(index, {"bm25": encoder}, depth=DEPTH)
                for method in METHODS:
                    runs[f"{way} {method}"] = retriever.with_feedback(method).search(queries, DEPTH)
    return judged(collection, runs)


def search_channels(collection: Collection, place: Path) -> Systems:
    """Judge every channel of the bundled model and their fusion, plain and taught."""
    encoders = make_encoders(EncoderOptions())
    if not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        build_index(
            collection.documents(), encoders, place, BuildOptions(on_empty="skip", passages=None)
        )
    runs: dict[str, Run] = {}
    with Index.open(place) as index:
        retriever = Retriever(index, encoders, depth=DEPTH)
        for method in TAUGHT:
            result = retriever.with_feedback(method).answer(collection.queries(), DEPTH)
            for channel, run in {**result.channels, "fused": result.run}.items():
                runs[f"{channel} {method}"] = run
    return judged(collection, dict(sorted(runs.items(), key=lambda item: item[0].split()[0])))


def with_text(collection: Collection) -> list[Document]:
    """List the documents that have text; Lucene leaves out the others."""
    return [document for document in collection.documents() if document.content.strip()]


def judged(collection: Collection, runs: Mapping[str, Run]) -> Systems:
    """Judge runs."""
    qrels = collection.qrels()
    return {name.strip(): evaluate(run, qrels, list(MEASURES)) for name, run in runs.items()}


def describe(dataset: str, systems: Systems) -> Iterator[dict[str, Any]]:
    """Yield the figures of every system, beside those of the plain search of its way."""
    for name, values in systems.items():
        baseline = baseline_of(name, systems)
        figures: dict[str, Any] = {"system": name, "means": means(values)}
        if baseline != name:
            figures["over"] = baseline
            figures["gain"] = {
                measure: _gain(dataset, {baseline: systems[baseline], name: values}, measure)
                for measure in MEASURES
            }
        yield figures


def baseline_of(name: str, systems: Systems) -> str:
    """Return the plain search of the same way; of one that has a counterpart, itself."""
    method = name.split()[-1]
    plain = name.removesuffix(method).strip()
    return plain if plain in systems else name


def _gain(dataset: str, two: Mapping[str, Values], measure: str) -> dict[str, Any]:
    (row,) = compare({name: {dataset: values} for name, values in two.items()}, measure).rows
    span = row.interval
    return {
        "mean": row.difference,
        "interval": [span.low, span.high] if span else None,
        "p": row.test.p,
    }


def written(name: str, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Lay figures out in Markdown."""
    titles = [f"{measure} | gain, 95 %" for measure in MEASURES]
    lines = [f"| {name} | {' | '.join(titles)} |", "|---" + "|---:|---" * len(MEASURES) + "|"]
    for row in rows:
        cells = [row["system"]]
        for measure in MEASURES:
            cells += [f"{row['means'][measure]:.4f}", _gain_text(row, measure)]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _gain_text(row: Mapping[str, Any], measure: str) -> str:
    if "gain" not in row:
        return ""
    gain = row["gain"][measure]
    span = " ({:+.4f} to {:+.4f})".format(*gain["interval"]) if gain["interval"] else ""
    return f"{gain['mean']:+.4f}{span}"


if __name__ == "__main__":
    main()
