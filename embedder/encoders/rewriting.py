"""RewritingEncoder: a dense row is the mean over a text and its rewritings (GenEOL)."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from threading import Lock
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from embedder.methods.geneol import Rewriter
from embedder.text_encoder import TextEncoder
from embedder.types import (
    Counted,
    Representation,
    Role,
    fingerprint_of,
    list_texts,
    unit_rows,
)

if TYPE_CHECKING:
    from embedder.encoders.specs import LLMSpec
    from embedder.prompts.prompt import Prompt


class StateEncoder(Counted, Protocol):
    """An encoder that gives the raw states behind its dense rows."""

    @property
    def fingerprint(self) -> str:
        """Canonical JSON object of everything that changes a state."""
        ...

    def states(self, texts: Sequence[str], role: Role) -> NDArray[np.float32]:
        """Return (n, dim) float32 rows of any length."""
        ...


class RewritingEncoder(TextEncoder):
    """An Encoder: the unit mean of the states of a text and of its rewritings.

    An empty rewriting is left out of the mean and counted. A blank text has no rewritings.
    """

    def __init__(self, inner: StateEncoder, rewriter: Rewriter) -> None:
        self.inner, self.rewriter = inner, rewriter
        self.spec: LLMSpec | None = None
        self._counting = Lock()
        self._counts = Counter(texts=0, variants=0, empty_variants=0)
        self._fingerprint = fingerprint_of(**json.loads(inner.fingerprint), variants=rewriter.facts)

    @property
    def prompt(self) -> "Prompt | None":
        """The prompt of the inner encoder."""
        return getattr(self.inner, "prompt", None)

    @property
    def counts(self) -> Mapping[str, int]:
        """Counts of the inner encoder, over texts and rewritings, with three of its own.

        `texts` are those that were given, `variants` the rewritings of them, and `empty_variants`
        those in which the generator said nothing.
        """
        return {**self.inner.counts, **self._counts}

    def encode(self, texts: Sequence[str], role: Role) -> Representation:
        """Encode texts in order; equal texts are rewritten once per call."""
        role, texts = Role(role), list_texts(texts)
        rewritings = self.rewrite(texts)
        with self._counting:
            self._counts["texts"] += len(texts)
        distinct = {version: None for text in texts for version in (text, *rewritings[text])}
        states = self.inner.states(list(distinct), role)
        if self.rewriter.rules.unit:
            states = unit_rows(states)
        place = {text: row for row, text in enumerate(distinct)}
        rows = np.zeros((len(texts), states.shape[1]), dtype=np.float32)
        for at, text in enumerate(texts):
            versions = [place[version] for version in (text, *rewritings[text])]
            rows[at] = states[versions].mean(axis=0)
        return Representation(unit_rows(rows), None, np.arange(len(texts), dtype=np.int64))

    def rewrite(self, texts: Sequence[str]) -> dict[str, tuple[str, ...]]:
        """Write the rewritings of texts, without empty ones, and count them."""
        distinct = dict.fromkeys(texts)
        filled = [text for text in distinct if text.strip()]
        answers = dict(zip(filled, self.rewriter.rewrite(filled), strict=True))
        answered = {text: tuple(filter(None, answers.get(text, ()))) for text in distinct}
        total, full = (sum(map(len, lists.values())) for lists in (answers, answered))
        with self._counting:
            self._counts["variants"] += full
            self._counts["empty_variants"] += total - full
        return answered
