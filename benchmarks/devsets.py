"""Do queries made of documents order prompts as people's judgements do?

python -m benchmarks.devsets [--data FOLDER] [--only cranfield ...] [--channels dense all]
                             [--styles title cloze] [--dry]

For each collection and style: 200 queries are made of the documents, every wording of the library
that the bundled model takes is scored on them and on the judged queries, and the two orders are
compared (Kendall's tau-b, with an interval over prompts). "science" and "banking" come along with
lastword; scifact is judged by its training queries. Indexes are kept in runs/tuning/indexes.
"""

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.record import append
from benchmarks.tuning import RUNS, made_index
from eval.data.collections import open_collection
from eval.synthesis.devset import DevsetOptions, EmptyDevsetError, Maker
from index.folder import Index
from retrieval.open import load_encoders, load_words
from tuning.objectives.judged_queries import JudgedQueries
from tuning.objectives.known_judgements import OPEN, OPEN_NAMES
from tuning.objectives.signal_check import usable_prompts
from tuning.objectives.validity import rows as validity_cells
from tuning.objectives.validity import validity
from tuning.options import TuningOptions
from tuning.setup import prepare_tuning

DATA = Path("../shared/data/retrieval")
SPLITS = {"cranfield": "test", "cisi": "test", "vaswani": "test", "scifact": "train"}
SETS = (*SPLITS, *OPEN_NAMES)
CHANNELS = {"dense": ["dense"], "all": None}
HEADS = (
    "collection", "channels", "style", "made", "default on made", "default on judged", "prompts",
    "tau", "95 %", "usable", "s",
)  # fmt: skip


def main(arguments: list[str] | None = None) -> None:
    """Run what is asked for, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--only", nargs="*", default=list(SETS), choices=SETS)
    parser.add_argument("--channels", nargs="*", default=["dense"], choices=list(CHANNELS))
    parser.add_argument("--styles", nargs="*", default=["title", "cloze"])
    parser.add_argument("--dry", action="store_true", help="append nothing to results.jsonl")
    options = parser.parse_args(arguments)
    sys.stdout.write(f"| {' | '.join(HEADS)} |\n|{'---|' * len(HEADS)}\n")
    for name in options.only:
        folder = OPEN / name if name in OPEN_NAMES else options.data / name
        for channels in options.channels:
            for record in measured(folder, channels, options.styles):
                sys.stdout.write(f"| {' | '.join(cells(record))} |\n")
                sys.stdout.flush()
                if not options.dry:
                    append(record)


def measured(folder: Path, channels: str, styles: list[str]) -> Iterator[dict[str, Any]]:
    """Yield what is written down of each style on one collection."""
    name, path = folder.name, RUNS / "indexes" / "bundled" / f"{folder.name}.index"
    made_index(path, folder.parent, {"model": "bundled", "collection": name})
    collection = open_collection(folder, SPLITS.get(name, "dev"))
    judged = JudgedQueries.of(collection.queries(), collection.qrels())
    with Index.open(path) as index:
        encoders = load_encoders(index, CHANNELS[channels])

        def scores(data: JudgedQueries) -> list[float]:
            answered = data.answered_in(index)
            setup = prepare_tuning(index, encoders, answered, TuningOptions(), RUNS / "devsets")
            first = [one.prompt for one in setup.task.first_prompts if one.prompted]
            prompts = usable_prompts(setup.objective, first, len(first))
            queries = list(answered.queries)
            return [float(setup.objective([one], queries).mean()) for one in prompts]

        truth = scores(judged)
        for style in styles:
            began = time.perf_counter()
            record: dict[str, Any] = {
                "name": "devsets", "collection": name, "channels": channels, "style": style,
                "default_on_judged": truth[0], "judged_means": truth, "prompts": len(truth),
            }  # fmt: skip
            maker = Maker(index, DevsetOptions(200, style), words=load_words(index))  # type: ignore[arg-type]
            try:
                made = maker.devset()
            except EmptyDevsetError:
                yield record | {"made": 0, "counts": dict(maker.counts), "seconds": 0.0}
                continue
            signal = scores(JudgedQueries(made.queries, made.qrels))
            (result,) = validity({style: signal}, truth)
            interval = result.interval
            yield record | {
                "made": len(made.queries),
                "counts": dict(made.counts),
                "default_on_made": signal[0],
                "made_means": signal,
                "tau": result.tau,
                "interval": [interval.low, interval.high] if interval else None,
                "cells": validity_cells([result])[0],
                "seconds": time.perf_counter() - began,
            }


def cells(record: dict[str, Any]) -> tuple[str, ...]:
    """Return a line of the table."""
    tau, interval, usable = record.get("cells", ["", "", "-", "-", "none made"])[2:]
    made = record.get("default_on_made")
    return (
        record["collection"],
        record["channels"],
        record["style"],
        str(record["made"]),
        "-" if made is None else f"{made:.3f}",
        f"{record['default_on_judged']:.3f}",
        str(record["prompts"]),
        tau,
        interval,
        usable,
        f"{record['seconds']:.0f}",
    )


if __name__ == "__main__":
    main()
