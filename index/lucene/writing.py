"""Rows of a sparse channel, written as a Lucene index of one segment: row and document agree."""

from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix

from embedder.lucene.jvm import java_class, java_errors
from index.channels.weighting import Weighting
from index.lucene.row_file import write_rows

FIELD = "terms"
SCALE = 100
"""Impacts are whole numbers in Lucene: hundredths, as in PromptReps (Zhuang et al., 2024)."""
_MOST = 2**31 - 1  # what Lucene counts the terms of a document to
_BUFFER = 64.0  # MB of rows that Lucene holds before it writes them
_FIELD_TYPES = (
    "(Ljava/lang/String;Ljava/lang/CharSequence;Lorg/apache/lucene/index/IndexableFieldType;)V"
)


def build_lucene(matrix: csr_matrix, weighting: Weighting, folder: Path) -> None:
    """Write a matrix into a folder, each row as one document of terms and their frequencies.

    Lucene writes ids and times into its files: equal rows give equal rankings, not equal bytes.

    Args:
        matrix: (rows, columns) float32, positive entries.
        weighting: counts of BM25 are kept as they are, impacts as `whole_weights` has them.
        folder: exists, and has no Lucene index.

    Raises:
        ValueError: a count is not whole, a row is too long for Lucene, or Java cannot be had.
        OSError: the disk is full or cannot be written.
    """
    numbers = whole_weights(matrix, weighting)
    sums = np.asarray(numbers.sum(axis=1, dtype=np.int64)).ravel()
    if len(sums) and sums.max() > _MOST:
        raise ValueError(f"Lucene holds at most {_MOST} terms a row; row {sums.argmax()} has more")
    with java_errors(f"writing {folder}"):
        writer, directory = _open_writer(folder, weighting)
        try:
            _write(numbers, writer, weighting)
        except BaseException:
            writer.rollback()
            raise
        finally:
            directory.close()
    write_rows(numbers, folder)


def whole_weights(matrix: csr_matrix, weighting: Weighting) -> csr_matrix:
    """Return a matrix as Lucene's frequencies: whole numbers above 0, int32.

    Raises:
        ValueError: a count of BM25 is not whole, or a number is too large.
    """
    weights = np.asarray(matrix.data, np.float64)
    if weighting.kind == "impacts":
        weights = np.rint(weights * SCALE)
    if not (np.isfinite(weights).all() and (weights == np.rint(weights)).all()):
        raise ValueError("BM25 by Lucene counts terms: counts must be whole numbers")
    if len(weights) and not 0 <= weights.min() <= weights.max() <= _MOST:
        raise ValueError(f"weights of Lucene are from 0 to {_MOST}; got {weights.max():g}")
    places = (matrix.indices.astype(np.int64), matrix.indptr.astype(np.int64))
    parts = (weights.astype(np.int32), *places)
    numbers = csr_matrix(parts, shape=matrix.shape)
    numbers.sum_duplicates()
    if not numbers.data.all():
        numbers.eliminate_zeros()
    return numbers


def similarity_of(weighting: Weighting) -> Any:  # noqa: ANN401 - a Java object
    """Return Lucene's object that weighs terms."""
    if weighting.kind == "impacts":
        return java_class("io.anserini.search.similarity.ImpactSimilarity")()
    bm25 = java_class("org.apache.lucene.search.similarities.BM25Similarity")
    return bm25(weighting.k1, weighting.b)


def open_directory(folder: Path) -> Any:  # noqa: ANN401
    """Return a folder as Lucene's object; nothing is locked, since the index itself is."""
    path = java_class("java.nio.file.Paths").get(str(folder.absolute()))
    no_lock = java_class("org.apache.lucene.store.NoLockFactory").INSTANCE
    return java_class("org.apache.lucene.store.MMapDirectory")(path, no_lock)


def _open_writer(folder: Path, weighting: Weighting) -> tuple[Any, Any]:
    options = java_class("java.util.HashMap")
    analyzer = java_class("org.apache.lucene.analysis.custom.CustomAnalyzer").builder()
    analyzer.withTokenizer("whitespace", options())
    analyzer.addTokenFilter("delimitedTermFrequency", options())
    config = java_class("org.apache.lucene.index.IndexWriterConfig")(analyzer.build())
    merges = java_class("org.apache.lucene.index.LogDocMergePolicy")()  # neighbours: order stays
    merges.setNoCFSRatio(1.0)
    config.setMergePolicy(merges)
    config.setMergeScheduler(java_class("org.apache.lucene.index.SerialMergeScheduler")())
    config.setRAMBufferSizeMB(_BUFFER)
    config.setSimilarity(similarity_of(weighting))
    directory = open_directory(folder)
    return java_class("org.apache.lucene.index.IndexWriter")(directory, config), directory


def _write(numbers: csr_matrix, writer: Any, weighting: Weighting) -> None:  # noqa: ANN401
    frequencies = java_class("org.apache.lucene.index.IndexOptions").DOCS_AND_FREQS
    kind = java_class("org.apache.lucene.document.FieldType")()
    kind.setIndexOptions(frequencies)
    kind.setTokenized(True)
    kind.setOmitNorms(weighting.kind == "impacts")  # lengths count in BM25 only
    field = java_class("org.apache.lucene.document.Field")(FIELD, "", kind, signature=_FIELD_TYPES)
    document = java_class("org.apache.lucene.document.Document")()
    document.add(field)
    for start, end in zip(numbers.indptr[:-1], numbers.indptr[1:], strict=True):
        terms = numbers.indices[start:end].tolist()
        counts = numbers.data[start:end].tolist()
        field.setStringValue(" ".join(map("{}|{}".format, terms, counts)))
        writer.addDocument(document)
    writer.forceMerge(1)
    writer.commit()
    writer.close()
