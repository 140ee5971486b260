"""The default fusion beside PromptReps' min-max, on development queries of four collections.

    python -m benchmarks.fusion [--data FOLDER] [--runs FOLDER] [--embedder sbert:FOLDER] [--dry]

Channels are searched once, 1,000 documents each, and fused in every way; runs that are kept are not
searched again. scifact has training queries; the others have one set of queries, all of which had
a part in choosing the default. What choosing is worth on queries without a part in it is judged by
cross-validation: each tenth of the queries by the weights that are best on the other nine.
"""

import argparse
import hashlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.record import append
from eval.data.collections import open_collection
from eval.data.qrels import Qrels
from eval.fusion.sweep import METHODS, Setting, grid, sweep
from eval.measures.measures import Values, evaluate
from eval.statistics.compare import compare
from eval.statistics.comparison import Difference
from index.folder import Index
from lastword.cli.encoders import make_encoders
from lastword.cli.options import EncoderOptions
from retrieval.build import build_index
from retrieval.fusion import fusion_by_name
from retrieval.fusion_choice import fusion_for
from retrieval.options import BuildOptions
from retrieval.retriever import Retriever
from retrieval.run import Run, read_trec, write_trec

DATA = Path("../shared/data/retrieval")
RUNS = Path("runs/fusion")
SPLITS = {"scifact": "train", "cranfield": "test", "cisi": "test", "vaswani": "test"}
MEASURE = "nDCG@10"
DEPTH = 1000
BEFORE = "promptreps:dense=0.2,sparse=0.2,bm25=0.6"  # the bundled model's before
EQUAL = "promptreps"
UNSEEN = "minmax, weights chosen on other queries"
FOLDS = 10


@dataclass(frozen=True)
class Searched:
    """The channels' runs of judged queries, and the fusion that an index has by default."""

    runs: Mapping[str, Run]
    qrels: Qrels
    default: str

    def values(self, fusion: str) -> Values:
        """Judge a fusion."""
        fused = fusion_by_name(fusion, list(self.runs))([*self.runs.values()])
        return evaluate(fused, self.qrels, [MEASURE])


def main(arguments: list[str] | None = None) -> None:
    """Compare, print tables, and append a line to results.jsonl."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--runs", type=Path, default=RUNS, help="indexes and runs are kept here")
    parser.add_argument("--only", nargs="*", default=list(SPLITS), choices=list(SPLITS))
    parser.add_argument("--embedder", default="", help="as lastword index takes it")
    parser.add_argument("--dry", action="store_true", help="append nothing to results.jsonl")
    options = parser.parse_args(arguments)
    if not options.data.is_dir():
        sys.exit(f"no collections at {options.data}: give --data")
    label = "minilm" if options.embedder else "bundled"
    sets: dict[str, Searched] = {}
    for name in options.only:
        place = options.runs / f"{name}-{label}"
        sets[name] = searched(options.data / name, place, EncoderOptions(embedder=options.embedder))
    default = next(iter(sets.values())).default
    record: dict[str, Any] = {"name": f"fusion/{label}", "measure": MEASURE, "default": default}
    record |= {"gains": gains(sets, default), "methods": methods(sets)}
    sys.stdout.write("\n".join(written(record)) + "\n")
    if not options.dry:
        append(record)


def searched(source: Path, place: Path, reading: EncoderOptions) -> Searched:
    """Read the runs that are kept beside `place`, or index the collection there and search it."""
    collection = open_collection(str(source), SPLITS[source.name])
    encoders = make_encoders(reading)
    paths = {name: place.with_name(f"{place.name}.{name}.trec") for name in encoders}
    if not all(path.exists() for path in paths.values()):
        options = BuildOptions(on_empty="skip", passages=None)
        place.parent.mkdir(parents=True, exist_ok=True)
        if not place.exists():
            build_index(collection.documents(), encoders, place, options)
        with Index.open(place) as index:
            retriever = Retriever(index, encoders, depth=DEPTH)
            channel_runs = retriever.channel_runs(collection.queries(), DEPTH)
        for name, path in paths.items():
            write_trec(channel_runs[name], path)
    runs = {name: read_trec(path) for name, path in paths.items()}
    return Searched(runs, collection.qrels(), fusion_for("auto", encoders))


def gains(sets: Mapping[str, Searched], default: str) -> dict[str, Any]:
    """Compare the default, and weights chosen on other queries, with PromptReps' min-max."""
    channels = list(next(iter(sets.values())).runs)
    before = [BEFORE] if set(channels) == {"dense", "sparse", "bm25"} else []
    rivals = {
        default: {name: collection.values(default) for name, collection in sets.items()},
        UNSEEN: cross_validated(sets),
    }
    gains_by_baseline: dict[str, Any] = {}
    for baseline in (*before, EQUAL):
        ours = {name: collection.values(baseline) for name, collection in sets.items()}
        comparisons = {
            label: compare({"it": ours, "rival": rival}) for label, rival in rivals.items()
        }
        gains_by_baseline[baseline] = {
            label: [_figures(row) for row in (*comparison.rows, *comparison.macro)]
            for label, comparison in comparisons.items()
        }
    return gains_by_baseline


