"""Anserini as an oracle of feedback: its index and searcher, and its tokens for our channels."""

import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix

from embedder.lucene.jvm import java_class, java_errors
from embedder.types import Representation, Role, fingerprint_of
from index.documents import Document
from retrieval.feedback.read import Feedback
from retrieval.feedback.rm3 import RM3
from retrieval.run import Run


class Anserini:
    """A Lucene index with document vectors, made by Anserini and searched by it.

    Args:
        documents: none without text, which Lucene leaves out.
        folder: where the index is made.
    """

    def __init__(self, documents: Iterable[Document], folder: Path) -> None:
        texts = folder / "texts"
        texts.mkdir(parents=True)
        lines = (
            json.dumps({"id": document.id, "contents": document.content}) for document in documents
        )
        (texts / "documents.jsonl").write_text("\n".join(lines), encoding="utf-8")
        place = str(folder / "lucene")
        arguments = ["-collection", "JsonCollection", "-input", str(texts), "-index", place]
        arguments += ["-generator", "DefaultLuceneDocumentGenerator", "-threads", "1"]
        with java_errors("indexing by Anserini"):
            java_class("io.anserini.index.IndexCollection").main([*arguments, "-storeDocvectors"])
            self._searcher = java_class("io.anserini.search.SimpleSearcher")(place)

    def search(self, queries: Mapping[str, str], k: int, feedback: Feedback | None = None) -> Run:
        """Return a run; scores are rounded to 4 digits, and of equal ones the lower id is first."""
        self._use(feedback)
        return {
            query_id: {hit.docid: float(hit.score) for hit in self._searcher.search(text, k)}
            for query_id, text in queries.items()
        }

    def expand(self, query: str, feedback: Feedback) -> dict[str, float]:
        """Return the words of the query after feedback with their weights."""
        self._use(feedback)
        entries = self._searcher.get_feedback_terms(query).entrySet().toArray()
        return {str(entry.getKey()): float(entry.getValue()) for entry in entries}

    def _use(self, feedback: Feedback | None) -> None:
        self._searcher.unset_rm3()
        self._searcher.unset_rocchio()
        if feedback is None:
            return
        sizes = (feedback.terms, feedback.documents)
        if isinstance(feedback, RM3):
            self._searcher.set_rm3(None, *sizes, float(feedback.weight), False, True)
        else:
            weights = (float(feedback.alpha), float(feedback.beta), 0.0)
            self._searcher.set_rocchio(None, *sizes, *sizes, *weights, False, False)


class AnseriniTokens:
    """Encodes texts as counts of the tokens of Anserini's English analyzer.

    Columns are in the order of the alphabet, which is Anserini's for terms of equal weight.

    Args:
        texts: all that will be encoded.
    """

    spec = None

    def __init__(self, texts: Iterable[str]) -> None:
        analyzer = java_class("io.anserini.analysis.DefaultEnglishAnalyzer").newDefaultInstance()
        analyze: Any = java_class("io.anserini.analysis.AnalyzerUtils").analyze
        self._tokens = {text: list(analyze(analyzer, text).toArray()) for text in set(texts)}
        self.names = sorted({token for tokens in self._tokens.values() for token in tokens})
        self._columns = {name: column for column, name in enumerate(self.names)}

    @property
    def fingerprint(self) -> str:
        """Nothing but the kind: it lives as long as one index."""
        return fingerprint_of(kind="tokens of Anserini")

    def encode(self, texts: Sequence[str], role: Role) -> Representation:
        """Count tokens."""
        columns = [[self._columns[token] for token in self._tokens[text]] for text in texts]
        bounds = np.cumsum([0, *map(len, columns)])
        ones = np.ones(bounds[-1], np.float32)
        shape = (len(texts), len(self.names))
        sparse = csr_matrix((ones, np.array([*chain(*columns)], np.int64), bounds), shape=shape)
        sparse.sum_duplicates()
        return Representation(None, sparse, np.arange(len(texts)))

    def term_names(self, terms: Sequence[int], texts: Sequence[str]) -> dict[int, str]:
        """Name columns by their tokens."""
        return {term: self.names[term] for term in terms}
