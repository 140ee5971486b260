"""What a query says to a Lucene index: words of its text, or the weighted tokens of a model."""

from collections import Counter
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from embedder.inspect.word_columns import piece_words
from embedder.lucene.analysis import LuceneEncoder
from embedder.lucene.jvm import java_class, to_json
from embedder.types import Encoder, Representation, inner_encoder
from retrieval.outside.lucene_index import AnseriniIndex

SCALE = 100  # of impacts, as PromptReps and Anserini's regressions write them
WHITESPACE = "whitespace"  # for texts that were cut before, as Anserini's -pretokenized
_PROBES = ("", "##", "Ġ", "▁")  # where tokens with the marks of four kinds of tokenizers stand
_PROBED = 250  # terms from each


class QueryWords(Protocol):
    """How queries become weighted terms of an index; called within `java_errors`."""

    @property
    def encoder(self) -> Encoder | None:
        """The encoder whose rows are needed; None where the text is enough."""
        ...

    def terms(self, text: str, row: Representation | None) -> dict[str, float]:
        """Return term -> weight above 0; none where the index could find nothing."""
        ...


@dataclass(frozen=True)
class AnalysedWords:
    """Counts of the words that an analyzer of Lucene makes of a text.

    Attributes:
        analyse: text -> its words.
    """

    analyse: Callable[[str], list[str]]
    encoder: Encoder | None = None

    @staticmethod
    def of(language: str) -> "AnalysedWords":
        """Return the words of a language, as Anserini has them, or those between spaces.

        Raises:
            ValueError: Lucene has no analyzer of the language.
        """
        if language != WHITESPACE:
            return AnalysedWords(LuceneEncoder(language).terms)
        spaces = java_class("org.apache.lucene.analysis.core.WhitespaceAnalyzer")()
        utilities = java_class("io.anserini.analysis.AnalyzerUtils")
        return AnalysedWords(lambda text: list(to_json(utilities.analyze(spaces, text))))

    def terms(self, text: str, row: Representation | None) -> dict[str, float]:
        """Return how often each word stands in a text."""
        return dict(Counter(self.analyse(text)))


@dataclass(frozen=True)
class ModelWords:
    """Tokens of a model with its weights as whole numbers, as PromptReps searches (EMNLP 2024).

    Tokens that no document of the index has say nothing, and those that every document has are
    left out, as pyserini does.

    Attributes:
        encoder: of the rows.
        index: that is searched.
    """

    encoder: Encoder
    index: AnseriniIndex
    _frequencies: dict[str, int] = field(default_factory=dict)

    @staticmethod
    def of(encoder: Encoder, channel: str, index: AnseriniIndex) -> "ModelWords":
        """Return the words of a model for an index of its tokens.

        Raises:
            ValueError: the model has no tokens with weights, or the index has others.
        """
        tokens = token_vocabulary(encoder)
        if tokens is None:
            raise ValueError(
                f"{index.path} is an impact index, searched by a model's tokens; channel "
                f"{channel!r} has none"
            )
        for start in _PROBES:
            for term in index.terms_from(start, _PROBED):
                if term not in tokens:
                    raise ValueError(
                        f"{index.path} holds other words than those of channel {channel!r}, by "
                        f"which impacts are searched: its {term!r} is no token of that model"
                    )
        return ModelWords(encoder, index)

    def terms(self, text: str, row: Representation | None) -> dict[str, float]:
        """Return the weights of tokens, scaled and rounded; those that round to 0 are left out."""
        if row is None or row.sparse is None:
            raise ValueError(f"{self.index.path} is an impact index, and needs sparse rows")
        scale = np.float32(1 if is_scaled(self.encoder) else SCALE)
        weights = np.rint(scale * row.sparse.data).tolist()
        columns = dict(zip(row.sparse.indices.tolist(), weights, strict=True))
        tokens = piece_words(self.encoder, columns, [])
        return {token: weight for token, weight in tokens if weight and self._tells(token)}

    def _tells(self, token: str) -> bool:
        if token not in self._frequencies:
            self._frequencies[token] = self.index.document_frequency(token)
        return 0 < self._frequencies[token] < self.index.documents


def token_vocabulary(encoder: Encoder) -> Container[str] | None:
    """Return the tokens that sparse columns are called by; None where there are none."""
    inner: Any = inner_encoder(encoder)
    if getattr(inner, "table", None) is not None:
        return _tokens(inner.backbone.tokenizer)
    return _tokens(inner.model.tokenizer) if getattr(inner, "sparse", False) else None


def _tokens(tokenizer: Any) -> Mapping[str, int]:  # noqa: ANN401
    vocabulary: Mapping[str, int] = tokenizer.get_vocab()
    return vocabulary


def is_scaled(encoder: Encoder) -> bool:
    """Tell whether the weights of sparse rows are whole numbers already."""
    table = getattr(inner_encoder(encoder), "table", None)
    return table is not None and table.rules.scale > 0