def cross_validated(sets: Mapping[str, Searched]) -> dict[str, Values]:
    """Judge each query by the weights of min-max that are best on the other folds.

    Best by the mean over collections; a query's fold is the first byte of SHA-256 of its id.
    """
    settings = grid(len(next(iter(sets.values())).runs), ["minmax"], 0.05)
    values = {
        name: sweep(collection.runs, collection.qrels, MEASURE, settings)
        for name, collection in sets.items()
    }
    folds = {
        name: np.array(
            [hashlib.sha256(query_id.encode()).digest()[0] % FOLDS for query_id in collection.qrels]
        )
        for name, collection in sets.items()
    }
    judged = {name: np.zeros(len(collection.qrels)) for name, collection in sets.items()}
    for fold in range(FOLDS):
        means = [values[name][:, folds[name] != fold].mean(axis=1) for name in sets]
        best = int(np.mean(means, axis=0).argmax())
        for name in sets:
            mine = folds[name] == fold
            judged[name][mine] = values[name][best, mine]
    return {
        name: {MEASURE: dict(zip(collection.qrels, judged[name].tolist(), strict=True))}
        for name, collection in sets.items()
    }


def _figures(row: Difference) -> dict[str, Any]:
    reach = row.interval
    return {
        "collection": row.dataset,
        "queries": row.items,
        "baseline": row.baseline_mean,
        "default": row.system_mean,
        "gain": row.difference,
        "interval": [reach.low, reach.high] if reach else None,
        "p": row.test.p,
    }


def methods(sets: Mapping[str, Searched]) -> dict[str, dict[str, Any]]:
    """Return, for each method, the mean over collections at equal and at the best weights."""
    channels = list(next(iter(sets.values())).runs)
    settings = grid(len(channels), (*METHODS, "promptreps"), 0.1)
    values = np.mean(
        [
            sweep(collection.runs, collection.qrels, MEASURE, settings).mean(axis=1)
            for collection in sets.values()
        ],
        axis=0,
    )
    by_method = {}
    for method in dict.fromkeys(setting.method for setting in settings):
        mine = [at for at, setting in enumerate(settings) if setting.method == method]
        best = max(mine, key=lambda at: float(values[at]))
        equal = next(at for at in mine if settings[at].is_equal)
        by_method[method] = {
            "equal": float(values[equal]),
            "best": float(values[best]),
            "weights": _weights(settings[best], channels),
        }
    return by_method


def _weights(setting: Setting, channels: list[str]) -> dict[str, float]:
    return dict(zip(channels, setting.weights, strict=True))


def written(record: Mapping[str, Any]) -> list[str]:
    """Lay the record out in Markdown."""
    lines = [f"default: `{record['default']}`, {MEASURE}"]
    for baseline, parts in record["gains"].items():
        for part, rows in parts.items():
            lines += ["", f"| {part} over {baseline} | queries | it | this | gain, 95 % | p |"]
            lines.append("|---|---:|---:|---:|---:|---:|")
            for row in rows:
                span = "[{:+.4f}, {:+.4f}]".format(*row["interval"]) if row["interval"] else ""
                figures = (
                    f"{row['baseline']:.4f} | {row['default']:.4f} | {row['gain']:+.4f} {span}"
                )
                lines.append(
                    f"| {row['collection']} | {row['queries']} | {figures} | {row['p']:.2g} |"
                )
    lines += ["", "| method | equal weights | best weights | |", "|---|---:|---:|---|"]
    for method, entry in record["methods"].items():
        weights = ", ".join(f"{name} {weight:g}" for name, weight in entry["weights"].items())
        lines.append(f"| {method} | {entry['equal']:.4f} | {entry['best']:.4f} | {weights} |")
    return lines


if __name__ == "__main__":
    main()
