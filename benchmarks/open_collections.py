"""Cut the two small open collections that signals without judgements are held against.

python -m benchmarks.open_collections [--data FOLDER] [--out tuning/open_collections]

science: claims of SciFact's training split (Wadden et al., EMNLP 2020; CC BY 4.0) and abstracts
(S2ORC, ODC-By 1.0), cut to WORDS words, with the abstracts that are nearest by words beside the
relevant ones. banking: questions of BANKING77's training split (Casanueva et al., NLP4ConvAI 2020;
CC BY 4.0); a question is relevant to another of the same intent. Same data, same bytes.
"""

import argparse
import csv
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from embedder.encoders.bm25 import BM25Encoder
from eval.data.collections import open_collection
from index.documents import Document
from index.folder import Index
from retrieval.build import build_index
from retrieval.retriever import Retriever
from retrieval.run import ranked

DATA = Path("../shared/data")
OUT = Path("tuning/open_collections")
CLAIMS, ABSTRACTS, WORDS = 60, 300, 60
NEAR = 4  # abstracts of a claim that are not relevant
ANSWERS = 4  # questions of an intent that are documents

Texts = Mapping[str, str]
Judged = Mapping[str, Mapping[str, int]]


def main(arguments: list[str] | None = None) -> None:
    """Write both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args(arguments)
    write(options.out / "science", *science(options.data / "retrieval" / "scifact"))
    write(options.out / "banking", *banking(options.data / "classification/banking77-train.tsv"))


def science(folder: Path) -> tuple[list[Document], Texts, Judged]:
    """Take claims, their abstracts, and the abstracts that words take for theirs."""
    collection = open_collection(folder, "train")
    documents = {document.id: document for document in collection.documents()}
    queries, qrels = collection.queries(), collection.qrels()
    order = np.random.default_rng(0).permutation(len(qrels))[:CLAIMS].tolist()
    chosen = [sorted(qrels)[at] for at in order]
    kept = {document for query in chosen for document in qrels[query]}
    words = {"bm25": BM25Encoder()}
    with tempfile.TemporaryDirectory() as place:
        build_index(documents.values(), words, Path(place) / "words.index")
        with Index.open(Path(place) / "words.index") as index:
            run = Retriever(index, words).search({query: queries[query] for query in chosen}, 50)
    for query in chosen:
        others = [one for one, _ in ranked(run[query]) if one not in qrels[query]]
        kept.update(others[:NEAR])
    left = sorted(documents.keys() - kept)
    drawn = np.random.default_rng(1).permutation(len(left))[: max(0, ABSTRACTS - len(kept))]
    kept.update(left[at] for at in drawn.tolist())
    cut = [
        Document(one, documents[one].title, " ".join(documents[one].text.split()[:WORDS]))
        for one in sorted(kept, key=int)
    ]
    return (
        cut,
        {query: queries[query] for query in chosen},
        {query: qrels[query] for query in chosen},
    )


def banking(path: Path) -> tuple[list[Document], Texts, Judged]:
    """Take one question of each intent, and others of it that answer it."""
    intents: dict[str, list[str]] = {}
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
            intents.setdefault(row["label"], []).append(" ".join(row["text"].split()))
    documents, queries, qrels = [], {}, {}
    rng = np.random.default_rng(0)
    for intent, texts in sorted(intents.items()):
        unique = sorted(set(texts))
        question, *answers = (unique[at] for at in rng.permutation(len(unique))[: 1 + ANSWERS])
        queries[intent] = question
        ids = [f"{intent}-{number}" for number in range(1, len(answers) + 1)]
        documents += [Document(one, "", text) for one, text in zip(ids, answers, strict=True)]
        qrels[intent] = dict.fromkeys(ids, 1)
    return documents, queries, qrels


def write(folder: Path, documents: list[Document], queries: Texts, qrels: Judged) -> None:
    """Write a BEIR folder."""
    (folder / "qrels").mkdir(parents=True, exist_ok=True)
    records = [{"_id": one.id, "title": one.title, "text": one.text} for one in documents]
    asked = [{"_id": query, "text": text} for query, text in queries.items()]
    for name, lines in (("corpus", records), ("queries", asked)):
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
        (folder / f"{name}.jsonl").write_text(text, encoding="utf-8")
    judged = [
        f"{query}\t{document}\t{gain}\n"
        for query, gains in qrels.items()
        for document, gain in sorted(gains.items())
    ]
    (folder / "qrels" / "dev.tsv").write_text(f"query-id\tcorpus-id\tscore\n{''.join(judged)}")


if __name__ == "__main__":
    main()
