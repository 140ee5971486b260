"""BEIR's folder (Thakur et al., NeurIPS 2021): corpus.jsonl, queries.jsonl and qrels/test.tsv.

It holds texts and no rows: `lastword index` and `lastword eval retrieval` read it.
"""

import json
from pathlib import Path

from embedder.files.durable import open_new
from retrieval.exchange.outgoing import Outgoing

CORPUS, QUERIES, QRELS = "corpus.jsonl", "queries.jsonl", Path("qrels") / "test.tsv"


def write(outgoing: Outgoing, folder: Path) -> None:
    """Write the texts of all documents, and queries and judgements where there are some."""
    with open_new(folder / CORPUS) as file:
        for block in outgoing.blocks([]):
            for document in block.documents:
                line = {
                    "_id": document.id,
                    "title": document.title,
                    "text": document.text,
                    "metadata": dict(document.metadata),
                }
                file.write(json.dumps(line, ensure_ascii=False).encode() + b"\n")
    queries, qrels = outgoing.options.queries, outgoing.options.qrels
    if queries:
        with open_new(folder / QUERIES) as file:
            for name, text in queries.items():
                query = {"_id": name, "text": text, "metadata": {}}
                file.write(json.dumps(query, ensure_ascii=False).encode() + b"\n")
    if qrels:
        (folder / QRELS).parent.mkdir()
        with open_new(folder / QRELS) as file:
            file.write(b"query-id\tcorpus-id\tscore\n")
            for name, gains in qrels.items():
                for document_id, gain in gains.items():
                    fields = (_field(name), _field(document_id), str(gain))
                    file.write("\t".join(fields).encode() + b"\n")


def _field(name: str) -> str:
    """Return an id as a field of BEIR's table, which has no escapes.

    Raises:
        ValueError: it would be read as another one.
    """
    if name != name.strip() or any(mark in name for mark in "\t\r\n\0") or not name:
        raise ValueError(f"BEIR's table of judgements cannot hold the id {name!r}")
    return name
