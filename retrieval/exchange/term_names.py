"""Terms by name: what other programs call the columns of a sparse channel, and back."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embedder.encoders.bm25 import BM25Encoder
from embedder.encoders.specs import WordSpec, spec_of
from embedder.files.lines import shorten
from embedder.inputs.vocabulary import TermVocabulary
from embedder.text.fields import TEXT, TITLE, FieldedText
from embedder.text.term_counts import VOCABULARY, hashed_column
from embedder.types import Encoder, NamesTerms, inner_encoder
from index.documents import Document
from retrieval.trec_ids import EscapedIds, unescape_id


class TermNames:
    """Column -> term, without white space, which separates the terms of a query elsewhere.

    Columns of a language model are the raw strings of its vocabulary, as PromptReps writes them.
    Those of bm25 are stems, which the texts tell: they are learnt as the texts go by.
    """

    def __init__(self, encoder: Encoder) -> None:
        self._encoder: Any = inner_encoder(encoder)
        self._table: TermVocabulary | None = getattr(self._encoder, "table", None)
        self._counts_words = is_word_counter(self._encoder)
        if not isinstance(self._encoder, NamesTerms):
            raise ValueError(
                f"{type(self._encoder).__name__} has no names for its terms; "
                "an encoder that has them has term_names"
            )
        self._stems: dict[int, str] = {}
        self._fields = EscapedIds()

    @property
    def escaped(self) -> int:
        """Number of terms with white space, which is written %20."""
        return self._fields.escaped

    def learn(self, texts: Iterable[str]) -> None:
        """Take in the texts whose terms are asked for next."""
        if isinstance(self._encoder, BM25Encoder):
            self._encoder.learn_stems(texts, self._stems)
        elif self._counts_words:  # an analyzer of Lucene, whose terms are what is counted
            for text in texts:
                for term in self._encoder.terms(text):
                    self._stems.setdefault(hashed_column(term), term)

    def learn_documents(self, documents: Iterable[Document]) -> None:
        """Take in documents, with the other fields that the encoder reads."""
        others = [
            name for name in getattr(self._encoder, "fields", ()) if name not in (TITLE, TEXT)
        ]
        for document in documents:
            fielded = FieldedText("", metadata=document.metadata)
            self.learn([document.content, *map(fielded.read, others)])

    def of(self, columns: Sequence[int]) -> list[str]:
        """Return the names of columns.

        Raises:
            ValueError: a text that was learnt has no such term.
        """
        return [self._fields[self._name(column)] for column in columns]

    def _name(self, column: int) -> str:
        if self._table is not None:
            return self._table.name(column)
        if not self._counts_words:
            names: dict[int, str] = self._encoder.term_names([column], [])
            return names[column]
        try:
            return self._stems[column]
        except KeyError:
            raise ValueError(
                "a term of the index stands in no text of it, so that its name is not known; "
                "an index that was imported without texts keeps no names of terms"
            ) from None


class TermColumns:
    """Term -> column of the encoder that a sparse channel is searched by."""

    def __init__(self, encoder: Encoder) -> None:
        inner: Any = inner_encoder(encoder)
        table: TermVocabulary | None = getattr(inner, "table", None)
        self._column: Callable[[str], int | None]
        if is_word_counter(inner):
            self.width, self._column = VOCABULARY, hashed_column
        elif table is not None:
            known = {table.name(column): column for column in range(table.columns)}
            self.width, self._column = table.columns, known.get
        elif getattr(inner, "sparse", False):  # a sparse encoder of sentence-transformers
            self.width = int(inner.model.get_embedding_dimension())
            self._column = inner.model.tokenizer.get_vocab().get
        else:
            raise ValueError(f"{type(inner).__name__} does not tell the columns of its terms")
        self._known: dict[str, int] = {}

    def of(self, terms: Sequence[str], place: str) -> NDArray[np.int64]:
        """Return the column of each term, (len(terms),) int64.

        Raises:
            ValueError: the encoder has no such term; the message begins with `place`.
        """
        return np.array([self._of(term, place) for term in terms], np.int64)

    def _of(self, term: str, place: str) -> int:
        column = self._known.get(term)
        if column is None:
            column = self._column(term)
            if column is None:  # a term with white space, as it is written
                column = self._column(unescape_id(term))
            if column is None:
                raise ValueError(
                    f"{place}: the term {shorten(term)} is not in the vocabulary of the model; "
                    "was another model used? without a model, terms are taken as words"
                )
            if len(self._known) < 1 << 20:
                self._known[term] = column
        return column


def is_word_counter(encoder: Encoder) -> bool:
    """Tell whether an encoder counts words, in columns that are hashes of them."""
    return isinstance(encoder, BM25Encoder) or isinstance(spec_of(encoder), WordSpec)
