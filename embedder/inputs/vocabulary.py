"""Terms: which vocabulary ids a text may be described with, and what an id is called."""

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from embedder.inputs.text_tokens import TextTokenizer
from embedder.prompts.readout_rules import SparseRules
from embedder.prompts.template import TextRun
from embedder.text.stop_words import content_words, nltk_words, stop_words

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class TermVocabulary:
    """The vocabulary of one tokenizer as terms: allowed ids of a text, names, shared columns.

    Attributes:
        rules: how terms are chosen.
        columns: width of a sparse row: the model's logit width, which may exceed the tokenizer's.
        canonical: (columns,) int64, the column that each id is counted in; None without merging.
    """

    def __init__(
        self, tokenizer: "PreTrainedTokenizerBase", columns: int, rules: SparseRules
    ) -> None:
        self.columns = columns
        self._tokenizer = tokenizer
        self._cutter = TextTokenizer(tokenizer)
        self._size = len(tokenizer)  # counted anew at every call, which is slow
        self.rules = rules
        self._stops = stop_words(rules.stop_words)
        if rules.words == "nltk":
            nltk_words("its data is there")  # or say so now, before anything is made
        self._ids_of: dict[str, tuple[int, ...]] = {}
        self.canonical = self._canonical() if rules.merge_forms else None

    def allowed(self, texts: Sequence[str]) -> list[NDArray[np.int64]]:
        """Return, for each text, the sorted columns of its content words; empty if it has none."""
        words_of = [
            dict.fromkeys(content_words(text, self.rules.words, self._stops)) for text in texts
        ]
        self._learn({word for words in words_of for word in words})
        return [
            np.array(sorted({i for word in words for i in self._ids_of[word]}), dtype=np.int64)
            for words in words_of
        ]

    def name(self, column: int) -> str:
        """Return the raw vocabulary string of a column, e.g. "Ġword"; "<id>" if it has none."""
        known = column < self._size
        name = self._tokenizer.convert_ids_to_tokens(column) if known else None
        return str(name) if name is not None else f"<{column}>"

    def readable(self, column: int) -> str:
        """Return a column's text as a person would write it."""
        return str(self._tokenizer.convert_tokens_to_string([self.name(column)])).strip()

    def spans(self, run: str) -> Iterator[tuple[int, int, int]]:
        """Yield (column, first, one past the last character) of each piece of a text.

        Nothing where the tokenizer does not tell places; pieces of one character share a place.
        """
        (tokenized,) = self._cutter.encode([[TextRun("text", run)]])
        for column, (start, end) in zip(tokenized.ids, tokenized.offsets or (), strict=False):
            if end > start and column != self._tokenizer.unk_token_id:
                merged = column if self.canonical is None else int(self.canonical[column])
                yield merged, start, end

    @cached_property
    def expandable(self) -> NDArray[np.bool_]:
        """(columns,) True for ids that may be added from outside a text.

        The paper's filter: after one leading word mark or space the vocabulary string is
        letters alone, and begins with an ASCII lower-case letter.
        """
        keep = np.zeros(self.columns, dtype=np.bool_)
        for token, column in self._tokenizer.get_vocab().items():
            bare = token[1:] if token[:1] in ("▁", " ") else token
            keep[column] = bare.isalpha() and "a" <= bare[0] <= "z"
        return keep

    def _learn(self, words: Iterable[str]) -> None:
        new = sorted(word for word in words if word not in self._ids_of)
        if not new:
            return
        for word, ids in zip(new, self._cutter.ids(new), strict=True):
            self._ids_of[word] = tuple(ids)
        if self.canonical is None:
            return
        for mark in ("", " "):
            self._learn_whole(new, [mark + word for word in new])
            self._learn_whole(new, [mark + word.capitalize() for word in new])
        for word in new:
            self._ids_of[word] = tuple({int(self.canonical[i]) for i in self._ids_of[word]})

    def _learn_whole(self, new: list[str], forms: list[str]) -> None:
        """Add a surface form where it is one token: pieces of a form say nothing of the word."""
        for word, ids in zip(new, self._cutter.ids(forms), strict=True):
            if len(ids) == 1:
                self._ids_of[word] += tuple(ids)

    def _canonical(self) -> NDArray[np.int64]:
        """Map every id to the lowest id that reads the same without case and outer space."""
        canonical = np.arange(self.columns, dtype=np.int64)
        first: dict[str, int] = {}
        for column in range(min(self.columns, self._size)):
            plain = self.readable(column).lower()
            if plain.isalnum():
                canonical[column] = first.setdefault(plain, column)
        return canonical
