"""RewritingEncoder: a dense row is the mean over a text and its rewritings (GenEOL)."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from threading import Lock
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from embedder.methods.geneol import RewritingPrompts, write_rewritings
from embedder.types import Representation, Role, fingerprint_of, list_texts, unit_rows

if TYPE_CHECKING:
    from embedder.models.generation import Generator
    from embedder.prompts.prompt import Prompt


class StateEncoder(Protocol):
    """An encoder that gives the raw states behind its dense rows."""

    @property
    def fingerprint(self) -> str:
        """Canonical JSON object of everything that changes a state."""
        ...

    @property
    def counts(self) -> Mapping[str, int]:
        """Totals since creation."""
        ...

    def states(self, texts: Sequence[str], role: Role) -> NDArray[np.float32]:
        """Return (n, dim) float32 rows of any length."""
        ...


class RewritingEncoder:
    """An Encoder: the unit mean of the states of a text and of its variants.

    An empty variant is left out of the mean and counted. A blank text has no variants.
    """

    def __init__(
        self, inner: StateEncoder, writer: "Generator", rules: RewritingPrompts | None = None
    ) -> None:
        self.inner = inner
        self.writer = writer
        self.rules = rules or RewritingPrompts.load()
        self._counting = Lock()
        self._counts: Counter[str] = Counter(texts=0, variants=0, empty_variants=0)
        self._fingerprint = fingerprint_of(
            **json.loads(inner.fingerprint), variants=self.rules.facts | {"writer": writer.facts}
        )

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the encoder inside, with writer and rules as one more fact."""
        return self._fingerprint

    @property
    def prompt(self) -> "Prompt | None":
        """The prompt of the encoder inside."""
        return getattr(self.inner, "prompt", None)

    @property
    def counts(self) -> Mapping[str, int]:
        """Counts of the encoder inside, over texts and variants, with three of its own.

        `texts` are those that were given, `variants` those that were written for them, and
        `empty_variants` those that the writer left empty.
        """
        return {**self.inner.counts, **self._counts}

    def encode(self, texts: Sequence[str], role: Role) -> Representation:
        """Encode texts in order; equal texts are rewritten once per call."""
        role, texts = Role(role), list_texts(texts)
        variants = self.variants(texts)
        with self._counting:
            self._counts["texts"] += len(texts)
        wanted = {one: None for text in texts for one in (text, *variants[text])}
        states = self.inner.states(list(wanted), role)
        if self.rules.unit:
            states = unit_rows(states)
        place = {text: row for row, text in enumerate(wanted)}
        rows = np.zeros((len(texts), states.shape[1]), dtype=np.float32)
        for at, text in enumerate(texts):
            rows[at] = states[[place[one] for one in (text, *variants[text])]].mean(axis=0)
        return Representation(unit_rows(rows), None, np.arange(len(texts), dtype=np.int64))

    def variants(self, texts: Sequence[str]) -> dict[str, tuple[str, ...]]:
        """Write the variants of texts, without empty ones, and count them."""
        distinct = dict.fromkeys(texts)
        asked = [text for text in distinct if text.strip()]
        written = dict(zip(asked, write_rewritings(asked, self.rules, self.writer), strict=True))
        kept = {text: tuple(filter(None, written.get(text, ()))) for text in distinct}
        total = sum(map(len, written.values()))
        with self._counting:
            self._counts["variants"] += sum(map(len, kept.values()))
            self._counts["empty_variants"] += total - sum(map(len, kept.values()))
        return kept
