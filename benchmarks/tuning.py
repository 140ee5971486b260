"""Tune query prompts on real collections, beside what the prompt library has to give.

python -m benchmarks.tuning [--data FOLDER] [--models minilm ...] [--only cranfield ...]
                            [--channels all dense] [--budget 1800-seconds] [--indexes FOLDER]
                            [--table] [--dry]

A row is a model, a collection and the channels that are fused; each is kept in runs/tuning as soon
as it is done, and a search that was killed is taken up. scifact is tuned on its training queries;
the others have one set of queries, which the tuner splits. --indexes takes indexes that exist,
named MODEL/COLLECTION.index; what is absent is made there. --table runs nothing, and writes the
table of all rows in results.jsonl into docs/tuning.md, which every run does at its end.
"""

import argparse
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.record import append
from benchmarks.results import MINILM
from benchmarks.tuning_row import SPLITS, judged, tune_row
from benchmarks.tuning_table import rows_kept, write_table
from embedder.checkpoints.trust import ModelAccess
from embedder.files.json_file import write_json
from lastword import open_retriever
from tuning.options import TuningOptions
from tuning.run import scores_file

DATA = Path("../shared/data/retrieval")
RUNS = Path("runs/tuning")
MODELS = {
    "bundled": "",
    "minilm": f"--embedder {shlex.quote(f'sbert:{MINILM}')} --channels dense,bm25",
    "smollm2": "--model smollm2",
    "promptreps": "--model smollm2 --prompt promptreps",
}
CHANNELS = {"all": None, "dense": ["dense"]}


def main(arguments: list[str] | None = None) -> None:
    """Run the rows that are asked for, and write the table."""
    given = _parser().parse_args(arguments)
    if not given.table and not given.data.is_dir():
        sys.exit(f"no collections at {given.data}: give --data")
    for model in given.models if not given.table else ():
        for collection in given.only:
            for channels in given.channels:
                _run(given, {"model": model, "collection": collection, "channels": channels})
    sys.stdout.write("".join(f"{line}\n" for line in write_table(rows_kept())))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--models", nargs="*", default=list(MODELS), choices=list(MODELS))
    parser.add_argument("--only", nargs="*", default=list(SPLITS), choices=list(SPLITS))
    parser.add_argument("--channels", nargs="*", default=list(CHANNELS), choices=list(CHANNELS))
    parser.add_argument("--budget", default="1800-seconds", help="of a row")
    parser.add_argument("--indexes", type=Path, default=RUNS / "indexes")
    parser.add_argument("--table", action="store_true", help="run nothing, write the table")
    parser.add_argument("--dry", action="store_true", help="append nothing to results.jsonl")
    return parser


def _run(given: argparse.Namespace, row: dict[str, str]) -> None:
    """Run a row, unless it is kept; keep it, and append it to results.jsonl."""
    folder = RUNS / "-".join([*row.values(), given.budget.replace(",", "-")])
    kept = folder / "row.json"
    if kept.exists():
        return
    index = made_index(given.indexes / row["model"] / f"{row['collection']}.index", given.data, row)
    access = ModelAccess(allow_model=str(MINILM) if row["model"] == "minilm" else "")
    data = judged(given.data, row["collection"])
    options = TuningOptions(budget=given.budget)
    scores_file(index).unlink(missing_ok=True)  # every row pays for all that it scores
    with open_retriever(index, CHANNELS[row["channels"]], access=access) as retriever:
        figures = tune_row(retriever, data, options, folder)
    record: dict[str, Any] = {"name": "tuning", **row, "budget": given.budget, **figures}
    if not given.dry:
        append(record)
    write_json(kept, record)


def made_index(path: Path, data: Path, row: dict[str, str]) -> Path:
    """Make an index unless it is there."""
    if not (path / "manifest.json").exists():
        words = ["index", str(data / row["collection"]), "--out", str(path), "--on-empty", "skip"]
        words += shlex.split(MODELS[row["model"]])
        subprocess.run([sys.executable, "-m", "lastword", *words, "--quiet"], check=True)
    return path


if __name__ == "__main__":
    main()
