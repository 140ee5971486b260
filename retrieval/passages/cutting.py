"""Cut long documents into passages, each of which is encoded with the document's title."""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from embedder.inputs.text_measure import TextMeasure
from embedder.text.fields import FieldedText
from embedder.text.language_detection import READ
from embedder.text.stretches import LONGEST, TextUnits, cut_stretches, has_few_units
from embedder.text.words import is_unspaced
from index.documents import Document
from index.manifest import Passages

_SPACED = re.compile(r"\S+")

Span = tuple[int, int]
"""The first character of a passage in the text of its document, and one past its last."""


class Cutter:
    """Cuts documents by the rule of an index.

    Args:
        rule: None leaves every document whole.
        measures: of the models that read the passages; all of them must have room.

    Raises:
        ValueError: the rule counts tokens, and there is no measure.
    """

    def __init__(self, rule: Passages | None, measures: Sequence[TextMeasure] = ()) -> None:
        self.rule = rule
        self._measures = tuple(measures)
        if rule is not None and rule.tokens and not measures:
            raise ValueError(
                f"passages of {rule.tokens} tokens need a model whose tokenizer is at hand; "
                "cut by words instead"
            )

    def spans(self, document: Document) -> list[Span]:
        """Return the passages of a document in order; at least one, and all text is in them."""
        rule, text = self.rule, document.text
        if rule is None or rule.at == "words":
            return spans(text, rule)
        if rule.at == "sentences" and self._fits(document):
            return [(0, len(text))]
        if rule.tokens:
            cut = self._by_tokens(document)
        else:
            units = TextUnits.of(text)
            cut = self._stretches(units, np.ones(len(units.bounds), np.int64), rule.words)
        return cut if len(cut) > 1 else [(0, len(text))]

    def _fits(self, document: Document) -> bool:
        assert self.rule is not None
        if self.rule.tokens:
            return not self._are_long([document.content])
        return has_few_units(document.text, self.rule.words)

    def _by_tokens(self, document: Document) -> list[Span]:
        """Cut so that every passage, with the title before it, is read to its end."""
        assert self.rule is not None
        most, title = self.rule.tokens, document.title
        around = self._sizes(title, np.array([(0, len(title))], np.int64)).sum() if title else 0
        room = max(most - int(around), most // 4)
        longest = LONGEST
        units = TextUnits.of(document.text)
        sizes = self._sizes(document.text, units.bounds)
        while True:
            while longest > 1 and sizes.max(initial=0) > room // 2:
                longest //= 4
                units = TextUnits.of(document.text, longest)
                sizes = self._sizes(document.text, units.bounds)
            cut = self._stretches(units, sizes, room)
            # Parts of a text may take more tokens than they did within the whole of it.
            if not self._are_long([passage_text(document, span) for span in cut]):
                return cut
            room -= max(1, room // 16)
            if room < max(1, most // 8):  # the title takes it all: the models cut, and count
                return cut

    def _stretches(self, units: TextUnits, sizes: NDArray[np.int64], most: int) -> list[Span]:
        assert self.rule is not None
        overlap = min(self.rule.overlap, most - 1)
        if self.rule.at == "headings":
            parts = units.between_headings()
        else:
            parts = [units.part(0, len(sizes))]
        found: list[Span] = []
        for first, part in parts:
            own = sizes[first : first + len(part.bounds)].tolist()
            for start, end in cut_stretches(part, own, most, overlap):
                found.append((int(part.bounds[start, 0]), int(part.bounds[end - 1, 1])))
        return found

    def _sizes(self, text: str, bounds: NDArray[np.int64]) -> NDArray[np.int64]:
        return reduce(np.maximum, (each.sizes(text, bounds) for each in self._measures))

    def _are_long(self, texts: Sequence[str]) -> bool:
        assert self.rule is not None
        return any(each.are_long(texts, self.rule.tokens) for each in self._measures)


def spans(text: str, passages: Passages | None) -> list[Span]:
    """Return each passage of so many words, wherever these end; at least one.

    A word is a run without white space, and a single character of a script that is written
    without spaces. The last passage may be shorter; it is never a mere repetition of
    the overlap.

    Args:
        text: body of a document.
        passages: how to cut; None leaves the text whole.
    """
    if passages is None:
        return [(0, len(text))]
    words = list(_words(text))
    if len(words) <= passages.words:
        return [(0, len(text))]
    step = passages.words - passages.overlap
    starts = range(0, len(words) - passages.overlap, step)
    ends = (min(first + passages.words, len(words)) for first in starts)
    return [(words[first][0], words[end - 1][1]) for first, end in zip(starts, ends, strict=True)]


def passage_text(document: Document, span: Span) -> str:
    """Return the text that is encoded for a passage: the title and its part of the text."""
    start, end = span
    if end - start == len(document.text):
        return document.content
    return (document.title + " " + document.text[start:end]).strip()


def heaviest_span(parts: Mapping[Span, float]) -> Span:
    """Return the passage with the largest part of a score, of equals the first in the text."""
    return max(parts, key=lambda span: (parts[span], -span[0]))


def fielded_text(document: Document, span: Span) -> FieldedText:
    """Return a passage with the fields of its document, for encoders that tell them apart."""
    start, end = span
    opening = f"{document.title} {document.text[:READ]}".strip()
    return FieldedText(document.text[start:end], document.title, opening, document.metadata)


def _words(text: str) -> Iterator[Span]:
    for match in _SPACED.finditer(text):
        start, end = match.span()
        if match.group().isascii():
            yield start, end
            continue
        for at in range(start, end):
            if is_unspaced(text[at]):
                if start < at:
                    yield start, at
                yield at, at + 1
                start = at + 1
        if start < end:
            yield start, end
