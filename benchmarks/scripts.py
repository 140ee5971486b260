"""Measure what BM25 finds in scripts where words carry particles or no spaces, and of emoji.

python -m benchmarks.scripts [--collections FOLDER]

scripts.tsv holds sentences of our own, a query for each (bare words) and the query worded
otherwise (in Korean with other particles). All sentences are one collection. Each line of the
table compares the first rules (words whole) with today's. --collections names a folder of
collections in BEIR's layout, whose texts are shown to have the same terms by both.
"""

import argparse
import csv
import json
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from embedder.encoders.bm25 import ANALYSIS, BM25Encoder
from eval.measures.measures import evaluate
from index.documents import Document
from index.folder import Index
from retrieval.build import build_index
from retrieval.retriever import Retriever

SENTENCES = Path(__file__).with_name("scripts.tsv")
QUERIES = ("query", "otherwise")


@dataclass(frozen=True, slots=True)
class Sentence:
    """A document and what is asked for it: `queries` are the bare words, and others."""

    id: str
    script: str
    text: str
    queries: Mapping[str, str]


def sentences() -> list[Sentence]:
    """Read the sentences."""
    with SENTENCES.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    return [
        Sentence(f"s{at}", row["script"], row["document"], {name: row[name] for name in QUERIES})
        for at, row in enumerate(rows)
    ]


def recall(analysis: int, folder: Path) -> dict[tuple[str, str], tuple[float, float]]:
    """Search for every sentence by both of its queries.

    Returns:
        (script, which query) -> share of sentences that are found at all, and found first.
    """
    some = sentences()
    path = folder / f"analysis-{analysis}.index"
    encoders = {"bm25": BM25Encoder(analysis=analysis)}
    build_index((Document(sentence.id, "", sentence.text) for sentence in some), encoders, path)
    figures: dict[tuple[str, str], tuple[float, float]] = {}
    with Index.open(path) as index:
        retriever = Retriever(index, encoders)
        for script in dict.fromkeys(sentence.script for sentence in some):
            mine = [sentence for sentence in some if sentence.script == script]
            qrels = {sentence.id: {sentence.id: 1} for sentence in mine}
            for name in QUERIES:
                run = retriever.search({part.id: part.queries[name] for part in mine}, len(some))
                values = evaluate(run, qrels, ["R@1000", "RR@1"])
                recalls, firsts = (list(values[measure].values()) for measure in ("R@1000", "RR@1"))
                figures[script, name] = (sum(recalls) / len(mine), sum(firsts) / len(mine))
    return figures


def same_terms(folder: Path) -> Iterator[tuple[str, int, int]]:
    """Yield (collection, texts, texts whose terms differ between the first rules and today's)."""
    first, today = BM25Encoder(analysis=1), BM25Encoder()
    for collection in sorted(path.parent for path in folder.glob("*/corpus.jsonl")):
        texts = unlike = 0
        for name in ("corpus.jsonl", "queries.jsonl"):
            for line in (collection / name).read_text(encoding="utf-8").splitlines():
                record = json.loads(line)
                text = Document("-", record.get("title") or "", record["text"]).content
                texts += 1
                unlike += list(first.terms(text)) != list(today.terms(text))
        yield collection.name, texts, unlike


def main() -> None:
    """Run the measurement."""
    parser = argparse.ArgumentParser(description="What BM25 finds in scripts, and of emoji.")
    parser.add_argument("--collections", type=Path, help="collections in BEIR's layout")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        before, after = (recall(analysis, Path(folder)) for analysis in (1, ANALYSIS))
    table = Table("script", "query", "found before", "first before", "found", "first")
    for (script, name), (share, first) in after.items():
        old = before[script, name]
        table.add_row(script, name, *(f"{value:.3f}" for value in (*old, share, first)))
    console = Console(width=100)
    console.print(table)
    if options.collections:
        for name, texts, unlike in same_terms(options.collections):
            console.print(f"{name}: {texts:,} texts, {unlike} with other terms than before")


if __name__ == "__main__":
    main()
