"""A small index with dense and sparse rows, passages and deletions, to be written and read back."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix

from embedder.encoders.bm25 import BM25Encoder
from embedder.types import Encoder, Representation, Role, fingerprint_of
from index.folder import Index
from index.live_rows import live_blocks
from index.writer import IndexWriter
from retrieval.build import build_index
from retrieval.options import BuildOptions
from tests.synthetic import WORDS, SignEncoder, WordRowsEncoder, documents


class WordWeightsEncoder:
    """Sparse rows: a word weighs the position of its last place in the text, in hundredths."""

    @property
    def fingerprint(self) -> str:
        return fingerprint_of(kind="word weights")

    def encode(self, texts: Sequence[str], role: Role) -> Representation:
        dense = np.zeros((len(texts), len(WORDS)), np.float32)
        for row, text in enumerate(texts):
            for place, word in enumerate(text.split(), start=1):
                if word in WORDS:
                    dense[row, WORDS.index(word)] = place / 100
        return Representation(None, csr_matrix(dense), np.arange(len(texts)))

    def term_names(self, terms: Sequence[int], texts: Sequence[str]) -> dict[int, str]:
        return {term: WORDS[term] for term in terms}


ENCODERS: dict[str, Encoder] = {
    "dense": SignEncoder(),
    "sparse": WordWeightsEncoder(),
    "bm25": BM25Encoder(),
}
SEVERAL_ROWS: dict[str, Encoder] = {"dense": WordRowsEncoder()}


def make_index(path: Path, count: int = 60, rows: str = "one") -> Path:
    """Build an index of several segments of which some documents are deleted, and one replaced."""
    encoders = ENCODERS if rows == "one" else SEVERAL_ROWS
    build_index(documents(count), encoders, path, BuildOptions(segment_documents=25))
    with IndexWriter(path) as writer:
        writer.delete([f"d{at}" for at in range(0, count, 7)])
        writer.commit()
    return path


def contents(path: Path, channels: Sequence[str]) -> dict[str, list[Any]]:
    """Return every row of every document as plain numbers, by document id."""
    found: dict[str, list[Any]] = {}
    with Index.open(path) as index:
        for block in live_blocks(index, channels):
            for at, document in enumerate(block.documents):
                rows = [block.rows[name].of_text(at) for name in channels]
                found[document.id] = [
                    each.dense.tolist() if each.dense is not None else _entries(each)
                    for each in rows
                ]
    return found


def _entries(rows: Representation) -> list[list[tuple[int, float]]]:
    assert rows.sparse is not None
    return [list(zip(row.indices.tolist(), row.data.tolist(), strict=True)) for row in rows.sparse]
