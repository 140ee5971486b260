"""An encoder as a transformer of scikit-learn: texts in, rows out."""

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from embedder.encoders.load import load_encoder
from embedder.prompts.prompt import Prompt
from embedder.text_encoder import EncodedRows, RowKind, TextEncoder
from embedder.types import list_texts
from lastword.adapters.arguments import check_encoder

_OF_FIT = ("_n_features_out", "fingerprint_", "_loaded")


class TextVectorizer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Turns texts into the rows of an encoder; it learns nothing from them.

    Clones share an encoder that is given as such. A pickle has the model's name in place of the
    model, and refuses one that gives other vectors by now.

    Args:
        model: name or folder of a model, as `lastword.load_encoder` takes it; or an encoder.
        prompt: of a model that is named; None is its own.
        channel: "dense" or "sparse".
        role: what the texts are, "document" or "query".

    Attributes:
        fingerprint_: JSON of everything that changes a vector.
    """

    def __init__(
        self,
        model: str | Path | TextEncoder = "bundled",
        prompt: Prompt | str | Path | None = None,
        channel: RowKind = "dense",
        role: str = "document",
    ) -> None:
        self.model = model
        self.prompt = prompt
        self.channel = channel
        self.role = role

    def fit(self, X: Any, y: object = None) -> "TextVectorizer":  # noqa: ANN401, N803
        """Load the encoder, and count the columns of its rows.

        Args:
            X: texts: a list, a pandas Series, an array of one dimension.
            y: not used.

        Raises:
            TypeError: X is no column of texts, or the model neither a name nor an encoder.
        """
        texts = _texts(X)
        if not texts:
            raise ValueError("fit needs a text; got none")
        self._drop_fit()
        self.fingerprint_ = self._encoder().fingerprint
        self._n_features_out: int = self._rows(texts[:1]).shape[1]
        return self

    def transform(self, X: Any) -> EncodedRows:  # noqa: ANN401, N803
        """Return a row for each text: (n, dim) float32, or (n, vocab) float32 CSR."""
        check_is_fitted(self)
        return self._rows(_texts(X))

    def _rows(self, texts: list[str]) -> EncodedRows:
        encoder = self._encoder()
        sides = {"document": encoder.encode_document, "query": encoder.encode_query}
        if self.role not in sides:
            raise ValueError(f"role is document or query; got {self.role!r}")
        return sides[self.role](texts, self.channel)

    def _encoder(self) -> TextEncoder:
        if not isinstance(self.model, str | Path):
            if self.prompt is not None:
                raise ValueError("a prompt goes with a model's name; this encoder has its own")
            return check_encoder(self.model)
        if not hasattr(self, "_loaded"):
            self._loaded = load_encoder(self.model, self.prompt)
            if getattr(self, "fingerprint_", self._loaded.fingerprint) != self._loaded.fingerprint:
                del self._loaded
                raise ValueError(f"{self.model} gives other vectors than when it was fitted")
        return self._loaded

    def _drop_fit(self) -> None:
        for name in _OF_FIT:
            self.__dict__.pop(name, None)

    def __sklearn_clone__(self) -> "TextVectorizer":
        clone = copy.copy(self)  # not deep: a model is large, and is not changed
        clone._drop_fit()
        return clone

    def __sklearn_tags__(self) -> Any:  # noqa: ANN401
        tags = super().__sklearn_tags__()
        tags.input_tags.string, tags.input_tags.two_d_array = True, False
        return tags

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = super().__getstate__()
        return {name: value for name, value in state.items() if name != "_loaded"}


def _texts(column: Any) -> list[str]:  # noqa: ANN401  (whatever scikit-learn's users have)
    """Return one column of texts as a list; a table would give its headings, a dict its keys."""
    in_order = hasattr(column, "__getitem__") and not isinstance(column, Mapping)
    if not in_order or getattr(column, "ndim", 1) != 1:
        raise TypeError(f"expected one column of texts; got {type(column).__name__}")
    return list_texts(column)
