"""Measure building a BM25 index beside bm25s and Lucene: whole processes, in turns.

python -m benchmarks.bm25_build [--corpus ../shared/data/retrieval/scifact/corpus.jsonl]
                                [--copies 10] [--rounds 3] [--dry]

Every program starts, reads the same JSON lines, builds an index on disk and ends. Documents stay
whole, as they do in the others. lastword stems, and keeps the texts; bm25s does neither; Lucene,
by Anserini with two threads, stems. The floor is reading the lines with json.loads and writing the
texts anew.
"""

import argparse
import json
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.processes import ProcessCost, run_program
from benchmarks.record import append

CORPUS = Path("../shared/data/retrieval/scifact/corpus.jsonl")
_READ = "import json, sys; docs = [json.loads(line) for line in open(sys.argv[1] + '/docs.jsonl')]"
_BM25S = f"""{_READ}
import bm25s
tokens = bm25s.tokenize([doc["contents"] for doc in docs], stopwords="en", show_progress=False)
retriever = bm25s.BM25()
retriever.index(tokens, show_progress=False)
retriever.save(sys.argv[2], corpus=[doc["id"] for doc in docs], show_progress=False)"""
_LUCENE = """import sys
from embedder.lucene.jvm import java_class
arguments = ["-collection", "JsonCollection", "-input", sys.argv[1], "-index", sys.argv[2]]
arguments += ["-generator", "DefaultLuceneDocumentGenerator", "-threads", "2"]
java_class("io.anserini.index.IndexCollection").main(arguments)"""
_FLOOR = f"""{_READ}
import os; os.mkdir(sys.argv[2])
open(sys.argv[2] + "/texts", "w").writelines(doc["contents"] for doc in docs)"""
_OURS = """import sys
from lastword.main import main
arguments = ["index", sys.argv[1] + "/docs.jsonl", "-o", sys.argv[2], "--channels", "bm25", "-q"]
sys.argv[1:] = [*arguments, "--passages", "off"]
main()"""
PROGRAMS = {"lastword": _OURS, "bm25s": _BM25S, "lucene": _LUCENE, "floor": _FLOOR}


@dataclass(frozen=True, slots=True)
class BuildCost:
    """What a process took, and bytes on disk."""

    process: ProcessCost
    disk_mb: float

    @property
    def seconds(self) -> float:
        """Wall time."""
        return self.process.seconds


def main() -> None:
    """Build in turns, print a table, and append the best of each program."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--corpus", type=Path, default=CORPUS)
    parser.add_argument("--copies", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--dry", action="store_true", help="append nothing to results.jsonl")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        source = Path(name) / "source"
        documents = write_corpus(options.corpus, options.copies, source)
        builds: dict[str, list[BuildCost]] = {program: [] for program in PROGRAMS}
        for _ in range(options.rounds):
            for program, runs in builds.items():
                runs.append(build(program, source, Path(name) / "index"))
    best = {program: min(runs, key=lambda run: run.seconds) for program, runs in builds.items()}
    Console().print(_table(best, documents))
    if not options.dry:
        append(_record(best, documents))


def write_corpus(corpus: Path, copies: int, folder: Path) -> int:
    """Write every document `copies` times under ids of its own; return how many there are."""
    folder.mkdir()
    with corpus.open(encoding="utf-8") as lines:
        records = [json.loads(line) for line in lines]
    with (folder / "docs.jsonl").open("w", encoding="utf-8") as file:
        for copy in range(copies):
            for record in records:
                text = f"{record.get('title', '')} {record['text']}".strip()
                line = {"id": f"{copy}-{record['_id']}", "contents": text}
                file.write(json.dumps(line) + "\n")
    return copies * len(records)


def build(program: str, source: Path, index: Path) -> BuildCost:
    """Run one program to its end in a process of its own."""
    process = run_program(PROGRAMS[program], str(source), str(index))
    size = sum(file.stat().st_size for file in index.rglob("*") if file.is_file())
    shutil.rmtree(index)
    return BuildCost(process, size / 1e6)


def _record(best: dict[str, BuildCost], documents: int) -> dict[str, object]:
    figures = {
        f"{program}_{name}": round(value, 3)
        for program, run in best.items()
        for name, value in (
            ("documents_per_second", documents / run.seconds),
            ("cpu_seconds", run.process.cpu_seconds),
            ("peak_mb", run.process.largest_mb),
            ("disk_mb", run.disk_mb),
        )
    }
    ours = best["lastword"].seconds
    ratios = {f"over_{name}": round(best[name].seconds / ours, 3) for name in ("bm25s", "lucene")}
    return {"name": "bm25_build", "documents": documents, **figures, **ratios}


def _table(best: dict[str, BuildCost], documents: int) -> Table:
    table = Table("program", title=f"BM25 index of {documents:,} documents")
    for heading in ("documents/s", "seconds", "CPU s", "peak MB", "disk MB"):
        table.add_column(heading, justify="right")
    for program, run in best.items():
        table.add_row(
            program,
            f"{documents / run.seconds:,.0f}",
            *(f"{value:.1f}" for value in (run.seconds, run.process.cpu_seconds)),
            *(f"{value:,.0f}" for value in (run.process.largest_mb, run.disk_mb)),
        )
    return table


if __name__ == "__main__":
    main()
