"""Measure a BM25 index of very many documents: building, opening, merging.

python -m benchmarks.million [--documents 1000000] [--compare 100000] [--dry]
                             [--corpus ../shared/data/retrieval/scifact/corpus.jsonl]

The documents are those of the corpus again and again, with every twentieth word another one of the
corpus, drawn by chance; without a corpus they are the documentation of Python's own modules. The
command builds the index in a process of its own; memory is that of it and of the processes that it
starts, looked at every tenth of a second. `peak` counts pages of mapped files too, which the system
takes back when it needs them; `own` does not. Opening and merging are processes of their own too.
At most --compare of the documents are then indexed by lastword, bm25s and Lucene in turns, as
`benchmarks.bm25_build` does; 0 leaves that out.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.bm25_build import CORPUS, PROGRAMS, build
from benchmarks.processes import run_program
from benchmarks.record import append

_NOISE = 0.05  # of the words
_OPENINGS = 3
_OPEN = """import sys, time
from index.folder import Index
start, busy = time.perf_counter(), time.process_time()
index = Index.open(sys.argv[1])
print(time.perf_counter() - start, time.process_time() - busy, index.segments)"""
_MERGE = """import sys
from index.writer import IndexWriter
with IndexWriter(sys.argv[1]) as writer:
    writer.merge()
    writer.commit()
    writer.compact()"""


def main() -> None:
    """Build, open, merge and open again; compare; print and append the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--documents", type=int, default=1_000_000)
    parser.add_argument("--compare", type=int, default=100_000)
    parser.add_argument("--corpus", type=Path, default=CORPUS)
    parser.add_argument("--dry", action="store_true", help="append nothing to results.jsonl")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        record = measure(options.documents, read_texts(options.corpus), folder)
        count = min(options.compare, options.documents)
        if count:
            write_documents(read_texts(options.corpus), count, folder / "small")
            for program in ("lastword", "bm25s", "lucene"):
                cost = build(program, folder / "small", folder / "index-small")
                record[f"{program}_{count}_documents_per_second"] = round(count / cost.seconds)
    table = Table("figure", "value", title=f"BM25 index of {options.documents:,} documents")
    for key, value in record.items():
        table.add_row(key, f"{value:,}")
    Console().print(table)
    if not options.dry:
        append({"name": "million", "corpus": options.corpus.parent.name, **record})


def measure(documents: int, texts: list[str], folder: Path) -> dict[str, float]:
    """Build an index in a folder, merge it, and open it before and after."""
    size = write_documents(texts, documents, folder / "source")
    index = folder / "index"
    built = run_program(PROGRAMS["lastword"], str(folder / "source"), str(index))
    disk = sum(file.stat().st_size for file in index.rglob("*") if file.is_file())
    opened, busy, segments = open_index(index)
    merged = run_program(_MERGE, str(index))
    opened_merged, busy_merged, _ = open_index(index)
    return {
        "documents": documents,
        "source_mb": round(size / 1e6),
        "build_documents_per_second": round(documents / built.seconds),
        "build_seconds": round(built.seconds, 1),
        "build_peak_mb": round(built.peak_mb),
        "build_own_mb": round(built.own_mb),
        "disk_mb": round(disk / 1e6),
        "segments": segments,
        "open_seconds": round(opened, 3),
        "open_cpu_seconds": round(busy, 3),
        "merge_seconds": round(merged.seconds, 1),
        "merge_peak_mb": round(merged.peak_mb),
        "merge_own_mb": round(merged.own_mb),
        "open_merged_seconds": round(opened_merged, 3),
        "open_merged_cpu_seconds": round(busy_merged, 3),
    }


def read_texts(corpus: Path) -> list[str]:
    """Return the texts of a corpus, or Python's documentation where there is none."""
    if not corpus.exists():
        from lastword.commands.collection.stdlib_docs import stdlib_documents

        return [f"{document.title} {document.text}".strip() for document in stdlib_documents()]
    with corpus.open(encoding="utf-8") as lines:
        records = [json.loads(line) for line in lines]
    return [f"{record.get('title', '')} {record['text']}".strip() for record in records]


def write_documents(texts: list[str], count: int, folder: Path) -> int:
    """Write texts again and again, each time with other words by chance; return bytes."""
    folder.mkdir()
    chance = random.Random(0)
    words = [text.split() for text in texts]
    all_words = [word for text in words for word in text]
    path = folder / "docs.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for at in range(count):
            text = list(words[at % len(words)])
            for _ in range(int(_NOISE * len(text))):
                text[chance.randrange(len(text))] = chance.choice(all_words)
            file.write(json.dumps({"id": f"{at}", "contents": " ".join(text)}) + "\n")
    return path.stat().st_size


def open_index(index: Path) -> tuple[float, float, int]:
    """Return seconds of wall and of processor time that a process takes to open it, and segments.

    Of three processes the fastest counts: wall time once had seconds of what else was running.
    """
    told = []
    for _ in range(_OPENINGS):
        done = subprocess.run(
            [sys.executable, "-c", _OPEN, str(index)], capture_output=True, text=True, check=True
        )
        seconds, busy, segments = done.stdout.split()
        told.append((float(seconds), float(busy), int(segments)))
    return min(told)


if __name__ == "__main__":
    main()
