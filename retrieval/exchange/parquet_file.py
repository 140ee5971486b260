"""One Parquet file: id, title, text, metadata, vector and terms of a document in a line.

vector is a list of floats, terms a list of (term, weight); where documents have several rows, both
are lists of those. The file's own metadata, under "lastword", says how the rows were made.
"""

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from embedder.files.durable import open_new
from embedder.types import Representation
from retrieval.exchange.outgoing import Outgoing
from retrieval.exchange.parquet_read import ABOUT, DOCUMENTS, import_arrow
from retrieval.exchange.parquet_read import read as read
from retrieval.exchange.stored_channels import store_channels
from retrieval.exchange.term_names import TermNames

QUERIES = "queries.parquet"


def write(outgoing: Outgoing, folder: Path) -> None:
    """Write all documents with their rows, and queries with theirs."""
    _, pq = import_arrow()
    dense, sparse = outgoing.channel("dense"), outgoing.channel("inverted")
    names = outgoing.names(sparse) if sparse else None
    channels = [name for name in (dense, sparse) if name]
    table = _Lines(outgoing, channels, dense, sparse, names)
    with open_new(folder / DOCUMENTS) as file, pq.ParquetWriter(file, table.schema) as writer:
        for block in outgoing.blocks(channels):
            if names:
                names.learn_documents(block.documents)
            documents = block.documents
            texts = {
                "id": [document.id for document in documents],
                "title": [document.title for document in documents],
                "text": [document.text for document in documents],
                "metadata": [document.metadata_json for document in documents],
            }
            writer.write_table(table.of(texts, block.rows))
    if outgoing.options.queries:
        _write_queries(table, outgoing, channels, names, folder / QUERIES)
    outgoing.counts["escaped_terms"] += names.escaped if names else 0


def _write_queries(
    table: "_Lines",
    outgoing: Outgoing,
    channels: Sequence[str],
    names: TermNames | None,
    path: Path,
) -> None:
    _, pq = import_arrow()
    queries = outgoing.options.queries
    if names:
        names.learn(queries.values())
    rows = {name: outgoing.query_rows(name) for name in channels}
    alone = all(len(each) == len(queries) for each in rows.values())
    own = table if alone else table.parted()
    empty = [""] * len(queries)
    texts = {"id": [*queries], "title": empty, "text": [*queries.values()], "metadata": empty}
    with open_new(path) as file, pq.ParquetWriter(file, own.schema) as writer:
        writer.write_table(own.of(texts, rows))


class _Lines:
    """Turns documents and their rows into a table of Arrow."""

    def __init__(
        self,
        outgoing: Outgoing,
        channels: Sequence[str],
        dense: str | None,
        sparse: str | None,
        names: TermNames | None,
    ) -> None:
        pa, _ = import_arrow()
        self._dense, self._sparse, self._names = dense, sparse, names
        index = outgoing.index
        self._parts = {
            name: not all(segment.channels[name].single for segment in index.opened)
            for name in channels
        }
        texts = [(name, pa.string()) for name in ("id", "title", "text", "metadata")]
        self._kinds: dict[str, Any] = {}
        if dense:
            self._kinds["vector"] = pa.list_(pa.float32(), index.channels[dense].dim or 1)
        if sparse:
            term = pa.struct([("term", pa.string()), ("weight", pa.float32())])
            self._kinds["terms"] = pa.list_(term)
        rows = [
            (column, pa.list_(kind) if self._parts[name] else kind)
            for (column, kind), name in zip(self._kinds.items(), channels, strict=True)
        ]
        about = {ABOUT: store_channels(index, channels).encode()} if channels else {}
        self.schema = pa.schema([*texts, *rows], metadata=about)

    def parted(self) -> "_Lines":
        """Return the same for texts of which each may have several rows."""
        pa, _ = import_arrow()
        other = copy.copy(self)
        other._parts = dict.fromkeys(self._parts, True)
        fields = [
            pa.field(field.name, pa.list_(self._kinds[field.name]))
            if field.name in self._kinds
            else field
            for field in self.schema
        ]
        other.schema = pa.schema(fields, metadata=self.schema.metadata)
        return other

    def of(self, texts: Mapping[str, Sequence[str]], rows: Mapping[str, Representation]) -> Any:  # noqa: ANN401
        """Return the next lines."""
        pa, _ = import_arrow()
        count = len(texts["id"])
        columns: dict[str, Any] = {name: pa.array(each) for name, each in texts.items()}
        if self._dense:
            vectors = rows[self._dense].dense
            assert vectors is not None
            flat = pa.array(vectors.reshape(-1))
            array = pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1])
            columns["vector"] = self._joined(array, self._dense, rows, count)
        if self._sparse:
            weights, names = rows[self._sparse].sparse, self._names
            assert weights is not None and names is not None
            terms = pa.StructArray.from_arrays(
                [pa.array(names.of(weights.indices.tolist()), pa.string()), pa.array(weights.data)],
                ["term", "weight"],
            )
            bounds = pa.array(weights.indptr.astype(np.int32))
            array = pa.ListArray.from_arrays(bounds, terms)
            columns["terms"] = self._joined(array, self._sparse, rows, count)
        return pa.table([columns[name] for name in self.schema.names], schema=self.schema)

    def _joined(
        self,
        array: Any,  # noqa: ANN401
        channel: str,
        rows: Mapping[str, Representation],
        count: int,
    ) -> Any:  # noqa: ANN401
        """Return rows as they are, or lists of the rows of each text."""
        pa, _ = import_arrow()
        if not self._parts[channel]:
            return array
        bounds = np.searchsorted(rows[channel].owner, np.arange(count + 1))
        return pa.ListArray.from_arrays(pa.array(bounds.astype(np.int32)), array)
