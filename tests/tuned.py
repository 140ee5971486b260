"""A small collection with judgements and its index, for tests of the command tune."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from index.folder import Index
from lastword.main import main
from retrieval.open import load_encoders
from tuning.objectives.index_objective import IndexObjective
from tuning.objectives.judged_queries import JudgedQueries
from tuning.options import TuningOptions
from tuning.setup import TuningSetup, prepare_tuning

TOPICS = (
    "volcano lava magma eruption",
    "bread dough yeast oven",
    "bridge arch stone river",
    "heart blood vessel pulse",
    "planet orbit star telescope",
)


def make_place(folder: Path) -> Path:
    """Make a small collection with judgements, and its index by the bundled model."""
    rng = np.random.default_rng(0)
    documents, queries, judged = [], [], ["query-id\tcorpus-id\tscore"]
    for at in range(100):
        words = TOPICS[at % 5].split()
        text = " ".join(rng.permutation([*words, f"number{at}", *rng.choice(words, 4)]))
        documents.append({"_id": f"d{at}", "title": "", "text": text})
        queries.append({"_id": f"q{at}", "text": f"{words[at % 4]} number{at}"})
        judged.append(f"q{at}\td{at}\t1")
    (folder / "corpus.jsonl").write_text("".join(json.dumps(one) + "\n" for one in documents))
    (folder / "queries.jsonl").write_text("".join(json.dumps(one) + "\n" for one in queries))
    (folder / "dev.tsv").write_text("\n".join(judged) + "\n")
    command = [
        "index",
        str(folder / "corpus.jsonl"),
        "--out",
        str(folder / "some.index"),
        "--quiet",
    ]
    assert main(command) == 0
    return folder


def tune_command(place: Path, *more: str) -> list[str]:
    """Return the command that tunes it."""
    files = ["--queries", str(place / "queries.jsonl"), "--qrels", str(place / "dev.tsv")]
    return ["tune", str(place / "some.index"), *files, "--quiet", *more]


def objective(index: Index, place: Path) -> IndexObjective:
    """Return the objective on all channels of the index."""
    from embedder.encoders.adapted import encoder_of
    from eval.data.qrels import read_qrels
    from eval.data.queries import read_queries

    encoders = load_encoders(index)
    data = JudgedQueries.of(read_queries(place / "queries.jsonl"), read_qrels(place / "dev.tsv"))
    base: Any = getattr(encoders["dense"], "inner", encoders["dense"])
    remade = lambda prompt: encoder_of(base.backbone, prompt, base.options)  # noqa: E731
    return IndexObjective(index, encoders, data, remade)


def setup_of(index: Index, place: Path, folder: Path) -> TuningSetup:
    """Return a search that is ready to run."""
    inner = objective(index, place)
    return prepare_tuning(index, inner._encoders, inner.data, TuningOptions(), folder)
