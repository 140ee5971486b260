"""Calls of every encoder beside `encode`: those that users of sentence-transformers know."""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Literal, overload

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from embedder.arguments import check_count, check_query
from embedder.types import NamesTerms, Representation, Role, list_texts

RowKind = Literal["dense", "sparse"]
EncodedRows = NDArray[np.float32] | csr_matrix
TextInput = str | Sequence[str]


class TextEncoder(ABC):
    """An `Encoder` with the calls of sentence-transformers.

    Where an encoder gives both kinds of rows, `channel` says which; dense rows come by default.

    >>> encoder = lw.load_encoder("bundled")
    >>> encoder.encode_document(["green tea", "black rock"], channel="dense").shape
    (2, 512)
    """

    _fingerprint: str
    _counts: Counter[str]

    @property
    def fingerprint(self) -> str:
        """Canonical JSON object of everything that changes a vector.

        >>> lw.load_encoder("bm25:german").fingerprint
        '{"analysis":3,"kind":"bm25","language":"german",...}'
        """
        return self._fingerprint

    @property
    def counts(self) -> Mapping[str, int]:
        """Totals since creation: texts, and what the encoder counts of them, e.g. truncated.

        >>> lw.load_encoder("bm25").counts
        {'texts': 0, 'without_words': 0}
        """
        return dict(self._counts)

    @abstractmethod
    def encode(self, texts: Sequence[str], role: Role) -> Representation:
        """Encode texts in order, see `Encoder`.

        >>> rows = encoder.encode(["green tea", "black rock"], "document")
        >>> rows.dense.shape, rows.sparse.shape
        ((2, 512), (2, 16000))
        """

    @overload
    def encode_query(self, texts: TextInput, channel: None = None) -> Any: ...  # noqa: ANN401
    @overload
    def encode_query(self, texts: TextInput, channel: Literal["dense"]) -> NDArray[np.float32]: ...
    @overload
    def encode_query(self, texts: TextInput, channel: Literal["sparse"]) -> csr_matrix: ...
    def encode_query(self, texts: TextInput, channel: RowKind | None = None) -> EncodedRows:
        """Encode queries.

        Args:
            texts: one text, or several.
            channel: "dense", "sparse", or None for dense rows where there are some.

        Returns:
            Dense: unit rows (n, dim) float32, or (dim,) of one text. Sparse: (n, vocab) float32
            CSR, of which n is 1 for one text.

        Raises:
            TypeError: texts are neither.
            ValueError: the encoder gives no such rows, or several rows a text.

        >>> encoder.encode_query("tea").shape, encoder.encode_query(["tea", "rock"]).shape
        ((512,), (2, 512))
        """
        return self._encode_channel(texts, Role.QUERY, channel)

    @overload
    def encode_document(self, texts: TextInput, channel: None = None) -> Any: ...  # noqa: ANN401
    @overload
    def encode_document(
        self, texts: TextInput, channel: Literal["dense"]
    ) -> NDArray[np.float32]: ...
    @overload
    def encode_document(self, texts: TextInput, channel: Literal["sparse"]) -> csr_matrix: ...
    def encode_document(self, texts: TextInput, channel: RowKind | None = None) -> EncodedRows:
        """Encode documents; see `encode_query`.

        >>> encoder.encode_document(["green tea", "black rock"], channel="sparse").shape
        (2, 16000)
        """
        return self._encode_channel(texts, Role.DOCUMENT, channel)

    def similarity(self, a: EncodedRows, b: EncodedRows) -> NDArray[np.float32]:
        """Return the inner product of every row of `a` with every row of `b`, (n, m) float32.

        Dense rows have unit length, so theirs is the cosine.

        >>> documents = encoder.encode_document(["green tea is steeped", "black rock"])
        >>> encoder.similarity(encoder.encode_query("tea"), documents).round(1)
        array([[0.7, 0.1]], dtype=float32)
        """
        left, right = _matrix(a), _matrix(b)
        if left.shape[1] != right.shape[1]:
            raise ValueError(f"rows have {left.shape[1]} and {right.shape[1]} columns")
        product = left @ right.T
        dense = product.toarray() if isinstance(product, csr_matrix) else np.asarray(product)
        return dense.astype(np.float32, copy=False)

    def decode(
        self, rows: csr_matrix, top_k: int | None = None, texts: TextInput = ()
    ) -> list[tuple[str, float]] | list[list[tuple[str, float]]]:
        """Name the weighted words of sparse rows, heaviest first.

        Args:
            rows: (n, vocab) sparse rows of this encoder.
            top_k: most words of a row, at least 1; None is all.
            texts: one text, or several, that the rows were encoded from; an encoder that hashes
                its terms (BM25) can name only those that stand there.

        Returns:
            (word, weight) pairs; a list of such lists where n is not 1.

        >>> row = encoder.encode_document("green tea is hot", channel="sparse")
        >>> [word for word, weight in encoder.decode(row, top_k=3)]
        ['tea', 'green', 'hot']
        """
        if not isinstance(self, NamesTerms):
            raise ValueError(f"{type(self).__name__} does not name its columns")
        if not isinstance(rows, csr_matrix):
            raise TypeError(f"rows must be sparse rows (csr_matrix); got {type(rows).__name__}")
        if top_k is not None:
            check_count(top_k, "top_k", least=1)
        texts = list_texts([texts] if isinstance(texts, str) else texts)
        names = [self._name_row(row, top_k, texts) for row in rows]
        return names[0] if len(names) == 1 else names

    def _name_row(
        self, row: csr_matrix, top_k: int | None, texts: Sequence[str]
    ) -> list[tuple[str, float]]:
        order = sorted(range(row.nnz), key=lambda at: (-row.data[at], row.indices[at]))[:top_k]
        terms = [int(row.indices[at]) for at in order]
        names: dict[int, str] = self.term_names(terms, list(texts))  # type: ignore[attr-defined]
        pairs = zip(terms, order, strict=True)
        return [(names.get(term, str(term)), float(row.data[at])) for term, at in pairs]

    def _encode_channel(self, texts: TextInput, role: Role, channel: RowKind | None) -> EncodedRows:
        if channel not in (None, "dense", "sparse"):
            raise ValueError(f"channel is dense or sparse; got {channel!r}")
        if isinstance(texts, Mapping):
            raise TypeError(f"texts must be one text or a list of them; got {type(texts).__name__}")
        listed = list_texts([texts] if isinstance(texts, str) else texts)
        for at, text in enumerate(listed):
            check_query(text, f"text {at + 1}")
        rows = self.encode(listed, role)
        if not np.array_equal(rows.owner, np.arange(len(listed))):
            raise ValueError("this encoder gives several rows a text; call encode, which has owner")
        if rows.dense is not None and channel != "sparse":
            dense: NDArray[np.float32] = rows.dense[0] if isinstance(texts, str) else rows.dense
            return dense
        if rows.sparse is None or channel == "dense":
            raise ValueError(f"this encoder gives no {channel} rows")
        return rows.sparse


def _matrix(rows: EncodedRows) -> Any:  # noqa: ANN401  (dense or sparse, both multiply)
    if isinstance(rows, csr_matrix):
        return rows
    if not isinstance(rows, np.ndarray) or rows.ndim not in (1, 2) or rows.dtype.kind not in "fiu":
        kind = f" of {rows.dtype}" if isinstance(rows, np.ndarray) else ""
        raise TypeError(f"expected rows (n, dim) of an encoder; got {type(rows).__name__}{kind}")
    return rows[None] if rows.ndim == 1 else rows
