"""Anserini's JsonVectorCollection: a JSON object a document, its terms with whole weights.

The files are those that PromptReps' pipeline writes (Zhuang et al., EMNLP 2024): corpus_0.jsonl,
and query.tsv, where a term stands as often as it weighs. They lie in folders of their own, since
Anserini reads every file below the folder that it is given.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix

from embedder.files.config_file import parse_json
from embedder.files.durable import open_new
from embedder.files.lines import PACKED, read_lines, shorten
from embedder.types import Representation
from index.documents import Document
from index.live_rows import BLOCK, DocumentBlock
from retrieval.exchange.incoming import Incoming
from retrieval.exchange.outgoing import Outgoing, ids_of
from retrieval.exchange.term_names import TermNames
from retrieval.trec_ids import EscapedIds

CORPUS, QUERIES = Path("corpus") / "corpus_0.jsonl", Path("query") / "query.tsv"
_IDS, _TEXTS = ("id", "_id", "docid"), ("contents", "content", "text")


def write(outgoing: Outgoing, folder: Path) -> None:
    """Write the terms of every document, and of queries where there are some."""
    channel = outgoing.needed("inverted")
    names = outgoing.names(channel)
    (folder / CORPUS).parent.mkdir()
    with open_new(folder / CORPUS) as file:
        for block in outgoing.blocks([channel]):
            names.learn_documents(block.documents)
            rows = block.rows[channel]
            vectors = _vectors(outgoing, rows, channel, names)
            ids = outgoing.row_ids(ids_of(block.documents), rows)
            for name, vector in zip(ids, vectors, strict=True):
                line = json.dumps({"id": name, "content": "", "vector": vector})
                file.write(line.encode() + b"\n")
    if outgoing.options.queries:
        _write_queries(outgoing, channel, names, folder / QUERIES)
    outgoing.counts["escaped_terms"] = names.escaped


def _write_queries(outgoing: Outgoing, channel: str, names: TermNames, path: Path) -> None:
    """Write `id, tab, terms` lines; a query without terms has none, as in PromptReps."""
    queries = outgoing.options.queries
    names.learn(queries.values())
    rows = outgoing.query_rows(channel)
    owners = rows.owner.tolist()
    fields, ids = EscapedIds(), list(queries)
    path.parent.mkdir()
    with open_new(path) as file:
        for owner, vector in zip(owners, _vectors(outgoing, rows, channel, names), strict=True):
            words = " ".join(" ".join([term] * weight) for term, weight in vector.items())
            if words:
                file.write(f"{fields[ids[owner]]}\t{words}\n".encode())
    outgoing.counts["escaped_ids"] += fields.escaped
    outgoing.counts["parted_queries"] += len(owners) - len(set(owners))


def _vectors(
    outgoing: Outgoing, rows: Representation, channel: str, names: TermNames
) -> Iterator[dict[str, int]]:
    """Yield term -> weight of each row, the heaviest first, as PromptReps orders them."""
    assert rows.sparse is not None
    whole = outgoing.whole(rows.sparse, channel)
    for start, end in zip(whole.indptr[:-1], whole.indptr[1:], strict=True):
        columns, weights = whole.indices[start:end], whole.data[start:end]
        order = np.argsort(-weights, kind="stable")
        terms = names.of(columns[order].tolist())
        yield dict(zip(terms, map(int, weights[order].tolist()), strict=True))


def read(incoming: Incoming, source: Path) -> Iterator[DocumentBlock]:
    """Read a file of such lines, or all of a folder in the order of their names.

    Raises:
        ValueError: a line is no such object, a weight no number above 0, or a term unknown.
    """
    documents: list[Document] = []
    vectors: list[Mapping[str, float]] = []
    places: list[str] = []
    for path in _files(source):
        for place, line in read_lines(path):
            document, vector = _parsed(line, place)
            documents.append(document)
            vectors.append(vector)
            places.append(place)
            if len(documents) == BLOCK:
                yield _block(incoming, documents, vectors, places)
                documents, vectors, places = [], [], []
    if documents:
        yield _block(incoming, documents, vectors, places)


def _files(source: Path) -> list[Path]:
    if not source.is_dir():
        return [source]
    source = source / CORPUS.parent if (source / CORPUS).is_file() else source
    files = [
        path
        for path in sorted(source.iterdir())
        if (path.with_suffix("") if path.suffix in PACKED else path).suffix in (".jsonl", ".json")
    ]
    if not files:
        raise ValueError(f"{source} holds no .jsonl files with the terms of documents")
    return files


def _parsed(line: str, place: str) -> tuple[Document, Mapping[str, float]]:
    record = parse_json(line, place, encodable=True)
    if not isinstance(record, dict) or not isinstance(record.get("vector"), dict):
        raise ValueError(f'{place}: expected a JSON object with id and "vector": term -> weight')
    name, text = _first(record, _IDS), _first(record, _TEXTS) or ""
    if isinstance(name, int) and not isinstance(name, bool):
        name = str(name)
    if not isinstance(name, str) or not name or not isinstance(text, str):
        raise ValueError(f"{place}: expected texts as id and contents; got {shorten(name)}")
    vector = record["vector"]
    for term, weight in vector.items():
        number = isinstance(weight, int | float) and not isinstance(weight, bool)
        if not (term and number and 0 <= weight < 2**31):
            raise ValueError(
                f"{place}: expected terms with weights from 0 to {2**31 - 1}; "
                f"got {shorten(term)}: {shorten(weight)}"
            )
    return Document(name, "", text), vector


def _first(record: Mapping[str, Any], names: tuple[str, ...]) -> Any:  # noqa: ANN401  (JSON)
    return next((record[name] for name in names if record.get(name) is not None), None)


def _block(
    incoming: Incoming,
    documents: list[Document],
    vectors: list[Mapping[str, float]],
    places: list[str],
) -> DocumentBlock:
    columns = [
        incoming.terms.of(list(vector), place)
        for vector, place in zip(vectors, places, strict=True)
    ]
    lengths = [len(row) for row in columns]
    weights = [weight for vector in vectors for weight in vector.values()]
    rows = csr_matrix(
        (
            np.array(weights, np.float32),
            np.concatenate([np.zeros(0, np.int64), *columns]),
            np.cumsum([0, *lengths]),
        ),
        shape=(len(documents), incoming.terms.width),
    )
    return incoming.sparse_block(documents, rows)
