"""Parquet files of documents with vectors or terms, of whatever program, as they are read."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from embedder.files.config_file import parse_json
from embedder.files.lines import refuse_special
from index.documents import Document
from index.live_rows import BLOCK, DocumentBlock
from retrieval.exchange.incoming import Incoming, merged
from retrieval.exchange.stored_channels import stored_channels

DOCUMENTS = "documents.parquet"
ABOUT = b"lastword"
_IDS, _VECTORS = ("id", "_id", "docid"), ("vector", "embedding", "vectors")
_TEXTS = ("text", "contents")
_WIDEST = 1 << 20


def import_arrow() -> tuple[Any, Any]:
    """Import Arrow, which takes a while and may not be there.

    Raises:
        ValueError: it is not.
    """
    try:
        import pyarrow  # type: ignore[import-untyped]
        import pyarrow.parquet  # type: ignore[import-untyped]
    except ImportError as error:
        raise ValueError(
            f'Parquet files need pyarrow: pip install "lastword[parquet]" ({error})'
        ) from error
    return pyarrow, pyarrow.parquet


def read(incoming: Incoming, source: Path) -> Iterator[DocumentBlock]:
    """Read a file, or all .parquet files of a folder in the order of their names.

    Raises:
        ValueError: a column is missing or of another type, or the file is damaged.
    """
    pa, pq = import_arrow()
    own = source / DOCUMENTS
    files = [source]
    if source.is_dir():
        files = [own] if own.is_file() else sorted(source.glob("*.parquet"))
    if not files:
        raise ValueError(f"{source} holds no .parquet files")
    for path in files:
        refuse_special(path, pipes=False)
        try:
            with pq.ParquetFile(path) as file:
                about = (file.schema_arrow.metadata or {}).get(ABOUT)
                if about is not None:
                    incoming.stored = stored_channels(about.decode(), f"{path}: {ABOUT.decode()}")
                columns = _ReadColumns(file.schema_arrow, path)
                for group in range(file.num_row_groups):  # over all at once, all would be held
                    for batch in file.iter_batches(BLOCK, [group], columns.names):
                        if len(batch):
                            yield columns.block(incoming, batch)
        except (pa.ArrowException, OSError) as error:
            if isinstance(error, OSError) and error.errno:  # others are Arrow's word for damage
                raise
            reason = " ".join(str(error).split())
            raise ValueError(f"{path}: expected a Parquet file; {reason}") from error


class _ReadColumns:
    """Which columns of a file are read as what."""

    def __init__(self, schema: Any, path: Path) -> None:  # noqa: ANN401
        self._path = path
        names = dict.fromkeys(schema.names)
        self._id = _first(names, _IDS)
        self._texts = [name for name in ("title", _first(names, _TEXTS), "metadata") if name]
        self._texts = [name for name in self._texts if name in names]
        self._vector = _first(names, _VECTORS)
        self._terms = "terms" if "terms" in names else None
        if self._id is None or not (self._vector or self._terms):
            raise ValueError(
                f"{path}: expected the columns id, and vector or terms; got {', '.join(names)}"
            )
        wanted = (self._id, *self._texts, self._vector, self._terms)
        self.names = [name for name in wanted if name]

    def block(self, incoming: Incoming, batch: Any) -> DocumentBlock:  # noqa: ANN401
        """Return the documents of a batch."""
        texts = {name: self._strings(batch, name) for name in (self._id, *self._texts) if name}
        empty = [""] * len(batch)
        body = texts.get(_first(texts, _TEXTS) or "", empty)
        documents = [
            Document(name, title, text, self._metadata(written))
            for name, title, text, written in zip(
                texts[self._id or ""],
                texts.get("title", empty),
                body,
                texts.get("metadata", empty),
                strict=True,
            )
        ]
        blocks = []
        if self._vector:
            array, owner = _rows_of(batch.column(self._vector), 1, self._place(self._vector))
            blocks.append(incoming.dense_block(documents, self._vectors(array), owner))
        if self._terms:
            array, owner = _rows_of(batch.column(self._terms), 1, self._place(self._terms))
            blocks.append(incoming.sparse_block(documents, self._weights(incoming, array), owner))
        return merged(blocks)

    def _place(self, column: str) -> str:
        return f"{self._path}: column {column}"

    def _strings(self, batch: Any, name: str) -> list[str]:  # noqa: ANN401
        values = batch.column(name).to_pylist()
        if name == self._id:
            values = [str(value) if type(value) is int else value for value in values]
        values = ["" if value is None and name != self._id else value for value in values]
        if not all(isinstance(value, str) for value in values):
            raise ValueError(f"{self._place(name)}: expected text in every line")
        return values

    def _metadata(self, written: str) -> Mapping[str, Any]:
        data = parse_json(written, self._place("metadata")) if written else {}
        if not isinstance(data, dict):
            raise ValueError(f"{self._place('metadata')}: expected a JSON object in each line")
        return data

    def _vectors(self, array: Any) -> NDArray[np.floating]:  # noqa: ANN401
        lengths = np.diff(array.offsets.to_numpy()) if hasattr(array, "offsets") else None
        width = array.type.list_size if lengths is None else int(lengths[0]) if len(lengths) else 1
        flat = array.flatten()
        if flat.null_count or not 0 < width < _WIDEST or len(flat) != width * len(array):
            raise ValueError(f"{self._place(self._vector or '')}: vectors differ in width, or lack")
        vectors: NDArray[np.floating] = flat.to_numpy(zero_copy_only=False).reshape(-1, width)
        return vectors

    def _weights(self, incoming: Incoming, array: Any) -> csr_matrix:  # noqa: ANN401
        flat = array.flatten()
        place = self._place("terms")
        terms, weights = flat.field("term").to_pylist(), flat.field("weight")
        if weights.null_count or flat.null_count or not all(isinstance(t, str) for t in terms):
            raise ValueError(f"{place}: a term or a weight is missing")
        columns = incoming.terms.of(terms, place)
        bounds = array.offsets.to_numpy().astype(np.int64)
        data = weights.to_numpy(zero_copy_only=False).astype(np.float32)
        shape = (len(array), incoming.terms.width)
        return csr_matrix((data, columns, bounds - bounds[0]), shape=shape)


def _rows_of(array: Any, depth: int, place: str) -> tuple[Any, NDArray[np.int64]]:  # noqa: ANN401
    """Return the rows of a column and their owners, whether each text has one or a list."""
    pa, _ = import_arrow()
    types = pa.types
    if array.null_count:
        raise ValueError(f"{place}: expected a list in every line; {array.null_count} lack it")
    kind = array.type
    if not (types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)):
        raise ValueError(f"{place}: expected lists; got {kind}")
    inner = kind.value_type
    nested = types.is_list(inner) or types.is_large_list(inner) or types.is_fixed_size_list(inner)
    if not nested or not depth:
        expected = types.is_floating(inner) or (
            types.is_struct(inner) and {"term", "weight"} <= {field.name for field in inner}
        )
        if not expected:
            raise ValueError(f"{place}: expected floats, or term and weight; got {inner}")
        return array, np.arange(len(array))
    counts = array.value_lengths().to_numpy().astype(np.int64)
    rows, _ = _rows_of(array.flatten(), 0, place)
    return rows, np.repeat(np.arange(len(array)), counts)


def _first(there: Collection[str], names: Sequence[str]) -> str | None:
    return next((name for name in names if name in there), None)
